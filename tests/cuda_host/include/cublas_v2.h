/* cublas_v2.h - that part of cuBLAS which Penstock uses, with cuBLAS's own values; see README.md. */
#ifndef PENSTOCK_CUDA_HOST_CUBLAS_H
#define PENSTOCK_CUDA_HOST_CUBLAS_H

#include <cuda_runtime.h>

#define CUBLAS_HOST_STATUS_LIST(X)        \
    X(CUBLAS_STATUS_SUCCESS, 0)           \
    X(CUBLAS_STATUS_NOT_INITIALIZED, 1)   \
    X(CUBLAS_STATUS_ALLOC_FAILED, 3)      \
    X(CUBLAS_STATUS_INVALID_VALUE, 7)     \
    X(CUBLAS_STATUS_ARCH_MISMATCH, 8)     \
    X(CUBLAS_STATUS_MAPPING_ERROR, 11)    \
    X(CUBLAS_STATUS_EXECUTION_FAILED, 13) \
    X(CUBLAS_STATUS_INTERNAL_ERROR, 14)   \
    X(CUBLAS_STATUS_NOT_SUPPORTED, 15)    \
    X(CUBLAS_STATUS_LICENSE_ERROR, 16)

typedef enum {
#define CUBLAS_HOST_STATUS(name, value) name = value,
    CUBLAS_HOST_STATUS_LIST(CUBLAS_HOST_STATUS)
#undef CUBLAS_HOST_STATUS
} cublasStatus_t;

typedef enum { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 } cublasOperation_t;
typedef enum { CUBLAS_DEFAULT_MATH = 0, CUBLAS_PEDANTIC_MATH = 2 } cublasMath_t;
typedef enum { CUBLAS_COMPUTE_32F = 68, CUBLAS_COMPUTE_32F_FAST_TF32 = 77 } cublasComputeType_t;
typedef enum { CUBLAS_GEMM_DEFAULT = -1 } cublasGemmAlgo_t;
typedef struct cublasContext *cublasHandle_t;

#define cublasCreate       cublasCreate_v2
#define cublasDestroy      cublasDestroy_v2
#define cublasSetStream    cublasSetStream_v2
#define cublasSetWorkspace cublasSetWorkspace_v2

extern "C" {
cublasStatus_t cublasCreate(cublasHandle_t *handle);
cublasStatus_t cublasDestroy(cublasHandle_t handle);
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream);
cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *workspace, size_t bytes);
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode);
/* c = alpha op(a) op(b) + beta c, by columns; alpha and beta on the host; c in fp32, a and b alike. */
cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transpose_a,
                            cublasOperation_t transpose_b, int m, int n, int k, const void *alpha,
                            const void *a, cudaDataType type_a, int lda, const void *b, cudaDataType type_b,
                            int ldb, const void *beta, void *c, cudaDataType type_c, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t algorithm);
const char *cublasGetStatusName(cublasStatus_t status);
const char *cublasGetStatusString(cublasStatus_t status);
}

#endif
