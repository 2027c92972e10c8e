/* placement.c - see placement.h. */
#include "deploy/launch/placement.h"

#include <sched.h>

#include "common/name_list.h"

static const char *const policy_names[] = {[PIN_AUTO] = "auto", [PIN_YES] = "yes", [PIN_NO] = "no"};
static const name_list policies = {"--pin", policy_names, sizeof policy_names / sizeof policy_names[0]};
NAME_LIST_PARSER(pin_policy_parse, pin_policy, policies)

size_t placement_processors(int processors[PLACEMENT_PROCESSORS_MAX])
{
    cpu_set_t allowed;
    size_t count = 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return 0; /* more processors than the set has room for: then nothing is pinned */
    for (size_t i = 0; i < CPU_SETSIZE && count < PLACEMENT_PROCESSORS_MAX; i++)
        if (CPU_ISSET(i, &allowed))
            processors[count++] = (int)i;
    return count;
}

bool placement_pins(pin_policy policy, size_t processors, size_t trainers, size_t servers, bool threaded)
{
    if (policy == PIN_NO || processors == 0)
        return false;
    if (policy == PIN_YES)
        return true;
    return !threaded && trainers + servers > processors && trainers % processors == 0;
}
