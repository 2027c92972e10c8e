/* history.c - see history.h. */
#include "tests/sim/history.h"

#include <stdlib.h>
#include <string.h>

#include "ps/optimizer.h"
#include "ps/shard_state.h"
#include "tests/sim/sum.h"

typedef struct {
    uint64_t incarnation, pushed;
    bool waiting, finished, gone;
    uint64_t part_step; /* 0: no parts wait */
    uint32_t received;
    uint64_t parts;
} worker_portrait;

/* The shard after the change that stands at a position of its log. */
typedef struct {
    uint64_t change;
    uint64_t end; /* of the log, with all that the same event appended */
    uint64_t applied, epoch, examples, updates, members_version;
    uint64_t bits;
    worker_portrait workers[SCENARIO_WORKERS_MAX];
} portrait;

struct history {
    uint32_t server;
    sim_journal *log;
    uint32_t count, room;
    portrait *list; /* (room) the oldest first; but for the first, a crash may take their changes back */
    bool nameless;  /* of a leap only some of those who had joined may be left: nobody has heard of it */
    bool went_back; /* by RESTORE, or to the start since it could not: numbers of updates have been used twice
                     */
    uint64_t heard; /* the last update of which anybody knows */
};

history *history_create(uint32_t server, sim_journal *log)
{
    history *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->server = server;
    h->log = log;
    return h;
}

void history_destroy(history **handle)
{
    history *h = *handle;
    *handle = NULL;
    if (h)
        free(h->list);
    free(h);
}

/* ---- portraits ---- */

static uint64_t bits_of(const shard *s)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < s->slice_count; i++) {
        const buffer *weights = store_weights(s->store, i);
        bits = sum_of_words(bits, buffer_bytes(weights), buffer_size(weights));
        for (uint32_t k = 0; k < optimizer_slots(&s->job.optimizer); k++) {
            const buffer *slot = store_slot(s->store, i, k);
            bits = sum_of_words(bits, buffer_bytes(slot), buffer_size(slot));
        }
    }
    return bits;
}

static uint64_t parts_of(const shard *s, const member_push *push)
{
    uint64_t parts = 0;
    for (uint32_t i = 0; i < s->slice_count; i++) {
        const buffer *payload = push->slices[i];
        parts = parts * 31 + push->named[i];
        if (payload)
            parts = sum_of_words(parts, buffer_bytes(payload), buffer_size(payload));
    }
    return parts;
}

/* A synchronous shard that comes back knows no more of a worker than that it is not ahead; and parts of a
 * step that was applied without them are as good as gone. */
static worker_portrait portray_worker(const shard *s, uint32_t worker, const worker_portrait *before)
{
    const consistency_clock *clock = &s->consistency.clocks[worker];
    const member *m = &s->workers[worker];
    const bool sync = s->job.mode == CONSISTENCY_SYNC, held = sync && !clock->waiting;
    worker_portrait p = {
        .incarnation = m->incarnation,
        .pushed = held ? s->consistency.applied : clock->pushed,
        .waiting = clock->waiting,
        .finished = m->finished,
        .gone = m->gone,
    };
    if (m->push.received > 0 && !(sync && m->push.step <= s->consistency.applied)) {
        p.part_step = m->push.step;
        p.received = m->push.received;
        const bool same = before && before->incarnation == p.incarnation &&
                          before->part_step == p.part_step && before->received == p.received;
        p.parts = same ? before->parts : parts_of(s, &m->push);
    }
    return p;
}

/* `before`: as it was last, or NULL. */
static portrait portray(const shard *s, uint64_t change, const portrait *before)
{
    portrait p = {
        .change = change,
        .applied = s->consistency.applied,
        .epoch = s->epoch,
        .examples = s->counters.examples_applied,
        .updates = store_updates(s->store),
        .members_version = s->consistency.members.version,
    };
    const bool same = before && before->applied == p.applied && before->epoch == p.epoch;
    p.bits = same ? before->bits : bits_of(s);
    for (uint32_t w = 0; w < s->job.workers; w++)
        p.workers[w] = portray_worker(s, w, before ? &before->workers[w] : NULL);
    return p;
}

static bool is_same_worker(const worker_portrait *a, const worker_portrait *b, bool nameless)
{
    const bool named = a->incarnation == b->incarnation || (nameless && a->incarnation == 0);
    return named && a->pushed == b->pushed && a->waiting == b->waiting && a->finished == b->finished &&
           a->gone == b->gone && a->part_step == b->part_step && a->received == b->received &&
           a->parts == b->parts;
}

static ps_status compare(const history *h, const portrait *is, const portrait *was, const char *when,
                         ps_error *error)
{
    if (is->applied != was->applied || is->epoch != was->epoch)
        return ps_fail(error, PS_EINTERNAL,
                       "log: %s ps/%u is at step %llu of epoch %llu, not at %llu of %llu", when, h->server,
                       (unsigned long long)is->applied, (unsigned long long)is->epoch,
                       (unsigned long long)was->applied, (unsigned long long)was->epoch);
    if (is->bits != was->bits || is->updates != was->updates || is->examples != was->examples)
        return ps_fail(error, PS_EINTERNAL, "log: %s ps/%u has other weights or slots at step %llu", when,
                       h->server, (unsigned long long)is->applied);
    if (is->members_version != was->members_version)
        return ps_fail(error, PS_EINTERNAL, "log: %s ps/%u has version %llu of the list of members, not %llu",
                       when, h->server, (unsigned long long)is->members_version,
                       (unsigned long long)was->members_version);
    for (uint32_t w = 0; w < SCENARIO_WORKERS_MAX; w++) {
        const worker_portrait *now = &is->workers[w], *then = &was->workers[w];
        if (!is_same_worker(now, then, h->nameless))
            return ps_fail(
                error, PS_EINTERNAL,
                "log: %s ps/%u knows worker %u as process %llu, after step %llu%s%s, with %u slices "
                "of step %llu; it was process %llu, after step %llu%s%s, with %u of %llu",
                when, h->server, w, (unsigned long long)now->incarnation, (unsigned long long)now->pushed,
                now->waiting ? " (waiting)" : "", now->finished ? " (finished)" : "", now->received,
                (unsigned long long)now->part_step, (unsigned long long)then->incarnation,
                (unsigned long long)then->pushed, then->waiting ? " (waiting)" : "",
                then->finished ? " (finished)" : "", then->received, (unsigned long long)then->part_step);
    }
    return PS_OK;
}

/* ---- as time goes by ---- */

static ps_status keep(history *h, const portrait *p)
{
    if (h->count == h->room) {
        const uint32_t room = h->room ? 2 * h->room : 16;
        portrait *grown = realloc(h->list, room * sizeof *grown);
        if (!grown)
            return PS_ENOMEM;
        h->list = grown;
        h->room = room;
    }
    h->list[h->count++] = *p;
    return PS_OK;
}

static void forget_what_is_safe(history *h)
{
    const uint64_t durable = sim_journal_durable(h->log);
    uint32_t safe = 0;
    while (safe + 1 < h->count && h->list[safe + 1].change <= durable)
        safe++;
    if (safe == 0)
        return;
    h->count -= safe;
    memmove(h->list, h->list + safe, h->count * sizeof *h->list);
}

ps_status history_note(history *h, const shard *s, ps_error *error)
{
    if (!s->has_job || s->slice_count == 0)
        return PS_OK;
    const uint64_t change = sim_journal_last_change(h->log);
    const portrait *last = h->count > 0 ? &h->list[h->count - 1] : NULL;
    portrait now = portray(s, change, last);
    h->went_back |= s->epoch > 0 || (last && now.applied < last->applied);
    if (last && last->change == change)
        return compare(h, &now, last, "without a record", error);
    forget_what_is_safe(h);
    now.end = sim_journal_end(h->log);
    h->nameless = false;
    return keep(h, &now) == PS_OK ? PS_OK : ps_fail(error, PS_ENOMEM, "out of memory");
}

void history_hear(history *h, const shard *s, const wire_message *answer)
{
    if (s->has_job && answer->type != WIRE_WELCOME && !answer->exact && answer->step > h->heard)
        h->heard = answer->step;
}

/* ---- coming back ---- */

void history_crash(history *h)
{
    const uint64_t change = sim_journal_last_change(h->log);
    while (h->count > 0 && h->list[h->count - 1].change > change)
        h->count--;
    if (h->count > 0 && h->list[h->count - 1].change < change)
        h->count = 0; /* the shard had begun, and taken in a first message, in one event */
    if (h->count > 0 && h->list[h->count - 1].end > sim_journal_end(h->log))
        h->nameless |= sim_journal_leapt(h->log);
}

bool history_is_blank(const history *h)
{
    return sim_journal_end(h->log) == 0;
}

static void void_all(portrait *p, uint64_t members_version)
{
    p->members_version = members_version;
    for (uint32_t i = 0; i < SCENARIO_WORKERS_MAX; i++) {
        worker_portrait *w = &p->workers[i];
        if (w->waiting)
            w->pushed = p->applied;
        w->waiting = w->finished = w->gone = false;
        w->part_step = 0;
        w->received = 0;
        w->parts = 0;
    }
}

/* Who has brought the job back may be a process that the shard did not know, and may know of a list of
 * members that it had not heard of. */
static void take_in(portrait *p, const shard *s, const wire_message *hello)
{
    if (hello->role == WIRE_WORKER && hello->incarnation < p->workers[hello->index].incarnation)
        return;                                      /* it is refused */
    if (hello->members_version > p->members_version) /* what was under way is void */
        void_all(p, hello->members_version);
    if (hello->role != WIRE_WORKER)
        return;
    worker_portrait *w = &p->workers[hello->index];
    if (hello->incarnation <= w->incarnation)
        return;
    w->incarnation = hello->incarnation;
    if (w->finished)
        return;
    w->part_step = 0;
    w->received = 0;
    w->parts = 0;
    if (w->waiting && s->job.mode == CONSISTENCY_SYNC)
        w->pushed = p->applied;
    w->waiting = false;
}

ps_status history_check_recovered(history *h, const shard *s, const wire_message *hello, ps_error *error)
{
    if (s->slice_count == 0)
        return PS_OK;
    if (s->consistency.applied < h->heard && !h->went_back)
        return ps_fail(error, PS_EINTERNAL,
                       "log: ps/%u comes back at update %llu, but has told of update %llu", h->server,
                       (unsigned long long)s->consistency.applied, (unsigned long long)h->heard);
    if (h->count == 0)
        return PS_OK;
    portrait was = h->list[h->count - 1];
    take_in(&was, s, hello);
    const portrait is = portray(s, was.change, NULL);
    return compare(h, &is, &was, "having come back", error);
}
