/* From parts to one trace, deploy/trace_merge: clocks of several hosts, flows, and JSON that is as it should
 * be. */
#include "deploy/trace/trace_merge.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/json.h"
#include "deploy/trace/trace_flow.h"
#include "deploy/trace/trace_part.h"
#include "tests/unit/folder.h"
#include "tests/unit/trace_sample.h"

#define MS          UINT64_C(1000000)
#define INCARNATION UINT64_C(77)

static sample server, worker;

/* ---- samples: one ps and one worker, whose clock is `behind` at a time by the ps' clock ---- */

typedef uint64_t clock_rule(uint64_t server_ns);

static uint64_t same_clock(uint64_t server_ns)
{
    return server_ns;
}

/* Behind by 7 s, and slower by 50 millionths. */
static uint64_t other_clock(uint64_t server_ns)
{
    return server_ns - 7000 * MS - server_ns / 20000;
}

static trace_event point(trace_kind kind, uint64_t at_ns, uint64_t request, uint64_t step)
{
    return (trace_event){.kind = (uint16_t)kind,
                         .begun_ns = at_ns,
                         .ended_ns = at_ns,
                         .request = request,
                         .step = step,
                         .incarnation = INCARNATION};
}

static trace_event span_of(trace_kind kind, uint64_t begun_ns, uint64_t ended_ns, uint64_t step)
{
    return (trace_event){.kind = (uint16_t)kind, .begun_ns = begun_ns, .ended_ns = ended_ns, .step = step};
}

static void worker_sends(uint64_t at_ns, uint64_t request, uint64_t step)
{
    sample_event(&worker, point(TRACE_PUSH_SENT, at_ns, request, step));
    sample_event(&worker, span_of(TRACE_SEND_PUSH, at_ns, at_ns + 1000, step));
}

static void worker_takes(uint64_t at_ns, uint64_t request)
{
    sample_event(&worker, point(TRACE_TAKEN, at_ns, request, 0));
    sample_event(&worker, span_of(TRACE_TAKE_WEIGHTS, at_ns, at_ns + 1000, 0));
}

static void server_receives(uint64_t at_ns, uint64_t request, uint64_t step)
{
    trace_event received = point(TRACE_PUSH_RECEIVED, at_ns, request, step);
    received.value = 4711; /* the connection */
    sample_event(&server, received);
    sample_event(&server, span_of(TRACE_RECEIVE_PUSH, at_ns, at_ns + 5000, step));
}

static void server_applies(uint64_t at_ns, uint64_t step)
{
    trace_event update = span_of(TRACE_UPDATE, at_ns, at_ns + 2000, step);
    update.value = 1;
    sample_event(&server, point(TRACE_APPLIED, at_ns, 0, step));
    sample_event(&server, update);
}

static void server_answers(uint64_t at_ns, uint64_t request)
{
    trace_event answered = point(TRACE_ANSWERED, at_ns, request, 0);
    answered.value = 4711;
    answered.incarnation = 0;
    sample_event(&server, answered);
    sample_event(&server, span_of(TRACE_ANSWER, at_ns, at_ns + 1000, 0));
}

/* `way_ns` there and `back_ns` back. */
static void exchange(clock_rule *clock, uint64_t at_ns, uint64_t request, uint64_t way_ns, uint64_t back_ns)
{
    worker_sends(clock(at_ns - way_ns), request, request);
    server_receives(at_ns, request, request);
    server_applies(at_ns + 1000, request);
    server_answers(at_ns + 6000, request);
    worker_takes(clock(at_ns + 6000 + back_ns), request);
}

static void begin_samples(const char *server_boot, const char *worker_boot)
{
    sample_begin(&server, TRACE_OF_PS, 0, 100000 * MS, server_boot);
    sample_begin(&worker, TRACE_OF_WORKER, 0, 100000 * MS, worker_boot);
}

enum { PARTS_MAX = 4 };

static trace_part parts[PARTS_MAX];
static size_t part_count;

static void parse_samples(void)
{
    part_count = 2;
    assert_int_equal(trace_part_parse(server.bytes, server.count, &parts[0], NULL), PS_OK);
    assert_int_equal(trace_part_parse(worker.bytes, worker.count, &parts[1], NULL), PS_OK);
}

static void drop_parts(void)
{
    while (part_count > 0)
        trace_part_fini(&parts[--part_count]);
}

/* ---- clocks ---- */

static void one_host_has_one_clock_and_nothing_is_moved(void **state)
{
    (void)state;
    trace_clocks found;
    begin_samples("a", "a");
    exchange(same_clock, 8000 * MS, 64, 3000, 900000); /* as crooked as can be */
    parse_samples();
    const uint64_t sent = parts[1].entries[0].event.begun_ns;
    assert_int_equal(trace_clock_align(parts, part_count, &found), PS_OK);
    assert_int_equal(found.hosts, 1);
    assert_int_equal(found.uncertain_ns, 0);
    assert_int_equal(parts[1].entries[0].event.begun_ns, sent);
    drop_parts();
}

static void clocks_of_two_hosts_agree_within_half_of_the_quickest_way_though_they_drift(void **state)
{
    (void)state;
    enum { COUNT = 600 };
    trace_clocks found;
    uint64_t sent[COUNT];
    begin_samples("a", "b");
    for (uint64_t i = 0; i < COUNT; i++) { /* a minute; one in ten is quick, and all are crooked */
        const uint64_t way_ns = i % 10 == 0 ? 60000 : 2 * MS;
        sent[i] = 10000 * MS + i * 100 * MS - way_ns;
        exchange(other_clock, sent[i] + way_ns, (i + 1) * 64, way_ns, way_ns / 3);
    }
    parse_samples();
    assert_int_equal(trace_clock_align(parts, part_count, &found), PS_OK);
    assert_int_equal(found.hosts, 2);
    assert_int_equal(found.by_calendar, 0);
    assert_true(found.uncertain_ns > 0 && found.uncertain_ns <= 100000);
    /* Beyond the knots at both ends the drift is not known. */
    for (uint64_t i = 50; i < COUNT - 50; i++) {
        const trace_event *e = &parts[1].entries[4 * i].event;
        assert_int_equal(e->kind, TRACE_PUSH_SENT);
        const int64_t wrong = (int64_t)(e->begun_ns - sent[i]);
        assert_true(wrong > -(int64_t)found.uncertain_ns && wrong < (int64_t)found.uncertain_ns);
    }
    drop_parts();
}

static void a_host_of_workers_is_placed_by_way_of_a_ps_also_from_the_other_side(void **state)
{
    (void)state;
    trace_clocks found;
    begin_samples("a", "b");
    for (uint64_t i = 1; i < 50; i++)
        exchange(other_clock, 10000 * MS + i * MS, i * 64, 30000, 30000);
    parse_samples();
    const trace_part first = parts[0]; /* now the worker's host is the one to which all go */
    parts[0] = parts[1];
    parts[1] = first;
    const uint64_t received = parts[1].entries[0].event.begun_ns;
    assert_int_equal(trace_clock_align(parts, part_count, &found), PS_OK);
    const int64_t wrong = (int64_t)(parts[1].entries[0].event.begun_ns - other_clock(received));
    assert_true(wrong > -10000 && wrong < 10000);
    drop_parts();
}

static void hosts_that_have_exchanged_nothing_are_placed_by_their_calendars(void **state)
{
    (void)state;
    trace_clocks found;
    begin_samples("a", "b");
    sample_begin(&worker, TRACE_OF_WORKER, 0, 100000 * MS + 250 * MS,
                 "b"); /* began a quarter of a second later */
    sample_event(&worker, point(TRACE_PUSH_SENT, 1000 + 5 * MS, 64, 1));
    parse_samples();
    assert_int_equal(trace_clock_align(parts, part_count, &found), PS_OK);
    assert_int_equal(found.by_calendar, 1);
    assert_int_equal(parts[1].entries[0].event.begun_ns, 1000 + 255 * MS);
    drop_parts();
}

/* ---- flows ---- */

static trace_flows flows;

static void find_flows(void)
{
    assert_int_equal(trace_flow_find(parts, part_count, &flows), PS_OK);
}

static uint32_t hops_known(const trace_flow *f)
{
    uint32_t known = 0;
    for (int hop = 0; hop < TRACE_HOP_COUNT; hop++)
        known += f->hops[hop].entry != NULL;
    return known;
}

static void a_gradient_flows_from_push_to_update_to_pull(void **state)
{
    (void)state;
    begin_samples("a", "a");
    for (uint64_t i = 1; i <= 20; i++)
        exchange(same_clock, 8000 * MS + i * MS, i * 64, 20000, 30000);
    parse_samples();
    find_flows();
    assert_int_equal(flows.count, 20);
    assert_int_equal(flows.applied, 20);
    assert_int_equal(flows.applied_alone, 0);
    for (size_t i = 0; i < flows.count; i++) {
        const trace_flow *f = &flows.list[i];
        assert_true(f->pushes);
        assert_int_equal(hops_known(f), TRACE_HOP_COUNT);
        for (int hop = 1; hop < TRACE_HOP_COUNT; hop++)
            assert_true(f->hops[hop].entry->event.begun_ns >= f->hops[hop - 1].entry->event.begun_ns);
        assert_int_equal(f->hops[TRACE_HOP_SENT].part, 1);
        assert_int_equal(f->hops[TRACE_HOP_APPLIED].part, 0);
        assert_int_equal(f->hops[TRACE_HOP_SENT].entry->event.request,
                         f->hops[TRACE_HOP_TAKEN].entry->event.request);
    }
    trace_flow_fini(&flows);
    drop_parts();
}

static void a_step_in_two_messages_has_two_flows_through_one_update(void **state)
{
    (void)state;
    begin_samples("a", "a");
    worker_sends(1 * MS, 64, 1);
    server_receives(2 * MS, 64, 1);
    worker_sends(3 * MS, 128, 1);
    server_receives(4 * MS, 128, 1);
    server_applies(4 * MS + 1000, 1);
    server_answers(5 * MS, 64);
    server_answers(5 * MS, 128);
    worker_takes(6 * MS, 64);
    worker_takes(7 * MS, 128);
    parse_samples();
    find_flows();
    assert_int_equal(flows.count, 2);
    assert_ptr_equal(flows.list[0].hops[TRACE_HOP_APPLIED].entry,
                     flows.list[1].hops[TRACE_HOP_APPLIED].entry);
    assert_int_equal(flows.list[0].hops[TRACE_HOP_TAKEN].entry->event.begun_ns, 6 * MS);
    assert_int_equal(flows.list[1].hops[TRACE_HOP_TAKEN].entry->event.begun_ns, 7 * MS);
    assert_true(flows.list[0].id != flows.list[1].id);
    trace_flow_fini(&flows);
    drop_parts();
}

static void of_a_request_that_was_sent_again_the_sending_that_came_in_counts(void **state)
{
    (void)state;
    begin_samples("a", "a");
    worker_sends(1 * MS, 64, 1); /* lost */
    worker_sends(200 * MS, 64, 1);
    server_receives(201 * MS, 64, 1);
    server_applies(201 * MS + 1000, 1);
    worker_sends(300 * MS, 64, 1); /* too late to be of use */
    parse_samples();
    find_flows();
    assert_int_equal(flows.count, 1);
    assert_int_equal(flows.list[0].hops[TRACE_HOP_SENT].entry->event.begun_ns, 200 * MS);
    assert_int_equal(hops_known(&flows.list[0]), 3); /* whoever was to take it in was killed */
    trace_flow_fini(&flows);
    drop_parts();
}

static void an_update_of_a_push_that_nobody_knows_of_is_counted(void **state)
{
    (void)state;
    begin_samples("a", "a");
    server_receives(2 * MS, 64, 1);
    server_applies(2 * MS + 1000, 1);
    parse_samples();
    find_flows();
    assert_int_equal(flows.applied, 1);
    assert_int_equal(flows.applied_alone, 1);
    trace_flow_fini(&flows);
    drop_parts();
}

static void a_push_that_came_in_before_the_ps_began_anew_flows_to_its_update_all_the_same(void **state)
{
    (void)state;
    begin_samples("a", "a");
    worker_sends(1 * MS, 64, 1);
    server_applies(9 * MS, 1); /* as the log of updates has it */
    worker_takes(10 * MS, 64);
    parse_samples();
    find_flows();
    assert_int_equal(flows.count, 1);
    assert_int_equal(flows.applied_alone, 0);
    assert_non_null(flows.list[0].hops[TRACE_HOP_SENT].entry);
    assert_null(flows.list[0].hops[TRACE_HOP_RECEIVED].entry);
    assert_non_null(flows.list[0].hops[TRACE_HOP_APPLIED].entry);
    assert_non_null(flows.list[0].hops[TRACE_HOP_TAKEN].entry);
    trace_flow_fini(&flows);
    drop_parts();
}

/* ---- the whole ---- */

static char complaints[4096];

static void note(void *context, const char *line)
{
    (void)context;
    strncat(complaints, line, sizeof complaints - strlen(complaints) - 1);
    strncat(complaints, "\n", sizeof complaints - strlen(complaints) - 1);
}

static json *merge(trace_summary *summary)
{
    static trace_paths paths;
    char *bytes;
    size_t size;
    json *root;
    ps_error error;
    const json_options strict = {.source = "trace.json", .max_bytes = 1 << 20};
    complaints[0] = '\0';
    assert_int_equal(trace_paths_add(&paths, ".", &error), PS_OK);
    if (trace_merge(&paths, "trace.json", note, NULL, summary, &error) != PS_OK)
        fail_msg("%s", error.text);
    trace_paths_fini(&paths);
    assert_int_equal(file_read("trace.json", 1 << 20, &bytes, &size, NULL), PS_OK);
    if (json_parse(bytes, size, &strict, &root, NULL, &error) != PS_OK)
        fail_msg("%s", error.text);
    free(bytes);
    return root;
}

/* Events of that phase, of that process (0: of any), of that name (NULL: of any). */
static unsigned count(const json *root, const char *phase, double pid, const char *name)
{
    unsigned found = 0;
    for (const json *e = json_first(json_find(root, "traceEvents")); e; e = json_next(e)) {
        const char *its_phase, *its_name;
        double its_pid;
        assert_int_equal(json_as_string(json_find(e, "ph"), "ph", &its_phase, NULL), PS_OK);
        assert_int_equal(json_as_string(json_find(e, "name"), "name", &its_name, NULL), PS_OK);
        assert_int_equal(json_as_number(json_find(e, "pid"), "pid", &its_pid, NULL), PS_OK);
        found += strcmp(its_phase, phase) == 0 && (pid == 0 || its_pid == pid) &&
                 (!name || strcmp(its_name, name) == 0);
    }
    return found;
}

static void parts_become_one_json(void **state)
{
    (void)state;
    trace_summary summary;
    begin_samples("a", "a");
    sample_thread(&server, 1, "loop");
    for (uint64_t i = 1; i <= 20; i++)
        exchange(same_clock, 8000 * MS + i * MS, i * 64, 20000, 30000);
    const trace_mark_text mark = {
        .at_ns = 8000 * MS, .step = UINT64_MAX, .name = "member_lost", .text = "\"w\"\n\x01\xff"};
    sample_block(&server, TRACE_BLOCK_MARK, 0, &mark, sizeof mark);
    sample_end(&server);
    sample_end(&worker);
    folder_put("ps-0-1.part", server.bytes, server.count);
    folder_put("worker-0-1.part", worker.bytes, worker.count);
    json *root = merge(&summary);
    assert_string_equal(complaints, "");
    assert_int_equal(summary.used, 2);
    assert_int_equal(summary.written.flows, 20);
    assert_int_equal(count(root, "s", 2, "gradient"), 20);
    assert_int_equal(count(root, "t", 1, "gradient"), 60);
    assert_int_equal(count(root, "f", 2, "gradient"), 20);
    assert_int_equal(count(root, "X", 1, "apply"), 20);
    assert_int_equal(count(root, "X", 2, "push"), 20);
    assert_int_equal(count(root, "X", 0, NULL), summary.written.spans);
    assert_int_equal(count(root, "M", 0, "process_name"), 2);
    assert_int_equal(count(root, "i", 1, "member_lost"), 1);
    assert_int_equal(count(root, "i", 0, "start"), 2);
    assert_int_equal(count(root, "i", 0, "cut off"), 0);
    json_free(&root);
}

static void a_second_life_is_a_process_of_its_own_and_the_first_was_cut_off(void **state)
{
    (void)state;
    trace_summary summary;
    begin_samples("a", "a");
    server_applies(2 * MS, 1);
    folder_put("one.part", server.bytes, server.count);
    sample_begin(&server, TRACE_OF_PS, 0, 200000 * MS, "a");
    server_applies(3 * MS, 1);
    sample_end(&server);
    folder_put("another.part", server.bytes, server.count);
    folder_put("foreign.part", "nothing", 7);
    folder_put("torn.part", worker.bytes, worker.count - 1); /* not even a head */
    folder_put("other.file", "nothing", 7);
    json *root = merge(&summary);
    assert_non_null(strstr(complaints, "foreign.part: this is no part of a trace; it is left out\n"));
    assert_non_null(strstr(complaints, "torn.part: this is no part of a trace; it is left out\n"));
    assert_null(strstr(complaints, "other.file"));
    assert_int_equal(summary.used, 2);
    assert_int_equal(count(root, "i", 1, "cut off"), 1);
    assert_int_equal(count(root, "i", 2, "restart"), 1);
    assert_int_equal(count(root, "i", 2, "cut off"), 0);
    assert_int_equal(summary.without_push, 2);
    json_free(&root);
}

/* The answer's point was in the file, and the process was killed before its span was. */
static void arrows_of_one_that_was_killed_end_where_its_spans_do(void **state)
{
    (void)state;
    trace_summary summary;
    begin_samples("a", "a");
    exchange(same_clock, 8000 * MS, 64, 20000, 30000);
    worker_sends(8010 * MS, 128, 128);
    server_receives(8011 * MS, 128, 128);
    server_applies(8011 * MS + 1000, 128);
    trace_event answered = point(TRACE_ANSWERED, 8011 * MS + 6000, 128, 0);
    answered.value = 4711;
    answered.incarnation = 0;
    sample_event(&server, answered);
    sample_end(&worker);
    folder_put("ps-0-1.part", server.bytes, server.count);
    folder_put("worker-0-1.part", worker.bytes, worker.count);
    json *root = merge(&summary);
    assert_int_equal(summary.written.flows, 2);
    assert_int_equal(count(root, "s", 2, "gradient"), 2);
    assert_int_equal(count(root, "t", 1, "gradient"), 3 + 1);
    assert_int_equal(count(root, "f", 2, "gradient"), 1);
    assert_int_equal(count(root, "f", 1, "gradient"), 1); /* at the update */
    json_free(&root);
}

static void what_cannot_be_written_is_named_and_leaves_nothing(void **state)
{
    (void)state;
    static trace_paths paths;
    trace_summary summary;
    ps_error error;
    begin_samples("a", "a");
    folder_put("one.part", server.bytes, server.count);
    assert_int_equal(trace_paths_add(&paths, "one.part", &error), PS_OK);
    assert_int_equal(trace_merge(&paths, "none/trace.json", note, NULL, &summary, &error), PS_EIO);
    assert_non_null(strstr(error.text, "none/trace.json"));
    assert_int_equal(file_make_folder("taken", NULL), PS_OK);
    assert_int_equal(trace_merge(&paths, "taken", note, NULL, &summary, &error), PS_EIO);
    assert_int_equal(folder_count("."), 2); /* the part, and the folder in its way */
    trace_paths_fini(&paths);
    assert_int_equal(trace_paths_add(&paths, "missing.part", &error), PS_ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_host_has_one_clock_and_nothing_is_moved),
        cmocka_unit_test(clocks_of_two_hosts_agree_within_half_of_the_quickest_way_though_they_drift),
        cmocka_unit_test(a_host_of_workers_is_placed_by_way_of_a_ps_also_from_the_other_side),
        cmocka_unit_test(hosts_that_have_exchanged_nothing_are_placed_by_their_calendars),
        cmocka_unit_test(a_gradient_flows_from_push_to_update_to_pull),
        cmocka_unit_test(a_step_in_two_messages_has_two_flows_through_one_update),
        cmocka_unit_test(of_a_request_that_was_sent_again_the_sending_that_came_in_counts),
        cmocka_unit_test(an_update_of_a_push_that_nobody_knows_of_is_counted),
        cmocka_unit_test(a_push_that_came_in_before_the_ps_began_anew_flows_to_its_update_all_the_same),
        FOLDER_TEST(parts_become_one_json),
        FOLDER_TEST(a_second_life_is_a_process_of_its_own_and_the_first_was_cut_off),
        FOLDER_TEST(arrows_of_one_that_was_killed_end_where_its_spans_do),
        FOLDER_TEST(what_cannot_be_written_is_named_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
