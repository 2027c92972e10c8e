/* A line redrawn in place and lines that stay, on a pseudo-terminal and on a pipe: deploy/terminal. */
#include "deploy/terminal.h"

#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "tests/unit/unit.h"

typedef struct {
    int screen; /* what is written can be read here */
    int line;
    terminal t;
} fixture;

static int open_screen(void **state)
{
    static fixture f;
    const struct winsize window = {.ws_row = 24, .ws_col = 60};
    setenv("TERM", "xterm", 1);
    if (openpty(&f.screen, &f.line, NULL, NULL, &window) != 0)
        return -1;
    terminal_init(&f.t, f.line);
    *state = &f;
    return 0;
}

static int close_screen(void **state)
{
    fixture *f = *state;
    close(f->screen);
    close(f->line);
    return 0;
}

/* What was written may come in pieces. */
static void assert_shown(int fd, const char *expected)
{
    char text[512];
    size_t bytes = 0;
    while (bytes < strlen(expected)) {
        ssize_t got = read(fd, text + bytes, sizeof text - 1 - bytes);
        assert_true(got > 0);
        bytes += (size_t)got;
    }
    text[bytes] = '\0';
    assert_string_equal(text, expected);
}

static void drawn_line_replaces_the_one_before(void **state)
{
    fixture *f = *state;
    assert_true(f->t.interactive);
    terminal_draw(&f->t, "epoch 1");
    assert_shown(f->screen, "\repoch 1\x1b[K");
    terminal_draw(&f->t, "epoch 2");
    assert_shown(f->screen, "\repoch 2\x1b[K");
}

static void printed_line_takes_the_place_of_the_drawn_one(void **state)
{
    fixture *f = *state;
    terminal_draw(&f->t, "epoch 1");
    assert_shown(f->screen, "\repoch 1\x1b[K");
    terminal_print(&f->t, "accuracy %d", 97);
    assert_shown(f->screen, "\r\x1b[Kaccuracy 97\r\n");
    terminal_print(&f->t, "more");
    assert_shown(f->screen, "more\r\n");
}

static void clear_erases_only_what_was_drawn(void **state)
{
    fixture *f = *state;
    terminal_clear(&f->t);
    terminal_draw(&f->t, "epoch 1");
    terminal_clear(&f->t);
    terminal_clear(&f->t);
    assert_shown(f->screen, "\repoch 1\x1b[K\r\x1b[K");
}

static void width_follows_the_window(void **state)
{
    fixture *f = *state;
    assert_int_equal(terminal_width(&f->t), 59);
    const struct winsize narrower = {.ws_row = 24, .ws_col = 20};
    assert_int_equal(ioctl(f->screen, TIOCSWINSZ, &narrower), 0);
    assert_int_equal(terminal_width(&f->t), 19);
    const struct winsize unknown = {0};
    assert_int_equal(ioctl(f->screen, TIOCSWINSZ, &unknown), 0);
    assert_int_equal(terminal_width(&f->t), 79);
}

static void held_up_terminal_is_not_waited_for(void **state)
{
    fixture *f = *state;
    assert_int_equal(tcflow(f->line, TCOOFF), 0);
    terminal_draw(&f->t, "epoch 1");
    assert_false(f->t.drawn);
    assert_int_equal(tcflow(f->line, TCOON), 0);
    terminal_draw(&f->t, "epoch 2");
    assert_shown(f->screen, "\repoch 2\x1b[K");
}

static void dumb_terminal_gets_plain_lines(void **state)
{
    fixture *f = *state;
    setenv("TERM", "dumb", 1);
    terminal_init(&f->t, f->line);
    assert_false(f->t.interactive);
    terminal_draw(&f->t, "epoch 1");
    terminal_print(&f->t, "plain");
    assert_shown(f->screen, "plain\r\n");
}

static void overlong_line_is_cut_but_ends_in_a_newline(void **state)
{
    (void)state;
    int ends[2];
    static char line[10000], text[20000];
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    terminal t;
    terminal_init(&t, ends[1]);
    assert_false(t.interactive);
    memset(line, 'a', sizeof line - 1);
    terminal_print(&t, "%s", line);
    ssize_t got = read(ends[0], text, sizeof text);
    assert_true(got > 1000 && got < (ssize_t)sizeof line);
    assert_int_equal(text[got - 1], '\n');
    assert_int_equal(text[got - 2], 'a');
    close(ends[0]);
    close(ends[1]);
}

#define SCREEN_TEST(name) cmocka_unit_test_setup_teardown(name, open_screen, close_screen)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCREEN_TEST(drawn_line_replaces_the_one_before),
        SCREEN_TEST(printed_line_takes_the_place_of_the_drawn_one),
        SCREEN_TEST(clear_erases_only_what_was_drawn),
        SCREEN_TEST(width_follows_the_window),
        SCREEN_TEST(held_up_terminal_is_not_waited_for),
        SCREEN_TEST(dumb_terminal_gets_plain_lines),
        cmocka_unit_test(overlong_line_is_cut_but_ends_in_a_newline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
