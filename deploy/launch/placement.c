/* placement.c - see placement.h. */
#include "deploy/launch/placement.h"

#include <sched.h>
#include <string.h>

ps_status pin_policy_parse(const char *text, pin_policy *policy, ps_error *error)
{
    static const char *const names[] = {[PIN_AUTO] = "auto", [PIN_YES] = "yes", [PIN_NO] = "no"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *policy = (pin_policy)i;
            return PS_OK;
        }
    }
    return ps_fail(error, PS_EINVAL, "--pin: '%s' is none of auto, yes, no", text);
}

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
