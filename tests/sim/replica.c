/* replica.c - see replica.h. */
#include "tests/sim/replica.h"

#include <stdlib.h>
#include <string.h>

#include "common/schedule.h"

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

/* After a step; what may follow is known by who takes part. */
struct model_version {
    replica model;
    uint64_t updates, examples;
    uint32_t members;     /* the set that took part in the step */
    model_version *next;  /* the first of those after the next step */
    model_version *other; /* after the same step, and with the same before it */
};

static void destroy_versions(model_version *v)
{
    while (v) {
        model_version *other = v->other;
        destroy_versions(v->next);
        replica_fini(&v->model);
        free(v);
        v = other;
    }
}

static ps_status copy_replica(const replica *from, replica *to)
{
    const size_t bytes = from->elements * sizeof(float);
    *to = (replica){.job = from->job, .elements = from->elements, .weights = malloc(bytes)};
    bool complete = to->weights != NULL;
    if (complete)
        memcpy(to->weights, from->weights, bytes);
    for (uint32_t k = 0; k < optimizer_slots(&from->job->optimizer) && complete; k++) {
        to->slots[k] = malloc(bytes);
        complete = to->slots[k] != NULL;
        if (complete)
            memcpy(to->slots[k], from->slots[k], bytes);
    }
    return complete ? PS_OK : PS_ENOMEM;
}

static uint32_t members_of(const trajectory *t, const members_list *list, uint64_t step)
{
    uint32_t set = 0;
    for (uint32_t w = 0; w < t->scenario->job.workers; w++)
        set |= (uint32_t)(!list || members_include(list, w, step)) << w;
    return set;
}

/* Does that step, on what is the model before it. */
static void go_on(const trajectory *t, const members_list *list, uint64_t step, model_version *v)
{
    const scenario *s = t->scenario;
    replica *r = &v->model;
    replica_share shares[SCENARIO_WORKERS_MAX];
    uint32_t count = 0;
    for (uint32_t w = 0; w < s->job.workers; w++) {
        float *gradient = t->gradients + w * r->elements;
        if (!(v->members >> w & 1))
            continue;
        shares[count].gradient = gradient;
        toy_gradient(s, list, w, step, r->weights, gradient, &shares[count++].batch);
    }
    const uint64_t examples = replica_examples(shares, count);
    v->examples += examples;
    if (examples == 0)
        return;
    v->updates++;
    for (uint32_t i = 0; i < s->job.tensors.count; i++)
        replica_apply(r, toy_offset(&s->job, i), tensor_elements(&s->job.tensors.tensors[i]), shares, count,
                      step, v->updates);
}

/* What follows a version by that step. */
static model_version *follow(const trajectory *t, model_version *before, const members_list *list,
                             uint64_t step)
{
    const uint32_t members = members_of(t, list, step);
    for (model_version *v = before->next; v; v = v->other)
        if (v->members == members)
            return v;
    model_version *v = calloc(1, sizeof *v);
    if (!v || copy_replica(&before->model, &v->model) != PS_OK) {
        destroy_versions(v);
        return NULL;
    }
    v->updates = before->updates;
    v->examples = before->examples;
    v->members = members;
    go_on(t, list, step, v);
    v->other = before->next;
    before->next = v;
    return v;
}

ps_status trajectory_init(trajectory *t, const scenario *s)
{
    *t = (trajectory){.scenario = s, .initial = calloc(1, sizeof *t->initial)};
    ps_status status = t->initial ? replica_init(&t->initial->model, &s->job) : PS_ENOMEM;
    if (status != PS_OK)
        return status;
    t->elements = t->initial->model.elements;
    t->gradients = malloc(s->job.workers * t->elements * sizeof *t->gradients);
    return t->gradients ? PS_OK : PS_ENOMEM;
}

void trajectory_fini(trajectory *t)
{
    destroy_versions(t->initial);
    free(t->gradients);
    memset(t, 0, sizeof *t);
}

static const model_version *find(const trajectory *t, const members_list *list, uint64_t step)
{
    model_version *v = t->initial;
    for (uint64_t i = 1; i <= step && v; i++)
        v = follow(t, v, list, i);
    return v;
}

const float *trajectory_version(const trajectory *t, const members_list *list, uint64_t step)
{
    const model_version *v = find(t, list, step);
    return v ? v->model.weights : NULL;
}

uint64_t trajectory_examples(const trajectory *t, const members_list *list, uint64_t step)
{
    const model_version *v = find(t, list, step);
    return v ? v->examples : UINT64_MAX;
}
