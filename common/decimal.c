/* decimal.c - see decimal.h.
 *
 * Both ways go by way of a double, which has 29 bits more than a float. Reading: the digits times a power of
 * ten are off by a few units in the double's last place at most; unless that is so near the middle between
 * two floats that it matters, rounding it to a float is what rounding the decimal would be. The rest is
 * strtof's. Printing: nine digits tell floats apart with a margin of a factor of five or more (a float's
 * neighbour is 6e-8 away, the ninth digit is 1e-8 at most), so their last may be off by a millionth. */
#include "common/decimal.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    POWERS_EXACT = 22, /* 10^22 is the last power that a double holds exactly */
    DIGITS_KEPT = 19,  /* fit 64 bits; what follows changes less than the double's last place */
    EXPONENT_MAX = 9999,
    PRINTED_DIGITS = 9,
};

static const double powers[POWERS_EXACT + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* ---- reading ---- */

typedef struct {
    bool negative;
    uint64_t digits; /* the first DIGITS_KEPT of them */
    int exponent;    /* of ten, that they are multiplied by */
} parts;

static bool is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

/* Takes digits into `p`; those behind the point lower the exponent. */
static const char *read_digits(const char *at, const char *end, int per_digit, int *kept, parts *p)
{
    for (; is_digit(at, end); at++) {
        if (*kept < DIGITS_KEPT) {
            p->digits = 10 * p->digits + (uint64_t)(*at - '0');
            *kept += p->digits != 0;
            p->exponent += per_digit;
        } else {
            p->exponent += per_digit + 1;
        }
    }
    return at;
}

static const char *read_exponent(const char *at, const char *end, parts *p)
{
    bool negative = false;
    int exponent = 0;
    if (at < end && (*at == '+' || *at == '-'))
        negative = *at++ == '-';
    if (!is_digit(at, end))
        return NULL;
    for (; is_digit(at, end); at++)
        if (exponent < EXPONENT_MAX)
            exponent = 10 * exponent + (*at - '0');
    p->exponent += negative ? -exponent : exponent;
    return at;
}

static const char *read_parts(const char *at, const char *end, parts *p)
{
    int kept = 0;
    *p = (parts){.negative = at < end && *at == '-'};
    at += p->negative;
    if (!is_digit(at, end) || (*at == '0' && is_digit(at + 1, end)))
        return NULL;
    at = read_digits(at, end, 0, &kept, p);
    if (at < end && *at == '.') {
        if (!is_digit(at + 1, end))
            return NULL;
        at = read_digits(at + 1, end, -1, &kept, p);
    }
    if (at < end && (*at == 'e' || *at == 'E'))
        at = read_exponent(at + 1, end, p);
    return at;
}

/* Is the nearest float of what `value` approximates, to a few units in its last place, that of `value`? */
static bool is_sure(double value)
{
    enum { BITS_LESS = DBL_MANT_DIG - FLT_MANT_DIG, DOUBT = 8 };
    if (value < 2.0 * (double)FLT_MIN || value > (double)FLT_MAX / 2.0)
        return false;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const int64_t rest = (int64_t)(bits & ((UINT64_C(1) << BITS_LESS) - 1));
    return llabs(rest - (INT64_C(1) << (BITS_LESS - 1))) > DOUBT;
}

const char *decimal_read_float(const char *text, const char *end, float *value)
{
    parts p;
    const char *behind = read_parts(text, end, &p);
    if (!behind || behind - text > DECIMAL_NUMBER_MAX)
        return NULL;
    double magnitude = (double)p.digits;
    if (p.exponent >= 0 && p.exponent <= POWERS_EXACT)
        magnitude *= powers[p.exponent];
    else if (p.exponent < 0 && -p.exponent <= POWERS_EXACT)
        magnitude /= powers[-p.exponent];
    else if (p.digits != 0)
        magnitude = INFINITY; /* not known: nothing is sure of that */
    if (p.digits == 0 || is_sure(magnitude)) {
        *value = (float)(p.negative ? -magnitude : magnitude);
        return behind;
    }
    char copy[DECIMAL_NUMBER_MAX + 1];
    const size_t length = (size_t)(behind - text);
    memcpy(copy, text, length);
    copy[length] = '\0';
    *value = strtof(copy, NULL);
    return behind;
}

/* ---- printing ---- */

/* value * 10^exponent */
static double scale(double value, int exponent)
{
    for (; exponent > POWERS_EXACT; exponent -= POWERS_EXACT)
        value *= powers[POWERS_EXACT];
    for (; exponent < -POWERS_EXACT; exponent += POWERS_EXACT)
        value /= powers[POWERS_EXACT];
    return exponent >= 0 ? value * powers[exponent] : value / powers[-exponent];
}

/* The digits of `magnitude` > 0, PRINTED_DIGITS of them, and the exponent of ten of the first. */
static uint32_t take_digits(double magnitude, int *exponent)
{
    const double least = powers[PRINTED_DIGITS - 1], most = powers[PRINTED_DIGITS];
    int binary;
    frexp(magnitude, &binary);
    /* Of magnitude in [2^(b-1), 2^b): floor((b - 1) log10(2)) is right or 1 too little. */
    int ten = (int)floor((binary - 1) * 0.30102999566398120);
    double digits = scale(magnitude, PRINTED_DIGITS - 1 - ten);
    if (digits >= most) {
        ten++;
        digits /= 10.0;
    }
    digits = floor(digits + 0.5);
    if (digits >= most) {
        ten++;
        digits = least;
    }
    *exponent = ten;
    return (uint32_t)digits;
}

static size_t print_exponent(int exponent, char *text)
{
    size_t used = 0;
    text[used++] = 'e';
    text[used++] = exponent < 0 ? '-' : '+';
    exponent = abs(exponent);
    text[used++] = (char)('0' + exponent / 10);
    text[used++] = (char)('0' + exponent % 10);
    return used;
}

size_t decimal_print_float(float value, char text[DECIMAL_FLOAT_BYTES])
{
    assert(isfinite(value));
    size_t used = 0;
    if (signbit(value))
        text[used++] = '-';
    int exponent = 0, count = 1;
    char digits[PRINTED_DIGITS] = "0";
    if (value != 0.0F) {
        uint32_t rest = take_digits(fabs((double)value), &exponent);
        for (count = PRINTED_DIGITS; rest % 10 == 0; count--)
            rest /= 10;
        for (int i = count - 1; i >= 0; i--, rest /= 10)
            digits[i] = (char)('0' + rest % 10);
    }
    /* Zeros before the digits, or behind them, are written out up to the width of the longest. */
    const bool scientific = exponent < -4 || exponent >= PRINTED_DIGITS;
    const int point = scientific ? 1 : exponent + 1; /* digits before it */
    if (point <= 0) {
        memcpy(text + used, "0.000", 2 + (size_t)-point);
        used += 2 + (size_t)-point;
    }
    for (int i = 0; i < count || i < point; i++) {
        if (i > 0 && i == point)
            text[used++] = '.';
        text[used++] = i < count ? digits[i] : '0';
    }
    if (scientific)
        used += print_exponent(exponent, text + used);
    text[used] = '\0';
    return used;
}
