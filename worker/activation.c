/* activation.c - names of the activations. What they compute is the backends' business. */
#include <string.h>

#include "worker/backend.h"

const char *activation_name(activation_kind kind)
{
    switch (kind) {
#define ACTIVATION_NAME(name, text) \
    case name:                      \
        return text;
        ACTIVATION_LIST(ACTIVATION_NAME)
#undef ACTIVATION_NAME
    }
    return "?";
}

ps_status activation_parse(const char *text, activation_kind *kind, ps_error *error)
{
#define ACTIVATION_MATCH(name, known) \
    if (strcmp(text, known) == 0) {   \
        *kind = name;                 \
        return PS_OK;                 \
    }
    ACTIVATION_LIST(ACTIVATION_MATCH)
#undef ACTIVATION_MATCH
#define ACTIVATION_KNOWN(name, known) " " known
    return ps_fail(error, PS_EINVAL,
                   "unknown activation '%s'; choose one of:" ACTIVATION_LIST(ACTIVATION_KNOWN), text);
#undef ACTIVATION_KNOWN
}
