/* replay.c - see replay.h. */
#include "worker/replay.h"

#include "common/log.h"

static bool same(const replay_shape *a, const replay_shape *b)
{
    return a->rows == b->rows && a->array == b->array;
}

static void forget(replay *r, uint32_t place)
{
    if (r->places[place].graph)
        r->backend->ops->destroy_graph(r->backend, r->places[place].graph);
    r->places[place].graph = NULL;
}

static void refuse(replay *r, ps_status status)
{
    r->refused = true;
    log_warning("steps are given to the device call by call, for they could not be captured: %.400s",
                backend_failure(r->backend, status));
}

/* Leaves a graph at the place, or has refused; fails if the device is lost. */
static ps_status capture(replay *r, uint32_t place, const replay_shape *shape,
                         ps_status enqueue(void *context), void *context)
{
    const backend_ops *ops = r->backend->ops;
    backend_graph *graph = NULL;
    forget(r, place);
    ps_status status = ops->begin_capture(r->backend);
    if (status == PS_OK) {
        const ps_status enqueued = enqueue(context);
        status = ops->end_capture(r->backend, &graph); /* in any case: else it would go on */
        if (enqueued != PS_OK) {
            if (graph)
                ops->destroy_graph(r->backend, graph);
            status = enqueued;
        }
    }
    if (status == PS_EDEVICE)
        return status;
    if (status != PS_OK) {
        refuse(r, status);
        return PS_OK;
    }
    r->places[place].graph = graph;
    r->places[place].shape = *shape;
    if (!r->captured)
        log_info("steps of %u rows are launched as a graph", shape->rows);
    r->captured = true;
    return PS_OK;
}

ps_status replay_run(replay *r, uint32_t place, const replay_shape *shape, ps_status enqueue(void *context),
                     void *context)
{
    const backend_ops *ops = r->backend->ops;
    const bool again = same(&r->before, shape);
    r->before = *shape;
    if (!ops->launch || r->refused)
        return enqueue(context);
    const bool fits = r->places[place].graph && same(&r->places[place].shape, shape);
    ps_status status = PS_OK;
    if (!fits && again)
        status = capture(r, place, shape, enqueue, context);
    if (status != PS_OK)
        return status;
    if (!r->places[place].graph || !same(&r->places[place].shape, shape))
        return enqueue(context);
    status = ops->launch(r->backend, r->places[place].graph);
    if (status != PS_ESTATE)
        return status;
    forget(r, place); /* memory has moved since; the next time it is captured anew */
    return enqueue(context);
}

void replay_fini(replay *r)
{
    for (uint32_t place = 0; place < REPLAY_PLACES; place++)
        forget(r, place);
}
