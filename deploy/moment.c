/* moment.c - see moment.h. */
#include "deploy/moment.h"

#include <stdbool.h>
#include <time.h>

enum { SECOND_MS = 1000 };

int64_t moment_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * SECOND_MS + now.tv_nsec / 1000000;
}

/* False: no calendar goes so far. */
static bool split(int64_t ms, struct tm *utc)
{
    const time_t seconds = (time_t)(ms / SECOND_MS);
    return gmtime_r(&seconds, utc) != NULL;
}

const char *moment_format(int64_t ms, char text[MOMENT_BYTES])
{
    struct tm utc;
    text[0] = '\0';
    if (split(ms, &utc))
        strftime(text, MOMENT_BYTES, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return text;
}

const char *moment_format_name(int64_t ms, char text[MOMENT_BYTES])
{
    struct tm utc;
    text[0] = '\0';
    if (split(ms, &utc))
        strftime(text, MOMENT_BYTES, "%Y%m%d-%H%M%S", &utc);
    return text;
}
