/* loops.c - see loops.h. */
#include "tests/bench/loops.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/fpmode.h"
#include "common/gradient.h"
#include "common/vectorise.h"
#include "tests/bench/raw_memory.h"

enum { ARRAYS = 1 + OPTIMIZER_SLOTS_MAX + LOOP_GRADIENTS_MAX };

/* Elements per operation at least, so that looking at the clock costs nothing. */
static const uint64_t OPERATION_COUNT = UINT64_C(2) << 20;

typedef struct {
    raw_streams streams;
    uint64_t update;
} arrays;

/* Keeps results that nobody reads from being optimised away. */
static volatile double sink;

static uint64_t passes(uint64_t count)
{
    return count < OPERATION_COUNT ? OPERATION_COUNT / count : 1;
}

static optimizer_config configure(optimizer_kind kind)
{
    job_config job;
    job_init(&job);
    job.optimizer.kind = kind;
    optimizer_config config = job.optimizer;
    job_fini(&job);
    return config;
}

static void update(arrays *a, const optimizer_config *config, uint32_t gradient_count)
{
    optimizer_gradient gradients[LOOP_GRADIENTS_MAX];
    for (uint32_t g = 0; g < gradient_count; g++)
        gradients[g] = (optimizer_gradient){codec_plain(a->streams.gradients[g], a->streams.count),
                                            1.0f / (float)gradient_count};
    optimizer_step step = {
        .weights = a->streams.weights,
        .next = a->streams.weights,
        .gradients = gradients,
        .gradient_count = gradient_count,
        .count = a->streams.count,
        .learning_rate = 1e-3f,
        .update = ++a->update,
    };
    for (uint32_t s = 0; s < optimizer_slots(config); s++)
        step.slots[s] = a->streams.slots[s];
    optimizer_apply(config, &step);
}

/* As many sums as vectors are wide, several times over: what order the additions have is not looked at. */
VECTORISED static double add_up(const float *values, size_t count)
{
    enum { LANES = 64 };
    float sums[LANES] = {0};
    for (size_t i = 0; i + LANES <= count; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            sums[lane] += values[i + lane];
    double sum = 0;
    for (size_t lane = 0; lane < LANES; lane++)
        sum += (double)sums[lane];
    return sum;
}

static void pass(arrays *a, uint32_t variant, const optimizer_config *config)
{
    const raw_streams *s = &a->streams;
    switch (variant) {
    case LOOP_COPY:
        memcpy(s->weights, s->gradients[0], s->count * sizeof(float));
        return;
    case LOOP_AXPY:
        raw_axpy(s->weights, s->gradients[0], 1e-3f, s->count);
        return;
    case LOOP_TRIAD:
        raw_triad(s->weights, s->gradients[0], s->gradients[1], 0.5f, s->count);
        return;
    case LOOP_FINITE:
        sink = gradient_is_finite(s->gradients[0], s->count);
        return;
    case LOOP_NORM:
        sink = gradient_norm_squared(s->gradients[0], s->count);
        return;
    case LOOP_READ:
        sink = add_up(s->gradients[0], s->count);
        return;
    case LOOP_STREAMS_0:
    case LOOP_STREAMS_1:
    case LOOP_STREAMS_2:
        raw_update_streams(s, variant - LOOP_STREAMS_0, 1);
        return;
    case LOOP_STREAMS_GRADIENTS:
        raw_update_streams(s, 0, LOOP_GRADIENTS_MAX);
        return;
    case LOOP_SGD_GRADIENTS:
        update(a, config, LOOP_GRADIENTS_MAX);
        return;
    default:
        update(a, config, 1);
    }
}

double loop_bytes(uint32_t variant, uint64_t count)
{
    double bytes = sizeof(float) * (double)(count * passes(count));
    switch (variant) {
    case LOOP_FINITE:
    case LOOP_NORM:
    case LOOP_READ:
        return bytes;
    case LOOP_COPY:
        return 2 * bytes;
    case LOOP_AXPY:
    case LOOP_TRIAD:
        return 3 * bytes;
    case LOOP_STREAMS_0:
    case LOOP_STREAMS_1:
    case LOOP_STREAMS_2:
        return (3 + 2 * (double)(variant - LOOP_STREAMS_0)) * bytes;
    case LOOP_STREAMS_GRADIENTS:
    case LOOP_SGD_GRADIENTS:
        return (2 + LOOP_GRADIENTS_MAX) * bytes;
    default:;
        optimizer_config config = configure((optimizer_kind)(variant - LOOP_OPTIMIZER));
        return optimizer_bytes_touched(&config, 1) / sizeof(float) * bytes;
    }
}

static void open_arrays(arrays *a, uint64_t count)
{
    float *memory = aligned_alloc(4096, count * ARRAYS * sizeof *memory);
    if (!memory)
        _exit(PS_EXIT_FAILURE);
    for (uint64_t i = 0; i < count * ARRAYS; i++)
        memory[i] = 1 + (float)(i * 2654435761u % 1000) / 1000;
    a->streams = (raw_streams){.weights = memory, .count = count};
    for (uint32_t s = 0; s < OPTIMIZER_SLOTS_MAX; s++)
        a->streams.slots[s] = memory + (1 + s) * count;
    for (uint32_t g = 0; g < LOOP_GRADIENTS_MAX; g++)
        a->streams.gradients[g] = memory + (1 + OPTIMIZER_SLOTS_MAX + g) * count;
}

/* Of this thread, on a processor: one that never waits needs no other time, and is not disturbed by others.
 */
static double busy_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec + 1e-9 * (double)used.tv_nsec;
}

static void body(int channel, void *argument)
{
    uint64_t count = *(const uint64_t *)argument;
    arrays a = {.update = 0};
    actor_order order;
    fpmode_flush_denormals();
    open_arrays(&a, count);
    while (actor_take_order(channel, &order)) {
        optimizer_config config =
            configure(order.variant >= LOOP_OPTIMIZER ? (optimizer_kind)(order.variant - LOOP_OPTIMIZER)
                                                      : OPTIMIZER_SGD);
        double start = busy_seconds();
        pace p = pace_start(&order);
        while (pace_begins(&p))
            for (uint64_t i = 0; i < passes(count); i++)
                pass(&a, order.variant, &config);
        actor_answer answer = {
            .error.status = PS_OK,
            .operations = p.operations,
            .seconds = busy_seconds() - start,
        };
        actor_answer_order(channel, &answer);
    }
}

ps_status loops_open(const bench_options *o, uint64_t count, stage *out, ps_error *error)
{
    *out = (stage){0};
    ps_status status = actor_fork(&out->clients[0], o->client_processor, body, &count, error);
    out->client_count = status == PS_OK;
    return status;
}
