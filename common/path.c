/* path.c - see path.h. */
#include "common/path.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 64 };

ps_status path_make(char path[PATH_BYTES], ps_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(path, PATH_BYTES, format, arguments);
    va_end(arguments);
    return length < PATH_BYTES ? PS_OK : ps_fail(error, PS_EIO, "the path %.64s... is too long", path);
}

ps_status path_fail(ps_error *error, const char *what, const char *path)
{
    return ps_fail(error, PS_EIO, "cannot %s %s: %s", what, path, strerror(errno));
}

uint64_t path_number(const char *name, const char *before, const char *after)
{
    uint64_t number = 0;
    char again[NAME_BYTES];
    const size_t skipped = strlen(before);
    if (strncmp(name, before, skipped) != 0 || sscanf(name + skipped, "%20" SCNu64, &number) != 1)
        return 0;
    snprintf(again, sizeof again, "%s%0*" PRIu64 "%s", before, PATH_DIGITS, number, after);
    return strcmp(name, again) == 0 ? number : 0;
}

const char *path_of_shard(const char *name, uint32_t *server, uint32_t *servers)
{
    char again[NAME_BYTES];
    if (sscanf(name, "ps-%4" SCNu32 "-of-%4" SCNu32, server, servers) != 2)
        return NULL;
    int length = snprintf(again, sizeof again, "ps-%u-of-%u", *server, *servers);
    return strncmp(name, again, (size_t)length) == 0 ? name + length : NULL;
}
