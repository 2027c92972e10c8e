/* trace_clock.c - see trace_clock.h. */
#include "deploy/trace/trace_clock.h"

#include <stdlib.h>
#include <string.h>

#include "deploy/trace/trace_index.h"

#define BEHIND_MAX_NS (INT64_MAX / 4) /* a century: what is more is no calendar */

/* One exchange between two hosts. */
typedef struct {
    uint32_t worker, server; /* hosts */
    uint64_t at_ns;          /* by the worker's clock */
    int64_t ahead_ns;        /* the server's clock */
    uint64_t way_ns;         /* both ways together */
} exchange;

/* By this much a clock is behind that of its host's parent. */
typedef struct {
    uint64_t at_ns;
    int64_t behind_ns;
    uint64_t way_ns;
} knot;

typedef struct {
    const trace_part *first; /* of its parts */
    bool placed;
    uint32_t parent; /* the host by whose clock this one is known; itself: the one to which all go */
    knot *knots;     /* (knot_count) by time */
    size_t knot_count;
    uint64_t uncertain_ns; /* to the end of the chain of parents */
} host;

typedef struct {
    trace_part *parts;
    size_t part_count;
    uint32_t *host_of; /* (part_count) */
    host *hosts;
    uint32_t host_count;
    exchange *exchanges;
    size_t exchange_count;
} aligner;

/* ---- hosts ---- */

static bool share_clock(const trace_head *a, const trace_head *b)
{
    return a->clock[0] ? strcmp(a->clock, b->clock) == 0 : strcmp(a->host, b->host) == 0;
}

static void find_hosts(aligner *a)
{
    for (size_t i = 0; i < a->part_count; i++) {
        uint32_t h = 0;
        while (h < a->host_count && !share_clock(&a->parts[i].head, &a->hosts[h].first->head))
            h++;
        if (h == a->host_count)
            a->hosts[a->host_count++] = (host){.first = &a->parts[i]};
        a->host_of[i] = h;
    }
}

/* ---- exchanges ---- */

static uint64_t time_of(const trace_spot *spot)
{
    return spot->entry->event.begun_ns;
}

/* Only of requests that were sent once, and answered once. */
static bool find_exchange(const aligner *a, const trace_spot *received, const trace_index *sent,
                          const trace_index *answered, const trace_index *taken, exchange *out)
{
    const trace_event *e = &received->entry->event;
    const uint64_t answer_key[] = {received->part, e->value, e->request};
    const trace_spot *t1 = trace_index_only(sent, received->key);
    const trace_spot *t3 = trace_index_only(answered, answer_key);
    const trace_spot *t4 = trace_index_only(taken, received->key);
    if (!t1 || !t3 || !t4 || a->host_of[t1->part] == a->host_of[received->part])
        return false;
    const int64_t there = (int64_t)(time_of(received) - time_of(t1));
    const int64_t back = (int64_t)(time_of(t3) - time_of(t4));
    const int64_t way = there - back;
    *out = (exchange){
        .worker = a->host_of[t1->part],
        .server = a->host_of[received->part],
        .at_ns = time_of(t1),
        .ahead_ns = there / 2 + back / 2,
        .way_ns = way > 0 ? (uint64_t)way : 0,
    };
    return way >= 0;
}

static ps_status find_exchanges(aligner *a)
{
    static const trace_index_kind kinds[] = {TRACE_INDEX_RECEIVED, TRACE_INDEX_SENT, TRACE_INDEX_ANSWERED,
                                             TRACE_INDEX_TAKEN};
    enum { RECEIVED, SENT, ANSWERED, TAKEN, COUNT };
    trace_index indexes[COUNT] = {{.count = 0}};
    ps_status status = PS_OK;
    for (int i = 0; i < COUNT && status == PS_OK; i++)
        status = trace_index_make(a->parts, a->part_count, kinds[i], &indexes[i]);
    if (status == PS_OK)
        a->exchanges = calloc(indexes[RECEIVED].count + 1, sizeof *a->exchanges);
    for (size_t i = 0; a->exchanges && i < indexes[RECEIVED].count; i++)
        a->exchange_count += find_exchange(a, &indexes[RECEIVED].spots[i], &indexes[SENT], &indexes[ANSWERED],
                                           &indexes[TAKEN], &a->exchanges[a->exchange_count]);
    for (int i = 0; i < COUNT; i++)
        trace_index_fini(&indexes[i]);
    return a->exchanges ? status : PS_ENOMEM;
}

/* ---- from host to host ---- */

/* The same, as seen from `child`, whose parent the other one is; false if it is between others. */
static bool as_knot(const exchange *e, uint32_t child, uint32_t parent, knot *out)
{
    const bool works = e->worker == child && e->server == parent;
    if (!works && !(e->server == child && e->worker == parent))
        return false;
    *out = (knot){
        .at_ns = works ? e->at_ns : e->at_ns + (uint64_t)e->ahead_ns,
        .behind_ns = works ? e->ahead_ns : -e->ahead_ns,
        .way_ns = e->way_ns,
    };
    return true;
}

static int by_time(const void *left, const void *right)
{
    const knot *a = left, *b = right;
    return a->at_ns < b->at_ns ? -1 : a->at_ns > b->at_ns;
}

/* Leaves of each window the quickest. */
static void thin_out(host *h)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->knot_count; i++) {
        const bool same = kept > 0 && h->knots[i].at_ns / TRACE_CLOCK_WINDOW_NS ==
                                          h->knots[kept - 1].at_ns / TRACE_CLOCK_WINDOW_NS;
        if (!same)
            h->knots[kept++] = h->knots[i];
        else if (h->knots[i].way_ns < h->knots[kept - 1].way_ns)
            h->knots[kept - 1] = h->knots[i];
    }
    h->knot_count = kept;
}

static ps_status attach(aligner *a, uint32_t child, uint32_t parent)
{
    host *h = &a->hosts[child];
    uint64_t quickest_ns = UINT64_MAX;
    h->knots = calloc(a->exchange_count, sizeof *h->knots);
    if (!h->knots)
        return PS_ENOMEM;
    for (size_t i = 0; i < a->exchange_count; i++)
        h->knot_count += as_knot(&a->exchanges[i], child, parent, &h->knots[h->knot_count]);
    qsort(h->knots, h->knot_count, sizeof *h->knots, by_time);
    thin_out(h);
    for (size_t i = 0; i < h->knot_count; i++)
        if (h->knots[i].way_ns < quickest_ns)
            quickest_ns = h->knots[i].way_ns;
    h->parent = parent;
    h->placed = true;
    h->uncertain_ns = a->hosts[parent].uncertain_ns + quickest_ns / 2;
    return PS_OK;
}

/* The quickest exchange between a host that is placed and one that is not; NULL: there is none. */
static const exchange *next_edge(const aligner *a)
{
    const exchange *best = NULL;
    for (size_t i = 0; i < a->exchange_count; i++) {
        const exchange *e = &a->exchanges[i];
        if (a->hosts[e->worker].placed != a->hosts[e->server].placed && (!best || e->way_ns < best->way_ns))
            best = e;
    }
    return best;
}

/* How far a host's calendar is ahead of its clock. */
static uint64_t calendar_ns(const host *h)
{
    return h->first->head.incarnation - h->first->head.monotonic_ns;
}

static ps_status place_by_calendar(aligner *a, uint32_t child)
{
    host *h = &a->hosts[child];
    h->knots = calloc(1, sizeof *h->knots);
    if (!h->knots)
        return PS_ENOMEM;
    const int64_t behind_ns = (int64_t)(calendar_ns(h) - calendar_ns(&a->hosts[0]));
    h->knots[0].behind_ns = behind_ns > -BEHIND_MAX_NS && behind_ns < BEHIND_MAX_NS ? behind_ns : 0;
    h->knot_count = 1;
    h->placed = true;
    return PS_OK;
}

static ps_status place_all(aligner *a, trace_clocks *found)
{
    ps_status status = PS_OK;
    const exchange *e;
    a->hosts[0].placed = true;
    while (status == PS_OK && (e = next_edge(a))) {
        const bool worker_is_new = !a->hosts[e->worker].placed;
        status = attach(a, worker_is_new ? e->worker : e->server, worker_is_new ? e->server : e->worker);
    }
    for (uint32_t i = 0; i < a->host_count && status == PS_OK; i++) {
        if (!a->hosts[i].placed) {
            status = place_by_calendar(a, i);
            found->by_calendar++;
        }
        if (a->hosts[i].uncertain_ns > found->uncertain_ns)
            found->uncertain_ns = a->hosts[i].uncertain_ns;
    }
    return status;
}

/* ---- moving ---- */

static int64_t behind_at(const host *h, uint64_t at_ns)
{
    size_t next = 0, end = h->knot_count;
    while (next < end) {
        const size_t middle = next + (end - next) / 2;
        if (h->knots[middle].at_ns <= at_ns)
            next = middle + 1;
        else
            end = middle;
    }
    if (next == 0)
        return h->knots[0].behind_ns;
    const knot *a = &h->knots[next - 1];
    if (next == h->knot_count)
        return a->behind_ns;
    const knot *b = &h->knots[next];
    const double share = (double)(at_ns - a->at_ns) / (double)(b->at_ns - a->at_ns);
    return a->behind_ns + (int64_t)(share * (double)(b->behind_ns - a->behind_ns));
}

/* No earlier than 0, where what is hostile would go. */
static uint64_t move(const aligner *a, uint32_t h, uint64_t at_ns)
{
    while (a->hosts[h].parent != h) {
        const int64_t behind = behind_at(&a->hosts[h], at_ns);
        at_ns = behind < 0 && (uint64_t)-behind > at_ns ? 0 : at_ns + (uint64_t)behind;
        h = a->hosts[h].parent;
    }
    return at_ns;
}

static void move_all(aligner *a)
{
    for (size_t i = 0; i < a->part_count; i++) {
        trace_part *p = &a->parts[i];
        const uint32_t h = a->host_of[i];
        p->head.monotonic_ns = move(a, h, p->head.monotonic_ns);
        for (size_t k = 0; k < p->entry_count; k++) {
            trace_event *e = &p->entries[k].event;
            e->begun_ns = move(a, h, e->begun_ns);
            e->ended_ns = move(a, h, e->ended_ns);
        }
        for (size_t k = 0; k < p->mark_count; k++)
            p->marks[k].at_ns = move(a, h, p->marks[k].at_ns);
    }
}

ps_status trace_clock_align(trace_part *parts, size_t count, trace_clocks *found)
{
    aligner a = {.parts = parts, .part_count = count};
    *found = (trace_clocks){.hosts = 0};
    a.host_of = calloc(count + 1, sizeof *a.host_of);
    a.hosts = calloc(count + 1, sizeof *a.hosts);
    ps_status status = a.host_of && a.hosts ? PS_OK : PS_ENOMEM;
    if (status == PS_OK)
        find_hosts(&a);
    found->hosts = a.host_count;
    if (status == PS_OK && a.host_count > 1) {
        status = find_exchanges(&a);
        if (status == PS_OK)
            status = place_all(&a, found);
        if (status == PS_OK)
            move_all(&a);
    }
    for (uint32_t i = 0; i < a.host_count; i++)
        free(a.hosts[i].knots);
    free(a.exchanges);
    free(a.hosts);
    free(a.host_of);
    return status;
}
