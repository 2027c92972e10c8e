/* backend_cuda_kernels.cuh - what of a step is not a product of matrices, as kernels.
 *
 * Each function enqueues on `stream` and returns at once, with CUDA's word on the launch alone. All arrays
 * are the device's, row-major and dense. Every sum is made in an order that follows from the shape alone,
 * without atomics: the same input gives the same bits. NaN goes through, as in backend_cpu.c. */
#ifndef PENSTOCK_WORKER_BACKEND_CUDA_KERNELS_CUH
#define PENSTOCK_WORKER_BACKEND_CUDA_KERNELS_CUH

#include <stddef.h>
#include <stdint.h>

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "worker/backend.h"

/* y (rows x columns) = activation(y + bias); bias (columns). */
cudaError_t kernel_bias_activate(cudaStream_t stream, activation_kind kind, uint32_t rows, uint32_t columns,
                                 const float *bias, float *y);

/* Bytes that kernel_activate_backward takes for `partial`. */
size_t kernel_partial_bytes(uint32_t rows, uint32_t columns);

/* dy (rows x columns) *= activation'(.) by its output y; dbias (columns) = the column sums of that. */
cudaError_t kernel_activate_backward(cudaStream_t stream, activation_kind kind, uint32_t rows,
                                     uint32_t columns, const float *y, float *dy, float *partial,
                                     float *dbias);

/* Bytes that kernel_softmax takes for `row_scores`, one for each row. */
size_t kernel_row_score_bytes(uint32_t rows);

/* logits (rows x classes) become the gradient of the mean loss over rows; labels (rows). A label that is no
 * class makes NaN of its row and of the loss. */
cudaError_t kernel_softmax(cudaStream_t stream, uint32_t rows, uint32_t classes, const uint32_t *labels,
                           float *logits, backend_score *row_scores, backend_score *score);

/* The sum of `rows` scores, first to last. */
cudaError_t kernel_sum_scores(cudaStream_t stream, uint32_t rows, const backend_score *row_scores,
                              backend_score *score);

/* Arrays that lie one after the other. */
typedef struct {
    uint64_t counts[BACKEND_MEASURED_MAX]; /* elements; 0: no such array */
} kernel_arrays;

/* Bytes that kernel_measure takes for `partial`. */
size_t kernel_measure_bytes(const kernel_arrays *arrays);

/* squares: a sum of squares for each of the first `count` arrays, by blocks and lanes of common/gradient.h.
 */
cudaError_t kernel_measure(cudaStream_t stream, uint32_t count, const kernel_arrays *arrays,
                           const float *values, double *partial, double *squares);

/* Rounded to nearest, ties to even. */
cudaError_t kernel_to_bf16(cudaStream_t stream, size_t count, const float *from, __nv_bfloat16 *to);

#endif
