/* client_move.c - moves messages between session and uplink, and waits for them. See client_state.h. */
#include "common/clock.h"
#include "common/log.h"
#include "worker/client_state.h"

/* How long a wait sleeps before it looks at the stop flag and the session's clock. */
enum { WAIT_SLICE_MS = 100 };

static void send_due(ps_client *c, uint64_t now)
{
    for (uint32_t server = 0; server < c->job.servers; server++) {
        for (;;) {
            wire_message *m = c->unsent[server];
            c->unsent[server] = NULL;
            if (!m)
                m = session_next(c->session, server, now);
            if (!m)
                break;
            if (c->uplink->ops->send(c->uplink, server, &m) == PS_ESTATE) {
                c->unsent[server] = m;
                break;
            }
        }
    }
}

static void receive_waiting(ps_client *c)
{
    uint32_t server;
    wire_message *m;
    ps_error error;
    transport_event event;
    while ((event = c->uplink->ops->receive(c->uplink, &server, &m, &error)) != TRANSPORT_NOTHING) {
        if (event == TRANSPORT_MESSAGE)
            session_receive(c->session, server, &m);
        else
            log_warning("ps/%u sent what is no message: %s", server, error.text);
    }
}

static void move(ps_client *c, uint64_t now)
{
    receive_waiting(c);
    session_tick(c->session, now);
    send_due(c, now);
}

void ps_progress(ps_client *c)
{
    if (c->session)
        move(c, clock_monotonic_ms());
}

static bool stopped(const ps_client *c)
{
    return c->stop && *c->stop;
}

ps_status client_move_until(ps_client *c, client_done *done, const client_awaited *what, uint32_t timeout_ms,
                            ps_error *error)
{
    uint64_t now = clock_monotonic_ms(), deadline = now + timeout_ms;
    for (;;) {
        move(c, now);
        if (done(c, what))
            return PS_OK;
        ps_status failure = session_failure(c->session, error);
        if (failure != PS_OK)
            return failure;
        if (stopped(c))
            return ps_fail(error, PS_EINTERRUPTED, "interrupted by a signal");
        if (timeout_ms != PS_FOREVER && now >= deadline)
            return ps_fail(error, PS_ETIMEDOUT, "no answer within %u ms", timeout_ms);
        uint64_t left = timeout_ms == PS_FOREVER ? WAIT_SLICE_MS : deadline - now;
        c->uplink->ops->wait(c->uplink, left < WAIT_SLICE_MS ? (int)left : WAIT_SLICE_MS);
        now = clock_monotonic_ms();
    }
}
