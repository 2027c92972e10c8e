/* raw_request.c - small requests over ZeroMQ, DEALER to ROUTER and back. See raw_zmq.h. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/bench/latency.h"
#include "tests/bench/raw_link.h"

enum { REQUEST_BYTES_MAX = 4096, OUTSTANDING_MAX = 64 };

static void require(bool held)
{
    if (held)
        return;
    fprintf(stderr, "penstock-bench: a small request failed: %s\n", zmq_strerror(zmq_errno()));
    _exit(PS_EXIT_FAILURE);
}

/* Sends back what comes, to where it came from. */
void raw_request_serve(const raw_plan *plan)
{
    raw_link link;
    raw_link_open(&link, plan, true, ZMQ_ROUTER);
    for (;;) {
        zmq_msg_t route, body;
        zmq_msg_init(&route);
        zmq_msg_init(&body);
        require(zmq_msg_recv(&route, link.socket, 0) >= 0 && zmq_msg_recv(&body, link.socket, 0) >= 0);
        require(zmq_msg_send(&route, link.socket, ZMQ_SNDMORE) >= 0 &&
                zmq_msg_send(&body, link.socket, 0) >= 0);
    }
}

typedef struct {
    raw_link link;
    double sent_at[OUTSTANDING_MAX];
    latency_log latencies;
} asker;

static void ask(asker *a, uint64_t number)
{
    static const char request[REQUEST_BYTES_MAX];
    a->sent_at[number % OUTSTANDING_MAX] = clock_monotonic_seconds();
    require(zmq_send(a->link.socket, request, a->link.setup->frame_bytes, 0) >= 0);
}

static void obey(asker *a, const actor_order *order, actor_answer *answer)
{
    static char reply[REQUEST_BYTES_MAX];
    pace p = pace_start(order);
    while (p.operations < a->link.setup->outstanding && pace_begins(&p))
        ask(a, p.operations - 1);
    for (; answer->operations < p.operations; answer->operations++) {
        require(zmq_recv(a->link.socket, reply, sizeof reply, 0) >= 0);
        latency_add(&a->latencies,
                    clock_monotonic_seconds() - a->sent_at[answer->operations % OUTSTANDING_MAX]);
        if (pace_begins(&p))
            ask(a, p.operations - 1);
    }
    answer->seconds = clock_monotonic_seconds() - p.start;
    latency_summarise(&a->latencies, answer->latency_s);
}

void raw_request_ask(const raw_plan *plan, int channel)
{
    static asker a;
    actor_order order;
    raw_link_open(&a.link, plan, false, ZMQ_DEALER);
    while (actor_take_order(channel, &order)) {
        actor_answer answer = {.error.status = PS_OK};
        obey(&a, &order, &answer);
        actor_answer_order(channel, &answer);
    }
}
