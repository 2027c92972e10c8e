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

static void a_number_of_32_bits_is_written_only_if_it_is_one_in_range(void **state)
{
    (void)state;
    uint32_t value = 5;
    assert_int_equal(option_u32("threads", "4294967296", 0, UINT32_MAX, &value, NULL), PS_EINVAL);
    assert_int_equal(option_u32("threads", "0", 1, 8, &value, NULL), PS_EINVAL);
    assert_int_equal(value, 5);
    assert_int_equal(option_u32("threads", "4294967295", 0, UINT32_MAX, &value, NULL), PS_OK);
    assert_true(value == UINT32_MAX);
}

static void seconds_become_milliseconds(void **state)
{
    (void)state;
    uint32_t value_ms = 7;
    ps_error error;
    assert_int_equal(option_seconds("deadline", "0", 1, &value_ms, &error), PS_EINVAL);
    assert_string_equal(error.text, "--deadline: '0' is not a whole number from 1 to 1000000");
    assert_int_equal(option_seconds("deadline", "1000001", 1, &value_ms, NULL), PS_EINVAL);
    assert_int_equal(value_ms, 7);
    assert_int_equal(option_seconds("deadline", "1000000", 1, &value_ms, NULL), PS_OK);
    assert_int_equal(value_ms, 1000000000);
}

static void an_empty_name_is_refused(void **state)
{
    (void)state;
    const char *value = NULL;
    ps_error error;
    assert_int_equal(option_name("status-dir", "", &value, &error), PS_EINVAL);
    assert_string_equal(error.text, "--status-dir has an empty name");
    assert_null(value);
    assert_int_equal(option_name("status-dir", "runs/1", &value, NULL), PS_OK);
    assert_string_equal(value, "runs/1");
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
        cmocka_unit_test(a_number_of_32_bits_is_written_only_if_it_is_one_in_range),
        cmocka_unit_test(seconds_become_milliseconds),
        cmocka_unit_test(an_empty_name_is_refused),
        cmocka_unit_test(finite_decimal_numbers_are_read),
        cmocka_unit_test(what_is_no_finite_number_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
