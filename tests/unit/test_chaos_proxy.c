/* A bad network on loopback: deploy/chaos_proxy. Both ends are ours, and so is the clock. */
#include "deploy/chaos/chaos_proxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "deploy/launch/ports.h"
#include "tests/unit/unit.h"

enum {
    PATIENCE_ROUNDS = 100000, /* of a loop that a broken proxy alone reaches */
    QUIET_ROUNDS = 20,
    BULK_BYTES = 4 << 20,
};

/* One worker and one ps, and a connection between them. */
typedef struct {
    chaos_net *net;
    int listener, worker, ps;
    uint64_t now_ms;
} net;

static void turn(net *n)
{
    static struct pollfd waits[CHAOS_WAITS_MAX];
    uint64_t wake = n->now_ms + 1;
    size_t count = n->net->ops->waits(n->net, waits, n->now_ms, &wake);
    poll(waits, count, 0);
    n->net->ops->turn(n->net, waits, n->now_ms);
}

static int connect_to(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int setup(void **state)
{
    net *n = calloc(1, sizeof *n);
    uint16_t port;
    n->now_ms = 1000;
    assert_int_equal(port_reserve(true, &n->listener, &port, NULL), PS_OK);
    assert_int_equal(chaos_proxy_create(1, 1, 1, &n->net, NULL), PS_OK);
    static const tasks none;
    tasks *there = malloc(sizeof *there);
    *there = none;
    there->list[there->count++] = (task){.role = ROLE_PS, .port = port};
    n->net->ops->begun(n->net, there);
    free(there);
    n->worker = connect_to(chaos_proxy_port(n->net, 0, 0));
    for (int i = 0; i < PATIENCE_ROUNDS && n->net->ops->count(n->net).connections == 0; i++)
        turn(n);
    n->ps = accept(n->listener, NULL, NULL);
    *state = n;
    return n->ps >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    net *n = *state;
    close(n->worker);
    close(n->ps);
    close(n->listener);
    n->net->ops->destroy(n->net);
    free(n);
    return 0;
}

/* Whether something comes, with the clock standing still. */
static bool arrives(net *n, int at, const char *text, int rounds)
{
    char got[64];
    for (int i = 0; i < rounds; i++) {
        turn(n);
        ssize_t length = recv(at, got, sizeof got, MSG_DONTWAIT);
        if (length > 0)
            return (size_t)length == strlen(text) && memcmp(got, text, (size_t)length) == 0;
        usleep(i > QUIET_ROUNDS ? 100 : 1000);
    }
    return false;
}

static void change(net *n, const fault *what, uint64_t until_ms)
{
    chaos_weather_change(&n->net->weather, what, until_ms);
}

static void put(int at, const char *text)
{
    assert_int_equal(send(at, text, strlen(text), 0), (ssize_t)strlen(text));
}

static void bytes_go_both_ways(void **state)
{
    net *n = *state;
    put(n->worker, "up");
    assert_true(arrives(n, n->ps, "up", PATIENCE_ROUNDS));
    put(n->ps, "down");
    assert_true(arrives(n, n->worker, "down", PATIENCE_ROUNDS));
}

static void a_blackhole_holds_everything_up_and_loses_nothing(void **state)
{
    net *n = *state;
    change(n, &(fault){.kind = FAULT_BLACKHOLE, .worker = CHAOS_ANY, .server = 0, .direction = CHAOS_BOTH},
           2000);
    put(n->worker, "up");
    put(n->ps, "down");
    assert_false(arrives(n, n->ps, "up", QUIET_ROUNDS));
    assert_false(arrives(n, n->worker, "down", QUIET_ROUNDS));
    n->now_ms = 2000;
    assert_true(arrives(n, n->ps, "up", PATIENCE_ROUNDS));
    assert_true(arrives(n, n->worker, "down", PATIENCE_ROUNDS));
}

static void the_longer_of_two_faults_of_a_link_goes_on(void **state)
{
    net *n = *state;
    change(n, &(fault){.kind = FAULT_BLACKHOLE, .worker = 0, .server = 0, .direction = CHAOS_BOTH}, 2000);
    change(n, &(fault){.kind = FAULT_BLACKHOLE, .worker = 0, .server = 0, .direction = CHAOS_UP}, 1500);
    put(n->worker, "up");
    n->now_ms = 1600;
    assert_false(arrives(n, n->ps, "up", QUIET_ROUNDS));
    n->now_ms = 2000;
    assert_true(arrives(n, n->ps, "up", PATIENCE_ROUNDS));
}

static void a_partition_is_one_way(void **state)
{
    net *n = *state;
    change(n, &(fault){.kind = FAULT_BLACKHOLE, .worker = 0, .server = 0, .direction = CHAOS_UP}, 2000);
    put(n->worker, "up");
    put(n->ps, "down");
    assert_true(arrives(n, n->worker, "down", PATIENCE_ROUNDS));
    assert_false(arrives(n, n->ps, "up", QUIET_ROUNDS));
}

static void what_is_delayed_comes_in_its_time(void **state)
{
    net *n = *state;
    change(n,
           &(fault){.kind = FAULT_DELAY,
                    .worker = 0,
                    .server = CHAOS_ANY,
                    .direction = CHAOS_BOTH,
                    .delay_ms = 50,
                    .jitter_ms = 0},
           5000);
    put(n->worker, "late");
    assert_false(arrives(n, n->ps, "late", QUIET_ROUNDS));
    n->now_ms += 49;
    assert_false(arrives(n, n->ps, "late", QUIET_ROUNDS));
    n->now_ms += 1;
    assert_true(arrives(n, n->ps, "late", PATIENCE_ROUNDS));
}

static void a_throttled_link_moves_no_more_than_it_may(void **state)
{
    net *n = *state;
    static char got[1 << 16];
    change(
        n,
        &(fault){
            .kind = FAULT_THROTTLE, .worker = 0, .server = 0, .direction = CHAOS_UP, .bytes_per_s = 100000},
        60000);
    char *bulk = calloc(1, BULK_BYTES);
    send(n->worker, bulk, BULK_BYTES, MSG_DONTWAIT);
    free(bulk);
    uint64_t begun = n->now_ms, received = 0;
    for (; n->now_ms < begun + 1000; n->now_ms++) {
        turn(n);
        ssize_t length = recv(n->ps, got, sizeof got, MSG_DONTWAIT);
        received += length > 0 ? (uint64_t)length : 0;
    }
    assert_in_range(received, 1, 110000);
}

/* Bytes that come within so long of what is sent, at a rate. */
static uint64_t moved_within(net *n, uint64_t bytes_per_s, uint64_t ms)
{
    static char got[1 << 16];
    change(n,
           &(fault){.kind = FAULT_THROTTLE,
                    .worker = 0,
                    .server = 0,
                    .direction = CHAOS_UP,
                    .bytes_per_s = bytes_per_s},
           n->now_ms + ms + 1);
    send(n->worker, got, sizeof got, MSG_DONTWAIT);
    uint64_t received = 0;
    for (uint64_t end = n->now_ms + ms; n->now_ms < end; n->now_ms++) {
        turn(n);
        ssize_t length = recv(n->ps, got, sizeof got, MSG_DONTWAIT);
        received += length > 0 ? (uint64_t)length : 0;
    }
    return received;
}

static void a_few_bytes_per_second_are_kept(void **state)
{
    net *n = *state;
    assert_in_range(moved_within(n, 70, 10000), 650, 720);
}

static void one_byte_per_second_is_kept(void **state)
{
    net *n = *state;
    assert_in_range(moved_within(n, 1, 20000), 18, 22);
}

static int idle_descriptor(void)
{
    int fd = dup(STDIN_FILENO);
    assert_true(fd >= 0);
    close(fd);
    return fd;
}

/* How long the proxy would sleep, if nobody sent anything. */
static uint64_t sleeps(net *n, size_t *ready)
{
    static struct pollfd waits[CHAOS_WAITS_MAX];
    uint64_t wake = n->now_ms + 1000000;
    size_t count = n->net->ops->waits(n->net, waits, n->now_ms, &wake);
    *ready = (size_t)poll(waits, count, 0);
    return wake - n->now_ms;
}

static void without_descriptors_accepting_pauses_and_is_told_once(void **state)
{
    net *n = *state;
    ps_error error;
    size_t ready;
    struct rlimit whole;
    int second = connect_to(chaos_proxy_port(n->net, 0, 0));
    getrlimit(RLIMIT_NOFILE, &whole);
    const struct rlimit used = {.rlim_cur = (rlim_t)idle_descriptor(), .rlim_max = whole.rlim_max};
    setrlimit(RLIMIT_NOFILE, &used);
    int told = 0;
    for (int i = 0; i < QUIET_ROUNDS; i++) {
        for (int round = 0; round < QUIET_ROUNDS; round++)
            turn(n);
        told += n->net->ops->trouble(n->net, &error);
        assert_in_range(sleeps(n, &ready), 1, 10000);
        assert_int_equal(ready, 0);
        n->now_ms += 10000;
    }
    assert_int_equal(told, 1);
    assert_non_null(strstr(error.text, "Too many open files"));
    assert_int_equal(n->net->ops->count(n->net).connections, 1);
    setrlimit(RLIMIT_NOFILE, &whole);
    put(second, "hello");
    for (int i = 0; i < PATIENCE_ROUNDS && n->net->ops->count(n->net).connections < 2; i++)
        turn(n);
    int other = accept(n->listener, NULL, NULL);
    assert_true(arrives(n, other, "hello", PATIENCE_ROUNDS));
    close(second);
    close(other);
}

static void a_reset_is_seen_at_both_ends(void **state)
{
    net *n = *state;
    char got;
    n->net->ops->reset(n->net, 0, 0, n->now_ms);
    assert_int_equal(recv(n->worker, &got, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(recv(n->ps, &got, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(n->net->ops->count(n->net).resets, 1);
}

static void an_end_is_passed_on_after_what_came_before(void **state)
{
    net *n = *state;
    char got;
    put(n->worker, "last");
    shutdown(n->worker, SHUT_WR);
    assert_true(arrives(n, n->ps, "last", PATIENCE_ROUNDS));
    for (int i = 0; i < QUIET_ROUNDS; i++)
        turn(n);
    assert_int_equal(recv(n->ps, &got, 1, 0), 0);
    put(n->ps, "answer");
    assert_true(arrives(n, n->worker, "answer", PATIENCE_ROUNDS));
}

static void a_new_connection_is_taken_while_nothing_moves(void **state)
{
    net *n = *state;
    change(n, &(fault){.kind = FAULT_BLACKHOLE, .worker = 0, .server = 0, .direction = CHAOS_BOTH}, 2000);
    int second = connect_to(chaos_proxy_port(n->net, 0, 0));
    put(second, "hello");
    for (int i = 0; i < PATIENCE_ROUNDS && n->net->ops->count(n->net).connections < 2; i++)
        turn(n);
    int other = accept(n->listener, NULL, NULL);
    assert_false(arrives(n, other, "hello", QUIET_ROUNDS));
    n->now_ms = 2000;
    assert_true(arrives(n, other, "hello", PATIENCE_ROUNDS));
    close(second);
    close(other);
}

#define NET_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(bytes_go_both_ways),
        NET_TEST(a_blackhole_holds_everything_up_and_loses_nothing),
        NET_TEST(the_longer_of_two_faults_of_a_link_goes_on),
        NET_TEST(a_partition_is_one_way),
        NET_TEST(what_is_delayed_comes_in_its_time),
        NET_TEST(a_throttled_link_moves_no_more_than_it_may),
        NET_TEST(a_few_bytes_per_second_are_kept),
        NET_TEST(one_byte_per_second_is_kept),
        NET_TEST(without_descriptors_accepting_pauses_and_is_told_once),
        NET_TEST(a_reset_is_seen_at_both_ends),
        NET_TEST(an_end_is_passed_on_after_what_came_before),
        NET_TEST(a_new_connection_is_taken_while_nothing_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
