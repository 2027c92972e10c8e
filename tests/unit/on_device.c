/* on_device.c - see on_device.h. */
#include "tests/unit/on_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "worker/device.h"

int on_device_create(void **state)
{
    const char *name = getenv("PENSTOCK_TEST_DEVICE");
    device_wish wish = {.kind = DEVICE_CPU};
    device_choice chosen;
    ps_error error;
    backend *b;
    ps_status status = name ? device_parse(name, &wish, &error) : PS_OK;
    if (status == PS_OK)
        status = device_open(&wish, 0, 1, &b, &chosen, &error);
    if (status != PS_OK) {
        fprintf(stderr, "PENSTOCK_TEST_DEVICE: %s\n", error.text);
        return -1;
    }
    *state = b;
    return 0;
}

int on_device_destroy(void **state)
{
    backend *b = *state;
    b->ops->destroy(b);
    return 0;
}

/* The array there: itself with host memory. */
static void *bring(backend *b, const void *array, size_t bytes)
{
    if (b->ops->host_memory)
        return (void *)(uintptr_t)array;
    void *there = b->ops->allocate(b, bytes);
    assert_non_null(there);
    assert_int_equal(b->ops->upload(b, there, array, bytes), PS_OK);
    assert_int_equal(b->ops->synchronize(b), PS_OK);
    return there;
}

/* `array`: where to bring it back, or NULL. */
static void take_back(backend *b, void *there, void *array, size_t bytes)
{
    if (b->ops->host_memory)
        return;
    assert_int_equal(b->ops->synchronize(b), PS_OK);
    if (array)
        assert_int_equal(b->ops->download(b, array, there, bytes), PS_OK);
    assert_int_equal(b->ops->synchronize(b), PS_OK);
    b->ops->release(b, there);
}

ps_status on_device_gemm(backend *b, int transpose_a, int transpose_b, uint32_t m, uint32_t n, uint32_t k,
                         const float *left, const float *right, float *c)
{
    const size_t word = sizeof(float);
    float *there[] = {bring(b, left, word * m * k), bring(b, right, word * k * n), bring(b, c, word * m * n)};
    ps_status status = b->ops->gemm(b, transpose_a, transpose_b, m, n, k, there[0], there[1], there[2]);
    take_back(b, there[0], NULL, 0);
    take_back(b, there[1], NULL, 0);
    take_back(b, there[2], c, word * m * n);
    return status;
}

ps_status on_device_bias_activate(backend *b, activation_kind kind, uint32_t rows, uint32_t columns,
                                  const float *bias, float *y)
{
    const size_t word = sizeof(float);
    float *there[] = {bring(b, bias, word * columns), bring(b, y, word * rows * columns)};
    ps_status status = b->ops->bias_activate(b, kind, rows, columns, there[0], there[1]);
    take_back(b, there[0], NULL, 0);
    take_back(b, there[1], y, word * rows * columns);
    return status;
}

ps_status on_device_layer(backend *b, activation_kind kind, uint32_t rows, uint32_t inputs, uint32_t outputs,
                          const float *x, const float *kernel, const float *bias, float *y)
{
    const size_t word = sizeof(float), weights = (size_t)inputs * outputs;
    /* Kernel and bias behind each other, and after an element, as in a model: the arrays are not aligned. */
    float *flat = calloc(1 + weights + outputs, word);
    assert_non_null(flat);
    memcpy(flat + 1, kernel, weights * word);
    memcpy(flat + 1 + weights, bias, outputs * word);
    float *x_there = bring(b, x, word * rows * inputs);
    float *flat_there = bring(b, flat, word * (1 + weights + outputs));
    float *y_there = bring(b, y, word * rows * outputs);
    ps_status status = backend_layer(b, kind, rows, inputs, outputs, x_there, flat_there + 1,
                                     flat_there + 1 + weights, y_there);
    take_back(b, x_there, NULL, 0);
    take_back(b, flat_there, NULL, 0);
    take_back(b, y_there, y, word * rows * outputs);
    free(flat);
    return status;
}

ps_status on_device_activate_backward(backend *b, activation_kind kind, uint32_t rows, uint32_t columns,
                                      const float *y, float *dy, float *dbias)
{
    const size_t word = sizeof(float);
    float *there[] = {bring(b, y, word * rows * columns), bring(b, dy, word * rows * columns),
                      bring(b, dbias, word * columns)};
    ps_status status = b->ops->activate_backward(b, kind, rows, columns, there[0], there[1], there[2]);
    take_back(b, there[0], NULL, 0);
    take_back(b, there[1], dy, word * rows * columns);
    take_back(b, there[2], dbias, word * columns);
    return status;
}

ps_status on_device_softmax(backend *b, uint32_t rows, uint32_t classes, const uint32_t *labels,
                            float *logits, backend_score *score)
{
    const size_t word = sizeof(float);
    uint32_t *labels_there = bring(b, labels, word * rows);
    float *logits_there = bring(b, logits, word * rows * classes);
    backend_score *score_there = bring(b, score, sizeof *score);
    ps_status status =
        b->ops->softmax_cross_entropy(b, rows, classes, labels_there, logits_there, score_there);
    take_back(b, labels_there, NULL, 0);
    take_back(b, logits_there, logits, word * rows * classes);
    take_back(b, score_there, score, sizeof *score);
    return status;
}

ps_status on_device_measure(backend *b, uint32_t tensors, const uint64_t *counts, const float *values,
                            double *squares)
{
    uint64_t elements = 0;
    for (uint32_t t = 0; t < tensors; t++)
        elements += counts[t];
    float *values_there = bring(b, values, elements * sizeof *values);
    double *squares_there = bring(b, squares, tensors * sizeof *squares);
    ps_status status = b->ops->measure(b, tensors, counts, values_there, squares_there);
    take_back(b, values_there, NULL, 0);
    take_back(b, squares_there, squares, tensors * sizeof *squares);
    return status;
}
