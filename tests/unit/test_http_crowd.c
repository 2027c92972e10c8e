/* A server that is pressed: by clients that are slow, or silent, or many, and by a lack of descriptors;
 * common/http. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "tests/unit/http_client.h"

enum { LARGE = HTTP_BODY_MAX };

static unsigned say_hello(void *context, FILE *body)
{
    (void)context;
    fputs("hello\n", body);
    return 200;
}

static unsigned say_much(void *context, FILE *body)
{
    (void)context;
    fprintf(body, "%*s", LARGE, "");
    return 200;
}

static const http_page pages[] = {{"/hello", "text/plain", say_hello, false},
                                  {"/large", "text/plain", say_much, false}};

static http *serve(void)
{
    const http_config config = {.pages = pages, .page_count = sizeof pages / sizeof pages[0]};
    http *h = NULL;
    ps_error error;
    if (http_start(&config, &h, &error) != PS_OK)
        fail_msg("%s", error.text);
    return h;
}

/* One that sends a byte now and then seems busy for ever; another asks for much and reads none of it. */
static void slow_clients_are_hung_up_on(void **state)
{
    (void)state;
    static char answer[ANSWER_MAX];
    http *h = serve();
    int slow = connect_to(h), deaf = connect_to(h);
    assert_int_equal(send(deaf, "GET /large HTTP/1.0\r\n\r\n", 23, MSG_NOSIGNAL), 23);
    bool over = false;
    for (const uint64_t end = clock_monotonic_ms() + PATIENCE_MS; !over && clock_monotonic_ms() < end;) {
        struct pollfd wait = {.fd = slow, .events = POLLIN};
        over = send(slow, "G", 1, MSG_NOSIGNAL) <= 0 ||
               (poll(&wait, 1, 50) > 0 && recv(slow, answer, sizeof answer, 0) <= 0);
    }
    assert_true(over);
    struct pollfd hung_up = {.fd = deaf}; /* not only told of an end, behind megabytes that are kept for it */
    assert_int_equal(poll(&hung_up, 1, PATIENCE_MS), 1);
    size_t received = 0;
    for (ssize_t got; (got = recv(deaf, answer, sizeof answer, 0)) > 0;)
        received += (size_t)got;
    assert_in_range(received, 1, LARGE - 1);
    close(slow);
    close(deaf);
    http_stop(&h);
}

/* Sockets that connect to it from `from` and say nothing. */
static void gather(const http *h, const char *from, int *crowd, int count)
{
    for (int i = 0; i < count; i++) {
        struct sockaddr_in own = {.sin_family = AF_INET},
                           at = {.sin_family = AF_INET, .sin_port = htons(http_port(h))};
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        assert_int_equal(inet_pton(AF_INET, from, &own.sin_addr), 1);
        crowd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(crowd[i] >= 0);
        assert_int_equal(bind(crowd[i], (const struct sockaddr *)&own, sizeof own), 0);
        assert_int_equal(connect(crowd[i], (const struct sockaddr *)&at, sizeof at), 0);
    }
}

static void disperse(int *crowd, int count)
{
    for (int i = 0; i < count; i++)
        close(crowd[i]);
}

enum { CROWD = 5 * HTTP_CONNECTIONS_MAX };

/* The oldest of them has to go. */
static void many_silent_clients_keep_no_newcomer_out(void **state)
{
    (void)state;
    static int crowd[CROWD];
    http *h = serve();
    gather(h, "127.0.0.1", crowd, CROWD);
    assert_answer(ask(h, "GET /hello HTTP/1.0\r\n\r\n"), "200", "hello\n");
    disperse(crowd, CROWD);
    http_stop(&h);
}

/* It has asked for half a page when a crowd comes from another address. Tried again, should this host take so
 * long for that that the connection is over for its age. */
static void who_takes_one_place_is_not_pushed_out(void **state)
{
    (void)state;
    static int crowd[CROWD];
    static char answer[ANSWER_MAX];
    http *h = serve();
    const uint64_t end = clock_monotonic_ms() + PATIENCE_MS;
    do {
        int fd = connect_to(h);
        assert_int_equal(send(fd, "GET /hello ", 11, MSG_NOSIGNAL), 11);
        gather(h, "127.0.0.2", crowd, CROWD);
        send(fd, "HTTP/1.0\r\n\r\n", 12, MSG_NOSIGNAL);
        assert_true(read_to_end(fd, answer, sizeof answer));
        close(fd);
        disperse(crowd, CROWD);
    } while (!answer[0] && clock_monotonic_ms() < end);
    assert_answer(answer, "200", "hello\n");
    http_stop(&h);
}

static void it_ends_while_connections_hang(void **state)
{
    (void)state;
    static int crowd[CROWD];
    http *h = serve();
    gather(h, "127.0.0.1", crowd, CROWD);
    for (int i = 0; i < CROWD; i += 2)
        send(crowd[i], "GET /hello HTTP/1.1\r\nHost: ", 27, MSG_NOSIGNAL);
    http_stop(&h);
    disperse(crowd, CROWD);
}

/* ---- descriptors ---- */

/* What the server does is counted (the linker puts these in place of the system's). */
static struct {
    atomic_int door;           /* the socket that it last failed to let somebody in by; -1: it has not */
    atomic_uint failures;      /* attempts */
    atomic_uint turns;         /* times that it waited */
    atomic_uint looks_at_once; /* of these, right after a failure and at the same door */
} seen = {.door = -1};

int __real_accept4(int fd, struct sockaddr *from, socklen_t *bytes, int flags);
int __wrap_accept4(int fd, struct sockaddr *from, socklen_t *bytes, int flags);
int __real_poll(struct pollfd *waits, nfds_t count, int patience_ms);
int __wrap_poll(struct pollfd *waits, nfds_t count, int patience_ms);

int __wrap_accept4(int fd, struct sockaddr *from, socklen_t *bytes, int flags)
{
    const int got = __real_accept4(fd, from, bytes, flags);
    if (got < 0 && errno == EMFILE) {
        seen.door = fd;
        seen.failures++;
    }
    return got;
}

int __wrap_poll(struct pollfd *waits, nfds_t count, int patience_ms)
{
    if (count > 1) { /* the test itself waits for one thing at a time */
        const int door = atomic_exchange(&seen.door, -1);
        seen.turns++;
        for (nfds_t i = 0; door >= 0 && i < count; i++)
            seen.looks_at_once += waits[i].fd == door;
    }
    return __real_poll(waits, count, patience_ms);
}

static void await_failures(unsigned count)
{
    const uint64_t end = clock_monotonic_ms() + PATIENCE_MS;
    while (seen.failures < count && clock_monotonic_ms() < end)
        __real_poll(NULL, 0, 10);
    assert_true(seen.failures >= count);
}

/* Whoever asks waits, and the server does not turn without end to see whether there is a descriptor. */
static void without_descriptors_it_waits_idly(void **state)
{
    (void)state;
    enum { FEW = 128, ATTEMPTS = 4, TURNS_MAX = 8 /* an attempt; it looks round every 250 ms anyway */ };
    static const char request[] = "GET /hello HTTP/1.0\r\n\r\n";
    char answer[ANSWER_MAX];
    int taken[FEW], count = 0;
    http *h = serve();
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit few = {.rlim_cur = FEW, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (count < FEW && (taken[count] = dup(fd)) >= 0)
        count++;
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(http_port(h)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_true(send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0);
    await_failures(1);
    const unsigned turns = seen.turns, failures = seen.failures;
    await_failures(failures + ATTEMPTS);
    const unsigned turned = seen.turns - turns, tried = seen.failures - failures;
    disperse(taken, count);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(seen.looks_at_once, 0);
    assert_in_range(turned, 1, (tried + 1) * TURNS_MAX);
    assert_true(read_to_end(fd, answer, sizeof answer));
    assert_answer(answer, "200", "hello\n");
    close(fd);
    http_stop(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_clients_are_hung_up_on),
        cmocka_unit_test(many_silent_clients_keep_no_newcomer_out),
        cmocka_unit_test(who_takes_one_place_is_not_pushed_out),
        cmocka_unit_test(it_ends_while_connections_hang),
        cmocka_unit_test(without_descriptors_it_waits_idly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
