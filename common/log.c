/* log.c - see log.h. Knows nothing of what is logged. */
#include "common/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/events.h"
#include "common/json.h"
#include "common/name_list.h"
#include "common/plain_text.h"

enum {
    TEXT_BYTES = 1024, /* of a line in text */
    JSON_BYTES = 4096, /* of a line in JSON: PIPE_BUF */
    TIME_BYTES = 32,
    WHO_BYTES = 64,
};

/* What a line says. */
typedef struct {
    log_level level;
    const char *event; /* NULL: of no known kind */
    uint64_t step;     /* or LOG_NO_STEP */
} entry;

static char process_name[WHO_BYTES] = "penstock";
static log_level threshold = LOG_INFO;
static log_format line_format = LOG_TEXT;
static bool coloured;
static log_listener *listener;

static const char *const level_names[] = {"debug", "info", "warning", "error", "off"};
static const char *const level_colours[] = {"\x1b[2m", "", "\x1b[33m", "\x1b[31m"};
#define COLOUR_END "\x1b[0m"

static bool shows_colours(int fd)
{
    const char *kind = getenv("TERM");
    const char *refused = getenv("NO_COLOR");
    return isatty(fd) && kind && strcmp(kind, "dumb") != 0 && !(refused && refused[0]);
}

void log_setup(const char *who, log_level level)
{
    snprintf(process_name, sizeof process_name, "%s", who);
    threshold = level;
    coloured = shows_colours(STDERR_FILENO);
}

void log_set_format(log_format format)
{
    line_format = format;
}

void log_set_listener(log_listener *told)
{
    listener = told;
}

static const name_list levels = {"log level", level_names, sizeof level_names / sizeof level_names[0]};
NAME_LIST_PARSER(log_level_parse, log_level, levels)

static const char *const format_names[] = {[LOG_TEXT] = "text", [LOG_JSON] = "json"};
static const name_list formats = {"log format", format_names, sizeof format_names / sizeof format_names[0]};
NAME_LIST_PARSER(log_format_parse, log_format, formats)

static void tell_time(char *text)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm utc;
    gmtime_r(&now.tv_sec, &utc);
    const size_t used = strftime(text, TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + used, TIME_BYTES - used, ".%03ldZ", now.tv_nsec / 1000000);
}

/* The length of what snprintf has written into `room` bytes, given what it returned. */
static size_t written(int length, size_t room)
{
    return length < 0 ? 0 : (size_t)length < room ? (size_t)length : room - 1;
}

__attribute__((format(printf, 2, 0))) static size_t write_text(const entry *e, const char *format,
                                                               va_list arguments, char *line)
{
    char time[TIME_BYTES];
    tell_time(time);
    const char *colour = coloured ? level_colours[e->level] : "";
    size_t used = (size_t)snprintf(line, TEXT_BYTES, "%s %s%-7s%s ", time, colour, level_names[e->level],
                                   colour[0] ? COLOUR_END : "");
    const size_t own = used; /* whose control characters are meant */
    size_t room = TEXT_BYTES - 1 - used;
    used += written(snprintf(line + used, room, "%s  ", process_name), room);
    room = TEXT_BYTES - 1 - used;
    used += written(vsnprintf(line + used, room, format, arguments), room);
    plain_text(line + own, used - own, "");
    return used;
}

/* "ps/0" as "role":"ps","index":0. */
static size_t write_who(char *line, size_t room)
{
    char role[WHO_BYTES], quoted[WHO_BYTES * 6 + 3];
    memcpy(role, process_name, sizeof role);
    char *slash = strchr(role, '/');
    unsigned index = 0;
    char more;
    const bool indexed = slash && sscanf(slash + 1, "%u%c", &index, &more) == 1;
    if (indexed)
        *slash = '\0';
    json_quote(role, quoted, sizeof quoted);
    size_t used = (size_t)snprintf(line, room, ",\"role\":%s", quoted);
    if (indexed)
        used += (size_t)snprintf(line + used, room - used, ",\"index\":%u", index);
    return used;
}

__attribute__((format(printf, 2, 0))) static size_t write_json(const entry *e, const char *format,
                                                               va_list arguments, char *line)
{
    char time[TIME_BYTES], text[TEXT_BYTES];
    tell_time(time);
    size_t used =
        (size_t)snprintf(line, JSON_BYTES, "{\"time\":\"%s\",\"level\":\"%s\"", time, level_names[e->level]);
    used += write_who(line + used, JSON_BYTES - used);
    if (e->event)
        used += (size_t)snprintf(line + used, JSON_BYTES - used, ",\"event\":\"%.64s\"", e->event);
    if (e->step != LOG_NO_STEP)
        used += (size_t)snprintf(line + used, JSON_BYTES - used, ",\"step\":%" PRIu64, e->step);
    used += (size_t)snprintf(line + used, JSON_BYTES - used, ",\"text\":");
    text[0] = '\0';
    vsnprintf(text, sizeof text, format, arguments);
    used += json_quote(text, line + used, JSON_BYTES - 2 - used); /* before the brace and the newline */
    line[used++] = '}';
    return used;
}

__attribute__((format(printf, 2, 0))) static void tell_listener(const entry *e, const char *format,
                                                                va_list arguments)
{
    char text[TEXT_BYTES] = "";
    va_list again;
    va_copy(again, arguments);
    vsnprintf(text, sizeof text, format, again);
    va_end(again);
    listener(e->level, e->event, e->step, text);
}

__attribute__((format(printf, 2, 0))) static void emit(const entry *e, const char *format, va_list arguments)
{
    char line[JSON_BYTES];
    if (listener && (e->event || (e->level >= LOG_WARNING)))
        tell_listener(e, format, arguments);
    if (e->level < threshold)
        return;
    size_t used = (line_format == LOG_JSON ? write_json : write_text)(e, format, arguments, line);
    line[used++] = '\n';
    /* A log that cannot be written has nowhere to say so. */
    ssize_t ignored = write(STDERR_FILENO, line, used);
    (void)ignored;
}

#define LOG_FUNCTION(name, its_level)                                \
    void name(const char *format, ...)                               \
    {                                                                \
        const entry e = {.level = (its_level), .step = LOG_NO_STEP}; \
        va_list arguments;                                           \
        va_start(arguments, format);                                 \
        emit(&e, format, arguments);                                 \
        va_end(arguments);                                           \
    }

LOG_FUNCTION(log_debug, LOG_DEBUG)
LOG_FUNCTION(log_info, LOG_INFO)
LOG_FUNCTION(log_warning, LOG_WARNING)
LOG_FUNCTION(log_error, LOG_ERROR)

/* Those below the threshold too. */
__attribute__((format(printf, 2, 0))) static void keep(const entry *e, const char *format, va_list arguments)
{
    char text[EVENTS_TEXT_MAX + 1] = "";
    vsnprintf(text, sizeof text, format, arguments);
    events_note(level_names[e->level], e->event, e->step, text);
}

void log_event(log_level level, const char *event, uint64_t step, const char *format, ...)
{
    const entry e = {.level = level, .event = event, .step = step};
    va_list arguments;
    va_start(arguments, format);
    emit(&e, format, arguments);
    va_end(arguments);
    if (!events_wanted())
        return;
    va_start(arguments, format);
    keep(&e, format, arguments);
    va_end(arguments);
}
