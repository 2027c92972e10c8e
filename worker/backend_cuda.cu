/* backend_cuda.cu - the operations of backend.h on a CUDA device: products by cuBLAS, the rest by our
 * kernels.
 *
 * The same bits each time: one stream computes, cuBLAS has a workspace of its own of fixed size and may not
 * use atomics, and our kernels sum in an order that the shape gives. So the bits depend on the kind of
 * device, on cuBLAS and on the precision, and on nothing else. */
#include <climits>
#include <new>

#include "worker/backend_cuda_kernels.cuh"
#include "worker/backend_cuda_state.cuh"

namespace
{

enum {
    REDUCED_PRECISION_MAJOR = 8, /* the first compute capability with tf32 and bfloat16 */
};

/* ---- operations ---- */

/* A factor of `count` elements as cuBLAS is to read it: itself, or rounded into scratch memory. */
ps_status factor(cuda_backend *b, scratch *rounded, const float *from, size_t count, const void **ready)
{
    *ready = from;
    if (b->precision != PRECISION_BF16)
        return PS_OK;
    const ps_status status = cuda_grow(b, rounded, count * sizeof(__nv_bfloat16));
    if (status != PS_OK)
        return status;
    *ready = rounded->memory;
    return CUDA_CHECK(&b->place, kernel_to_bf16(b->streams[QUEUE_COMPUTE], count, from,
                                                static_cast<__nv_bfloat16 *>(rounded->memory)));
}

bool has_room(uint32_t m, uint32_t n, uint32_t k)
{
    /* cuBLAS takes ints, and leading dimensions of at least 1. */
    return m - 1u < INT_MAX && n - 1u < INT_MAX && k - 1u < INT_MAX;
}

/* As cuda_gemm, of factors that cuBLAS reads. */
ps_status multiply(cuda_backend *on, int transpose_a, int transpose_b, uint32_t m, uint32_t n, uint32_t k,
                   const void *a, const void *b, float *c)
{
    const float one = 1.0f, zero = 0.0f;
    const cudaDataType type = on->precision == PRECISION_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    const cublasComputeType_t compute =
        on->precision == PRECISION_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    /* cuBLAS goes by columns: to it each matrix is its own transpose, and c' = op(b)' op(a)'. */
    return BLAS_CHECK(on,
                      on->blas->gemm(on->handle, transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                                     transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, (int)n, (int)m, (int)k, &one, b,
                                     type, (int)(transpose_b ? k : n), a, type, (int)(transpose_a ? m : k),
                                     &zero, c, CUDA_R_32F, (int)n, compute, CUBLAS_GEMM_DEFAULT));
}

ps_status factors(cuda_backend *on, uint32_t m, uint32_t n, uint32_t k, const float *a, const float *b,
                  const void **left, const void **right)
{
    const ps_status status = factor(on, &on->factors[0], a, (size_t)m * k, left);
    return status == PS_OK ? factor(on, &on->factors[1], b, (size_t)k * n, right) : status;
}

ps_status cuda_gemm(backend *self, int transpose_a, int transpose_b, uint32_t m, uint32_t n, uint32_t k,
                    const float *a, const float *b, float *c)
{
    cuda_backend *on = cuda_of(self);
    const void *left, *right;
    if (!has_room(m, n, k))
        return PS_EINVAL;
    const ps_status status = factors(on, m, n, k, a, b, &left, &right);
    return status == PS_OK ? multiply(on, transpose_a, transpose_b, m, n, k, left, right, c) : status;
}

bool known(activation_kind kind)
{
    switch (kind) {
#define KNOWN_CASE(name, text) case name:
        ACTIVATION_LIST(KNOWN_CASE)
#undef KNOWN_CASE
        return true;
    }
    return false;
}

ps_status cuda_bias_activate(backend *self, activation_kind kind, uint32_t rows, uint32_t columns,
                             const float *bias, float *y)
{
    cuda_backend *b = cuda_of(self);
    if (!known(kind))
        return PS_EINVAL;
    return CUDA_CHECK(&b->place,
                      kernel_bias_activate(b->streams[QUEUE_COMPUTE], kind, rows, columns, bias, y));
}

ps_status cuda_layer(backend *self, activation_kind kind, uint32_t rows, uint32_t inputs, uint32_t outputs,
                     const float *x, const float *kernel, const float *bias, float *y)
{
    cuda_backend *b = cuda_of(self);
    const void *left, *right;
    bool done = false;
    if (!has_room(rows, outputs, inputs) || !known(kind))
        return PS_EINVAL;
    ps_status status = factors(b, rows, outputs, inputs, x, kernel, &left, &right);
    const fused_shape shape = {kind, rows, inputs, outputs, {}};
    if (status == PS_OK)
        status = cuda_fused_layer(b, &shape, left, right, bias, y, &done);
    if (status == PS_OK && !done)
        status = multiply(b, 0, 0, rows, outputs, inputs, left, right, y);
    return status == PS_OK && !done ? cuda_bias_activate(self, kind, rows, outputs, bias, y) : status;
}

ps_status cuda_activate_backward(backend *self, activation_kind kind, uint32_t rows, uint32_t columns,
                                 const float *y, float *dy, float *dbias)
{
    cuda_backend *b = cuda_of(self);
    if (!known(kind))
        return PS_EINVAL;
    const ps_status status = cuda_grow(b, &b->sums, kernel_partial_bytes(rows, columns));
    if (status != PS_OK)
        return status;
    return CUDA_CHECK(&b->place, kernel_activate_backward(b->streams[QUEUE_COMPUTE], kind, rows, columns, y,
                                                          dy, static_cast<float *>(b->sums.memory), dbias));
}

ps_status cuda_softmax_cross_entropy(backend *self, uint32_t rows, uint32_t classes, const uint32_t *labels,
                                     float *logits, backend_score *score)
{
    cuda_backend *b = cuda_of(self);
    const ps_status status = cuda_grow(b, &b->sums, kernel_row_score_bytes(rows));
    if (status != PS_OK)
        return status;
    return CUDA_CHECK(&b->place, kernel_softmax(b->streams[QUEUE_COMPUTE], rows, classes, labels, logits,
                                                static_cast<backend_score *>(b->sums.memory), score));
}

ps_status cuda_measure(backend *self, uint32_t tensors, const uint64_t *counts, const float *values,
                       double *squares)
{
    cuda_backend *b = cuda_of(self);
    kernel_arrays arrays = {};
    if (tensors == 0 || tensors > BACKEND_MEASURED_MAX)
        return PS_EINVAL;
    for (uint32_t i = 0; i < tensors; i++)
        arrays.counts[i] = counts[i];
    const ps_status status = cuda_grow(b, &b->sums, kernel_measure_bytes(&arrays));
    if (status != PS_OK)
        return status;
    return CUDA_CHECK(&b->place, kernel_measure(b->streams[QUEUE_COMPUTE], tensors, &arrays, values,
                                                static_cast<double *>(b->sums.memory), squares));
}

const char *cuda_failure(const backend *self)
{
    return reinterpret_cast<const cuda_backend *>(self)->place.failure.text;
}

/* Of a lost device nothing can be given back, and there is no one left to tell. Half-built: what is not there
 * is not touched, for that would open the device. */
void cuda_destroy(backend *self)
{
    cuda_backend *b = cuda_of(self);
    if (b->streams[QUEUE_COUNT - 1])
        (void)cuda_synchronize(self);
    cuda_fused_close(b);
    if (b->handle)
        (void)BLAS_CHECK(b, b->blas->destroy(b->handle));
    for (void *memory : {b->workspace, b->sums.memory, b->factors[0].memory, b->factors[1].memory})
        if (memory)
            (void)CUDA_CHECK(&b->place, cudaFree(memory));
    if (b->turn)
        (void)CUDA_CHECK(&b->place, cudaEventDestroy(b->turn));
    for (cudaStream_t stream : b->streams)
        if (stream)
            (void)CUDA_CHECK(&b->place, cudaStreamDestroy(stream));
    delete b;
}

const backend_ops cuda_ops = {
    .name = "cuda",
    .host_memory = false,
    .allocate = cuda_allocate,
    .release = cuda_release,
    .free_bytes = cuda_free_bytes,
    .allocate_host = cuda_allocate_host,
    .release_host = cuda_release_host,
    .register_host = cuda_register_host,
    .unregister_host = cuda_unregister_host,
    .upload = cuda_upload,
    .download = cuda_download,
    .synchronize = cuda_synchronize,
    .create_mark = cuda_create_mark,
    .destroy_mark = cuda_destroy_mark,
    .record = cuda_record,
    .follow = cuda_follow,
    .announce = cuda_announce,
    .await = cuda_await,
    .begin_capture = cuda_begin_capture,
    .end_capture = cuda_end_capture,
    .launch = cuda_launch,
    .destroy_graph = cuda_destroy_graph,
    .gemm = cuda_gemm,
    .bias_activate = cuda_bias_activate,
    .layer = cuda_layer,
    .activate_backward = cuda_activate_backward,
    .softmax_cross_entropy = cuda_softmax_cross_entropy,
    .measure = cuda_measure,
    .failure = cuda_failure,
    .destroy = cuda_destroy,
};

/* ---- coming into being ---- */

ps_status check_capability(cuda_backend *b)
{
    cuda_device found;
    const ps_status status = backend_cuda_describe((uint32_t)b->place.device, &found, &b->place.failure);
    if (status != PS_OK || b->precision == PRECISION_FP32 || found.major >= REDUCED_PRECISION_MAJOR)
        return status;
    return ps_fail(&b->place.failure, PS_EINVAL,
                   "cuda:%d: %s has compute capability %d.%d; tf32 and bf16 take %d.0 or later: "
                   "--precision fp32",
                   b->place.device, found.name, found.major, found.minor, REDUCED_PRECISION_MAJOR);
}

ps_status open_blas(cuda_backend *b)
{
    cuda_place *place = &b->place;
    ps_status status = cuda_blas_open(&b->blas, &place->failure);
    if (status != PS_OK)
        return status;
    b->workspace = cuda_allocate_for(place, CUDA_WORKSPACE_BYTES, "workspace of cuBLAS");
    if (!b->workspace)
        return place->failure.status;
    status = BLAS_CHECK(b, b->blas->create(&b->handle));
    if (status == PS_OK)
        status = BLAS_CHECK(b, b->blas->set_stream(b->handle, b->streams[QUEUE_COMPUTE]));
    if (status == PS_OK) /* after the stream, with which it is forgotten */
        status = BLAS_CHECK(b, b->blas->set_workspace(b->handle, b->workspace, CUDA_WORKSPACE_BYTES));
    if (status == PS_OK)
        status = BLAS_CHECK(b, b->blas->set_math_mode(b->handle, CUBLAS_DEFAULT_MATH));
    return status;
}

/* A sum over nothing: tells whether this program has kernels for the device, and the device obeys. */
ps_status try_kernel(cuda_backend *b)
{
    const ps_status status = cuda_grow(b, &b->sums, sizeof(backend_score));
    if (status != PS_OK)
        return status;
    auto *score = static_cast<backend_score *>(b->sums.memory);
    CUDA_TRY(&b->place, kernel_sum_scores(b->streams[QUEUE_COMPUTE], 0, score, score));
    return cuda_synchronize(&b->base);
}

ps_status open_device(cuda_backend *b)
{
    const ps_status status = check_capability(b);
    if (status != PS_OK)
        return status;
    CUDA_TRY(&b->place, cudaSetDevice(b->place.device));
    for (cudaStream_t &stream : b->streams)
        CUDA_TRY(&b->place, cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    CUDA_TRY(&b->place, cudaEventCreateWithFlags(&b->turn, cudaEventDisableTiming));
    const ps_status opened = open_blas(b);
    const ps_status tried = opened == PS_OK ? try_kernel(b) : opened;
    return tried == PS_OK ? cuda_fused_open(b) : tried;
}

} // namespace

ps_status cuda_check_blas(cuda_backend *b, cublasStatus_t result, const char *call, const char *file,
                          int line)
{
    const char *name = result == CUBLAS_STATUS_SUCCESS ? "" : b->blas->status_name(result);
    return cublas_check(&b->place, result, name, call, file, line);
}

ps_status backend_cuda_create(uint32_t index, precision_kind precision, backend **out, ps_error *error)
{
    *out = nullptr;
    uint32_t count;
    ps_status status = backend_cuda_count(&count, error);
    if (status != PS_OK)
        return status;
    if (index >= count)
        return ps_fail(error, PS_EINVAL,
                       "there is no device cuda:%u; this process may use %u (penstock devices)", index,
                       count);
    cuda_backend *b = new (std::nothrow) cuda_backend();
    if (!b)
        return ps_fail(error, PS_ENOMEM, "no memory for the cuda backend");
    b->base.ops = &cuda_ops;
    b->place.device = (int)index;
    b->precision = precision;
    status = open_device(b);
    if (status != PS_OK) {
        ps_fail(error, status, "%s", b->place.failure.text);
        cuda_destroy(&b->base);
        return status;
    }
    *out = &b->base;
    return PS_OK;
}
