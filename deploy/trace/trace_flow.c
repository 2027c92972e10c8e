/* trace_flow.c - see trace_flow.h. */
#include "deploy/trace/trace_flow.h"

#include <stdlib.h>

typedef struct {
    const trace_part *parts;
    trace_index sent, sent_by_step, received, applied, answered, taken;
    trace_flows *out;
    size_t room;
} finder;

static uint64_t time_of(const trace_spot *spot)
{
    return spot->entry->event.begun_ns;
}

static void set(trace_flow *f, trace_hop hop, const trace_spot *spot)
{
    if (!spot)
        return;
    f->hops[hop].entry = spot->entry;
    f->hops[hop].part = spot->part;
}

/* NULL: out of memory. */
static trace_flow *add(finder *w)
{
    trace_flows *out = w->out;
    if (out->count == w->room) {
        const size_t room = w->room ? w->room * 2 : 1024;
        trace_flow *grown = realloc(out->list, room * sizeof *grown);
        if (!grown)
            return NULL;
        out->list = grown;
        w->room = room;
    }
    trace_flow *f = &out->list[out->count++];
    *f = (trace_flow){.id = out->count};
    return f;
}

/* The gradient of which a push that this ps received became a part, if it did. */
static const trace_spot *find_update(const finder *w, const trace_spot *received)
{
    const trace_event *e = &received->entry->event;
    const uint64_t key[] = {trace_key_pair(received->part, e->peer), e->incarnation, e->step};
    return e->kind == TRACE_PUSH_RECEIVED ? trace_index_first(&w->applied, key, e->begun_ns) : NULL;
}

/* Of a request that was sent again the last sending before it came in counts; where clocks are not quite
 * right, any.
 */
static const trace_spot *find_sending(const finder *w, const trace_spot *received)
{
    const trace_spot *before = trace_index_last(&w->sent, received->key, time_of(received));
    return before ? before : trace_index_first(&w->sent, received->key, 0);
}

static ps_status follow(finder *w, const trace_spot *received)
{
    trace_flow *f = add(w);
    if (!f)
        return PS_ENOMEM;
    const trace_event *e = &received->entry->event;
    const trace_spot *applied = find_update(w, received);
    const uint64_t answer_key[] = {received->part, e->value, e->request};
    const trace_spot *answered =
        trace_index_first(&w->answered, answer_key, time_of(applied ? applied : received));
    f->pushes = e->kind == TRACE_PUSH_RECEIVED;
    set(f, TRACE_HOP_SENT, find_sending(w, received));
    set(f, TRACE_HOP_RECEIVED, received);
    set(f, TRACE_HOP_APPLIED, applied);
    set(f, TRACE_HOP_ANSWERED, answered);
    if (answered) {
        const trace_spot *taken = trace_index_first(&w->taken, received->key, time_of(answered));
        set(f, TRACE_HOP_TAKEN, taken ? taken : trace_index_last(&w->taken, received->key, UINT64_MAX - 1));
    }
    return PS_OK;
}

/* A gradient whose messages no ps says to have received: it is in this process, or took them from its log. */
static ps_status follow_unheard(finder *w, const trace_spot *applied, bool *any)
{
    const trace_event *e = &applied->entry->event;
    const uint64_t key[] = {trace_key_pair(trace_part_server(&w->parts[applied->part]), e->peer),
                            e->incarnation, e->step};
    const trace_spot *end = w->sent_by_step.spots + w->sent_by_step.count;
    for (const trace_spot *sent = trace_index_first(&w->sent_by_step, key, 0);
         sent && sent < end && sent->key[0] == key[0] && sent->key[1] == key[1] && sent->key[2] == key[2] &&
         time_of(sent) <= e->begun_ns;
         sent++) {
        trace_flow *f = add(w);
        if (!f)
            return PS_ENOMEM;
        const uint64_t request_key[] = {key[0], key[1], sent->entry->event.request};
        f->pushes = true;
        set(f, TRACE_HOP_SENT, sent);
        set(f, TRACE_HOP_APPLIED, applied);
        set(f, TRACE_HOP_TAKEN, trace_index_first(&w->taken, request_key, e->begun_ns));
        *any = true;
    }
    return PS_OK;
}

static int by_entry(const void *left, const void *right)
{
    const trace_entry *a = *(const trace_entry *const *)left, *b = *(const trace_entry *const *)right;
    return a < b ? -1 : a > b;
}

/* The gradients to which a push leads, sorted; the caller frees. NULL: out of memory. */
static const trace_entry **list_led_to(const trace_flows *flows, size_t *count)
{
    const trace_entry **list = calloc(flows->count + 1, sizeof *list);
    *count = 0;
    for (size_t i = 0; list && i < flows->count; i++)
        if (flows->list[i].hops[TRACE_HOP_APPLIED].entry && flows->list[i].hops[TRACE_HOP_SENT].entry)
            list[(*count)++] = flows->list[i].hops[TRACE_HOP_APPLIED].entry;
    if (list)
        qsort(list, *count, sizeof *list, by_entry);
    return list;
}

static ps_status follow_all(finder *w)
{
    ps_status status = PS_OK;
    for (size_t i = 0; i < w->received.count && status == PS_OK; i++)
        status = follow(w, &w->received.spots[i]);
    size_t led_count = 0;
    const trace_entry **led_to = status == PS_OK ? list_led_to(w->out, &led_count) : NULL;
    if (!led_to)
        return PS_ENOMEM;
    w->out->applied = w->applied.count;
    for (size_t i = 0; i < w->applied.count && status == PS_OK; i++) {
        const trace_spot *spot = &w->applied.spots[i];
        bool known = bsearch(&spot->entry, led_to, led_count, sizeof *led_to, by_entry);
        if (!known)
            status = follow_unheard(w, spot, &known);
        w->out->applied_alone += !known;
    }
    free(led_to);
    return status;
}

ps_status trace_flow_find(const trace_part *parts, size_t count, trace_flows *out)
{
    finder w = {.parts = parts, .out = out};
    *out = (trace_flows){.count = 0};
    ps_status status = trace_index_make(parts, count, TRACE_INDEX_SENT, &w.sent);
    if (status == PS_OK)
        status = trace_index_make(parts, count, TRACE_INDEX_SENT_BY_STEP, &w.sent_by_step);
    if (status == PS_OK)
        status = trace_index_make(parts, count, TRACE_INDEX_RECEIVED, &w.received);
    if (status == PS_OK)
        status = trace_index_make(parts, count, TRACE_INDEX_APPLIED, &w.applied);
    if (status == PS_OK)
        status = trace_index_make(parts, count, TRACE_INDEX_ANSWERED, &w.answered);
    if (status == PS_OK)
        status = trace_index_make(parts, count, TRACE_INDEX_TAKEN, &w.taken);
    if (status == PS_OK)
        status = follow_all(&w);
    trace_index_fini(&w.sent);
    trace_index_fini(&w.sent_by_step);
    trace_index_fini(&w.received);
    trace_index_fini(&w.applied);
    trace_index_fini(&w.answered);
    trace_index_fini(&w.taken);
    if (status != PS_OK)
        trace_flow_fini(out);
    return status;
}

void trace_flow_fini(trace_flows *flows)
{
    free(flows->list);
    *flows = (trace_flows){.count = 0};
}
