/* The reader of parts of traces, deploy/trace_part: what is torn, damaged or foreign. */
#include "deploy/trace/trace_part.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/folder.h"
#include "tests/unit/trace_sample.h"

enum { EVENTS = 5 };

static sample whole;

static int make_whole(void **state)
{
    (void)state;
    sample_begin(&whole, TRACE_OF_PS, 1, 100, "b");
    sample_thread(&whole, 1, "loop");
    for (uint64_t i = 0; i < EVENTS; i++)
        sample_event(&whole,
                     (trace_event){.kind = TRACE_UPDATE, .begun_ns = i, .ended_ns = i + 1, .step = i});
    const trace_mark_text mark = {.at_ns = 3, .step = 4, .name = "rollback", .text = "so it is"};
    sample_block(&whole, TRACE_BLOCK_MARK, 0, &mark, sizeof mark);
    sample_end(&whole);
    return 0;
}

/* From memory of exactly its size. */
static ps_status parse(const uint8_t *bytes, size_t count, trace_part *p, ps_error *error)
{
    uint8_t *copy = malloc(count ? count : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, count);
    ps_status status = trace_part_parse(copy, count, p, error);
    free(copy);
    return status;
}

static void a_whole_part_is_read(void **state)
{
    (void)state;
    trace_part p;
    ps_error error;
    char text[TRACE_THREAD_NAME_BYTES];
    assert_int_equal(parse(whole.bytes, whole.count, &p, &error), PS_OK);
    assert_true(p.ended && !p.cut[0]);
    assert_int_equal(p.entry_count, EVENTS);
    assert_int_equal(p.entries[4].event.step, 4);
    assert_int_equal(p.entries[4].thread, 1);
    assert_string_equal(trace_part_thread_name(&p, 1, text), "loop");
    assert_string_equal(trace_part_thread_name(&p, 2, text), "thread 2");
    assert_int_equal(p.mark_count, 1);
    assert_string_equal(p.marks[0].name, "rollback");
    trace_part_fini(&p);
}

static void wherever_it_is_torn_what_stands_before_is_used(void **state)
{
    (void)state;
    size_t most = 0;
    for (size_t count = 0; count < whole.count; count++) {
        trace_part p;
        ps_error error;
        ps_status status = parse(whole.bytes, count, &p, &error);
        if (count < sizeof(trace_head)) {
            assert_int_equal(status, PS_EFORMAT);
            assert_non_null(strstr(error.text, "this is no part of a trace"));
            continue;
        }
        assert_int_equal(status, PS_OK);
        assert_false(p.ended);
        assert_true(p.entry_count >= most && p.entry_count <= EVENTS);
        most = p.entry_count;
        if (p.cut[0])
            assert_non_null(strstr(p.cut, "the file is torn at byte"));
        trace_part_fini(&p);
    }
    assert_int_equal(most, EVENTS);
}

static void a_bit_that_flips_is_found_wherever_it_is(void **state)
{
    (void)state;
    static sample damaged;
    for (size_t at = 0; at < whole.count; at++) {
        trace_part p;
        ps_error error;
        memcpy(damaged.bytes, whole.bytes, whole.count);
        damaged.bytes[at] ^= 1;
        ps_status status = parse(damaged.bytes, whole.count, &p, &error);
        if (status != PS_OK) {
            assert_true(at < sizeof(trace_head));
            continue;
        }
        if (!p.cut[0]) /* what nobody reads yet, or which thread it was */
            assert_true(p.ended && p.entry_count == EVENTS);
        else
            assert_true(!p.ended || strstr(p.cut, "behind the end"));
        trace_part_fini(&p);
    }
}

static void refuse_block(const void *bytes, size_t count, uint32_t kind, uint32_t thread)
{
    static sample s;
    trace_part p;
    sample_begin(&s, TRACE_OF_PS, 1, 100, "b");
    sample_event(&s, (trace_event){.kind = TRACE_UPDATE});
    sample_block(&s, kind, thread, bytes, count);
    sample_end(&s);
    assert_int_equal(parse(s.bytes, s.count, &p, NULL), PS_OK);
    assert_true(p.cut[0] && !p.ended);
    assert_int_equal(p.entry_count, 1);
    trace_part_fini(&p);
}

static void what_has_the_right_sum_but_no_sense_is_cut_off(void **state)
{
    (void)state;
    const trace_event unknown = {.kind = TRACE_KIND_COUNT}, backwards = {.begun_ns = 2, .ended_ns = 1},
                      late = {.begun_ns = UINT64_MAX, .ended_ns = UINT64_MAX}, sound = {.kind = TRACE_UPDATE};
    const trace_end wrong = {.events = 7};
    const trace_mark_text never = {.at_ns = UINT64_MAX};
    refuse_block(&unknown, sizeof unknown, TRACE_BLOCK_EVENTS, 1);
    refuse_block(&backwards, sizeof backwards, TRACE_BLOCK_EVENTS, 1);
    refuse_block(&late, sizeof late, TRACE_BLOCK_EVENTS, 1);
    refuse_block(&sound, sizeof sound - 1, TRACE_BLOCK_EVENTS, 1);
    refuse_block(&sound, sizeof sound, TRACE_BLOCK_EVENTS, 0);
    refuse_block(&sound, sizeof sound, TRACE_BLOCK_EVENTS, TRACE_PART_THREADS_MAX + 1);
    refuse_block(&sound, sizeof sound, TRACE_BLOCK_KIND_COUNT, 1);
    refuse_block(&sound, 8, TRACE_BLOCK_THREAD, 1);
    refuse_block(&never, sizeof never, TRACE_BLOCK_MARK, 0);
    refuse_block(&wrong, sizeof wrong, TRACE_BLOCK_END, 0);
}

static void texts_without_an_end_get_one(void **state)
{
    (void)state;
    static sample s;
    trace_part p;
    trace_mark_text mark = {.at_ns = 3};
    trace_thread_name name;
    char text[TRACE_THREAD_NAME_BYTES];
    memset(mark.name, 'n', sizeof mark.name);
    memset(mark.text, 't', sizeof mark.text);
    memset(name.name, 'x', sizeof name.name);
    sample_begin(&s, TRACE_OF_PS, 1, 100, "b");
    sample_block(&s, TRACE_BLOCK_MARK, 0, &mark, sizeof mark);
    sample_block(&s, TRACE_BLOCK_THREAD, 1, &name, sizeof name);
    assert_int_equal(parse(s.bytes, s.count, &p, NULL), PS_OK);
    assert_int_equal(strlen(p.marks[0].name), TRACE_MARK_NAME_BYTES - 1);
    assert_int_equal(strlen(p.marks[0].text), TRACE_MARK_TEXT_BYTES - 1);
    assert_int_equal(strlen(trace_part_thread_name(&p, 1, text)), TRACE_THREAD_NAME_BYTES - 1);
    trace_part_fini(&p);
}

static void a_file_is_named_in_what_is_said_of_it(void **state)
{
    (void)state;
    trace_part p;
    ps_error error;
    folder_put("foreign", "x", 1);
    assert_int_equal(trace_part_read("foreign", &p, &error), PS_EFORMAT);
    assert_string_equal(error.text, "foreign: this is no part of a trace");
    assert_int_equal(trace_part_read("missing", &p, &error), PS_ENOENT);
    assert_non_null(strstr(error.text, "missing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_part_is_read),
        cmocka_unit_test(wherever_it_is_torn_what_stands_before_is_used),
        cmocka_unit_test(a_bit_that_flips_is_found_wherever_it_is),
        cmocka_unit_test(what_has_the_right_sum_but_no_sense_is_cut_off),
        cmocka_unit_test(texts_without_an_end_get_one),
        FOLDER_TEST(a_file_is_named_in_what_is_said_of_it),
    };
    return cmocka_run_group_tests(tests, make_whole, NULL);
}
