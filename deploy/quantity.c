/* quantity.c - see quantity.h. */
#include "deploy/quantity.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BITS_PER_BYTE = 8 };

/* Skips digits and says whether there were any. */
static bool skip_digits(const char **at)
{
    const char *start = *at;
    while (isdigit((unsigned char)**at))
        (*at)++;
    return *at > start;
}

static bool parse(const char *text, double *value)
{
    static const struct {
        const char *name;
        double factor;
    } units[] = {{"", 1},        {"K", 1e3},     {"M", 1e6},     {"G", 1e9},    {"T", 1e12},
                 {"Ki", 0x1p10}, {"Mi", 0x1p20}, {"Gi", 0x1p30}, {"Ti", 0x1p40}};
    const char *at = text;
    if (!skip_digits(&at) || (*at == '.' && (at++, !skip_digits(&at))))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(at, units[i].name) == 0) {
            *value = strtod(text, NULL) * units[i].factor;
            return true;
        }
    return false;
}

ps_status quantity_bytes(const char *name, const char *text, double least, double most, double *bytes,
                         ps_error *error)
{
    double value;
    if (!parse(text, &value) || value < least || value > most)
        return ps_fail(error, PS_EINVAL,
                       "--%s: '%s' is not a number of bytes from %.15g to %.15g, such as 400M or 1Mi", name,
                       text, least, most);
    *bytes = value;
    return PS_OK;
}

ps_status quantity_rate(const char *name, const char *text, double least_bits, double most_bits,
                        double *bytes_per_s, ps_error *error)
{
    double bits;
    if (!parse(text, &bits) || bits < least_bits || bits > most_bits)
        return ps_fail(error, PS_EINVAL,
                       "--%s: '%s' is not a rate in bit/s from %.15g to %.15g, such as 100G or 2.5G", name,
                       text, least_bits, most_bits);
    *bytes_per_s = bits / BITS_PER_BYTE;
    return PS_OK;
}
