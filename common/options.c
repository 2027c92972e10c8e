/* options.c - see options.h. */
#include "common/options.h"

#include <assert.h>
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

ps_status option_u32(const char *name, const char *text, uint32_t least, uint32_t most, uint32_t *value,
                     ps_error *error)
{
    uint64_t wide = 0;
    const ps_status status = option_unsigned(name, text, least, most, &wide, error);
    if (status == PS_OK)
        *value = (uint32_t)wide;
    return status;
}

ps_status option_seconds(const char *name, const char *text, uint32_t least, uint32_t *value_ms,
                         ps_error *error)
{
    static_assert(OPTION_SECONDS_MAX <= UINT32_MAX / 1000, "they fit when they are milliseconds");
    uint32_t seconds = 0;
    const ps_status status = option_u32(name, text, least, OPTION_SECONDS_MAX, &seconds, error);
    if (status == PS_OK)
        *value_ms = seconds * 1000;
    return status;
}

ps_status option_name(const char *name, const char *text, const char **value, ps_error *error)
{
    if (text[0] == '\0')
        return ps_fail(error, PS_EINVAL, "--%s has an empty name", name);
    *value = text;
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
