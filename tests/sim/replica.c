/* replica.c - see replica.h. */
#include "tests/sim/replica.h"

#include <stdlib.h>
#include <string.h>

#include "ps/schedule.h"

ps_status replica_init(replica *r, const job_config *job)
{
    *r = (replica){.job = job, .elements = tensor_table_elements(&job->tensors)};
    r->weights = malloc(r->elements * sizeof(float));
    if (!r->weights)
        return PS_ENOMEM;
    toy_initial_weights(job, r->weights);
    for (uint32_t k = 0; k < optimizer_slots(&job->optimizer); k++) {
        r->slots[k] = malloc(r->elements * sizeof(float));
        if (!r->slots[k])
            return PS_ENOMEM;
        optimizer_init_slot(&job->optimizer, k, r->weights, r->slots[k], r->elements);
    }
    return PS_OK;
}

void replica_fini(replica *r)
{
    free(r->weights);
    for (int k = 0; k < OPTIMIZER_SLOTS_MAX; k++)
        free(r->slots[k]);
    memset(r, 0, sizeof *r);
}

static uint32_t contributed(const replica_share *share)
{
    return share->batch.nonfinite ? 0 : share->batch.examples;
}

uint64_t replica_examples(const replica_share *shares, uint32_t count)
{
    uint64_t examples = 0;
    for (uint32_t i = 0; i < count; i++)
        examples += contributed(&shares[i]);
    return examples;
}

void replica_apply(replica *r, uint64_t first, uint64_t count, const replica_share *shares,
                   uint32_t share_count, uint64_t step, uint64_t update)
{
    optimizer_gradient gradients[SCENARIO_WORKERS_MAX];
    uint64_t examples = replica_examples(shares, share_count);
    uint32_t used = 0;
    for (uint32_t i = 0; i < share_count; i++) {
        if (contributed(&shares[i]) == 0)
            continue;
        gradients[used++] = (optimizer_gradient){
            .values = codec_plain(shares[i].gradient + first, count),
            .weight = toy_share(&shares[i].batch, examples),
        };
    }
    optimizer_step apply = {
        .weights = r->weights + first,
        .next = r->weights + first,
        .gradients = gradients,
        .gradient_count = used,
        .count = count,
        .learning_rate = (float)schedule_rate(&r->job->schedule, step),
        .update = update,
    };
    for (uint32_t k = 0; k < optimizer_slots(&r->job->optimizer); k++)
        apply.slots[k] = r->slots[k] + first;
    optimizer_apply(&r->job->optimizer, &apply);
}

/* ---- trajectory ---- */

static void next_version(replica *r, const scenario *s, uint64_t step, float *gradients, uint64_t *updates)
{
    replica_share shares[SCENARIO_WORKERS_MAX];
    for (uint32_t w = 0; w < s->job.workers; w++) {
        float *gradient = gradients + w * r->elements;
        shares[w].gradient = gradient;
        toy_gradient(s, w, step, r->weights, gradient, &shares[w].batch);
    }
    if (replica_examples(shares, s->job.workers) == 0)
        return;
    ++*updates;
    for (uint32_t i = 0; i < s->job.tensors.count; i++)
        replica_apply(r, toy_offset(&s->job, i), tensor_elements(&s->job.tensors.tensors[i]), shares,
                      s->job.workers, step, *updates);
}

ps_status trajectory_init(trajectory *t, const scenario *s)
{
    replica r;
    float *gradients = NULL;
    uint64_t updates = 0;
    memset(t, 0, sizeof *t);
    ps_status status = replica_init(&r, &s->job);
    if (status != PS_OK)
        goto done;
    t->elements = r.elements;
    t->last = scenario_is_exact(s) ? s->steps : 0;
    t->versions = malloc((t->last + 1) * r.elements * sizeof(float));
    gradients = malloc(s->job.workers * r.elements * sizeof(float));
    if (!t->versions || !gradients) {
        status = PS_ENOMEM;
        goto done;
    }
    for (uint64_t step = 0; step <= t->last; step++) {
        if (step > 0)
            next_version(&r, s, step, gradients, &updates);
        memcpy(t->versions + step * r.elements, r.weights, r.elements * sizeof(float));
    }

done:
    free(gradients);
    replica_fini(&r);
    return status;
}

void trajectory_fini(trajectory *t)
{
    free(t->versions);
    t->versions = NULL;
}

const float *trajectory_version(const trajectory *t, uint64_t step)
{
    return t->versions + step * t->elements;
}
