/* backend_cuda_check.cuh - every call of CUDA and cuBLAS is checked, and a failure gets a status and a line.
 *
 *     CUDA_TRY(where, cudaMemsetAsync(memory, 0, bytes, stream));     // returns from the function
 *     status = CUDA_CHECK(where, cudaFree(memory));
 *
 * `where` is a cuda_place *: the device that is talked of, and where the line is left. The line names call,
 * file and line, device, CUDA's own name and text, and the likely cause. */
#ifndef PENSTOCK_WORKER_BACKEND_CUDA_CHECK_CUH
#define PENSTOCK_WORKER_BACKEND_CUDA_CHECK_CUH

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include "common/status.h"

typedef struct {
    int device; /* -1: none yet */
    ps_error failure;
} cuda_place;

/* The status that CUDA's own comes to, PS_OK for success. */
ps_status cuda_check(cuda_place *where, cudaError_t result, const char *call, const char *file, int line);

/* The same for cuBLAS; `name` is what the library calls `result`. */
ps_status cublas_check(cuda_place *where, cublasStatus_t result, const char *name, const char *call,
                       const char *file, int line);

/* `bytes` of `what` were asked for and could not be had. */
ps_status cuda_out_of_memory(cuda_place *where, size_t bytes, const char *what);

#define CUDA_CHECK(where, call) cuda_check((where), (call), #call, __FILE__, __LINE__)

#define CUDA_TRY(where, call)                           \
    do {                                                \
        ps_status cuda_try = CUDA_CHECK((where), call); \
        if (cuda_try != PS_OK)                          \
            return cuda_try;                            \
    } while (0)

#endif
