/* The last lines of a log: deploy/log_tail. */
#include "deploy/log_tail.h"

#include <string.h>

#include "tests/unit/folder.h"

static void put(const char *text)
{
    folder_put("log", text, strlen(text));
}

static void last_lines_are_shown_with_their_indent(void **state)
{
    (void)state;
    char text[256];
    put("one\ntwo\n\nfour\n");
    assert_int_equal(log_tail("log", 0, 3, "> ", text, sizeof text), 3);
    assert_string_equal(text, "> two\n> \n> four\n");
    assert_int_equal(log_tail("log", 0, 9, "", text, sizeof text), 4);
    assert_string_equal(text, "one\ntwo\n\nfour\n");
}

static void open_last_line_counts(void **state)
{
    (void)state;
    char text[256];
    put("one\ntwo");
    assert_int_equal(log_tail("log", 0, 1, "", text, sizeof text), 1);
    assert_string_equal(text, "two\n");
}

static void what_lies_before_the_offset_is_not_shown(void **state)
{
    (void)state;
    char text[256];
    put("old\nnew\n");
    assert_int_equal(log_tail("log", 4, 9, "", text, sizeof text), 1);
    assert_string_equal(text, "new\n");
    assert_int_equal(log_tail("log", 8, 9, "", text, sizeof text), 0);
    assert_string_equal(text, "");
}

static void log_cut_short_meanwhile_is_shown_from_its_start(void **state)
{
    (void)state;
    char text[256];
    put("new\n");
    assert_int_equal(log_tail("log", 1000, 9, "", text, sizeof text), 1);
    assert_string_equal(text, "new\n");
}

static void missing_or_empty_log_has_no_lines(void **state)
{
    (void)state;
    char text[256] = "x";
    assert_int_equal(log_tail("none", 0, 9, "", text, sizeof text), 0);
    assert_string_equal(text, "");
    put("\n\n");
    assert_int_equal(log_tail("log", 0, 9, "", text, sizeof text), 0);
}

static void control_characters_cannot_reach_the_terminal(void **state)
{
    (void)state;
    char text[256];
    folder_put("log", "a\x1b[2J\0b\tc\r\n", 11);
    assert_int_equal(log_tail("log", 0, 9, "", text, sizeof text), 1);
    assert_string_equal(text, "a?[2J?b\tc?\n");
}

static void oldest_lines_go_when_the_room_is_small(void **state)
{
    (void)state;
    char text[9];
    put("one\ntwo\nsix\n");
    assert_int_equal(log_tail("log", 0, 9, "", text, sizeof text), 2);
    assert_string_equal(text, "two\nsix\n");
    assert_int_equal(log_tail("log", 0, 9, "", text, 4), 0);
    assert_string_equal(text, "");
}

static void endless_line_is_cut_at_its_start(void **state)
{
    (void)state;
    static char line[2 * LOG_TAIL_BYTES], text[2 * LOG_TAIL_BYTES];
    memset(line, 'a', sizeof line);
    folder_put("log", line, sizeof line);
    assert_int_equal(log_tail("log", 0, 9, "", text, sizeof text), 1);
    assert_int_equal(strlen(text), LOG_TAIL_BYTES + strlen("...\n"));
    assert_memory_equal(text, "...a", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(last_lines_are_shown_with_their_indent),
        FOLDER_TEST(open_last_line_counts),
        FOLDER_TEST(what_lies_before_the_offset_is_not_shown),
        FOLDER_TEST(log_cut_short_meanwhile_is_shown_from_its_start),
        FOLDER_TEST(missing_or_empty_log_has_no_lines),
        FOLDER_TEST(control_characters_cannot_reach_the_terminal),
        FOLDER_TEST(oldest_lines_go_when_the_room_is_small),
        FOLDER_TEST(endless_line_is_cut_at_its_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
