/* backend_cuda_blas.cuh - the functions of cuBLAS and cuBLASLt that are used, found when the program runs.
 *
 * So one program starts with and without the library, and with version 12 or 13 of it. */
#ifndef PENSTOCK_WORKER_BACKEND_CUDA_BLAS_CUH
#define PENSTOCK_WORKER_BACKEND_CUDA_BLAS_CUH

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime.h>

#include "common/status.h"

/* member of the table, function, result, parameters */
#define CUBLAS_LIST(X)                                                                                   \
    X(create, cublasCreate, cublasStatus_t, (cublasHandle_t *))                                          \
    X(destroy, cublasDestroy, cublasStatus_t, (cublasHandle_t))                                          \
    X(set_stream, cublasSetStream, cublasStatus_t, (cublasHandle_t, cudaStream_t))                       \
    X(set_workspace, cublasSetWorkspace, cublasStatus_t, (cublasHandle_t, void *, size_t))               \
    X(set_math_mode, cublasSetMathMode, cublasStatus_t, (cublasHandle_t, cublasMath_t))                  \
    X(gemm, cublasGemmEx, cublasStatus_t,                                                                \
      (cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int, const void *, const void *,  \
       cudaDataType, int, const void *, cudaDataType, int, const void *, void *, cudaDataType, int,      \
       cublasComputeType_t, cublasGemmAlgo_t))                                                           \
    X(status_name, cublasGetStatusName, const char *, (cublasStatus_t))                                  \
    X(lt_create_product, cublasLtMatmulDescCreate, cublasStatus_t,                                       \
      (cublasLtMatmulDesc_t *, cublasComputeType_t, cudaDataType))                                       \
    X(lt_destroy_product, cublasLtMatmulDescDestroy, cublasStatus_t, (cublasLtMatmulDesc_t))             \
    X(lt_set_product, cublasLtMatmulDescSetAttribute, cublasStatus_t,                                    \
      (cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t, const void *, size_t))                      \
    X(lt_create_matrix, cublasLtMatrixLayoutCreate, cublasStatus_t,                                      \
      (cublasLtMatrixLayout_t *, cudaDataType, uint64_t, uint64_t, int64_t))                             \
    X(lt_destroy_matrix, cublasLtMatrixLayoutDestroy, cublasStatus_t, (cublasLtMatrixLayout_t))          \
    X(lt_create_wish, cublasLtMatmulPreferenceCreate, cublasStatus_t, (cublasLtMatmulPreference_t *))    \
    X(lt_destroy_wish, cublasLtMatmulPreferenceDestroy, cublasStatus_t, (cublasLtMatmulPreference_t))    \
    X(lt_set_wish, cublasLtMatmulPreferenceSetAttribute, cublasStatus_t,                                 \
      (cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t, const void *, size_t))          \
    X(lt_choose, cublasLtMatmulAlgoGetHeuristic, cublasStatus_t,                                         \
      (cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,           \
       cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, int,                  \
       cublasLtMatmulHeuristicResult_t *, int *))                                                        \
    X(lt_ask_algorithm, cublasLtMatmulAlgoConfigGetAttribute, cublasStatus_t,                            \
      (const cublasLtMatmulAlgo_t *, cublasLtMatmulAlgoConfigAttributes_t, void *, size_t, size_t *))    \
    X(lt_multiply, cublasLtMatmul, cublasStatus_t,                                                       \
      (cublasLtHandle_t, cublasLtMatmulDesc_t, const void *, const void *, cublasLtMatrixLayout_t,       \
       const void *, cublasLtMatrixLayout_t, const void *, const void *, cublasLtMatrixLayout_t, void *, \
       cublasLtMatrixLayout_t, const cublasLtMatmulAlgo_t *, void *, size_t, cudaStream_t))

typedef struct {
    const char *file; /* its name; static */
#define CUBLAS_MEMBER(member, function, result, parameters) result(*member) parameters;
    CUBLAS_LIST(CUBLAS_MEMBER)
#undef CUBLAS_MEMBER
} cuda_blas;

/* Loads the library once for the process; the table is static. PS_ENOENT naming what was looked for. Any
 * thread. */
ps_status cuda_blas_open(const cuda_blas **table, ps_error *error);

#endif
