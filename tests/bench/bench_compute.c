/* bench_compute.c - how much of OpenBLAS's bare speed does training with worker/mlp keep?
 *
 * For each batch size, images per second of mlp_gradient and of nothing but the matrix products it makes,
 * of the same shapes, on arrays of their own. The two take turns; a row is the median of the turns. Run it
 * on an otherwise idle machine; one thread. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/fpmode.h"
#include "tests/unit/numbers.h"
#include "worker/blas_select.h"
#include "worker/mlp.h"

enum { TURNS = 5, ROWS_MAX = 500, IMAGES_PER_TURN = 15000 };

static const mlp_config model = {
    .inputs = 784,
    .hidden = {300, 100},
    .hidden_count = 2,
    .classes = 10,
    .activation = ACTIVATION_RELU,
    .kernel_init = {.kind = INITIALIZER_HE_NORMAL},
};
enum { LAYERS = 3, PARAMETERS = 266610 };
static const uint32_t widths[LAYERS + 1] = {784, 300, 100, 10};

typedef struct {
    backend *backend;
    mlp *model;
    float *weights;
    float *gradients;
    float *features;
    uint32_t *labels;
    float *values[LAYERS + 1]; /* of the bare products: (rows x widths[l]) */
} bench;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench_compute: %s\n", what);
    exit(EXIT_FAILURE);
}

static void train(bench *b, uint32_t rows)
{
    double loss;
    uint32_t correct;
    if (mlp_gradient(b->model, b->weights, b->features, b->labels, rows, b->gradients, NULL, &loss,
                     &correct) != PS_OK)
        fail("the gradient failed");
}

/* The products of one mlp_gradient, in its order. */
static void multiply(bench *b, uint32_t rows)
{
    const backend_ops *ops = b->backend->ops;
    const float *kernels[LAYERS];
    float *kernel_gradients[LAYERS];
    size_t at = 0;
    for (int l = 0; l < LAYERS; at += (size_t)(widths[l] + 1) * widths[l + 1], l++) {
        kernels[l] = b->weights + at;
        kernel_gradients[l] = b->gradients + at;
    }
    for (int l = 0; l < LAYERS; l++)
        ops->gemm(b->backend, 0, 0, rows, widths[l + 1], widths[l], b->values[l], kernels[l],
                  b->values[l + 1]);
    for (int l = LAYERS - 1; l >= 0; l--) {
        ops->gemm(b->backend, 1, 0, widths[l], widths[l + 1], rows, b->values[l], b->values[l + 1],
                  kernel_gradients[l]);
        if (l > 0)
            ops->gemm(b->backend, 0, 1, rows, widths[l], widths[l + 1], b->values[l + 1], kernels[l],
                      b->values[l]);
    }
}

static double images_per_second(bench *b, uint32_t rows, void work(bench *, uint32_t))
{
    uint32_t calls = IMAGES_PER_TURN / rows;
    double start = seconds();
    for (uint32_t i = 0; i < calls; i++)
        work(b, rows);
    return (double)calls * rows / (seconds() - start);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, TURNS, sizeof *values, compare);
    return values[TURNS / 2];
}

static void *allocate(size_t elements)
{
    void *memory = aligned_alloc(64, (elements * sizeof(float) + 63) / 64 * 64);
    if (!memory)
        fail("out of memory");
    return memory;
}

static void set_up(bench *b)
{
    numbers n = {1};
    b->weights = allocate(PARAMETERS);
    b->gradients = allocate(PARAMETERS);
    b->features = allocate((size_t)ROWS_MAX * widths[0]);
    b->labels = allocate(ROWS_MAX);
    numbers_fill(&n, 0.05f, b->weights, PARAMETERS);
    numbers_fill(&n, 1.0f, b->features, (size_t)ROWS_MAX * widths[0]);
    for (uint32_t i = 0; i < ROWS_MAX; i++)
        b->labels[i] = numbers_between(&n, 0, widths[LAYERS] - 1);
    for (int l = 0; l <= LAYERS; l++) {
        b->values[l] = allocate((size_t)ROWS_MAX * widths[l]);
        numbers_fill(&n, 1.0f, b->values[l], (size_t)ROWS_MAX * widths[l]);
    }
    if (backend_cpu_create(1, &b->backend, NULL) != PS_OK ||
        mlp_create(&model, b->backend, ROWS_MAX, &b->model, NULL) != PS_OK)
        fail("the model cannot be made");
}

static void tear_down(bench *b)
{
    mlp_destroy(&b->model);
    b->backend->ops->destroy(b->backend);
    for (int l = 0; l <= LAYERS; l++)
        free(b->values[l]);
    free(b->labels);
    free(b->features);
    free(b->gradients);
    free(b->weights);
}

int main(int argc, char **argv)
{
    (void)argc;
    char line[256];
    ps_error error;
    if (blas_select(argv, line, sizeof line, &error) != PS_OK)
        fail(error.text);
    fpmode_flush_denormals();
    static bench b;
    set_up(&b);
    printf("%s\n784-300-100-10, images/s, median of %d\n%8s %12s %12s %8s\n", line, TURNS, "batch",
           "gradient", "bare gemm", "ratio");
    static const uint32_t batches[] = {50, 150, 500};
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        double trained[TURNS], bare[TURNS];
        images_per_second(&b, batches[i], train);
        for (int turn = 0; turn < TURNS; turn++) {
            trained[turn] = images_per_second(&b, batches[i], train);
            bare[turn] = images_per_second(&b, batches[i], multiply);
        }
        double gradient = median(trained), gemm = median(bare);
        printf("%8u %12.0f %12.0f %8.3f\n", batches[i], gradient, gemm, gradient / gemm);
    }
    tear_down(&b);
    return EXIT_SUCCESS;
}
