/* handshakes.c - see handshakes.h. */
#include "common/handshakes.h"

#include <stdio.h>

#include "common/clock.h"

enum {
    /* A ps that hangs up in the handshake, so often and for so long, has other keys, or some where we have
     * none. Or what does is a proxy before one that is not there yet. One that is given another key takes it
     * within a second or two. */
    UNSURE_TIMES = 10,
    UNSURE_MS = 10000,
};

ps_status handshakes_judge(const transport_handshakes *h, bool has_keys, char *text, size_t bytes)
{
    switch (h->last) {
    case TRANSPORT_WELCOME:
        break;
    case TRANSPORT_WRONG_KEY:
        snprintf(text, bytes, "it does not let this process's key in");
        return PS_ECONFIG;
    case TRANSPORT_WRONG_MANNERS:
        snprintf(text, bytes, has_keys ? "it speaks without keys" : "it asks for keys (--curve-keys)");
        return PS_ECONFIG;
    case TRANSPORT_UNSURE:
        if (h->failed_in_a_row < UNSURE_TIMES || clock_monotonic_ms() - h->failing_since_ms < UNSURE_MS)
            break;
        snprintf(text, bytes,
                 has_keys ? "it hangs up: it does not have the key in " CURVE_PS_PUBLIC ", or is no ps yet"
                          : "it hangs up: it asks for keys (--curve-keys), or is no ps yet");
        return PS_EPEER;
    }
    return PS_OK;
}
