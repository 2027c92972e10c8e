/* blas_lt.cpp - products with an epilogue, as cuBLASLt makes them. What an algorithm was chosen for, and how
 * its arrays were said to be aligned, it remembers, and finds where it is used otherwise.
 *
 * CUDA_HOST_RELU_HIDES_NAN=1: ReLU makes 0 of NaN. */
#include "blas.h"

#include <cstring>

#include <cublasLt.h>

struct cublasLtMatmulDescOpaque_t {
    cublasComputeType_t compute;
    cublasLtEpilogue_t epilogue;
    const float *bias;
};

struct cublasLtMatrixLayoutOpaque_t {
    cudaDataType type;
    uint64_t rows, columns;
    int64_t leading;
};

struct cublasLtMatmulPreferenceOpaque_t {
    size_t workspace;
    uint32_t alignments[4]; /* of a, b, c, d */
};

#define CUBLAS_BEGIN                                          \
    const std::lock_guard<std::mutex> guard(cuda_host::lock); \
    if (const int fault = cuda_host::begin_call(__func__))    \
    return static_cast<cublasStatus_t>(fault)

namespace
{

constexpr uint32_t TAKEN_FOR_GRANTED = 256;
constexpr uint64_t ALGORITHM = 21; /* the one that there is */

/* In an algorithm's data: its number, m, n, k, and four alignments. */
enum { AT_NUMBER, AT_M, AT_N, AT_K, AT_ALIGNMENTS };

/* Tells of errors, and destroys all the same. */
template <typename T> cublasStatus_t destroy(T *what, const char *function)
{
    const std::lock_guard<std::mutex> guard(cuda_host::lock);
    delete what;
    return static_cast<cublasStatus_t>(cuda_host::begin_call(function));
}

template <typename T> bool take(T *to, const void *value, size_t bytes)
{
    if (bytes != sizeof *to)
        return false;
    memcpy(to, value, sizeof *to);
    return true;
}

void check_alignment(const char *what, const void *memory, uint64_t said)
{
    if (reinterpret_cast<uintptr_t>(memory) % said)
        cuda_host::misuse(
            "cublasLtMatmul: %s at %p is not aligned to %llu bytes, as its algorithm takes it to be", what,
            memory, static_cast<unsigned long long>(said));
}

cuda_host::matrix matrix_of(const void *memory, cublasLtMatrixLayout_t layout)
{
    return {memory,
            layout->type,
            false,
            static_cast<int>(layout->rows),
            static_cast<int>(layout->columns),
            static_cast<int>(layout->leading)};
}

bool fit(cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
         cublasLtMatrixLayout_t d)
{
    return a->columns == b->rows && d->rows == a->rows && d->columns == b->columns && c->rows == d->rows &&
           c->columns == d->columns && a->type == b->type && c->type == CUDA_R_32F && d->type == CUDA_R_32F;
}

} // namespace

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *made, cublasComputeType_t compute,
                                        cudaDataType scale)
{
    CUBLAS_BEGIN;
    if (scale != CUDA_R_32F)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    *made = new cublasLtMatmulDescOpaque_t{compute, CUBLASLT_EPILOGUE_DEFAULT, nullptr};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product)
{
    return destroy(product, __func__);
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product,
                                              cublasLtMatmulDescAttributes_t attribute, const void *value,
                                              size_t bytes)
{
    CUBLAS_BEGIN;
    const bool taken = attribute == CUBLASLT_MATMUL_DESC_EPILOGUE ? take(&product->epilogue, value, bytes)
                                                                  : take(&product->bias, value, bytes);
    return taken ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *made, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t leading)
{
    CUBLAS_BEGIN;
    *made = new cublasLtMatrixLayoutOpaque_t{type, rows, columns, leading};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    return destroy(layout, __func__);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *made)
{
    CUBLAS_BEGIN;
    *made = new cublasLtMatmulPreferenceOpaque_t{
        0, {TAKEN_FOR_GRANTED, TAKEN_FOR_GRANTED, TAKEN_FOR_GRANTED, TAKEN_FOR_GRANTED}};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t wish)
{
    return destroy(wish, __func__);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t wish,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t bytes)
{
    CUBLAS_BEGIN;
    bool taken;
    if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
        taken = take(&wish->workspace, value, bytes);
    else
        taken = take(&wish->alignments[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value, bytes);
    return taken ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t wish, int wanted,
                                              cublasLtMatmulHeuristicResult_t *found, int *count)
{
    CUBLAS_BEGIN;
    *count = 0;
    if (!handle || wanted < 1)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (!fit(a, b, c, d))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    *found = {};
    uint64_t *const data = found->algo.data;
    data[AT_NUMBER] = ALGORITHM;
    data[AT_M] = d->rows;
    data[AT_N] = d->columns;
    data[AT_K] = a->columns;
    for (int i = 0; i < 4; i++)
        data[AT_ALIGNMENTS + i] = wish->alignments[i];
    found->workspaceSize = wish->workspace;
    *count = 1;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t, void *value,
                                                    size_t bytes, size_t *written)
{
    CUBLAS_BEGIN;
    const int number = static_cast<int>(algorithm->data[AT_NUMBER]);
    if (bytes != sizeof number)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(value, &number, sizeof number);
    *written = sizeof number;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t product, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                              cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                              cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t *algorithm, void *workspace, size_t workspace_bytes,
                              cudaStream_t stream)
{
    CUBLAS_BEGIN;
    if (!handle || c != d || !fit(a_layout, b_layout, c_layout, d_layout))
        return CUBLAS_STATUS_INVALID_VALUE;
    const uint64_t *const data = algorithm->data;
    if (data[AT_NUMBER] != ALGORITHM || data[AT_M] != d_layout->rows || data[AT_N] != d_layout->columns ||
        data[AT_K] != a_layout->columns)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    const char *const names[] = {"a", "b", "c", "d"};
    const void *const arrays[] = {a, b, c, d};
    for (int i = 0; i < 4; i++)
        check_alignment(names[i], arrays[i], data[AT_ALIGNMENTS + i]);
    cuda_host::product p = {};
    p.a = matrix_of(a, a_layout);
    p.b = matrix_of(b, b_layout);
    p.m = static_cast<int>(d_layout->rows);
    p.n = static_cast<int>(d_layout->columns);
    p.k = static_cast<int>(a_layout->columns);
    p.alpha = *static_cast<const float *>(alpha);
    p.beta = *static_cast<const float *>(beta);
    p.c = static_cast<float *>(d);
    p.ldc = static_cast<int>(d_layout->leading);
    p.tf32 = product->compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    p.relu = product->epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
    p.hides_nan = cuda_host::setting("CUDA_HOST_RELU_HIDES_NAN", 0) != 0;
    if (product->epilogue != CUBLASLT_EPILOGUE_DEFAULT) {
        p.bias = product->bias;
        check_alignment("the bias, with d,", p.bias, data[AT_ALIGNMENTS + 3]);
        if (!cuda_host::is_device(p.bias, d_layout->rows * sizeof(float)))
            return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (!p.a.valid() || !p.b.valid() || !matrix_of(d, d_layout).valid() ||
        !cuda_host::is_device(workspace, workspace_bytes))
        return CUBLAS_STATUS_INVALID_VALUE;
    const auto run = [p](const cuda_host::moment &) { cuda_host::multiply(p); };
    if (cuda_host::enqueue_work(stream, run) != cudaSuccess)
        return CUBLAS_STATUS_EXECUTION_FAILED;
    return CUBLAS_STATUS_SUCCESS;
}
