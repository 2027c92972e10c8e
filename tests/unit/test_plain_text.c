/* Text of others made plain, common/plain_text: what could forge a line or steer a terminal goes, all else
 * stays. */
#include "common/plain_text.h"

#include <string.h>

#include "tests/unit/unit.h"

static void control_characters_are_those_below_space_and_del(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++)
        assert_int_equal(is_control_character((char)c), c < 32 || c == 127);
}

static void control_characters_become_question_marks(void **state)
{
    (void)state;
    char text[] = "a\033[2J\tb\r\nc\x7f\x01";
    plain_text(text, strlen(text), "");
    assert_string_equal(text, "a?[2J?b??c??");
}

static void what_is_to_be_kept_is_kept(void **state)
{
    (void)state;
    char text[] = "a\tb\nc\rd";
    plain_text(text, strlen(text), "\t\n");
    assert_string_equal(text, "a\tb\nc?d");
}

static void a_zero_among_the_bytes_is_none_that_is_kept(void **state)
{
    (void)state;
    char text[] = {'a', '\0', 'b'};
    plain_text(text, sizeof text, "\t");
    assert_memory_equal(text, "a?b", sizeof text);
}

static void what_lies_behind_and_what_is_above_ascii_stays(void **state)
{
    (void)state;
    char text[] = "\xc3\xa9\n\n";
    plain_text(text, 3, "");
    assert_string_equal(text, "\xc3\xa9?\n");
    plain_text(text, 0, "");
    assert_string_equal(text, "\xc3\xa9?\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_are_those_below_space_and_del),
        cmocka_unit_test(control_characters_become_question_marks),
        cmocka_unit_test(what_is_to_be_kept_is_kept),
        cmocka_unit_test(a_zero_among_the_bytes_is_none_that_is_kept),
        cmocka_unit_test(what_lies_behind_and_what_is_above_ascii_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
