/* trace_index.c - see trace_index.h. */
#include "deploy/trace/trace_index.h"

#include <stdlib.h>
#include <string.h>

uint64_t trace_key_pair(size_t first, uint16_t member)
{
    return (uint64_t)first << 16 | member;
}

uint32_t trace_part_server(const trace_part *p)
{
    return p->head.role == TRACE_OF_PS ? p->head.index : 0;
}

/* Is this event one for the index? Then its key. */
static bool make_key(const trace_part *p, size_t part, const trace_event *e, trace_index_kind kind,
                     uint64_t key[TRACE_KEY_WORDS])
{
    const bool pushed = e->kind == TRACE_PUSH_SENT;
    key[1] = e->incarnation;
    key[2] = e->request;
    switch (kind) {
    case TRACE_INDEX_SENT:
        key[0] = trace_key_pair(e->peer, e->member);
        return pushed || e->kind == TRACE_PULL_SENT;
    case TRACE_INDEX_SENT_BY_STEP:
        key[0] = trace_key_pair(e->peer, e->member);
        key[2] = e->step;
        return pushed;
    case TRACE_INDEX_RECEIVED:
        key[0] = trace_key_pair(trace_part_server(p), e->peer);
        return e->kind == TRACE_PUSH_RECEIVED || e->kind == TRACE_PULL_RECEIVED;
    case TRACE_INDEX_APPLIED:
        key[0] = trace_key_pair(part, e->peer);
        key[2] = e->step;
        return e->kind == TRACE_APPLIED;
    case TRACE_INDEX_ANSWERED:
        key[0] = part;
        key[1] = e->value;
        return e->kind == TRACE_ANSWERED;
    case TRACE_INDEX_TAKEN:
        key[0] = trace_key_pair(e->peer, e->member);
        return e->kind == TRACE_TAKEN;
    }
    return false;
}

static int compare_keys(const uint64_t *a, const uint64_t *b)
{
    for (int i = 0; i < TRACE_KEY_WORDS; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

static int compare_spots(const void *left, const void *right)
{
    const trace_spot *a = left, *b = right;
    const int order = compare_keys(a->key, b->key);
    if (order != 0)
        return order;
    const uint64_t s = a->entry->event.begun_ns, t = b->entry->event.begun_ns;
    return s < t ? -1 : s > t;
}

/* With `spots` NULL: only counts. */
static size_t collect(const trace_part *parts, size_t count, trace_index_kind kind, trace_spot *spots)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < parts[i].entry_count; k++) {
            trace_spot spot = {.part = i, .entry = &parts[i].entries[k]};
            if (!make_key(&parts[i], i, &spot.entry->event, kind, spot.key))
                continue;
            if (spots)
                spots[found] = spot;
            found++;
        }
    }
    return found;
}

ps_status trace_index_make(const trace_part *parts, size_t count, trace_index_kind kind, trace_index *out)
{
    out->count = collect(parts, count, kind, NULL);
    out->spots = calloc(out->count + 1, sizeof *out->spots);
    if (!out->spots)
        return PS_ENOMEM;
    collect(parts, count, kind, out->spots);
    qsort(out->spots, out->count, sizeof *out->spots, compare_spots);
    return PS_OK;
}

void trace_index_fini(trace_index *index)
{
    free(index->spots);
    *index = (trace_index){.count = 0};
}

/* The first spot that is not before (key, time). */
static size_t lower_bound(const trace_index *index, const uint64_t *key, uint64_t at_ns)
{
    size_t first = 0, end = index->count;
    while (first < end) {
        const size_t middle = first + (end - first) / 2;
        const trace_spot *at = &index->spots[middle];
        const int order = compare_keys(at->key, key);
        if (order < 0 || (order == 0 && at->entry->event.begun_ns < at_ns))
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

static const trace_spot *spot_of(const trace_index *index, size_t at, const uint64_t *key)
{
    return at < index->count && compare_keys(index->spots[at].key, key) == 0 ? &index->spots[at] : NULL;
}

const trace_spot *trace_index_first(const trace_index *index, const uint64_t key[TRACE_KEY_WORDS],
                                    uint64_t from_ns)
{
    return spot_of(index, lower_bound(index, key, from_ns), key);
}

const trace_spot *trace_index_last(const trace_index *index, const uint64_t key[TRACE_KEY_WORDS],
                                   uint64_t until_ns)
{
    const size_t behind = lower_bound(index, key, until_ns + 1);
    return behind > 0 ? spot_of(index, behind - 1, key) : NULL;
}

const trace_spot *trace_index_only(const trace_index *index, const uint64_t key[TRACE_KEY_WORDS])
{
    const size_t at = lower_bound(index, key, 0);
    return spot_of(index, at + 1, key) ? NULL : spot_of(index, at, key);
}
