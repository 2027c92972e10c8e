/* mlp_layers.h - the layers of a perceptron, and where they lie in flat arrays. Private to worker/mlp*.c. */
#ifndef PENSTOCK_WORKER_MLP_LAYERS_H
#define PENSTOCK_WORKER_MLP_LAYERS_H

#include <stdint.h>

#include "worker/mlp.h"

typedef struct {
    uint32_t inputs;
    uint32_t outputs;
    activation_kind activation;
    uint64_t kernel; /* where its tensors start in the flat arrays: the kernel, and the bias right after it */
    uint64_t bias;
} mlp_layer;

/* Shape and activation of layer `l` of a checked configuration; `*next` moves on by its parameters. */
mlp_layer mlp_layer_of(const mlp_config *config, uint32_t l, uint64_t *next);

/* Layers, the output layer included. */
static inline uint32_t mlp_depth(const mlp_config *config)
{
    return config->hidden_count + 1;
}

/* Elements of a layer in the flat arrays: kernel and bias. */
static inline uint64_t mlp_layer_parameters(const mlp_layer *at)
{
    return at->bias + at->outputs - at->kernel;
}

#endif
