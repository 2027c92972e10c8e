/* backend_cuda_kernels.cu - see backend_cuda_kernels.cuh. The formulas are those of backend_cpu.c.
 *
 * A warp lies along a row, so that it reads 32 neighbours at once. Launches go through cudaLaunchKernelEx,
 * an ordinary function, so that any C++ compiler can read this file. */
#include "worker/backend_cuda_kernels.cuh"

#include <cfloat>

#include "common/gradient.h"

namespace
{

constexpr uint32_t ACROSS = 32;           /* threads along a row: a warp */
constexpr uint32_t DOWN = 8;              /* rows that a block works on together */
constexpr uint32_t GRID_DOWN_MAX = 32768; /* CUDA allows 65535 */
constexpr uint32_t CHUNK_ROWS_MIN = 64;   /* of which a block makes one partial sum for each column */
constexpr uint32_t CHUNKS_MAX = 256;      /* so that summing those up stays short */
constexpr uint32_t SOFTMAX_ROWS = 4;      /* of a block */
constexpr uint32_t SCORE_THREADS = 256;   /* of the one block that sums up scores */
constexpr uint32_t MEASURE_WARPS = 4;     /* of a block */
constexpr uint32_t CONVERT_THREADS = 256;
constexpr uint32_t CONVERT_BLOCKS_MAX = 4096;

uint32_t divide_up(uint32_t amount, uint32_t by)
{
    return amount / by + (amount % by != 0);
}

template <typename... parameters, typename... arguments>
cudaError_t launch(cudaStream_t stream, dim3 grid, dim3 block, void (*kernel)(parameters...),
                   arguments... given)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.stream = stream;
    return cudaLaunchKernelEx(&config, kernel, given...);
}

/* ---- activations ---- */

template <activation_kind kind> __device__ __forceinline__ float activate(float x)
{
    switch (kind) {
    case ACTIVATION_NONE:
        break;
    case ACTIVATION_RELU:
        return x < 0.0f ? 0.0f : x;
    case ACTIVATION_TANH:
        return tanhf(x);
    case ACTIVATION_SIGMOID:
        return 1.0f / (1.0f + expf(-x));
    case ACTIVATION_ELU:
        return x > 0.0f ? x : expm1f(x);
    }
    return x;
}

/* The derivative times `dy`, from the output `y`. */
template <activation_kind kind> __device__ __forceinline__ float activate_back(float y, float dy)
{
    switch (kind) {
    case ACTIVATION_NONE:
        break;
    case ACTIVATION_RELU:
        return y <= 0.0f ? 0.0f : dy;
    case ACTIVATION_TANH:
        return dy * (1.0f - y * y);
    case ACTIVATION_SIGMOID:
        return dy * (y * (1.0f - y));
    case ACTIVATION_ELU:
        return y > 0.0f ? dy : dy * (y + 1.0f);
    }
    return dy;
}

template <activation_kind kind>
__global__ void __launch_bounds__(ACROSS *DOWN)
    forward_kernel(uint32_t rows, uint32_t columns, const float *__restrict__ bias, float *__restrict__ y)
{
    const uint32_t column = blockIdx.x * ACROSS + threadIdx.x;
    if (column >= columns)
        return;
    const float b = bias[column];
    for (uint32_t row = blockIdx.y * DOWN + threadIdx.y; row < rows; row += gridDim.y * DOWN) {
        float *const at = y + (size_t)row * columns + column;
        *at = activate<kind>(*at + b);
    }
}

/* Block (x, y) works on 32 columns of chunk y and writes their sums: sums (chunks x columns). Without
 * activation `y` may be `dy`. */
template <activation_kind kind>
__global__ void __launch_bounds__(ACROSS *DOWN)
    backward_kernel(uint32_t rows, uint32_t columns, uint32_t chunk_rows, const float *y, float *dy,
                    float *__restrict__ sums)
{
    __shared__ float together[DOWN][ACROSS];
    const uint32_t column = blockIdx.x * ACROSS + threadIdx.x;
    const uint32_t first = blockIdx.y * chunk_rows;
    const uint32_t end = rows - first < chunk_rows ? rows : first + chunk_rows;
    float sum = 0.0f;
    if (column < columns) {
        for (uint32_t row = first + threadIdx.y; row < end; row += DOWN) {
            const size_t at = (size_t)row * columns + column;
            const float d = activate_back<kind>(y[at], dy[at]);
            dy[at] = d;
            sum += d;
        }
    }
    together[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y != 0 || column >= columns)
        return;
    for (uint32_t i = 1; i < DOWN; i++)
        sum += together[i][threadIdx.x];
    sums[(size_t)blockIdx.y * columns + column] = sum;
}

/* dbias (columns) from sums (chunks x columns). */
__global__ void __launch_bounds__(ACROSS *DOWN)
    column_sums_kernel(uint32_t chunks, uint32_t columns, const float *__restrict__ sums,
                       float *__restrict__ dbias)
{
    const uint32_t column = blockIdx.x * (ACROSS * DOWN) + threadIdx.x;
    if (column >= columns)
        return;
    float sum = 0.0f;
    for (uint32_t chunk = 0; chunk < chunks; chunk++)
        sum += sums[(size_t)chunk * columns + column];
    dbias[column] = sum;
}

uint32_t chunk_rows_of(uint32_t rows)
{
    const uint32_t even = divide_up(rows, CHUNKS_MAX);
    return even < CHUNK_ROWS_MIN ? CHUNK_ROWS_MIN : even;
}

/* ---- loss ---- */

/* (largest value, its lowest place) of the lanes of a row, into lane 0 of `values` and `places`. */
__device__ __forceinline__ void find_largest(float *values, uint32_t *places, uint32_t lane)
{
    for (uint32_t half = ACROSS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (lane < half) {
            const float other = values[lane + half];
            const uint32_t place = places[lane + half];
            if (other > values[lane] || (other == values[lane] && place < places[lane])) {
                values[lane] = other;
                places[lane] = place;
            }
        }
    }
    __syncthreads();
}

/* A warp for each row. No thread leaves early: all have to come to the same barriers. */
__global__ void __launch_bounds__(ACROSS *SOFTMAX_ROWS)
    softmax_kernel(uint32_t rows, uint32_t classes, const uint32_t *__restrict__ labels,
                   float *__restrict__ logits, backend_score *__restrict__ row_scores)
{
    __shared__ float values[SOFTMAX_ROWS][ACROSS];
    __shared__ uint32_t places[SOFTMAX_ROWS][ACROSS];
    __shared__ double sums[SOFTMAX_ROWS][ACROSS];
    const uint32_t lane = threadIdx.x, slot = threadIdx.y;
    const uint32_t row = blockIdx.x * SOFTMAX_ROWS + slot;
    const uint32_t count = row < rows ? classes : 0;
    const uint32_t label = row < rows ? labels[row] : UINT32_MAX;
    float *const at = logits + (size_t)(row < rows ? row : 0) * classes;
    const float label_logit = label < count ? at[label] : NAN; /* before it is written over */

    float value = -INFINITY;
    uint32_t place = UINT32_MAX;
    for (uint32_t c = lane; c < count; c += ACROSS) {
        if (place == UINT32_MAX || at[c] > value) {
            value = at[c];
            place = c;
        }
    }
    values[slot][lane] = value;
    places[slot][lane] = place;
    find_largest(values[slot], places[slot], lane);
    const float largest = values[slot][0];
    const uint32_t best = places[slot][0];

    /* With the largest subtracted, no exponential overflows and the sum is at least 1. */
    double sum = 0.0;
    for (uint32_t c = lane; c < count; c += ACROSS) {
        const float e = expf(at[c] - largest);
        at[c] = e;
        sum += (double)e;
    }
    sums[slot][lane] = sum;
    for (uint32_t half = ACROSS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (lane < half)
            sums[slot][lane] += sums[slot][lane + half];
    }
    __syncthreads();
    sum = sums[slot][0];

    const float normalize = (float)(1.0 / sum);
    const float scale = label < count ? 1.0f / (float)rows : NAN;
    for (uint32_t c = lane; c < count; c += ACROSS)
        at[c] = (at[c] * normalize - (c == label ? 1.0f : 0.0f)) * scale;
    if (lane == 0 && row < rows) {
        const double loss = log(sum) - ((double)label_logit - (double)largest);
        row_scores[row].loss_sum = loss;
        row_scores[row].correct = best == label && loss == loss;
    }
}

/* One block. Thread i sums up rows i, i + 256, ...; then halves are added. */
__global__ void __launch_bounds__(SCORE_THREADS)
    sum_scores_kernel(uint32_t rows, const backend_score *__restrict__ row_scores,
                      backend_score *__restrict__ score)
{
    __shared__ double losses[SCORE_THREADS];
    __shared__ uint64_t hits[SCORE_THREADS];
    const uint32_t i = threadIdx.x;
    double loss = 0.0;
    uint64_t correct = 0;
    for (uint32_t row = i; row < rows; row += SCORE_THREADS) {
        loss += row_scores[row].loss_sum;
        correct += row_scores[row].correct;
    }
    losses[i] = loss;
    hits[i] = correct;
    for (uint32_t half = SCORE_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (i < half) {
            losses[i] += losses[i + half];
            hits[i] += hits[i + half];
        }
    }
    if (i == 0) {
        score->loss_sum = losses[0];
        score->correct = hits[0];
    }
}

/* ---- sums of squares ---- */

static_assert(GRADIENT_LANES == ACROSS, "a lane of a warp for each partial sum");

__host__ __device__ __forceinline__ uint64_t blocks_of(uint64_t count)
{
    return (count + GRADIENT_BLOCK - 1) / GRADIENT_BLOCK;
}

/* Upper halves to lower halves; the sum is lane 0's. */
__device__ __forceinline__ double add_halves(double sum)
{
    for (uint32_t half = ACROSS / 2; half > 0; half /= 2)
        sum += __shfl_down_sync(0xffffffffu, sum, half);
    return sum;
}

/* A warp for each block of an array: partial (blocks of all arrays). */
__global__ void __launch_bounds__(ACROSS *MEASURE_WARPS)
    measure_kernel(kernel_arrays arrays, const float *__restrict__ values, double *__restrict__ partial)
{
    const uint32_t lane = threadIdx.x;
    const uint64_t warp = (uint64_t)blockIdx.x * MEASURE_WARPS + threadIdx.y;
    uint64_t block = warp;
    const float *at = values;
    uint32_t a = 0;
    for (; a < BACKEND_MEASURED_MAX && block >= blocks_of(arrays.counts[a]); a++) {
        block -= blocks_of(arrays.counts[a]);
        at += arrays.counts[a];
    }
    if (a == BACKEND_MEASURED_MAX) /* for all lanes of the warp alike */
        return;
    const uint64_t first = block * GRADIENT_BLOCK, left = arrays.counts[a] - first;
    const uint32_t count = left < GRADIENT_BLOCK ? (uint32_t)left : (uint32_t)GRADIENT_BLOCK;
    double sum = 0.0;
    for (uint32_t i = lane; i < count; i += ACROSS) {
        const float value = at[first + i];
        const double wide = fabsf(value) < FLT_MIN ? 0.0 : (double)value;
        sum += wide * wide;
    }
    sum = add_halves(sum);
    if (lane == 0)
        partial[warp] = sum;
}

/* One block, a warp for each array. */
__global__ void __launch_bounds__(ACROSS *BACKEND_MEASURED_MAX)
    sum_blocks_kernel(kernel_arrays arrays, const double *__restrict__ partial, double *__restrict__ squares)
{
    const uint32_t lane = threadIdx.x;
    const double *at = partial;
    for (uint32_t a = 0; a < threadIdx.y; a++)
        at += blocks_of(arrays.counts[a]);
    double sum = 0.0;
    for (uint64_t block = lane; block < blocks_of(arrays.counts[threadIdx.y]); block += ACROSS)
        sum += at[block];
    sum = add_halves(sum);
    if (lane == 0)
        squares[threadIdx.y] = sum;
}

uint64_t all_blocks(const kernel_arrays *arrays)
{
    uint64_t blocks = 0;
    for (uint64_t count : arrays->counts)
        blocks += blocks_of(count);
    return blocks;
}

/* ---- conversion ---- */

__global__ void __launch_bounds__(CONVERT_THREADS)
    to_bf16_kernel(size_t count, const float *__restrict__ from, __nv_bfloat16 *__restrict__ to)
{
    const size_t stride = (size_t)gridDim.x * CONVERT_THREADS;
    for (size_t i = (size_t)blockIdx.x * CONVERT_THREADS + threadIdx.x; i < count; i += stride)
        to[i] = __float2bfloat16(from[i]);
}

} // namespace

cudaError_t kernel_bias_activate(cudaStream_t stream, activation_kind kind, uint32_t rows, uint32_t columns,
                                 const float *bias, float *y)
{
    const uint32_t down = divide_up(rows, DOWN);
    const dim3 grid(divide_up(columns, ACROSS), down < GRID_DOWN_MAX ? down : GRID_DOWN_MAX);
    switch (kind) {
#define FORWARD_CASE(name, text) \
    case name:                   \
        return launch(stream, grid, dim3(ACROSS, DOWN), forward_kernel<name>, rows, columns, bias, y);
        ACTIVATION_LIST(FORWARD_CASE)
#undef FORWARD_CASE
    }
    return cudaErrorInvalidValue;
}

size_t kernel_partial_bytes(uint32_t rows, uint32_t columns)
{
    return (size_t)divide_up(rows, chunk_rows_of(rows)) * columns * sizeof(float);
}

cudaError_t kernel_activate_backward(cudaStream_t stream, activation_kind kind, uint32_t rows,
                                     uint32_t columns, const float *y, float *dy, float *partial,
                                     float *dbias)
{
    const uint32_t chunk_rows = chunk_rows_of(rows), chunks = divide_up(rows, chunk_rows);
    const dim3 grid(divide_up(columns, ACROSS), chunks);
    float *const sums = chunks == 1 ? dbias : partial;
    cudaError_t result = cudaErrorInvalidValue;
    switch (kind) {
#define BACKWARD_CASE(name, text)                                                                           \
    case name:                                                                                              \
        result = launch(stream, grid, dim3(ACROSS, DOWN), backward_kernel<name>, rows, columns, chunk_rows, \
                        y, dy, sums);                                                                       \
        break;
        ACTIVATION_LIST(BACKWARD_CASE)
#undef BACKWARD_CASE
    }
    if (result != cudaSuccess || chunks == 1)
        return result;
    return launch(stream, dim3(divide_up(columns, ACROSS * DOWN)), dim3(ACROSS * DOWN), column_sums_kernel,
                  chunks, columns, (const float *)partial, dbias);
}

size_t kernel_row_score_bytes(uint32_t rows)
{
    return (size_t)rows * sizeof(backend_score);
}

cudaError_t kernel_softmax(cudaStream_t stream, uint32_t rows, uint32_t classes, const uint32_t *labels,
                           float *logits, backend_score *row_scores, backend_score *score)
{
    const cudaError_t result = launch(stream, dim3(divide_up(rows, SOFTMAX_ROWS)), dim3(ACROSS, SOFTMAX_ROWS),
                                      softmax_kernel, rows, classes, labels, logits, row_scores);
    return result == cudaSuccess ? kernel_sum_scores(stream, rows, row_scores, score) : result;
}

cudaError_t kernel_sum_scores(cudaStream_t stream, uint32_t rows, const backend_score *row_scores,
                              backend_score *score)
{
    return launch(stream, dim3(1), dim3(SCORE_THREADS), sum_scores_kernel, rows, row_scores, score);
}

size_t kernel_measure_bytes(const kernel_arrays *arrays)
{
    return (size_t)all_blocks(arrays) * sizeof(double);
}

cudaError_t kernel_measure(cudaStream_t stream, uint32_t count, const kernel_arrays *arrays,
                           const float *values, double *partial, double *squares)
{
    const uint64_t blocks = (all_blocks(arrays) + MEASURE_WARPS - 1) / MEASURE_WARPS;
    if (blocks == 0 || blocks > INT32_MAX)
        return cudaErrorInvalidValue;
    const cudaError_t result = launch(stream, dim3((uint32_t)blocks), dim3(ACROSS, MEASURE_WARPS),
                                      measure_kernel, *arrays, values, partial);
    if (result != cudaSuccess)
        return result;
    return launch(stream, dim3(1), dim3(ACROSS, count), sum_blocks_kernel, *arrays, (const double *)partial,
                  squares);
}

cudaError_t kernel_to_bf16(cudaStream_t stream, size_t count, const float *from, __nv_bfloat16 *to)
{
    const size_t blocks = count / CONVERT_THREADS + 1;
    return launch(stream, dim3(blocks < CONVERT_BLOCKS_MAX ? (uint32_t)blocks : CONVERT_BLOCKS_MAX),
                  dim3(CONVERT_THREADS), to_bf16_kernel, count, from, to);
}
