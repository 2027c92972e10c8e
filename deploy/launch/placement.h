/* placement.h - on which processor does each process of a local cluster run?
 *
 * Where processes outnumber processors they take turns anyway, and what costs is being moved and waking
 * somebody on another processor. If each processor can have the same number of trainers, a trainer and the
 * parameter server of its number then share one; otherwise the scheduler balances better than we could. */
#ifndef PENSTOCK_DEPLOY_PLACEMENT_H
#define PENSTOCK_DEPLOY_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"

enum { PLACEMENT_PROCESSORS_MAX = 1024 };

typedef enum { PIN_AUTO, PIN_YES, PIN_NO } pin_policy;

/* "auto", "yes" or "no"; PS_EINVAL for anything else. */
ps_status pin_policy_parse(const char *text, pin_policy *policy, ps_error *error);

/* The processors that this process may use, by rising number; returns how many. */
size_t placement_processors(int processors[PLACEMENT_PROCESSORS_MAX]);

/* Are the processes to be pinned? Pure. `trainers`: workers and chief; `threaded`: each asks for several
 * threads, which want a processor each. */
bool placement_pins(pin_policy policy, size_t processors, size_t trainers, size_t servers, bool threaded);

#endif
