/* plant.c - see plant.h. */
#include "tests/sim/plant.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ps/shard_state.h"
#include "tests/sim/scenario.h"
#include "worker/session.h"

enum {
    REQUESTS_SEEN = 4096, /* later ones are left alone */
    SLICES_MAX = 64,
    FLIP_EVERY = 20,
    LOSE_EVERY = 10,
};

/* A whole gradient that a shard holds. */
typedef struct {
    bool waits;
    uint64_t step;
    uint32_t examples, count;
    float clip_factor;
    buffer *slices[SLICES_MAX];
} waiting_push;

struct plant {
    plant_kind kind;
    uint64_t pushes;
    uint32_t joined;                     /* workers that ps 0 has met, */
    uint32_t rank[SCENARIO_WORKERS_MAX]; /* and in which order: 1, 2, ...; 0: not yet */
    bool seen[SCENARIO_SERVERS_MAX][SCENARIO_WORKERS_MAX][REQUESTS_SEEN];
    bool crashed[SCENARIO_SERVERS_MAX];
    buffer *answered[SLICES_MAX]; /* weights that were sent last */
    buffer *lent;                 /* by the last answer of all */
    waiting_push waiting[SCENARIO_WORKERS_MAX];
    uint64_t members_version, end_step; /* of the shard before a message */
};

const char *plant_kind_name(plant_kind kind)
{
    static const char *const names[] = {
#define PLANT_NAME(name, text, what) text,
        PLANT_LIST(PLANT_NAME)
#undef PLANT_NAME
    };
    return names[kind];
}

ps_status plant_kind_parse(const char *text, plant_kind *kind, ps_error *error)
{
#define PLANT_MATCH(name, known, what) \
    if (strcmp(text, known) == 0) {    \
        *kind = name;                  \
        return PS_OK;                  \
    }
    PLANT_LIST(PLANT_MATCH)
#undef PLANT_MATCH
#define PLANT_TEXT(name, known, what) " " known
    return ps_fail(error, PS_EINVAL, "--plant: '%s' is none of" PLANT_LIST(PLANT_TEXT), text);
#undef PLANT_TEXT
}

static void let_go(waiting_push *w)
{
    for (uint32_t i = 0; i < w->count; i++)
        buffer_unref(&w->slices[i]);
    *w = (waiting_push){.waits = false};
}

ps_status plant_create(plant_kind kind, plant **out)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return PS_ENOMEM;
    (*out)->kind = kind;
    return PS_OK;
}

void plant_destroy(plant **handle)
{
    plant *p = *handle;
    *handle = NULL;
    for (int i = 0; p && i < SLICES_MAX; i++)
        buffer_unref(&p->answered[i]);
    for (int w = 0; p && w < SCENARIO_WORKERS_MAX; w++)
        let_go(&p->waiting[w]);
    if (p)
        buffer_unref(&p->lent);
    free(p);
}

static bool is_push(const wire_message *m)
{
    return m->type == WIRE_PUSH_PULL || m->type == WIRE_PUSH;
}

static void renew_repeat(plant *p, uint32_t server, wire_message *m)
{
    uint64_t serial = session_serial(m->request);
    if (!is_push(m) || serial >= REQUESTS_SEEN)
        return;
    bool *seen = &p->seen[server][m->index][serial];
    if (*seen)
        m->step++;
    *seen = true;
}

static void rename_worker(plant *p, uint32_t server, wire_message *m)
{
    if (server != 0 || m->role != WIRE_WORKER || m->type == WIRE_RESTORE)
        return;
    if (p->rank[m->index] == 0)
        p->rank[m->index] = ++p->joined;
    m->index = p->rank[m->index] - 1;
}

static void flip_bit(plant *p, wire_message *m)
{
    if (!is_push(m) || !m->has_payload || ++p->pushes % FLIP_EVERY != 0)
        return;
    uint8_t *bytes = buffer_data(m->payloads[0]);
    bytes[0] ^= 1;
}

/* A pull instead: the answer has the right form. */
static void lose_push(plant *p, wire_message *m)
{
    if (m->type != WIRE_PUSH_PULL || ++p->pushes % LOSE_EVERY != 0)
        return;
    m->type = WIRE_PULL;
    m->step = 0;
    m->has_payload = false;
    for (uint32_t i = 0; i < m->slice_count; i++)
        buffer_unref(&m->payloads[i]);
}

static void forget_finish(uint32_t server, wire_message *m)
{
    if (server == 0 && m->type == WIRE_FINISH)
        m->type = WIRE_PULL;
}

static void pass_for_successor(const shard *s, wire_message *m)
{
    if (m->type == WIRE_HELLO || !s->has_job)
        return;
    const member *now = shard_member_of(s, m);
    if (now->joined && m->incarnation < now->incarnation)
        m->incarnation = now->incarnation;
}

static void stay(const shard *s, wire_message *m)
{
    if (m->type == WIRE_RESTORE && s->config.index > 0)
        m->step = s->consistency.applied;
}

static void take_for_new(const plant *p, const shard *s, wire_message *m)
{
    if (!is_push(m) || !p->crashed[s->config.index] || !s->has_job)
        return;
    const uint64_t pushed = s->consistency.clocks[m->index].pushed;
    if (m->step <= pushed)
        m->step = pushed + 1;
}

bool plant_is(const plant *p, plant_kind kind)
{
    return p->kind == kind;
}

void plant_crashed(plant *p, uint32_t server)
{
    p->crashed[server] = true;
}

bool plant_request(plant *p, const shard *s, wire_message *m)
{
    const uint32_t server = s->config.index;
    switch (p->kind) {
    case PLANT_APPLY_REPEATS:
        renew_repeat(p, server, m);
        break;
    case PLANT_ARRIVAL_ORDER:
        rename_worker(p, server, m);
        break;
    case PLANT_FLIP_BIT:
        flip_bit(p, m);
        break;
    case PLANT_LOSE_PUSH:
        lose_push(p, m);
        break;
    case PLANT_FORGET_FINISH:
        forget_finish(server, m);
        break;
    case PLANT_DEAF_TO_QUERIES:
        return m->type != WIRE_QUERY;
    case PLANT_NO_PREVIOUS:
        m->exact = false;
        break;
    case PLANT_NO_FENCE:
        pass_for_successor(s, m);
        break;
    case PLANT_LONE_RESTORE:
        stay(s, m);
        break;
    case PLANT_OTHER_LIST:
        if (m->type != WIRE_HELLO && m->type != WIRE_RESTORE && s->has_job)
            m->members_version = s->consistency.members.version;
        break;
    case PLANT_FORGOTTEN_REPEATS:
        take_for_new(p, s, m);
        break;
    default: /* it is in the answers, in the disk or in the logs */
        break;
    }
    return true;
}

/* ---- members ---- */

static void keep_push(const shard *s, uint32_t worker, waiting_push *w)
{
    const member_push *push = &s->workers[worker].push;
    let_go(w);
    if (!s->consistency.clocks[worker].waiting)
        return;
    *w = (waiting_push){.waits = true,
                        .step = push->step,
                        .examples = push->examples,
                        .count = s->slice_count,
                        .clip_factor = push->clip_factor};
    for (uint32_t i = 0; i < w->count; i++)
        w->slices[i] = push->slices[i] ? buffer_ref(push->slices[i]) : NULL;
}

/* As if it had come after the list. */
static void put_back(shard *s, uint32_t worker, waiting_push *w)
{
    member_push *push = &s->workers[worker].push;
    if (!w->waits || push->step != 0 || w->step != s->consistency.applied + 1)
        return;
    push->step = w->step;
    push->examples = w->examples;
    push->clip_factor = w->clip_factor;
    push->received = w->count;
    for (uint32_t i = 0; i < w->count; i++) {
        push->named[i] = true;
        push->slices[i] = w->slices[i];
    }
    w->count = 0; /* they have moved */
    consistency_arrive(&s->consistency, worker, push->step);
}

static void hasten(members_list *list, uint64_t applied)
{
    if (list && list->count > 0 && list->changes[list->count - 1].from == applied + 2)
        list->changes[list->count - 1].from--;
}

void plant_look(plant *p, const shard *s)
{
    p->members_version = s->consistency.members.version;
    p->end_step = s->end_step;
    for (uint32_t w = 0; p->kind == PLANT_KEPT_PUSHES && s->has_job && w < s->job.workers; w++)
        keep_push(s, w, &p->waiting[w]);
}

void plant_meddle(plant *p, shard *s)
{
    if (p->kind == PLANT_EARLY_END && p->end_step == 0 && s->end_step > 0)
        s->end_step = s->consistency.applied + 1;
    if (s->consistency.members.version == p->members_version)
        return;
    for (uint32_t w = 0; p->kind == PLANT_KEPT_PUSHES && w < s->job.workers; w++)
        put_back(s, w, &p->waiting[w]);
    if (p->kind != PLANT_HASTY_LIST || s->config.index > 0)
        return;
    hasten(&s->consistency.members, s->consistency.applied);
    for (outgoing *out = s->outbox; out; out = out->next)
        hasten(out->message->members, s->consistency.applied);
}

/* ---- answers ---- */

static void swap_for_stale(plant *p, wire_message *m)
{
    for (uint32_t i = 0; i < m->slice_count; i++) {
        assert(m->slices[i] < SLICES_MAX);
        buffer **before = &p->answered[m->slices[i]];
        buffer *fresh = m->payloads[i];
        m->payloads[i] = *before ? *before : buffer_ref(fresh);
        *before = fresh;
    }
}

/* What the answer before this one lends gets the first bytes of this one. */
static void reuse(plant *p, const wire_message *m)
{
    if (p->lent)
        memcpy(buffer_data(p->lent), buffer_bytes(m->payloads[0]), sizeof(float));
    buffer_unref(&p->lent);
    p->lent = buffer_ref(m->payloads[0]);
}

void plant_answer(plant *p, wire_message *m)
{
    if (p->kind == PLANT_OTHER_LIST && m->type != WIRE_WELCOME)
        m->members_version = 0;
    if (!m->has_payload)
        return;
    if (p->kind == PLANT_STALE_WEIGHTS)
        swap_for_stale(p, m);
    if (p->kind == PLANT_REUSED_BUFFER)
        reuse(p, m);
}
