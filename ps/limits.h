/* limits.h - what a ps takes at most of others, as --help tells it: figures from the constants that hold. */
#ifndef PENSTOCK_PS_LIMITS_H
#define PENSTOCK_PS_LIMITS_H

#include <argp.h>

/* For struct argp's help_filter: puts them behind all else. */
char *limits_help(int key, const char *text, void *input);

#endif
