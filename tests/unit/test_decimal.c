/* Floats as text: common/decimal, against the C library. */
#include "common/decimal.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "tests/unit/unit.h"

enum { DRAWS = 300000 };

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float draw(uint64_t seed, uint64_t i)
{
    uint32_t bits = (uint32_t)random_at(seed, i);
    float value;
    memcpy(&value, &bits, sizeof value);
    return isfinite(value) ? value : 1.0F / (float)(i + 1);
}

static void assert_reads(const char *text)
{
    float value = -1;
    const char *end = decimal_read_float(text, text + strlen(text), &value);
    if (end != text + strlen(text) || bits_of(value) != bits_of(strtof(text, NULL)))
        fail_msg("%s is read as %.9g, not %.9g", text, (double)value, (double)strtof(text, NULL));
}

static void what_is_printed_is_read_as_the_same_float(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < DRAWS; i++) {
        char text[DECIMAL_FLOAT_BYTES], ninth[64];
        const float value = draw(1, i);
        const size_t length = decimal_print_float(value, text);
        snprintf(ninth, sizeof ninth, "%.9g", (double)value);
        if (length != strlen(text) || length > strlen(ninth) ||
            bits_of(strtof(text, NULL)) != bits_of(value) ||
            bits_of((float)strtod(text, NULL)) != bits_of(value))
            fail_msg("%s is printed as %s", ninth, text);
        assert_reads(text);
    }
}

static void numbers_look_as_people_write_them(void **state)
{
    (void)state;
    static const struct {
        float value;
        const char *text;
    } cases[] = {{0, "0"},
                 {-0.0F, "-0"},
                 {1, "1"},
                 {-10, "-10"},
                 {0.5F, "0.5"},
                 {123456792, "123456792"},
                 {1e9F, "1e+09"},
                 {100000000, "100000000"},
                 {0.0001F, "9.99999975e-05"},
                 {0.000244140625F, "0.000244140625"},
                 {-0.001F, "-0.00100000005"},
                 {3.40282347e38F, "3.40282347e+38"},
                 {-1.17549435e-38F, "-1.17549435e-38"},
                 {1e-45F, "1.40129846e-45"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[DECIMAL_FLOAT_BYTES];
        assert_int_equal(decimal_print_float(cases[i].value, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

static void numbers_are_rounded_once(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "0",
        "-0",
        "0.0e5",
        "1",
        "-1.5",
        "16777217",                        /* the middle between two floats: to the even one */
        "16777217.0000000000000000000001", /* and a bit more */
        "16777216.9999999999999999999999",
        "0.1",
        "3.4028235e38",
        "3.4028236e38",
        "1e39",
        "-1e999",
        "1e-46",
        "1.1754943e-38",
        "7.0064923216240854e-46", /* half of the smallest */
        "7.0064923216240862e-46",
        "0.00000000000000000000000000000000000000000000012",
        "123456789012345678901234567890",
        "1E+2",
        "1e-22",
        "1e22",
        "1e23",
        "0.50196078431372548",
        "0.9215686274509803",
        "1e99999999999",
        "0e99999999999",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_reads(cases[i]);
    for (uint64_t i = 0; i < DRAWS; i++) { /* with more digits than a float has, and middles between floats */
        char text[64];
        const float value = draw(2, i), next = nextafterf(value, INFINITY);
        snprintf(text, sizeof text, "%.17g", (double)value * 1.0000001);
        assert_reads(text);
        snprintf(text, sizeof text, "%.17g", (double)value + ((double)next - (double)value) / 2);
        assert_reads(text);
        snprintf(text, sizeof text, "%.*f", (int)(i % 12), (double)(i * i) / 255.0);
        assert_reads(text);
    }
}

static void what_is_no_number_is_refused_and_what_follows_is_left(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "-",
                                        "+1",
                                        ".5",
                                        "01",
                                        "-01",
                                        "1.",
                                        "1.e1",
                                        "1e",
                                        "1e+",
                                        "x",
                                        "NaN",
                                        "inf",
                                        "e5",
                                        "--1",
                                        " 1",
                                        "1111111111111111111111111111111111111111111111111111111111111111"};
    float value;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (decimal_read_float(wrong[i], wrong[i] + strlen(wrong[i]), &value))
            fail_msg("'%s' is taken for %g", wrong[i], (double)value);
    const char *list = "1.25,7]";
    assert_ptr_equal(decimal_read_float(list, list + 7, &value), list + 4);
    assert_true(value == 1.25F);
    assert_ptr_equal(decimal_read_float(list, list + 3, &value), list + 3); /* not a byte beyond the end */
    assert_true(value == 1.2F);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_is_read_as_the_same_float),
        cmocka_unit_test(numbers_look_as_people_write_them),
        cmocka_unit_test(numbers_are_rounded_once),
        cmocka_unit_test(what_is_no_number_is_refused_and_what_follows_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
