/* Sizes and rates as people write them: deploy/quantity. */
#include "deploy/quantity.h"

#include "tests/unit/unit.h"

static void units_are_decimal_or_binary(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double bytes;
    } cases[] = {
        {"0", 0},     {"7", 7},      {"400M", 400e6},  {"1K", 1e3},        {"1.5G", 1.5e9},
        {"2T", 2e12}, {"1Ki", 1024}, {"1Mi", 1 << 20}, {"0.5Gi", 1 << 29}, {"1Ti", 0x1p40},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double bytes = -1;
        assert_int_equal(quantity_bytes("x", cases[i].text, 0, 1e15, &bytes, NULL), PS_OK);
        assert_true(bytes == cases[i].bytes);
    }
}

static void rates_are_bits(void **state)
{
    (void)state;
    double rate = 0;
    assert_int_equal(quantity_rate("x", "100G", 1, 1e15, &rate, NULL), PS_OK);
    assert_true(rate == 12.5e9);
    assert_int_equal(quantity_rate("x", "8", 1, 1e15, &rate, NULL), PS_OK);
    assert_true(rate == 1);
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",    " 1",   "1 ",    "+1",  "-1",  "1e6",  "0x10", "1.",
                                        ".5",  "1,5",  "1k",    "1KB", "1kb", "1MB",  "1 M",  "Mi",
                                        "1mi", "1MiB", "1Gbit", "inf", "nan", "1..2", "1G1",  "1E"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        double value = -1;
        ps_error error = {0};
        assert_int_equal(quantity_bytes("x", texts[i], 0, 1e15, &value, &error), PS_EINVAL);
        assert_int_equal(quantity_rate("x", texts[i], 0, 1e15, &value, &error), PS_EINVAL);
        assert_true(value == -1);
    }
}

static void bounds_hold_and_are_named(void **state)
{
    (void)state;
    double value;
    ps_error error = {0};
    assert_int_equal(quantity_bytes("model-bytes", "3", 4, 1e6, &value, &error), PS_EINVAL);
    assert_string_equal(error.text,
                        "--model-bytes: '3' is not a number of bytes from 4 to 1000000, such as 400M or 1Mi");
    assert_int_equal(quantity_bytes("x", "4", 4, 1e6, &value, &error), PS_OK);
    assert_int_equal(quantity_bytes("x", "1M", 4, 1e6, &value, &error), PS_OK);
    assert_int_equal(quantity_bytes("x", "1Mi", 4, 1e6, &value, &error), PS_EINVAL);
    assert_int_equal(quantity_rate("bandwidth", "2K", 1, 1000, &value, &error), PS_EINVAL);
    assert_string_equal(error.text,
                        "--bandwidth: '2K' is not a rate in bit/s from 1 to 1000, such as 100G or 2.5G");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_are_decimal_or_binary),
        cmocka_unit_test(rates_are_bits),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(bounds_hold_and_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
