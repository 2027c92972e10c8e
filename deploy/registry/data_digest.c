/* data_digest.c - see data_digest.h. */
#include "deploy/registry/data_digest.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILES_MAX = 10000, NANOSECONDS = 1000000000 };

static int is_no_dot(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int compare_names(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

/* False: it is none of the files that count. */
static bool look_at(const char *folder, const char *name, char path[PATH_BYTES], struct stat *about)
{
    return path_make(path, NULL, "%s/%s", folder, name) == PS_OK && stat(path, about) == 0 &&
           S_ISREG(about->st_mode);
}

static ps_status add_line(FILE *text, const char *folder, const char *name, data_digest *digest,
                          ps_error *error)
{
    char path[PATH_BYTES], real[PATH_MAX];
    struct stat about;
    content c;
    if (!look_at(folder, name, path, &about))
        return PS_OK;
    if (!digest->whole) {
        fprintf(text, "%" PRIu64 "  %" PRId64 "  %s\n", (uint64_t)about.st_size,
                (int64_t)about.st_mtim.tv_sec * NANOSECONDS + about.st_mtim.tv_nsec, name);
        return PS_OK;
    }
    /* Data is often a folder of links to where it is kept. */
    ps_status status =
        realpath(path, real) ? content_copy(real, NULL, &c, error) : path_fail(error, "read", path);
    if (status == PS_OK)
        fprintf(text, "%s  %s\n", c.sha256, name);
    return status;
}

static ps_status take(const char *folder, struct dirent **names, int count, data_digest *digest,
                      ps_error *error)
{
    char path[PATH_BYTES], *text = NULL;
    size_t bytes = 0;
    struct stat about;
    ps_status status = PS_OK;
    for (int i = 0; i < count; i++) {
        if (!look_at(folder, names[i]->d_name, path, &about))
            continue;
        digest->files++;
        digest->bytes += (uint64_t)about.st_size;
    }
    digest->whole = digest->bytes <= DATA_DIGEST_WHOLE_MAX;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    for (int i = 0; i < count && status == PS_OK; i++)
        status = add_line(out, folder, names[i]->d_name, digest, error);
    if (fclose(out) != 0 && status == PS_OK)
        status = ps_fail(error, PS_ENOMEM, "out of memory");
    if (status == PS_OK)
        content_digest(text, bytes, digest->sha256);
    free(text);
    return status;
}

ps_status data_digest_take(const char *folder, data_digest *digest, ps_error *error)
{
    char real[PATH_MAX];
    struct dirent **names = NULL;
    *digest = (data_digest){0};
    ps_status status = realpath(folder, real) ? path_make(digest->folder, error, "%s", real)
                                              : ps_fail(error, errno == ENOENT ? PS_ENOENT : PS_EIO,
                                                        "cannot read %s: %s", folder, strerror(errno));
    if (status != PS_OK)
        return status;
    const int count = scandir(real, &names, is_no_dot, compare_names);
    if (count < 0)
        return path_fail(error, "read", folder);
    if (count > FILES_MAX)
        status = ps_fail(error, PS_ELIMIT, "%s holds more than %d files", folder, FILES_MAX);
    if (status == PS_OK)
        status = take(real, names, count, digest, error);
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return status;
}
