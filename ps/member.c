/* member.c - see member.h. */
#include "ps/member.h"

#include <stdlib.h>
#include <string.h>

#include "common/recycler.h"

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
    member_settle(m, UINT64_MAX);
    m->answered_request = 0;
}

open_request *member_find(const member *m, uint64_t request)
{
    open_request *r = m->requests;
    while (r && r->message->request != request)
        r = r->next;
    return r;
}

/* Backward ends with the layer that the next forward begins with: its weights are to leave first. */
static bool goes_before(const wire_message *a, const wire_message *b)
{
    return a->step == b->step && a->slice_count > 0 && b->slice_count > 0 && a->slices[0] < b->slices[0];
}

ps_status member_open(member *m, wire_message **message, const wire_route *from, uint64_t now_ms)
{
    open_request *r = recycler_take(sizeof *r);
    if (!r)
        return PS_ENOMEM;
    r->message = *message;
    r->from = *from;
    r->since_ms = now_ms;
    *message = NULL;
    for (uint32_t i = 0; i < r->message->slice_count; i++)
        buffer_unref(&r->message->payloads[i]);

    open_request **place = &m->requests;
    while (*place && !goes_before(r->message, (*place)->message))
        place = &(*place)->next;
    r->next = *place;
    *place = r;
    m->request_count++;
    return PS_OK;
}

void member_close(member *m, open_request **link)
{
    open_request *r = *link;
    *link = r->next;
    m->request_count--;
    wire_destroy(&r->message);
    recycler_give(r);
}

/* ---- answers on their way ---- */

ps_status member_note_answer(member *m, wire_message *answer)
{
    uint32_t lent_count = answer->by_reference ? answer->slice_count : 0;
    unsettled_answer *a = recycler_take(sizeof *a + lent_count * sizeof(buffer *));
    if (!a)
        return PS_ENOMEM;
    answer->settled = a->number = ++m->answers;
    a->request = answer->request;
    if (m->answered_request < a->request)
        m->answered_request = a->request;
    a->bytes = 0;
    a->lent_count = lent_count;
    for (uint32_t i = 0; i < answer->slice_count; i++)
        a->bytes += buffer_size(answer->payloads[i]);
    for (uint32_t i = 0; i < lent_count; i++)
        a->lent[i] = buffer_ref(answer->payloads[i]);
    a->next = NULL;
    *(m->unsettled ? &m->unsettled_last->next : &m->unsettled) = a;
    m->unsettled_last = a;
    m->unsettled_count++;
    m->unsettled_bytes += a->bytes;
    return PS_OK;
}

/* Takes out the answer after `before`, the first one if that is NULL. */
static void settle_after(member *m, unsettled_answer *before)
{
    unsettled_answer **link = before ? &before->next : &m->unsettled;
    unsettled_answer *a = *link;
    *link = a->next;
    if (m->unsettled_last == a)
        m->unsettled_last = before;
    m->unsettled_count--;
    m->unsettled_bytes -= a->bytes;
    for (uint32_t i = 0; i < a->lent_count; i++)
        buffer_unref(&a->lent[i]);
    recycler_give(a);
}

void member_turn_to(member *m, const wire_route *to)
{
    if (wire_is_same_route(&m->answered, to))
        return;
    m->answered = *to;
    unsettled_answer *before = NULL, *a = m->unsettled;
    while (a) {
        unsettled_answer *next = a->next;
        if (a->lent_count == 0)
            settle_after(m, before);
        else
            before = a;
        a = next;
    }
}

void member_settle(member *m, uint64_t settled)
{
    while (m->unsettled && m->unsettled->number <= settled)
        settle_after(m, NULL);
}

void member_settle_one(member *m, uint64_t request)
{
    if (request > m->answered_request) /* as nearly always: it is new */
        return;
    unsettled_answer *before = NULL;
    for (unsettled_answer *a = m->unsettled; a; before = a, a = a->next) {
        if (a->request == request) {
            settle_after(m, before);
            return;
        }
    }
}
