/* log.h - lines on standard error, one per event, for people or for programs.
 *
 *   2026-11-22T19:47:49.123Z info    worker/1  joined ps/0 at 127.0.0.1:2222
 *
 * or, after log_set_format(LOG_JSON), one JSON object (RFC 8259) a line:
 *
 *   {"time":"2026-11-22T19:47:49.123Z","level":"info","role":"worker","index":1,"event":"evaluation",
 *    "step":400,"text":"epoch 1: test accuracy 95.20 %, loss 0.1534"}
 *
 * (here in two). "index" is there once the process knows it, "event" and "step" where the line is of
 * log_event. A line is formatted whole and written by a single write(2) of at most PIPE_BUF bytes, so lines
 * of several threads, or of processes that share a pipe, do not mix; what is longer is cut. What a peer said
 * can forge no further line and steer no terminal: in text, control characters are replaced by '?', in JSON
 * they are escaped and bytes that are no UTF-8 replaced by '?'. On a terminal, and nowhere else, the level
 * has a colour in text, unless NO_COLOR is set or TERM is `dumb`. Thread-safe after log_setup; log_setup and
 * log_set_format are called from main, before other threads are. */
#ifndef PENSTOCK_COMMON_LOG_H
#define PENSTOCK_COMMON_LOG_H

#include <stdint.h>

#include "common/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_OFF } log_level;
typedef enum { LOG_TEXT, LOG_JSON } log_format;

#define LOG_NO_STEP UINT64_MAX

/* `who` names the process in each line, e.g. "ps/0"; copied. Lines below `level` are dropped. */
void log_setup(const char *who, log_level level);

/* LOG_TEXT until it is called. */
void log_set_format(log_format format);

/* Is told of the lines of log_event, and of warnings and errors, whatever the level; `event` and `step` as
 * there, or NULL and LOG_NO_STEP. NULL: nobody is. Called from main, while no other thread logs; is called by
 * all. */
typedef void log_listener(log_level level, const char *event, uint64_t step, const char *text);
void log_set_listener(log_listener *told);

/* "debug", "info", "warning", "error" or "off"; PS_EINVAL for anything else. */
ps_status log_level_parse(const char *text, log_level *level, ps_error *error);

/* "text" or "json"; PS_EINVAL for anything else. */
ps_status log_format_parse(const char *text, log_format *format, ps_error *error);

void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line of an event of a known kind, by which programs find it, and of the step that it is about, or
 * LOG_NO_STEP. `event`: lower-case letters and '_'. Text shows neither. Is kept for a while if somebody wants
 * that (common/events.h). */
void log_event(log_level level, const char *event, uint64_t step, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#ifdef __cplusplus
}
#endif
#endif
