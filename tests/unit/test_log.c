/* Lines of common/log: their form, levels, and that each is one write. */
#include "common/log.h"

#include <ctype.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/json.h"
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
    assert_string_equal(error.text,
                        "log level 'loud' is unknown: choose one of debug, info, warning, error, off");
}

/* The next line, which has to be one object; the caller frees it. */
static json *next_object(const log_capture *c)
{
    char line[8192];
    size_t bytes = log_capture_next(c, line, sizeof line);
    const json_options options = {.source = "line", .max_bytes = 4096};
    json *root = NULL;
    ps_error error = {PS_OK, ""};
    assert_true(bytes > 1 && bytes <= 4096 && line[bytes - 1] == '\n');
    assert_int_equal(json_parse(line, bytes - 1, &options, &root, NULL, &error), PS_OK);
    return root;
}

static const char *string(const json *object, const char *key)
{
    const char *text = "";
    assert_int_equal(json_as_string(json_find(object, key), key, &text, NULL), PS_OK);
    return text;
}

static int64_t integer(const json *object, const char *key)
{
    int64_t value = -1;
    assert_int_equal(json_as_integer(json_find(object, key), key, 0, JSON_INTEGER_MAX, &value, NULL), PS_OK);
    return value;
}

static void json_line_has_time_level_role_index_event_step_and_text(void **state)
{
    (void)state;
    log_capture c;
    log_capture_begin(&c);
    log_set_format(LOG_JSON);
    log_setup("worker/12", LOG_INFO);
    log_event(LOG_WARNING, "rollback", 400, "step %d: back", 400);
    log_debug("below the level");
    log_info("plain");
    log_setup("worker", LOG_INFO);
    log_event(LOG_ERROR, "failed", LOG_NO_STEP, "why");
    log_set_format(LOG_TEXT);
    log_capture_pause(&c);

    json *line = next_object(&c);
    const char *time = string(line, "time");
    assert_int_equal(strlen(time), strlen("2026-11-22T19:47:49.123Z"));
    assert_true(time[10] == 'T' && time[19] == '.' && time[23] == 'Z');
    assert_string_equal(string(line, "level"), "warning");
    assert_string_equal(string(line, "role"), "worker");
    assert_int_equal(integer(line, "index"), 12);
    assert_string_equal(string(line, "event"), "rollback");
    assert_int_equal(integer(line, "step"), 400);
    assert_string_equal(string(line, "text"), "step 400: back");
    json_free(&line);

    line = next_object(&c);
    assert_string_equal(string(line, "text"), "plain");
    assert_null(json_find(line, "event"));
    assert_null(json_find(line, "step"));
    json_free(&line);

    line = next_object(&c);
    assert_string_equal(string(line, "role"), "worker");
    assert_null(json_find(line, "index"));
    assert_null(json_find(line, "step"));
    assert_string_equal(string(line, "event"), "failed");
    json_free(&line);
    log_capture_end(&c);
}

static void hostile_bytes_leave_a_json_line_whole(void **state)
{
    (void)state;
    char all[256], text[1500];
    for (int i = 1; i < 256; i++)
        all[i - 1] = (char)i;
    all[255] = '\0';
    log_capture c;
    log_capture_begin(&c);
    log_set_format(LOG_JSON);
    log_setup("a\"}\n/x", LOG_INFO);
    log_info("%s", all);
    log_info("a peer says: %s", "\"}\n{\"level\":\"error\"}\x1b[2J\x7f \xc3\xa4 \xed\xa0\x80");
    /* Cut wherever the room ends: by what is said, and by its escapes. */
    for (size_t i = 0; i < 3; i++) {
        memset(text, "\x01\"\xc3"[i], sizeof text - 1);
        text[sizeof text - 1] = '\0';
        for (size_t k = 1; i == 2 && k < sizeof text - 1; k += 2)
            text[k] = '\xa4';
        log_info("%s", text);
        log_info(" %s", text);
    }
    log_set_format(LOG_TEXT);
    log_capture_pause(&c);

    json *line = next_object(&c);
    const char *said = string(line, "text");
    assert_int_equal(strlen(said), 255);
    assert_memory_equal(said, all, 126);
    assert_int_equal(strspn(said + 126, "?"), 129);
    json_free(&line);
    line = next_object(&c);
    assert_string_equal(string(line, "role"), "a\"}\n/x");
    assert_string_equal(string(line, "text"),
                        "a peer says: \"}\n{\"level\":\"error\"}\x1b[2J? \xc3\xa4 \?\?\?");
    json_free(&line);
    for (size_t i = 0; i < 6; i++) {
        line = next_object(&c);
        assert_true(strlen(string(line, "text")) > 600);
        json_free(&line);
    }
    char more[16];
    assert_int_equal(log_capture_next(&c, more, sizeof more), 0);
    log_capture_end(&c);
}

/* What one warning looks like on a terminal. */
static void see_on_terminal(char *seen, size_t bytes)
{
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    int shown = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    assert_true(shown >= 0);
    int kept = dup(STDERR_FILENO);
    dup2(shown, STDERR_FILENO);
    log_setup("ps/0", LOG_INFO);
    log_warning("a \x1b[2J b");
    dup2(kept, STDERR_FILENO);
    size_t used = 0;
    seen[0] = '\0';
    while (!strchr(seen, '\n')) {
        ssize_t got = read(terminal, seen + used, bytes - 1 - used);
        assert_true(got > 0);
        used += (size_t)got;
        seen[used] = '\0';
    }
    close(kept);
    close(shown);
    close(terminal);
    log_setup("ps/0", LOG_INFO);
}

static void only_the_level_has_a_colour_and_only_on_a_terminal(void **state)
{
    (void)state;
    char seen[512];
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    see_on_terminal(seen, sizeof seen);
    assert_non_null(strstr(seen, "Z \x1b[33mwarning\x1b[0m ps/0  a ?[2J b\r\n"));
    setenv("NO_COLOR", "1", 1);
    see_on_terminal(seen, sizeof seen);
    assert_non_null(strstr(seen, "Z warning ps/0  a ?[2J b\r\n"));
    unsetenv("NO_COLOR");
    setenv("TERM", "dumb", 1);
    see_on_terminal(seen, sizeof seen);
    assert_non_null(strstr(seen, "Z warning ps/0  a ?[2J b\r\n"));
    setenv("TERM", "xterm", 1);
    log_set_format(LOG_JSON);
    see_on_terminal(seen, sizeof seen);
    log_set_format(LOG_TEXT);
    assert_null(strchr(seen, '\x1b'));
    log_capture c;
    log_capture_begin(&c);
    log_setup("ps/0", LOG_INFO);
    log_warning("x");
    log_capture_pause(&c);
    assert_false(log_capture_has(&c, "\x1b"));
    log_capture_end(&c);
}

static void formats_are_read_by_name(void **state)
{
    (void)state;
    log_format format = LOG_TEXT;
    assert_int_equal(log_format_parse("json", &format, NULL), PS_OK);
    assert_int_equal(format, LOG_JSON);
    assert_int_equal(log_format_parse("text", &format, NULL), PS_OK);
    assert_int_equal(format, LOG_TEXT);
    ps_error error;
    assert_int_equal(log_format_parse("JSON", &format, &error), PS_EINVAL);
    assert_string_equal(error.text, "log format 'JSON' is unknown: choose one of text, json");
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
        cmocka_unit_test(json_line_has_time_level_role_index_event_step_and_text),
        cmocka_unit_test(hostile_bytes_leave_a_json_line_whole),
        cmocka_unit_test(only_the_level_has_a_colour_and_only_on_a_terminal),
        cmocka_unit_test(formats_are_read_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
