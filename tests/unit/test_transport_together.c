/* Messages that leave together, in one frame or several: common/transport. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "common/bundle.h"
#include "common/transport.h"
#include "tests/unit/transport_bench.h"

enum { PAYLOAD_BYTES_LARGE = 5000 };

/* WEIGHTS of one slice of so many bytes, all of them the request's number; of none, an ACK. */
static wire_message *make_answer(uint64_t request, size_t bytes)
{
    wire_message *m = wire_create(bytes > 0 ? WIRE_WEIGHTS : WIRE_ACK, bytes > 0);
    assert_non_null(m);
    m->request = request;
    if (bytes == 0)
        return m;
    m->has_payload = true;
    m->payloads[0] = buffer_alloc(bytes);
    assert_non_null(m->payloads[0]);
    memset(buffer_data(m->payloads[0]), (int)request, bytes);
    return m;
}

static void assert_is_answer(const wire_message *m, uint64_t request, size_t bytes)
{
    assert_int_equal(m->request, request);
    assert_int_equal(m->slice_count, bytes > 0);
    if (bytes == 0)
        return;
    assert_int_equal(buffer_size(m->payloads[0]), bytes);
    const uint8_t *at = buffer_bytes(m->payloads[0]);
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(at[i], (uint8_t)request);
}

/* Makes the two known to each other, and returns the way back. */
static wire_route meet(bench *b)
{
    wire_route from;
    wire_message *m = wire_create(WIRE_PULL, 0);
    m->role = WIRE_WORKER;
    send_when_possible(b->client, NULL, m);
    m = await_message(b->server, &from);
    wire_destroy(&m);
    return from;
}

/* Sizes of payloads: none, within the header, and a frame; the middle ones exceed a bundle together. */
static void messages_arrive_in_order_whatever_shares_a_frame(void **state)
{
    (void)state;
    static const size_t sizes[TRANSPORT_TOGETHER_MAX] = {
        0,
        256,
        4,
        PAYLOAD_BYTES_LARGE,
        0,
        PAYLOAD_BYTES_LARGE,
        PAYLOAD_BYTES_LARGE,
        8,
        1024,
        1024,
        1024,
        1024,
        1024,
        1024,
        1024,
        1024,
        1024,
        1024,
        1024,
        1024,
        1024,
        1024,
        1024,
        1024,
        1024,
        1024,
        1024,
        0,
        0,
        0,
        4,
        PAYLOAD_BYTES_LARGE,
    };
    bench b;
    open_bench(&b);
    wire_route to = meet(&b);
    wire_message *messages[TRANSPORT_TOGETHER_MAX];
    for (uint64_t i = 0; i < TRANSPORT_TOGETHER_MAX; i++)
        messages[i] = make_answer(i, sizes[i]);
    assert_int_equal(transport_send_together(b.server, &to, messages, TRANSPORT_TOGETHER_MAX),
                     TRANSPORT_TOGETHER_MAX);
    for (uint64_t i = 0; i < TRANSPORT_TOGETHER_MAX; i++) {
        assert_null(messages[i]);
        wire_message *m = await_message(b.client, NULL);
        assert_is_answer(m, i, sizes[i]);
        wire_destroy(&m);
    }
    assert_false(transport_has_more(b.client));
    close_bench(&b);
}

static void what_came_together_is_at_hand_with_its_route(void **state)
{
    (void)state;
    enum { COUNT = 3 };
    bench b;
    open_bench(&b);
    wire_route first = meet(&b), from;
    wire_message *messages[COUNT], *m;
    for (uint64_t i = 0; i < COUNT; i++) {
        messages[i] = wire_create(WIRE_PULL, 0);
        messages[i]->role = WIRE_WORKER;
        messages[i]->request = i;
    }
    assert_int_equal(transport_send_together(b.client, NULL, messages, COUNT), COUNT);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_int_equal(transport_has_more(b.server), i > 0);
        m = await_message(b.server, &from);
        assert_int_equal(m->request, i);
        assert_int_equal(from.bytes, first.bytes);
        assert_memory_equal(from.id, first.id, first.bytes);
        wire_destroy(&m);
    }
    assert_false(transport_has_more(b.server));
    close_bench(&b);
}

static void what_cannot_be_taken_stays_with_its_sender(void **state)
{
    (void)state;
    enum { COUNT = 3 };
    transport *t;
    transport_socket *s;
    assert_int_equal(transport_create(1, &t, NULL), PS_OK);
    assert_int_equal(transport_connect(t, "127.0.0.1", 1, &s, NULL), PS_OK);
    wire_message *messages[COUNT];
    for (uint64_t i = 0; i < COUNT; i++)
        messages[i] = make_answer(i, 16);
    assert_int_equal(transport_send_together(s, NULL, messages, COUNT), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_is_answer(messages[i], i, 16);
        wire_destroy(&messages[i]);
    }
    transport_close(&s, 0);
    transport_destroy(&t);
}

static void a_socket_may_close_with_messages_at_hand(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    wire_route to = meet(&b);
    wire_message *messages[] = {make_answer(1, 900), make_answer(2, 900)};
    assert_int_equal(transport_send_together(b.server, &to, messages, 2), 2);
    wire_message *m = await_message(b.client, NULL);
    wire_destroy(&m);
    assert_true(transport_has_more(b.client));
    close_bench(&b);
}

/* ---- strangers ---- */

static void assert_refused(bench *b, void *raw, const void *frame, size_t bytes, int frames, const char *why)
{
    for (int i = 0; i < frames; i++)
        assert_int_equal(zmq_send(raw, frame, bytes, i + 1 < frames ? ZMQ_SNDMORE : 0), bytes);
    wire_route from;
    wire_message *m;
    ps_error error;
    assert_int_equal(await(b->server, &from, &m, &error), TRANSPORT_REFUSED);
    assert_null(m);
    assert_int_equal(error.status, bytes > BUNDLE_BYTES_MAX ? PS_ELIMIT : PS_EPROTOCOL);
    assert_string_equal(error.text, why);
    assert_false(transport_has_more(b->server));
}

static void bundles_of_strangers_are_refused(void **state)
{
    (void)state;
    static const uint8_t torn[] = {0xc2, 0x3e, 9, 0}, empty[] = {0xc2, 0x3e, 0};
    static const uint8_t nested[] = {0xc2, 0x3e, 4, 0xc2, 0x3e, 1, 0};
    static uint8_t large[BUNDLE_BYTES_MAX + 1] = {0xc2, 0x3e};
    bench b;
    open_bench(&b);
    void *context = zmq_ctx_new(), *raw = zmq_socket(context, ZMQ_DEALER);
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", b.port);
    assert_int_equal(zmq_setsockopt(raw, ZMQ_LINGER, &(int){0}, sizeof(int)), 0);
    assert_int_equal(zmq_connect(raw, endpoint), 0);
    assert_refused(&b, raw, torn, sizeof torn, 1, "a bundle holds what is no message");
    assert_refused(&b, raw, empty, sizeof empty, 1, "a header of 0 bytes; 1 to 4194304 are allowed");
    assert_refused(&b, raw, nested, sizeof nested, 1, "peer speaks protocol 0; this is protocol 2");
    assert_refused(
        &b, raw, empty, sizeof empty, 2,
        "a bundle of 3 bytes and 1 further frames; at most 16384 bytes, and no frames, are allowed");
    assert_refused(&b, raw, large, sizeof large, 1,
                   "a bundle of 16385 bytes and 0 further frames; at most 16384 bytes, and no frames, are "
                   "allowed");
    zmq_close(raw);
    zmq_ctx_term(context);
    meet(&b);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_arrive_in_order_whatever_shares_a_frame),
        cmocka_unit_test(what_came_together_is_at_hand_with_its_route),
        cmocka_unit_test(what_cannot_be_taken_stays_with_its_sender),
        cmocka_unit_test(a_socket_may_close_with_messages_at_hand),
        cmocka_unit_test(bundles_of_strangers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
