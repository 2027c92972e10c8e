/* mlp_memory.c - what a perceptron takes of host and device: for activations, for mirrors of the caller's
 * arrays, and for two batches. See mlp_state.h. */
#include <stdbool.h>
#include <stdlib.h>

#include "worker/mlp_state.h"

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
    if (b->ops->measure) {
        const size_t bytes = m->depth * MLP_LAYER_TENSORS * sizeof *d->squares;
        d->squares = b->ops->allocate(b, bytes);
        m->squares = backend_allocate_host(b, bytes);
        if (!d->squares || !m->squares)
            return false;
    }
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
    m->rest.backend = on;
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
    replay_fini(&held->rest);
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
    release(b, d->squares);
    backend_release_host(b, held->squares);
    backend_mark_destroy(b, &d->turn);
    backend_release_host(b, held->score);
    free(held);
}
