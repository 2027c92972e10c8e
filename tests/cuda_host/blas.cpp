/* blas.cpp - products of matrices as cuBLAS makes them, by OpenBLAS. */
#include "blas.h"

#include <cblas.h>
#include <cstring>

#include <cublas_v2.h>
#include <cuda_bf16.h>

struct cublasContext {
    cudaStream_t stream;
};

namespace
{

constexpr uint32_t TF32_LOST_BITS = 13; /* of a float's 23 */

/* To nearest, ties away from zero, as the hardware does it. */
float to_tf32(float value)
{
    uint32_t bits;
    if (value != value || value - value != 0.0f)
        return value;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + (1u << (TF32_LOST_BITS - 1))) & ~((1u << TF32_LOST_BITS) - 1);
    memcpy(&value, &bits, sizeof bits);
    return value;
}

size_t spanned(const cuda_host::matrix &m)
{
    return static_cast<size_t>(m.leading) * static_cast<size_t>(m.columns - 1) + static_cast<size_t>(m.rows);
}

/* Bias and ReLU on what the product has come to. */
void finish(const cuda_host::product &p)
{
    for (int column = 0; column < p.n; column++)
        for (int row = 0; row < p.m; row++) {
            float &c =
                p.c[static_cast<size_t>(p.ldc) * static_cast<size_t>(column) + static_cast<size_t>(row)];
            c += p.bias[row];
            if (p.relu && (c < 0.0f || (p.hides_nan && c != c)))
                c = 0.0f;
        }
}

} // namespace

namespace cuda_host
{

bool matrix::valid() const
{
    const size_t bytes = type == CUDA_R_16BF ? sizeof(__nv_bfloat16) : sizeof(float);
    return leading >= rows && is_device(memory, spanned(*this) * bytes);
}

std::vector<float> matrix::read(bool tf32) const
{
    std::vector<float> result;
    result.reserve(static_cast<size_t>(rows) * static_cast<size_t>(columns));
    for (int column = 0; column < columns; column++) {
        const size_t start = static_cast<size_t>(leading) * static_cast<size_t>(column);
        for (size_t at = start; at < start + static_cast<size_t>(rows); at++) {
            if (type == CUDA_R_16BF)
                result.push_back(__bfloat162float(static_cast<const __nv_bfloat16 *>(memory)[at]));
            else if (tf32)
                result.push_back(to_tf32(static_cast<const float *>(memory)[at]));
            else
                result.push_back(static_cast<const float *>(memory)[at]);
        }
    }
    return result;
}

void multiply(const product &p)
{
    const std::vector<float> a = p.a.read(p.tf32), b = p.b.read(p.tf32);
    const size_t ldc = static_cast<size_t>(p.ldc);
    /* With beta 0 cuBLAS does not read c, which may hold NaN. */
    if (p.beta == 0.0f)
        for (int column = 0; column < p.n; column++)
            memset(p.c + ldc * static_cast<size_t>(column), 0, static_cast<size_t>(p.m) * sizeof(float));
    cblas_sgemm(CblasColMajor, p.a.transposed ? CblasTrans : CblasNoTrans,
                p.b.transposed ? CblasTrans : CblasNoTrans, p.m, p.n, p.k, p.alpha, a.data(), p.a.rows,
                b.data(), p.b.rows, p.beta, p.c, p.ldc);
    if (p.bias)
        finish(p);
    counts.products++;
}

} // namespace cuda_host

#define CUBLAS_BEGIN                                                \
    const std::lock_guard<std::mutex> guard(cuda_host::lock);       \
    if (const int fault = cuda_host::begin_call(written(__func__))) \
    return static_cast<cublasStatus_t>(fault)

namespace
{

/* The name as it stands in sources, for faults. */
const char *written(const char *function)
{
    if (strcmp(function, "cublasCreate_v2") == 0)
        return "cublasCreate";
    if (strcmp(function, "cublasDestroy_v2") == 0)
        return "cublasDestroy";
    if (strcmp(function, "cublasSetStream_v2") == 0)
        return "cublasSetStream";
    if (strcmp(function, "cublasSetWorkspace_v2") == 0)
        return "cublasSetWorkspace";
    return function;
}

} // namespace

cublasStatus_t cublasCreate(cublasHandle_t *handle)
{
    CUBLAS_BEGIN;
    *handle = new cublasContext{};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle)
{
    CUBLAS_BEGIN;
    if (!handle)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    cuda_host::counts.synchronizations++;
    cuda_host::run_all();
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream)
{
    CUBLAS_BEGIN;
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t, void *workspace, size_t bytes)
{
    CUBLAS_BEGIN;
    return !bytes || cuda_host::is_device(workspace, bytes) ? CUBLAS_STATUS_SUCCESS
                                                            : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t)
{
    CUBLAS_BEGIN;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transpose_a,
                            cublasOperation_t transpose_b, int m, int n, int k, const void *alpha,
                            const void *a, cudaDataType type_a, int lda, const void *b, cudaDataType type_b,
                            int ldb, const void *beta, void *c, cudaDataType type_c, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t)
{
    CUBLAS_BEGIN;
    if (m <= 0 || n <= 0 || k <= 0)
        return CUBLAS_STATUS_INVALID_VALUE;
    const bool ta = transpose_a == CUBLAS_OP_T, tb = transpose_b == CUBLAS_OP_T;
    cuda_host::product p = {};
    p.a = {a, type_a, ta, ta ? k : m, ta ? m : k, lda};
    p.b = {b, type_b, tb, tb ? n : k, tb ? k : n, ldb};
    p.m = m;
    p.n = n;
    p.k = k;
    p.alpha = *static_cast<const float *>(alpha);
    p.beta = *static_cast<const float *>(beta);
    p.c = static_cast<float *>(c);
    p.ldc = ldc;
    p.tf32 = compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    const cuda_host::matrix target = {c, type_c, false, m, n, ldc};
    if (type_a != type_b || type_c != CUDA_R_32F)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (!p.a.valid() || !p.b.valid() || !target.valid())
        return CUBLAS_STATUS_INVALID_VALUE;
    if (cuda_host::enqueue_work(handle->stream, [p](const cuda_host::moment &) { cuda_host::multiply(p); }) !=
        cudaSuccess)
        return CUBLAS_STATUS_EXECUTION_FAILED;
    return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusName(cublasStatus_t status)
{
    switch (status) {
#define STATUS_CASE(name, value) \
    case name:                   \
        return #name;
        CUBLAS_HOST_STATUS_LIST(STATUS_CASE)
#undef STATUS_CASE
    }
    return "unknown status";
}

const char *cublasGetStatusString(cublasStatus_t status)
{
    return cublasGetStatusName(status);
}
