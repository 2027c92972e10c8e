/* raw_bulk.c - large messages over ZeroMQ and the least that can be done with them. See raw_zmq.h.
 *
 * A frame of sizeof(notice) bytes steers; every other one is data. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "ps/optimizer.h"
#include "tests/bench/raw_link.h"

/* Versions of the weights: those that answers may still hold, the current and the next. */
enum { VERSIONS = RAW_IN_FLIGHT + 2 };

typedef enum { NOTICE_BEGIN, NOTICE_END } notice_kind;

typedef struct {
    notice_kind kind;
    actor_order order; /* NOTICE_BEGIN: what the server is to send */
} notice;

typedef struct {
    raw_link link;
    size_t bytes; /* of a message */
    float *sent[VERSIONS];
    float *received[RAW_IN_FLIGHT]; /* the client's copies */
    uint32_t current;               /* version of the weights */
    uint64_t send_count, receive_count;
    float aligned[JOB_SLICE_BYTES_MIN]; /* for frames that lie where no float may */
} bulk;

static void fail(const char *what)
{
    fprintf(stderr, "penstock-bench: %s: %s\n", what, zmq_strerror(zmq_errno()));
    _exit(PS_EXIT_FAILURE);
}

static float *fill(size_t bytes)
{
    float *values = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!values)
        fail("memory");
    for (size_t i = 0; i < bytes / sizeof *values; i++)
        values[i] = 1e-3f * (float)(i % 100 + 1);
    return values;
}

static void open_bulk(bulk *b, const raw_plan *plan, bool server)
{
    raw_link_open(&b->link, plan, server, ZMQ_DEALER);
    b->bytes = plan->setup.frames * plan->setup.frame_bytes;
    for (int i = 0; i < VERSIONS; i++)
        b->sent[i] = fill(b->bytes);
    for (int i = 0; i < RAW_IN_FLIGHT && !server; i++)
        b->received[i] = fill(b->bytes);
}

/* ---- sending ---- */

static void give_back(void *data, void *hint)
{
    (void)data;
    sem_post(hint);
}

/* Sends `values` without copying; the last frame gives the permit back. */
static void send_values(bulk *b, float *values)
{
    const raw_setup *s = b->link.setup;
    while (sem_wait(&b->link.sendable) != 0)
        ;
    for (uint32_t f = 0; f < s->frames; f++) {
        zmq_msg_t frame;
        bool last = f + 1 == s->frames;
        zmq_msg_init_data(&frame, (char *)values + f * s->frame_bytes, s->frame_bytes,
                          last ? give_back : NULL, &b->link.sendable);
        if (zmq_msg_send(&frame, b->link.socket, last ? 0 : ZMQ_SNDMORE) < 0)
            fail("sending");
    }
}

static void send_notice(bulk *b, notice_kind kind, const actor_order *order)
{
    notice n;
    memset(&n, 0, sizeof n);
    n.kind = kind;
    if (order)
        n.order = *order;
    if (zmq_send(b->link.socket, &n, sizeof n, 0) < 0)
        fail("sending");
}

/* Sends as an order says, from alternating buffers. */
static uint64_t stream(bulk *b, const actor_order *order)
{
    pace p = pace_start(order);
    while (pace_begins(&p))
        send_values(b, b->sent[b->link.setup->kind == RAW_PULL ? 0 : b->send_count++ % RAW_IN_FLIGHT]);
    return p.operations;
}

/* ---- receiving ---- */

static void update(bulk *b, uint32_t f, const float *gradient_values)
{
    static const optimizer_config sgd = {.kind = OPTIMIZER_SGD};
    size_t count = b->link.setup->frame_bytes / sizeof(float), at = f * count;
    if ((uintptr_t)gradient_values % _Alignof(float) != 0)
        gradient_values = memcpy(b->aligned, gradient_values, count * sizeof(float));
    const optimizer_gradient gradient = {.values = codec_plain(gradient_values, count), .weight = 1.0f};
    const optimizer_step step = {
        .weights = b->sent[b->current] + at,
        .next = b->sent[(b->current + 1) % VERSIONS] + at,
        .gradients = &gradient,
        .gradient_count = 1,
        .count = count,
        .learning_rate = 0.01f,
        .update = 1,
    };
    optimizer_apply(&sgd, &step);
}

static void use_frame(bulk *b, bool server, uint32_t f, const void *data)
{
    raw_kind kind = b->link.setup->kind;
    size_t bytes = b->link.setup->frame_bytes;
    if (!server)
        memcpy((char *)b->received[b->receive_count % RAW_IN_FLIGHT] + f * bytes, data, bytes);
    else if (kind != RAW_SEND)
        update(b, f, data);
}

/* Takes one message. True: of data, and it is used; false: a notice. */
static bool receive(bulk *b, bool server, notice *n)
{
    int more = 1;
    for (uint32_t f = 0; more; f++) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, b->link.socket, 0) < 0)
            fail("receiving");
        if (zmq_msg_size(&frame) == sizeof *n) {
            memcpy(n, zmq_msg_data(&frame), sizeof *n);
            zmq_msg_close(&frame);
            return false;
        }
        use_frame(b, server, f, zmq_msg_data(&frame));
        more = zmq_msg_more(&frame);
        zmq_msg_close(&frame);
    }
    b->current = (b->current + 1) % VERSIONS;
    b->receive_count++;
    return true;
}

/* ---- the two ends ---- */

void raw_bulk_serve(const raw_plan *plan)
{
    static bulk b;
    notice n;
    open_bulk(&b, plan, true);
    for (;;) {
        if (receive(&b, true, &n)) {
            if (plan->setup.kind == RAW_PUSH_PULL)
                send_values(&b, b.sent[b.current]);
            continue;
        }
        if (n.kind == NOTICE_BEGIN)
            stream(&b, &n.order);
        send_notice(&b, NOTICE_END, NULL);
    }
}

static uint64_t exchange(bulk *b, const actor_order *order)
{
    pace p = pace_start(order);
    notice unused;
    uint64_t received = 0;
    while (p.operations < RAW_IN_FLIGHT && pace_begins(&p))
        send_values(b, b->sent[b->send_count++ % RAW_IN_FLIGHT]);
    for (; received < p.operations; received++) {
        if (!receive(b, false, &unused))
            fail("an answer that is none");
        if (pace_begins(&p))
            send_values(b, b->sent[b->send_count++ % RAW_IN_FLIGHT]);
    }
    return received;
}

/* Does as ordered; an operation counts when the other end has had it. */
static uint64_t obey(bulk *b, const actor_order *order)
{
    notice n;
    uint64_t operations = 0;
    switch (b->link.setup->kind) {
    case RAW_PUSH_PULL:
        return exchange(b, order);
    case RAW_PULL:
        send_notice(b, NOTICE_BEGIN, order);
        while (receive(b, false, &n))
            operations++;
        return operations;
    default:
        operations = stream(b, order);
        send_notice(b, NOTICE_END, NULL);
        receive(b, false, &n);
        return operations;
    }
}

void raw_bulk_run(const raw_plan *plan, int channel)
{
    static bulk b;
    actor_order order;
    open_bulk(&b, plan, false);
    while (actor_take_order(channel, &order)) {
        actor_answer answer = {.error.status = PS_OK};
        double start = clock_monotonic_seconds();
        answer.operations = obey(&b, &order);
        answer.seconds = clock_monotonic_seconds() - start;
        actor_answer_order(channel, &answer);
    }
}
