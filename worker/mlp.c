/* mlp.c - the perceptron as a sequence of backend operations.
 *
 * Forward keeps the output of every layer, since backward needs them for the kernels' gradients and the
 * activations' derivatives. Going back, the delta of a layer is dead once the one below it is known, so
 * two buffers serve all layers.
 *
 * Where device memory is the host's, the caller's arrays are used in place. Else they have mirrors on the
 * device, and a batch is enqueued whole, without waiting for the device: layer by layer, as weights come in,
 * they go up and what needs them follows; each layer's gradient comes down while the next one is computed.
 * Then it is waited for layer by layer; the first layer's gradient is the last thing to be computed. So
 * between two calls the device is at rest, but for a batch on its way to it: batches have two places there,
 * and one goes up while the other is computed on. */
#include "worker/mlp.h"

#include <stdbool.h>
#include <stdlib.h>

#include "worker/mlp_layers.h"

enum { BATCH_PLACES = 2 };

/* A batch on the device. */
typedef struct {
    float *features;
    uint32_t *labels;
} place;

/* The arrays of a call, as the caller named them. */
typedef struct {
    const float *features;
    const uint32_t *labels;
    uint32_t rows;
} batch;

/* Mirrors of the host arrays of a call; all NULL on a backend whose memory is the host's. */
typedef struct {
    float *weights;
    float *gradients;
    place places[BATCH_PLACES];
    backend_score *score;
    backend_mark *turn;                    /* hands on from queue to queue */
    backend_mark *arrived[MLP_LAYERS_MAX]; /* the layer's gradient, on the host */
} mirrors;

struct mlp {
    backend *backend;
    uint32_t max_rows;
    uint32_t depth;      /* layers, the output layer included */
    uint64_t parameters; /* elements of a flat array */
    mlp_layer layers[MLP_LAYERS_MAX];
    float *outputs[MLP_LAYERS_MAX]; /* (max_rows x layers[l].outputs); the last: logits, then their delta */
    float *deltas[2];               /* (max_rows x widest hidden layer); NULL without hidden layers */
    backend_score *score;           /* on the host */
    mirrors device;
    uint32_t current; /* place of the batch that is computed on */
    batch ahead;      /* what has been brought to the other place; no rows: nothing */
};

/* ---- memory ---- */

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

static uint32_t widest_hidden(const mlp *m)
{
    uint32_t widest = 0;
    for (uint32_t l = 0; l + 1 < m->depth; l++)
        if (m->layers[l].outputs > widest)
            widest = m->layers[l].outputs;
    return widest;
}

static bool allocate_activations(mlp *m)
{
    const uint32_t widest = widest_hidden(m);
    for (uint32_t l = 0; l < m->depth; l++) {
        m->outputs[l] = allocate(m->backend, (uint64_t)m->max_rows * m->layers[l].outputs);
        if (!m->outputs[l])
            return false;
    }
    for (int i = 0; widest && i < 2; i++) {
        m->deltas[i] = allocate(m->backend, (uint64_t)m->max_rows * widest);
        if (!m->deltas[i])
            return false;
    }
    m->score = backend_allocate_host(m->backend, sizeof *m->score);
    return m->score != NULL;
}

static bool allocate_place(mlp *m, place *p)
{
    p->features = allocate(m->backend, (uint64_t)m->max_rows * m->layers[0].inputs);
    p->labels = allocate(m->backend, m->max_rows);
    return p->features && p->labels;
}

static bool allocate_mirrors(mlp *m)
{
    backend *b = m->backend;
    mirrors *d = &m->device;
    if (b->ops->host_memory)
        return true;
    d->weights = allocate(b, m->parameters);
    d->gradients = allocate(b, m->parameters);
    d->score = b->ops->allocate(b, sizeof *d->score);
    if (!d->weights || !d->gradients || !d->score || backend_mark_create(b, &d->turn) != PS_OK)
        return false;
    for (int i = 0; i < BATCH_PLACES; i++)
        if (!allocate_place(m, &d->places[i]))
            return false;
    for (uint32_t l = 0; l < m->depth; l++)
        if (backend_mark_create(b, &d->arrived[l]) != PS_OK)
            return false;
    return true;
}

/* Device memory of a row of a batch, and what is needed besides, in bytes; as allocated above. */
static uint64_t bytes_per_row(const mlp *m)
{
    uint64_t elements = 2 * (uint64_t)widest_hidden(m);
    for (uint32_t l = 0; l < m->depth; l++)
        elements += m->layers[l].outputs;
    if (!m->backend->ops->host_memory)
        elements += BATCH_PLACES * ((uint64_t)m->layers[0].inputs + 1);
    return elements * sizeof(float);
}

/* `available`: bytes before anything was allocated; 0: not known. */
static ps_status refuse_rows(const mlp *m, size_t available, ps_error *error)
{
    const backend_ops *ops = m->backend->ops;
    const uint64_t row = bytes_per_row(m);
    const uint64_t fixed = ops->host_memory ? 0 : 2 * m->parameters * sizeof(float);
    const double mib = 1 << 20;
    const double asked = ((double)row * m->max_rows + (double)fixed) / mib;
    if (!available)
        return ps_fail(
            error, PS_ENOMEM,
            "no memory on '%s' for the model's activations at %u rows (%.1f MiB); choose a smaller batch",
            ops->name, m->max_rows, asked);
    /* An eighth stays for what the backend sets down beside it. */
    const uint64_t usable = available - available / 8;
    const uint64_t rows = usable > fixed ? (usable - fixed) / row : 0;
    if (rows == 0)
        return ps_fail(
            error, PS_ENOMEM,
            "no memory on '%s' for the model: %.1f MiB are needed at %u rows, %.1f MiB are free, and "
            "no batch fits",
            ops->name, asked, m->max_rows, (double)available / mib);
    return ps_fail(error, PS_ENOMEM,
                   "no memory on '%s' for a batch of %u rows: %.1f MiB are needed, %.1f MiB are free; "
                   "%llu rows would fit",
                   ops->name, m->max_rows, asked, (double)available / mib, (unsigned long long)rows);
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
    m->depth = mlp_depth(config);
    for (uint32_t l = 0; l < m->depth; l++)
        m->layers[l] = mlp_layer_of(config, l, &m->parameters);
    size_t available = 0;
    if (on->ops->free_bytes)
        status = on->ops->free_bytes(on, &available);
    if (status != PS_OK) {
        ps_fail(error, status, "%s", backend_failure(on, status));
        mlp_destroy(&m);
        return status;
    }
    if (!allocate_activations(m) || !allocate_mirrors(m)) {
        status = refuse_rows(m, available, error);
        mlp_destroy(&m);
        return status;
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
    backend *b = held->backend;
    mirrors *d = &held->device;
    b->ops->synchronize(b); /* of what failed, nothing else may still be under way */
    for (uint32_t l = 0; l < held->depth; l++) {
        release(b, held->outputs[l]);
        backend_mark_destroy(b, &d->arrived[l]);
    }
    for (int i = 0; i < BATCH_PLACES; i++) {
        release(b, d->places[i].features);
        release(b, d->places[i].labels);
    }
    release(b, held->deltas[0]);
    release(b, held->deltas[1]);
    release(b, d->weights);
    release(b, d->gradients);
    release(b, d->score);
    backend_mark_destroy(b, &d->turn);
    backend_release_host(b, held->score);
    free(held);
}

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

/* The layer's gradient begins its way into the caller's array. */
static ps_status fetch_gradient(mlp *m, uint32_t l, float *gradients)
{
    backend *b = m->backend;
    const mlp_layer *at = &m->layers[l];
    ps_status status = hand_on(m, QUEUE_COMPUTE, QUEUE_DOWNLOAD);
    if (status == PS_OK)
        status = b->ops->download(b, gradients + at->kernel, m->device.gradients + at->kernel,
                                  mlp_layer_parameters(at) * sizeof *gradients);
    return status == PS_OK ? backend_record(b, QUEUE_DOWNLOAD, m->device.arrived[l]) : status;
}

/* ---- the batch ---- */

/* From features to the score at `weights`, which are the caller's; leaves d loss / d logits in the last
 * output. */
static ps_status forward(mlp *m, const batch *in, const float *weights, const mlp_hooks *hooks)
{
    backend *b = m->backend;
    for (uint32_t l = 0; l < m->depth; l++) {
        const mlp_layer *at = &m->layers[l];
        const float *from = weights_at(m, weights);
        ps_status status = stage_weights(m, l, weights, hooks);
        if (status == PS_OK)
            status = b->ops->gemm(b, 0, 0, in->rows, at->outputs, at->inputs, layer_input(m, in, l),
                                  from + at->kernel, m->outputs[l]);
        if (status == PS_OK)
            status = b->ops->bias_activate(b, at->activation, in->rows, at->outputs, from + at->bias,
                                           m->outputs[l]);
        if (status != PS_OK)
            return status;
    }
    backend_score *score = b->ops->host_memory ? m->score : m->device.score;
    ps_status status = b->ops->softmax_cross_entropy(b, in->rows, m->layers[m->depth - 1].outputs, in->labels,
                                                     m->outputs[m->depth - 1], score);
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
    return hooks ? hooks->done(hooks->context, l) : PS_OK;
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

/* All is enqueued: hands out the gradients as they arrive, last layer first. */
static ps_status await_gradients(mlp *m, const mlp_hooks *hooks)
{
    if (m->backend->ops->host_memory)
        return PS_OK;
    ps_status status = hooks && hooks->meanwhile ? hooks->meanwhile(hooks->context) : PS_OK;
    for (uint32_t l = m->depth; l-- > 0 && status == PS_OK;) {
        status = backend_await(m->backend, m->device.arrived[l]);
        if (status == PS_OK && hooks)
            status = hooks->done(hooks->context, l);
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
    ps_status status = stage(m, &given, true, &in);
    if (status == PS_OK)
        status = forward(m, &in, weights, hooks);
    if (status == PS_OK)
        status = backward(m, &in, weights, gradients, hooks);
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
        status = forward(m, &in, weights, NULL);
    if (status == PS_OK)
        status = m->backend->ops->synchronize(m->backend);
    return settle(m, status, loss_sum, correct);
}
