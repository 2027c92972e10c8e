/* transport_bench.h - a listening socket and one that is connected to it, and patience. */
#ifndef PENSTOCK_TESTS_TRANSPORT_BENCH_H
#define PENSTOCK_TESTS_TRANSPORT_BENCH_H

#include "common/clock.h"
#include "common/transport.h"
#include "tests/unit/loopback.h"

typedef struct {
    transport *transport;
    transport_socket *server, *client;
    uint16_t port;
} bench;

/* Only the server, with those keys; NULL: none. */
static inline void listen_bench(bench *b, const curve_keys *keys)
{
    int fd = loopback_listen(&b->port);
    assert_int_equal(transport_create(1, &b->transport, NULL), PS_OK);
    if (keys)
        assert_int_equal(transport_secure(b->transport, keys, NULL), PS_OK);
    assert_int_equal(transport_listen(b->transport, NULL, b->port, fd, &b->server, NULL), PS_OK);
    b->client = NULL;
}

static inline void open_bench(bench *b)
{
    listen_bench(b, NULL);
    assert_int_equal(transport_connect(b->transport, "127.0.0.1", b->port, &b->client, NULL), PS_OK);
}

static inline void close_bench(bench *b)
{
    transport_close(&b->client, 0);
    transport_close(&b->server, 0);
    assert_null(b->server);
    transport_destroy(&b->transport);
    assert_null(b->transport);
}

/* ---- sending and waiting ---- */

/* Sends as soon as the socket takes it: a client is not connected at once. */
static inline void send_when_possible(transport_socket *s, const wire_route *to, wire_message *m)
{
    uint64_t end = clock_monotonic_ms() + LOOPBACK_PATIENCE_MS;
    ps_status status;
    while ((status = transport_send(s, to, &m)) == PS_ESTATE) {
        assert_non_null(m);
        assert_true(clock_monotonic_ms() < end);
        transport_poll(&s, 1, 5);
    }
    assert_int_equal(status, PS_OK);
    assert_null(m);
}

static inline transport_event await(transport_socket *s, wire_route *from, wire_message **m, ps_error *error)
{
    uint64_t end = clock_monotonic_ms() + LOOPBACK_PATIENCE_MS;
    transport_event event;
    while ((event = transport_receive(s, from, m, error)) == TRANSPORT_NOTHING) {
        assert_true(clock_monotonic_ms() < end);
        transport_poll(&s, 1, 100);
    }
    return event;
}

static inline wire_message *await_message(transport_socket *s, wire_route *from)
{
    wire_message *m;
    ps_error error = {PS_OK, ""};
    if (await(s, from, &m, &error) != TRANSPORT_MESSAGE)
        fail_msg("%s", error.text);
    return m;
}

/* The client asks, and the server hears it. */
static inline void talk(bench *b, uint64_t request)
{
    wire_message *m = wire_create(WIRE_PULL, 0);
    m->role = WIRE_WORKER;
    m->request = request;
    send_when_possible(b->client, NULL, m);
    m = await_message(b->server, &(wire_route){0});
    assert_int_equal(m->request, request);
    wire_destroy(&m);
}

#endif
