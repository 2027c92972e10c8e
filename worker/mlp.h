/* mlp.h - a multilayer perceptron of any depth and width, forward and backward, on any backend.
 *
 * Layer l computes y_l = activation(y_{l-1} K_l + b_l); the last has no activation and feeds softmax
 * cross-entropy. Kernels are stored in x out. Weights and gradients live in two flat host arrays laid out
 * by the tensor table (K_1, b_1, K_2, b_2, ...), so that the session can push and pull slices of them
 * in place. The model owns activations, nothing else. */
#ifndef PENSTOCK_WORKER_MLP_H
#define PENSTOCK_WORKER_MLP_H

#include <stdint.h>

#include "common/status.h"
#include "common/tensor.h"
#include "worker/backend.h"

enum {
    MLP_LAYERS_MAX = 64,
    MLP_WIDTH_MAX = 1 << 20,
    MLP_ROWS_MAX = 1 << 24, /* of a batch */
};

typedef struct {
    uint32_t inputs;
    uint32_t hidden[MLP_LAYERS_MAX - 1];
    uint32_t hidden_count; /* 0: softmax regression */
    uint32_t classes;
    activation_kind activation;
    initializer kernel_init; /* biases start at zero */
} mlp_config;

/* PS_EINVAL names what is out of range. */
ps_status mlp_check(const mlp_config *config, ps_error *error);

/* Appends the model's tensors: "dense1/kernel" (inputs x hidden[0]), "dense1/bias" (hidden[0]), ...,
 * "output/kernel", "output/bias". PS_EINVAL as mlp_check, and what tensor_table_add refuses; then the table
 * may hold a part of the model. */
ps_status mlp_declare(const mlp_config *config, tensor_table *table, ps_error *error);

typedef struct mlp mlp;

/* Room for batches of up to `max_rows`. The backend is borrowed and outlives the model. PS_EINVAL for what
 * mlp_check refuses and for 0 or too many rows; PS_ENOMEM says what is needed, and which batch would fit. */
ps_status mlp_create(const mlp_config *config, backend *on, uint32_t max_rows, mlp **out, ps_error *error);
void mlp_destroy(mlp **m);

/* Where it computes. */
backend *mlp_backend(const mlp *m);

enum { MLP_LAYER_TENSORS = 2 }; /* layer l has the tensors from number 2 l on: kernel and bias */

/* What goes on beside a batch: weights may still be coming in, and gradients leave as they are complete. */
typedef struct {
    /* Before weights of this layer are first read; first layer first. Waits for them. */
    ps_status (*needed)(void *context, uint32_t layer);
    /* The layer's gradient is complete in the host array; last layer first. `squares`: (MLP_LAYER_TENSORS)
     * the sum of squares of each of its tensors, as common/gradient.h has it; NULL: look yourself. */
    ps_status (*done)(void *context, uint32_t layer, const double *squares);
    /* All is enqueued, and the device is at work: time for something else, such as mlp_bring of the next
     * batch. May be NULL; is not called where the host computes. */
    ps_status (*meanwhile)(void *context);
    void *context;
} mlp_hooks;

/* Begins to bring a batch to the device, beside what computes there: the next that mlp_gradient is called
 * with, by the same arrays, which must not change until it returns. What was brought before and has not been
 * used is forgotten. Nothing to do where the host computes. Fails as mlp_gradient does. */
ps_status mlp_bring(mlp *m, const float *features, const uint32_t *labels, uint32_t rows);

/* One batch: loss and gradient (mean over rows) at `weights`.
 * features: (rows x inputs) f32; labels: (rows); weights, gradients: flat arrays laid out by the table.
 * `hooks` may be NULL; once the last layer has been needed, gradients are written. When it returns, also with
 * an error, no array is read or written any more. PS_EINVAL for 0 or more than `max_rows` rows, and for a
 * label that is no class; what a hook fails with; what the backend fails with (backend_failure). */
ps_status mlp_gradient(mlp *m, const float *weights, const float *features, const uint32_t *labels,
                       uint32_t rows, float *gradients, const mlp_hooks *hooks, double *loss_sum,
                       uint32_t *correct);

/* Forward only: summed loss and number of correct rows. Fails as mlp_gradient does. */
ps_status mlp_evaluate(mlp *m, const float *weights, const float *features, const uint32_t *labels,
                       uint32_t rows, double *loss_sum, uint32_t *correct);

/* The architecture of a checked configuration as JSON text (malloc'd, the caller frees): inputs, hidden,
 * classes, activation, tensor names and shapes. NULL if out of memory. */
char *mlp_describe(const mlp_config *config);

#endif
