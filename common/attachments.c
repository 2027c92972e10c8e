/* attachments.c - see attachments.h. */
#include "common/attachments.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Lists of attachments, by their token, which is random. */
enum { LISTS = 64 };

typedef struct attachment {
    struct attachment *next;
    segment *segment;
    atomic_uint buffers; /* that refer to it */
} attachment;

struct attachments {
    uint32_t count;
    attachment *lists[LISTS];
};

ps_status attachments_create(attachments **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? PS_OK : PS_ENOMEM;
}

static void destroy_attachment(attachment *held)
{
    segment_destroy(&held->segment);
    free(held);
}

void attachments_destroy(attachments **handle)
{
    attachments *a = *handle;
    *handle = NULL;
    if (!a)
        return;
    for (int i = 0; i < LISTS; i++) {
        while (a->lists[i]) {
            attachment *held = a->lists[i];
            assert(atomic_load(&held->buffers) == 0);
            a->lists[i] = held->next;
            destroy_attachment(held);
        }
    }
    free(a);
}

static attachment **list_of(attachments *a, const segment_name *name)
{
    return &a->lists[name->token[0] % LISTS];
}

static bool is_same_name(const segment_name *a, const segment_name *b)
{
    return a->token[0] == b->token[0] && a->token[1] == b->token[1] && a->pid == b->pid && a->fd == b->fd &&
           a->bytes == b->bytes;
}

static attachment *find(attachments *a, const segment_name *name)
{
    attachment *held = *list_of(a, name);
    while (held && !is_same_name(segment_name_of(held->segment), name))
        held = held->next;
    return held;
}

ps_status attachments_add(attachments *a, const segment_name *name, ps_error *error)
{
    if (find(a, name))
        return PS_OK;
    if (a->count >= ATTACHMENTS_MAX)
        return ps_fail(error, PS_ELIMIT, "memory of %d segments is mapped; no more are", ATTACHMENTS_MAX);
    attachment *held = calloc(1, sizeof *held);
    if (!held)
        return ps_fail(error, PS_ENOMEM, "out of memory for a segment");
    ps_status status = segment_attach(name, &held->segment, error);
    if (status != PS_OK) {
        free(held);
        return status;
    }
    attachment **list = list_of(a, name);
    held->next = *list;
    *list = held;
    a->count++;
    return PS_OK;
}

static void let_go(void *data, void *context)
{
    (void)data;
    attachment *held = context;
    atomic_fetch_sub_explicit(&held->buffers, 1, memory_order_release);
}

buffer *attachments_buffer(attachments *a, const segment_name *name, uint64_t offset, size_t bytes)
{
    attachment *held = find(a, name);
    if (!held || offset < SEGMENT_HEAD_BYTES || offset > name->bytes || name->bytes - offset < bytes)
        return NULL;
    buffer *b = buffer_wrap(segment_at(held->segment, offset), bytes, let_go, held);
    if (b)
        atomic_fetch_add_explicit(&held->buffers, 1, memory_order_relaxed);
    return b;
}

void attachments_sweep(attachments *a)
{
    for (int i = 0; i < LISTS; i++) {
        for (attachment **link = &a->lists[i]; *link;) {
            attachment *held = *link;
            if (atomic_load_explicit(&held->buffers, memory_order_acquire) > 0 ||
                !segment_is_orphan(held->segment)) {
                link = &held->next;
                continue;
            }
            *link = held->next;
            a->count--;
            destroy_attachment(held);
        }
    }
}
