/* checkpoint_folder.c - see checkpoint_folder.h. */
#include "common/checkpoint_folder.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checkpoint.h"
#include "common/file.h"

#define STEP_PREFIX "step-"
enum { STEP_DIGITS = 12, NAME_BYTES = 64 };

/* ---- names ---- */

static ps_status fail_errno(ps_error *error, const char *what, const char *path)
{
    return ps_fail(error, PS_EIO, "cannot %s %s: %s", what, path, strerror(errno));
}

static ps_status make_path(char path[CHECKPOINT_PATH_BYTES], ps_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static ps_status make_path(char path[CHECKPOINT_PATH_BYTES], ps_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(path, CHECKPOINT_PATH_BYTES, format, arguments);
    va_end(arguments);
    return length < CHECKPOINT_PATH_BYTES ? PS_OK
                                          : ps_fail(error, PS_EIO, "the path %.64s... is too long", path);
}

ps_status checkpoint_cut_path(const char *folder, uint64_t step, char path[CHECKPOINT_PATH_BYTES],
                              ps_error *error)
{
    return make_path(path, error, "%s/" STEP_PREFIX "%0*" PRIu64, folder, STEP_DIGITS, step);
}

ps_status checkpoint_shard_path(const char *folder, uint64_t step, uint32_t server, uint32_t servers,
                                const char *suffix, char path[CHECKPOINT_PATH_BYTES], ps_error *error)
{
    return make_path(path, error, "%s/" STEP_PREFIX "%0*" PRIu64 "/ps-%u-of-%u%s", folder, STEP_DIGITS, step,
                     server, servers, suffix);
}

/* 0: the name is of no cut. */
static uint64_t step_of_name(const char *name)
{
    uint64_t step = 0;
    char again[NAME_BYTES];
    if (sscanf(name, STEP_PREFIX "%20" SCNu64, &step) != 1)
        return 0;
    snprintf(again, sizeof again, STEP_PREFIX "%0*" PRIu64, STEP_DIGITS, step);
    return strcmp(name, again) == 0 ? step : 0;
}

/* Only what shard_path makes, and temporary names beside that. */
static bool parse_shard_name(const char *name, checkpoint_name *parsed)
{
    char again[NAME_BYTES];
    if (sscanf(name, "ps-%4" SCNu32 "-of-%4" SCNu32 ".", &parsed->server, &parsed->servers) != 2 ||
        parsed->server >= parsed->servers || parsed->servers > JOB_SERVERS_MAX)
        return false;
    for (int record = 0; record < 2; record++) {
        int length = snprintf(again, sizeof again, "ps-%u-of-%u%s", parsed->server, parsed->servers,
                              record ? CHECKPOINT_RECORD_SUFFIX : CHECKPOINT_DATA_SUFFIX);
        if (strncmp(name, again, (size_t)length) != 0)
            continue;
        const char *rest = name + length;
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
        return fail_errno(error, "read", folder);
    }
    for (const struct dirent *entry; (entry = readdir(dir));) {
        uint64_t step = step_of_name(entry->d_name);
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
    char cut[CHECKPOINT_PATH_BYTES], path[CHECKPOINT_PATH_BYTES];
    ps_status status = checkpoint_cut_path(folder, step, cut, error);
    if (status != PS_OK)
        return status;
    DIR *dir = opendir(cut);
    if (!dir) /* a file of such a name is no cut */
        return errno == ENOENT || errno == ENOTDIR ? PS_OK : fail_errno(error, "read", cut);
    for (const struct dirent *entry; status == PS_OK && (entry = readdir(dir));) {
        checkpoint_name name;
        if (!parse_shard_name(entry->d_name, &name))
            continue;
        status = make_path(path, error, "%s/%s", cut, entry->d_name);
        if (status == PS_OK)
            visit(context, path, &name);
    }
    closedir(dir);
    return status;
}
