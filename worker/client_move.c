/* client_move.c - moves messages between session and uplink, and waits for them. See client_state.h. */
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/trace.h"
#include "worker/client_state.h"
#include "worker/client_trace.h"

enum {
    WAIT_SLICE_MS = 100, /* how long a wait sleeps before it looks at the stop flag and the session's clock */
    HELD_BACK_MAX = TRANSPORT_TOGETHER_MAX, /* small requests */
};
#define NS_PER_MS UINT64_C(1000000)

/* What is due to a ps, together with what its socket could not take before. */
static void gather_due(ps_client *c, uint32_t server, uint64_t now, unsent_messages *due)
{
    while (due->count < TRANSPORT_TOGETHER_MAX) {
        wire_message *m = session_next(c->session, server, now);
        if (!m)
            break;
        due->messages[due->count++] = m;
    }
}

static void send_due(ps_client *c, uint64_t now)
{
    c->held_back = 0;
    for (uint32_t server = 0; server < c->job.servers; server++) {
        unsent_messages *due = &c->unsent[server];
        for (;;) {
            const uint64_t begun_ns = trace_begin();
            gather_due(c, server, now, due);
            if (due->count == 0)
                break;
            uint32_t sent = client_trace_send(c, server, due, begun_ns);
            due->count -= sent;
            memmove(due->messages, due->messages + sent, due->count * sizeof *due->messages);
            if (sent == 0)
                break;
        }
    }
}

/* Takes in one message; false if none waits. */
static bool receive_one(ps_client *c)
{
    uint32_t server;
    wire_message *m;
    ps_error error;
    switch (c->uplink->ops->receive(c->uplink, &server, &m, &error)) {
    case TRANSPORT_MESSAGE:
        if (m->type == WIRE_WELCOME && m->text && c->witness.saw_server)
            c->witness.saw_server(c->witness.context, server, m->text);
        client_trace_receive(c, server, &m);
        uint32_t lost;
        if (session_lost_worker(c->session, &lost) && c->worker_lost)
            c->worker_lost(c->context, lost);
        return true;
    case TRANSPORT_REFUSED:
        log_warning("ps/%u sent what is no message: %s", server, error.text);
        return true;
    case TRANSPORT_NOTHING:
        break;
    }
    return false;
}

/* The caller has been in here since `entered_ns`. */
static void account(ps_client *c, uint64_t entered_ns)
{
    bool was_waiting = c->waiting;
    c->waiting = session_is_waiting(c->session);
    if (!was_waiting && !c->waiting)
        return;
    uint64_t now_ns = clock_monotonic_ns();
    if (!was_waiting)
        c->waiting_since_ns = entered_ns;
    c->blocked_ns += now_ns - entered_ns;
    c->waiting_ns += now_ns - c->waiting_since_ns;
    c->waiting_since_ns = now_ns;
}

void ps_progress(ps_client *c)
{
    if (!c->session)
        return;
    uint64_t now_ns = clock_monotonic_ns();
    while (receive_one(c))
        ;
    session_tick(c->session, now_ns / NS_PER_MS);
    send_due(c, now_ns / NS_PER_MS);
    account(c, now_ns);
}

void client_send(ps_client *c, bool small)
{
    if (small && c->waiting && ++c->held_back < HELD_BACK_MAX)
        return;
    uint64_t now_ns = clock_monotonic_ns();
    send_due(c, now_ns / NS_PER_MS);
    account(c, now_ns);
}

void ps_count(const ps_client *c, ps_counters *counters)
{
    *counters = (ps_counters){0};
    if (!c->session)
        return;
    const session_counters *counted = session_count(c->session);
    *counters = (ps_counters){
        .bytes_pushed = counted->bytes_pushed,
        .bytes_pulled = counted->bytes_pulled,
        .bytes_copied = counted->bytes_copied,
        .requests = counted->requests,
        .resent = counted->resent,
        .communication_seconds = (double)c->waiting_ns * 1e-9,
        .blocked_seconds = (double)c->blocked_ns * 1e-9,
    };
}

double ps_hidden_share(const ps_counters *counters)
{
    if (counters->communication_seconds <= 0)
        return 0;
    return 1 - counters->blocked_seconds / counters->communication_seconds;
}

static bool stopped(const ps_client *c)
{
    return c->stop && __atomic_load_n(c->stop, __ATOMIC_RELAXED);
}

static ps_status move_and_wait(ps_client *c, client_done *done, const client_awaited *what,
                               uint64_t entered_ns, uint32_t timeout_ms, ps_error *error)
{
    uint64_t now_ns = entered_ns, deadline_ns = entered_ns + timeout_ms * NS_PER_MS;
    for (bool looked = false;; looked = true) {
        ps_status failure = session_failure(c->session, error);
        if (failure != PS_OK)
            return failure;
        if (stopped(c))
            return ps_fail(error, PS_EINTERRUPTED, "interrupted by a signal");
        if (looked && timeout_ms != PS_FOREVER && now_ns >= deadline_ns)
            return ps_fail(error, PS_ETIMEDOUT, "no answer within %u ms", timeout_ms);
        uint64_t left_ms =
            timeout_ms == PS_FOREVER ? WAIT_SLICE_MS : (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
        send_due(c, now_ns / NS_PER_MS);
        c->uplink->ops->wait(c->uplink, left_ms < WAIT_SLICE_MS ? (int)left_ms : WAIT_SLICE_MS);
        /* No further than needed: to find that no more has come costs a system call. */
        while (receive_one(c))
            if (done(c, what))
                return PS_OK;
        now_ns = clock_monotonic_ns();
        if (c->witness.turned)
            c->witness.turned(c->witness.context, now_ns);
        session_tick(c->session, now_ns / NS_PER_MS);
        if (done(c, what))
            return PS_OK;
    }
}

/* Takes in messages that cost nothing to receive, until `done` says so. Nothing is sent before, so that what
 * these answers lead to leaves together. */
static bool is_done_at_hand(ps_client *c, client_done *done, const client_awaited *what)
{
    while (!done(c, what))
        if (!c->uplink->ops->has_more(c->uplink) || !receive_one(c))
            return false;
    return true;
}

ps_status client_move_until(ps_client *c, client_done *done, const client_awaited *what, uint32_t timeout_ms,
                            ps_error *error)
{
    bool at_hand = is_done_at_hand(c, done, what);
    if (at_hand && c->waiting == session_is_waiting(c->session))
        return PS_OK; /* in no time */
    uint64_t entered_ns = clock_monotonic_ns();
    ps_status status = at_hand ? PS_OK : move_and_wait(c, done, what, entered_ns, timeout_ms, error);
    if (!at_hand)
        trace_span(TRACE_AWAIT, entered_ns, (trace_about){.step = what ? c->requests[what->ticket].step : 0});
    account(c, entered_ns);
    return status;
}
