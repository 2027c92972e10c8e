/* options.c - see options.h. */
#include "common/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

ps_status option_unsigned(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *value,
                          ps_error *error)
{
    char *end;
    errno = 0;
    unsigned long long parsed = strtoull(text, &end, 10);
    /* strtoull alone would take " 1", "+1" and "-1". */
    if (!isdigit((unsigned char)text[0]) || *end || errno || parsed < least || parsed > most)
        return ps_fail(error, PS_EINVAL, "--%s: '%s' is not a whole number from %llu to %llu", name, text,
                       (unsigned long long)least, (unsigned long long)most);
    *value = parsed;
    return PS_OK;
}

ps_status option_real(const char *name, const char *text, double *value, ps_error *error)
{
    char *end;
    errno = 0;
    double parsed = strtod(text, &end);
    if (end == text || *end || isspace((unsigned char)text[0]) || !isfinite(parsed))
        return ps_fail(error, PS_EINVAL, "--%s: '%s' is not a number", name, text);
    *value = parsed;
    return PS_OK;
}
