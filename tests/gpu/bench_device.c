/* bench_device.c - how fast is a step on a device, beside nothing but its products of matrices there?
 *
 * For each model and batch: images/s and GFLOP/s of mlp_gradient, in which weights go up and gradients come
 * down as in training, and of the same products by the backend's library alone, on arrays that stay where
 * they are. The two take turns; a row is the median of the turns. Run it on an otherwise idle machine. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "tests/unit/numbers.h"
#include "worker/device.h"
#include "worker/mlp.h"

enum { TURNS = 5, TURN_MS = 300, LAYERS_MAX = 4 };

static const mlp_config models[] = {
    {.inputs = 784, .hidden = {300, 100}, .hidden_count = 2, .classes = 10, .activation = ACTIVATION_RELU},
    {.inputs = 784, .hidden = {1024, 1024}, .hidden_count = 2, .classes = 10, .activation = ACTIVATION_RELU},
    {.inputs = 784, .hidden = {4096, 4096}, .hidden_count = 2, .classes = 10, .activation = ACTIVATION_RELU},
};
static const uint32_t batches[] = {50, 500, 4096, 16384};

typedef struct {
    backend *on;
    const mlp_config *config;
    uint32_t rows, layers;
    uint32_t widths[LAYERS_MAX + 1];
    uint64_t parameters;
    mlp *model;
    float *weights, *gradients, *features; /* on the host */
    uint32_t *labels;
    /* Of the bare products, on the device: kernels and their gradients flat, and (rows x widths[l]). */
    float *kernels, *kernel_gradients, *values[LAYERS_MAX + 1];
} bench;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench_device: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void check(const bench *b, ps_status status, const char *what)
{
    if (status != PS_OK)
        fail(what, backend_failure(b->on, status));
}

static void train(bench *b)
{
    double loss;
    uint32_t correct;
    check(b,
          mlp_gradient(b->model, b->weights, b->features, b->labels, b->rows, b->gradients, NULL, &loss,
                       &correct),
          "the gradient");
}

/* The products of one mlp_gradient, in its order. */
static void multiply(bench *b)
{
    const backend_ops *ops = b->on->ops;
    float *kernels[LAYERS_MAX];
    float *next = b->kernels, *next_gradient = b->kernel_gradients + b->parameters;
    for (uint32_t l = 0; l < b->layers; l++) {
        kernels[l] = next;
        next += (size_t)b->widths[l] * b->widths[l + 1];
        check(b,
              ops->gemm(b->on, 0, 0, b->rows, b->widths[l + 1], b->widths[l], b->values[l], kernels[l],
                        b->values[l + 1]),
              "a product");
    }
    for (uint32_t l = b->layers; l-- > 0;) {
        const uint32_t inputs = b->widths[l], outputs = b->widths[l + 1];
        if (l > 0)
            check(
                b,
                ops->gemm(b->on, 0, 1, b->rows, inputs, outputs, b->values[l + 1], kernels[l], b->values[l]),
                "a product");
        next_gradient -= (size_t)inputs * outputs;
        check(b,
              ops->gemm(b->on, 1, 0, inputs, outputs, b->rows, b->values[l], b->values[l + 1], next_gradient),
              "a product");
    }
    check(b, ops->synchronize(b->on), "the products");
}

/* Two operations for each multiplication with an element of a kernel: forward, and twice backward but for the
 * first layer. */
static double operations_per_image(const bench *b)
{
    double sum = 0;
    for (uint32_t l = 0; l < b->layers; l++)
        sum += (l > 0 ? 6.0 : 4.0) * b->widths[l] * b->widths[l + 1];
    return sum;
}

static float *fill(bench *b, numbers *n, float limit, uint64_t count)
{
    float *array = backend_allocate_host(b->on, count * sizeof *array);
    if (!array)
        fail("an array", "out of memory");
    numbers_fill(n, limit, array, count);
    return array;
}

/* A copy of the host's array on the device; NULL: whatever lies there. */
static float *device_array(bench *b, const float *from, uint64_t count)
{
    float *array = b->on->ops->allocate(b->on, count * sizeof *array);
    if (!array)
        fail("an array", backend_failure(b->on, PS_ENOMEM));
    if (from)
        check(b, b->on->ops->upload(b->on, array, from, count * sizeof *array), "the upload");
    check(b, b->on->ops->synchronize(b->on), "the upload");
    return array;
}

static void begin(bench *b, numbers *n)
{
    ps_error error;
    const mlp_config *c = b->config;
    b->layers = c->hidden_count + 1;
    for (uint32_t l = 0; l <= b->layers; l++)
        b->widths[l] = l == 0 ? c->inputs : l == b->layers ? c->classes : c->hidden[l - 1];
    for (uint32_t l = 0; l < b->layers; l++)
        b->parameters += (uint64_t)(b->widths[l] + 1) * b->widths[l + 1];
    if (mlp_create(c, b->on, b->rows, &b->model, &error) != PS_OK)
        fail("the model", error.text);
    b->weights = fill(b, n, 0.05f, b->parameters);
    b->gradients = fill(b, n, 1.0f, b->parameters);
    b->features = fill(b, n, 1.0f, (uint64_t)b->rows * c->inputs);
    b->labels = backend_allocate_host(b->on, b->rows * sizeof *b->labels);
    if (!b->labels)
        fail("the labels", "out of memory");
    for (uint32_t r = 0; r < b->rows; r++)
        b->labels[r] = numbers_between(n, 0, c->classes - 1);
    b->kernels = device_array(b, b->weights, b->parameters);
    b->kernel_gradients = device_array(b, NULL, b->parameters);
    for (uint32_t l = 0; l <= b->layers; l++)
        b->values[l] = device_array(b, l == 0 ? b->features : NULL, (uint64_t)b->rows * b->widths[l]);
}

static void end(bench *b)
{
    for (uint32_t l = 0; l <= b->layers; l++)
        b->on->ops->release(b->on, b->values[l]);
    b->on->ops->release(b->on, b->kernels);
    b->on->ops->release(b->on, b->kernel_gradients);
    mlp_destroy(&b->model);
    backend_release_host(b->on, b->weights);
    backend_release_host(b->on, b->gradients);
    backend_release_host(b->on, b->features);
    backend_release_host(b->on, b->labels);
}

/* Images per second of as many calls as fit into a turn. */
static double turn(bench *b, void work(bench *b))
{
    const double started = clock_monotonic_seconds();
    double now = started;
    uint64_t images = 0;
    while (now - started < TURN_MS / 1000.0) {
        work(b);
        images += b->rows;
        now = clock_monotonic_seconds();
    }
    return (double)images / (now - started);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(bench *b)
{
    double trained[TURNS], multiplied[TURNS];
    train(b); /* scratch memory and kernels are there from now on */
    multiply(b);
    for (int i = 0; i < TURNS; i++) {
        trained[i] = turn(b, train);
        multiplied[i] = turn(b, multiply);
    }
    qsort(trained, TURNS, sizeof *trained, compare);
    qsort(multiplied, TURNS, sizeof *multiplied, compare);
    const double step = trained[TURNS / 2], floor = multiplied[TURNS / 2];
    const double giga = operations_per_image(b) / 1e9;
    char shape[64];
    snprintf(shape, sizeof shape, "%u-%u-%u-%u", b->widths[0], b->widths[1], b->widths[2], b->widths[3]);
    printf("%-18s %6u %12.0f %10.1f %14.0f %10.1f %7.2f\n", shape, b->rows, step, step * giga, floor,
           floor * giga, step / floor);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    device_wish wish = {.kind = DEVICE_AUTO};
    ps_error error = {PS_OK, ""};
    backend *on;
    device_choice chosen;
    if (argc > 1)
        device_parse(argv[1], &wish, &error);
    if (argc > 2 && error.status == PS_OK)
        precision_parse(argv[2], &wish.precision, &error);
    const uint32_t rows_max = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : UINT32_MAX;
    if (error.status != PS_OK || argc > 4) {
        fprintf(stderr, "usage: bench_device [DEVICE [PRECISION [LARGEST-BATCH]]]%s%s\n",
                error.text[0] ? ": " : "", error.text);
        return PS_EXIT_USAGE;
    }
    if (device_open(&wish, 0, 1, &on, &chosen, &error) != PS_OK)
        fail("the device", error.text);
    printf("computing on %s\n%-18s %6s %12s %10s %14s %10s %7s\n", chosen.name, "model", "batch", "images/s",
           "GFLOP/s", "products only", "GFLOP/s", "ratio");
    numbers n = {1};
    for (size_t m = 0; m < sizeof models / sizeof *models; m++)
        for (size_t i = 0; i < sizeof batches / sizeof *batches && batches[i] <= rows_max; i++) {
            bench b = {.on = on, .config = &models[m], .rows = batches[i]};
            begin(&b, &n);
            measure(&b);
            end(&b);
        }
    on->ops->destroy(on);
    return 0;
}
