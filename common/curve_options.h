/* curve_options.h - the command line of keys, alike in both daemons. As common/cluster_options.h. */
#ifndef PENSTOCK_COMMON_CURVE_OPTIONS_H
#define PENSTOCK_COMMON_CURVE_OPTIONS_H

#include <argp.h>

#define CURVE_KEYS_VARIABLE "PENSTOCK_CURVE_KEYS"

/* Start from zeros. */
typedef struct {
    const char *folder; /* --curve-keys, or else the environment's PENSTOCK_CURVE_KEYS; NULL: no keys */
} curve_options;

/* For a parent's children; its input is a curve_options *. */
extern const struct argp curve_options_argp;

#endif
