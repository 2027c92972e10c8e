/* mlp.c - the perceptron as a sequence of backend operations.
 *
 * Forward keeps the output of every layer, since backward needs them for the kernels' gradients and the
 * activations' derivatives. Going back, the delta of a layer is dead once the one below it is known, so
 * two buffers serve all layers.
 *
 * Where device memory is the host's, the caller's arrays are used in place. Else they have mirrors on the
 * device, and a batch is enqueued whole, without waiting for the device: layer by layer, as weights come in,
 * they go up and what needs them follows; each layer's gradient comes down while the next one is computed.
 * Then it is waited for layer by layer; the first layer's gradient is the last thing to be computed. What
 * follows the last layer's weights is the larger part, and is given to the device as one (worker/replay.h).
 * So between two calls the device is at rest, but for a batch on its way to it: batches have two places
 * there, and one goes up while the other is computed on. */
#include "worker/mlp.h"

#include <stdbool.h>

#include "worker/mlp_state.h"

backend *mlp_backend(const mlp *m)
{
    return m->backend;
}

/* ---- between host and device ---- */

/* What `to` is given from now on comes after all that `from` has been given. */
static ps_status hand_on(mlp *m, backend_queue from, backend_queue to)
{
    ps_status status = backend_record(m->backend, from, m->device.turn);
    return status == PS_OK ? backend_follow(m->backend, to, m->device.turn) : status;
}

static ps_status bring_batch(mlp *m, const place *to, const batch *given)
{
    backend *b = m->backend;
    const uint32_t classes = m->layers[m->depth - 1].outputs;
    for (uint32_t r = 0; r < given->rows; r++)
        if (given->labels[r] >= classes)
            return PS_EINVAL;
    const size_t row_bytes = m->layers[0].inputs * sizeof *given->features;
    ps_status status = b->ops->upload(b, to->features, given->features, given->rows * row_bytes);
    if (status == PS_OK)
        status = b->ops->upload(b, to->labels, given->labels, given->rows * sizeof *given->labels);
    return status;
}

static bool has_room(const mlp *m, uint32_t rows)
{
    return rows > 0 && rows <= m->max_rows;
}

ps_status mlp_bring(mlp *m, const float *features, const uint32_t *labels, uint32_t rows)
{
    if (!has_room(m, rows))
        return PS_EINVAL;
    if (m->backend->ops->host_memory)
        return PS_OK;
    const batch given = {.features = features, .labels = labels, .rows = rows};
    m->ahead = (batch){0};
    ps_status status = bring_batch(m, &m->device.places[!m->current], &given);
    if (status == PS_OK)
        m->ahead = given;
    return status;
}

static bool same_batch(const batch *a, const batch *b)
{
    return a->features == b->features && a->labels == b->labels && a->rows == b->rows;
}

/* Makes the caller's batch readable by the backend: as `staged`. */
static ps_status stage(mlp *m, const batch *given, bool may_be_ahead, batch *staged)
{
    if (!has_room(m, given->rows))
        return PS_EINVAL;
    *staged = *given;
    if (m->backend->ops->host_memory)
        return PS_OK;
    ps_status status = PS_OK;
    if (may_be_ahead && same_batch(&m->ahead, given)) {
        m->current = !m->current;
        m->ahead = (batch){0};
    } else {
        status = bring_batch(m, &m->device.places[m->current], given);
    }
    const place *at = &m->device.places[m->current];
    *staged = (batch){.features = at->features, .labels = at->labels, .rows = given->rows};
    return status;
}

/* What layer `l` reads: the output of the one below, or the features. */
static const float *layer_input(const mlp *m, const batch *in, uint32_t l)
{
    return l == 0 ? in->features : m->outputs[l - 1];
}

static const float *weights_at(const mlp *m, const float *weights)
{
    return m->backend->ops->host_memory ? weights : m->device.weights;
}

/* Waits until the caller's weights of the layer are complete, and makes them readable by the backend, with
 * all that was brought there before. */
static ps_status stage_weights(mlp *m, uint32_t l, const float *weights, const mlp_hooks *hooks)
{
    backend *b = m->backend;
    const mlp_layer *at = &m->layers[l];
    ps_status status = hooks ? hooks->needed(hooks->context, l) : PS_OK;
    if (status != PS_OK || b->ops->host_memory)
        return status;
    status = b->ops->upload(b, m->device.weights + at->kernel, weights + at->kernel,
                            mlp_layer_parameters(at) * sizeof *weights);
    return status == PS_OK ? hand_on(m, QUEUE_UPLOAD, QUEUE_COMPUTE) : status;
}

/* The score begins its way to the host, ahead of all gradients. */
static ps_status fetch_score(mlp *m)
{
    backend *b = m->backend;
    if (b->ops->host_memory)
        return PS_OK;
    ps_status status = hand_on(m, QUEUE_COMPUTE, QUEUE_DOWNLOAD);
    return status == PS_OK ? b->ops->download(b, m->score, m->device.score, sizeof *m->score) : status;
}

/* The layer's gradient begins its way into the caller's array, with what it measures. */
static ps_status fetch_gradient(mlp *m, uint32_t l, float *gradients)
{
    backend *b = m->backend;
    const mirrors *d = &m->device;
    const mlp_layer *at = &m->layers[l];
    const uint64_t counts[MLP_LAYER_TENSORS] = {at->bias - at->kernel, at->outputs};
    const uint32_t first = l * MLP_LAYER_TENSORS;
    ps_status status = PS_OK;
    if (d->squares)
        status = b->ops->measure(b, MLP_LAYER_TENSORS, counts, d->gradients + at->kernel, d->squares + first);
    if (status == PS_OK)
        status = hand_on(m, QUEUE_COMPUTE, QUEUE_DOWNLOAD);
    if (status == PS_OK)
        status = b->ops->download(b, gradients + at->kernel, d->gradients + at->kernel,
                                  mlp_layer_parameters(at) * sizeof *gradients);
    if (status == PS_OK && d->squares)
        status = b->ops->download(b, m->squares + first, d->squares + first,
                                  MLP_LAYER_TENSORS * sizeof *m->squares);
    return status == PS_OK ? backend_announce(b, QUEUE_DOWNLOAD, d->arrived[l]) : status;
}

/* ---- the batch ---- */

/* The output of layer `l`, whose weights are readable. */
static ps_status compute_layer(mlp *m, const batch *in, uint32_t l, const float *weights)
{
    const mlp_layer *at = &m->layers[l];
    const float *from = weights_at(m, weights);
    return backend_layer(m->backend, at->activation, in->rows, at->inputs, at->outputs, layer_input(m, in, l),
                         from + at->kernel, from + at->bias, m->outputs[l]);
}

/* From features to the output of layer `layers` - 1, at `weights`, which are the caller's. */
static ps_status forward(mlp *m, const batch *in, uint32_t layers, const float *weights,
                         const mlp_hooks *hooks)
{
    ps_status status = PS_OK;
    for (uint32_t l = 0; l < layers && status == PS_OK; l++) {
        status = stage_weights(m, l, weights, hooks);
        if (status == PS_OK)
            status = compute_layer(m, in, l, weights);
    }
    return status;
}

/* The score from the logits; leaves d loss / d logits in their place. */
static ps_status score(mlp *m, const batch *in)
{
    backend *b = m->backend;
    const uint32_t last = m->depth - 1;
    backend_score *into = b->ops->host_memory ? m->score : m->device.score;
    ps_status status = b->ops->softmax_cross_entropy(b, in->rows, m->layers[last].outputs, in->labels,
                                                     m->outputs[last], into);
    return status == PS_OK ? fetch_score(m) : status;
}

/* The gradient of layer `l` from the derivative of the loss by its output, which becomes, in place, that
 * by its input to the activation. */
static ps_status layer_gradient(mlp *m, const batch *in, uint32_t l, float *delta, float *gradients)
{
    backend *b = m->backend;
    const mlp_layer *at = &m->layers[l];
    ps_status status = b->ops->activate_backward(b, at->activation, in->rows, at->outputs, m->outputs[l],
                                                 delta, gradients + at->bias);
    if (status != PS_OK)
        return status;
    return b->ops->gemm(b, 1, 0, at->inputs, at->outputs, in->rows, layer_input(m, in, l), delta,
                        gradients + at->kernel);
}

/* The gradient of layer `l` is computed, or will be: it goes to the caller. */
static ps_status give(mlp *m, uint32_t l, float *gradients, const mlp_hooks *hooks)
{
    if (!m->backend->ops->host_memory)
        return fetch_gradient(m, l, gradients);
    /* Before the layer below is worked on: sending this one hides behind that. */
    return hooks ? hooks->done(hooks->context, l, NULL) : PS_OK;
}

static ps_status backward(mlp *m, const batch *in, const float *weights, float *gradients,
                          const mlp_hooks *hooks)
{
    backend *b = m->backend;
    const float *from = weights_at(m, weights);
    float *into = b->ops->host_memory ? gradients : m->device.gradients;
    float *delta = m->outputs[m->depth - 1];
    for (uint32_t l = m->depth; l-- > 0;) {
        const mlp_layer *at = &m->layers[l];
        ps_status status = layer_gradient(m, in, l, delta, into);
        if (status == PS_OK)
            status = give(m, l, gradients, hooks);
        if (status != PS_OK || l == 0)
            return status;
        float *below = m->deltas[l % 2];
        status = b->ops->gemm(b, 0, 1, in->rows, at->inputs, at->outputs, delta, from + at->kernel, below);
        if (status != PS_OK)
            return status;
        delta = below;
    }
    return PS_OK;
}

typedef struct {
    mlp *m;
    const batch *in;
    const float *weights;
    float *gradients;
    const mlp_hooks *hooks;
} rest;

/* What of a step is left when all weights are there: the last layer's output, the score, all gradients. The
 * host waits for nothing in it. */
static ps_status compute_rest(void *context)
{
    const rest *r = context;
    ps_status status = compute_layer(r->m, r->in, r->m->depth - 1, r->weights);
    if (status == PS_OK)
        status = score(r->m, r->in);
    return status == PS_OK ? backward(r->m, r->in, r->weights, r->gradients, r->hooks) : status;
}

/* All is enqueued: hands out the gradients as they arrive, last layer first. */
static ps_status await_gradients(mlp *m, const mlp_hooks *hooks)
{
    if (m->backend->ops->host_memory)
        return PS_OK;
    ps_status status = hooks && hooks->meanwhile ? hooks->meanwhile(hooks->context) : PS_OK;
    for (uint32_t l = m->depth; l-- > 0 && status == PS_OK;) {
        status = backend_await(m->backend, m->device.arrived[l]);
        if (status == PS_OK && hooks)
            status = hooks->done(hooks->context, l, m->squares ? m->squares + l * MLP_LAYER_TENSORS : NULL);
    }
    return status;
}

/* Of a batch that has failed nothing may go on behind the caller's back. */
static ps_status settle(mlp *m, ps_status status, double *loss_sum, uint32_t *correct)
{
    backend *b = m->backend;
    if (status != PS_OK) {
        b->ops->synchronize(b);
        return status;
    }
    *loss_sum = m->score->loss_sum;
    *correct = (uint32_t)m->score->correct;
    return PS_OK;
}

ps_status mlp_gradient(mlp *m, const float *weights, const float *features, const uint32_t *labels,
                       uint32_t rows, float *gradients, const mlp_hooks *hooks, double *loss_sum,
                       uint32_t *correct)
{
    const batch given = {.features = features, .labels = labels, .rows = rows};
    batch in;
    const uint32_t last = m->depth - 1;
    ps_status status = stage(m, &given, true, &in);
    if (status == PS_OK)
        status = forward(m, &in, last, weights, hooks);
    if (status == PS_OK)
        status = stage_weights(m, last, weights, hooks);
    if (status == PS_OK) {
        rest r = {.m = m, .in = &in, .weights = weights, .gradients = gradients, .hooks = hooks};
        const replay_shape shape = {.rows = rows, .array = gradients};
        status = replay_run(&m->rest, m->current, &shape, compute_rest, &r);
    }
    if (status == PS_OK)
        status = await_gradients(m, hooks);
    return settle(m, status, loss_sum, correct);
}

ps_status mlp_evaluate(mlp *m, const float *weights, const float *features, const uint32_t *labels,
                       uint32_t rows, double *loss_sum, uint32_t *correct)
{
    const batch given = {.features = features, .labels = labels, .rows = rows};
    batch in;
    ps_status status = stage(m, &given, false, &in);
    if (status == PS_OK)
        status = forward(m, &in, m->depth, weights, NULL);
    if (status == PS_OK)
        status = score(m, &in);
    if (status == PS_OK)
        status = m->backend->ops->synchronize(m->backend);
    return settle(m, status, loss_sum, correct);
}
