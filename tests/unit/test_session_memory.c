/* What worker/session makes of memory that it shares with a ps, and of what it is lent there. */
#include <stdlib.h>

#include "tests/unit/session_bench.h"

/* Both sides can map each other's memory, or but one of them. */
static void join_sharing(bench *b, bool reads_ours, bool read_by_us)
{
    for (uint32_t server = 0; server < b->job.servers; server++) {
        take_request(b, server, 0, WIRE_HELLO);
        wire_message *m = make_answer(b, server, WIRE_WELCOME, 1, 0);
        m->reads_memory = reads_ours;
        m->readable = read_by_us;
        m->segment_count = 1;
        give(b, server, m);
    }
}

static void open_sharing(bench *b)
{
    open_bench(b, ELEMENTS, SERVERS);
    join_sharing(b, true, true);
}

/* Weights that lie in memory of the ps, its answer number `number`. */
static wire_message *make_lent(bench *b, uint32_t server, uint64_t request, uint64_t number, float base)
{
    wire_message *m = make_weights(b, server, request, base);
    m->settled = number;
    m->segment_count = 1;
    m->readable = true;
    return m;
}

/* ---- what is said to be possible ---- */

static void memory_is_used_as_far_as_welcome_says(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        bool reads_ours = i & 1, read_by_us = i & 2;
        bench b;
        open_bench(&b, ELEMENTS, SERVERS);
        join_sharing(&b, reads_ours, read_by_us);
        submit(&b, WIRE_PUSH_PULL, 1);
        for (uint32_t server = 0; server < SERVERS; server++) {
            wire_message *m = take(&b, server, 0, WIRE_PUSH_PULL);
            assert_true(m->by_reference == reads_ours);
            assert_true(m->reads_memory == read_by_us);
            wire_destroy(&m);
        }
        close_bench(&b);
    }
}

/* It is answered before it has been read. */
static void synchronous_push_alone_goes_through_the_socket(void **state)
{
    (void)state;
    const consistency_mode modes[] = {CONSISTENCY_SYNC, CONSISTENCY_SSP, CONSISTENCY_ASYNC};
    for (int i = 0; i < 3; i++) {
        bench b;
        memset(&b, 0, sizeof b);
        job_sample(&b.job, 1, 1, ELEMENTS);
        b.job.mode = modes[i];
        open_session(&b, 0, 0);
        join_sharing(&b, true, true);
        submit(&b, WIRE_PUSH, 1);
        wire_message *m = take(&b, 0, 0, WIRE_PUSH);
        assert_true(m->by_reference == (modes[i] != CONSISTENCY_SYNC));
        wire_destroy(&m);
        close_bench(&b);
    }
}

/* ---- memory that cannot be read after all ---- */

static void weights_that_cannot_be_read_are_asked_for_through_the_socket(void **state)
{
    (void)state;
    bench b;
    open_sharing(&b);
    session_ticket ticket = submit(&b, WIRE_PULL, 0);
    uint64_t request = take_request(&b, 0, 0, WIRE_PULL);
    take_request(&b, 1, 0, WIRE_PULL);
    wire_message *m = make_lent(&b, 0, request, 1, 0.5f);
    m->readable = false;
    for (uint32_t i = 0; i < m->slice_count; i++)
        buffer_unref(&m->payloads[i]);
    give(&b, 0, m);
    assert_false(session_has_weights(b.session, ticket, 0, 1));
    m = take(&b, 0, 0, WIRE_PULL);
    assert_int_equal(m->request, request);
    assert_int_equal(m->settled, 1); /* it will not be taken */
    assert_false(m->reads_memory);
    assert_true(m->by_reference); /* the other direction is another matter */
    wire_destroy(&m);
    give(&b, 0, make_weights(&b, 0, request, 0.5f));
    assert_silent(&b, 1, 0);
    submit(&b, WIRE_PULL, 0);
    for (uint32_t server = 0; server < SERVERS; server++) {
        m = take(&b, server, 0, WIRE_PULL);
        assert_true(m->reads_memory == (server == 1));
        wire_destroy(&m);
    }
    close_bench(&b);
}

static void ps_that_cannot_read_is_sent_frames_from_then_on(void **state)
{
    (void)state;
    bench b;
    open_sharing(&b);
    submit(&b, WIRE_PUSH_PULL, 1);
    uint64_t request = take_request(&b, 0, 0, WIRE_PUSH_PULL);
    take_request(&b, 1, 0, WIRE_PUSH_PULL);
    wire_message *m = make_answer(&b, 0, WIRE_RESEND, request, 0);
    m->reads_memory = true; /* just lost */
    give(&b, 0, m);
    m = take(&b, 0, 0, WIRE_PUSH_PULL);
    assert_int_equal(m->request, request);
    assert_true(m->by_reference);
    wire_destroy(&m);
    give_plain(&b, 0, WIRE_RESEND, request);
    for (int i = 0; i < 2; i++) {
        m = take(&b, 0, 0, WIRE_PUSH_PULL);
        assert_false(m->by_reference);
        wire_destroy(&m);
        if (i == 0) {
            m = make_answer(&b, 0, WIRE_RESEND, request, 0);
            m->reads_memory = true; /* said before, come late */
            give(&b, 0, m);
        }
    }
    close_bench(&b);
}

/* ---- what is lent may be taken back ---- */

static void answer_lent_before_the_request_was_repeated_is_not_read(void **state)
{
    (void)state;
    bench b;
    open_sharing(&b);
    session_ticket ticket = submit(&b, WIRE_PULL, 0);
    uint64_t request = take_request(&b, 0, 0, WIRE_PULL);
    wire_message *m = make_answer(&b, 0, WIRE_RESEND, request, 0);
    m->reads_memory = true;
    give(&b, 0, m);
    m = take(&b, 0, 0, WIRE_PULL);
    assert_false(m->reads_memory); /* so that the answer to this one can be told apart */
    wire_destroy(&m);
    give(&b, 0, make_lent(&b, 0, request, 1, 100));
    assert_silent(&b, 0, 0);
    assert_int_equal(session_count(b.session)->bytes_pulled, 0);
    m = make_weights(&b, 0, request, 0.5f);
    m->settled = 2;
    give(&b, 0, m);
    assert_int_equal(session_count(b.session)->bytes_pulled, partition_server_elements(&b.map, 0) * 4);
    for (uint32_t i = 0; i < b.map.count; i++)
        if (b.map.slices[i].server == 0)
            assert_true(b.weights[b.map.slices[i].offset] == (float)b.map.slices[i].offset + 0.5f);
    assert_false(session_answered(b.session, ticket));
    close_bench(&b);
}

static void answer_lent_before_one_that_has_come_is_not_read(void **state)
{
    (void)state;
    bench b;
    open_sharing(&b);
    session_ticket first = submit(&b, WIRE_PULL, 0);
    submit(&b, WIRE_PULL, 0);
    uint64_t requests[2];
    for (int i = 0; i < 2; i++)
        requests[i] = take_request(&b, 0, 0, WIRE_PULL);
    uint64_t of_one = partition_server_elements(&b.map, 0) * 4;
    give(&b, 0, make_lent(&b, 0, requests[1], 2, 0));
    assert_int_equal(session_count(b.session)->bytes_pulled, of_one);
    give(&b, 0, make_lent(&b, 0, requests[0], 1, 0));
    assert_int_equal(session_count(b.session)->bytes_pulled, of_one);
    session_tick(b.session, FIRST_MS);
    assert_true(take_request(&b, 0, FIRST_MS, WIRE_QUERY) == requests[0]);
    /* What came in frames is good whenever it comes. */
    wire_message *m = make_weights(&b, 0, requests[0], 0);
    m->settled = 1;
    give(&b, 0, m);
    assert_int_equal(session_count(b.session)->bytes_pulled, 2 * of_one);
    assert_false(session_answered(b.session, first)); /* ps/1 */
    close_bench(&b);
}

/* ---- what a ps is told ---- */

static void ps_is_told_the_highest_number_that_came_from_it(void **state)
{
    (void)state;
    bench b;
    open_sharing(&b);
    for (int i = 0; i < 3; i++)
        submit(&b, WIRE_PULL, 0);
    uint64_t requests[SERVERS][3];
    for (uint32_t server = 0; server < SERVERS; server++)
        for (int i = 0; i < 3; i++)
            requests[server][i] = take_request(&b, server, 0, WIRE_PULL);
    /* What ps/0 still owes does not hold back what ps/1 hears, nor does the lowest request. */
    give(&b, 1, make_lent(&b, 1, requests[1][2], 7, 0));
    submit(&b, WIRE_PULL, 0);
    for (uint32_t server = 0; server < SERVERS; server++) {
        wire_message *m = take(&b, server, 0, WIRE_PULL);
        assert_int_equal(m->settled, server == 1 ? 7 : 0);
        wire_destroy(&m);
    }
    give(&b, 1, make_weights(&b, 1, requests[1][0], 0)); /* without a number */
    session_tick(b.session, FIRST_MS);
    wire_message *m = take(&b, 1, FIRST_MS, WIRE_QUERY);
    assert_int_equal(m->settled, 7);
    wire_destroy(&m);
    close_bench(&b);
}

static void ps_is_told_what_has_been_taken_while_it_owes_more(void **state)
{
    (void)state;
    enum { SLICE = SESSION_SETTLE_BYTES / 2, SLICES = 4 };
    bench *b = calloc(1, sizeof *b);
    float *large = calloc((size_t)SLICES, SLICE);
    assert_true(b && large);
    job_sample(&b->job, 1, 1, (uint64_t)SLICES * SLICE / sizeof(float));
    b->job.slice_bytes = SLICE;
    open_session(b, 0, SLICE);
    b->weights_of[0] = large;
    join_all(b);
    submit(b, WIRE_PULL, 0);
    uint64_t requests[SLICES];
    for (uint32_t i = 0; i < SLICES; i++) {
        wire_message *m = take(b, 0, 0, WIRE_PULL);
        requests[i] = m->request;
        assert_int_equal(m->settled, 0);
        wire_destroy(&m);
    }
    for (uint32_t i = 0; i < SLICES; i++) {
        wire_message *m = make_answer(b, 0, WIRE_WEIGHTS, requests[i], 1);
        m->settled = i + 1;
        m->has_payload = true;
        m->slices[0] = i;
        m->payloads[0] = buffer_alloc(SLICE);
        memset(buffer_data(m->payloads[0]), 0, SLICE);
        give(b, 0, m);
        if (i == 1) { /* as much as it may be silent about; after the last there is nothing to say */
            m = take(b, 0, 0, WIRE_SETTLE);
            assert_int_equal(m->settled, 2);
            wire_destroy(&m);
        }
        assert_silent(b, 0, 0);
    }
    close_bench(b);
    free(large);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_used_as_far_as_welcome_says),
        cmocka_unit_test(synchronous_push_alone_goes_through_the_socket),
        cmocka_unit_test(weights_that_cannot_be_read_are_asked_for_through_the_socket),
        cmocka_unit_test(ps_that_cannot_read_is_sent_frames_from_then_on),
        cmocka_unit_test(answer_lent_before_the_request_was_repeated_is_not_read),
        cmocka_unit_test(answer_lent_before_one_that_has_come_is_not_read),
        cmocka_unit_test(ps_is_told_the_highest_number_that_came_from_it),
        cmocka_unit_test(ps_is_told_what_has_been_taken_while_it_owes_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
