/* Numbers in options: common/options. */
#include "common/options.h"

#include "tests/unit/unit.h"

static void whole_numbers_within_their_range_are_read(void **state)
{
    (void)state;
    uint64_t value = 0;
    assert_int_equal(option_unsigned("steps", "0", 0, 10, &value, NULL), PS_OK);
    assert_int_equal(value, 0);
    assert_int_equal(option_unsigned("steps", "10", 0, 10, &value, NULL), PS_OK);
    assert_int_equal(value, 10);
    assert_int_equal(option_unsigned("steps", "007", 7, 7, &value, NULL), PS_OK);
    assert_int_equal(value, 7);
    assert_int_equal(option_unsigned("seed", "18446744073709551615", 0, UINT64_MAX, &value, NULL), PS_OK);
    assert_true(value == UINT64_MAX);
}

static void what_is_no_whole_number_in_range_is_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "", " 1", "1 ", "+1", "-1", "1.0", "1e3", "0x1", "x", "1\n2", "11", "18446744073709551616", "0"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        uint64_t value = 5;
        assert_int_equal(option_unsigned("steps", refused[i], 1, 10, &value, NULL), PS_EINVAL);
        assert_int_equal(value, 5);
    }
    uint64_t value;
    ps_error error;
    option_unsigned("steps", "many", 1, 10, &value, &error);
    assert_int_equal(error.status, PS_EINVAL);
    assert_string_equal(error.text, "--steps: 'many' is not a whole number from 1 to 10");
}

static void finite_decimal_numbers_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0}, {"-1.5", -1.5}, {"1e-3", 1e-3}, {".5", 0.5}, {"+2", 2}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double value = 99;
        assert_int_equal(option_real("rate", good[i].text, &value, NULL), PS_OK);
        assert_true(value == good[i].value);
    }
}

static void what_is_no_finite_number_is_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {"", " 1", "1 ", "1,5", "nan", "inf", "-inf", "1e999", "fast", "1x"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        double value = 5;
        assert_int_equal(option_real("rate", refused[i], &value, NULL), PS_EINVAL);
        assert_true(value == 5);
    }
    double value;
    ps_error error;
    option_real("learning-rate", "fast\n", &value, &error);
    assert_string_equal(error.text, "--learning-rate: 'fast?' is not a number");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_within_their_range_are_read),
        cmocka_unit_test(what_is_no_whole_number_in_range_is_refused),
        cmocka_unit_test(finite_decimal_numbers_are_read),
        cmocka_unit_test(what_is_no_finite_number_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
