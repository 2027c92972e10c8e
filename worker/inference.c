/* inference.c - see inference.h. Layers write into two buffers in turn. */
#include "worker/inference.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

struct inference {
    const saved_model *model;
    backend *backend;
    float *between[2]; /* (INFERENCE_ROWS x widest hidden layer) */
};

ps_status inference_create(const saved_model *model, backend *on, inference **out, ps_error *error)
{
    assert(on->ops->host_memory);
    *out = NULL;
    inference *i = calloc(1, sizeof *i);
    if (!i)
        return ps_fail(error, PS_ENOMEM, "out of memory for the model");
    i->model = model;
    i->backend = on;
    uint32_t widest = 1;
    for (uint32_t l = 0; l < model->config.hidden_count; l++)
        if (model->config.hidden[l] > widest)
            widest = model->config.hidden[l];
    for (int b = 0; b < 2; b++) {
        i->between[b] = on->ops->allocate(on, (size_t)INFERENCE_ROWS * widest * sizeof(float));
        if (!i->between[b]) {
            inference_destroy(&i);
            return ps_fail(error, PS_ENOMEM, "out of memory for %d rows of the model's activations",
                           INFERENCE_ROWS);
        }
    }
    *out = i;
    return PS_OK;
}

void inference_destroy(inference **i)
{
    inference *held = *i;
    *i = NULL;
    if (!held)
        return;
    for (int b = 0; b < 2; b++)
        if (held->between[b])
            held->backend->ops->release(held->backend, held->between[b]);
    free(held);
}

ps_status inference_logits(inference *i, const float *features, uint32_t rows, float *logits)
{
    if (rows == 0 || rows > INFERENCE_ROWS)
        return PS_EINVAL;
    const mlp_config *config = &i->model->config;
    const float *weights = i->model->weights, *input = features;
    for (uint32_t l = 0; l <= config->hidden_count; l++) {
        const bool last = l == config->hidden_count;
        const tensor *kernel = &i->model->tensors.tensors[MLP_LAYER_TENSORS * l];
        const uint32_t inputs = (uint32_t)kernel->shape[0], outputs = (uint32_t)kernel->shape[1];
        const float *bias = weights + tensor_elements(kernel);
        float *output = last ? logits : i->between[l % 2];
        ps_status status = backend_layer(i->backend, last ? ACTIVATION_NONE : config->activation, rows,
                                         inputs, outputs, input, weights, bias, output);
        if (status != PS_OK)
            return status;
        weights = bias + outputs;
        input = output;
    }
    return PS_OK;
}

void inference_probabilities(const float *logits, uint32_t classes, double *probabilities)
{
    float largest = logits[0];
    for (uint32_t c = 1; c < classes; c++)
        largest = logits[c] > largest ? logits[c] : largest;
    double sum = 0;
    for (uint32_t c = 0; c < classes; c++)
        sum += probabilities[c] = exp((double)logits[c] - (double)largest);
    for (uint32_t c = 0; c < classes; c++)
        probabilities[c] /= sum;
}

static int by_value(const void *a, const void *b, void *context)
{
    const double *values = context;
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    if (values[left] > values[right])
        return -1;
    if (values[left] < values[right])
        return 1;
    return left < right ? -1 : left > right;
}

void inference_rank(const double *values, uint32_t classes, uint32_t *order)
{
    for (uint32_t c = 0; c < classes; c++)
        order[c] = c;
    qsort_r(order, classes, sizeof *order, by_value, (void *)(uintptr_t)values);
}
