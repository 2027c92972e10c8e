/* What ps/shard lends and for how long, how much it lets be on its way, and memory that it cannot read. */
#include "tests/unit/shard_bench.h"

/* ---- answers by reference ---- */

/* An asynchronous job of two workers and an evaluator; all have joined. */
static void open_lending(shard_bench *b)
{
    bench_open(b, 1, 2, 100);
    b->job.mode = CONSISTENCY_ASYNC;
    b->job.evaluators = 1;
    bench_join(b, WIRE_WORKER, 0);
    bench_join(b, WIRE_WORKER, 1);
    bench_join(b, WIRE_EVALUATOR, 0);
}

/* So many updates that the shard itself is done with all versions before. */
static void update(shard_bench *b, uint64_t first_step)
{
    for (uint64_t step = first_step; step < first_step + 3; step++) {
        wire_message *push = bench_push(b, WIRE_PUSH, 0, step, 1, 1);
        uint64_t request = push->request;
        bench_send(b, push);
        bench_expect(b, WIRE_ACK, request);
    }
}

/* A pull's weights, of which the caller gets a reference; the answer itself is gone. */
static buffer *pull(shard_bench *b, wire_role role, uint32_t index, bool reads_memory, uint64_t number)
{
    wire_message *m = bench_pull(b, role, index, 0);
    uint64_t request = m->request;
    m->reads_memory = reads_memory;
    bench_send(b, m);
    m = bench_take(b, WIRE_WEIGHTS, request);
    assert_true(m->by_reference == reads_memory);
    assert_int_equal(m->settled, number);
    buffer *held = buffer_ref(m->payloads[0]);
    wire_destroy(&m);
    return held;
}

static void weights_that_were_sent_are_not_held(void **state)
{
    (void)state;
    shard_bench b;
    open_lending(&b);
    buffer *sent = pull(&b, WIRE_WORKER, 1, false, 1);
    update(&b, 1);
    assert_false(buffer_is_shared(sent));
    buffer_unref(&sent);
    bench_close(&b);
}

/* Ways in which a member lets its ps know. */
static wire_message *later_request(shard_bench *b, wire_role role, uint32_t index)
{
    return bench_pull(b, role, index, 1000);
}

static wire_message *settle(shard_bench *b, wire_role role, uint32_t index)
{
    return bench_request(b, WIRE_SETTLE, role, index, 0, 0);
}

static wire_message *query(shard_bench *b, wire_role role, uint32_t index)
{
    return bench_request(b, WIRE_QUERY, role, index, 0, 0);
}

static void drop_answers(shard_bench *b)
{
    wire_message *m;
    while ((m = shard_next(b->shard, &b->to)))
        wire_destroy(&m);
}

static void lent_weights_stay_as_they_are_until_settled(void **state)
{
    (void)state;
    wire_message *(*const ways[])(shard_bench *, wire_role, uint32_t) = {later_request, settle, query};
    for (int way = 0; way < 3; way++) {
        for (wire_role role = WIRE_WORKER; role <= WIRE_EVALUATOR; role++) {
            shard_bench b;
            uint32_t index = role == WIRE_WORKER ? 1 : 0;
            open_lending(&b);
            buffer *first = pull(&b, role, index, true, 1);
            update(&b, 1);
            buffer *second = pull(&b, role, index, true, 2);
            update(&b, 4);
            assert_true(((const float *)buffer_bytes(first))[0] == 0.0f);
            assert_true(((const float *)buffer_bytes(second))[0] == -3.0f);
            for (uint64_t settled = 0; settled <= 2; settled++) {
                wire_message *m = ways[way](&b, role, index);
                m->settled = settled;
                bench_send(&b, m);
                assert_true(buffer_is_shared(first) == (settled < 1));
                assert_true(buffer_is_shared(second) == (settled < 2));
                drop_answers(&b);
            }
            buffer_unref(&first);
            buffer_unref(&second);
            bench_close(&b);
        }
    }
}

/* Then its sender reads no answer any more that refers to memory. */
static void request_sent_again_releases_its_former_answer(void **state)
{
    (void)state;
    shard_bench b;
    open_lending(&b);
    buffer *former = pull(&b, WIRE_WORKER, 1, true, 1);
    uint64_t request = b.request;
    update(&b, 1);
    buffer *other = pull(&b, WIRE_WORKER, 1, true, 2);
    update(&b, 4);
    wire_message *again = bench_pull(&b, WIRE_WORKER, 1, 0);
    again->request = request;
    bench_send(&b, again);
    assert_false(buffer_is_shared(former));
    assert_true(buffer_is_shared(other));
    wire_message *m = bench_take(&b, WIRE_WEIGHTS, request);
    assert_int_equal(m->settled, 3);
    assert_false(m->by_reference);
    wire_destroy(&m);
    buffer_unref(&former);
    buffer_unref(&other);
    bench_close(&b);
}

static void restarted_member_has_nothing_lent(void **state)
{
    (void)state;
    shard_bench b;
    open_lending(&b);
    buffer *lent[2];
    lent[0] = pull(&b, WIRE_WORKER, 1, true, 1);
    update(&b, 1);
    lent[1] = pull(&b, WIRE_EVALUATOR, 0, true, 1);
    update(&b, 4);
    bench_join_as(&b, WIRE_WORKER, 1, 2);
    assert_false(buffer_is_shared(lent[0]));
    assert_true(buffer_is_shared(lent[1]));
    wire_message *old = settle(&b, WIRE_WORKER, 1); /* of its former incarnation */
    bench_send(&b, old);
    drop_answers(&b);
    bench_join_as(&b, WIRE_EVALUATOR, 0, 2);
    assert_false(buffer_is_shared(lent[1]));
    buffer_unref(&lent[0]);
    buffer_unref(&lent[1]);
    bench_close(&b);
}

static void one_member_does_not_settle_for_another(void **state)
{
    (void)state;
    shard_bench b;
    open_lending(&b);
    buffer *lent = pull(&b, WIRE_WORKER, 1, true, 1);
    update(&b, 1);
    wire_message *m = settle(&b, WIRE_WORKER, 0);
    m->settled = UINT64_MAX;
    bench_send(&b, m);
    assert_true(buffer_is_shared(lent));
    bench_expect_nothing(&b);
    buffer_unref(&lent);
    bench_close(&b);
}

/* ---- the window ---- */

enum { MIB = 1 << 20, WINDOW_MIB = SHARD_WINDOW_BYTES / MIB, SHARD_MIB = WINDOW_MIB + 4 };

/* A shard of more than a window, in slices of 1 MiB. */
static void open_wide(shard_bench *b)
{
    bench_open(b, 1, 2, (uint64_t)SHARD_MIB * MIB / sizeof(float));
    b->job.slice_bytes = MIB;
    b->job.evaluators = 1;
    bench_join(b, WIRE_WORKER, 0);
    bench_join(b, WIRE_WORKER, 1);
    bench_join(b, WIRE_EVALUATOR, 0);
}

static uint64_t send_pull(shard_bench *b, wire_role role, uint32_t index, uint32_t mib, bool reads_memory)
{
    wire_message *m = bench_request(b, WIRE_PULL, role, index, 0, mib);
    uint64_t request = m->request;
    m->reads_memory = reads_memory;
    bench_send(b, m);
    return request;
}

static void send_settled(shard_bench *b, wire_role role, uint32_t index, uint64_t settled)
{
    wire_message *m = settle(b, role, index);
    m->settled = settled;
    bench_send(b, m);
}

static void answers_beyond_the_window_wait_for_room(void **state)
{
    (void)state;
    for (wire_role role = WIRE_WORKER; role <= WIRE_EVALUATOR; role++) {
        for (int lent = 0; lent < 2; lent++) {
            shard_bench b;
            open_wide(&b);
            uint64_t requests[4];
            for (int i = 0; i < 4; i++)
                requests[i] = send_pull(&b, role, 0, WINDOW_MIB / 2, lent);
            for (int i = 0; i < 2; i++)
                bench_expect(&b, WIRE_WEIGHTS, requests[i]);
            bench_expect_nothing(&b);
            wire_message *m = query(&b, role, 0);
            m->request = requests[2];
            bench_send(&b, m);
            bench_expect_text(&b, WIRE_PENDING, requests[2], PS_OK,
                              "step 0 waits for weights sent before to be taken");
            send_settled(&b, role, 0, 1);
            bench_expect(&b, WIRE_WEIGHTS, requests[2]);
            bench_expect_nothing(&b);
            m = query(&b, role, 0); /* this, too, says what has been taken */
            m->request = requests[3];
            m->settled = 2;
            bench_send(&b, m);
            bench_expect(&b, WIRE_WEIGHTS, requests[3]);
            bench_expect_nothing(&b);
            bench_close(&b);
        }
    }
}

/* Somebody plays what a worker has sent again, and takes the answers, of which the worker never hears. */
static void answers_to_another_connection_do_not_hold_up_this_one(void **state)
{
    (void)state;
    const wire_route elsewhere = {.bytes = 1, .id = {9}};
    shard_bench b;
    open_wide(&b);
    for (int i = 0; i < 3; i++) {
        wire_message *m = bench_request(&b, WIRE_PULL, WIRE_WORKER, 0, 0, WINDOW_MIB / 2);
        const uint64_t request = m->request;
        shard_receive(b.shard, &m, &elsewhere, b.now_ms);
        if (i < 2)
            bench_expect(&b, WIRE_WEIGHTS, request);
    }
    bench_expect_nothing(&b);
    bench_expect(&b, WIRE_WEIGHTS, send_pull(&b, WIRE_WORKER, 0, WINDOW_MIB / 2, false));
    bench_close(&b);
}

static void answer_larger_than_the_window_goes_alone(void **state)
{
    (void)state;
    shard_bench b;
    open_wide(&b);
    uint64_t large = send_pull(&b, WIRE_WORKER, 0, SHARD_MIB, false);
    bench_expect(&b, WIRE_WEIGHTS, large);
    uint64_t small = send_pull(&b, WIRE_WORKER, 0, 1, false);
    bench_expect_nothing(&b);
    send_settled(&b, WIRE_WORKER, 0, 1);
    bench_expect(&b, WIRE_WEIGHTS, small);
    large = send_pull(&b, WIRE_WORKER, 0, SHARD_MIB, false);
    bench_expect_nothing(&b);
    send_settled(&b, WIRE_WORKER, 0, 2);
    bench_expect(&b, WIRE_WEIGHTS, large);
    bench_close(&b);
}

static void slow_member_holds_up_nobody_else(void **state)
{
    (void)state;
    shard_bench b;
    open_wide(&b);
    bench_expect(&b, WIRE_WEIGHTS, send_pull(&b, WIRE_WORKER, 0, WINDOW_MIB, true));
    send_pull(&b, WIRE_WORKER, 0, 1, true);
    bench_expect_nothing(&b);
    bench_expect(&b, WIRE_WEIGHTS, send_pull(&b, WIRE_WORKER, 1, WINDOW_MIB, true));
    bench_expect(&b, WIRE_WEIGHTS, send_pull(&b, WIRE_EVALUATOR, 0, WINDOW_MIB, true));
    bench_expect_nothing(&b);
    bench_close(&b);
}

static void lost_answer_makes_room_for_the_next(void **state)
{
    (void)state;
    shard_bench b;
    open_wide(&b);
    uint64_t request = send_pull(&b, WIRE_WORKER, 0, WINDOW_MIB, true);
    bench_expect(&b, WIRE_WEIGHTS, request); /* and is lost */
    for (int i = 0; i < 3; i++) {
        wire_message *m = query(&b, WIRE_WORKER, 0);
        m->request = request;
        bench_send(&b, m);
        bench_expect(&b, WIRE_RESEND, request);
        b.request = request - 1;
        assert_int_equal(send_pull(&b, WIRE_WORKER, 0, WINDOW_MIB, false), request);
        bench_expect(&b, WIRE_WEIGHTS, request);
    }
    bench_close(&b);
}

static void answers_without_weights_are_unsettled_in_bounded_number(void **state)
{
    (void)state;
    shard_bench b;
    open_wide(&b);
    for (uint32_t i = 0; i < SHARD_REQUESTS_MAX + SHARD_MIB; i++)
        bench_expect(&b, WIRE_WEIGHTS, send_pull(&b, WIRE_WORKER, 0, 0, false));
    uint64_t waiting = send_pull(&b, WIRE_WORKER, 0, 0, false);
    bench_expect_nothing(&b);
    send_settled(&b, WIRE_WORKER, 0, 1);
    bench_expect(&b, WIRE_WEIGHTS, waiting);
    bench_close(&b);
}

static void finish_and_its_answer_need_no_room(void **state)
{
    (void)state;
    shard_bench b;
    open_wide(&b);
    bench_expect(&b, WIRE_WEIGHTS, send_pull(&b, WIRE_WORKER, 0, SHARD_MIB, true));
    wire_message *finish = bench_request(&b, WIRE_FINISH, WIRE_WORKER, 0, 0, 0);
    uint64_t request = finish->request;
    bench_send(&b, finish);
    bench_expect(&b, WIRE_ACK, request);
    bench_close(&b);
}

/* ---- memory that cannot be read ---- */

/* Half of its payloads are not there. */
static wire_message *make_unreadable(shard_bench *b, uint64_t step)
{
    wire_message *m = bench_push(b, WIRE_PUSH_PULL, 0, step, 1, 1);
    buffer_unref(&m->payloads[1]);
    return m;
}

static void push_that_cannot_be_read_is_asked_for_again_and_touches_nothing(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 2000); /* two slices */
    bench_prepare(&b);
    wire_message *hello = bench_hello(&b, WIRE_WORKER, 0, 1);
    hello->readable = true;
    bench_send(&b, hello);
    wire_message *m = bench_take(&b, WIRE_WELCOME, 0);
    assert_true(m->reads_memory);
    wire_destroy(&m);
    m = query(&b, WIRE_WORKER, 0);
    uint64_t request = m->request;
    bench_send(&b, m);
    m = bench_take(&b, WIRE_RESEND, request);
    assert_true(m->reads_memory);
    wire_destroy(&m);
    for (int i = 0; i < 2; i++) {
        wire_message *push = make_unreadable(&b, 1);
        request = push->request;
        bench_send(&b, push);
        m = bench_take(&b, WIRE_RESEND, request);
        assert_false(m->reads_memory);
        wire_destroy(&m);
        bench_expect_nothing(&b);
    }
    assert_int_equal(shard_count(b.shard)->steps_applied, 0);
    assert_int_equal(shard_count(b.shard)->messages_refused, 0);
    m = bench_push(&b, WIRE_PUSH_PULL, 0, 1, 1, 2); /* other values: nothing of the first was kept */
    request = m->request;
    bench_send(&b, m);
    bench_expect_weights(&b, request, 1, -2);
    m = query(&b, WIRE_WORKER, 0);
    request = m->request;
    bench_send(&b, m);
    m = bench_take(&b, WIRE_RESEND, request);
    assert_false(m->reads_memory); /* remembered */
    wire_destroy(&m);
    bench_close(&b);
}

static void welcome_says_whether_memory_can_be_read_of_each_incarnation(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 100);
    bench_prepare(&b);
    for (uint64_t incarnation = 1; incarnation <= 4; incarnation++) {
        wire_message *hello = bench_hello(&b, WIRE_WORKER, 0, incarnation);
        hello->readable = incarnation % 2;
        bench_send(&b, hello);
        wire_message *m = bench_take(&b, WIRE_WELCOME, 0);
        assert_true(m->reads_memory == (incarnation % 2 == 1));
        wire_destroy(&m);
    }
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_that_were_sent_are_not_held),
        cmocka_unit_test(lent_weights_stay_as_they_are_until_settled),
        cmocka_unit_test(request_sent_again_releases_its_former_answer),
        cmocka_unit_test(restarted_member_has_nothing_lent),
        cmocka_unit_test(one_member_does_not_settle_for_another),
        cmocka_unit_test(answers_beyond_the_window_wait_for_room),
        cmocka_unit_test(answers_to_another_connection_do_not_hold_up_this_one),
        cmocka_unit_test(answer_larger_than_the_window_goes_alone),
        cmocka_unit_test(slow_member_holds_up_nobody_else),
        cmocka_unit_test(lost_answer_makes_room_for_the_next),
        cmocka_unit_test(answers_without_weights_are_unsettled_in_bounded_number),
        cmocka_unit_test(finish_and_its_answer_need_no_room),
        cmocka_unit_test(push_that_cannot_be_read_is_asked_for_again_and_touches_nothing),
        cmocka_unit_test(welcome_says_whether_memory_can_be_read_of_each_incarnation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
