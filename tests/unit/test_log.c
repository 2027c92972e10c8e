/* Lines of common/log: their form, levels, and that each is one write. */
#include "common/log.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>

#include "tests/unit/log_capture.h"

static void line_has_time_level_name_and_text_in_one_write(void **state)
{
    (void)state;
    char line[2048];
    log_capture c;
    log_capture_begin(&c);
    log_setup("ps/7", LOG_DEBUG);
    log_info("joined %s at step %d", "worker/1", 12);
    log_capture_pause(&c);
    size_t bytes = log_capture_next(&c, line, sizeof line);
    assert_int_equal(log_capture_next(&c, line + bytes, sizeof line - bytes), 0);
    log_capture_end(&c);

    static const char pattern[] = "0000-00-00T00:00:00.000Z ";
    for (size_t i = 0; i < sizeof pattern - 1; i++) {
        if (pattern[i] == '0')
            assert_true(isdigit((unsigned char)line[i]));
        else
            assert_int_equal(line[i], pattern[i]);
    }
    assert_string_equal(line + sizeof pattern - 1, "info    ps/7  joined worker/1 at step 12\n");
}

static void lines_below_the_level_are_dropped(void **state)
{
    (void)state;
    static const char *const names[] = {"debug", "info", "warning", "error"};
    for (int level = LOG_DEBUG; level <= LOG_OFF; level++) {
        log_capture c;
        log_capture_begin(&c);
        log_setup("test", (log_level)level);
        log_debug("line");
        log_info("line");
        log_warning("line");
        log_error("line");
        log_capture_pause(&c);
        for (int expected = level; expected < LOG_OFF; expected++)
            assert_true(log_capture_has(&c, names[expected]));
        assert_false(log_capture_has(&c, "line"));
        log_capture_end(&c);
    }
}

static void long_line_is_cut_and_still_ends(void **state)
{
    (void)state;
    char text[5000], line[8192];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_setup("test", LOG_INFO);
    for (size_t length = 900; length < 1100; length++) {
        log_capture c;
        log_capture_begin(&c);
        log_error("%s", text + sizeof text - 1 - length);
        log_capture_pause(&c);
        size_t bytes = log_capture_next(&c, line, sizeof line);
        log_capture_end(&c);
        assert_in_range(bytes, 900, 1024);
        assert_int_equal(line[bytes - 1], '\n');
        assert_int_equal(line[bytes - 2], 'x');
        assert_null(memchr(line, '\0', bytes));
    }
}

static void control_characters_forge_no_line(void **state)
{
    (void)state;
    log_capture c;
    log_capture_begin(&c);
    log_setup("test", LOG_INFO);
    log_info("a peer says: %s", "all well\n2026-01-01T00:00:00.000Z error   ps/0  gone\x1b[2J\x7f");
    log_capture_pause(&c);
    assert_true(
        log_capture_has(&c, "a peer says: all well?2026-01-01T00:00:00.000Z error   ps/0  gone?[2J?\n"));
    log_capture_end(&c);
}

static void long_process_name_is_cut(void **state)
{
    (void)state;
    char name[500];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    log_capture c;
    log_capture_begin(&c);
    log_setup(name, LOG_INFO);
    log_info("text");
    log_capture_pause(&c);
    assert_true(log_capture_has(&c, "nnn  text\n"));
    log_capture_end(&c);
}

static void *log_many(void *argument)
{
    for (int i = 0; i < 20; i++)
        log_info("thread %s", (const char *)argument);
    return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    (void)state;
    static char texts[4][64];
    pthread_t threads[4];
    log_capture c;
    log_setup("test", LOG_INFO);
    log_capture_begin(&c);
    for (int i = 0; i < 4; i++) {
        memset(texts[i], 'a' + i, 40);
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, texts[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    log_capture_pause(&c);
    char line[2048];
    int lines = 0;
    while (log_capture_next(&c, line, sizeof line)) {
        char *text = strstr(line, "thread ") + strlen("thread ");
        assert_int_equal(strspn(text, (char[]){text[0], '\0'}), 40);
        assert_string_equal(text + 40, "\n");
        lines++;
    }
    assert_int_equal(lines, 80);
    log_capture_end(&c);
}

static void levels_are_read_by_name(void **state)
{
    (void)state;
    static const char *const names[] = {"debug", "info", "warning", "error", "off"};
    for (int i = LOG_DEBUG; i <= LOG_OFF; i++) {
        log_level level = LOG_INFO;
        assert_int_equal(log_level_parse(names[i], &level, NULL), PS_OK);
        assert_int_equal(level, i);
    }
    log_level level = LOG_ERROR;
    ps_error error;
    assert_int_equal(log_level_parse("loud", &level, &error), PS_EINVAL);
    assert_int_equal(level, LOG_ERROR);
    assert_string_equal(error.text, "log level 'loud' is none of debug, info, warning, error, off");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_has_time_level_name_and_text_in_one_write),
        cmocka_unit_test(lines_below_the_level_are_dropped),
        cmocka_unit_test(long_line_is_cut_and_still_ends),
        cmocka_unit_test(control_characters_forge_no_line),
        cmocka_unit_test(long_process_name_is_cut),
        cmocka_unit_test(lines_of_several_threads_do_not_mix),
        cmocka_unit_test(levels_are_read_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
