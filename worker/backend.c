/* backend.c - what the optional entries of backend.h come to where a backend leaves them out. */
#include "worker/backend.h"

#include <stdlib.h>

enum { HOST_ALIGNMENT = 64 };

void *backend_allocate_host(backend *b, size_t bytes)
{
    if (b->ops->allocate_host)
        return b->ops->allocate_host(b, bytes);
    if (bytes > SIZE_MAX - HOST_ALIGNMENT)
        return NULL;
    return aligned_alloc(HOST_ALIGNMENT, (bytes / HOST_ALIGNMENT + 1) * HOST_ALIGNMENT);
}

void backend_release_host(backend *b, void *memory)
{
    if (!memory)
        return;
    if (b->ops->allocate_host)
        b->ops->release_host(b, memory);
    else
        free(memory);
}

ps_status backend_register_host(backend *b, void *memory, size_t bytes)
{
    return b->ops->register_host ? b->ops->register_host(b, memory, bytes) : PS_OK;
}

void backend_unregister_host(backend *b, void *memory)
{
    if (b->ops->register_host)
        b->ops->unregister_host(b, memory);
}

ps_status backend_mark_create(backend *b, backend_mark **mark)
{
    *mark = b->ops->create_mark ? b->ops->create_mark(b) : NULL;
    return *mark || !b->ops->create_mark ? PS_OK : PS_ENOMEM;
}

void backend_mark_destroy(backend *b, backend_mark **mark)
{
    if (*mark)
        b->ops->destroy_mark(b, *mark);
    *mark = NULL;
}

ps_status backend_record(backend *b, backend_queue queue, backend_mark *mark)
{
    return mark ? b->ops->record(b, queue, mark) : PS_OK;
}

ps_status backend_follow(backend *b, backend_queue queue, backend_mark *mark)
{
    return mark ? b->ops->follow(b, queue, mark) : PS_OK;
}

ps_status backend_announce(backend *b, backend_queue queue, backend_mark *mark)
{
    return mark ? b->ops->announce(b, queue, mark) : PS_OK;
}

ps_status backend_await(backend *b, backend_mark *mark)
{
    return mark ? b->ops->await(b, mark) : PS_OK;
}

ps_status backend_layer(backend *b, activation_kind kind, uint32_t rows, uint32_t inputs, uint32_t outputs,
                        const float *x, const float *kernel, const float *bias, float *y)
{
    if (b->ops->layer)
        return b->ops->layer(b, kind, rows, inputs, outputs, x, kernel, bias, y);
    ps_status status = b->ops->gemm(b, 0, 0, rows, outputs, inputs, x, kernel, y);
    return status == PS_OK ? b->ops->bias_activate(b, kind, rows, outputs, bias, y) : status;
}

const char *backend_failure(const backend *b, ps_status status)
{
    /* What is invalid has not got as far as the device, of which there may be an older line. */
    const bool of_device = b->ops->failure && status != PS_EINVAL;
    const char *text = of_device ? b->ops->failure(b) : "";
    return text[0] ? text : ps_status_text(status);
}
