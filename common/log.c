/* log.c - see log.h. Knows nothing of what is logged. */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 1024 };

static char process_name[64] = "penstock";
static log_level threshold = LOG_INFO;

static const char *const level_names[] = {"debug", "info", "warning", "error", "off"};

void log_setup(const char *who, log_level level)
{
    snprintf(process_name, sizeof process_name, "%s", who);
    threshold = level;
}

ps_status log_level_parse(const char *text, log_level *level, ps_error *error)
{
    for (int i = LOG_DEBUG; i <= LOG_OFF; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (log_level)i;
            return PS_OK;
        }
    }
    return ps_fail(error, PS_EINVAL, "log level '%s' is none of debug, info, warning, error, off", text);
}

__attribute__((format(printf, 2, 0))) static void emit(log_level level, const char *format, va_list arguments)
{
    if (level < threshold)
        return;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm utc;
    gmtime_r(&now.tv_sec, &utc);

    char line[LINE_BYTES];
    size_t used = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    used += (size_t)snprintf(line + used, sizeof line - used, ".%03ldZ %-7s %s  ", now.tv_nsec / 1000000,
                             level_names[level], process_name);
    int length = vsnprintf(line + used, sizeof line - used - 1, format, arguments);
    if (length > 0) {
        size_t room = sizeof line - used - 2;
        used += (size_t)length < room ? (size_t)length : room;
    }
    for (size_t i = 0; i < used; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[used++] = '\n';
    /* A log that cannot be written has nowhere to say so. */
    ssize_t ignored = write(STDERR_FILENO, line, used);
    (void)ignored;
}

#define LOG_FUNCTION(name, level)       \
    void name(const char *format, ...)  \
    {                                   \
        va_list arguments;              \
        va_start(arguments, format);    \
        emit(level, format, arguments); \
        va_end(arguments);              \
    }

LOG_FUNCTION(log_debug, LOG_DEBUG)
LOG_FUNCTION(log_info, LOG_INFO)
LOG_FUNCTION(log_warning, LOG_WARNING)
LOG_FUNCTION(log_error, LOG_ERROR)
