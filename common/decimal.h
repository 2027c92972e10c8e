/* decimal.h - float32 as decimal text and back, exactly and fast: for texts of many numbers.
 *
 * What decimal_print_float writes, decimal_read_float, strtof, and any reader that goes by a correctly
 * rounded double, reads as the same float. Thread-safe. */
#ifndef PENSTOCK_COMMON_DECIMAL_H
#define PENSTOCK_COMMON_DECIMAL_H

#include <stddef.h>

enum {
    DECIMAL_NUMBER_MAX = 63,  /* characters of a number that is read */
    DECIMAL_FLOAT_BYTES = 16, /* holds any float as it is printed, and a zero: "-1.23456789e-38" */
};

/* A number as RFC 8259 has it, at `text`, which ends at `end`: rounded once to the nearest float, infinite
 * beyond the largest. Returns where it ends; NULL: there is none, or one longer than DECIMAL_NUMBER_MAX. */
const char *decimal_read_float(const char *text, const char *end, float *value);

/* At most 9 significant digits, without zeros at their end, as RFC 8259 has it. `value` is finite. Returns
 * the length. */
size_t decimal_print_float(float value, char text[DECIMAL_FLOAT_BYTES]);

#endif
