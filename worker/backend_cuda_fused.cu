/* backend_cuda_fused.cu - products that end with bias and ReLU, by cuBLASLt.
 *
 * A layer of r rows and c units costs 8 r c bytes less than a product and a kernel after it, which reads and
 * writes all outputs once more: with large batches a tenth of the forward pass in tf32, more in bfloat16.
 * That is so for a layer with ReLU or without activation; the other activations have a kernel in any case.
 *
 * The bits stay the same: for each shape the first algorithm of cuBLASLt's heuristic is kept, under a fixed
 * workspace, and the heuristic has no state. What must not be lost is NaN (backend_cpu.c), of which cuBLASLt
 * does not say what its ReLU makes: it is tried when the backend opens, and if NaN comes out as anything
 * else, nothing is fused. */
#include <cmath>
#include <new>

#include "common/log.h"
#include "worker/backend_cuda_state.cuh"

namespace
{

enum {
    ALIGNMENT_MAX = 256,
    TRIED = 64, /* rows, inputs and outputs of the layer that is tried with NaN */
};

uint32_t alignment_of(const void *memory)
{
    const uintptr_t at = reinterpret_cast<uintptr_t>(memory) | ALIGNMENT_MAX;
    return (uint32_t)(at & (~at + 1));
}

bool same(const fused_shape &a, const fused_shape &b)
{
    for (size_t i = 0; i < sizeof a.alignments / sizeof *a.alignments; i++)
        if (a.alignments[i] != b.alignments[i])
            return false;
    return a.kind == b.kind && a.rows == b.rows && a.inputs == b.inputs && a.outputs == b.outputs;
}

void release(cuda_backend *b, fused_plan *plan)
{
    if (plan->product)
        (void)BLAS_CHECK(b, b->blas->lt_destroy_product(plan->product));
    for (cublasLtMatrixLayout_t matrix : {plan->kernel, plan->input, plan->output})
        if (matrix)
            (void)BLAS_CHECK(b, b->blas->lt_destroy_matrix(matrix));
    plan->product = nullptr;
    plan->kernel = plan->input = plan->output = nullptr;
    plan->usable = false;
}

/* To cuBLAS, which goes by columns: output' = kernel' input'. */
ps_status describe(cuda_backend *b, fused_plan *plan)
{
    const cuda_blas *blas = b->blas;
    const fused_shape &s = plan->shape;
    const cudaDataType type = b->precision == PRECISION_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    const cublasComputeType_t compute =
        b->precision == PRECISION_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    const cublasLtEpilogue_t end =
        s.kind == ACTIVATION_RELU ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
    ps_status status = BLAS_CHECK(b, blas->lt_create_product(&plan->product, compute, CUDA_R_32F));
    if (status == PS_OK)
        status = BLAS_CHECK(
            b, blas->lt_set_product(plan->product, CUBLASLT_MATMUL_DESC_EPILOGUE, &end, sizeof end));
    if (status == PS_OK)
        status = BLAS_CHECK(b, blas->lt_create_matrix(&plan->kernel, type, s.outputs, s.inputs, s.outputs));
    if (status == PS_OK)
        status = BLAS_CHECK(b, blas->lt_create_matrix(&plan->input, type, s.inputs, s.rows, s.inputs));
    if (status == PS_OK)
        status =
            BLAS_CHECK(b, blas->lt_create_matrix(&plan->output, CUDA_R_32F, s.outputs, s.rows, s.outputs));
    return status;
}

/* What a layer's arrays are aligned to follows from the model; cuBLASLt takes 256 bytes for granted. The bias
 * is read together with the output's columns. */
ps_status state_wishes(cuda_backend *b, const fused_shape &s, cublasLtMatmulPreference_t wish)
{
    const size_t workspace = CUDA_WORKSPACE_BYTES;
    const uint32_t output = s.alignments[2] < s.alignments[3] ? s.alignments[2] : s.alignments[3];
    const struct {
        cublasLtMatmulPreferenceAttributes_t attribute;
        uint32_t bytes;
    } alignments[] = {{CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, s.alignments[0]},
                      {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, s.alignments[1]},
                      {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, output},
                      {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, output}};
    ps_status status = BLAS_CHECK(b, b->blas->lt_set_wish(wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                          &workspace, sizeof workspace));
    for (const auto &a : alignments)
        if (status == PS_OK)
            status = BLAS_CHECK(b, b->blas->lt_set_wish(wish, a.attribute, &a.bytes, sizeof a.bytes));
    return status;
}

/* That there is no algorithm is no failure. */
ps_status choose(cuda_backend *b, fused_plan *plan, cublasLtMatmulPreference_t wish)
{
    cublasLtMatmulHeuristicResult_t found = {};
    int count = 0;
    const cublasStatus_t result =
        b->blas->lt_choose(reinterpret_cast<cublasLtHandle_t>(b->handle), plan->product, plan->kernel,
                           plan->input, plan->output, plan->output, wish, 1, &found, &count);
    if (result == CUBLAS_STATUS_NOT_SUPPORTED)
        return PS_OK;
    const ps_status status = BLAS_CHECK(b, result);
    if (status != PS_OK || count == 0 || found.state != CUBLAS_STATUS_SUCCESS)
        return status;
    plan->algorithm = found.algo;
    plan->usable = true;
    return PS_OK;
}

void tell(cuda_backend *b, const fused_plan *plan)
{
    const fused_shape &s = plan->shape;
    int number = -1;
    size_t written;
    if (plan->usable)
        (void)BLAS_CHECK(b, b->blas->lt_ask_algorithm(&plan->algorithm, CUBLASLT_ALGO_CONFIG_ID, &number,
                                                      sizeof number, &written));
    log_debug("cuda:%d: a layer of %u to %u units on %u rows: %s %d", b->place.device, s.inputs, s.outputs,
              s.rows, plan->usable ? "one product with its bias, by algorithm" : "product and kernel",
              number);
}

ps_status make_plan(cuda_backend *b, const fused_shape &shape, fused_plan *plan)
{
    cublasLtMatmulPreference_t wish = nullptr;
    *plan = {};
    plan->shape = shape;
    ps_status status = describe(b, plan);
    if (status == PS_OK)
        status = BLAS_CHECK(b, b->blas->lt_create_wish(&wish));
    if (status == PS_OK)
        status = state_wishes(b, shape, wish);
    if (status == PS_OK)
        status = choose(b, plan, wish);
    if (wish)
        (void)BLAS_CHECK(b, b->blas->lt_destroy_wish(wish));
    if (status != PS_OK || !plan->usable)
        release(b, plan);
    if (status == PS_OK)
        tell(b, plan);
    return status;
}

/* Shapes beyond the limit are not fused. NULL: no room, or a failure. */
fused_plan *plan_of(cuda_backend *b, const fused_shape &shape, ps_status *status)
{
    *status = PS_OK;
    for (uint32_t i = 0; i < b->plan_count; i++)
        if (same(b->plans[i].shape, shape))
            return &b->plans[i];
    if (b->plan_count == CUDA_FUSED_MAX)
        return nullptr;
    fused_plan *plan = &b->plans[b->plan_count];
    *status = make_plan(b, shape, plan);
    if (*status != PS_OK)
        return nullptr;
    b->plan_count++;
    return plan;
}

/* A layer with ReLU whose bias is NaN, over factors that are 0: all of its outputs must be NaN. `memory`: of
 * the device, bias, x, kernel and y behind each other. */
ps_status try_nan(cuda_backend *b, void *memory, float *first)
{
    enum { SQUARE = TRIED * TRIED };
    float *const bias = static_cast<float *>(memory), *const x = bias + ALIGNMENT_MAX;
    float *const kernel = x + SQUARE, *const y = kernel + SQUARE;
    const cudaStream_t stream = b->streams[QUEUE_COMPUTE];
    CUDA_TRY(&b->place, cudaMemsetAsync(bias, 0xff, TRIED * sizeof *bias, stream));
    CUDA_TRY(&b->place, cudaMemsetAsync(x, 0, 2 * SQUARE * sizeof *x, stream));
    const fused_shape shape = {ACTIVATION_RELU, TRIED, TRIED, TRIED, {}};
    bool done;
    const ps_status status = cuda_fused_layer(b, &shape, x, kernel, bias, y, &done);
    *first = done ? NAN : 0.0f;
    if (status != PS_OK || !done)
        return status;
    CUDA_TRY(&b->place, cudaMemcpyAsync(first, y, sizeof *first, cudaMemcpyDeviceToHost, stream));
    return CUDA_CHECK(&b->place, cudaStreamSynchronize(stream));
}

} // namespace

ps_status cuda_fused_open(cuda_backend *b)
{
    enum { ELEMENTS = ALIGNMENT_MAX + 3 * TRIED * TRIED };
    b->plans = new (std::nothrow) fused_plan[CUDA_FUSED_MAX];
    if (!b->plans)
        return ps_fail(&b->place.failure, PS_ENOMEM, "no memory for plans of layers");
    void *const there = cuda_allocate_for(&b->place, ELEMENTS * sizeof(float), "a product that is tried");
    void *const here = there ? cuda_allocate_host(&b->base, sizeof(float)) : nullptr;
    ps_status status = here ? PS_OK : b->place.failure.status;
    b->fuses = true;
    if (here)
        status = try_nan(b, there, static_cast<float *>(here));
    if (status != PS_OK)
        (void)cuda_synchronize(&b->base); /* it may still be under way */
    if (status == PS_OK && !std::isnan(*static_cast<float *>(here))) {
        b->fuses = false;
        log_debug("cuda:%d: products are not fused with ReLU, which would hide NaN", b->place.device);
    }
    if (here)
        cuda_release_host(&b->base, here);
    if (there)
        cuda_release(&b->base, there);
    return status;
}

void cuda_fused_close(cuda_backend *b)
{
    for (uint32_t i = 0; i < b->plan_count; i++)
        release(b, &b->plans[i]);
    delete[] b->plans;
}

ps_status cuda_fused_layer(cuda_backend *b, const fused_shape *of, const void *x, const void *kernel,
                           const float *bias, float *y, bool *done)
{
    *done = false;
    if (!b->fuses || (of->kind != ACTIVATION_RELU && of->kind != ACTIVATION_NONE))
        return PS_OK;
    fused_shape shape = *of;
    shape.alignments[0] = alignment_of(kernel);
    shape.alignments[1] = alignment_of(x);
    shape.alignments[2] = alignment_of(y);
    shape.alignments[3] = alignment_of(bias);
    ps_status status;
    const fused_plan *plan = plan_of(b, shape, &status);
    if (!plan || !plan->usable)
        return status;
    const float one = 1.0f, zero = 0.0f;
    status = BLAS_CHECK(
        b, b->blas->lt_set_product(plan->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias));
    if (status == PS_OK)
        status =
            BLAS_CHECK(b, b->blas->lt_multiply(reinterpret_cast<cublasLtHandle_t>(b->handle), plan->product,
                                               &one, kernel, plan->kernel, x, plan->input, &zero, y,
                                               plan->output, y, plan->output, &plan->algorithm, b->workspace,
                                               CUDA_WORKSPACE_BYTES, b->streams[QUEUE_COMPUTE]));
    *done = status == PS_OK;
    return status;
}
