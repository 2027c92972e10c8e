/* Messages over real sockets on loopback: common/transport. */
#include "common/transport.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "common/clock.h"
#include "tests/unit/numbers.h"
#include "tests/unit/transport_bench.h"

static wire_message *make_pull(uint64_t request)
{
    wire_message *m = wire_create(WIRE_PULL, 0);
    assert_non_null(m);
    m->role = WIRE_WORKER;
    m->request = request;
    return m;
}

static void assert_talks(bench *b, transport_socket *client, uint64_t request)
{
    wire_route from;
    wire_message *m;
    send_when_possible(client, NULL, make_pull(request));
    while (await(b->server, &from, &m, NULL) == TRANSPORT_REFUSED)
        ; /* what strangers sent may look like a frame */
    assert_int_equal(m->request, request);
    wire_destroy(&m);
    m = wire_create(WIRE_ACK, 0);
    m->request = request;
    send_when_possible(b->server, &from, m);
    m = await_message(client, NULL);
    assert_int_equal(m->type, WIRE_ACK);
    assert_int_equal(m->request, request);
    wire_destroy(&m);
}

/* ---- what is carried ---- */

static void message_goes_there_and_its_answer_back(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    wire_message *m;
    assert_int_equal(transport_receive(b.server, &(wire_route){0}, &m, NULL), TRANSPORT_NOTHING);
    assert_null(m);
    for (uint64_t request = 1; request <= 3; request++)
        assert_talks(&b, b.client, request);
    close_bench(&b);
}

static void answers_find_their_client_among_several(void **state)
{
    (void)state;
    enum { CLIENTS = 3 };
    bench b;
    open_bench(&b);
    transport_socket *clients[CLIENTS];
    wire_route from[CLIENTS];
    for (uint64_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(transport_connect(b.transport, "127.0.0.1", b.port, &clients[i], NULL), PS_OK);
        send_when_possible(clients[i], NULL, make_pull(i));
        wire_message *m = await_message(b.server, &from[i]);
        assert_int_equal(m->request, i);
        wire_destroy(&m);
    }
    for (uint64_t i = CLIENTS; i-- > 0;) {
        wire_message *m = wire_create(WIRE_ACK, 0);
        m->request = 10 + i;
        send_when_possible(b.server, &from[i], m);
    }
    for (uint64_t i = 0; i < CLIENTS; i++) {
        wire_message *m = await_message(clients[i], NULL);
        assert_int_equal(m->request, 10 + i);
        wire_destroy(&m);
        transport_close(&clients[i], 0);
    }
    close_bench(&b);
}

static void count_release(void *data, void *context)
{
    free(data);
    atomic_fetch_add((atomic_int *)context, 1);
}

/* Sizes on both sides of what libzmq keeps inside its messages, and beyond a socket's buffer. */
static void payloads_arrive_bit_by_bit_and_are_given_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {4, 28, 32, 36, 4096, 1 << 20, 9 << 20};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    bench b;
    open_bench(&b);
    atomic_int released = 0;
    numbers n = {.state = 5};
    wire_message *m = wire_create(WIRE_PUSH, SIZES);
    m->role = WIRE_WORKER;
    m->step = 1;
    m->examples = 1;
    m->clip_factor = 1;
    m->has_payload = true;
    for (uint32_t i = 0; i < SIZES; i++) {
        uint32_t *words = malloc(sizes[i]);
        assert_non_null(words);
        for (size_t k = 0; k < sizes[i] / sizeof *words; k++)
            words[k] = numbers_word(&n); /* NaNs among them */
        m->slices[i] = i;
        m->payloads[i] = buffer_wrap(words, sizes[i], count_release, &released);
    }
    send_when_possible(b.client, NULL, m);
    m = await_message(b.server, &(wire_route){0});
    assert_int_equal(m->slice_count, SIZES);
    n.state = 5;
    for (uint32_t i = 0; i < SIZES; i++) {
        assert_int_equal(buffer_size(m->payloads[i]), sizes[i]);
        assert_int_equal((uintptr_t)buffer_bytes(m->payloads[i]) % sizeof(float), 0);
        const uint32_t *words = buffer_bytes(m->payloads[i]);
        for (size_t k = 0; k < sizes[i] / sizeof *words; k++)
            assert_int_equal(words[k], numbers_word(&n));
    }
    wire_destroy(&m);
    uint64_t end = clock_monotonic_ms() + LOOPBACK_PATIENCE_MS;
    while (atomic_load(&released) < SIZES) {
        assert_true(clock_monotonic_ms() < end);
        transport_poll(&b.client, 1, 1);
    }
    close_bench(&b);
    assert_int_equal(atomic_load(&released), SIZES);
}

/* ---- strangers ---- */

static void write_all(int fd, const void *bytes, size_t count)
{
    const char *at = bytes;
    while (count > 0) {
        ssize_t written = send(fd, at, count, MSG_NOSIGNAL);
        if (written < 0)
            return; /* the other side has hung up: so it may */
        at += written;
        count -= (size_t)written;
    }
}

static void garbage_from_strangers_disturbs_nobody(void **state)
{
    (void)state;
    /* ZMTP 3.0, mechanism NULL. */
    static const uint8_t greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L'};
    static const uint8_t claims_16_gib[] = {6, 0, 0, 0, 4, 0, 0, 0, 0};
    uint8_t junk[5000];
    numbers n = {.state = 9};
    for (size_t i = 0; i < sizeof junk; i++)
        junk[i] = (uint8_t)numbers_word(&n);
    bench b;
    open_bench(&b);
    assert_talks(&b, b.client, 1);
    int silent = loopback_connect(b.port);
    int random = loopback_connect(b.port);
    write_all(random, junk, sizeof junk);
    int half = loopback_connect(b.port);
    write_all(half, greeting, 20);
    int greeted = loopback_connect(b.port);
    write_all(greeted, greeting, sizeof greeting);
    write_all(greeted, junk, sizeof junk);
    int greedy = loopback_connect(b.port);
    write_all(greedy, greeting, sizeof greeting);
    write_all(greedy, claims_16_gib, sizeof claims_16_gib);
    assert_talks(&b, b.client, 2);
    close(random);
    close(greeted);
    close(greedy);
    assert_talks(&b, b.client, 3);
    close(silent);
    close(half);
    close_bench(&b);
}

static void message_that_does_not_decode_is_refused_with_its_route(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    wire_message *m = wire_create(WIRE_PUSH, 0);
    m->role = WIRE_WORKER;
    m->clip_factor = 1;
    send_when_possible(b.client, NULL, m);
    wire_route from;
    ps_error error;
    assert_int_equal(await(b.server, &from, &m, &error), TRANSPORT_REFUSED);
    assert_null(m);
    assert_int_equal(error.status, PS_EPROTOCOL);
    assert_string_equal(error.text, "PUSH: steps count from 1");
    m = wire_create(WIRE_ERROR, 0);
    wire_set_text(m, error.text);
    send_when_possible(b.server, &from, m);
    m = await_message(b.client, NULL);
    assert_string_equal(m->text, "PUSH: steps count from 1");
    wire_destroy(&m);
    close_bench(&b);
}

static void assert_frames_refused(bench *b, void *raw, int count, const char *why)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(zmq_send(raw, "x", i > 0, i + 1 < count ? ZMQ_SNDMORE : 0), i > 0);
    wire_route from;
    wire_message *m;
    ps_error error;
    assert_int_equal(await(b->server, &from, &m, &error), TRANSPORT_REFUSED);
    assert_string_equal(error.text, why);
}

static void messages_of_too_many_or_empty_frames_are_refused(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    void *context = zmq_ctx_new(), *raw = zmq_socket(context, ZMQ_DEALER);
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", b.port);
    assert_int_equal(zmq_setsockopt(raw, ZMQ_LINGER, &(int){0}, sizeof(int)), 0);
    assert_int_equal(zmq_connect(raw, endpoint), 0);
    assert_frames_refused(&b, raw, 1, "a header of 0 bytes; 1 to 4194304 are allowed");
    assert_frames_refused(&b, raw, WIRE_SLICES_MAX + 1, "a header of 0 bytes; 1 to 4194304 are allowed");
    assert_frames_refused(&b, raw, WIRE_SLICES_MAX + 2, "a message of 4098 frames; at most 4097 are allowed");
    assert_frames_refused(&b, raw, 20000, "a message of 20000 frames; at most 4097 are allowed");
    zmq_close(raw);
    zmq_ctx_term(context);
    assert_talks(&b, b.client, 1);
    close_bench(&b);
}

static void frame_beyond_the_limit_drops_its_connection(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    wire_message *m = wire_create(WIRE_WEIGHTS, 1);
    m->has_payload = true;
    m->payloads[0] = buffer_alloc((size_t)WIRE_FRAME_MAX + 4);
    assert_non_null(m->payloads[0]);
    memset(buffer_data(m->payloads[0]), 0, (size_t)WIRE_FRAME_MAX + 4);
    send_when_possible(b.client, NULL, m);
    /* The client connects anew, and what it sends then arrives; some may still be lost with the connection.
     */
    uint64_t end = clock_monotonic_ms() + LOOPBACK_PATIENCE_MS, request = 1;
    wire_route from;
    transport_event event;
    while ((event = transport_receive(b.server, &from, &m, NULL)) == TRANSPORT_NOTHING) {
        assert_true(clock_monotonic_ms() < end);
        wire_message *pull = make_pull(request++);
        transport_send(b.client, NULL, &pull);
        wire_destroy(&pull);
        transport_poll(&b.server, 1, 20);
    }
    assert_int_equal(event, TRANSPORT_MESSAGE);
    assert_int_equal(m->type, WIRE_PULL);
    wire_destroy(&m);
    close_bench(&b);
}

/* ---- peers that are gone or slow ---- */

static void route_of_a_client_that_is_gone_is_reported(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    wire_route from;
    send_when_possible(b.client, NULL, make_pull(1));
    wire_message *m = await_message(b.server, &from);
    wire_destroy(&m);
    transport_close(&b.client, 0);
    uint64_t end = clock_monotonic_ms() + LOOPBACK_PATIENCE_MS;
    ps_status status;
    do {
        assert_true(clock_monotonic_ms() < end);
        m = wire_create(WIRE_ACK, 0);
        status = transport_send(b.server, &from, &m);
        assert_null(m);
        transport_poll(&b.server, 1, 1);
    } while (status == PS_OK);
    assert_int_equal(status, PS_EPEER);
    const wire_route nobody = {.bytes = 5, .id = {0, 1, 2, 3, 4}};
    m = wire_create(WIRE_ACK, 0);
    assert_int_equal(transport_send(b.server, &nobody, &m), PS_EPEER);
    assert_null(m);
    close_bench(&b);
}

static void message_to_nobody_stays_with_its_sender(void **state)
{
    (void)state;
    transport *t;
    transport_socket *s;
    assert_int_equal(transport_create(1, &t, NULL), PS_OK);
    assert_int_equal(transport_connect(t, "127.0.0.1", loopback_silent_port(), &s, NULL), PS_OK);
    wire_message *m = make_pull(77);
    assert_int_equal(transport_send(s, NULL, &m), PS_ESTATE);
    assert_int_equal(m->request, 77);
    wire_destroy(&m);
    transport_close(&s, 0);
    transport_destroy(&t);
}

static wire_message *make_large_push(uint64_t request, buffer *payload)
{
    wire_message *m = wire_create(WIRE_PUSH, 2);
    m->role = WIRE_WORKER;
    m->request = request;
    m->step = 1;
    m->examples = 1;
    m->clip_factor = 1;
    m->has_payload = true;
    m->slices[1] = 1;
    for (int i = 0; i < 2; i++)
        m->payloads[i] = buffer_ref(payload);
    return m;
}

static void full_queue_leaves_the_message_whole(void **state)
{
    (void)state;
    enum { BYTES = 1 << 18 };
    bench b;
    open_bench(&b);
    buffer *payload = buffer_alloc(BYTES);
    memset(buffer_data(payload), 0, BYTES);
    uint64_t sent = 0;
    wire_message *m = make_large_push(sent, payload);
    send_when_possible(b.client, NULL, m);
    for (;;) {
        m = make_large_push(sent + 1, payload);
        if (transport_send(b.client, NULL, &m) != PS_OK)
            break;
        sent++;
        assert_true(sent < 20 * TRANSPORT_QUEUE_MAX);
    }
    assert_non_null(m);
    assert_ptr_equal(m->payloads[0], payload);
    assert_ptr_equal(m->payloads[1], payload);
    for (uint64_t request = 0; request <= sent; request++) {
        wire_message *received = await_message(b.server, &(wire_route){0});
        assert_int_equal(received->request, request);
        wire_destroy(&received);
    }
    send_when_possible(b.client, NULL, m);
    m = await_message(b.server, &(wire_route){0});
    assert_int_equal(m->request, sent + 1);
    assert_int_equal(buffer_size(m->payloads[1]), BYTES);
    wire_destroy(&m);
    close_bench(&b);
    buffer_unref(&payload);
}

/* ---- addresses ---- */

static void assert_listens(const char *listen_host, const char *connect_host)
{
    bench b;
    ps_error error = {PS_OK, ""};
    assert_int_equal(transport_create(1, &b.transport, NULL), PS_OK);
    const uint64_t end = clock_monotonic_ms() + LOOPBACK_PATIENCE_MS;
    ps_status status;
    do { /* a port that is free now may be another's by then */
        close(loopback_bind(&b.port));
        status = transport_listen(b.transport, listen_host, b.port, -1, &b.server, &error);
    } while (status == PS_EIO && strstr(error.text, "in use") && clock_monotonic_ms() < end);
    if (status != PS_OK)
        fail_msg("%s", error.text);
    assert_int_equal(transport_connect(b.transport, connect_host, b.port, &b.client, NULL), PS_OK);
    assert_talks(&b, b.client, 1);
    close_bench(&b);
}

static void names_and_numbers_can_be_listened_on(void **state)
{
    (void)state;
    assert_listens("127.0.0.1", "127.0.0.1");
    assert_listens("localhost", "localhost");
    assert_listens(NULL, "127.0.0.1");
}

static bool has_ipv6(void)
{
    const struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool bound = fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof at) == 0;
    close(fd);
    return bound;
}

static void ipv6_works_where_the_host_has_it(void **state)
{
    (void)state;
    if (!has_ipv6())
        skip();
    assert_listens("::1", "::1");
    assert_listens(NULL, "::1");
}

/* A label of more than 63 characters: no name server is asked for it. */
static const char unresolvable[] = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";

static void name_that_does_not_resolve_is_told_apart(void **state)
{
    (void)state;
    assert_true(transport_resolves("127.0.0.1"));
    assert_true(transport_resolves("::1"));
    assert_true(transport_resolves("localhost"));
    assert_false(transport_resolves(unresolvable));
    transport *t;
    transport_socket *s;
    ps_error error;
    assert_int_equal(transport_create(1, &t, NULL), PS_OK);
    assert_int_equal(transport_listen(t, unresolvable, 2222, -1, &s, &error), PS_ENOENT);
    assert_null(s);
    assert_non_null(strstr(error.text, "cannot listen on 'nnn"));
    assert_non_null(strstr(error.text, "nnn': the name does not resolve ("));
    transport_destroy(&t);
}

static void address_that_cannot_be_listened_on_is_named(void **state)
{
    (void)state;
    transport *t;
    transport_socket *s;
    ps_error error;
    char expected[128];
    uint16_t port;
    int taken = loopback_listen(&port);
    assert_int_equal(transport_create(1, &t, NULL), PS_OK);
    assert_int_equal(transport_listen(t, "127.0.0.1", port, -1, &s, &error), PS_EIO);
    assert_null(s);
    snprintf(expected, sizeof expected, "cannot listen on tcp://127.0.0.1:%u: Address already in use", port);
    assert_string_equal(error.text, expected);
    assert_int_equal(transport_listen(t, "192.0.2.1", port, -1, &s, &error), PS_EIO);
    snprintf(expected, sizeof expected,
             "cannot listen on tcp://192.0.2.1:%u: Cannot assign requested address", port);
    assert_string_equal(error.text, expected);
    transport_destroy(&t);
    close(taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_goes_there_and_its_answer_back),
        cmocka_unit_test(answers_find_their_client_among_several),
        cmocka_unit_test(payloads_arrive_bit_by_bit_and_are_given_back),
        cmocka_unit_test(garbage_from_strangers_disturbs_nobody),
        cmocka_unit_test(message_that_does_not_decode_is_refused_with_its_route),
        cmocka_unit_test(messages_of_too_many_or_empty_frames_are_refused),
        cmocka_unit_test(frame_beyond_the_limit_drops_its_connection),
        cmocka_unit_test(route_of_a_client_that_is_gone_is_reported),
        cmocka_unit_test(message_to_nobody_stays_with_its_sender),
        cmocka_unit_test(full_queue_leaves_the_message_whole),
        cmocka_unit_test(names_and_numbers_can_be_listened_on),
        cmocka_unit_test(ipv6_works_where_the_host_has_it),
        cmocka_unit_test(name_that_does_not_resolve_is_told_apart),
        cmocka_unit_test(address_that_cannot_be_listened_on_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
