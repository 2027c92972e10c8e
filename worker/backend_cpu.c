/* backend_cpu.c - the operations of backend.h on the host: products by OpenBLAS, the rest by plain loops.
 *
 * The only file that sees OpenBLAS. The loops are written for the compiler to vectorise: one row after the
 * other, no aliasing, the activation chosen outside of them. Each output element is computed in one fixed
 * order, so the same input gives the same bits. NaN goes through every operation, so that a model which
 * diverged shows it in its loss and gradients. */
#include "worker/backend_cpu.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>

#include "worker/backend.h"

enum { MEMORY_ALIGNMENT = 64 };

/* Inlined into loops with a constant `kind`, so that no choice is left inside them. */
#define INLINED static inline __attribute__((always_inline))

const char *backend_cpu_core_name(void)
{
    return openblas_get_corename();
}

uint32_t backend_cpu_threads(void)
{
    return (uint32_t)openblas_get_num_threads();
}

static void *cpu_allocate(backend *self, size_t bytes)
{
    (void)self;
    if (bytes > SIZE_MAX - MEMORY_ALIGNMENT)
        return NULL;
    size_t rounded = (bytes + MEMORY_ALIGNMENT - 1) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT;
    return aligned_alloc(MEMORY_ALIGNMENT, rounded ? rounded : MEMORY_ALIGNMENT);
}

static void cpu_release(backend *self, void *memory)
{
    (void)self;
    free(memory);
}

static ps_status cpu_copy(backend *self, void *to, const void *from, size_t bytes)
{
    (void)self;
    memcpy(to, from, bytes);
    return PS_OK;
}

static ps_status cpu_synchronize(backend *self)
{
    (void)self;
    return PS_OK;
}

static ps_status cpu_gemm(backend *self, int transpose_a, int transpose_b, uint32_t m, uint32_t n, uint32_t k,
                          const float *a, const float *b, float *c)
{
    (void)self;
    /* CBLAS takes ints, and leading dimensions of at least 1. */
    if (m - 1u >= INT_MAX || n - 1u >= INT_MAX || k - 1u >= INT_MAX)
        return PS_EINVAL;
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                transpose_b ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1.0f, a,
                (blasint)(transpose_a ? m : k), b, (blasint)(transpose_b ? k : n), 0.0f, c, (blasint)n);
    return PS_OK;
}

INLINED float activate(activation_kind kind, float x)
{
    switch (kind) {
    case ACTIVATION_NONE:
        break;
    case ACTIVATION_RELU:
        return x < 0.0f ? 0.0f : x;
    case ACTIVATION_TANH:
        return tanhf(x);
    case ACTIVATION_SIGMOID:
        return 1.0f / (1.0f + expf(-x));
    case ACTIVATION_ELU:
        return x > 0.0f ? x : expm1f(x);
    }
    return x;
}

/* The derivative times `dy`, from the output `y`. */
INLINED float activate_back(activation_kind kind, float y, float dy)
{
    switch (kind) {
    case ACTIVATION_NONE:
        break;
    case ACTIVATION_RELU:
        return y <= 0.0f ? 0.0f : dy;
    case ACTIVATION_TANH:
        return dy * (1.0f - y * y);
    case ACTIVATION_SIGMOID:
        return dy * (y * (1.0f - y));
    case ACTIVATION_ELU:
        return y > 0.0f ? dy : dy * (y + 1.0f);
    }
    return dy;
}

INLINED ps_status forward_rows(activation_kind kind, uint32_t rows, size_t columns, const float *bias,
                               float *y)
{
    for (uint32_t r = 0; r < rows; r++) {
        const float *restrict b = bias;
        float *restrict row = y + r * columns;
        for (size_t c = 0; c < columns; c++)
            row[c] = activate(kind, row[c] + b[c]);
    }
    return PS_OK;
}

INLINED ps_status backward_rows(activation_kind kind, uint32_t rows, size_t columns, const float *y,
                                float *dy, float *dbias)
{
    memset(dbias, 0, columns * sizeof *dbias);
    for (uint32_t r = 0; r < rows; r++) {
        const float *restrict out = y + r * columns;
        float *restrict delta = dy + r * columns;
        float *restrict sum = dbias;
        for (size_t c = 0; c < columns; c++) {
            float d = activate_back(kind, out[c], delta[c]);
            delta[c] = d;
            sum[c] += d;
        }
    }
    return PS_OK;
}

static ps_status cpu_bias_activate(backend *self, activation_kind kind, uint32_t rows, uint32_t columns,
                                   const float *bias, float *y)
{
    (void)self;
    switch (kind) {
#define FORWARD_CASE(name, text) \
    case name:                   \
        return forward_rows(name, rows, columns, bias, y);
        ACTIVATION_LIST(FORWARD_CASE)
#undef FORWARD_CASE
    }
    return PS_EINVAL;
}

static ps_status cpu_activate_backward(backend *self, activation_kind kind, uint32_t rows, uint32_t columns,
                                       const float *y, float *dy, float *dbias)
{
    (void)self;
    switch (kind) {
#define BACKWARD_CASE(name, text) \
    case name:                    \
        return backward_rows(name, rows, columns, y, dy, dbias);
        ACTIVATION_LIST(BACKWARD_CASE)
#undef BACKWARD_CASE
    }
    return PS_EINVAL;
}

/* One row: logits become gradients scaled by `scale`. Returns the loss; NaN if a logit is NaN or +Inf. */
static double softmax_row(uint32_t classes, uint32_t label, float scale, float *logits, bool *correct)
{
    uint32_t best = 0;
    for (uint32_t c = 1; c < classes; c++)
        if (logits[c] > logits[best])
            best = c;
    /* With the largest subtracted, no exponential overflows and the sum is at least 1. */
    float largest = logits[best];
    double label_logit = (double)logits[label] - (double)largest;
    double sum = 0.0;
    for (uint32_t c = 0; c < classes; c++) {
        logits[c] = expf(logits[c] - largest);
        sum += (double)logits[c];
    }
    float normalize = (float)(1.0 / sum);
    for (uint32_t c = 0; c < classes; c++)
        logits[c] = (logits[c] * normalize - (c == label ? 1.0f : 0.0f)) * scale;
    double loss = log(sum) - label_logit;
    *correct = best == label && !isnan(loss);
    return loss;
}

static ps_status cpu_softmax_cross_entropy(backend *self, uint32_t rows, uint32_t classes,
                                           const uint32_t *labels, float *logits, backend_score *score)
{
    (void)self;
    for (uint32_t r = 0; r < rows; r++)
        if (labels[r] >= classes)
            return PS_EINVAL;
    float scale = 1.0f / (float)rows;
    backend_score sum = {0};
    for (uint32_t r = 0; r < rows; r++) {
        bool hit;
        sum.loss_sum += softmax_row(classes, labels[r], scale, logits + (size_t)r * classes, &hit);
        sum.correct += hit;
    }
    *score = sum;
    return PS_OK;
}

static void cpu_destroy(backend *self)
{
    free(self);
}

static const backend_ops cpu_ops = {
    .name = "cpu",
    .host_memory = true,
    .allocate = cpu_allocate,
    .release = cpu_release,
    .upload = cpu_copy,
    .download = cpu_copy,
    .synchronize = cpu_synchronize,
    .gemm = cpu_gemm,
    .bias_activate = cpu_bias_activate,
    .activate_backward = cpu_activate_backward,
    .softmax_cross_entropy = cpu_softmax_cross_entropy,
    .destroy = cpu_destroy,
};

ps_status backend_cpu_create(uint32_t threads, backend **out, ps_error *error)
{
    *out = NULL;
    if (threads == 0 || threads > INT_MAX)
        return ps_fail(error, PS_EINVAL, "%u threads for OpenBLAS are out of range; ask for 1 or more",
                       threads);
    openblas_set_num_threads((int)threads);
    if (backend_cpu_threads() != threads)
        return ps_fail(error, PS_EINVAL, "%u threads are more than this OpenBLAS can use; ask for at most %u",
                       threads, backend_cpu_threads());
    backend *b = malloc(sizeof *b);
    if (!b)
        return ps_fail(error, PS_ENOMEM, "no memory for the cpu backend");
    b->ops = &cpu_ops;
    *out = b;
    return PS_OK;
}
