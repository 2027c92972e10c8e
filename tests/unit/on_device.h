/* on_device.h - the operations of worker/backend.h on host arrays, whatever device they run on; for tests.
 *
 * Each call brings its arrays there, computes, and brings them back. PENSTOCK_TEST_DEVICE says where: cpu if
 * it is not set, else as --device of penstock-worker. */
#ifndef PENSTOCK_TESTS_ON_DEVICE_H
#define PENSTOCK_TESTS_ON_DEVICE_H

#include "worker/backend.h"

/* Setup and teardown of a group of tests whose state is a backend. A device that there is not is an error. */
int on_device_create(void **state);
int on_device_destroy(void **state);

ps_status on_device_gemm(backend *b, int transpose_a, int transpose_b, uint32_t m, uint32_t n, uint32_t k,
                         const float *left, const float *right, float *c);
ps_status on_device_bias_activate(backend *b, activation_kind kind, uint32_t rows, uint32_t columns,
                                  const float *bias, float *y);
ps_status on_device_layer(backend *b, activation_kind kind, uint32_t rows, uint32_t inputs, uint32_t outputs,
                          const float *x, const float *kernel, const float *bias, float *y);
ps_status on_device_activate_backward(backend *b, activation_kind kind, uint32_t rows, uint32_t columns,
                                      const float *y, float *dy, float *dbias);
ps_status on_device_softmax(backend *b, uint32_t rows, uint32_t classes, const uint32_t *labels,
                            float *logits, backend_score *score);
ps_status on_device_measure(backend *b, uint32_t tensors, const uint64_t *counts, const float *values,
                            double *squares);

#endif
