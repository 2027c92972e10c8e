/* cluster_orders.c - an administrator, and what it is told. See cluster_state.h.
 *
 * It does what deploy/admin does: a checkpoint is of a step that no ps has passed by the time that it hears
 * of it, which takes some tries; the end is ordered of ps 0 alone, until that knows that the chief knows. */
#include "ps/shard_state.h"
#include "tests/sim/cluster_state.h"

enum {
    AGAIN_MS = 100,      /* from an order to its repetition */
    AHEAD_MAX = 3,       /* steps from where the furthest ps is to the one that is named */
    STOP_REQUEST = 1000, /* an order to stop is one order, however often it is given */
};

uint32_t cluster_admin_address(const cluster *c)
{
    return c->scenario.job.servers + FAULTS_MAX;
}

ps_status cluster_plan_orders(cluster *c)
{
    const uint64_t stop_at_ms = c->scenario.stop_at_ms, keep_at_ms = c->scenario.keep_at_ms;
    c->admin.dice = dice_for(c->scenario.seed, "administrator", 0);
    c->admin.stopped = stop_at_ms == 0;
    c->admin.kept = keep_at_ms == 0;
    if (c->admin.stopped && c->admin.kept)
        return PS_OK;
    /* On a host that nothing befalls. */
    network_open(c->network, cluster_admin_address(c), NETWORK_HOSTS_MAX - 1, "administrator");
    const bool stops_first = c->admin.kept || (!c->admin.stopped && stop_at_ms < keep_at_ms);
    return network_wake(c->network, cluster_admin_address(c), stops_first ? stop_at_ms : keep_at_ms);
}

/* ---- giving orders ---- */

static void begin_order(cluster *c, wire_type order, uint64_t step)
{
    administrator *a = &c->admin;
    a->order = order;
    a->step = step;
    a->furthest = 0;
    a->request = order == WIRE_STOP ? STOP_REQUEST : ++a->requests;
    a->waits = order == WIRE_STOP ? 1 : (1U << c->scenario.job.servers) - 1;
}

/* To end the job is more urgent: a checkpoint that is still waited for is given up. */
static void choose_order(cluster *c)
{
    administrator *a = &c->admin;
    const uint64_t now_ms = network_now(c->network);
    if (!a->stopped && now_ms >= c->scenario.stop_at_ms) {
        a->kept = true;
        begin_order(c, WIRE_STOP, 0);
    } else if (!a->kept && now_ms >= c->scenario.keep_at_ms && a->waits == 0) {
        begin_order(c, WIRE_CHECKPOINT, 0);
    }
}

static ps_status send_order(cluster *c, uint32_t server)
{
    const administrator *a = &c->admin;
    wire_message *m = wire_create(a->order, 0);
    if (!m)
        return PS_ENOMEM;
    m->role = WIRE_ADMINISTRATOR;
    m->incarnation = 1;
    m->receiver = server;
    m->request = a->request;
    m->step = a->step;
    return network_send(c->network, cluster_admin_address(c), server, &m);
}

ps_status cluster_admin_wakes(cluster *c)
{
    const administrator *a = &c->admin;
    ps_status status = PS_OK;
    if (c->summary->ended || (a->stopped && a->kept))
        return PS_OK;
    choose_order(c);
    for (uint32_t i = 0; i < c->scenario.job.servers && status == PS_OK; i++)
        if (a->waits >> i & 1)
            status = send_order(c, i);
    if (status != PS_OK)
        return ps_fail(c->error, status, "the administrator: %s", ps_status_text(status));
    return network_wake(c->network, cluster_admin_address(c), network_now(c->network) + AGAIN_MS);
}

/* ---- hearing ---- */

static ps_status hear_refusal(cluster *c, const wire_message *m)
{
    administrator *a = &c->admin;
    switch (m->status) {
    case PS_EREJOIN: /* the ps has no job: it has restarted, or none has begun */
        return PS_OK;
    case PS_ESTATE: /* the job is at its end anyway */
        a->stopped |= a->order == WIRE_STOP;
        a->kept = true;
        a->waits = 0;
        return PS_OK;
    case PS_ENOENT: /* the step has been passed */
    case PS_EIO:    /* it could not be kept */
        a->waits = 0;
        return PS_OK;
    default:
        return ps_fail(c->error, PS_EINTERNAL, "refusal: %s of an administrator: %s",
                       wire_type_name(a->order), m->text ? m->text : "");
    }
}

/* All have answered. */
static void conclude(cluster *c)
{
    administrator *a = &c->admin;
    if (a->order == WIRE_STOP) {
        a->stopped = true;
        c->summary->stops++;
    } else if (a->step > 0) {
        a->kept = true;
        c->summary->checkpoints_ordered++;
    } else if (a->furthest > 0) {
        begin_order(c, WIRE_CHECKPOINT, a->furthest + dice_between(&a->dice, 0, AHEAD_MAX));
    }
}

ps_status cluster_admin_hears(cluster *c, const network_event *event)
{
    administrator *a = &c->admin;
    const wire_message *m = event->message;
    const uint32_t bit = 1U << event->from;
    if (m->request != a->request || !(a->waits & bit))
        return PS_OK;
    if (m->type == WIRE_ERROR)
        return hear_refusal(c, m);
    const bool looks = a->order == WIRE_CHECKPOINT && a->step == 0;
    if (m->type != WIRE_ACK && !looks)
        return PS_OK;
    if (m->step > a->furthest)
        a->furthest = m->step;
    a->waits &= ~bit;
    if (a->waits == 0)
        conclude(c);
    return PS_OK;
}

/* ---- checks ---- */

ps_status cluster_check_told(const cluster *c, const node *n, const wire_message *answer)
{
    const administrator *a = &c->admin;
    const shard *s = n->shard;
    if (answer->type != WIRE_ACK)
        return PS_OK;
    if (answer->request == STOP_REQUEST && !(s->end_is_known && answer->end_step == s->end_step))
        return ps_fail(c->error, PS_EINTERNAL,
                       "orders: ps/%u says that the job ends, but does not know where", n->index);
    if (answer->request == a->request && a->step > 0 && s->slice_count > 0 &&
        !disk_has_kept(c->disk, n->index, a->step))
        return ps_fail(c->error, PS_EINTERNAL,
                       "orders: ps/%u says that the checkpoint of step %llu is kept, but it is not", n->index,
                       (unsigned long long)a->step);
    return PS_OK;
}

/* Once it is known the job ends there, unless those who know it are lost at once. */
static bool is_lost(const cluster *c)
{
    const node *first = &c->nodes[0], *chief = &c->nodes[c->scenario.job.servers];
    const shard *s = first->shard;
    const bool over = first->ended || (s && (shard_finished(s) || s->at_the_end));
    const bool ps_knows = s && s->end_is_known;
    const bool chief_knows =
        chief->trainee && (trainee_end_step(chief->trainee) > 0 || trainee_has_finished(chief->trainee));
    return !over && !ps_knows && !chief_knows;
}

ps_status cluster_follow_end(cluster *c)
{
    const shard *s = c->nodes[0].shard;
    const bool known = s && s->end_is_known;
    if (c->scenario.stop_at_ms == 0)
        return PS_OK;
    if (known && ledger_end(c->ledger) == 0) {
        ledger_set_end(c->ledger, s->end_step);
        trace_line(c->trace, network_now(c->network), "it is known that step %llu is the last",
                   (unsigned long long)s->end_step);
    }
    const uint64_t end = ledger_end(c->ledger);
    if (known && s->end_step != end)
        return ps_fail(c->error, PS_EINTERNAL, "orders: the last step was %llu, and now is %llu",
                       (unsigned long long)end, (unsigned long long)s->end_step);
    c->admin.end_is_lost = end > 0 && is_lost(c);
    return PS_OK;
}
