/* encoder.c - see encoder.h. */
#include "worker/encoder.h"

#include <stdlib.h>

struct encoder {
    const job_config *job;
    const partition *partition;
    pool *memory;
    codec_config *codecs; /* (tensors) */
    float **residuals;    /* (tensors), NULL where none is kept */
    float *zeros, *blank; /* (largest slice) each, all zero: a gradient, and the residual of one left out */
    uint32_t pushes_max;
    buffer **payloads[]; /* (pushes_max), each (slices), from the first use of its number on */
};

static ps_status create_residuals(encoder *e)
{
    uint32_t largest = 0;
    for (uint32_t t = 0; t < e->job->tensors.count; t++) {
        if (!codec_keeps_residual(e->codecs[t].kind))
            continue;
        e->residuals[t] = calloc(tensor_elements(&e->job->tensors.tensors[t]), sizeof(float));
        if (!e->residuals[t])
            return PS_ENOMEM;
        for (uint32_t i = e->partition->tensor_first[t]; i < e->partition->tensor_first[t + 1]; i++)
            if (e->partition->slices[i].count > largest)
                largest = e->partition->slices[i].count;
    }
    if (largest == 0)
        return PS_OK;
    e->zeros = calloc(largest, sizeof *e->zeros);
    e->blank = calloc(largest, sizeof *e->blank);
    return e->zeros && e->blank ? PS_OK : PS_ENOMEM;
}

ps_status encoder_create(const job_config *job, const partition *p, pool *memory, uint32_t pushes_max,
                         encoder **out)
{
    encoder *e = calloc(1, sizeof *e + pushes_max * sizeof e->payloads[0]);
    *out = e;
    if (!e)
        return PS_ENOMEM;
    e->job = job;
    e->partition = p;
    e->memory = memory;
    e->pushes_max = pushes_max;
    e->codecs = calloc(job->tensors.count, sizeof *e->codecs);
    e->residuals = calloc(job->tensors.count, sizeof *e->residuals);
    ps_status status = e->codecs && e->residuals ? PS_OK : PS_ENOMEM;
    for (uint32_t t = 0; t < job->tensors.count && status == PS_OK; t++)
        e->codecs[t] = job_push_codec(job, t);
    if (status == PS_OK)
        status = create_residuals(e);
    if (status != PS_OK)
        encoder_destroy(out);
    return status;
}

void encoder_destroy(encoder **handle)
{
    encoder *e = *handle;
    *handle = NULL;
    if (!e)
        return;
    for (uint32_t i = 0; i < e->pushes_max; i++) {
        encoder_end(e, i);
        free(e->payloads[i]);
    }
    for (uint32_t t = 0; e->residuals && t < e->job->tensors.count; t++)
        free(e->residuals[t]);
    free(e->residuals);
    free(e->codecs);
    free(e->zeros);
    free(e->blank);
    free(e);
}

bool encoder_encodes(const encoder *e, uint32_t t)
{
    return e->codecs[t].kind != CODEC_FP32;
}

bool encoder_keeps_residuals(const encoder *e)
{
    return e->zeros != NULL;
}

static void encode(encoder *e, const slice *cut, const float *gradient, bool left_out, void *payload)
{
    const codec_config *codec = &e->codecs[cut->tensor];
    float *residual = e->residuals[cut->tensor];
    if (!residual)
        codec_encode(codec, gradient, cut->count, NULL, payload);
    else if (left_out)
        codec_encode(codec, e->zeros, cut->count, e->blank, payload);
    else
        codec_encode(codec, gradient, cut->count, residual + cut->offset, payload);
}

buffer *encoder_payload(encoder *e, uint32_t push, uint32_t slice_number, const float *gradient,
                        bool left_out)
{
    if (!e->payloads[push])
        e->payloads[push] = calloc(e->partition->count, sizeof *e->payloads[push]);
    if (!e->payloads[push])
        return NULL;
    buffer **payload = &e->payloads[push][slice_number];
    if (!*payload) {
        const slice *cut = &e->partition->slices[slice_number];
        size_t bytes = codec_bytes(&e->codecs[cut->tensor], cut->count);
        *payload = e->memory ? pool_take(e->memory, bytes) : buffer_alloc(bytes);
        if (!*payload)
            return NULL;
        encode(e, cut, gradient, left_out, buffer_data(*payload));
    }
    return buffer_ref(*payload);
}

void encoder_end(encoder *e, uint32_t push)
{
    for (uint32_t i = 0; e->payloads[push] && i < e->partition->count; i++)
        buffer_unref(&e->payloads[push][i]);
}

float *encoder_residual(encoder *e, uint32_t t)
{
    return e->residuals[t];
}
