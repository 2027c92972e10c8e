/* backend.h - on which device is it computed? One small table of operations on device buffers.
 *
 * Models are written once against this table; `cpu` (OpenBLAS) is one implementation. All matrices are
 * float32, row-major, dense (leading dimension = columns). Operations are enqueued in order and may
 * run asynchronously; `synchronize` waits. On `cpu` every call has finished when it returns and device
 * memory is host memory. A backend is used by one thread. */
#ifndef PENSTOCK_WORKER_BACKEND_H
#define PENSTOCK_WORKER_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

#define ACTIVATION_LIST(X)           \
    X(ACTIVATION_NONE, "none")       \
    X(ACTIVATION_RELU, "relu")       \
    X(ACTIVATION_TANH, "tanh")       \
    X(ACTIVATION_SIGMOID, "sigmoid") \
    X(ACTIVATION_ELU, "elu") /* alpha 1: Clevert et al. 2016 */

typedef enum {
#define ACTIVATION_ENUM(name, text) name,
    ACTIVATION_LIST(ACTIVATION_ENUM)
#undef ACTIVATION_ENUM
} activation_kind;

const char *activation_name(activation_kind kind);
ps_status activation_parse(const char *text, activation_kind *kind, ps_error *error);

typedef struct backend backend;

typedef struct {
    const char *name;

    /* Device memory is the host's: host arrays may be passed to every operation, without upload and
     * download. */
    bool host_memory;

    /* `bytes` of device memory, aligned to 64, uninitialised; NULL if there is none left. */
    void *(*allocate)(backend *self, size_t bytes);
    void (*release)(backend *self, void *memory);
    ps_status (*upload)(backend *self, void *device, const void *host, size_t bytes);
    ps_status (*download)(backend *self, void *host, const void *device, size_t bytes);
    ps_status (*synchronize)(backend *self);

    /* c (m x n) = op(a) op(b), where op transposes if asked: a is (m x k), or (k x m) if transposed; b is
     * (k x n), or (n x k). PS_EINVAL if m, n or k is 0 or above INT_MAX. */
    ps_status (*gemm)(backend *self, int transpose_a, int transpose_b, uint32_t m, uint32_t n, uint32_t k,
                      const float *a, const float *b, float *c);

    /* y = activation(y + bias), in place. y: (rows x columns), bias: (columns). */
    ps_status (*bias_activate)(backend *self, activation_kind kind, uint32_t rows, uint32_t columns,
                               const float *bias, float *y);

    /* dy *= activation'(.), in place, from the activation's output y (all kinds allow that), and
     * dbias (columns) = column sums of the result. dy, y: (rows x columns). */
    ps_status (*activate_backward)(backend *self, activation_kind kind, uint32_t rows, uint32_t columns,
                                   const float *y, float *dy, float *dbias);

    /* Softmax cross-entropy. logits: (rows x classes), labels: (rows) each < classes, else PS_EINVAL. Writes
     * d loss / d logits over the logits, loss being the mean over rows; stores the summed loss and the number
     * of rows whose largest logit (ties: lowest index) is the label. On the host when it returns. */
    ps_status (*softmax_cross_entropy)(backend *self, uint32_t rows, uint32_t classes, const uint32_t *labels,
                                       float *logits, double *loss_sum, uint32_t *correct);

    void (*destroy)(backend *self);
} backend_ops;

struct backend {
    const backend_ops *ops;
};

/* OpenBLAS on the host with `threads` threads, a setting of the whole process. Threads that OpenBLAS
 * makes for this inherit the caller's floating-point mode (common/fpmode.h), so set that first.
 * PS_EINVAL for 0 or more than the library can use; PS_ENOMEM. */
ps_status backend_cpu_create(uint32_t threads, backend **out, ps_error *error);

#endif
