/* What is kept of a log for those who look: common/events. */
#include "common/events.h"

#include <string.h>

#include "common/log.h"
#include "tests/unit/printed_json.h"

/* The list "events", parsed; free it. */
static json *take_events(const json **list)
{
    printed_json p;
    json_writer w = {.out = printed_json_begin(&p)};
    json_open(&w, NULL, '{');
    events_print(&w);
    json_close(&w, '}');
    json *root = printed_json_end(&p);
    *list = json_find(root, "events");
    return root;
}

static int64_t number_of(const json *record, const char *key)
{
    int64_t number = -1;
    json_as_integer(json_find(record, key), key, 0, JSON_INTEGER_MAX, &number, NULL);
    return number;
}

static const char *text_of(const json *record, const char *key)
{
    const char *text = "";
    json_as_string(json_find(record, key), key, &text, NULL);
    return text;
}

static void nothing_is_kept_before_somebody_wants_it(void **state)
{
    (void)state;
    const json *list;
    log_event(LOG_INFO, "early", 1, "early");
    json *root = take_events(&list);
    assert_int_equal(json_count(list), 0);
    json_free(&root);
}

static void events_of_the_log_are_kept_whatever_its_threshold(void **state)
{
    (void)state;
    const json *list;
    events_keep();
    log_event(LOG_WARNING, "rollback", 17, "back to %d, \"said\" it", 17);
    log_event(LOG_INFO, "listening", LOG_NO_STEP, "listening");
    log_info("no event");
    json *root = take_events(&list);
    assert_int_equal(json_count(list), 2);
    const json *first = json_first(list), *second = json_next(first);
    assert_int_equal(number_of(first, "sequence"), 1);
    assert_true(number_of(first, "unix_ms") > 0);
    assert_int_equal(number_of(first, "step"), 17);
    assert_string_equal(text_of(first, "level"), "warning");
    assert_string_equal(text_of(first, "event"), "rollback");
    assert_string_equal(text_of(first, "text"), "back to 17, \"said\" it");
    assert_int_equal(json_type_of(json_find(second, "step")), JSON_NULL);
    json_free(&root);
}

static void many_of_one_name_drive_out_their_own_kind_alone(void **state)
{
    (void)state;
    const json *list;
    for (uint64_t i = 1; i <= 1000; i++)
        log_event(LOG_INFO, "checkpoint", i, "written");
    json *root = take_events(&list);
    assert_int_equal(json_count(list), 2 + EVENTS_ALIKE_MAX);
    assert_string_equal(text_of(json_first(list), "event"), "rollback");
    int64_t before = 0, newest = 0;
    for (const json *e = json_first(list); e; e = json_next(e)) {
        newest = number_of(e, "step");
        assert_true(number_of(e, "sequence") > before);
        before = number_of(e, "sequence");
    }
    assert_int_equal(newest, 1000);
    json_free(&root);
}

static void the_oldest_goes_where_there_is_no_room(void **state)
{
    (void)state;
    const json *list;
    for (uint64_t i = 0; i < EVENTS_MAX; i++) {
        char name[EVENTS_NAME_MAX + 1];
        snprintf(name, sizeof name, "kind_%d", (int)i % 8);
        log_event(LOG_INFO, name, i, "x");
    }
    json *root = take_events(&list);
    assert_int_equal(json_count(list), EVENTS_MAX);
    assert_string_equal(text_of(json_first(list), "event"), "kind_0");
    json_free(&root);
}

int main(void)
{
    log_setup("test", LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_kept_before_somebody_wants_it),
        cmocka_unit_test(events_of_the_log_are_kept_whatever_its_threshold),
        cmocka_unit_test(many_of_one_name_drive_out_their_own_kind_alone),
        cmocka_unit_test(the_oldest_goes_where_there_is_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
