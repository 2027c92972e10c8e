/* run_folder.c - see run_folder.h. */
#include "deploy/runs/run_folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/file.h"

enum { NAMES_MAX = 1000 /* runs that start within one second */ };

static const char *const kinds[] = {"logs", "outputs", "tf_config", RUN_HTTP, RUN_STATUS};

/* mkdir, unlike file_make_folder, tells whether the folder is ours alone. */
static ps_status make_new(run_folder *folder, ps_error *error)
{
    char stamp[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &utc);
    ps_status status = file_make_folder("runs", error);
    if (status)
        return status;
    for (int n = 0; n < NAMES_MAX; n++) {
        char suffix[16] = "";
        if (n > 0)
            snprintf(suffix, sizeof suffix, "-%d", n);
        snprintf(folder->path, sizeof folder->path, "runs/%s%s", stamp, suffix);
        if (mkdir(folder->path, 0777) == 0)
            return PS_OK;
        if (errno != EEXIST)
            return ps_fail(error, PS_EIO, "cannot make the folder %s: %s", folder->path, strerror(errno));
    }
    return ps_fail(error, PS_ELIMIT, "%d folders named runs/%s... are there already", NAMES_MAX, stamp);
}

/* A folder that is wanted is not made yet. */
static ps_status name_folder(run_folder *folder, const char *wanted, ps_error *error)
{
    ps_status status = PS_OK;
    if (!wanted)
        status = make_new(folder, error);
    else if ((size_t)snprintf(folder->path, sizeof folder->path, "%s", wanted) >= sizeof folder->path)
        status =
            ps_fail(error, PS_ELIMIT, "the folder name %.40s... exceeds %d bytes", wanted, RUN_PATH_MAX - 1);
    return status;
}

ps_status run_folder_make(run_folder *folder, const char *wanted, ps_error *error)
{
    ps_status status = name_folder(folder, wanted, error);
    return status == PS_OK ? file_make_folder(folder->path, error) : status;
}

ps_status run_folder_create(run_folder *folder, const char *wanted, ps_error *error)
{
    ps_status status = name_folder(folder, wanted, error);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && status == PS_OK; i++) {
        char path[RUN_PATH_MAX];
        status = run_folder_path(folder, kinds[i], "", "", path, error);
        if (status == PS_OK)
            status = file_make_folder(path, error);
    }
    return status;
}

ps_status run_folder_path(const run_folder *folder, const char *kind, const char *name, const char *ending,
                          char path[RUN_PATH_MAX], ps_error *error)
{
    int length =
        snprintf(path, RUN_PATH_MAX, "%s/%s%s%s%s", folder->path, kind, name[0] ? "/" : "", name, ending);
    if (length < 0 || length >= RUN_PATH_MAX)
        return ps_fail(error, PS_ELIMIT, "a path below %.40s... exceeds %d bytes", folder->path,
                       RUN_PATH_MAX - 1);
    return PS_OK;
}
