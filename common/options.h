/* options.h - numbers and names in command-line options, checked. For use in argp parsers. */
#ifndef PENSTOCK_COMMON_OPTIONS_H
#define PENSTOCK_COMMON_OPTIONS_H

#include <stdint.h>

#include "common/status.h"

/* A whole decimal number in [least, most]. PS_EINVAL: "--name: 'text' is not a whole number from a to b". */
ps_status option_unsigned(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *value,
                          ps_error *error);

/* The same, in a variable of 32 bits. Unchanged when refused, as with all of these. */
ps_status option_u32(const char *name, const char *text, uint32_t least, uint32_t most, uint32_t *value,
                     ps_error *error);

enum { OPTION_SECONDS_MAX = 1000000 };

/* A whole number of seconds in [least, OPTION_SECONDS_MAX], in milliseconds. */
ps_status option_seconds(const char *name, const char *text, uint32_t least, uint32_t *value_ms,
                         ps_error *error);

/* The name of a file or folder; `value` borrows it. PS_EINVAL: it is empty. */
ps_status option_name(const char *name, const char *text, const char **value, ps_error *error);

/* A finite decimal number. Whether it makes sense is judged where it is used. PS_EINVAL. */
ps_status option_real(const char *name, const char *text, double *value, ps_error *error);

#endif
