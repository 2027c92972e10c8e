/* trace_options.h - the command line of traces, alike in both daemons; used as common/cluster_options.h is.
 */
#ifndef PENSTOCK_COMMON_TRACE_OPTIONS_H
#define PENSTOCK_COMMON_TRACE_OPTIONS_H

#include <argp.h>
#include <stdint.h>

enum { TRACE_LIMIT_MIB = 256, TRACE_LIMIT_MIB_MAX = 16384 };

/* Start from zeros. */
typedef struct {
    const char *folder;   /* the command line's own; NULL: nothing is traced */
    uint64_t limit_bytes; /* of the file; 0: TRACE_LIMIT_MIB */
} trace_options;

/* For a parent's children; its input is a trace_options *. */
extern const struct argp trace_options_argp;

#endif
