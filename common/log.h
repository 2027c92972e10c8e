/* log.h - lines for people on standard error, one per event.
 *
 *   2026-11-22T19:47:49.123Z info  worker/1  joined ps/0 at 127.0.0.1:2222
 *
 * A line is formatted whole and written by a single write(2), so lines of several threads do not mix.
 * Control characters in it are replaced by '?': what a peer said can forge no further line.
 * Thread-safe after log_setup; log_setup itself is called once, from main. */
#ifndef PENSTOCK_COMMON_LOG_H
#define PENSTOCK_COMMON_LOG_H

#include "common/status.h"

typedef enum { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_OFF } log_level;

/* `who` names the process in each line, e.g. "ps/0"; copied. Lines below `level` are dropped. */
void log_setup(const char *who, log_level level);

/* "debug", "info", "warning", "error" or "off"; PS_EINVAL for anything else. */
ps_status log_level_parse(const char *text, log_level *level, ps_error *error);

void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
