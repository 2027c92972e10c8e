/* backend_cuda_state.cuh - a CUDA backend from within. Private to:
 *
 *   backend_cuda.cu         what is computed, and how a backend comes into being
 *   backend_cuda_fused.cu   products that end with bias and activation, by cuBLASLt
 *   backend_cuda_queues.cu  memory, copies, marks and graphs
 *
 * Functions that take a backend are entries of the table of backend.h. */
#ifndef PENSTOCK_WORKER_BACKEND_CUDA_STATE_CUH
#define PENSTOCK_WORKER_BACKEND_CUDA_STATE_CUH

#include "worker/backend_cuda.h"
#include "worker/backend_cuda_blas.cuh"
#include "worker/backend_cuda_check.cuh"

/* Memory between two kernels of one call. Grows to the largest that is asked for. */
typedef struct {
    void *memory;
    size_t bytes;
} scratch;

enum {
    CUDA_WORKSPACE_BYTES =
        32 << 20,         /* what NVIDIA advises for Hopper and later, more than enough for others */
    CUDA_FUSED_MAX = 256, /* shapes of layers; twice that of the deepest model */
};

/* A layer's shape, and where it lies, as far as cuBLASLt asks. */
typedef struct {
    activation_kind kind;
    uint32_t rows, inputs, outputs;
    uint32_t alignments[4]; /* of kernel, input, output and bias, in bytes */
} fused_shape;

/* How its product is made; chosen once. */
typedef struct {
    fused_shape shape;
    bool usable; /* else cuBLASLt has nothing for it, and the rest is not there */
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t kernel, input, output;
    cublasLtMatmulAlgo_t algorithm;
} fused_plan;

struct cuda_backend {
    backend base;
    cuda_place place;
    precision_kind precision;
    cudaStream_t streams[QUEUE_COUNT];
    cudaEvent_t turn; /* between the queues of a graph */
    bool capturing;
    uint64_t moves; /* how often scratch memory has moved, of which graphs know the place */
    const cuda_blas *blas;
    cublasHandle_t handle;
    void *workspace;
    scratch sums;       /* partial sums of columns, or scores of rows */
    scratch factors[2]; /* of a product, as bfloat16 */
    bool fuses;         /* ReLU of cuBLASLt lets NaN through */
    fused_plan *plans;  /* (CUDA_FUSED_MAX) */
    uint32_t plan_count;
};

static inline cuda_backend *cuda_of(backend *self)
{
    return reinterpret_cast<cuda_backend *>(self);
}

#define BLAS_CHECK(b, call) cuda_check_blas((b), (call), #call, __FILE__, __LINE__)

ps_status cuda_check_blas(cuda_backend *b, cublasStatus_t result, const char *call, const char *file,
                          int line);

/* ---- backend_cuda_fused.cu ---- */

/* Finds out whether layers may be fused. */
ps_status cuda_fused_open(cuda_backend *b);
void cuda_fused_close(cuda_backend *b);

/* y = activation(x kernel + bias) as one product; x and kernel as the precision has factors. `*done` false:
 * not for this layer, and nothing has happened. */
ps_status cuda_fused_layer(cuda_backend *b, const fused_shape *of, const void *x, const void *kernel,
                           const float *bias, float *y, bool *done);

/* ---- backend_cuda_queues.cu ---- */

/* NULL with the reason in `place`. */
void *cuda_allocate_for(cuda_place *place, size_t bytes, const char *what);
ps_status cuda_grow(cuda_backend *b, scratch *s, size_t bytes);

void *cuda_allocate(backend *self, size_t bytes);
void cuda_release(backend *self, void *memory);
ps_status cuda_free_bytes(backend *self, size_t *bytes);
void *cuda_allocate_host(backend *self, size_t bytes);
void cuda_release_host(backend *self, void *memory);
ps_status cuda_register_host(backend *self, void *memory, size_t bytes);
void cuda_unregister_host(backend *self, void *memory);
ps_status cuda_upload(backend *self, void *device, const void *host, size_t bytes);
ps_status cuda_download(backend *self, void *host, const void *device, size_t bytes);
ps_status cuda_synchronize(backend *self);
backend_mark *cuda_create_mark(backend *self);
void cuda_destroy_mark(backend *self, backend_mark *mark);
ps_status cuda_record(backend *self, backend_queue queue, backend_mark *mark);
ps_status cuda_follow(backend *self, backend_queue queue, backend_mark *mark);
ps_status cuda_announce(backend *self, backend_queue queue, backend_mark *mark);
ps_status cuda_await(backend *self, backend_mark *mark);
ps_status cuda_begin_capture(backend *self);
ps_status cuda_end_capture(backend *self, backend_graph **graph);
ps_status cuda_launch(backend *self, backend_graph *graph);
void cuda_destroy_graph(backend *self, backend_graph *graph);

#endif
