/* processors.h - lists of processors in options: "0-3,8". */
#ifndef PENSTOCK_PS_PROCESSORS_H
#define PENSTOCK_PS_PROCESSORS_H

#include <stdint.h>

#include "common/status.h"

enum { PROCESSORS_MAX = 1024 }; /* numbers below this, as glibc's cpu_set_t has it */

typedef struct {
    uint32_t count;
    uint16_t numbers[PROCESSORS_MAX]; /* in the order given, each once */
} processor_list;

/* Numbers and ranges, separated by commas. `name` is that of the option. PS_EINVAL says what is wrong. */
ps_status processors_parse(const char *name, const char *text, processor_list *list, ps_error *error);

/* May this process run on all of them? PS_EINVAL names the first on which it may not. */
ps_status processors_check(const char *name, const processor_list *list, ps_error *error);

#endif
