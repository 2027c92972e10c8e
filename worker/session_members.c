/* session_members.c - joining, finding out that a ps has restarted, and going back together. See
 * session_state.h.
 *
 * Each ps says in its WELCOME in which epoch and at which step it is, and from which version on it has
 * weights. In synchronous mode they fit together if the epochs agree and one step lies within what each of
 * them has: a ps may have applied a step that another still waits for. In the other modes they always do. The
 * member goes on from the lowest of the steps; a ps that is further takes what it has seen before as the
 * repeat that it is.
 *
 * It also tells of its list of members. Where those differ, the newest is told to all in a further round;
 * until all have it nobody has joined; and if that finds one that is newer still, in yet another. Whoever
 * finds another list than when it joined before goes back.
 *
 * A worker that goes back does so under a new incarnation, as if it had restarted: so what it has on the way,
 * and what waits for the rest of it or of the others', counts no more. */
#include <stdlib.h>

#include "common/log.h"
#include "worker/session_state.h"

/* ---- do they fit together? ---- */

typedef struct {
    uint64_t least;  /* of the steps */
    uint64_t oldest; /* version that all have */
    uint64_t newest_epoch;
    bool same_epoch;
    bool same_members;
} places;

static places survey(const session *s)
{
    places found = {.least = UINT64_MAX, .same_epoch = true, .same_members = true};
    for (uint32_t i = 0; i < s->config.job->servers; i++) {
        const peer *p = &s->peers[i];
        found.newest_epoch = p->epoch > found.newest_epoch ? p->epoch : found.newest_epoch;
        found.same_epoch &= p->epoch == s->peers[0].epoch;
        found.same_members &= p->members_version == s->newest.version;
        if (partition_server_count(s->config.partition, i) == 0)
            continue; /* it never gets a step */
        found.least = p->step < found.least ? p->step : found.least;
        found.oldest = p->oldest > found.oldest ? p->oldest : found.oldest;
    }
    return found;
}

static bool is_sync(const session *s)
{
    return s->config.job->mode == CONSISTENCY_SYNC;
}

bool session_is_chief(const session *s)
{
    return s->config.role == WIRE_WORKER && s->config.index == 0;
}

/* ---- asking ---- */

/* In a new round, whose answers are known by its number: one that no other request has had. */
static void ask_all(session *s)
{
    s->round = s->next_serial++ * SESSION_OPERATIONS_MAX;
    for (uint32_t i = 0; i < s->config.job->servers; i++)
        s->peers[i].welcomed = false;
    s->unwelcomed = s->config.job->servers;
}

/* What ps said in another life of theirs shall not be told to them. */
static void forget_newest(session *s)
{
    members_fini(&s->newest);
}

static void ask_all_at_once(session *s)
{
    ask_all(s);
    for (uint32_t i = 0; i < s->config.job->servers; i++)
        s->peers[i].hello_at_ms = 0;
}

void session_rejoin(session *s)
{
    s->joined = false;
    s->restoring.request = 0;
    forget_newest(s);
    ask_all_at_once(s);
}

static void begin_to_restore(session *s, uint64_t epoch, uint64_t step)
{
    s->restoring.request = s->next_serial++ * SESSION_OPERATIONS_MAX;
    s->restoring.epoch = epoch;
    s->restoring.step = step;
    if (members_next_change(&s->newest, step + 1) != MEMBERS_NEVER) { /* it need not wait for what is void */
        members_hasten(&s->newest, step + 1);
        s->newest.version += MEMBERS_VERSION_LEAP;
    }
    log_warning("the ps are at different steps: all go back to step %llu", (unsigned long long)step);
    ask_all_at_once(s);
}

static wire_message *make_hello(const session *s, uint32_t server)
{
    wire_message *m = session_stamp(s, server, wire_create(WIRE_HELLO, 0), s->round);
    if (!m)
        return NULL;
    m->job = 0;
    m->receiver = server;
    m->unfit = s->unfit;
    m->hello = calloc(1, sizeof *m->hello);
    if (wire_set_members(m, &s->newest) != PS_OK || !m->hello || job_copy(s->config.job, m->hello) != PS_OK) {
        free(m->hello);
        m->hello = NULL;
        wire_destroy(&m);
    }
    return m;
}

static wire_message *make_restore(const session *s, uint32_t server)
{
    wire_message *m = session_stamp(s, server, wire_create(WIRE_RESTORE, 0), s->restoring.request);
    if (!m)
        return NULL;
    m->epoch = s->restoring.epoch;
    m->step = s->restoring.step;
    if (wire_set_members(m, &s->newest) != PS_OK)
        wire_destroy(&m);
    return m;
}

wire_message *session_next_hello(session *s, uint32_t server, uint64_t now_ms)
{
    peer *to = &s->peers[server];
    if (to->welcomed || now_ms < to->hello_at_ms || s->failure.status != PS_OK)
        return NULL;
    to->hello_at_ms = now_ms + to->hello_after_ms;
    return s->restoring.request ? make_restore(s, server) : make_hello(s, server);
}

/* ---- joining ---- */

/* Has this ps, where it is now, forgotten something that it had answered? Of another gradient it would take
 * no part, and of one that it had answered in part only, it would wait for the rest in vain. */
static bool has_forgotten(const session *s, uint32_t server)
{
    const peer *p = &s->peers[server];
    return p->reborn && partition_server_count(s->config.partition, server) > 0 &&
           s->config.role == WIRE_WORKER && p->step < p->acknowledged && p->held < p->acknowledged;
}

/* What has not been answered, and a FINISH that this ps has answered, but not all: it does not know of it. */
static void send_again(session *s, uint32_t server)
{
    for (uint32_t i = 0; i < SESSION_OPERATIONS_MAX; i++) {
        operation *op = &s->operations[i];
        bool half_said = op->used && op->request.type == WIRE_FINISH && op->parts_done < op->part_count;
        for (uint32_t k = 0; half_said && s->peers[server].reborn && k < op->part_count; k++)
            if (op->parts[k].server == server && op->parts[k].state == PART_DONE)
                session_reopen_part(s, &op->parts[k]);
    }
    part *p;
    TAILQ_FOREACH(p, &s->open, open)
    {
        if (p->server == server)
            session_make_due(s, p, PART_TO_SEND);
    }
}

/* All begins anew from where the ps are: what has been answered is lost, or the members are others. */
static void go_back(session *s, const char *what, uint64_t step)
{
    ps_error why;
    ps_fail(&why, PS_EROLLBACK, "%s step %llu", what, (unsigned long long)step);
    session_abandon_all(s, &why);
    s->rolled_back = true;
    s->counters.rollbacks++;
    s->has_place = false;
    s->config.incarnation++;
    for (uint32_t i = 0; i < s->config.job->servers; i++)
        s->peers[i].reborn = false;
    session_rejoin(s);
}

static void take_place(session *s, uint64_t step)
{
    s->has_place = true;
    s->has_pushed = false;
    s->step = s->pushed = step;
    for (uint32_t i = 0; i < s->config.job->servers; i++)
        s->peers[i].acknowledged = step;
}

/* The list that all ps have. Says whether it is another than before. */
static bool take_members(session *s)
{
    const bool changed =
        s->newest.version != s->members.version ||
        members_first_difference(&s->newest, &s->members, s->config.job->workers) != MEMBERS_NEVER;
    members_fini(&s->members);
    s->members = s->newest;
    s->newest = (members_list){.version = 0};
    return changed;
}

/* The ps fit together at `step`. */
static void join(session *s, uint64_t step)
{
    const bool looks_on = s->config.role == WIRE_EVALUATOR;
    s->unfit = s->doubtful = false;
    if (take_members(s) && s->has_place && !looks_on) {
        go_back(s, "the members have changed: training goes on from", step);
        return;
    }
    for (uint32_t i = 0; s->has_place && i < s->config.job->servers; i++) {
        if (has_forgotten(s, i)) {
            go_back(s, "a ps was lost: training goes back to", step);
            return;
        }
    }
    s->joined = s->has_joined = true;
    for (uint32_t i = 0; i < s->config.job->servers; i++) {
        send_again(s, i);
        s->peers[i].reborn = false;
    }
    if (!s->has_place)
        take_place(s, step);
}

/* With backup workers the ps may go on while they are asked: but what one had in the round before, all have
 * now. */
static bool fit_together(const session *s, const places *found)
{
    if (!is_sync(s))
        return true;
    if (!found->same_members)
        return false;
    if (s->config.role == WIRE_EVALUATOR) /* who only looks may look at any time */
        return true;
    const uint64_t oldest = s->doubtful && s->oldest_seen < found->oldest ? s->oldest_seen : found->oldest;
    return found->same_epoch && oldest <= found->least;
}

/* All have said WELCOME. */
static void bring_together(session *s)
{
    const places found = survey(s);
    const bool doubted = s->doubtful && s->newest_seen == s->newest.version;
    s->restoring.request = 0;
    if (fit_together(s, &found)) {
        join(s, found.least);
        return;
    }
    s->doubtful = true;
    s->oldest_seen = found.oldest;
    s->newest_seen = s->newest.version;
    if (!doubted) {
        ask_all_at_once(s);
    } else if (session_is_chief(s)) {
        s->doubtful = false;
        begin_to_restore(s, found.newest_epoch + 1, found.least);
    } else { /* the chief will; then they say so, or are asked again */
        s->unfit = true;
        forget_newest(s); /* it may be withdrawn by then; the ps that have it tell it again */
        ask_all(s);
    }
}

/* PS_ENOMEM, PS_EPROTOCOL. */
static ps_status note_members(session *s, peer *from, const wire_message *welcome, ps_error *error)
{
    from->members_version = welcome->members_version;
    if (!welcome->members || welcome->members->version <= s->newest.version)
        return PS_OK;
    ps_status status = members_check(welcome->members, s->config.job->workers, error);
    if (status != PS_OK)
        return status;
    members_fini(&s->newest);
    return members_copy(welcome->members, &s->newest) == PS_OK
               ? PS_OK
               : ps_fail(error, PS_ENOMEM, "out of memory for a list of members");
}

static void note_place(session *s, uint32_t server, const wire_message *welcome)
{
    peer *from = &s->peers[server];
    const bool known = from->incarnation != 0, same = from->incarnation == welcome->incarnation;
    if (known && !same) {
        log_warning("ps/%u has restarted, and is at step %llu", server, (unsigned long long)welcome->step);
        from->taken = from->taken_bytes = 0;
    }
    from->reborn |= known && (!same || from->epoch != welcome->epoch);
    from->incarnation = welcome->incarnation;
    from->epoch = welcome->epoch;
    from->step = welcome->step;
    from->oldest = welcome->oldest;
    from->heartbeat_ms = welcome->heartbeat_ms;
    from->held = welcome->held;
    if (known && same)
        return;
    from->reads_ours = welcome->reads_memory;
    from->read_by_us = welcome->readable;
    log_event(LOG_INFO, "joined", welcome->step, "joined ps/%u at step %llu%s", server,
              (unsigned long long)welcome->step,
              from->reads_ours && from->read_by_us ? ", sharing memory" : "");
}

void session_handle_welcome(session *s, uint32_t server, const wire_message *welcome)
{
    peer *from = &s->peers[server];
    if (welcome->job != s->fingerprint) {
        session_fail(s, server, PS_EMISMATCH, "it serves another job");
        return;
    }
    const bool same = welcome->incarnation == from->incarnation;
    if (s->joined || from->welcomed) {
        const bool told_to_look = s->joined && welcome->request == 0;
        if (!same || welcome->epoch != from->epoch || told_to_look)
            session_rejoin(s);
        return;
    }
    if (s->restoring.request ? welcome->request != s->restoring.request : welcome->request != s->round) {
        if (welcome->request == 0) /* unasked: it has moved */
            from->hello_at_ms = 0;
        return;
    }
    ps_error why;
    ps_status status = note_members(s, from, welcome, &why);
    if (status != PS_OK) {
        session_fail(s, server, status, why.text);
        return;
    }
    note_place(s, server, welcome);
    from->welcomed = true;
    s->unwelcomed--;
    if (s->unwelcomed == 0)
        bring_together(s);
}

void session_handle_member_error(session *s, uint32_t server, const wire_message *refusal)
{
    const char *why = refusal->text ? refusal->text : "refused without a reason";
    const bool of_restore = s->restoring.request && refusal->request == s->restoring.request;
    if (refusal->status == PS_EREJOIN) {
        if (s->joined || of_restore)
            session_rejoin(s);
    } else if (of_restore && refusal->status != PS_ENOMEM && refusal->oldest < s->restoring.step) {
        log_warning("ps/%u cannot go to step %llu: %s", server, (unsigned long long)s->restoring.step, why);
        begin_to_restore(s, s->restoring.epoch + 1, refusal->oldest);
    } else if (of_restore || refusal->request == s->round || refusal->request == 0) {
        session_fail(s, server, refusal->status, why);
    }
}

bool session_joined(const session *s, uint64_t *step)
{
    if (!s->joined || s->rolled_back)
        return false;
    *step = s->step;
    return true;
}

bool session_rolled_back(const session *s)
{
    return s->rolled_back;
}

void session_resume(session *s)
{
    s->rolled_back = false;
}

const members_list *session_members(const session *s)
{
    return &s->members;
}

bool session_lost_worker(session *s, uint32_t *worker)
{
    const uint32_t lost = s->lost_worker;
    s->lost_worker = 0;
    *worker = lost - 1;
    return lost > 0;
}

uint64_t session_end_step(const session *s)
{
    return s->end_step;
}

uint32_t session_heartbeat_ms(const session *s)
{
    uint32_t least_ms = 0;
    for (uint32_t i = 0; i < s->config.job->servers; i++) {
        const uint32_t wanted_ms = s->peers[i].heartbeat_ms;
        if (wanted_ms > 0 && (least_ms == 0 || wanted_ms < least_ms))
            least_ms = wanted_ms;
    }
    return least_ms;
}

uint64_t session_incarnation(const session *s)
{
    return s->config.incarnation;
}

uint64_t session_fingerprint(const session *s)
{
    return s->fingerprint;
}

bool session_welcomed(const session *s, uint32_t server)
{
    return s->peers[server].welcomed;
}
