/* wire_job.c - see wire_job.h. Ranges are judged by job_check alone; here only what protobuf leaves open. */
#include "common/wire_job.h"

#include <stdlib.h>
#include <string.h>

/* One allocation holds all parts, so that there is one thing to free. */
typedef struct {
    Penstock__Job job;
    Penstock__Optimizer optimizer;
    Penstock__Schedule schedule;
    Penstock__Tensor **tensor_list;
    Penstock__Tensor *tensors;
    Penstock__Initializer *initializers;
} job_form;

static Penstock__Optimizer optimizer_to_proto(const optimizer_config *o)
{
    Penstock__Optimizer p = PENSTOCK__OPTIMIZER__INIT;
    p.kind = (uint32_t)o->kind;
    p.momentum = o->momentum;
    p.beta1 = o->beta1;
    p.beta2 = o->beta2;
    p.decay = o->decay;
    p.epsilon = o->epsilon;
    p.initial_accumulator = o->initial_accumulator;
    p.l1 = o->l1;
    p.l2 = o->l2;
    p.learning_rate_power = o->learning_rate_power;
    p.weight_decay = o->weight_decay;
    p.clip_value = o->clip_value;
    p.clip_norm = o->clip_norm;
    return p;
}

static optimizer_config optimizer_from_proto(const Penstock__Optimizer *p)
{
    return (optimizer_config){
        .kind = (optimizer_kind)p->kind,
        .momentum = p->momentum,
        .beta1 = p->beta1,
        .beta2 = p->beta2,
        .decay = p->decay,
        .epsilon = p->epsilon,
        .initial_accumulator = p->initial_accumulator,
        .l1 = p->l1,
        .l2 = p->l2,
        .learning_rate_power = p->learning_rate_power,
        .weight_decay = p->weight_decay,
        .clip_value = p->clip_value,
        .clip_norm = p->clip_norm,
    };
}

static Penstock__Schedule schedule_to_proto(const schedule_config *s)
{
    Penstock__Schedule p = PENSTOCK__SCHEDULE__INIT;
    p.kind = (uint32_t)s->kind;
    p.learning_rate = s->learning_rate;
    p.warmup_steps = s->warmup_steps;
    p.decay_steps = s->decay_steps;
    p.decay_rate = s->decay_rate;
    p.end_rate = s->end_rate;
    p.power = s->power;
    return p;
}

static schedule_config schedule_from_proto(const Penstock__Schedule *p)
{
    return (schedule_config){
        .kind = (schedule_kind)p->kind,
        .learning_rate = p->learning_rate,
        .warmup_steps = p->warmup_steps,
        .decay_steps = p->decay_steps,
        .decay_rate = p->decay_rate,
        .end_rate = p->end_rate,
        .power = p->power,
    };
}

static void tensor_to_proto(tensor *t, Penstock__Tensor *p, Penstock__Initializer *init)
{
    penstock__initializer__init(init);
    init->kind = (uint32_t)t->init.kind;
    init->a = t->init.a;
    init->b = t->init.b;
    penstock__tensor__init(p);
    p->name = t->name;
    p->n_shape = t->rank;
    p->shape = t->shape;
    p->initializer = init;
    p->push_codec = (uint32_t)t->push_codec;
}

Penstock__Job *wire_job_to_proto(const job_config *job)
{
    uint32_t count = job->tensors.count;
    job_form *form = calloc(1, sizeof *form);
    if (!form)
        return NULL;
    form->tensor_list = calloc(count + 1, sizeof *form->tensor_list);
    form->tensors = calloc(count + 1, sizeof *form->tensors);
    form->initializers = calloc(count + 1, sizeof *form->initializers);
    penstock__job__init(&form->job);
    Penstock__Job *proto = &form->job;
    if (!form->tensor_list || !form->tensors || !form->initializers) {
        wire_job_free(&proto);
        return NULL;
    }

    proto->name = (char *)(uintptr_t)job->name; /* protobuf-c only reads it */
    proto->servers = job->servers;
    proto->workers = job->workers;
    proto->evaluators = job->evaluators;
    proto->mode = (uint32_t)job->mode;
    proto->staleness = job->staleness;
    proto->backup_workers = job->backup_workers;
    proto->guard = (uint32_t)job->guard;
    proto->seed = job->seed;
    proto->slice_bytes = job->slice_bytes;
    proto->push_codec = (uint32_t)job->push_codec;
    proto->pull_codec = (uint32_t)job->pull_codec;
    proto->topk_fraction = job->topk_fraction;
    proto->on_worker_loss = (uint32_t)job->on_worker_loss;
    proto->grace_ms = job->grace_ms;
    form->optimizer = optimizer_to_proto(&job->optimizer);
    proto->optimizer = &form->optimizer;
    form->schedule = schedule_to_proto(&job->schedule);
    proto->schedule = &form->schedule;
    for (uint32_t i = 0; i < count; i++) {
        tensor_to_proto(&job->tensors.tensors[i], &form->tensors[i], &form->initializers[i]);
        form->tensor_list[i] = &form->tensors[i];
    }
    proto->tensors = form->tensor_list;
    proto->n_tensors = count;
    return proto;
}

void wire_job_free(Penstock__Job **proto)
{
    job_form *form = (job_form *)*proto; /* the form's first member */
    *proto = NULL;
    if (!form)
        return;
    free(form->tensor_list);
    free(form->tensors);
    free(form->initializers);
    free(form);
}

static ps_status tensor_from_proto(const Penstock__Tensor *p, tensor *t, ps_error *error)
{
    memset(t, 0, sizeof *t);
    size_t length = strlen(p->name);
    if (length > TENSOR_NAME_MAX)
        return ps_fail(error, PS_EPROTOCOL, "a tensor's name has %zu bytes; at most %d are allowed", length,
                       TENSOR_NAME_MAX);
    if (p->n_shape > TENSOR_RANK_MAX)
        return ps_fail(error, PS_EPROTOCOL, "tensor '%s' has rank %zu; at most %d is allowed", p->name,
                       p->n_shape, TENSOR_RANK_MAX);
    if (!p->initializer)
        return ps_fail(error, PS_EPROTOCOL, "tensor '%s' has no initializer", p->name);
    memcpy(t->name, p->name, length);
    t->rank = (uint32_t)p->n_shape;
    if (p->n_shape)
        memcpy(t->shape, p->shape, p->n_shape * sizeof t->shape[0]);
    t->init.kind = (initializer_kind)p->initializer->kind;
    t->init.a = p->initializer->a;
    t->init.b = p->initializer->b;
    t->push_codec = (codec_kind)p->push_codec;
    return PS_OK;
}

ps_status wire_job_from_proto(const Penstock__Job *proto, job_config *job, ps_error *error)
{
    job_init(job);
    ps_status status = PS_EPROTOCOL;
    if (!proto->optimizer || !proto->schedule) {
        ps_fail(error, status, "HELLO: the job has no %s", proto->optimizer ? "schedule" : "optimizer");
        goto fail;
    }
    size_t length = strlen(proto->name);
    if (length > JOB_NAME_MAX) {
        ps_fail(error, status, "HELLO: the job's name has %zu bytes; at most %d are allowed", length,
                JOB_NAME_MAX);
        goto fail;
    }
    if (proto->n_tensors > TENSOR_TABLE_MAX) {
        ps_fail(error, status, "HELLO: %zu tensors; at most %d are allowed", proto->n_tensors,
                TENSOR_TABLE_MAX);
        goto fail;
    }
    memcpy(job->name, proto->name, length + 1);
    job->servers = proto->servers;
    job->workers = proto->workers;
    job->evaluators = proto->evaluators;
    job->mode = (consistency_mode)proto->mode;
    job->staleness = proto->staleness;
    job->backup_workers = proto->backup_workers;
    job->guard = (guard_policy)proto->guard;
    job->seed = proto->seed;
    job->slice_bytes = proto->slice_bytes;
    /* What is absent keeps its value from job_init. */
    if (proto->push_codec)
        job->push_codec = (codec_kind)proto->push_codec;
    if (proto->pull_codec)
        job->pull_codec = (codec_kind)proto->pull_codec;
    if (proto->topk_fraction != 0)
        job->topk_fraction = proto->topk_fraction;
    job->on_worker_loss = (loss_policy)proto->on_worker_loss;
    if (proto->grace_ms)
        job->grace_ms = proto->grace_ms;
    job->optimizer = optimizer_from_proto(proto->optimizer);
    job->schedule = schedule_from_proto(proto->schedule);
    for (size_t i = 0; i < proto->n_tensors; i++) {
        tensor t;
        status = tensor_from_proto(proto->tensors[i], &t, error);
        if (status == PS_OK)
            status = tensor_table_add(&job->tensors, &t, error);
        if (status != PS_OK)
            goto fail;
    }
    status = job_check(job, error);
    if (status != PS_OK)
        goto fail;
    return PS_OK;

fail:
    job_fini(job);
    return status;
}
