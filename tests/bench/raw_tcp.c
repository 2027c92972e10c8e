/* raw_tcp.c - see raw_tcp.h. The first byte of what is sent says whether it is the last of an order. */
#include "tests/bench/raw_tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "deploy/launch/ports.h"
#include "tests/bench/latency.h"

typedef struct {
    raw_tcp_setup setup;
    int listen_fd;
    uint16_t port;
} plan;

static void require(bool held)
{
    if (held)
        return;
    fprintf(stderr, "penstock-bench: TCP: %s\n", strerror(errno));
    _exit(PS_EXIT_FAILURE);
}

static void set_no_delay(int fd)
{
    int yes = 1;
    require(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0);
}

static void write_all(int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write(fd, data, bytes);
        require(written > 0);
        data += written;
        bytes -= (size_t)written;
    }
}

static void read_all(int fd, char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t got = read(fd, data, bytes);
        require(got > 0);
        data += got;
        bytes -= (size_t)got;
    }
}

static void serve(int channel, void *argument)
{
    const plan *p = argument;
    (void)channel;
    char *data = calloc(1, p->setup.bytes);
    int fd = accept(p->listen_fd, NULL, NULL);
    require(data && fd >= 0);
    set_no_delay(fd);
    for (;;) {
        read_all(fd, data, p->setup.bytes);
        if (p->setup.ping)
            write_all(fd, data, p->setup.bytes);
        else if (data[0])
            write_all(fd, data, 1);
    }
}

static void stream(int fd, char *data, size_t bytes, const actor_order *order, actor_answer *answer)
{
    pace p = pace_start(order);
    data[0] = 0;
    while (pace_begins(&p))
        write_all(fd, data, bytes);
    data[0] = 1;
    write_all(fd, data, bytes);
    read_all(fd, data, 1);
    answer->operations = p.operations + 1;
    answer->seconds = clock_monotonic_seconds() - p.start;
}

static void ping(int fd, char *data, size_t bytes, const actor_order *order, actor_answer *answer)
{
    static latency_log latencies;
    pace p = pace_start(order);
    while (pace_begins(&p)) {
        double start = clock_monotonic_seconds();
        write_all(fd, data, bytes);
        read_all(fd, data, bytes);
        latency_add(&latencies, clock_monotonic_seconds() - start);
    }
    answer->operations = p.operations;
    answer->seconds = clock_monotonic_seconds() - p.start;
    latency_summarise(&latencies, answer->latency_s);
}

static void run(int channel, void *argument)
{
    const plan *p = argument;
    actor_order order;
    char *data = calloc(1, p->setup.bytes);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(p->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    require(data && fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) == 0);
    set_no_delay(fd);
    while (actor_take_order(channel, &order)) {
        actor_answer answer = {.error.status = PS_OK};
        (p->setup.ping ? ping : stream)(fd, data, p->setup.bytes, &order, &answer);
        actor_answer_order(channel, &answer);
    }
}

ps_status raw_tcp_open(const bench_options *o, const raw_tcp_setup *setup, stage *out, ps_error *error)
{
    plan p = {.setup = *setup};
    int server_processor = setup->one_processor ? o->client_processor : o->server_processor;
    *out = (stage){0};
    ps_status status = port_reserve(true, &p.listen_fd, &p.port, error);
    if (status != PS_OK)
        return status;
    status = actor_fork(&out->servers[0], server_processor, serve, &p, error);
    if (status == PS_OK) {
        out->server_count = 1;
        status = actor_fork(&out->clients[0], o->client_processor, run, &p, error);
    }
    if (status == PS_OK)
        out->client_count = 1;
    close(p.listen_fd);
    if (status != PS_OK)
        stage_end(out);
    return status;
}
