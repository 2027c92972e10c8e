/* What a session does about answers that do not come, or not as expected, and a ps that is silent. */
#include "worker/session.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/recycler.h"
#include "tests/unit/log_capture.h"
#include "tests/unit/session_bench.h"
#include "tests/unit/silence.h"
#include "tests/unit/torture.h"

/* ---- retransmission ---- */

/* At `due_ms`, and not before, the session asks about its request. */
static void assert_asks_at(bench *b, uint64_t due_ms, uint64_t request)
{
    session_tick(b->session, due_ms - 1);
    assert_silent(b, 0, due_ms - 1);
    session_tick(b->session, due_ms);
    assert_int_equal(take_request(b, 0, due_ms, WIRE_QUERY), request);
    assert_silent(b, 0, due_ms);
}

static void unanswered_request_is_asked_about_ever_more_seldom(void **state)
{
    (void)state;
    bench b;
    open_joined(&b);
    submit(&b, WIRE_PULL, 1);
    uint64_t request = take_request(&b, 0, 1000, WIRE_PULL);
    assert_asks_at(&b, 1000 + 100, request);
    assert_asks_at(&b, 1100 + 200, request);
    assert_asks_at(&b, 1300 + 300, request);
    assert_asks_at(&b, 1600 + 300, request);
    give_text(&b, 0, WIRE_PENDING, request, PS_OK, "step 1 waits for worker 3");
    assert_asks_at(&b, 1900 + 300, request);
    close_bench(&b);
}

static void reason_to_wait_is_forgotten_when_the_ps_gives_it_no_more(void **state)
{
    (void)state;
    bench b;
    log_capture c;
    open_joined(&b);
    submit(&b, WIRE_PULL, 1);
    session_tick(b.session, 1000);
    uint64_t request = take_request(&b, 0, 1000, WIRE_PULL);
    assert_asks_at(&b, 1100, request);
    give_text(&b, 0, WIRE_PENDING, request, PS_OK, "step 1 waits for worker 3");
    log_capture_begin(&c);
    log_setup("test", LOG_WARNING);
    session_tick(b.session, 1000 + SESSION_STALL_MS);
    assert_int_equal(take_request(&b, 0, 1000 + SESSION_STALL_MS, WIRE_QUERY), request);
    session_tick(b.session, 1000 + 2 * SESSION_STALL_MS); /* the ps has died */
    log_setup("test", LOG_OFF);
    log_capture_pause(&c);
    assert_true(log_capture_has(&c, "no answer from ps/0 for 5 s; step 1 waits for worker 3\n"));
    assert_true(log_capture_has(&c, "no answer from ps/0 for 10 s; it does not respond\n"));
    log_capture_end(&c);
    close_bench(&b);
}

static void request_that_the_ps_does_not_know_is_sent_again(void **state)
{
    (void)state;
    bench b;
    open_joined(&b);
    session_ticket ticket = submit(&b, WIRE_PUSH, 1);
    uint64_t request = take_request(&b, 0, 0, WIRE_PUSH);
    give_plain(&b, 0, WIRE_RESEND, request);
    give_plain(&b, 0, WIRE_RESEND, request); /* twice asked for is once sent */
    wire_message *m = take(&b, 0, 5, WIRE_PUSH);
    assert_int_equal(m->request, request);
    assert_ptr_equal(buffer_bytes(m->payloads[0]), b.gradient + b.map.slices[m->slices[0]].offset);
    wire_destroy(&m);
    assert_silent(&b, 0, 5);
    assert_int_equal(session_count(b.session)->requests, 1);
    assert_int_equal(session_count(b.session)->resent, 1);
    give_plain(&b, 0, WIRE_ACK, request);
    give_plain(&b, 0, WIRE_RESEND, request); /* stale: it is answered */
    assert_silent(&b, 0, 6);
    assert_false(session_answered(b.session, ticket)); /* ps/1 has still to answer */
    close_bench(&b);
}

/* ---- answers that are not as expected ---- */

static void refusal_ends_the_operation_alone(void **state)
{
    (void)state;
    bench b;
    open_joined(&b);
    session_ticket ticket = submit(&b, WIRE_PULL, 0);
    uint64_t first = take_request(&b, 0, 0, WIRE_PULL), second = take_request(&b, 1, 0, WIRE_PULL);
    give_text(&b, 0, WIRE_ERROR, first, PS_ELIMIT, "worker 0 has 65 requests open");
    assert_false(session_answered(b.session, ticket));
    give(&b, 1, make_weights(&b, 1, second, 0));
    session_result result;
    ps_error error;
    assert_true(session_finished(b.session, ticket));
    assert_int_equal(session_collect(b.session, ticket, &result, &error), PS_ELIMIT);
    assert_string_equal(error.text, "ps/0: worker 0 has 65 requests open");
    assert_int_equal(session_failure(b.session, NULL), PS_OK);
    close_bench(&b);
}

static void refusal_that_ends_the_job_is_not_kept_back_by_a_ps_that_waits(void **state)
{
    (void)state;
    const ps_status statuses[] = {PS_EPEER, PS_EMISMATCH, PS_ENONFINITE, PS_ENOMEM};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        bench b;
        open_joined(&b);
        submit(&b, WIRE_PULL, 1);
        give_text(&b, 0, WIRE_ERROR, take_request(&b, 0, 0, WIRE_PULL), statuses[i], "it is over");
        ps_error error;
        assert_int_equal(session_failure(b.session, &error), statuses[i]);
        assert_string_equal(error.text, "ps/0: it is over");
        close_bench(&b);
    }
}

static void refusal_without_status_or_reason_is_still_one(void **state)
{
    (void)state;
    bench b;
    open_joined(&b);
    session_ticket ticket = submit(&b, WIRE_FINISH, 0);
    give_plain(&b, 0, WIRE_ERROR, take_request(&b, 0, 0, WIRE_FINISH));
    give_plain(&b, 1, WIRE_ACK, take_request(&b, 1, 0, WIRE_FINISH));
    session_result result;
    ps_error error;
    assert_int_equal(session_collect(b.session, ticket, &result, &error), PS_EPROTOCOL);
    assert_string_equal(error.text, "ps/0: refused without a reason");
    close_bench(&b);
}

static void answers_that_fit_no_open_request_are_ignored(void **state)
{
    (void)state;
    bench b;
    open_joined(&b);
    session_ticket ticket = submit(&b, WIRE_FINISH, 0);
    uint64_t first = take_request(&b, 0, 0, WIRE_FINISH), second = take_request(&b, 1, 0, WIRE_FINISH);
    give_plain(&b, 0, WIRE_ACK, second); /* of a request to the other ps */
    give_plain(&b, 0, WIRE_ACK, second + 1);
    give_plain(&b, 0, WIRE_ACK, UINT64_MAX);
    give_plain(&b, 0, WIRE_ACK, first);
    give_plain(&b, 0, WIRE_ACK, first); /* a duplicate */
    assert_false(session_answered(b.session, ticket));
    give_plain(&b, 1, WIRE_ACK, second);
    assert_true(session_answered(b.session, ticket));
    session_result result;
    assert_int_equal(session_collect(b.session, ticket, &result, NULL), PS_OK);
    give_plain(&b, 1, WIRE_ACK, second); /* of an operation that is over */
    assert_int_equal(session_failure(b.session, NULL), PS_OK);
    close_bench(&b);
}

static void answers_of_the_wrong_kind_are_ignored(void **state)
{
    (void)state;
    bench b;
    open_joined(&b);
    session_ticket pull = submit(&b, WIRE_PULL, 0);
    uint64_t pull_request = take_request(&b, 0, 0, WIRE_PULL);
    session_ticket finish = submit(&b, WIRE_FINISH, 0);
    uint64_t finish_request = take_request(&b, 0, 0, WIRE_FINISH);
    give_plain(&b, 0, WIRE_ACK, pull_request);
    give(&b, 0, make_weights(&b, 0, finish_request, 1));
    give(&b, 0, make_answer(&b, 0, WIRE_WEIGHTS, pull_request, 0));

    wire_message *m = make_weights(&b, 0, pull_request, 1); /* a slice that was not asked for */
    m->slices[0] += 1000;
    give(&b, 0, m);
    m = make_weights(&b, 0, pull_request, 1); /* a slice of another size */
    buffer_unref(&m->payloads[0]);
    m->payloads[0] = buffer_alloc(4);
    give(&b, 0, m);
    assert_false(session_answered(b.session, pull));
    assert_false(session_answered(b.session, finish));
    for (int i = 0; i < ELEMENTS; i++)
        assert_true(b.weights[i] == 0);
    close_bench(&b);
}

/* ---- a silent ps ---- */

/* Ticks as a client that waits does. */
static void wait_from_to(bench *b, uint64_t from_ms, uint64_t to_ms)
{
    for (uint64_t now = from_ms; now <= to_ms; now += 100)
        session_tick(b->session, now);
}

static void open_bench_with_deadline(bench *b, uint32_t deadline_ms)
{
    open_bench(b, ELEMENTS, SERVERS);
    session_config config = {
        .job = &b->job,
        .partition = &b->map,
        .role = WIRE_WORKER,
        .incarnation = 7,
        .query_first_ms = FIRST_MS,
        .query_max_ms = MAX_MS,
        .deadline_ms = deadline_ms,
    };
    session_destroy(&b->session);
    assert_int_equal(session_create(&config, &b->session), PS_OK);
    join_all(b);
}

static void ps_that_owes_an_answer_and_is_silent_ends_the_session(void **state)
{
    (void)state;
    bench b;
    open_bench_with_deadline(&b, 5000);
    submit(&b, WIRE_PUSH_PULL, 1);
    uint64_t first = take_request(&b, 0, 1000, WIRE_PUSH_PULL);
    take_request(&b, 1, 1000, WIRE_PUSH_PULL);
    session_tick(b.session, 1000);
    wait_from_to(&b, 1000, 4000);
    give_text(&b, 0, WIRE_PENDING, first, PS_OK, "step 1 waits for worker 1");
    wait_from_to(&b, 4100, 5900);
    assert_int_equal(session_failure(b.session, NULL), PS_OK);
    wait_from_to(&b, 6000, 6000);
    assert_fails(&b, PS_EPEER, "ps/1: it owes an answer and has been silent for 5 s (--deadline)");
    close_bench(&b);
}

static void silence_counts_neither_before_a_request_nor_while_nobody_looks(void **state)
{
    (void)state;
    bench b;
    open_bench_with_deadline(&b, 5000);
    wait_from_to(&b, 1000, 20000);
    submit(&b, WIRE_PUSH_PULL, 1);
    for (uint32_t server = 0; server < SERVERS; server++)
        take_request(&b, server, 20000, WIRE_PUSH_PULL);
    wait_from_to(&b, 20000, 22000);
    session_tick(b.session, 900000); /* the caller has computed, or was stopped */
    wait_from_to(&b, 900000, 904000);
    assert_int_equal(session_failure(b.session, NULL), PS_OK);
    close_bench(&b);
}

/* ps/0 comes back under a new incarnation, at step 0, and says which gradients it holds; the others say that
 * they are where they were. */
static void bring_back(bench *b, uint64_t held)
{
    wire_message *m = make_answer(b, 0, WIRE_WELCOME, 0, 0);
    m->incarnation = 500;
    give(b, 0, m); /* unasked: the session asks all */
    for (uint32_t server = 0; server < SERVERS; server++) {
        m = make_answer(b, server, WIRE_WELCOME, take_request(b, server, 10, WIRE_HELLO), 0);
        if (server == 0) {
            m->incarnation = 500;
            m->held = held;
        }
        give(b, server, m);
    }
}

static void ps_that_still_holds_an_acknowledged_gradient_has_forgotten_nothing(void **state)
{
    (void)state;
    for (uint64_t held = 0; held <= 1; held++) {
        bench b;
        open_joined(&b);
        submit(&b, WIRE_PUSH, 1);
        for (uint32_t server = 0; server < SERVERS; server++)
            give_plain(&b, server, WIRE_ACK, take_request(&b, server, 0, WIRE_PUSH));
        bring_back(&b, held);
        assert_int_equal(session_rolled_back(b.session), held == 0);
        close_bench(&b);
    }
}

/* In `ssp` a worker may see weights before its own gradient is in them. */
static void weights_that_were_pulled_acknowledge_no_gradient_without_synchrony(void **state)
{
    (void)state;
    bench b;
    open_joined(&b);
    b.job.mode = CONSISTENCY_SSP;
    submit(&b, WIRE_PULL, 1);
    for (uint32_t server = 0; server < SERVERS; server++)
        give(&b, server, make_weights(&b, server, take_request(&b, server, 0, WIRE_PULL), 0));
    bring_back(&b, 0);
    assert_false(session_rolled_back(b.session));
    close_bench(&b);
}

static void heartbeats_are_as_frequent_as_any_ps_wants(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, ELEMENTS, SERVERS);
    assert_int_equal(session_heartbeat_ms(b.session), 0);
    for (uint32_t server = 0; server < SERVERS; server++) {
        wire_message *m = make_answer(&b, server, WIRE_WELCOME, 1, 0);
        m->heartbeat_ms = server == 0 ? 700 : 500;
        give(&b, server, m);
    }
    assert_int_equal(session_heartbeat_ms(b.session), 500);
    assert_int_equal(session_incarnation(b.session), 7);
    assert_true(session_fingerprint(b.session) == b.fingerprint);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unanswered_request_is_asked_about_ever_more_seldom),
        cmocka_unit_test(reason_to_wait_is_forgotten_when_the_ps_gives_it_no_more),
        cmocka_unit_test(request_that_the_ps_does_not_know_is_sent_again),
        cmocka_unit_test(refusal_ends_the_operation_alone),
        cmocka_unit_test(refusal_that_ends_the_job_is_not_kept_back_by_a_ps_that_waits),
        cmocka_unit_test(refusal_without_status_or_reason_is_still_one),
        cmocka_unit_test(answers_that_fit_no_open_request_are_ignored),
        cmocka_unit_test(answers_of_the_wrong_kind_are_ignored),
        cmocka_unit_test(ps_that_owes_an_answer_and_is_silent_ends_the_session),
        cmocka_unit_test(silence_counts_neither_before_a_request_nor_while_nobody_looks),
        cmocka_unit_test(ps_that_still_holds_an_acknowledged_gradient_has_forgotten_nothing),
        cmocka_unit_test(weights_that_were_pulled_acknowledge_no_gradient_without_synchrony),
        cmocka_unit_test(heartbeats_are_as_frequent_as_any_ps_wants),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
