/* network.c - see network.h. Events lie in a binary heap by time, those of one time in the order of their
 * making. */
#include "tests/sim/network.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/dice.h"
#include "tests/sim/sum.h"

/* A message under way. */
typedef struct {
    uint32_t from, to;
    uint64_t number; /* in the order of sending */
    wire_type type;  /* these three for the trace */
    uint64_t step, request;
    buffer *header;
    uint64_t checksum; /* of the payloads, when they were sent */
    uint64_t bytes;    /* of payloads */
    uint32_t count;
    buffer *payloads[]; /* lent by the sender until the departure, then the network's own */
} parcel;

typedef enum { EVENT_DEPARTURE, EVENT_ARRIVAL, EVENT_WAKE } event_kind;

typedef struct {
    uint64_t at_ms, number;
    event_kind kind;
    uint32_t address; /* EVENT_WAKE */
    parcel *parcel;   /* else; NULL: its sender was closed */
} event;

struct network {
    network_weather weather;
    const trace *trace;
    dice dice;
    uint64_t now_ms, events_made, parcels_made;
    uint32_t event_count, under_way;
    event *heap; /* (NETWORK_EVENTS_MAX) */
    uint64_t bytes_under_way;
    bool closed[NETWORK_ADDRESSES_MAX];
    uint32_t hosts[NETWORK_ADDRESSES_MAX];
    uint64_t paused_until_ms[NETWORK_HOSTS_MAX];
    char names[NETWORK_ADDRESSES_MAX][TRACE_NAME_BYTES];
    uint64_t newest[NETWORK_ADDRESSES_MAX][NETWORK_ADDRESSES_MAX]; /* [from][to]: highest number delivered */
    network_counters counters;
};

static void parcel_destroy(parcel *p)
{
    buffer_unref(&p->header);
    for (uint32_t i = 0; i < p->count; i++)
        buffer_unref(&p->payloads[i]);
    free(p);
}

ps_status network_create(uint64_t seed, const network_weather *weather, const trace *t, network **out)
{
    network *n = calloc(1, sizeof *n);
    *out = n;
    if (!n)
        return PS_ENOMEM;
    n->weather = *weather;
    n->trace = t;
    n->dice = dice_for(seed, "network", 0);
    n->now_ms = 1;
    n->heap = malloc(NETWORK_EVENTS_MAX * sizeof *n->heap);
    if (!n->heap) {
        network_destroy(out);
        return PS_ENOMEM;
    }
    return PS_OK;
}

void network_destroy(network **handle)
{
    network *n = *handle;
    *handle = NULL;
    if (!n)
        return;
    for (uint32_t i = 0; i < n->event_count; i++)
        if (n->heap[i].parcel)
            parcel_destroy(n->heap[i].parcel);
    free(n->heap);
    free(n);
}

void network_open(network *n, uint32_t address, uint32_t host, const char *name)
{
    n->hosts[address] = host;
    snprintf(n->names[address], TRACE_NAME_BYTES, "%s", name);
}

const char *network_name_of(const network *n, uint32_t address)
{
    return n->names[address];
}

/* ---- the heap ---- */

static bool is_sooner(const event *a, const event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->number < b->number;
}

static ps_status add_event(network *n, uint64_t at_ms, event_kind kind, uint32_t address, parcel *p)
{
    if (n->event_count == NETWORK_EVENTS_MAX)
        return PS_ELIMIT;
    event added = {
        .at_ms = at_ms > n->now_ms ? at_ms : n->now_ms,
        .number = n->events_made++,
        .kind = kind,
        .address = address,
        .parcel = p,
    };
    uint32_t hole = n->event_count++;
    while (hole > 0 && is_sooner(&added, &n->heap[(hole - 1) / 2])) {
        n->heap[hole] = n->heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    n->heap[hole] = added;
    return PS_OK;
}

static event take_event(network *n)
{
    event first = n->heap[0], sinking = n->heap[--n->event_count];
    uint32_t hole = 0;
    for (;;) {
        uint32_t child = 2 * hole + 1;
        if (child >= n->event_count)
            break;
        if (child + 1 < n->event_count && is_sooner(&n->heap[child + 1], &n->heap[child]))
            child++;
        if (!is_sooner(&n->heap[child], &sinking))
            break;
        n->heap[hole] = n->heap[child];
        hole = child;
    }
    n->heap[hole] = sinking;
    return first;
}

/* ---- sending ---- */

static void trace_parcel(const network *n, const parcel *p, const char *what)
{
    if (!n->trace->file)
        return;
    trace_line(n->trace, n->now_ms, "%-12s -> %-12s %-9s step %-3llu request %-4llu %s", n->names[p->from],
               n->names[p->to], wire_type_name(p->type), (unsigned long long)p->step,
               (unsigned long long)p->request, what);
}

static uint64_t checksum(const parcel *p)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < p->count; i++)
        sum = sum_of_words(sum, buffer_bytes(p->payloads[i]), buffer_size(p->payloads[i]));
    return sum;
}

static parcel *make_parcel(network *n, uint32_t from, uint32_t to, const wire_message *m)
{
    uint32_t count = m->has_payload ? m->slice_count : 0;
    parcel *p = calloc(1, sizeof *p + count * sizeof p->payloads[0]);
    if (!p)
        return NULL;
    if (wire_encode(m, &p->header) != PS_OK) {
        free(p);
        return NULL;
    }
    p->from = from;
    p->to = to;
    p->number = ++n->parcels_made;
    p->type = m->type;
    p->step = m->step;
    p->request = m->request;
    p->count = count;
    for (uint32_t i = 0; i < count; i++) {
        p->payloads[i] = buffer_ref(m->payloads[i]);
        p->bytes += buffer_size(p->payloads[i]);
    }
    p->checksum = checksum(p);
    return p;
}

ps_status network_send(network *n, uint32_t from, uint32_t to, wire_message **message)
{
    parcel *p = make_parcel(n, from, to, *message);
    wire_destroy(message);
    if (!p)
        return PS_ENOMEM;
    uint64_t wait_ms = dice_between(&n->dice, 0, n->weather.departure_max_ms);
    ps_status status = n->bytes_under_way + p->bytes > NETWORK_BYTES_MAX
                           ? PS_ELIMIT
                           : add_event(n, n->now_ms + wait_ms, EVENT_DEPARTURE, 0, p);
    if (status != PS_OK) {
        parcel_destroy(p);
        return status;
    }
    n->counters.sent++;
    n->under_way++;
    n->bytes_under_way += p->bytes;
    return PS_OK;
}

ps_status network_wake(network *n, uint32_t address, uint64_t at_ms)
{
    return add_event(n, at_ms, EVENT_WAKE, address, NULL);
}

static void end_parcel(network *n, parcel *p)
{
    n->under_way--;
    n->bytes_under_way -= p->bytes;
    parcel_destroy(p);
}

void network_drop_unsent(network *n, uint32_t address)
{
    for (uint32_t i = 0; i < n->event_count; i++) {
        event *e = &n->heap[i];
        if (e->kind == EVENT_DEPARTURE && e->parcel && e->parcel->from == address) {
            end_parcel(n, e->parcel);
            e->parcel = NULL;
        }
    }
}

void network_close(network *n, uint32_t address)
{
    n->closed[address] = true;
    network_drop_unsent(n, address);
}

void network_pause(network *n, uint32_t host, uint64_t until_ms)
{
    n->paused_until_ms[host] = until_ms;
}

/* ---- on the way ---- */

static bool is_calm(const network *n)
{
    return n->now_ms >= n->weather.calm_at_ms;
}

static bool contains(uint32_t hosts, uint32_t host)
{
    return hosts >> host & 1;
}

static bool is_cut(const network *n, const parcel *p)
{
    const uint32_t from = n->hosts[p->from], to = n->hosts[p->to];
    const uint64_t now_ms = n->weather.cut_every_ms ? n->now_ms % n->weather.cut_every_ms : n->now_ms;
    for (uint32_t i = 0; i < n->weather.cut_count; i++) {
        const network_cut *cut = &n->weather.cuts[i];
        bool between = (contains(cut->from, from) && contains(cut->to, to)) ||
                       (!cut->one_way && contains(cut->from, to) && contains(cut->to, from));
        if (between && now_ms >= cut->from_ms && now_ms < cut->until_ms)
            return true;
    }
    return false;
}

/* Gives `p` payload bytes of its own, for those that it had by reference. */
static ps_status own_payloads(parcel *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        buffer *copy = buffer_alloc(buffer_size(p->payloads[i]));
        if (!copy)
            return PS_ENOMEM;
        memcpy(buffer_data(copy), buffer_bytes(p->payloads[i]), buffer_size(copy));
        buffer_unref(&p->payloads[i]);
        p->payloads[i] = copy;
    }
    return PS_OK;
}

static parcel *repeat_parcel(const parcel *p)
{
    size_t bytes = sizeof *p + p->count * sizeof p->payloads[0];
    parcel *repeat = malloc(bytes);
    if (!repeat)
        return NULL;
    memcpy(repeat, p, bytes);
    buffer_ref(repeat->header);
    for (uint32_t i = 0; i < repeat->count; i++)
        buffer_ref(repeat->payloads[i]);
    if (own_payloads(repeat) != PS_OK) {
        parcel_destroy(repeat);
        return NULL;
    }
    return repeat;
}

static ps_status travel(network *n, parcel *p)
{
    bool strays = !is_calm(n) && dice_chance(&n->dice, n->weather.stray_per_mille);
    uint64_t longest_ms = strays ? n->weather.stray_max_ms : n->weather.delay_max_ms;
    ps_status status = add_event(n, n->now_ms + dice_between(&n->dice, 1, longest_ms), EVENT_ARRIVAL, 0, p);
    if (status != PS_OK)
        end_parcel(n, p);
    return status;
}

static ps_status depart(network *n, parcel *p)
{
    if (checksum(p) != p->checksum) {
        trace_parcel(n, p, "was written to after it had been sent");
        end_parcel(n, p);
        return PS_ESTATE;
    }
    bool cut = !is_calm(n) && is_cut(n, p);
    if (cut || (!is_calm(n) && dice_chance(&n->dice, n->weather.loss_per_mille))) {
        n->counters.lost++;
        trace_parcel(n, p, cut ? "is cut off" : "is lost");
        end_parcel(n, p);
        return PS_OK;
    }
    if (own_payloads(p) != PS_OK) {
        end_parcel(n, p);
        return PS_ENOMEM;
    }
    if (!is_calm(n) && dice_chance(&n->dice, n->weather.repeat_per_mille)) {
        parcel *repeat = repeat_parcel(p);
        if (!repeat) {
            end_parcel(n, p);
            return PS_ENOMEM;
        }
        n->counters.repeated++;
        n->under_way++;
        n->bytes_under_way += repeat->bytes;
        trace_parcel(n, p, "is repeated");
        ps_status status = travel(n, repeat);
        if (status != PS_OK) {
            end_parcel(n, p);
            return status;
        }
    }
    return travel(n, p);
}

/* Ends the parcel and makes a message of it again. */
static ps_status arrive(network *n, parcel *p, wire_message **message, ps_error *error)
{
    size_t sizes[WIRE_SLICES_MAX];
    for (uint32_t i = 0; i < p->count; i++)
        sizes[i] = buffer_size(p->payloads[i]);
    ps_status status =
        wire_decode(buffer_bytes(p->header), buffer_size(p->header), sizes, p->count, message, error);
    if (status == PS_OK) {
        for (uint32_t i = 0; i < p->count; i++) {
            (*message)->payloads[i] = p->payloads[i];
            p->payloads[i] = NULL;
        }
        uint64_t *newest = &n->newest[p->from][p->to];
        n->counters.overtaken += p->number < *newest;
        if (p->number > *newest)
            *newest = p->number;
        n->counters.delivered++;
        trace_parcel(n, p, "arrives");
    }
    end_parcel(n, p);
    return status;
}

/* When the host that the event is of goes on. */
static uint64_t paused_until(const network *n, const event *e)
{
    uint32_t address = e->kind == EVENT_WAKE ? e->address : 0;
    if (e->parcel)
        address = e->kind == EVENT_DEPARTURE ? e->parcel->from : e->parcel->to;
    return n->paused_until_ms[n->hosts[address]];
}

ps_status network_next(network *n, network_event *out, ps_error *error)
{
    *out = (network_event){.kind = NETWORK_SILENCE};
    while (n->event_count > 0) {
        event e = take_event(n);
        n->now_ms = e.at_ms;
        if (paused_until(n, &e) > n->now_ms) { /* there is room: it has just been taken */
            add_event(n, paused_until(n, &e), e.kind, e.address, e.parcel);
            continue;
        }
        if (e.kind == EVENT_WAKE) {
            if (n->closed[e.address])
                continue;
            *out = (network_event){.kind = NETWORK_WAKE, .to = e.address};
            return PS_OK;
        }
        if (!e.parcel)
            continue;
        if (n->closed[e.parcel->to]) {
            end_parcel(n, e.parcel);
            continue;
        }
        if (e.kind == EVENT_ARRIVAL) {
            *out = (network_event){.kind = NETWORK_MESSAGE, .to = e.parcel->to, .from = e.parcel->from};
            return arrive(n, e.parcel, &out->message, error);
        }
        uint32_t from = e.parcel->from;
        ps_status status = depart(n, e.parcel);
        if (status == PS_ESTATE)
            return ps_fail(error, status,
                           "memory: %s has written to what it had sent, but what was still being read",
                           n->names[from]);
        if (status != PS_OK)
            return ps_fail(error, status, "bounds: the simulated network: %s", ps_status_text(status));
    }
    return PS_OK;
}

uint64_t network_now(const network *n)
{
    return n->now_ms;
}

uint32_t network_under_way(const network *n)
{
    return n->under_way;
}

const network_counters *network_count(const network *n)
{
    return &n->counters;
}
