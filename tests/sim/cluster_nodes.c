/* cluster_nodes.c - the processes of a simulated cluster. See cluster_state.h. */
#include <string.h>

#include "ps/shard_state.h"
#include "tests/sim/cluster_state.h"

/* As ps/server.c. */
enum { SERVER_TICK_MS = 500, SERVER_RETRY_MS = 5, SERVER_FAREWELL_MS = 1000 };

static uint64_t clock_of(const cluster *c, const node *n)
{
    return network_now(c->network) + n->clock_ms;
}

node *cluster_node_at(cluster *c, uint32_t address)
{
    for (uint32_t i = 0; i < c->node_count; i++)
        if (c->nodes[i].address == address)
            return &c->nodes[i];
    return NULL;
}

/* ---- life ---- */

ps_status cluster_take_address(cluster *c, node *n)
{
    if (c->addresses == NETWORK_ADDRESSES_MAX)
        return PS_ELIMIT;
    n->address = c->addresses++;
    return PS_OK;
}

/* Where every ps keeps a log none is ever behind what it has said, so nobody need go back. But see cluster.h
 * for damaged images; and backup workers let ps come any number of steps apart. */
static bool all_go_on(const cluster *c)
{
    const job_config *job = &c->scenario.job;
    return c->scenario.logs == (1U << job->servers) - 1 && job->backup_workers == 0 &&
           disk_count(c->disk)->damaged == 0;
}

static ps_status start_server(cluster *c, node *n)
{
    sim_journal *log = cluster_log_of(c, n);
    shard_config config = {
        .index = n->index,
        .incarnation = n->incarnation * INCARNATIONS,
        .lease_ms = c->scenario.lease_ms,
        .journal = log ? sim_journal_of(log) : NULL,
        .archive = c->disk ? disk_archive(c->disk, n->index) : NULL,
        .image_steps = c->scenario.image_steps,
        .servers = c->scenario.job.servers,
        .workers = c->scenario.job.workers,
    };
    return shard_create(&config, &n->shard);
}

static ps_status start_member(cluster *c, node *n)
{
    bool exact = n->role == WIRE_WORKER && scenario_is_exact(&c->scenario);
    trainee_config config = {
        .scenario = &c->scenario,
        .partition = &c->partition,
        .role = n->role,
        .index = n->index,
        .incarnation = n->process * INCARNATIONS,
        .stands_in = n->stands_in,
        .oracle = c->oracle,
        .trajectory = exact ? &c->trajectory : NULL,
    };
    return trainee_create(&config, &n->trainee);
}

ps_status cluster_start(cluster *c, node *n)
{
    char name[TRACE_NAME_BYTES];
    n->process = ++n->incarnation;
    int used = snprintf(name, sizeof name, "%s %u", wire_role_name(n->role), n->index);
    if (n->incarnation > 1)
        snprintf(name + used, sizeof name - (size_t)used, " #%u", (unsigned)n->incarnation);
    network_open(c->network, n->address, n->host, name);
    n->wake_at_ms = network_now(c->network);
    if (n->incarnation > 1)
        trace_line(c->trace, network_now(c->network), "%s starts", name);
    ps_status status = cluster_is_server(n) ? start_server(c, n) : start_member(c, n);
    if (status == PS_OK)
        status = network_wake(c->network, n->address, 0);
    return status == PS_OK ? PS_OK : ps_fail(c->error, status, "%s: %s", name, ps_status_text(status));
}

ps_status cluster_stand_in(cluster *c, const node *chief, uint32_t worker)
{
    node *n = &c->nodes[c->node_count - c->scenario.job.workers + worker], *lost = cluster_worker(c, worker);
    if (n->trainee || trainee_done(chief->trainee))
        return PS_OK;
    char name[TRACE_NAME_BYTES];
    snprintf(name, sizeof name, "stand-in %u #%u", worker, (unsigned)lost->incarnation + 1);
    n->process = ++lost->incarnation;
    n->clock_ms = chief->clock_ms;
    ps_status status = cluster_take_address(c, n);
    if (status == PS_OK)
        status = start_member(c, n);
    if (status != PS_OK)
        return ps_fail(c->error, status, "%s: %s", name, ps_status_text(status));
    c->summary->stand_ins++;
    trace_line(c->trace, network_now(c->network), "%s starts", name);
    network_open(c->network, n->address, n->host, name);
    n->wake_at_ms = network_now(c->network);
    return network_wake(c->network, n->address, 0);
}

void cluster_end_stand_in(cluster *c, node *n)
{
    trace_line(c->trace, network_now(c->network), "%s ends", network_name_of(c->network, n->address));
    network_close(c->network, n->address);
    trainee_destroy(&n->trainee);
}

void cluster_end_stand_ins(cluster *c)
{
    for (uint32_t i = 0; i < c->node_count; i++)
        if (c->nodes[i].stands_in && c->nodes[i].trainee)
            cluster_end_stand_in(c, &c->nodes[i]);
}

void cluster_dismiss_oracle(cluster *c)
{
    oracle_destroy(&c->oracle);
    for (uint32_t i = 0; i < c->node_count; i++)
        if (c->nodes[i].trainee)
            trainee_dismiss_oracle(c->nodes[i].trainee);
}

/* ---- messages ---- */

static ps_status send(cluster *c, uint32_t from, uint32_t to, wire_message **message, uint32_t *burst)
{
    if (++*burst > CLUSTER_BURST_MAX) {
        wire_destroy(message);
        return ps_fail(c->error, PS_ELIMIT, "bounds: one event makes %s send more than %d messages",
                       network_name_of(c->network, from), CLUSTER_BURST_MAX);
    }
    ps_status status = network_send(c->network, from, to, message);
    if (status != PS_OK)
        return ps_fail(c->error, status, "bounds: %u messages are under way, and %s sends one more: %s",
                       network_under_way(c->network), network_name_of(c->network, from),
                       ps_status_text(status));
    return PS_OK;
}

/* A route is the address that a request came from. */
static wire_route route_to(uint32_t address)
{
    wire_route route = {.bytes = sizeof address};
    memcpy(route.id, &address, sizeof address);
    return route;
}

static uint32_t address_of(const wire_route *route)
{
    uint32_t address;
    memcpy(&address, route->id, sizeof address);
    return address;
}

/* A worker that is told that its end is known may go, and never come back to replay what is lost. Not where
 * the ps has gone back since: then what it says counts no more. */
static ps_status check_last_word(cluster *c, const node *n, const node *to, const wire_message *m)
{
    bool last = m->type == WIRE_ACK && m->after_finish && to && to->role == WIRE_WORKER;
    if (!last || !c->disk || m->step > n->shard->consistency.applied ||
        disk_has_final(c->disk, n->index, m->step))
        return PS_OK;
    return ps_fail(
        c->error, PS_EINTERNAL,
        "the last word: ps/%u has told worker %u that its end is known, but the image of step %llu, "
        "the last, is not safe",
        n->index, to->index, (unsigned long long)m->step);
}

static ps_status check_answer(cluster *c, const node *n, uint32_t to, const wire_message *m)
{
    bool unasked = m->type == WIRE_WELCOME && m->request == 0; /* only a hint to ask */
    ps_status status = PS_OK;
    if (c->oracle && !unasked)
        status = oracle_check_answer(c->oracle, n->index, to, m, c->error);
    if (status == PS_OK)
        status = ledger_check_answer(c->ledger, n->shard, m, c->error);
    return status == PS_OK ? check_last_word(c, n, cluster_node_at(c, to), m) : status;
}

static ps_status send_answers(cluster *c, node *n)
{
    wire_route route;
    wire_message *m;
    uint32_t burst = 0;
    ps_status status = PS_OK;
    while (status == PS_OK && (m = shard_next(n->shard, &route))) {
        const bool told = address_of(&route) == cluster_admin_address(c);
        plant_answer(c->plant, m);
        status = told ? cluster_check_told(c, n, m) : check_answer(c, n, address_of(&route), m);
        if (n->history && !told)
            history_hear(n->history, n->shard, m);
        if (status == PS_OK)
            status = send(c, n->address, address_of(&route), &m, &burst);
        wire_destroy(&m);
    }
    return status;
}

static ps_status send_requests(cluster *c, const node *n)
{
    uint32_t burst = 0;
    ps_status status = PS_OK;
    for (uint32_t server = 0; server < c->scenario.job.servers && status == PS_OK; server++) {
        wire_message *m;
        while (status == PS_OK && (m = trainee_next(n->trainee, server, clock_of(c, n))))
            status = send(c, n->address, server, &m, &burst);
    }
    return status;
}

/* ---- ps ---- */

static ps_status check_goes_on(const cluster *c, const node *n)
{
    if (!all_go_on(c) || shard_count(n->shard)->restores == 0)
        return PS_OK;
    return ps_fail(c->error, PS_EINTERNAL, "log: ps/%u is told to go back, though every ps keeps a log",
                   n->index);
}

/* Do all ps say the same of who takes part? And whom has this one given up? */
static ps_status check_members(cluster *c, const node *n)
{
    const shard *s = n->shard;
    ps_status status = PS_OK;
    for (uint32_t i = 0; i < c->scenario.job.servers && status == PS_OK; i++)
        if (c->nodes[i].shard && c->nodes[i].shard != s)
            status = ledger_check_lists(c->ledger, s, c->nodes[i].shard, c->error);
    for (uint32_t w = 0; s->has_job && w < s->job.workers; w++)
        cluster_worker(c, w)->given_up |= s->workers[w].given_up;
    return status;
}

/* After whatever has happened to it. */
static ps_status check_shard(cluster *c, const node *n)
{
    ps_status status = PS_OK;
    if (c->oracle)
        status = oracle_check_shard(c->oracle, n->index, shard_count(n->shard), c->error);
    if (status == PS_OK)
        status = ledger_check_shard(c->ledger, n->index, n->shard, c->error);
    if (status == PS_OK)
        status = check_goes_on(c, n);
    if (status == PS_OK && c->scenario.shrinks)
        status = check_members(c, n);
    if (status == PS_OK && n->history)
        status = history_note(n->history, n->shard, c->error);
    return status == PS_OK ? shard_failure(n->shard, c->error) : status;
}

/* The chief may order a way back without any ps having crashed: if it was replaced during the very first
 * step, it cannot tell a ps that waits for that from one that has forgotten it. */
static void follow_message(cluster *c, const node *n, const network_event *event)
{
    if (event->message->type == WIRE_RESTORE)
        cluster_dismiss_oracle(c);
    if (c->oracle && event->from != cluster_admin_address(c))
        oracle_delivered(c->oracle, n->index, event->from, event->message);
}

static void count_changes(cluster *c, const node *n, wire_type type, uint64_t version, uint64_t restores)
{
    const shard *s = n->shard;
    if (!c->scenario.shrinks)
        return;
    const bool changed = s->consistency.members.version != version;
    c->summary->left += changed && type == WIRE_LEAVE;
    c->summary->entered += changed && type == WIRE_ENTER;
    c->summary->restores += s->counters.restores - restores;
}

/* The shard has the message; where it must have begun, if that made it begin, was `expected`. */
static ps_status take_in(cluster *c, node *n, const network_event *event, wire_message **m)
{
    const bool had_job = shard_has_job(n->shard), by_log = n->history && !history_is_blank(n->history);
    const checkpoint_state *expected = c->disk && !had_job ? disk_expected(c->disk, n->index) : NULL;
    const wire_route route = route_to(event->from);
    const wire_message sender = {.role = (*m)->role,
                                 .index = (*m)->index,
                                 .incarnation = (*m)->incarnation,
                                 .members_version = (*m)->members ? (*m)->members->version : 0};
    if (n->history)
        n->log_end = sim_journal_end(cluster_log_of(c, n));
    const wire_type type = (*m)->type;
    const uint64_t version = n->shard->consistency.members.version, restores = n->shard->counters.restores;
    plant_look(c->plant, n->shard);
    shard_receive(n->shard, m, &route, clock_of(c, n));
    plant_meddle(c->plant, n->shard);
    count_changes(c, n, type, version, restores);
    ps_status status = PS_OK;
    if (!had_job && shard_has_job(n->shard) && by_log) {
        c->summary->recoveries++;
        status = history_check_recovered(n->history, n->shard, &sender, c->error);
    } else if (!had_job && shard_has_job(n->shard)) {
        status = ledger_check_recovered(c->ledger, n->index, n->shard, expected, c->error);
    }
    return status == PS_OK ? check_shard(c, n) : status;
}

/* Has what it took in come to its log? */
static ps_status crash_at_log(cluster *c, const node *n, bool *crashed)
{
    ps_status status = PS_OK;
    *crashed = false;
    if (!n->history || sim_journal_end(cluster_log_of(c, n)) == n->log_end)
        return PS_OK;
    for (int m = MOMENT_BEFORE_APPEND; m <= MOMENT_BEFORE_KEEP && status == PS_OK && !*crashed; m++)
        if (m != MOMENT_DURABLE)
            status = cluster_crash_at(c, n, (fault_moment)m, crashed);
    return status;
}

/* Its log wakes it when more is durable; and ends it when nothing can be any more. */
static ps_status watch_log(cluster *c, node *n)
{
    if (!n->history || !n->shard)
        return PS_OK;
    sim_journal *log = cluster_log_of(c, n);
    if (sim_journal_failed(log) && n->end_at_ms == 0)
        return cluster_end_for_log(c, n);
    const uint64_t next_ms = sim_journal_next_ms(log);
    if (next_ms == 0 || next_ms == n->log_at_ms)
        return PS_OK;
    n->log_at_ms = next_ms;
    return network_wake(c->network, n->address, next_ms);
}

static ps_status deliver_to_server(cluster *c, node *n, network_event *event)
{
    bool crashed;
    ps_status status = cluster_crash_at(c, n, MOMENT_BEFORE_MESSAGE, &crashed);
    if (status != PS_OK || crashed)
        return status;
    follow_message(c, n, event);
    if (!plant_request(c->plant, n->shard, event->message))
        return PS_OK;
    status = take_in(c, n, event, &event->message);
    if (status == PS_OK)
        status = crash_at_log(c, n, &crashed);
    if (status == PS_OK && !crashed)
        status = cluster_crash_at(c, n, MOMENT_BEFORE_REPLY, &crashed);
    if (status != PS_OK || crashed)
        return status;
    status = send_answers(c, n);
    if (status == PS_OK)
        status = cluster_crash_at(c, n, MOMENT_AFTER_REPLY, &crashed);
    if (status == PS_OK && !crashed)
        status = cluster_crash_at(c, n, MOMENT_WRITING, &crashed);
    return status == PS_OK ? watch_log(c, n) : status;
}

/* Its job is over: it still answers for a moment, and ends, whoever comes meanwhile. */
static ps_status end_server(cluster *c, node *n)
{
    const uint64_t now_ms = network_now(c->network);
    if (n->end_at_ms == 0 && !shard_finished(n->shard))
        return PS_OK;
    if (n->end_at_ms == 0)
        n->end_at_ms = now_ms + SERVER_FAREWELL_MS;
    if (now_ms < n->end_at_ms)
        return PS_OK;
    ps_status status = ledger_check_end(c->ledger, n->index, n->shard, c->error);
    trace_line(c->trace, now_ms, "%s has done its job and ends", network_name_of(c->network, n->address));
    n->ended_alone = n->shard->abandoned && n->shard->at_the_end;
    shard_destroy(&n->shard);
    n->ended = true;
    return status;
}

static ps_status wake_server(cluster *c, node *n)
{
    shard_tick(n->shard, clock_of(c, n));
    ps_status status = check_shard(c, n);
    if (status == PS_OK)
        status = send_answers(c, n);
    if (status == PS_OK)
        status = end_server(c, n);
    return status == PS_OK ? watch_log(c, n) : status;
}

static ps_status tick_server(cluster *c, node *n)
{
    const uint64_t now_ms = network_now(c->network);
    ps_status status = wake_server(c, n);
    if (status != PS_OK || !n->shard)
        return status;
    n->wake_at_ms = now_ms + (shard_awaits_archive(n->shard) ? SERVER_RETRY_MS : SERVER_TICK_MS);
    return network_wake(c->network, n->address, n->wake_at_ms);
}

/* Its log is durable up to another place. */
static ps_status hear_log(cluster *c, node *n)
{
    const uint64_t durable = sim_journal_durable(cluster_log_of(c, n));
    const uint64_t retry_ms = network_now(c->network) + SERVER_RETRY_MS;
    bool crashed = false;
    ps_status status = PS_OK;
    n->log_at_ms = 0;
    if (durable > n->log_durable)
        status = cluster_crash_at(c, n, MOMENT_DURABLE, &crashed);
    n->log_durable = durable;
    if (status != PS_OK || crashed)
        return status;
    status = wake_server(c, n);
    if (status != PS_OK || !n->shard || !shard_awaits_archive(n->shard) || n->wake_at_ms <= retry_ms)
        return status;
    n->wake_at_ms = retry_ms;
    return network_wake(c->network, n->address, n->wake_at_ms);
}

/* ---- workers and evaluators ---- */

/* Only a ps that has ended may leave a farewell unanswered. */
static ps_status check_patience(const cluster *c, const node *n)
{
    for (uint32_t i = 0; i < c->scenario.job.servers; i++)
        if (c->nodes[i].ended)
            return PS_OK;
    return ps_fail(c->error, PS_ETIMEDOUT,
                   "liveness: %s %u has given up waiting for an answer to its farewell, but no ps has ended",
                   wire_role_name(n->role), n->index);
}

static bool is_chief(const node *n)
{
    return n->role == WIRE_WORKER && n->index == 0;
}

/* Has another process been started under its name? */
static bool is_replaced(cluster *c, const node *n)
{
    return c->scenario.shrinks && n->role == WIRE_WORKER &&
           n->process < cluster_worker(c, n->index)->incarnation;
}

static ps_status end_replaced(cluster *c, node *n)
{
    if (!n->stands_in)
        return cluster_end_replaced(c, n);
    cluster_end_stand_in(c, n);
    return PS_OK;
}

static ps_status move(cluster *c, node *n)
{
    char before[128], after[128];
    const bool was_done = trainee_done(n->trainee);
    if (c->trace->file)
        trainee_describe(n->trainee, before, sizeof before);
    ps_status status = trainee_tick(n->trainee, clock_of(c, n), c->error);
    if (status == PS_EPEER && is_replaced(c, n))
        return end_replaced(c, n);
    if (n->role == WIRE_WORKER)
        ledger_computed(c->ledger, n->index, trainee_computed(n->trainee));
    if (c->trace->file) {
        trainee_describe(n->trainee, after, sizeof after);
        if (strcmp(before, after) != 0)
            trace_line(c->trace, network_now(c->network), "%s", after);
    }
    if (status == PS_OK && trainee_went_back(n->trainee) && all_go_on(c) && !c->scenario.shrinks)
        status = ps_fail(c->error, PS_EROLLBACK, "log: %s %u goes back, though every ps keeps a log",
                         wire_role_name(n->role), n->index);
    if (status == PS_OK && !was_done && trainee_gave_up(n->trainee) && c->scenario.mode == MODE_LIVENESS)
        status = check_patience(c, n);
    if (status == PS_OK)
        status = send_requests(c, n);
    if (trainee_done(n->trainee) && n->stands_in)
        cluster_end_stand_in(c, n);
    else if (trainee_done(n->trainee) && is_chief(n))
        cluster_end_stand_ins(c);
    return status;
}

static ps_status deliver_to_member(cluster *c, node *n, network_event *event)
{
    bool crashed;
    ps_status status = cluster_crash_at(c, n, MOMENT_BEFORE_MESSAGE, &crashed);
    if (status != PS_OK || crashed)
        return status;
    trainee_receive(n->trainee, event->from, &event->message);
    uint32_t lost;
    if (trainee_lost_worker(n->trainee, &lost) && is_chief(n))
        status = cluster_stand_in(c, n, lost);
    if (status != PS_OK)
        return status;
    status = cluster_crash_at(c, n, MOMENT_BEFORE_REPLY, &crashed);
    if (status != PS_OK || crashed)
        return status;
    status = move(c, n);
    return status == PS_OK ? cluster_crash_at(c, n, MOMENT_AFTER_REPLY, &crashed) : status;
}

static ps_status wake_member(cluster *c, node *n)
{
    n->wake_at_ms = network_now(c->network) + CLUSTER_TICK_MS;
    ps_status status = move(c, n);
    return status == PS_OK ? network_wake(c->network, n->address, n->wake_at_ms) : status;
}

/* ---- events ---- */

/* Before its first step a job waits for all workers, also for one that is lost (ps/shard_liveness.c):
 * somebody has to start it again. */
static bool is_needed(const cluster *c, const node *n)
{
    for (uint32_t i = 0; i < c->scenario.job.servers; i++) {
        const shard *s = c->nodes[i].shard;
        if (s && s->has_job && s->slice_count > 0 && s->consistency.applied == 0 &&
            shard_is_member(s, n->index) && !s->workers[n->index].joined)
            return true;
    }
    return false;
}

static ps_status start_again(cluster *c, node *n)
{
    if (n->for_good && cluster_is_calm(c))
        n->for_good = !is_needed(c, n);
    if (!n->for_good)
        return cluster_start(c, n);
    n->wake_at_ms = network_now(c->network) + SERVER_TICK_MS;
    return network_wake(c->network, n->address, n->wake_at_ms);
}

/* What woke it in a life before this one is no matter. */
ps_status cluster_wake(cluster *c, node *n)
{
    const uint64_t now_ms = network_now(c->network);
    if (!n->ended && n->log_at_ms > 0 && now_ms >= n->log_at_ms)
        return hear_log(c, n);
    if (n->ended || now_ms < n->wake_at_ms)
        return PS_OK;
    if (!cluster_is_up(n))
        return n->stands_in ? PS_OK : start_again(c, n);
    return cluster_is_server(n) ? tick_server(c, n) : wake_member(c, n);
}

/* What comes to a process that is down is lost. */
ps_status cluster_deliver(cluster *c, node *n, network_event *event)
{
    if (!cluster_is_up(n))
        return PS_OK;
    return cluster_is_server(n) ? deliver_to_server(c, n, event) : deliver_to_member(c, n, event);
}
