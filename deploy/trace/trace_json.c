/* trace_json.c - see trace_json.h. */
#include "deploy/trace/trace_json.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/log.h"

enum { FIRST_TID = 1000000, QUOTED_BYTES = 2048 }; /* above every pid: some readers confuse the two */

typedef struct {
    trace_lane lane;
    trace_shape shape;
    const char *name, *value;
} kind_info;

static const kind_info kinds[TRACE_KIND_COUNT] = {
#define TRACE_KIND_INFO(id, its_shape, its_lane, its_name, its_value) \
    [id] = {.lane = its_lane, .shape = its_shape, .name = its_name, .value = its_value},
    TRACE_KINDS(TRACE_KIND_INFO)
#undef TRACE_KIND_INFO
};

static const char *const lane_names[TRACE_LANE_COUNT] = {
#define TRACE_LANE_NAME(id, name) [id] = name,
    TRACE_LANES(TRACE_LANE_NAME)
#undef TRACE_LANE_NAME
};

/* One lane of one thread that has something in it. */
typedef struct {
    uint32_t thread;
    trace_lane lane;
    unsigned tid;
    uint64_t spans_until_ns; /* the last end of a span in it; 0: there is none */
} track;

typedef struct {
    const trace_part *part;
    unsigned pid;
    const trace_entry **sorted; /* (part->entry_count) by track; spans of one as they contain each other */
    track *tracks;              /* (track_count) sorted as well */
    size_t track_count;
    unsigned marks_tid;
} process;

typedef struct {
    FILE *out;
    bool begun; /* something stands in the list */
    uint64_t base_ns;
    process *processes;
    size_t count;
    unsigned next_tid;
    trace_json_counts *counts;
} writer;

/* ---- tracks ---- */

static trace_lane lane_of(const trace_entry *entry)
{
    return kinds[entry->event.kind].lane;
}

static int compare_tracks(const trace_entry *a, const trace_entry *b)
{
    if (a->thread != b->thread)
        return a->thread < b->thread ? -1 : 1;
    return (int)lane_of(a) - (int)lane_of(b);
}

/* What begins first comes first, and of those that begin together the longest. */
static int compare_entries(const void *left, const void *right)
{
    const trace_entry *a = *(const trace_entry *const *)left, *b = *(const trace_entry *const *)right;
    const int order = compare_tracks(a, b);
    if (order != 0)
        return order;
    if (a->event.begun_ns != b->event.begun_ns)
        return a->event.begun_ns < b->event.begun_ns ? -1 : 1;
    return a->event.ended_ns > b->event.ended_ns ? -1 : a->event.ended_ns < b->event.ended_ns;
}

static ps_status sort_process(writer *w, process *p)
{
    const size_t count = p->part->entry_count;
    p->sorted = calloc(count + 1, sizeof *p->sorted);
    p->tracks = calloc(count + 1, sizeof *p->tracks);
    if (!p->sorted || !p->tracks)
        return PS_ENOMEM;
    for (size_t i = 0; i < count; i++)
        p->sorted[i] = &p->part->entries[i];
    qsort(p->sorted, count, sizeof *p->sorted, compare_entries);
    p->marks_tid = w->next_tid++;
    for (size_t i = 0; i < count; i++) {
        const trace_lane lane = lane_of(p->sorted[i]);
        const trace_event *e = &p->sorted[i]->event;
        if (i == 0 || compare_tracks(p->sorted[i - 1], p->sorted[i]) != 0)
            p->tracks[p->track_count++] = (track){.thread = p->sorted[i]->thread,
                                                  .lane = lane,
                                                  .tid = lane == TRACE_MARKS ? p->marks_tid : w->next_tid++};
        track *t = &p->tracks[p->track_count - 1];
        if (kinds[e->kind].shape == TRACE_SPAN && e->ended_ns > t->spans_until_ns)
            t->spans_until_ns = e->ended_ns;
    }
    return PS_OK;
}

static int compare_to_track(const void *key, const void *element)
{
    const trace_entry *entry = key;
    const track *t = element;
    if (entry->thread != t->thread)
        return entry->thread < t->thread ? -1 : 1;
    return (int)lane_of(entry) - (int)t->lane;
}

static const track *track_of(const process *p, const trace_entry *entry)
{
    return bsearch(entry, p->tracks, p->track_count, sizeof *p->tracks, compare_to_track);
}

static unsigned tid_of(const process *p, const trace_entry *entry)
{
    return track_of(p, entry)->tid;
}

/* ---- writing ---- */

/* Ends the event before, if there is one, and begins the next. */
static void begin(writer *w, const char *phase, unsigned pid, unsigned tid)
{
    fprintf(w->out, "%s{\"ph\":\"%s\",\"pid\":%u,\"tid\":%u", w->begun ? ",\n" : "\n", phase, pid, tid);
    w->begun = true;
}

static void put_text(writer *w, const char *key, const char *text)
{
    char quoted[QUOTED_BYTES];
    json_quote(text, quoted, sizeof quoted);
    fprintf(w->out, ",\"%s\":%s", key, quoted);
}

static void put_us(writer *w, const char *key, uint64_t ns)
{
    fprintf(w->out, ",\"%s\":%llu.%03u", key, (unsigned long long)(ns / 1000), (unsigned)(ns % 1000));
}

static void put_time(writer *w, uint64_t at_ns)
{
    put_us(w, "ts", at_ns > w->base_ns ? at_ns - w->base_ns : 0);
}

static void put_named(writer *w, unsigned pid, unsigned tid, const char *what, const char *name)
{
    begin(w, "M", pid, tid);
    put_text(w, "name", what);
    fputs(",\"args\":{\"name\":", w->out);
    char quoted[QUOTED_BYTES];
    json_quote(name, quoted, sizeof quoted);
    fprintf(w->out, "%s}}", quoted);
}

static void put_order(writer *w, unsigned pid, unsigned tid, const char *what, unsigned place)
{
    begin(w, "M", pid, tid);
    put_text(w, "name", what);
    fprintf(w->out, ",\"args\":{\"sort_index\":%u}}", place);
}

/* The members and evaluators of `peer`, or the ps. */
static void put_peer(writer *w, const trace_part *p, uint16_t peer)
{
    const bool evaluates = peer >= TRACE_MEMBERS_MAX;
    fprintf(w->out, ",\"with\":\"%s/%u\"",
            p->head.role != TRACE_OF_PS ? "ps"
            : evaluates                 ? "evaluator"
                                        : "worker",
            evaluates ? peer - TRACE_MEMBERS_MAX : peer);
}

static bool names_peer(trace_kind kind)
{
    switch (kind) {
    case TRACE_SEND_PUSH:
    case TRACE_SEND_OTHER:
    case TRACE_TAKE_WEIGHTS:
    case TRACE_TAKE_OTHER:
    case TRACE_RECEIVE_PUSH:
    case TRACE_RECEIVE_OTHER:
    case TRACE_REPEAT:
    case TRACE_LATE:
    case TRACE_NONFINITE:
    case TRACE_REFUSED:
        return true;
    default:
        return false;
    }
}

static void put_about(writer *w, const trace_part *p, const trace_event *e)
{
    const kind_info *info = &kinds[e->kind];
    fprintf(w->out, ",\"args\":{\"step\":%llu", (unsigned long long)e->step);
    if (info->value)
        fprintf(w->out, ",\"%s\":%llu", info->value, (unsigned long long)e->value);
    if (e->request)
        fprintf(w->out, ",\"request\":%llu", (unsigned long long)e->request);
    if (names_peer(e->kind))
        put_peer(w, p, e->peer);
    fputs("}}", w->out);
}

static void put_entry(writer *w, const process *p, const trace_entry *entry)
{
    const trace_event *e = &entry->event;
    const kind_info *info = &kinds[e->kind];
    if (info->shape == TRACE_POINT)
        return;
    begin(w, info->shape == TRACE_SPAN ? "X" : "i", p->pid, tid_of(p, entry));
    put_text(w, "name", info->name);
    put_text(w, "cat", lane_names[info->lane]);
    put_time(w, e->begun_ns);
    if (info->shape == TRACE_SPAN) {
        put_us(w, "dur", e->ended_ns > e->begun_ns ? e->ended_ns - e->begun_ns : 0);
        w->counts->spans++;
    } else {
        fputs(",\"s\":\"p\"", w->out);
        w->counts->marks++;
    }
    put_about(w, p->part, e);
}

/* ---- processes ---- */

static bool is_same_task(const trace_part *a, const trace_part *b)
{
    return a->head.role == b->head.role && a->head.index == b->head.index;
}

/* The first one, the second one ... of this task. */
static unsigned life_of(const writer *w, size_t i)
{
    unsigned life = 1;
    for (size_t k = i; k > 0 && is_same_task(w->processes[k - 1].part, w->processes[i].part); k--)
        life++;
    return life;
}

static void put_mark(writer *w, const process *p, uint64_t at_ns, const char *name, const char *text,
                     uint64_t step)
{
    char quoted[QUOTED_BYTES];
    json_quote(text, quoted, sizeof quoted);
    begin(w, "i", p->pid, p->marks_tid);
    put_text(w, "name", name);
    put_text(w, "cat", lane_names[TRACE_MARKS]);
    put_time(w, at_ns);
    fprintf(w->out, ",\"s\":\"p\",\"args\":{\"text\":%s", quoted);
    if (step != LOG_NO_STEP)
        fprintf(w->out, ",\"step\":%llu", (unsigned long long)step);
    fputs("}}", w->out);
    w->counts->marks++;
}

static uint64_t last_ns(const trace_part *p)
{
    uint64_t last = p->head.monotonic_ns;
    for (size_t i = 0; i < p->entry_count; i++)
        last = p->entries[i].event.ended_ns > last ? p->entries[i].event.ended_ns : last;
    for (size_t i = 0; i < p->mark_count; i++)
        last = p->marks[i].at_ns > last ? p->marks[i].at_ns : last;
    return last;
}

/* Its first thread that uses a lane needs no name there. */
static void put_track_name(writer *w, const process *p, size_t i)
{
    const track *t = &p->tracks[i];
    char name[128], text[TRACE_THREAD_NAME_BYTES];
    bool first = true;
    for (size_t k = 0; k < i; k++)
        first &= p->tracks[k].lane != t->lane;
    if (first)
        snprintf(name, sizeof name, "%s", lane_names[t->lane]);
    else
        snprintf(name, sizeof name, "%s, %s", lane_names[t->lane],
                 trace_part_thread_name(p->part, t->thread, text));
    put_named(w, p->pid, t->tid, "thread_name", name);
    put_order(w, p->pid, t->tid, "thread_sort_index", (unsigned)t->lane);
}

static void put_process(writer *w, size_t i)
{
    const process *p = &w->processes[i];
    const trace_head *h = &p->part->head;
    const unsigned life = life_of(w, i);
    char name[TRACE_WHO_BYTES + 32], about[TRACE_HOST_BYTES + 64];
    if (life > 1)
        snprintf(name, sizeof name, "%s, start %u", h->who, life);
    else
        snprintf(name, sizeof name, "%s", h->who);
    put_named(w, p->pid, 0, "process_name", name);
    put_order(w, p->pid, 0, "process_sort_index", p->pid);
    snprintf(about, sizeof about, "process %u on %s", h->pid, h->host);
    begin(w, "M", p->pid, 0);
    put_text(w, "name", "process_labels");
    char quoted[QUOTED_BYTES];
    json_quote(about, quoted, sizeof quoted);
    fprintf(w->out, ",\"args\":{\"labels\":%s}}", quoted);
    put_named(w, p->pid, p->marks_tid, "thread_name", lane_names[TRACE_MARKS]);
    put_order(w, p->pid, p->marks_tid, "thread_sort_index", TRACE_MARKS);
    for (size_t k = 0; k < p->track_count; k++)
        if (p->tracks[k].lane != TRACE_MARKS)
            put_track_name(w, p, k);

    put_mark(w, p, h->monotonic_ns, life > 1 ? "restart" : "start", about, LOG_NO_STEP);
    for (size_t k = 0; k < p->part->entry_count; k++)
        put_entry(w, p, p->sorted[k]);
    for (size_t k = 0; k < p->part->mark_count; k++) {
        const trace_mark_text *m = &p->part->marks[k];
        put_mark(w, p, m->at_ns, m->name, m->text, m->step);
    }
    if (p->part->cut[0] || !p->part->ended)
        put_mark(w, p, last_ns(p->part), "cut off",
                 p->part->cut[0] ? p->part->cut : "the process did not end in order: it was killed",
                 LOG_NO_STEP);
    if (p->part->lost > 0) {
        snprintf(about, sizeof about, "%llu events are missing", (unsigned long long)p->part->lost);
        put_mark(w, p, last_ns(p->part), "events dropped", about, LOG_NO_STEP);
    }
}

/* ---- flows ---- */

/* Of a process that was killed a point may be there, and the span that it lies in may not: an arrow would end
 * in nothing. */
static bool is_drawn(const writer *w, const trace_flow *f, int hop)
{
    const trace_entry *entry = f->hops[hop].entry;
    return entry &&
           entry->event.begun_ns <= track_of(&w->processes[f->hops[hop].part], entry)->spans_until_ns;
}

static void put_flow(writer *w, const trace_flow *f)
{
    uint32_t drawn = 0, done = 0;
    for (int hop = 0; hop < TRACE_HOP_COUNT; hop++)
        drawn += is_drawn(w, f, hop);
    if (drawn < 2)
        return;
    for (int hop = 0; hop < TRACE_HOP_COUNT; hop++) {
        if (!is_drawn(w, f, hop))
            continue;
        done++;
        const trace_entry *entry = f->hops[hop].entry;
        const process *p = &w->processes[f->hops[hop].part];
        begin(w, done == 1 ? "s" : done == drawn ? "f" : "t", p->pid, tid_of(p, entry));
        put_text(w, "name", f->pushes ? "gradient" : "weights");
        fprintf(w->out, ",\"cat\":\"flow\",\"id\":%llu", (unsigned long long)f->id);
        put_time(w, entry->event.begun_ns);
        fputs(done == drawn ? ",\"bp\":\"e\"}" : "}", w->out);
    }
    w->counts->flows++;
}

/* ---- the whole ---- */

static void find_base(writer *w)
{
    w->base_ns = UINT64_MAX;
    for (size_t i = 0; i < w->count; i++) {
        const trace_part *p = w->processes[i].part;
        w->base_ns = p->head.monotonic_ns < w->base_ns ? p->head.monotonic_ns : w->base_ns;
        for (size_t k = 0; k < p->entry_count; k++)
            if (p->entries[k].event.begun_ns < w->base_ns)
                w->base_ns = p->entries[k].event.begun_ns;
        for (size_t k = 0; k < p->mark_count; k++)
            if (p->marks[k].at_ns < w->base_ns)
                w->base_ns = p->marks[k].at_ns;
    }
}

static void put_summary(const writer *w, const trace_flows *flows, const trace_clocks *clocks)
{
    uint64_t lost = 0;
    for (size_t i = 0; i < w->count; i++)
        lost += w->processes[i].part->lost;
    fprintf(w->out,
            "\n],\n\"displayTimeUnit\":\"ms\",\n\"otherData\":{\"version\":\"penstock " PENSTOCK_VERSION
            "\",\"processes\":%zu,\"spans\":%llu,\"marks\":%llu,\"flows\":%llu,\"events_dropped\":%llu,"
            "\"gradients_applied\":%llu,\"gradients_without_push\":%llu,\"hosts\":%u,"
            "\"hosts_by_calendar\":%u,\"clocks_uncertain_us\":%.3f}}\n",
            w->count, (unsigned long long)w->counts->spans, (unsigned long long)w->counts->marks,
            (unsigned long long)w->counts->flows, (unsigned long long)lost,
            (unsigned long long)flows->applied, (unsigned long long)flows->applied_alone, clocks->hosts,
            clocks->by_calendar, (double)clocks->uncertain_ns * 1e-3);
}

ps_status trace_json_write(FILE *out, const trace_part *parts, size_t count, const trace_flows *flows,
                           const trace_clocks *clocks, trace_json_counts *counts)
{
    writer w = {.out = out, .count = count, .next_tid = FIRST_TID, .counts = counts};
    *counts = (trace_json_counts){.spans = 0};
    w.processes = calloc(count + 1, sizeof *w.processes);
    ps_status status = w.processes ? PS_OK : PS_ENOMEM;
    for (size_t i = 0; i < count && status == PS_OK; i++) {
        w.processes[i] = (process){.part = &parts[i], .pid = (unsigned)i + 1};
        status = sort_process(&w, &w.processes[i]);
    }
    if (status == PS_OK) {
        find_base(&w);
        fputs("{\"traceEvents\":[", out);
        for (size_t i = 0; i < count; i++)
            put_process(&w, i);
        for (size_t i = 0; i < flows->count; i++)
            put_flow(&w, &flows->list[i]);
        put_summary(&w, flows, clocks);
    }
    for (size_t i = 0; w.processes && i < count; i++) {
        free(w.processes[i].sorted);
        free(w.processes[i].tracks);
    }
    free(w.processes);
    return status;
}
