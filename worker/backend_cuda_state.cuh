/* backend_cuda_state.cuh - a CUDA backend from within. Private to:
 *
 *   backend_cuda.cu         what is computed, and how a backend comes into being
 *   backend_cuda_queues.cu  memory, copies, marks and graphs
 *
 * The functions are entries of the table of backend.h. */
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
};

static inline cuda_backend *cuda_of(backend *self)
{
    return reinterpret_cast<cuda_backend *>(self);
}

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
