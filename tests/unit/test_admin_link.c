/* Orders of an administrator, and what he makes of answers: deploy/admin. What listens is a thread that says
 * to each order whatever the test wants. */
#include "deploy/admin/admin_orders.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "common/clock.h"
#include "common/transport.h"
#include "tests/unit/loopback.h"

typedef struct bench bench;

/* Says something to the order, which has come by `from`; `number`: of the order, from 1 on. */
typedef void say(bench *b, const wire_message *order, const wire_route *from, unsigned number);

struct bench {
    say *say;
    transport *transport;
    transport_socket *listener;
    pthread_t thread;
    atomic_bool ending;
    cluster_task task;
    admin_session session;
    ps_error error;
};

static void *listen_and_say(void *context)
{
    bench *b = context;
    unsigned number = 0;
    while (!atomic_load(&b->ending)) {
        wire_route from;
        wire_message *m;
        ps_error ignored;
        if (transport_await(b->listener, 20, &from, &m, &ignored) == TRANSPORT_MESSAGE)
            b->say(b, m, &from, ++number);
        wire_destroy(&m);
    }
    return NULL;
}

static void open_bench(bench *b, say *says, uint64_t timeout_ms)
{
    static const curve_keys none = {.wanted = false};
    static const volatile sig_atomic_t never = 0;
    *b = (bench){.say = says, .task = {.host = "127.0.0.1"}};
    const int fd = loopback_listen(&b->task.port);
    assert_int_equal(transport_create(1, &b->transport, NULL), PS_OK);
    assert_int_equal(transport_listen(b->transport, NULL, b->task.port, fd, &b->listener, NULL), PS_OK);
    b->session =
        (admin_session){.servers = 1, .deadline_ms = clock_monotonic_ms() + timeout_ms, .stop = &never};
    assert_int_equal(admin_link_open(&b->task, 1, &none, &b->session.link, NULL), PS_OK);
    assert_int_equal(pthread_create(&b->thread, NULL, listen_and_say, b), 0);
}

static void close_bench(bench *b)
{
    atomic_store(&b->ending, true);
    pthread_join(b->thread, NULL);
    admin_link_close(&b->session.link);
    transport_close(&b->listener, 0);
    transport_destroy(&b->transport);
}

/* ---- what is said ---- */

static wire_message *answer(wire_type type, const wire_message *order, const char *text)
{
    wire_message *m = wire_create(type, 0);
    if (!m)
        return NULL;
    m->role = WIRE_PS;
    m->incarnation = 1;
    m->request = order->request;
    if (text)
        wire_set_text(m, text);
    return m;
}

static void give(bench *b, const wire_route *to, wire_message *m)
{
    if (m)
        transport_send(b->listener, to, &m);
    wire_destroy(&m);
}

static void say_pending_then_ack(bench *b, const wire_message *order, const wire_route *from, unsigned number)
{
    if (number > 1) /* it is over, and gone */
        return;
    wire_message *m = answer(WIRE_PENDING, order, "the chief has not heard of it yet");
    m->end_step = 7;
    give(b, from, m);
    m = answer(WIRE_ACK, order, NULL);
    m->end_step = 7;
    give(b, from, m);
}

static void say_rubbish(bench *b, const wire_message *order, const wire_route *from, unsigned number)
{
    (void)number;
    for (int i = 0; i < 1000; i++)
        give(b, from, answer(WIRE_RESEND, order, NULL));
    wire_message *m = answer(WIRE_ACK, order, NULL);
    m->request += 1; /* of another order */
    give(b, from, m);
    give(b, from, answer(WIRE_WEIGHTS, order, NULL));
}

static void say_it_is_another(bench *b, const wire_message *order, const wire_route *from, unsigned number)
{
    (void)number;
    wire_message *m = answer(WIRE_ACK, order, NULL);
    m->index = 3;
    give(b, from, m);
}

static void say_pending_for_ever(bench *b, const wire_message *order, const wire_route *from, unsigned number)
{
    (void)number;
    wire_message *m = answer(WIRE_PENDING, order, "\033[2Jboo\n");
    m->step = UINT64_MAX;
    give(b, from, m);
}

static void say_no(bench *b, const wire_message *order, const wire_route *from, unsigned number)
{
    (void)number;
    wire_message *m = answer(WIRE_ERROR, order, "no\033[31m");
    m->status = -1000000;
    give(b, from, m);
}

static void say_not_yet(bench *b, const wire_message *order, const wire_route *from, unsigned number)
{
    wire_message *m = answer(number < 3 ? WIRE_ERROR : WIRE_ACK, order, "no job yet");
    m->status = number < 3 ? PS_EREJOIN : PS_OK;
    give(b, from, m);
}

static void say_it_is_past(bench *b, const wire_message *order, const wire_route *from, unsigned number)
{
    wire_message *m = answer(order->step == 0 ? WIRE_PENDING : WIRE_ERROR, order, "past it");
    m->step = number;
    m->status = order->step == 0 ? 0 : PS_ENOENT;
    give(b, from, m);
}

/* ---- what becomes of it ---- */

static void an_end_is_heard_of_though_the_ps_is_gone_before_it_is_asked_again(void **state)
{
    (void)state;
    bench b;
    uint64_t end = 0;
    open_bench(&b, say_pending_then_ack, LOOPBACK_PATIENCE_MS);
    assert_int_equal(admin_stop(&b.session, &end, &b.error), PS_OK);
    assert_int_equal(end, 7);
    close_bench(&b);
}

static void what_is_no_answer_to_the_order_counts_as_none(void **state)
{
    (void)state;
    bench b;
    uint64_t end = 0;
    open_bench(&b, say_rubbish, 600);
    assert_int_equal(admin_stop(&b.session, &end, &b.error), PS_ETIMEDOUT);
    assert_non_null(strstr(b.error.text, "it does not answer"));
    close_bench(&b);
}

static void another_ps_than_is_meant_is_no_success(void **state)
{
    (void)state;
    bench b;
    uint64_t end = 0;
    open_bench(&b, say_it_is_another, LOOPBACK_PATIENCE_MS);
    assert_int_equal(admin_stop(&b.session, &end, &b.error), PS_EMISMATCH);
    assert_string_equal(b.error.text, "at the address of ps/0 answers another process: ps/3");
    close_bench(&b);
}

static void texts_of_a_ps_steer_no_terminal(void **state)
{
    (void)state;
    bench b;
    uint64_t step = 0, end = 0;
    open_bench(&b, say_pending_for_ever, 600);
    assert_int_equal(admin_checkpoint(&b.session, &step, &b.error), PS_ETIMEDOUT);
    assert_null(strchr(b.error.text, '\033'));
    close_bench(&b);
    open_bench(&b, say_pending_for_ever, LOOPBACK_PATIENCE_MS);
    const bool wanted = true;
    admin_answer said;
    assert_int_equal(
        admin_link_ask(b.session.link, WIRE_STOP, 0, &wanted, UINT64_MAX, b.session.stop, &said, &b.error),
        PS_OK);
    assert_string_equal(said.said.text, "?[2Jboo?");
    close_bench(&b);
    open_bench(&b, say_no, LOOPBACK_PATIENCE_MS);
    assert_true(admin_stop(&b.session, &end, &b.error) != PS_OK);
    assert_string_equal(b.error.text, "no?[31m");
    assert_int_equal(ps_status_exit_code(b.error.status), PS_EXIT_FAILURE);
    close_bench(&b);
}

static void a_ps_that_has_just_restarted_is_asked_again(void **state)
{
    (void)state;
    bench b;
    uint64_t end = 0;
    open_bench(&b, say_not_yet, LOOPBACK_PATIENCE_MS);
    assert_int_equal(admin_stop(&b.session, &end, &b.error), PS_OK);
    close_bench(&b);
}

static void a_step_that_is_always_past_is_given_up(void **state)
{
    (void)state;
    bench b;
    uint64_t step = 0;
    open_bench(&b, say_it_is_past, LOOPBACK_PATIENCE_MS);
    assert_int_equal(admin_checkpoint(&b.session, &step, &b.error), PS_ETIMEDOUT);
    assert_string_equal(b.error.text, "a step to come was named 8 times, and too late each time: past it");
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_is_heard_of_though_the_ps_is_gone_before_it_is_asked_again),
        cmocka_unit_test(what_is_no_answer_to_the_order_counts_as_none),
        cmocka_unit_test(another_ps_than_is_meant_is_no_success),
        cmocka_unit_test(texts_of_a_ps_steer_no_terminal),
        cmocka_unit_test(a_ps_that_has_just_restarted_is_asked_again),
        cmocka_unit_test(a_step_that_is_always_past_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
