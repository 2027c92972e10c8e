/* Packets between real network namespaces: deploy/chaos_router, deploy/network. The kernel at both ends
 * judges what we forge. Skipped, with the reason, where namespaces cannot be made. */
#include "deploy/chaos/chaos_router.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

enum {
    SKIPPED = 77,
    PATIENCE_MS = 60000, /* that a broken router alone reaches */
    QUIET_MS = 50,
    BULK_BYTES = 1 << 20,
};

static chaos_net *net; /* 1 worker, 1 ps */
static int home, listener;
static struct sockaddr_in ps_address;

/* One round of the router, in real time. */
static void turn(void)
{
    static struct pollfd waits[CHAOS_WAITS_MAX];
    uint64_t now = clock_monotonic_ms(), wake = now + 5;
    size_t count = net->ops->waits(net, waits, now, &wake);
    poll(waits, count, wake > now ? (int)(wake - now) : 0);
    net->ops->turn(net, waits, clock_monotonic_ms());
}

static void turn_for(uint64_t ms)
{
    for (uint64_t end = clock_monotonic_ms() + ms; clock_monotonic_ms() < end;)
        turn();
}

/* Until something can be done with the socket. */
static void await(int fd, short events)
{
    struct pollfd wait = {.fd = fd, .events = events};
    for (uint64_t end = clock_monotonic_ms() + PATIENCE_MS; poll(&wait, 1, 0) == 0;) {
        assert_true(clock_monotonic_ms() < end);
        turn();
    }
}

static int begin_to_connect(void)
{
    assert_int_equal(setns(chaos_router_space(net, ROLE_WORKER, 0), CLONE_NEWNET), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(setns(home, CLONE_NEWNET), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&ps_address, sizeof ps_address), -1);
    assert_int_equal(errno, EINPROGRESS);
    return fd;
}

typedef struct {
    int worker, ps;
} pair;

static pair make_pair(void)
{
    pair p = {.worker = begin_to_connect()};
    await(p.worker, POLLOUT);
    await(listener, POLLIN);
    p.ps = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(p.ps >= 0);
    return p;
}

static void close_pair(pair p)
{
    close(p.worker);
    close(p.ps);
}

static void change(fault what, uint64_t for_ms)
{
    what.direction = what.direction ? what.direction : CHAOS_BOTH;
    what.worker = what.server = CHAOS_ANY;
    chaos_weather_change(&net->weather, &what, clock_monotonic_ms() + for_ms);
}

static void clear_weather(void)
{
    memset(net->weather.links, 0, sizeof net->weather.links);
}

static void assert_broken(int fd)
{
    char byte;
    await(fd, POLLIN);
    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

static void reset(void)
{
    net->ops->reset(net, 0, 0, clock_monotonic_ms());
}

static void bytes_go_both_ways(void **state)
{
    (void)state;
    pair p = make_pair();
    char got[8];
    assert_int_equal(send(p.worker, "up", 2, 0), 2);
    await(p.ps, POLLIN);
    assert_int_equal(recv(p.ps, got, sizeof got, 0), 2);
    assert_int_equal(send(p.ps, "down", 4, 0), 4);
    await(p.worker, POLLIN);
    assert_int_equal(recv(p.worker, got, sizeof got, 0), 4);
    close_pair(p);
}

static void an_idle_connection_is_reset_at_both_ends(void **state)
{
    (void)state;
    pair p = make_pair();
    turn_for(QUIET_MS);
    reset();
    assert_broken(p.worker);
    assert_broken(p.ps);
    close_pair(p);
}

/* The numbers that the ends wait for are then not those that have been acknowledged. */
static void a_busy_connection_is_reset_at_both_ends(void **state)
{
    (void)state;
    static char bulk[BULK_BYTES];
    for (int rounds = 0; rounds < 20; rounds++) {
        pair p = make_pair();
        send(p.worker, bulk, sizeof bulk, 0);
        send(p.ps, bulk, sizeof bulk, 0);
        for (int i = 0; i < rounds; i++)
            turn();
        reset();
        /* An end may have got bytes before, and reads these first. */
        for (int end = 0; end < 2; end++) {
            int fd = end == 0 ? p.worker : p.ps;
            for (;;) {
                await(fd, POLLIN);
                if (recv(fd, bulk, sizeof bulk, 0) < 0)
                    break;
            }
            assert_int_equal(errno, ECONNRESET);
        }
        close_pair(p);
    }
}

static void a_connection_that_is_being_made_is_refused(void **state)
{
    (void)state;
    change((fault){.kind = FAULT_DELAY, .delay_ms = 1000}, 1000);
    int fd = begin_to_connect();
    int cause = 0;
    socklen_t bytes = sizeof cause;
    turn_for(QUIET_MS);
    reset();
    await(fd, POLLOUT);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &cause, &bytes), 0);
    assert_int_equal(cause, ECONNREFUSED);
    close(fd);
    clear_weather();
}

static void whole_streams_pass_loss_and_disorder(void **state)
{
    (void)state;
    static unsigned char sent[BULK_BYTES], got[BULK_BYTES];
    pair p = make_pair();
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (unsigned char)(i * 2654435761u >> 13);
    change((fault){.kind = FAULT_LOSS, .percent = 3}, PATIENCE_MS);
    change((fault){.kind = FAULT_REORDER, .percent = 20, .delay_ms = 3}, PATIENCE_MS);
    for (size_t out = 0, in = 0; in < sizeof got;) {
        ssize_t put = send(p.worker, sent + out, sizeof sent - out, 0);
        out += put > 0 ? (size_t)put : 0;
        await(p.ps, POLLIN);
        ssize_t taken = recv(p.ps, got + in, sizeof got - in, 0);
        assert_true(taken > 0);
        in += (size_t)taken;
    }
    assert_memory_equal(sent, got, sizeof sent);
    assert_true(net->ops->count(net).lost > 0);
    assert_true(net->ops->count(net).late > 0);
    clear_weather();
    close_pair(p);
}

static void a_partition_ends_by_itself(void **state)
{
    (void)state;
    pair p = make_pair();
    char got[8];
    change((fault){.kind = FAULT_PARTITION, .direction = CHAOS_UP}, 4 * QUIET_MS);
    assert_int_equal(send(p.worker, "up", 2, 0), 2);
    assert_int_equal(send(p.ps, "down", 4, 0), 4);
    await(p.worker, POLLIN);
    assert_int_equal(recv(p.worker, got, sizeof got, 0), 4);
    await(p.ps, POLLIN);
    assert_int_equal(recv(p.ps, got, sizeof got, 0), 2);
    close_pair(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways),
        cmocka_unit_test(an_idle_connection_is_reset_at_both_ends),
        cmocka_unit_test(a_busy_connection_is_reset_at_both_ends),
        cmocka_unit_test(a_connection_that_is_being_made_is_refused),
        cmocka_unit_test(whole_streams_pass_loss_and_disorder),
        cmocka_unit_test(a_partition_ends_by_itself),
    };
    ps_error error;
    uint32_t address = 0;
    uint16_t port = 0;
    ps_status status = chaos_router_create(1, 1, (chaos_line){0}, 1, &net, &error);
    if (status == PS_ECONFIG) {
        printf("skipped: %s\n", error.text);
        return SKIPPED;
    }
    home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (status == PS_OK)
        status = chaos_router_reserve(net, ROLE_PS, 0, &listener, &address, &port, &error);
    if (status != PS_OK) {
        printf("%s\n", error.text);
        return 1;
    }
    ps_address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(address), .sin_port = htons(port)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    net->ops->destroy(net);
    close(listener);
    close(home);
    return failed;
}
