/* What may be on its way from and to the peers of a socket that listens: common/transport_flow, and the
 * bounds that common/transport_door keeps. */
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "common/transport_flow.h"
#include "tests/unit/folder.h"
#include "tests/unit/transport_bench.h"

enum {
    KIB = 1 << 10,
    MIB = 1 << 20,
    SMALL_BOUND = 256 * KIB,
    PIECE = 64 * KIB,
};

/* ---- benches ---- */

static void open_watched(bench *b, bool has_keys)
{
    curve_keys keys = {.wanted = true, .allow_path = "allow"};
    if (has_keys) { /* one pair for both ends */
        char line[2 * KEY_TEXT];
        assert_int_equal(transport_make_keys(&keys.own, NULL), PS_OK);
        memcpy(keys.server_key, keys.own.public_key, sizeof keys.server_key);
        const int bytes = snprintf(line, sizeof line, "worker %s\n", keys.own.public_key);
        folder_put("allow", line, (size_t)bytes);
    }
    listen_bench(b, has_keys ? &keys : NULL);
    assert_int_equal(transport_connect(b->transport, "127.0.0.1", b->port, &b->client, NULL), PS_OK);
}

static uint64_t cut(bench *b)
{
    return transport_look_at_handshakes(b->server)->beyond_inbox;
}

static void wait_until_cut(bench *b, uint64_t count)
{
    const uint64_t end = clock_monotonic_ms() + LOOPBACK_PATIENCE_MS;
    while (cut(b) < count) {
        assert_true(clock_monotonic_ms() < end);
        usleep(1000);
    }
}

/* Slices 0, 1, ..., each of which is `of`. */
static wire_message *make_push(uint32_t slices, buffer *of)
{
    wire_message *m = wire_create(WIRE_PUSH_PULL, slices);
    m->role = WIRE_WORKER;
    m->step = m->examples = 1;
    m->clip_factor = 1;
    m->has_payload = true;
    for (uint32_t i = 0; i < slices; i++) {
        m->slices[i] = i;
        m->payloads[i] = buffer_ref(of);
    }
    return m;
}

/* ---- a peer by hand ---- */

static int connect_by_hand(uint16_t port)
{
    static const uint8_t greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0, 'N', 'U', 'L', 'L'};
    static const char ready[] = "\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06"
                                "DEALER";
    uint8_t answer[sizeof greeting + sizeof ready - 1];
    const int fd = loopback_connect(port);
    assert_int_equal(send(fd, greeting, sizeof greeting, MSG_NOSIGNAL), sizeof greeting);
    assert_int_equal(send(fd, ready, sizeof ready - 1, MSG_NOSIGNAL), sizeof ready - 1);
    assert_int_equal(recv(fd, answer, sizeof answer, MSG_WAITALL), sizeof answer);
    return fd;
}

/* False: the other end has hung up, or takes no more. */
static bool say(int fd, const void *bytes, size_t count)
{
    const char *at = bytes;
    while (count > 0) {
        struct pollfd end = {.fd = fd, .events = POLLOUT | POLLRDHUP};
        if (poll(&end, 1, LOOPBACK_PATIENCE_MS) != 1 || end.revents != POLLOUT)
            return false;
        const ssize_t sent = send(fd, at, count, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0)
            return false;
        at += sent;
        count -= (size_t)sent;
    }
    return true;
}

static bool say_frame(int fd, const void *bytes, uint32_t count, bool more)
{
    const uint8_t head[] = {
        more ? 3 : 2,  0, 0, 0, 0, (uint8_t)(count >> 24), (uint8_t)(count >> 16), (uint8_t)(count >> 8),
        (uint8_t)count};
    return say(fd, head, sizeof head) && say(fd, bytes, count);
}

/* ---- what comes ---- */

static void what_is_taken_no_longer_counts_whatever_its_frames(void **state)
{
    (void)state;
    enum { ROUNDS = 3000, SIZES_MAX = 3 * KIB };
    for (int has_keys = 0; has_keys < 2; has_keys++) {
        bench b;
        open_watched(&b, has_keys);
        transport_bound(b.server, SMALL_BOUND, SMALL_BOUND);
        for (uint32_t i = 0; i < ROUNDS; i++) {
            buffer *of = buffer_alloc(4 + i % SIZES_MAX * 4 % SIZES_MAX);
            memset(buffer_data(of), 0, buffer_size(of));
            send_when_possible(b.client, NULL, make_push(1 + i % 7, of));
            wire_message *m = await_message(b.server, &(wire_route){0});
            wire_destroy(&m);
            buffer_unref(&of);
        }
        /* One more, of nearly as much as may be: had 80 bytes a message been miscounted, it would be cut. */
        buffer *of = buffer_alloc(16 * KIB);
        memset(buffer_data(of), 0, buffer_size(of));
        send_when_possible(b.client, NULL, make_push(15, of));
        usleep(3 * TRANSPORT_LOOK_MS * 1000); /* looks, if it is cut; else nothing depends on it */
        wire_message *m = await_message(b.server, &(wire_route){0});
        wire_destroy(&m);
        buffer_unref(&of);
        assert_int_equal(cut(&b), 0);
        close_bench(&b);
    }
}

/* ---- what is counted ---- */

/* Of the connection whose bytes the test counts by hand. */
static struct {
    flow *flows;
    wire_route from;
    uint64_t while_asked; /* bytes to be taken just after the system was asked what has come */
} by_hand;

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *bytes);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *bytes);

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *bytes)
{
    const int result = __real_getsockopt(fd, level, name, value, bytes);
    if (level == IPPROTO_TCP && by_hand.while_asked > 0)
        flow_take(by_hand.flows, &by_hand.from, by_hand.while_asked);
    return result;
}

/* The peer sends so much, and the system hands it out. */
static void pass(int to, int from, size_t bytes)
{
    static uint8_t piece[PIECE];
    assert_true(bytes <= sizeof piece);
    assert_true(say(to, piece, bytes));
    assert_int_equal(recv(from, piece, bytes, MSG_WAITALL), bytes);
}

/* It had been taken for another connection's bytes, and who sent fast was cut. */
static void what_comes_and_is_taken_while_the_system_is_asked_does_not_wait(void **state)
{
    (void)state;
    uint16_t port;
    const int listener = loopback_listen(&port), peer = loopback_connect(port),
              fd = accept(listener, NULL, NULL);
    by_hand.flows = flow_create(false);
    by_hand.from = (wire_route){.bytes = 5, .id = {0, 1, 2, 3, 4}, .fd = fd};
    pass(peer, fd, 1000);
    assert_int_equal(flow_waiting(by_hand.flows, fd), 1000);
    flow_take(by_hand.flows, &by_hand.from, 400);
    assert_int_equal(flow_waiting(by_hand.flows, fd), 600);
    by_hand.while_asked = 200;
    assert_int_equal(flow_waiting(by_hand.flows, fd), 400);
    by_hand.while_asked = 5000;
    assert_int_equal(flow_waiting(by_hand.flows, fd), 0);
    by_hand.while_asked = 0;
    assert_int_equal(flow_waiting(by_hand.flows, fd), 1000); /* these 5,600 were another's */
    by_hand.from.id[4]++;
    flow_take(by_hand.flows, &by_hand.from, 400);
    by_hand.from.id[4]++; /* who comes while the system is asked: of it nothing is known yet */
    by_hand.while_asked = 200;
    assert_int_equal(flow_waiting(by_hand.flows, fd), 0);
    by_hand.while_asked = 0;
    assert_int_equal(flow_waiting(by_hand.flows, fd), 800);
    assert_int_equal(flow_left(by_hand.flows, fd), 800);
    assert_int_equal(flow_left(by_hand.flows, fd), 0);
    flow_destroy(&by_hand.flows);
    close(peer);
    close(fd);
    close(listener);
}

/* ---- who is cut ---- */

static void who_never_ends_a_message_is_cut_and_others_go_on(void **state)
{
    (void)state;
    static const uint8_t piece[PIECE];
    bench b;
    open_watched(&b, false);
    transport_bound(b.server, SMALL_BOUND, 2 * SMALL_BOUND);
    talk(&b, 1);
    const int endless = connect_by_hand(b.port);
    while (say_frame(endless, piece, sizeof piece, true))
        ;
    wait_until_cut(&b, 1);
    talk(&b, 2);
    assert_int_equal(cut(&b), 1);
    close(endless);
    close_bench(&b);
}

/* ZeroMQ has stopped reading from it by then. */
static void who_fills_its_places_with_more_than_may_come_is_cut_and_what_was_whole_is_refused(void **state)
{
    (void)state;
    static const uint8_t piece[PIECE];
    bench b;
    open_watched(&b, false);
    talk(&b, 1);
    transport_bound(b.server, SMALL_BOUND, 2 * SMALL_BOUND);
    const int hasty = connect_by_hand(b.port);
    while (say_frame(hasty, piece, sizeof piece, false))
        ;
    wait_until_cut(&b, 1);
    uint32_t refused = 0;
    wire_message *pull = wire_create(WIRE_PULL, 0), *m;
    wire_route from;
    pull->role = WIRE_WORKER;
    send_when_possible(b.client, NULL, pull);
    while (await(b.server, &from, &m, &(ps_error){PS_OK, ""}) == TRANSPORT_REFUSED)
        refused++;
    assert_int_equal(m->type, WIRE_PULL);
    wire_destroy(&m);
    assert_in_range(refused, 0, 2 * TRANSPORT_INBOX_MAX);
    close(hasty);
    close_bench(&b);
}

static void where_all_together_have_too_much_the_one_with_the_most_is_cut(void **state)
{
    (void)state;
    static const uint8_t piece[2 * PIECE];
    enum { FEW = 3 };
    bench b;
    int peers[FEW];
    open_watched(&b, false);
    talk(&b, 1);
    transport_bound(b.server, 16 * PIECE, 5 * PIECE);
    for (int i = 0; i < FEW; i++) {
        peers[i] = connect_by_hand(b.port);
        assert_true(say_frame(peers[i], piece, i == 1 ? 2 * PIECE : PIECE, true));
    }
    struct pollfd ends[FEW];
    for (int i = 0; i < FEW; i++)
        ends[i] = (struct pollfd){.fd = peers[i], .events = POLLRDHUP};
    assert_int_equal(cut(&b), 0);
    assert_true(say_frame(peers[1], piece, 2 * PIECE, true));
    wait_until_cut(&b, 1);
    assert_int_equal(poll(ends, FEW, LOOPBACK_PATIENCE_MS), 1);
    assert_true(ends[1].revents != 0);
    talk(&b, 2);
    for (int i = 0; i < FEW; i++)
        close(peers[i]);
    close_bench(&b);
}

/* ---- what is sent ---- */

static void to_who_does_not_read_no_more_than_so_many_bytes_are_sent(void **state)
{
    (void)state;
    enum { SLICES = 4, ROUNDS_MAX = TRANSPORT_QUEUE_MAX };
    static uint8_t back[MIB];
    bench b;
    open_watched(&b, false);
    buffer *of = buffer_alloc(MIB);
    memset(buffer_data(of), 0, buffer_size(of));
    const int deaf = connect_by_hand(b.port);
    /* Whatever it says makes it known. */
    assert_true(say_frame(deaf, "x", 1, false));
    wire_route route;
    wire_message *m;
    assert_int_equal(await(b.server, &route, &m, &(ps_error){PS_OK, ""}), TRANSPORT_REFUSED);
    uint64_t sent = 0, read = 0;
    const uint64_t end = clock_monotonic_ms() + LOOPBACK_PATIENCE_MS;
    ps_status status = PS_OK;
    for (int i = 0; i < ROUNDS_MAX && status == PS_OK; i++) {
        m = make_push(SLICES, of);
        m->type = WIRE_WEIGHTS;
        m->role = WIRE_PS;
        status = transport_send(b.server, &route, &m);
        sent += status == PS_OK ? SLICES * MIB : 0;
        wire_destroy(&m);
    }
    assert_int_equal(status, PS_ESTATE);
    /* Beside the bound there is what its system keeps for it. */
    assert_in_range(sent, TRANSPORT_OUTBOX_BYTES, 3 * TRANSPORT_OUTBOX_BYTES);
    talk(&b, 1);
    while (read < sent) {
        const ssize_t got = recv(deaf, back, sizeof back, 0);
        assert_true(got > 0);
        read += (uint64_t)got;
    }
    do { /* the last acknowledgement may be on its way */
        m = make_push(SLICES, of);
        m->type = WIRE_WEIGHTS;
        m->role = WIRE_PS;
        status = transport_send(b.server, &route, &m);
        wire_destroy(&m);
        assert_true(clock_monotonic_ms() < end);
    } while (status == PS_ESTATE);
    assert_int_equal(status, PS_OK);
    close(deaf);
    close_bench(&b);
    buffer_unref(&of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(what_is_taken_no_longer_counts_whatever_its_frames),
        cmocka_unit_test(what_comes_and_is_taken_while_the_system_is_asked_does_not_wait),
        cmocka_unit_test(who_never_ends_a_message_is_cut_and_others_go_on),
        cmocka_unit_test(who_fills_its_places_with_more_than_may_come_is_cut_and_what_was_whole_is_refused),
        cmocka_unit_test(where_all_together_have_too_much_the_one_with_the_most_is_cut),
        cmocka_unit_test(to_who_does_not_read_no_more_than_so_many_bytes_are_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
