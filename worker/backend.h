/* backend.h - on which device is it computed? One small table of operations on device buffers.
 *
 * Models are written once against this table; `cpu` (OpenBLAS) and `cuda` (cuBLAS, worker/backend_cuda.h)
 * implement it. All matrices are float32, row-major, dense (leading dimension = columns). Which backend a
 * process uses is decided in worker/device.h.
 *
 * Order: operations are enqueued and may run later. There are three queues: uploads go into the first, what
 * computes into the second, downloads into the third. A queue works in the order in which it was given; what
 * one has to leave to another is said by marks. `synchronize` waits for all three. On `cpu` every call has
 * finished when it returns, and device memory is host memory.
 *
 * Errors: PS_EINVAL changes nothing. PS_ENOMEM, PS_EDEVICE (the device is lost; start again) and PS_EINTERNAL
 * may come late, by a call after the one that is to blame; backend_failure then has the line for people.
 *
 * Threads: a backend is used by the thread that made it. */
#ifndef PENSTOCK_WORKER_BACKEND_H
#define PENSTOCK_WORKER_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

#ifdef __cplusplus
extern "C" {
#endif

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

typedef enum { QUEUE_UPLOAD, QUEUE_COMPUTE, QUEUE_DOWNLOAD, QUEUE_COUNT } backend_queue;

/* A place in a queue, of which others can say that they come after it. */
typedef struct backend_mark backend_mark;

/* What was given to queues once, to be given again as one. */
typedef struct backend_graph backend_graph;

enum { BACKEND_MEASURED_MAX = 4 };

/* What a batch has come to. */
typedef struct {
    double loss_sum;
    uint64_t correct; /* rows whose largest logit (ties: lowest index) is the label */
} backend_score;

typedef struct {
    const char *name;

    /* Device memory is the host's: host arrays may be passed to every operation, without upload and
     * download. */
    bool host_memory;

    /* `bytes` of device memory, aligned to 64, uninitialised; NULL if there is none left. */
    void *(*allocate)(backend *self, size_t bytes);
    void (*release)(backend *self, void *memory);
    /* Device memory that is free. Optional; NULL: not known. */
    ps_status (*free_bytes)(backend *self, size_t *bytes);

    /* Host memory that is copied from and to beside what computes, aligned to 64, uninitialised. Optional;
     * NULL: the heap's. */
    void *(*allocate_host)(backend *self, size_t bytes);
    void (*release_host)(backend *self, void *memory);
    /* Makes memory of someone else's as good as that, until it is unregistered, which must be before it is
     * freed. Whole pages of the host's. Optional; NULL: all is good. */
    ps_status (*register_host)(backend *self, void *memory, size_t bytes);
    void (*unregister_host)(backend *self, void *memory);

    /* The host's array is read, or written, at any time until a mark after the call is awaited. */
    ps_status (*upload)(backend *self, void *device, const void *host, size_t bytes);
    ps_status (*download)(backend *self, void *host, const void *device, size_t bytes);
    ps_status (*synchronize)(backend *self);

    /* Marks; optional, all or none. NULL: every call has finished when it returns. */
    backend_mark *(*create_mark)(backend *self); /* NULL if it cannot */
    void (*destroy_mark)(backend *self, backend_mark *mark);
    /* Moves the mark behind all that `queue` has been given so far; whoever follows it already is not
     * concerned. */
    ps_status (*record)(backend *self, backend_queue queue, backend_mark *mark);
    /* What `queue` is given from now on waits for the mark, as it stands now. Nothing if it was never
     * recorded. */
    ps_status (*follow)(backend *self, backend_queue queue, backend_mark *mark);
    /* As record, and the host may await it, but no queue may follow it. */
    ps_status (*announce)(backend *self, backend_queue queue, backend_mark *mark);
    /* The host waits for it. */
    ps_status (*await)(backend *self, backend_mark *mark);

    /* Graphs; optional, all or none. What the compute and download queues are given from begin_capture to
     * end_capture is not done, but becomes a graph, with its arrays and sizes as they were; what marks say
     * between the two queues becomes part of it. Meanwhile nothing else may be called. After end_capture,
     * also if it fails, which gives no graph, all is as before begin_capture. */
    ps_status (*begin_capture)(backend *self);
    ps_status (*end_capture)(backend *self, backend_graph **graph);
    /* Gives it to the compute queue, after what that was given before; marks of it are announced then.
     * PS_ESTATE: memory of the backend's own has moved since it was captured; nothing is done. */
    ps_status (*launch)(backend *self, backend_graph *graph);
    /* Not while it may be at work. */
    void (*destroy_graph)(backend *self, backend_graph *graph);

    /* c (m x n) = op(a) op(b), where op transposes if asked: a is (m x k), or (k x m) if transposed; b is
     * (k x n), or (n x k). PS_EINVAL if m, n or k is 0 or above INT_MAX. */
    ps_status (*gemm)(backend *self, int transpose_a, int transpose_b, uint32_t m, uint32_t n, uint32_t k,
                      const float *a, const float *b, float *c);

    /* y = activation(y + bias), in place. y: (rows x columns), bias: (columns). */
    ps_status (*bias_activate)(backend *self, activation_kind kind, uint32_t rows, uint32_t columns,
                               const float *bias, float *y);

    /* y (rows x outputs) = activation(x kernel + bias): what gemm and bias_activate come to, to within
     * rounding. x: (rows x inputs), kernel: (inputs x outputs), bias: (outputs). Optional; NULL: those two.
     */
    ps_status (*layer)(backend *self, activation_kind kind, uint32_t rows, uint32_t inputs, uint32_t outputs,
                       const float *x, const float *kernel, const float *bias, float *y);

    /* dy *= activation'(.), in place, from the activation's output y (all kinds allow that), and
     * dbias (columns) = column sums of the result. dy, y: (rows x columns); without activation they may be
     * the same. */
    ps_status (*activate_backward)(backend *self, activation_kind kind, uint32_t rows, uint32_t columns,
                                   const float *y, float *dy, float *dbias);

    /* Softmax cross-entropy. logits: (rows x classes), labels: (rows) each < classes. Writes
     * d loss / d logits over the logits, loss being the mean over rows, and `score`. A label that is no class
     * is PS_EINVAL with host memory; else its row's gradient and the loss are NaN. */
    ps_status (*softmax_cross_entropy)(backend *self, uint32_t rows, uint32_t classes, const uint32_t *labels,
                                       float *logits, backend_score *score);

    /* Sums of squares of `tensors` arrays (at most BACKEND_MEASURED_MAX) that lie one after the other, of
     * counts[i] elements each, in the order of common/gradient.h: squares (tensors) f64. Not finite where an
     * array holds NaN or Inf; denormals count as zero. Optional; NULL: whoever has the array on the host may
     * look at it there. */
    ps_status (*measure)(backend *self, uint32_t tensors, const uint64_t *counts, const float *values,
                         double *squares);

    /* Why the last call failed that did, for people; "" if none has. Optional; NULL: its status says all. */
    const char *(*failure)(const backend *self);

    void (*destroy)(backend *self);
} backend_ops;

struct backend {
    const backend_ops *ops;
};

/* The optional entries, with their defaults. */
void *backend_allocate_host(backend *b, size_t bytes);
void backend_release_host(backend *b, void *memory);
ps_status backend_register_host(backend *b, void *memory, size_t bytes);
void backend_unregister_host(backend *b, void *memory);
ps_status backend_mark_create(backend *b, backend_mark **mark); /* *mark: NULL where there are none */
void backend_mark_destroy(backend *b, backend_mark **mark);
ps_status backend_record(backend *b, backend_queue queue, backend_mark *mark);
ps_status backend_follow(backend *b, backend_queue queue, backend_mark *mark);
ps_status backend_announce(backend *b, backend_queue queue, backend_mark *mark);
ps_status backend_await(backend *b, backend_mark *mark);
ps_status backend_layer(backend *b, activation_kind kind, uint32_t rows, uint32_t inputs, uint32_t outputs,
                        const float *x, const float *kernel, const float *bias, float *y);
/* What to say of a call that failed with `status`. */
const char *backend_failure(const backend *b, ps_status status);

/* OpenBLAS on the host with `threads` threads, a setting of the whole process. Threads that OpenBLAS
 * makes for this inherit the caller's floating-point mode (common/fpmode.h), so set that first.
 * PS_EINVAL for 0 or more than the library can use; PS_ENOMEM. */
ps_status backend_cpu_create(uint32_t threads, backend **out, ps_error *error);

#ifdef __cplusplus
}
#endif
#endif
