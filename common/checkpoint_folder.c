/* checkpoint_folder.c - see checkpoint_folder.h. */
#include "common/checkpoint_folder.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/checkpoint.h"
#include "common/file.h"

#define STEP_PREFIX "step-"

/* ---- names ---- */

ps_status checkpoint_cut_path(const char *folder, uint64_t step, char path[PATH_BYTES], ps_error *error)
{
    return path_make(path, error, "%s/" STEP_PREFIX "%0*" PRIu64, folder, PATH_DIGITS, step);
}

ps_status checkpoint_shard_path(const char *folder, uint64_t step, uint32_t server, uint32_t servers,
                                const char *suffix, char path[PATH_BYTES], ps_error *error)
{
    return path_make(path, error, "%s/" STEP_PREFIX "%0*" PRIu64 "/ps-%u-of-%u%s", folder, PATH_DIGITS, step,
                     server, servers, suffix);
}

/* Only what shard_path makes, and temporary names beside that. */
static bool parse_shard_name(const char *name, checkpoint_name *parsed)
{
    const char *suffix = path_of_shard(name, &parsed->server, &parsed->servers);
    if (!suffix || parsed->server >= parsed->servers || parsed->servers > JOB_SERVERS_MAX)
        return false;
    for (int record = 0; record < 2; record++) {
        const char *wanted = record ? CHECKPOINT_RECORD_SUFFIX : CHECKPOINT_DATA_SUFFIX;
        if (strncmp(suffix, wanted, strlen(wanted)) != 0)
            continue;
        const char *rest = suffix + strlen(wanted);
        parsed->record = record;
        parsed->temporary = strncmp(rest, FILE_TEMPORARY_MARK, strlen(FILE_TEMPORARY_MARK)) == 0;
        return *rest == '\0' || parsed->temporary;
    }
    return false;
}

/* ---- folders ---- */

static int newest_first(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? 1 : left > right ? -1 : 0;
}

ps_status checkpoint_list_steps(const char *folder, uint64_t **steps, uint32_t *count, ps_error *error)
{
    *count = 0;
    *steps = calloc(CHECKPOINT_CUTS_MAX, sizeof **steps);
    if (!*steps)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    DIR *dir = opendir(folder);
    if (!dir && errno == ENOENT)
        return PS_OK;
    if (!dir) {
        free(*steps);
        *steps = NULL;
        return path_fail(error, "read", folder);
    }
    for (const struct dirent *entry; (entry = readdir(dir));) {
        uint64_t step = path_number(entry->d_name, STEP_PREFIX, "");
        if (step == 0)
            continue;
        if (*count == CHECKPOINT_CUTS_MAX) { /* the oldest makes room */
            qsort(*steps, *count, sizeof **steps, newest_first);
            --*count;
            if (step < (*steps)[*count])
                step = (*steps)[*count];
        }
        (*steps)[(*count)++] = step;
    }
    closedir(dir);
    qsort(*steps, *count, sizeof **steps, newest_first);
    return PS_OK;
}

ps_status checkpoint_visit_cut(const char *folder, uint64_t step, checkpoint_visit *visit, void *context,
                               ps_error *error)
{
    char cut[PATH_BYTES], path[PATH_BYTES];
    ps_status status = checkpoint_cut_path(folder, step, cut, error);
    if (status != PS_OK)
        return status;
    DIR *dir = opendir(cut);
    if (!dir) /* a file of such a name is no cut */
        return errno == ENOENT || errno == ENOTDIR ? PS_OK : path_fail(error, "read", cut);
    for (const struct dirent *entry; status == PS_OK && (entry = readdir(dir));) {
        checkpoint_name name;
        if (!parse_shard_name(entry->d_name, &name))
            continue;
        status = path_make(path, error, "%s/%s", cut, entry->d_name);
        if (status == PS_OK)
            visit(context, path, &name);
    }
    closedir(dir);
    return status;
}
