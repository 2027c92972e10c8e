/* member.c - see member.h. */
#include "ps/member.h"

#include <stdlib.h>
#include <string.h>

ps_status member_init(member *m, uint32_t slices)
{
    memset(m, 0, sizeof *m);
    if (slices == 0)
        return PS_OK;
    m->push.slices = calloc(slices, sizeof *m->push.slices);
    m->push.named = calloc(slices, sizeof *m->push.named);
    return m->push.slices && m->push.named ? PS_OK : PS_ENOMEM;
}

void member_fini(member *m, uint32_t slices)
{
    member_drop_requests(m);
    if (m->push.slices && m->push.named)
        member_drop_push(m, slices);
    free(m->push.slices);
    free(m->push.named);
}

void member_drop_push(member *m, uint32_t slices)
{
    member_push *push = &m->push;
    for (uint32_t i = 0; i < slices; i++) {
        buffer_unref(&push->slices[i]);
        push->named[i] = false;
    }
    push->step = 0;
    push->received = 0;
    push->examples = 0;
    push->clip_factor = 1.0f;
    push->nonfinite = false;
}

void member_drop_requests(member *m)
{
    while (m->requests)
        member_close(m, &m->requests);
}

open_request *member_find(const member *m, uint64_t request)
{
    open_request *r = m->requests;
    while (r && r->message->request != request)
        r = r->next;
    return r;
}

ps_status member_open(member *m, wire_message **message, const wire_route *from, uint64_t now_ms)
{
    open_request *r = malloc(sizeof *r);
    if (!r)
        return PS_ENOMEM;
    r->next = NULL;
    r->message = *message;
    r->from = *from;
    r->since_ms = now_ms;
    *message = NULL;
    for (uint32_t i = 0; i < r->message->slice_count; i++)
        buffer_unref(&r->message->payloads[i]);

    open_request **tail = &m->requests;
    while (*tail)
        tail = &(*tail)->next;
    *tail = r;
    m->request_count++;
    return PS_OK;
}

void member_close(member *m, open_request **link)
{
    open_request *r = *link;
    *link = r->next;
    m->request_count--;
    wire_destroy(&r->message);
    free(r);
}
