/* The worker's core, worker/session, with hand-made answers in place of the ps. */
#include "worker/session.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/recycler.h"
#include "tests/unit/log_capture.h"
#include "tests/unit/session_bench.h"
#include "tests/unit/silence.h"
#include "tests/unit/torture.h"

/* ---- joining ---- */

static void hello_goes_to_each_ps_with_its_index_and_the_job(void **state)
{
    (void)state;
    bench b;
    uint64_t step = 99;
    open_bench(&b, ELEMENTS, SERVERS);
    for (uint32_t server = 0; server < SERVERS; server++) {
        wire_message *m = take(&b, server, 0, WIRE_HELLO);
        assert_int_equal(m->receiver, server);
        assert_int_equal(m->request, 1);
        assert_int_equal(job_difference(&b.job, m->hello, NULL), PS_OK);
        wire_destroy(&m);
        assert_silent(&b, server, 0);
    }
    wire_message *m = make_answer(&b, 1, WIRE_WELCOME, 1, 0);
    m->step = 12;
    give(&b, 1, m);
    assert_false(session_joined(b.session, &step));
    assert_false(session_welcomed(b.session, 0));
    assert_true(session_welcomed(b.session, 1));
    m = make_answer(&b, 0, WIRE_WELCOME, 1, 0);
    m->step = 12;
    m->oldest = 12;
    give(&b, 0, m);
    assert_true(session_joined(b.session, &step));
    assert_int_equal(step, 12);
    close_bench(&b);
}

static void hello_is_repeated_until_it_is_answered(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, ELEMENTS, SERVERS);
    take_request(&b, 0, 1000, WIRE_HELLO);
    assert_silent(&b, 0, 1000 + FIRST_MS - 1);
    take_request(&b, 0, 1000 + FIRST_MS, WIRE_HELLO);
    assert_silent(&b, 0, 1000 + FIRST_MS);
    give_plain(&b, 0, WIRE_WELCOME, 1);
    assert_silent(&b, 0, 9000);
    close_bench(&b);
}

static void requests_wait_until_all_ps_have_said_welcome(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, ELEMENTS, SERVERS);
    submit(&b, WIRE_PULL, 0);
    take_request(&b, 0, 0, WIRE_HELLO);
    take_request(&b, 1, 0, WIRE_HELLO);
    assert_silent(&b, 0, 1);
    give_plain(&b, 0, WIRE_WELCOME, 1);
    assert_silent(&b, 0, 1);
    assert_silent(&b, 1, 1);
    give_plain(&b, 1, WIRE_WELCOME, 1);
    take_request(&b, 0, 1, WIRE_PULL);
    take_request(&b, 1, 1, WIRE_PULL);
    close_bench(&b);
}

static void refused_hello_ends_the_session(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, ELEMENTS, SERVERS);
    take_request(&b, 1, 0, WIRE_HELLO);
    give_text(&b, 1, WIRE_ERROR, 0, PS_EMISMATCH, "seed is 1 here, but 2 in the job");
    assert_fails(&b, PS_EMISMATCH, "ps/1: seed is 1 here, but 2 in the job");
    assert_silent(&b, 1, 9000);
    give_text(&b, 0, WIRE_ERROR, 0, PS_ELIMIT, "another reason"); /* the first stays */
    assert_fails(&b, PS_EMISMATCH, "ps/1: seed is 1 here, but 2 in the job");
    close_bench(&b);
}

static void wrong_process_at_an_address_ends_the_session(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, ELEMENTS, SERVERS);
    give(&b, 0, make_answer(&b, 1, WIRE_WELCOME, 1, 0));
    assert_fails(&b, PS_EMISMATCH, "ps/0: at its address answers another process");
    close_bench(&b);
    open_bench(&b, ELEMENTS, SERVERS);
    wire_message *m = make_answer(&b, 1, WIRE_WELCOME, 1, 0);
    m->job++;
    give(&b, 1, m);
    assert_fails(&b, PS_EMISMATCH, "ps/1: it serves another job");
    close_bench(&b);
}

/* ---- requests ---- */

static void push_is_cut_by_ps_and_lends_the_gradient_in_place(void **state)
{
    (void)state;
    bench b;
    open_joined(&b);
    submit(&b, WIRE_PUSH_PULL, 1);
    uint32_t slices = 0;
    for (uint32_t server = 0; server < SERVERS; server++) {
        wire_message *m = take(&b, server, 0, WIRE_PUSH_PULL);
        assert_int_equal(m->step, 1);
        assert_int_equal(m->examples, 10);
        assert_true(m->has_payload);
        for (uint32_t i = 0; i < m->slice_count; i++, slices++) {
            const slice *cut = &b.map.slices[m->slices[i]];
            assert_int_equal(cut->server, server);
            assert_ptr_equal(buffer_bytes(m->payloads[i]), b.gradient + cut->offset);
            assert_int_equal(buffer_size(m->payloads[i]), cut->count * sizeof(float));
        }
        wire_destroy(&m);
        assert_silent(&b, server, 0);
    }
    assert_int_equal(slices, b.map.count);
    close_bench(&b);
}

static void push_of_many_slices_takes_several_messages(void **state)
{
    (void)state;
    enum { SLICES = WIRE_SLICES_MAX + 3 };
    bench *b = calloc(1, sizeof *b);
    float *large = calloc((size_t)SLICES * 1024, sizeof *large);
    assert_true(b && large);
    open_bench(b, (uint64_t)SLICES * 1024, 1);
    b->gradients_of[0] = large;
    join_all(b);
    session_ticket ticket = submit(b, WIRE_PUSH, 1);
    wire_message *first = take(b, 0, 0, WIRE_PUSH), *second = take(b, 0, 0, WIRE_PUSH);
    assert_int_equal(first->slice_count, WIRE_SLICES_MAX);
    assert_int_equal(second->slice_count, 3);
    assert_int_equal(second->slices[0], WIRE_SLICES_MAX);
    assert_true(second->request > first->request);
    give_plain(b, 0, WIRE_ACK, second->request);
    assert_false(session_answered(b->session, ticket));
    give_plain(b, 0, WIRE_ACK, first->request);
    assert_true(session_answered(b->session, ticket));
    wire_destroy(&first);
    wire_destroy(&second);
    close_bench(b);
    free(large);
    free(b);
}

static void weights_are_put_where_their_slices_belong(void **state)
{
    (void)state;
    bench b;
    open_joined(&b);
    session_ticket ticket = submit(&b, WIRE_PULL, 0);
    for (uint32_t server = 0; server < SERVERS; server++) {
        uint64_t request = take_request(&b, server, 0, WIRE_PULL);
        wire_message *m = make_weights(&b, server, request, 0.5f);
        m->step = 5 + server;
        m->examples_total = 100 - server;
        m->job_finished = server == 1;
        give(&b, server, m);
    }
    session_result result;
    assert_true(session_finished(b.session, ticket));
    assert_int_equal(session_collect(b.session, ticket, &result, NULL), PS_OK);
    for (int i = 0; i < ELEMENTS; i++)
        assert_true(b.weights[i] == (float)i + 0.5f);
    assert_int_equal(result.step, 6);
    assert_int_equal(result.examples_total, 99);
    assert_false(result.job_finished); /* one of the two says so, not both */
    close_bench(&b);
}

static void push_without_examples_reads_no_gradient(void **state)
{
    (void)state;
    bench b;
    open_joined(&b);
    const session_request request = {.type = WIRE_PUSH, .step = 1, .clip_factor = 1};
    session_ticket ticket;
    assert_int_equal(session_submit(b.session, &request, &ticket), PS_OK);
    wire_message *m = take(&b, 0, 0, WIRE_PUSH);
    assert_false(m->has_payload);
    assert_true(m->slice_count > 0);
    wire_destroy(&m);
    close_bench(&b);
}

static void finish_goes_to_every_ps(void **state)
{
    (void)state;
    bench b;
    open_joined(&b);
    session_ticket ticket = submit(&b, WIRE_FINISH, 0);
    for (uint32_t server = 0; server < SERVERS; server++) {
        wire_message *m = take(&b, server, 0, WIRE_FINISH);
        assert_int_equal(m->slice_count, 0);
        give_plain(&b, server, WIRE_ACK, m->request);
        wire_destroy(&m);
    }
    assert_true(session_finished(b.session, ticket));
    close_bench(&b);
}

static void operation_is_finished_only_when_what_was_lent_is_back(void **state)
{
    (void)state;
    bench b;
    open_joined(&b);
    session_ticket ticket = submit(&b, WIRE_PUSH, 1);
    wire_message *sent[SERVERS];
    for (uint32_t server = 0; server < SERVERS; server++) {
        sent[server] = take(&b, server, 0, WIRE_PUSH);
        give_plain(&b, server, WIRE_ACK, sent[server]->request);
    }
    assert_true(session_answered(b.session, ticket));
    assert_false(session_finished(b.session, ticket));
    session_await_release(b.session, ticket, 1);
    wire_destroy(&sent[0]);
    assert_false(session_finished(b.session, ticket));
    wire_destroy(&sent[1]);
    session_await_release(b.session, ticket, 1);
    assert_true(session_finished(b.session, ticket));
    close_bench(&b);
}

static void outstanding_operations_are_bounded(void **state)
{
    (void)state;
    bench b;
    open_joined(&b);
    session_ticket last = 0;
    for (int i = 0; i < SESSION_OPERATIONS_MAX; i++)
        last = submit(&b, WIRE_FINISH, 0);
    const session_request request = {.type = WIRE_FINISH};
    session_ticket ticket;
    assert_int_equal(session_submit(b.session, &request, &ticket), PS_ELIMIT);
    /* Collecting one makes room for one. Older operations are sent first. */
    uint64_t request_number = 0;
    for (uint32_t server = 0; server < SERVERS; server++) {
        uint64_t before = 0;
        for (int i = 0; i < SESSION_OPERATIONS_MAX; i++) {
            request_number = take_request(&b, server, 0, WIRE_FINISH);
            assert_true(request_number > before);
            before = request_number;
        }
        give_plain(&b, server, WIRE_ACK, request_number);
    }
    session_result result;
    assert_int_equal(session_collect(b.session, last, &result, NULL), PS_OK);
    assert_int_equal(session_submit(b.session, &request, &ticket), PS_OK);
    close_bench(&b);
}

/* ---- codecs ---- */

static void encoded_gradient_is_the_same_payload_when_it_is_sent_again(void **state)
{
    (void)state;
    bench b;
    open_encoding_bench(&b, 1000, 1, CODEC_TOPK, CODEC_FP32);
    join_all(&b);
    session_ticket ticket = submit(&b, WIRE_PUSH, 1);
    wire_message *m = take(&b, 0, 0, WIRE_PUSH);
    assert_int_equal(buffer_size(m->payloads[0]), 10 * 8);
    const codec_topk_entry *entries = buffer_bytes(m->payloads[0]);
    for (uint32_t i = 0; i < 10; i++)
        assert_true(entries[i].index == 990 + i && entries[i].value == (float)(990 + i));
    const float *residual = session_residual(b.session, 0);
    assert_true(residual[989] == 989 && residual[990] == 0);

    give_plain(&b, 0, WIRE_RESEND, m->request);
    wire_message *again = take(&b, 0, 5, WIRE_PUSH);
    assert_ptr_equal(again->payloads[0], m->payloads[0]);
    assert_true(residual[989] == 989 && residual[990] == 0);
    give_plain(&b, 0, WIRE_ACK, m->request);
    assert_true(session_finished(b.session, ticket)); /* the gradient itself was not lent */
    session_result result;
    assert_int_equal(session_collect(b.session, ticket, &result, NULL), PS_OK);
    assert_true(entries[9].value == 999); /* what still travels is not used again */
    wire_destroy(&m);
    wire_destroy(&again);
    close_bench(&b);
}

static void gradient_with_a_residual_waits_for_its_judgement_and_leaves_none_if_it_is_left_out(void **state)
{
    (void)state;
    bench b;
    open_encoding_bench(&b, 2000, 1, CODEC_TOPK, CODEC_FP32);
    join_all(&b);
    const session_request request = {.type = WIRE_PUSH,
                                     .step = 1,
                                     .examples = 10,
                                     .clip_factor = 1,
                                     .by_tensor = true,
                                     .gradients = b.gradients_of};
    session_ticket ticket;
    assert_int_equal(session_submit(b.session, &request, &ticket), PS_OK);
    assert_int_equal(session_ready(b.session, ticket, 0, 1), PS_OK);
    assert_silent(&b, 0, 1);
    session_judge(b.session, ticket, true, 1);
    wire_message *m = take(&b, 0, 2, WIRE_PUSH);
    assert_true(m->nonfinite);
    const codec_topk_entry *entries = buffer_bytes(m->payloads[0]);
    assert_true(entries[0].index == 0 && entries[9].index == 9 && entries[9].value == 0);
    for (int i = 0; i < 2000; i++)
        assert_true(session_residual(b.session, 0)[i] == 0);
    wire_destroy(&m);
    close_bench(&b);
}

static void encoded_weights_are_decoded_into_their_place_and_final_ones_are_plain(void **state)
{
    (void)state;
    bench b;
    open_encoding_bench(&b, 1000, 1, CODEC_FP32, CODEC_FP16);
    join_all(&b);
    session_ticket ticket = submit(&b, WIRE_PULL, 0);
    uint64_t request = take_request(&b, 0, 0, WIRE_PULL);
    wire_message *plain = make_weights(&b, 0, request, 0), *halves = make_weights(&b, 0, request, 0);
    const codec_config codec = {.kind = CODEC_FP16};
    buffer *payload = buffer_alloc(2000);
    codec_encode(&codec, buffer_bytes(plain->payloads[0]), 1000, NULL, buffer_data(payload));
    buffer_unref(&halves->payloads[0]);
    halves->payloads[0] = payload;
    give(&b, 0, plain); /* of another size than was agreed: ignored */
    assert_false(session_answered(b.session, ticket));
    give(&b, 0, halves);
    assert_true(session_answered(b.session, ticket));
    for (int i = 0; i < 1000; i++)
        assert_true(b.weights[i] == (float)i);

    const session_request final = {.type = WIRE_PULL, .after_finish = true, .weights = b.weights_of};
    assert_int_equal(session_submit(b.session, &final, &ticket), PS_OK);
    request = take_request(&b, 0, 0, WIRE_PULL);
    give(&b, 0, make_weights(&b, 0, request, 0.001f));
    assert_true(session_answered(b.session, ticket));
    for (int i = 0; i < 1000; i++)
        assert_true(b.weights[i] == (float)i + 0.001f);
    close_bench(&b);
}

/* ---- allocations ---- */

static void session_survives_each_failing_allocation(void **state)
{
    (void)state;
    bench b;
    open_joined(&b);
    const session_config config = {
        .job = &b.job, .partition = &b.map, .role = WIRE_WORKER, .query_first_ms = 1, .query_max_ms = 1};
    ps_status status = PS_ENOMEM;
    for (long allowed = 0; status != PS_OK; allowed++) {
        assert_true(allowed < 50);
        session *s;
        torture_begin(allowed);
        status = session_create(&config, &s);
        torture_end();
        assert_int_equal(status == PS_OK, s != NULL);
        session_destroy(&s);
    }
    const session_request request = {.type = WIRE_PUSH,
                                     .step = 1,
                                     .examples = 1,
                                     .clip_factor = 1,
                                     .gradients = b.gradients_of,
                                     .weights = b.weights_of,
                                     .by_tensor = true};
    session_ticket ticket;
    status = PS_ENOMEM;
    for (long allowed = 0; status != PS_OK; allowed++) {
        assert_true(allowed < 50);
        torture_begin(allowed);
        status = session_submit(b.session, &request, &ticket);
        torture_end();
    }
    assert_int_equal(session_ready(b.session, ticket, 0, 1), PS_OK);
    session_judge(b.session, ticket, false, 1);
    wire_message *m = NULL; /* a message that finds no memory is tried again */
    for (long allowed = 0; !m; allowed++) {
        assert_true(allowed < 50);
        torture_begin(allowed);
        m = session_next(b.session, 0, 0);
        torture_end();
    }
    assert_int_equal(m->type, WIRE_PUSH);
    wire_destroy(&m);
    session_await_release(b.session, ticket, 0);
    close_bench(&b);
}

/* Pushes and pulls, all of the one, then all of the other; returns how often the session allocated. */
static long do_round(bench *b)
{
    enum { TOGETHER = 3 };
    session_ticket tickets[TOGETHER];
    wire_message *messages[TOGETHER][SERVERS];
    long allocations = 0;
    for (int i = 0; i < TOGETHER; i++) {
        const session_request request = {
            .type = WIRE_PUSH_PULL,
            .step = 1,
            .examples = 1,
            .clip_factor = 1,
            .by_tensor = i == TOGETHER - 1,
            .gradients = b->gradients_of,
            .weights = b->weights_of,
        };
        torture_begin(LONG_MAX);
        assert_int_equal(session_submit(b->session, &request, &tickets[i]), PS_OK);
        if (request.by_tensor) {
            assert_int_equal(session_ready(b->session, tickets[i], 0, 1), PS_OK);
            session_judge(b->session, tickets[i], false, 1);
        }
        for (uint32_t server = 0; server < SERVERS; server++)
            messages[i][server] = session_next(b->session, server, 0);
        torture_end();
        allocations += torture_count() - (RECYCLER_KEEPS ? 0 : SERVERS); /* the messages */
    }
    for (int i = 0; i < TOGETHER; i++) {
        for (uint32_t server = 0; server < SERVERS; server++) {
            wire_message *answer = make_weights(b, server, messages[i][server]->request, 0);
            wire_destroy(&messages[i][server]);
            torture_begin(LONG_MAX);
            session_receive(b->session, server, &answer);
            session_tick(b->session, 0);
            torture_end();
            allocations += torture_count();
        }
        session_result result;
        torture_begin(LONG_MAX);
        assert_true(session_finished(b->session, tickets[i]));
        assert_int_equal(session_collect(b->session, tickets[i], &result, NULL), PS_OK);
        torture_end();
        allocations += torture_count();
    }
    return allocations;
}

static void nothing_is_allocated_after_the_first_round(void **state)
{
    (void)state;
    bench b;
    open_joined(&b);
    assert_true(do_round(&b) > 0);
    for (int round = 0; round < 5; round++)
        assert_int_equal(do_round(&b), 0);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_goes_to_each_ps_with_its_index_and_the_job),
        cmocka_unit_test(hello_is_repeated_until_it_is_answered),
        cmocka_unit_test(requests_wait_until_all_ps_have_said_welcome),
        cmocka_unit_test(refused_hello_ends_the_session),
        cmocka_unit_test(wrong_process_at_an_address_ends_the_session),
        cmocka_unit_test(push_is_cut_by_ps_and_lends_the_gradient_in_place),
        cmocka_unit_test(push_of_many_slices_takes_several_messages),
        cmocka_unit_test(weights_are_put_where_their_slices_belong),
        cmocka_unit_test(push_without_examples_reads_no_gradient),
        cmocka_unit_test(finish_goes_to_every_ps),
        cmocka_unit_test(operation_is_finished_only_when_what_was_lent_is_back),
        cmocka_unit_test(outstanding_operations_are_bounded),
        cmocka_unit_test(encoded_gradient_is_the_same_payload_when_it_is_sent_again),
        cmocka_unit_test(gradient_with_a_residual_waits_for_its_judgement_and_leaves_none_if_it_is_left_out),
        cmocka_unit_test(encoded_weights_are_decoded_into_their_place_and_final_ones_are_plain),
        cmocka_unit_test(session_survives_each_failing_allocation),
        cmocka_unit_test(nothing_is_allocated_after_the_first_round),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
