/* Names, texts and formatting of common/status. */
#include "common/status.h"

#include <string.h>

#include "tests/unit/unit.h"

static void every_status_has_its_name_and_text(void **state)
{
    (void)state;
#define CHECK_STATUS(name, value, text)               \
    assert_int_equal(name, value);                    \
    assert_string_equal(ps_status_name(name), #name); \
    assert_string_equal(ps_status_text(name), text);
    PS_STATUS_LIST(CHECK_STATUS)
#undef CHECK_STATUS
    assert_string_equal(ps_status_name(PS_EINVAL), "PS_EINVAL");
}

static void value_outside_the_list_is_named_all_the_same(void **state)
{
    (void)state;
    assert_string_equal(ps_status_name((ps_status)1), "PS_?");
    assert_string_equal(ps_status_name((ps_status)-1000), "PS_?");
    assert_string_equal(ps_status_text((ps_status)1), "unknown status");
}

static void failing_formats_the_line_and_returns_the_status(void **state)
{
    (void)state;
    ps_error error = {PS_OK, "before"};
    assert_int_equal(ps_fail(&error, PS_EIO, "%s: %d of %zu", "file", -3, (size_t)7), PS_EIO);
    assert_int_equal(error.status, PS_EIO);
    assert_string_equal(error.text, "file: -3 of 7");
    assert_int_equal(ps_fail(NULL, PS_ELIMIT, "nobody reads %s", "this"), PS_ELIMIT);
}

static void control_characters_are_replaced(void **state)
{
    (void)state;
    ps_error error;
    ps_fail(&error, PS_EINVAL, "%s",
            "a\nb\r\x1b[31mc\td\x7f"
            "e\xc3\xa4");
    assert_string_equal(error.text, "a?b??[31mc?d?e\xc3\xa4");
}

static void long_line_is_cut_at_its_room(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ps_error error;
    ps_fail(&error, PS_EINVAL, "%s", text);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    assert_int_equal(error.text[0], 'x');
}

static void exit_codes_tell_what_a_launcher_may_do(void **state)
{
    (void)state;
    static const struct {
        ps_status status;
        int code;
    } expected[] = {
        {PS_OK, 0},        {PS_EINVAL, 2},      {PS_ECONFIG, 2},        {PS_EMISMATCH, 2},
        {PS_EFORMAT, 3},   {PS_ENOENT, 3},      {PS_ENONFINITE, 3},     {PS_EPEER, 138},
        {PS_EDEVICE, 138}, {PS_ETIMEDOUT, 138}, {PS_EINTERRUPTED, 143}, {PS_ELIMIT, 1},
        {PS_ENOMEM, 1},    {PS_EIO, 1},         {PS_EPROTOCOL, 1},      {PS_ESTATE, 1},
        {PS_EINTERNAL, 1}, {(ps_status)99, 1},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(ps_status_exit_code(expected[i].status), expected[i].code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_its_name_and_text),
        cmocka_unit_test(value_outside_the_list_is_named_all_the_same),
        cmocka_unit_test(failing_formats_the_line_and_returns_the_status),
        cmocka_unit_test(control_characters_are_replaced),
        cmocka_unit_test(long_line_is_cut_at_its_room),
        cmocka_unit_test(exit_codes_tell_what_a_launcher_may_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
