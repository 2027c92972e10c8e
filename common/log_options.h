/* log_options.h - the command line of logs, alike in all programs that write one; used as
 * common/cluster_options.h is. */
#ifndef PENSTOCK_COMMON_LOG_OPTIONS_H
#define PENSTOCK_COMMON_LOG_OPTIONS_H

#include <argp.h>

#include "common/log.h"

/* Needs no start: until told otherwise it is LOG_INFO and LOG_TEXT. */
typedef struct {
    log_level level;
    log_format format;
    const char *level_given, *format_given; /* the command line's own, to be passed on; NULL: was not said */
} log_options;

/* For a parent's children; its input is a log_options *. */
extern const struct argp log_options_argp;

#endif
