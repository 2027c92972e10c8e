/* server.c - see server.h. */
#include "ps/server.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/fpmode.h"
#include "common/log.h"
#include "common/log_limit.h"
#include "common/trace.h"
#include "common/transport.h"
#include "ps/archive_folder.h"
#include "ps/journal_file.h"
#include "ps/observer.h"
#include "ps/own_key.h"
#include "ps/shard_trace.h"
#include "ps/unsent.h"

enum {
    TICK_MS = 500,
    SWEEP_MS = 1000,    /* between looks for memory of processes that have ended */
    RETRY_MS = 5,       /* poll while messages wait for room in a peer's queue */
    RECEIVE_BATCH = 64, /* messages taken in before answers are sent */
    LOOK_EVERY = 16,    /* turns, for a second message while they come one by one */
    ENDED_MS = 60000,   /* for a worker to come, where the last checkpoint is the end of a job */
    DRAIN_MS = 5000,    /* for the last answers to leave */
    FAREWELL_MS = 1000, /* after the job, however it ended: workers may still ask what became of it */
    RESOLVE_MS = 1000,  /* between attempts to listen on a name that does not resolve */
    RESOLVE_SAY_MS = 5000,
};

typedef struct {
    transport *transport;
    transport_socket *socket;
    pool *pool;
    crew *threads;
    archive *archive; /* or NULL */
    journal *journal; /* or NULL */
    shard *shard;
    observer *observer; /* or NULL */
    unsent unsent;
    uint64_t swept_ms;
    uint32_t lone_turns; /* in a row, as far as is known: without a second message */
    uint32_t index;      /* of this ps */
    bool after_the_end;  /* its folder holds a job that has come to its end */
    bool lingers;        /* stays when the job has finished, until a signal */
    bool said_over;      /* the log has it that the job has finished */
    uint64_t heard_ms;   /* when the last message came */
    uint64_t told_ms;    /* when a signal asked it to end; 0: not yet */
    uint32_t stop_ms;
    uint64_t memory_max_bytes; /* 0: no limit */
    bool has_keys;
    own_key key;
    bool key_is_due; /* its address is not free again yet */
    bool is_bounded; /* what is on its way, by the job */
    log_limit refused_lines;
    refusal_counts refused;                  /* what never came to the shard */
    uint64_t handshakes_failed, turned_away; /* of which the log has told */
} server;

/* What cannot be taken now is kept. Of a connection that is gone all is dropped: its owner will ask again
 * over a new one. */
static void send_batch(server *s, const wire_route *to, wire_message **batch, uint32_t count)
{
    const uint64_t begun_ns = shard_trace_answers(to, batch, count);
    uint32_t sent = unsent_has(&s->unsent, to) ? 0 : transport_send_together(s->socket, to, batch, count);
    for (; sent < count; sent++)
        unsent_keep(&s->unsent, to, &batch[sent]);
    shard_trace_answered(begun_ns, count);
}

/* Answers in a row to one member leave together. */
static void send_answers(server *s)
{
    wire_message *batch[TRANSPORT_TOGETHER_MAX];
    wire_route to, next_to;
    wire_message *next = shard_next(s->shard, &next_to);
    while (next) {
        uint32_t count = 0;
        to = next_to;
        while (next && count < TRANSPORT_TOGETHER_MAX && wire_is_same_route(&to, &next_to)) {
            batch[count++] = next;
            next = shard_next(s->shard, &next_to);
        }
        send_batch(s, &to, batch, count);
    }
}

static void send_all(server *s)
{
    unsent_send(&s->unsent, s->socket);
    send_answers(s);
}

static refusal reason_of(const server *s, ps_status status)
{
    if (transport_refused_a_key(s->socket))
        return status == PS_EPEER ? REFUSAL_KEY_REMOVED : REFUSAL_NOT_ITS_ROLE;
    return status == PS_ELIMIT ? REFUSAL_TOO_LARGE : status == PS_ENOMEM ? REFUSAL_OTHER : REFUSAL_MALFORMED;
}

/* Tells a sender of what is no message of ours, if it understands as much, what was wrong with it. */
static void refuse(server *s, const wire_route *to, const ps_error *why)
{
    uint64_t held;
    s->refused.count[reason_of(s, why->status)]++;
    if (log_limit_pass(&s->refused_lines, &held))
        log_warning(held ? "refused a message: %s (and %llu before it)" : "refused a message: %s", why->text,
                    (unsigned long long)held);
    wire_message *m = wire_create(WIRE_ERROR, 0);
    if (!m)
        return;
    m->role = WIRE_PS;
    m->index = s->index;
    m->status = why->status;
    wire_set_text(m, why->text);
    transport_send(s->socket, to, &m);
    wire_destroy(&m);
}

/* Of those with a wrong key the list's keeper tells more, of those turned away the next line, and of
 * strangers who hang up nothing is to be told but that they came. */
static void say_handshakes(server *s)
{
    const transport_handshakes *h = transport_look_at_handshakes(s->socket);
    const uint64_t turned_away = h->failed[HANDSHAKE_TURNED_AWAY];
    uint64_t failed = 0;
    for (int i = 0; i < HANDSHAKE_FAILURES; i++)
        failed += i == HANDSHAKE_KEY_NOT_ALLOWED || i == HANDSHAKE_TURNED_AWAY ? 0 : h->failed[i];
    if (failed > s->handshakes_failed)
        log_warning("%llu connections failed in the handshake: %s",
                    (unsigned long long)(failed - s->handshakes_failed),
                    s->has_keys ? "without keys, or with another ps.pub than ours"
                                : "with keys, which this ps has not (--curve-keys), or no peers of ours");
    s->handshakes_failed = failed;
    if (turned_away > s->turned_away)
        log_warning(
            "%llu connections of strangers were cut: too many at once, or more sent than a handshake takes",
            (unsigned long long)(turned_away - s->turned_away));
    s->turned_away = turned_away;
}

/* May a second message have come? To find that none has takes a system call, which a lone request would wait
 * for. */
static bool is_worth_a_look(const server *s)
{
    return s->lone_turns % LOOK_EVERY == 0;
}

static void take_message(server *s, wire_message **m, const wire_route *from, uint64_t now_ms)
{
    const uint64_t begun_ns = s->observer ? clock_monotonic_ns() : 0;
    shard_trace_receive(s->shard, m, from, now_ms);
    if (s->observer)
        observer_note_updates(s->observer, shard_count(s->shard)->steps_applied, begun_ns);
}

/* Once the job is known, so is the largest message that its members send, and how many of them there are. */
static void bound_inbox(server *s)
{
    const job_config *job = shard_job(s->shard);
    if (s->is_bounded || !job)
        return;
    const uint64_t each = transport_inbox_bytes(job->slice_bytes);
    uint64_t all = (job->workers + job->evaluators + TRANSPORT_PEERS_FIRST) * each;
    if (s->memory_max_bytes && all > s->memory_max_bytes)
        all = s->memory_max_bytes > each ? s->memory_max_bytes : each;
    transport_bound(s->socket, each, all);
    s->is_bounded = true;
}

/* Waits for a message and takes in those that have come, up to a batch. */
static void receive_some(server *s, int timeout_ms)
{
    wire_route from;
    wire_message *m;
    ps_error error;
    const uint64_t waits_ns = trace_begin();
    transport_event event = transport_await(s->socket, timeout_ms, &from, &m, &error);
    trace_span(TRACE_IDLE, waits_ns, (trace_about){.step = 0});
    uint64_t now = clock_monotonic_ms();
    int taken = 0;
    if (s->journal)
        journal_file_hear(s->journal);
    while (event != TRANSPORT_NOTHING) {
        taken++;
        if (event == TRANSPORT_MESSAGE)
            take_message(s, &m, &from, now);
        else
            refuse(s, &from, &error);
        if (taken == RECEIVE_BATCH || !(transport_has_more(s->socket) || is_worth_a_look(s)))
            break;
        event = transport_receive(s->socket, &from, &m, &error);
    }
    s->lone_turns = taken > 1 ? 0 : s->lone_turns + 1;
    if (taken > 0)
        s->heard_ms = now;
    shard_tick(s->shard, now);
    bound_inbox(s);
    const bool sweeps = now - s->swept_ms >= SWEEP_MS;
    if (sweeps || s->key_is_due)
        s->key_is_due = own_key_look(&s->key, s->socket);
    if (sweeps) {
        transport_sweep(s->transport);
        say_handshakes(s);
        s->swept_ms = now;
    }
}

/* Has the job finished: here, or before this process began, so that no worker may come any more? */
static bool is_over(const server *s)
{
    return shard_has_job(s->shard) ? shard_finished(s->shard) : s->after_the_end;
}

static observation observe(const server *s)
{
    observation now = {.shard = s->shard,
                       .has_archive = s->archive != NULL,
                       .refused = s->refused,
                       .unsent = unsent_count(&s->unsent),
                       .is_over = is_over(s)};
    const transport_handshakes *h = transport_look_at_handshakes(s->socket);
    memcpy(now.handshakes_failed, h->failed, sizeof now.handshakes_failed);
    now.refused.count[REFUSAL_IN_FLIGHT] = h->beyond_inbox;
    if (s->archive)
        now.images = archive_folder_count(s->archive);
    return now;
}

static void turn(server *s)
{
    receive_some(s, s->unsent.first || s->key_is_due || shard_awaits_archive(s->shard) ? RETRY_MS : TICK_MS);
    send_all(s);
    const uint64_t now_ms = s->observer ? clock_monotonic_ms() : 0;
    if (s->observer && observer_tick(s->observer, now_ms)) {
        const observation now = observe(s);
        observer_show(s->observer, &now, now_ms);
    }
}

static void log_summary(const shard *s)
{
    const shard_counters *c = shard_count(s);
    log_info("%llu updates of %llu examples; %llu repeats, %llu late, %llu not finite, %llu refused",
             (unsigned long long)c->steps_applied, (unsigned long long)c->examples_applied,
             (unsigned long long)c->repeats, (unsigned long long)c->late_gradients,
             (unsigned long long)c->nonfinite_refused, (unsigned long long)c->messages_refused);
    log_info("the weights have seen %llu updates", (unsigned long long)shard_version(s));
}

static void log_checkpoints(archive *a)
{
    const archive_counters c = archive_folder_count(a);
    log_info("%llu checkpoints written; %llu failed, %llu left out", (unsigned long long)c.kept,
             (unsigned long long)c.failed, (unsigned long long)c.dropped);
}

static void answer_the_last(server *s, const volatile sig_atomic_t *stop)
{
    uint64_t end = clock_monotonic_ms() + FAREWELL_MS;
    while (clock_monotonic_ms() < end && !*stop) {
        receive_some(s, RETRY_MS);
        send_all(s);
    }
}

/* Was this process started again after its job had come to its end, so that no worker will come any more? */
static bool has_nothing_to_do(const server *s)
{
    return !s->lingers && s->after_the_end && !shard_has_job(s->shard) &&
           clock_monotonic_ms() - s->heard_ms >= ENDED_MS;
}

/* After the first signal the shard leaves a checkpoint to go on from, if there is time; the second is final.
 */
static bool has_wound_up(server *s, int signals)
{
    const uint64_t now = clock_monotonic_ms();
    if (s->told_ms == 0)
        s->told_ms = now;
    if (!s->archive || signals > 1)
        return true;
    shard_wind_up(s->shard, now);
    if (shard_is_wound_up(s->shard))
        return true;
    if (now - s->told_ms < s->stop_ms)
        return false;
    log_warning("the last checkpoint could not be kept within %u s", s->stop_ms / 1000);
    return true;
}

/* Is this process done, and well? One that lingers is there for workers who are started again late: they ask
 * what became of the job, and may be let work again. */
static bool is_done(server *s, int signals)
{
    if (!s->lingers)
        return shard_finished(s->shard);
    if (!is_over(s))
        return false;
    if (!s->said_over)
        log_event(LOG_INFO, "lingering", LOG_NO_STEP,
                  "the job has finished; staying until a signal (--linger)");
    s->said_over = true;
    return signals > 0;
}

static ps_status serve(server *s, const volatile sig_atomic_t *stop, ps_error *error)
{
    ps_status status = PS_OK;
    s->heard_ms = clock_monotonic_ms();
    if (s->after_the_end && !s->lingers)
        log_info("the last checkpoint is the end of a job: ending, too, if no worker comes for %d s",
                 ENDED_MS / 1000);
    for (int signals = *stop; status == PS_OK && !is_done(s, signals); signals = *stop) {
        if (signals > 0 && has_wound_up(s, signals))
            return ps_fail(error, PS_EINTERRUPTED, "interrupted by a signal");
        if (has_nothing_to_do(s)) {
            log_info("no worker has come for %d s, and the last checkpoint is the end of its job",
                     ENDED_MS / 1000);
            return PS_OK;
        }
        turn(s);
        status = shard_failure(s->shard, error);
        if (s->journal && journal_file_failure(s->journal, error) != PS_OK)
            return PS_ELOG; /* no last word: workers shall wait */
        if (status != PS_OK && !shard_has_job(s->shard))
            return status; /* nor here: the log could not be read */
    }
    answer_the_last(s, stop);
    return status;
}

/* Listens; waits for its own name to resolve. */
static ps_status listen_on(server *s, const server_config *config, ps_error *error)
{
    const struct timespec pause = {.tv_sec = RESOLVE_MS / 1000, .tv_nsec = RESOLVE_MS % 1000 * 1000000};
    uint64_t started = clock_monotonic_ms(), said = 0;
    for (;;) {
        ps_status status =
            transport_listen(s->transport, config->host, config->port, config->listen_fd, &s->socket, error);
        if (status != PS_ENOENT)
            return status;
        if (*config->stop)
            return ps_fail(error, PS_EINTERRUPTED, "interrupted by a signal");
        uint64_t now = clock_monotonic_ms();
        if (said == 0 || now - said >= RESOLVE_SAY_MS) {
            log_warning("the name '%s' does not resolve yet (%llu s)", config->host,
                        (unsigned long long)(now - started) / 1000);
            said = now;
        }
        nanosleep(&pause, NULL); /* a signal ends it early */
    }
}

/* What outlives this process. */
static ps_status open_past(server *s, const server_config *config, ps_error *error)
{
    const char *folder = config->checkpoint_folder;
    if (!folder)
        return PS_OK;
    ps_status status = archive_folder_create(folder, config->checkpoint_keep, &s->archive, error);
    if (status == PS_OK && config->log_updates)
        status = journal_file_create(folder, &s->journal, error);
    else if (status == PS_OK)
        status = journal_file_expect_none(folder, s->index, error);
    s->after_the_end = status == PS_OK && archive_folder_is_final(s->archive);
    return status;
}

ps_status server_run(const server_config *config, ps_error *error)
{
    server s = {.index = config->shard.index,
                .stop_ms = config->stop_ms,
                .lingers = config->lingers,
                .memory_max_bytes = config->shard.memory_max_bytes,
                .has_keys = config->keys && config->keys->wanted};
    const server_identity self = {config->shard.index, config->shard.incarnation};
    fpmode_flush_denormals();
    ps_status status =
        crew_create(config->threads ? config->threads : 1, config->processors, &s.threads, error);
    if (status != PS_OK)
        goto done;
    status = pool_create(config->share_memory, &s.pool);
    shard_config core = config->shard;
    core.pool = s.pool;
    core.threads = s.threads;
    core.listener = shard_trace_listener();
    if (status != PS_OK) {
        ps_fail(error, status, "out of memory for a shard");
        goto done;
    }
    status = open_past(&s, config, error);
    if (status != PS_OK)
        goto done;
    status = observer_create(&config->http, &self, &s.observer, error);
    if (status != PS_OK)
        goto done;
    core.archive = s.archive;
    core.journal = s.journal;
    core.counted = observer_metrics(s.observer);
    status = shard_create(&core, &s.shard);
    if (status != PS_OK) {
        ps_fail(error, status, "out of memory for a shard");
        goto done;
    }
    status = transport_create(config->io_threads, &s.transport, error);
    if (status == PS_OK && config->share_memory)
        status = transport_share(s.transport, s.pool);
    if (status == PS_OK && s.has_keys)
        status = transport_secure(s.transport, config->keys, error);
    if (status == PS_OK)
        status = listen_on(&s, config, error);
    if (status == PS_OK && s.has_keys)
        own_key_begin(&s.key, config->keys);
    if (status == PS_OK) /* only now: ZeroMQ's own threads, which inherit it, are there */
        status = crew_pin_caller(s.threads, error);
    if (status != PS_OK)
        goto done;
    if (s.journal)
        transport_watch(s.socket, journal_file_descriptor(s.journal));
    if (s.observer) {
        status = observer_serve(s.observer, &config->http, config->status_folder, error);
        if (status != PS_OK)
            goto done;
        shard_tell_http(s.shard, observer_where(s.observer));
    }
    log_event(LOG_INFO, "listening", LOG_NO_STEP, "listening on %s:%u", config->host ? config->host : "*",
              config->port);
    status = serve(&s, config->stop, error);
    log_summary(s.shard);
    if (s.archive)
        log_checkpoints(s.archive);
    if (s.journal && status == PS_OK && shard_needs_no_journal(s.shard))
        journal_file_finish(s.journal);

    if (s.observer && status == PS_OK) {
        const observation last = observe(&s);
        observer_part(s.observer, &last, clock_monotonic_ms());
    }

done:
    if (s.observer)
        observer_close(s.observer);
    unsent_drop(&s.unsent);
    own_key_end(&s.key);
    if (s.socket)
        transport_close(&s.socket, status == PS_EINTERRUPTED || status == PS_ELOG ? 0 : DRAIN_MS);
    if (s.archive) /* before the shard: it may still write an image */
        s.archive->ops->destroy(s.archive);
    if (s.journal)
        s.journal->ops->destroy(s.journal);
    /* The shard holds gradients that lie in memory the transport has mapped; the transport, weights of the
     * pool. */
    shard_destroy(&s.shard);
    observer_destroy(&s.observer); /* into whose metrics the shard counts */
    crew_destroy(&s.threads);
    transport_destroy(&s.transport);
    pool_destroy(&s.pool);
    return status;
}
