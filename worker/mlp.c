/* mlp.c - the perceptron as a sequence of backend operations, and its description.
 *
 * Forward keeps the output of every layer, since backward needs them for the kernels' gradients and the
 * activations' derivatives. Going back, the delta of a layer is dead once the one below it is known, so
 * two buffers serve all layers. Where device memory is not the host's, the caller's arrays have mirrors
 * on the device; else they are used in place. */
#include "worker/mlp.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    uint32_t inputs;
    uint32_t outputs;
    activation_kind activation;
    uint64_t kernel; /* where its tensors start in the flat arrays */
    uint64_t bias;
} layer;

/* Mirrors of the host arrays of a call; all NULL on a backend whose memory is the host's. */
typedef struct {
    float *weights;
    float *gradients;
    float *features;
    uint32_t *labels;
} mirrors;

struct mlp {
    backend *backend;
    uint32_t max_rows;
    uint32_t depth;      /* layers, the output layer included */
    uint64_t parameters; /* elements of a flat array */
    layer layers[MLP_LAYERS_MAX];
    float *outputs[MLP_LAYERS_MAX]; /* (max_rows x layers[l].outputs); the last: logits, then their delta */
    float *deltas[2];               /* (max_rows x widest hidden layer); NULL without hidden layers */
    mirrors device;
};

/* The arrays of one call, where the backend can read them. */
typedef struct {
    const float *weights;
    const float *features;
    const uint32_t *labels;
    uint32_t rows;
} batch;

static ps_status check_width(const char *what, uint32_t number, uint32_t width, uint32_t least,
                             ps_error *error)
{
    if (width >= least && width <= MLP_WIDTH_MAX)
        return PS_OK;
    if (number)
        return ps_fail(error, PS_EINVAL, "%s %u has %u units; choose %u to %d", what, number, width, least,
                       MLP_WIDTH_MAX);
    return ps_fail(error, PS_EINVAL, "the model has %u %s; choose %u to %d", width, what, least,
                   MLP_WIDTH_MAX);
}

ps_status mlp_check(const mlp_config *config, ps_error *error)
{
    ps_status status = check_width("inputs", 0, config->inputs, 1, error);
    if (status == PS_OK)
        status = check_width("classes", 0, config->classes, 2, error);
    if (status != PS_OK)
        return status;
    if (config->hidden_count > MLP_LAYERS_MAX - 1)
        return ps_fail(error, PS_EINVAL, "the model has %u hidden layers; choose at most %d",
                       config->hidden_count, MLP_LAYERS_MAX - 1);
    for (uint32_t i = 0; i < config->hidden_count; i++) {
        status = check_width("hidden layer", i + 1, config->hidden[i], 1, error);
        if (status != PS_OK)
            return status;
    }
    if (activation_name(config->activation)[0] == '?')
        return ps_fail(error, PS_EINVAL, "there is no activation number %d", (int)config->activation);
    return PS_OK;
}

static uint32_t depth_of(const mlp_config *config)
{
    return config->hidden_count + 1;
}

/* Shape and activation of layer `l` of a checked configuration; `*next` moves on by its parameters. */
static layer layer_of(const mlp_config *config, uint32_t l, uint64_t *next)
{
    bool last = l == config->hidden_count;
    layer described = {
        .inputs = l == 0 ? config->inputs : config->hidden[l - 1],
        .outputs = last ? config->classes : config->hidden[l],
        .activation = last ? ACTIVATION_NONE : config->activation,
        .kernel = *next,
    };
    described.bias = *next + (uint64_t)described.inputs * described.outputs;
    *next = described.bias + described.outputs;
    return described;
}

/* "dense1/kernel", ..., "output/bias" */
static void name_tensor(const mlp_config *config, uint32_t l, const char *part, char *name, size_t bytes)
{
    if (l == config->hidden_count)
        snprintf(name, bytes, "output/%s", part);
    else
        snprintf(name, bytes, "dense%u/%s", l + 1, part);
}

static void describe_layer(const mlp_config *config, uint32_t l, tensor *kernel, tensor *bias)
{
    uint64_t next = 0;
    layer shape = layer_of(config, l, &next);
    *kernel = (tensor){.rank = 2, .shape = {shape.inputs, shape.outputs}, .init = config->kernel_init};
    *bias = (tensor){.rank = 1, .shape = {shape.outputs}, .init = {.kind = INITIALIZER_ZEROS}};
    name_tensor(config, l, "kernel", kernel->name, sizeof kernel->name);
    name_tensor(config, l, "bias", bias->name, sizeof bias->name);
}

ps_status mlp_declare(const mlp_config *config, tensor_table *table, ps_error *error)
{
    ps_status status = mlp_check(config, error);
    for (uint32_t l = 0; status == PS_OK && l < depth_of(config); l++) {
        tensor kernel, bias;
        describe_layer(config, l, &kernel, &bias);
        status = tensor_table_add(table, &kernel, error);
        if (status == PS_OK)
            status = tensor_table_add(table, &bias, error);
    }
    return status;
}

/* Device memory for `elements` of 4 bytes, or NULL. */
static void *allocate(backend *b, uint64_t elements)
{
    if (elements > SIZE_MAX / sizeof(float))
        return NULL;
    return b->ops->allocate(b, (size_t)elements * sizeof(float));
}

static void release(backend *b, void *memory)
{
    if (memory)
        b->ops->release(b, memory);
}

static bool allocate_activations(mlp *m)
{
    uint32_t widest = 0;
    for (uint32_t l = 0; l < m->depth; l++) {
        m->outputs[l] = allocate(m->backend, (uint64_t)m->max_rows * m->layers[l].outputs);
        if (!m->outputs[l])
            return false;
        if (l + 1 < m->depth && m->layers[l].outputs > widest)
            widest = m->layers[l].outputs;
    }
    for (int i = 0; widest && i < 2; i++) {
        m->deltas[i] = allocate(m->backend, (uint64_t)m->max_rows * widest);
        if (!m->deltas[i])
            return false;
    }
    return true;
}

static bool allocate_mirrors(mlp *m)
{
    if (m->backend->ops->host_memory)
        return true;
    m->device.weights = allocate(m->backend, m->parameters);
    m->device.gradients = allocate(m->backend, m->parameters);
    m->device.features = allocate(m->backend, (uint64_t)m->max_rows * m->layers[0].inputs);
    m->device.labels = allocate(m->backend, m->max_rows);
    return m->device.weights && m->device.gradients && m->device.features && m->device.labels;
}

ps_status mlp_create(const mlp_config *config, backend *on, uint32_t max_rows, mlp **out, ps_error *error)
{
    *out = NULL;
    ps_status status = mlp_check(config, error);
    if (status != PS_OK)
        return status;
    if (max_rows == 0 || max_rows > MLP_ROWS_MAX)
        return ps_fail(error, PS_EINVAL, "a batch of %u rows is out of range; choose 1 to %d", max_rows,
                       MLP_ROWS_MAX);
    mlp *m = calloc(1, sizeof *m);
    if (!m)
        return ps_fail(error, PS_ENOMEM, "no memory for the model");
    m->backend = on;
    m->max_rows = max_rows;
    m->depth = depth_of(config);
    for (uint32_t l = 0; l < m->depth; l++)
        m->layers[l] = layer_of(config, l, &m->parameters);
    if (!allocate_activations(m) || !allocate_mirrors(m)) {
        mlp_destroy(&m);
        return ps_fail(error, PS_ENOMEM,
                       "no memory on '%s' for the model's activations at %u rows; choose a smaller batch",
                       on->ops->name, max_rows);
    }
    *out = m;
    return PS_OK;
}

void mlp_destroy(mlp **m)
{
    mlp *held = *m;
    *m = NULL;
    if (!held)
        return;
    for (uint32_t l = 0; l < held->depth; l++)
        release(held->backend, held->outputs[l]);
    release(held->backend, held->deltas[0]);
    release(held->backend, held->deltas[1]);
    release(held->backend, held->device.weights);
    release(held->backend, held->device.gradients);
    release(held->backend, held->device.features);
    release(held->backend, held->device.labels);
    free(held);
}

/* Makes the caller's batch readable by the backend; weights follow layer by layer. */
static ps_status stage(mlp *m, const float *weights, const float *features, const uint32_t *labels,
                       uint32_t rows, batch *staged)
{
    if (rows == 0 || rows > m->max_rows)
        return PS_EINVAL;
    *staged = (batch){.weights = weights, .features = features, .labels = labels, .rows = rows};
    backend *b = m->backend;
    if (b->ops->host_memory)
        return PS_OK;
    *staged = (batch){.weights = m->device.weights,
                      .features = m->device.features,
                      .labels = m->device.labels,
                      .rows = rows};
    size_t row_bytes = m->layers[0].inputs * sizeof *features;
    ps_status status = b->ops->upload(b, m->device.features, features, rows * row_bytes);
    if (status == PS_OK)
        status = b->ops->upload(b, m->device.labels, labels, rows * sizeof *labels);
    return status;
}

/* What layer `l` reads: the output of the one below, or the features. */
static const float *layer_input(const mlp *m, const batch *in, uint32_t l)
{
    return l == 0 ? in->features : m->outputs[l - 1];
}

/* Elements of a layer in the flat arrays: kernel and bias. */
static uint64_t layer_parameters(const layer *at)
{
    return at->bias + at->outputs - at->kernel;
}

/* Waits until the caller's weights of the layer are complete, and makes them readable by the backend. */
static ps_status stage_weights(mlp *m, uint32_t l, const float *weights, const mlp_hooks *hooks)
{
    backend *b = m->backend;
    const layer *at = &m->layers[l];
    ps_status status = hooks ? hooks->needed(hooks->context, l) : PS_OK;
    if (status != PS_OK || b->ops->host_memory)
        return status;
    return b->ops->upload(b, m->device.weights + at->kernel, weights + at->kernel,
                          layer_parameters(at) * sizeof *weights);
}

/* From features to loss at the caller's `weights`; leaves d loss / d logits in the last output. */
static ps_status forward(mlp *m, const batch *in, const float *weights, const mlp_hooks *hooks,
                         double *loss_sum, uint32_t *correct)
{
    backend *b = m->backend;
    for (uint32_t l = 0; l < m->depth; l++) {
        const layer *at = &m->layers[l];
        ps_status status = stage_weights(m, l, weights, hooks);
        if (status != PS_OK)
            return status;
        status = b->ops->gemm(b, 0, 0, in->rows, at->outputs, at->inputs, layer_input(m, in, l),
                              in->weights + at->kernel, m->outputs[l]);
        if (status == PS_OK)
            status = b->ops->bias_activate(b, at->activation, in->rows, at->outputs, in->weights + at->bias,
                                           m->outputs[l]);
        if (status != PS_OK)
            return status;
    }
    return b->ops->softmax_cross_entropy(b, in->rows, m->layers[m->depth - 1].outputs, in->labels,
                                         m->outputs[m->depth - 1], loss_sum, correct);
}

/* The gradient of layer `l` from the derivative of the loss by its output, which becomes, in place, that
 * by its input to the activation. */
static ps_status layer_gradient(mlp *m, const batch *in, uint32_t l, float *delta, float *gradients)
{
    backend *b = m->backend;
    const layer *at = &m->layers[l];
    ps_status status = b->ops->activate_backward(b, at->activation, in->rows, at->outputs, m->outputs[l],
                                                 delta, gradients + at->bias);
    if (status != PS_OK)
        return status;
    return b->ops->gemm(b, 1, 0, at->inputs, at->outputs, in->rows, layer_input(m, in, l), delta,
                        gradients + at->kernel);
}

/* The layer's gradient in the caller's array, complete. */
static ps_status fetch_gradient(mlp *m, const layer *at, float *gradients)
{
    backend *b = m->backend;
    if (b->ops->host_memory)
        return PS_OK;
    ps_status status = b->ops->download(b, gradients + at->kernel, m->device.gradients + at->kernel,
                                        layer_parameters(at) * sizeof *gradients);
    return status == PS_OK ? b->ops->synchronize(b) : status;
}

ps_status mlp_gradient(mlp *m, const float *weights, const float *features, const uint32_t *labels,
                       uint32_t rows, float *gradients, const mlp_hooks *hooks, double *loss_sum,
                       uint32_t *correct)
{
    backend *b = m->backend;
    batch in;
    ps_status status = stage(m, weights, features, labels, rows, &in);
    if (status == PS_OK)
        status = forward(m, &in, weights, hooks, loss_sum, correct);
    if (status != PS_OK)
        return status;
    float *into = b->ops->host_memory ? gradients : m->device.gradients;
    float *delta = m->outputs[m->depth - 1];
    for (uint32_t l = m->depth; l-- > 0;) {
        const layer *at = &m->layers[l];
        status = layer_gradient(m, &in, l, delta, into);
        if (status == PS_OK)
            status = fetch_gradient(m, at, gradients);
        /* Before the layer below is worked on: sending this one hides behind that. */
        if (status == PS_OK && hooks)
            status = hooks->done(hooks->context, l);
        if (status != PS_OK || l == 0)
            return status;
        float *below = m->deltas[l % 2];
        status = b->ops->gemm(b, 0, 1, rows, at->inputs, at->outputs, delta, in.weights + at->kernel, below);
        if (status != PS_OK)
            return status;
        delta = below;
    }
    return PS_OK;
}

ps_status mlp_evaluate(mlp *m, const float *weights, const float *features, const uint32_t *labels,
                       uint32_t rows, double *loss_sum, uint32_t *correct)
{
    batch in;
    ps_status status = stage(m, weights, features, labels, rows, &in);
    return status == PS_OK ? forward(m, &in, weights, NULL, loss_sum, correct) : status;
}

static void print_tensor(FILE *json, const tensor *t, const char *separator)
{
    fprintf(json, "%s{\"name\":\"%s\",\"shape\":[", separator, t->name);
    for (uint32_t i = 0; i < t->rank; i++)
        fprintf(json, "%s%" PRIu64, i ? "," : "", t->shape[i]);
    fputs("]}", json);
}

/* Names and numbers of our own alone go into the text: nothing in it needs escaping. */
char *mlp_describe(const mlp_config *config)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *json = open_memstream(&text, &bytes);
    if (!json)
        return NULL;
    fprintf(json, "{\"model\":\"mlp\",\"inputs\":%u,\"hidden\":[", config->inputs);
    for (uint32_t i = 0; i < config->hidden_count; i++)
        fprintf(json, "%s%u", i ? "," : "", config->hidden[i]);
    fprintf(json, "],\"classes\":%u,\"activation\":\"%s\",\"tensors\":[", config->classes,
            activation_name(config->activation));
    for (uint32_t l = 0; l < depth_of(config); l++) {
        tensor kernel, bias;
        describe_layer(config, l, &kernel, &bias);
        print_tensor(json, &kernel, l ? "," : "");
        print_tensor(json, &bias, ",");
    }
    fputs("]}", json);
    bool failed = ferror(json) != 0;
    if (fclose(json) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
