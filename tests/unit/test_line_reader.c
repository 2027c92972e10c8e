/* Lines out of a pipe, within a fixed room: deploy/line_reader. */
#include "deploy/line_reader.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

typedef struct {
    int ends[2];
    line_reader reader;
    size_t lines;
    char last[LINE_MAX_BYTES];
} fixture;

static void keep(void *context, char *line, size_t bytes)
{
    fixture *f = context;
    f->lines++;
    assert_int_equal(line[bytes], '\0');
    memcpy(f->last, line, bytes + 1);
}

static int open_pipe(void **state)
{
    static fixture f;
    f = (fixture){0};
    *state = &f;
    return pipe2(f.ends, O_NONBLOCK);
}

static int close_pipe(void **state)
{
    fixture *f = *state;
    close(f->ends[0]);
    if (f->ends[1] >= 0)
        close(f->ends[1]);
    return 0;
}

static bool feed(fixture *f, const char *text, size_t bytes)
{
    assert_int_equal(write(f->ends[1], text, bytes), bytes);
    return line_reader_drain(&f->reader, f->ends[0], keep, f);
}

static void line_in_pieces_is_put_together(void **state)
{
    fixture *f = *state;
    assert_true(feed(f, "one\ntw", 6));
    assert_int_equal(f->lines, 1);
    assert_string_equal(f->last, "one");
    assert_true(feed(f, "o\n\n", 3));
    assert_int_equal(f->lines, 3);
    assert_true(feed(f, "three\n", 6));
    assert_string_equal(f->last, "three");
}

static void end_of_input_is_told_and_drops_an_open_line(void **state)
{
    fixture *f = *state;
    assert_true(feed(f, "open", 4));
    close(f->ends[1]);
    f->ends[1] = -1;
    assert_false(line_reader_drain(&f->reader, f->ends[0], keep, f));
    assert_int_equal(f->lines, 0);
}

static void longest_line_passes_and_longer_ones_are_dropped_whole(void **state)
{
    fixture *f = *state;
    static char text[3 * LINE_MAX_BYTES];
    memset(text, 'a', sizeof text);
    text[LINE_MAX_BYTES - 1] = '\n';
    assert_true(feed(f, text, LINE_MAX_BYTES));
    assert_int_equal(f->lines, 1);
    assert_int_equal(strlen(f->last), LINE_MAX_BYTES - 1);

    text[LINE_MAX_BYTES - 1] = 'a';
    text[sizeof text - 1] = '\n';
    assert_true(feed(f, text, sizeof text));
    assert_int_equal(f->lines, 1);
    assert_int_equal(f->reader.too_long, 1);
    assert_true(feed(f, "next\n", 5));
    assert_int_equal(f->lines, 2);
    assert_string_equal(f->last, "next");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(line_in_pieces_is_put_together, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(end_of_input_is_told_and_drops_an_open_line, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(longest_line_passes_and_longer_ones_are_dropped_whole, open_pipe,
                                        close_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
