/* trainer_step.c - one step of training: batch -> gradient -> push and pull -> weights. See trainer_state.h.
 *
 * A layer's gradient leaves while backward works on the layer below; while the rest is on its way the next
 * batch is gathered; and the next forward begins with the layers whose weights are back. A step is over when
 * its successor's forward has needed all weights. */
#include "common/log.h"
#include "common/trace.h"
#include "worker/trainer_state.h"

static batch *batch_of(trainer *t, uint64_t step)
{
    return &t->batches[step % t->batch_count];
}

/* Tells the trace what has been computed since the last hook. */
static void trace_computed(const trainer *t, trace_kind kind, uint32_t layer)
{
    trace_span(kind, t->computes_ns, (trace_about){.step = t->computed->step, .value = layer});
}

static ps_status gather(trainer *t, uint64_t step)
{
    batch *b = batch_of(t, step);
    if (b->step == step || step > t->steps)
        return PS_OK;
    const uint64_t begun_ns = trace_begin();
    b->step = step;
    b->count = sampler_rows(&t->sampler, step, t->rank, b->rows);
    dataset_gather(t->setup.train, b->rows, b->count, b->features, b->labels);
    ps_status status = b->count > 0 ? mlp_bring(t->setup.model, b->features, b->labels, b->count) : PS_OK;
    trace_span(TRACE_GATHER, begun_ns, (trace_about){.step = step, .value = b->count});
    return status;
}

/* With backup workers the others may have gone on without this one: then so does it. Where members change,
 * one that sits a step out may get weights of some ps after that step already, and of others before it. */
static uint64_t step_done(const trainer *t, uint64_t step, const ps_result *result)
{
    const job_config *job = ps_job(t->setup.client);
    const bool has_backups = job->mode == CONSISTENCY_SYNC && job->backup_workers > 0;
    return has_backups && result->step > step ? result->step : step;
}

ps_status trainer_end_step(trainer *t, ps_error *error)
{
    if (!t->pending)
        return PS_OK;
    ps_result result;
    ps_status status = ps_wait(t->setup.client, t->ticket, PS_FOREVER, &result, error);
    if (status != PS_OK)
        return status;
    t->pending = false;
    uint64_t step = t->step + 1;
    if (result.nonfinite)
        log_warning("step %llu: the gradient of this worker holds NaN or Inf and was left out",
                    (unsigned long long)step);
    t->step = step_done(t, step, &result);
    t->examples_total = result.examples_total;
    return PS_OK;
}

/* What the last layer needs is the last of the step before; gradients are written from then on. */
static ps_status await_layer(trainer *t, uint32_t layer)
{
    if (!t->pending)
        return PS_OK;
    const uint64_t begun_ns = performance_begin(t->performance);
    uint32_t first = layer * MLP_LAYER_TENSORS;
    const bool last = first + MLP_LAYER_TENSORS == ps_job(t->setup.client)->tensors.count;
    ps_status status = last ? trainer_end_step(t, &t->hook_error)
                            : ps_wait_weights(t->setup.client, t->ticket, first, MLP_LAYER_TENSORS,
                                              PS_FOREVER, &t->hook_error);
    performance_add(t->performance, layer == 0 ? PHASE_WAIT : PHASE_PULL, begun_ns);
    return status;
}

static ps_status layer_needed(void *context, uint32_t layer)
{
    trainer *t = context;
    if (layer > 0)
        trace_computed(t, TRACE_FORWARD, layer - 1);
    ps_status status = await_layer(t, layer);
    t->computes_ns = trace_begin();
    return status;
}

/* Where the host computes, the last layer is turned round in between two hooks. */
static trace_kind kind_of_work(const trainer *t, uint32_t layer)
{
    if (!t->setup.backend->ops->host_memory)
        return TRACE_DEVICE;
    const uint32_t first = layer * MLP_LAYER_TENSORS;
    const bool is_last = first + MLP_LAYER_TENSORS == ps_job(t->setup.client)->tensors.count;
    return is_last ? TRACE_TURN : TRACE_BACKWARD;
}

/* Begins to push with the last layer's gradient: only then is the step before over. */
static ps_status layer_done(void *context, uint32_t layer, const double *squares)
{
    trainer *t = context;
    ps_status status = PS_OK;
    const uint64_t begun_ns = performance_begin(t->performance);
    trace_computed(t, kind_of_work(t, layer), layer);
    if (!t->pending) {
        const ps_update update = {
            .step = t->step + 1,
            .examples = t->computed->count,
            .gradients = (const float *const *)t->tensor_gradients,
        };
        status = ps_begin(t->setup.client, &update, t->setup.tensor_weights, &t->ticket, &t->hook_error);
        t->pending = status == PS_OK;
    }
    if (status == PS_OK)
        status = ps_ready_measured(t->setup.client, t->ticket, layer * MLP_LAYER_TENSORS, MLP_LAYER_TENSORS,
                                   squares, &t->hook_error);
    performance_add(t->performance, PHASE_PUSH, begun_ns);
    t->computes_ns = trace_begin();
    return status;
}

static ps_status gather_next(void *context)
{
    trainer *t = context;
    trace_computed(t, TRACE_ENQUEUE, 0);
    ps_status status = gather(t, t->computed->step + 1);
    t->computes_ns = trace_begin();
    return status;
}

static ps_status push_gradient(trainer *t, ps_error *error)
{
    const mlp_hooks hooks = {
        .needed = layer_needed, .done = layer_done, .meanwhile = gather_next, .context = t};
    const batch *b = t->computed;
    double loss_sum;
    uint32_t correct;
    t->hook_error.status = PS_OK;
    ps_status status = mlp_gradient(t->setup.model, t->setup.weights, b->features, b->labels, b->count,
                                    t->gradients, &hooks, &loss_sum, &correct);
    if (t->hook_error.status != PS_OK)
        *error = t->hook_error;
    else if (status != PS_OK)
        ps_fail(error, status, "step %llu: %.480s", (unsigned long long)b->step,
                backend_failure(t->setup.backend, status));
    if (status != PS_OK)
        return status;
    t->step_loss = loss_sum;
    t->step_correct = correct;
    t->loss_sum += loss_sum;
    t->loss_rows += b->count;
    t->correct_rows += correct;
    return PS_OK;
}

/* Of a worker that has no rows in this step. */
static ps_status push_nothing(trainer *t, uint64_t step, ps_error *error)
{
    uint64_t begun_ns = performance_begin(t->performance);
    ps_status status = trainer_end_step(t, error);
    performance_add(t->performance, PHASE_WAIT, begun_ns);
    if (status != PS_OK)
        return status;
    const ps_update update = {.step = step};
    begun_ns = performance_begin(t->performance);
    status = ps_push_pull(t->setup.client, &update, t->setup.tensor_weights, &t->ticket, error);
    performance_add(t->performance, PHASE_PUSH, begun_ns);
    t->pending = status == PS_OK;
    return status;
}

static ps_status gather_or_say(trainer *t, uint64_t step, ps_error *error)
{
    ps_status status = gather(t, step);
    if (status == PS_OK)
        return PS_OK;
    return ps_fail(error, status, "the batch of step %llu: %.450s", (unsigned long long)step,
                   backend_failure(t->setup.backend, status));
}

ps_status trainer_step(trainer *t, uint64_t step, ps_error *error)
{
    const uint64_t begun_ns = trace_begin();
    ps_status status = gather_or_say(t, step, error);
    if (status != PS_OK)
        return status;
    t->computed = batch_of(t, step);
    t->step_loss = 0;
    t->step_correct = 0;
    status = t->computed->count > 0 ? push_gradient(t, error) : push_nothing(t, step, error);
    if (status == PS_OK)
        trace_span(TRACE_STEP, begun_ns, (trace_about){.step = step, .value = t->computed->count});
    return status == PS_OK ? gather_or_say(t, step + 1, error) : status;
}
