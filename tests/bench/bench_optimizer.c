/* bench_optimizer - how near to the memory's own speed does an update run?
 *
 * Per optimizer, with 1 and 4 workers: bytes touched per second (optimizer_bytes_touched), in place, on one
 * thread, beside a triad a = b + s c (McCalpin's STREAM) and memcpy in the same run. All are timed in turn,
 * five rounds, and the median stands. Two sizes: one stays in the second-level cache, one does not fit
 * the last. Not a test: it judges nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/fpmode.h"
#include "common/gradient.h"
#include "common/job.h"
#include "ps/optimizer.h"

enum { ROUNDS = 5, WORKERS_MAX = 4, ARRAYS = 1 + OPTIMIZER_SLOTS_MAX + WORKERS_MAX };

static const uint64_t CACHED_COUNT = UINT64_C(8) << 10; /* 32 KiB an array */
static const uint64_t MEMORY_COUNT = UINT64_C(8) << 20; /* 32 MiB an array */
static const uint64_t BYTES_PER_ROUND = UINT64_C(200) << 20;

typedef struct {
    float *weights;
    float *slots[OPTIMIZER_SLOTS_MAX];
    float *gradients[WORKERS_MAX];
    uint64_t count;
    uint64_t update;
} arena;

typedef struct contestant {
    char name[32];
    uint32_t workers; /* 0: not an optimizer */
    uint32_t bytes_per_element;
    optimizer_config config;
    void (*run)(const struct contestant *self, arena *a);
} contestant;

/* Keeps results that nobody reads from being optimised away. */
static volatile double sink;

static void run_triad(const contestant *self, arena *a)
{
    (void)self;
    float *restrict to = a->weights;
    const float *restrict b = a->gradients[0], *restrict c = a->gradients[1];
    for (uint64_t i = 0; i < a->count; i++)
        to[i] = b[i] + 0.5f * c[i];
}

static void run_memcpy(const contestant *self, arena *a)
{
    (void)self;
    memcpy(a->weights, a->gradients[0], a->count * sizeof(float));
}

static void run_finite(const contestant *self, arena *a)
{
    (void)self;
    sink = gradient_is_finite(a->gradients[0], a->count);
}

static void run_norm(const contestant *self, arena *a)
{
    (void)self;
    sink = gradient_norm_squared(a->gradients[0], a->count);
}

static void run_optimizer(const contestant *self, arena *a)
{
    optimizer_gradient gradients[WORKERS_MAX];
    for (uint32_t w = 0; w < self->workers; w++)
        gradients[w] = (optimizer_gradient){a->gradients[w], 1.0f / (float)self->workers};
    optimizer_step step = {.weights = a->weights,
                           .next = a->weights,
                           .gradients = gradients,
                           .gradient_count = self->workers,
                           .count = a->count,
                           .learning_rate = 1e-3f,
                           .update = ++a->update};
    for (uint32_t s = 0; s < optimizer_slots(&self->config); s++)
        step.slots[s] = a->slots[s];
    optimizer_apply(&self->config, &step);
}

static uint32_t enlist(contestant *all)
{
    uint32_t n = 0;
    all[n++] = (contestant){.name = "triad", .bytes_per_element = 12, .run = run_triad};
    all[n++] = (contestant){.name = "memcpy", .bytes_per_element = 8, .run = run_memcpy};
    all[n++] = (contestant){.name = "gradient_is_finite", .bytes_per_element = 4, .run = run_finite};
    all[n++] = (contestant){.name = "gradient_norm_squared", .bytes_per_element = 4, .run = run_norm};
    for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_FTRL; kind++) {
        for (uint32_t workers = 1; workers <= WORKERS_MAX; workers += WORKERS_MAX - 1) {
            job_config job;
            job_init(&job);
            job.optimizer.kind = (optimizer_kind)kind;
            contestant *c = &all[n++];
            *c = (contestant){.workers = workers, .config = job.optimizer, .run = run_optimizer};
            c->bytes_per_element = optimizer_bytes_touched(&c->config, workers);
            snprintf(c->name, sizeof c->name, "%s, %u worker%s", optimizer_kind_name(c->config.kind), workers,
                     workers == 1 ? "" : "s");
        }
    }
    return n;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double measure_gb_per_s(const contestant *c, arena *a)
{
    uint64_t bytes = a->count * c->bytes_per_element;
    uint64_t repeats = BYTES_PER_ROUND / bytes + 1;
    c->run(c, a);
    double start = now_s();
    for (uint64_t i = 0; i < repeats; i++)
        c->run(c, a);
    return 1e-9 * (double)(bytes * repeats) / (now_s() - start);
}

static void arena_init(arena *a, float *memory, uint64_t count)
{
    for (uint64_t i = 0; i < count * ARRAYS; i++)
        memory[i] = 1 + (float)(i * 2654435761u % 1000) / 1000;
    *a = (arena){.weights = memory, .count = count};
    for (uint32_t s = 0; s < OPTIMIZER_SLOTS_MAX; s++)
        a->slots[s] = memory + (1 + s) * count;
    for (uint32_t w = 0; w < WORKERS_MAX; w++)
        a->gradients[w] = memory + (1 + OPTIMIZER_SLOTS_MAX + w) * count;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure_all(const contestant *all, uint32_t count, arena *a, double *medians)
{
    double rates[64][ROUNDS];
    for (uint32_t round = 0; round < ROUNDS; round++)
        for (uint32_t c = 0; c < count; c++)
            rates[c][round] = measure_gb_per_s(&all[c], a);
    for (uint32_t c = 0; c < count; c++) {
        qsort(rates[c], ROUNDS, sizeof **rates, compare_doubles);
        medians[c] = rates[c][ROUNDS / 2];
    }
}

int main(void)
{
    float *memory = aligned_alloc(4096, MEMORY_COUNT * ARRAYS * sizeof *memory);
    if (!memory) {
        fprintf(stderr, "out of memory\n");
        return 1;
    }
    fpmode_flush_denormals();
    contestant all[64];
    uint32_t count = enlist(all);
    double cached[64], from_memory[64];
    arena a;
    arena_init(&a, memory, CACHED_COUNT);
    measure_all(all, count, &a, cached);
    arena_init(&a, memory, MEMORY_COUNT);
    measure_all(all, count, &a, from_memory);

    printf("%-24s %12s %8s %12s %8s\n", "", "cache GB/s", "x triad", "memory GB/s", "x triad");
    for (uint32_t c = 0; c < count; c++)
        printf("%-24s %12.1f %8.2f %12.1f %8.2f\n", all[c].name, cached[c], cached[c] / cached[0],
               from_memory[c], from_memory[c] / from_memory[0]);
    free(memory);
    return 0;
}
