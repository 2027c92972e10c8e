/* admin_link.c - see admin_link.h. */
#include "deploy/admin/admin_link.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/handshakes.h"
#include "common/transport.h"

enum {
    AGAIN_MS = 250,
    POLL_MS = 50,
    DRAIN_MS = 0,
    STOP_REQUEST = 1,  /* the number of every STOP: a ps that has not carried it out yet answers once more */
    RECEIVE_MAX = 256, /* messages of one ps between two looks at the time */
};

typedef struct {
    transport_socket *socket;
    uint64_t request; /* the last one; 0: none */
    bool waits;       /* it has not been answered */
    uint64_t again_at_ms;
    ps_error not_yet; /* what it has said that may pass; status PS_OK: nothing */
} admin_peer;

struct admin_link {
    transport *transport;
    const cluster_task *servers;
    uint32_t count;
    bool has_keys;
    uint64_t incarnation, requests;
    transport_socket **sockets; /* (count) of the peers, to be polled */
    admin_peer peers[];         /* (count) */
};

ps_status admin_link_open(const cluster_task *servers, uint32_t count, const curve_keys *keys,
                          admin_link **out, ps_error *error)
{
    admin_link *l = calloc(1, sizeof *l + count * sizeof l->peers[0]);
    *out = l;
    if (l)
        l->sockets = calloc(count, sizeof *l->sockets);
    if (!l || !l->sockets) {
        admin_link_close(out);
        return ps_fail(error, PS_ENOMEM, "out of memory for connections to %u ps", count);
    }
    l->servers = servers;
    l->count = count;
    l->has_keys = keys->wanted;
    l->incarnation = clock_incarnation();
    l->requests = STOP_REQUEST;
    ps_status status = transport_create(1, &l->transport, error);
    if (status == PS_OK && l->has_keys)
        status = transport_secure(l->transport, keys, error);
    for (uint32_t i = 0; i < count && status == PS_OK; i++) {
        status =
            transport_connect(l->transport, servers[i].host, servers[i].port, &l->peers[i].socket, error);
        l->sockets[i] = l->peers[i].socket;
    }
    if (status != PS_OK)
        admin_link_close(out);
    return status;
}

void admin_link_close(admin_link **handle)
{
    admin_link *l = *handle;
    *handle = NULL;
    if (!l)
        return;
    for (uint32_t i = 0; i < l->count; i++)
        if (l->peers[i].socket)
            transport_close(&l->peers[i].socket, DRAIN_MS);
    if (l->transport)
        transport_destroy(&l->transport);
    free(l->sockets);
    free(l);
}

/* What cannot leave now does next time. */
static ps_status send_order(admin_link *l, uint32_t server, wire_type order, uint64_t step, ps_error *error)
{
    wire_message *m = wire_create(order, 0);
    if (!m)
        return ps_fail(error, PS_ENOMEM, "out of memory for an order");
    m->role = WIRE_ADMINISTRATOR;
    m->incarnation = l->incarnation;
    m->receiver = server;
    m->request = l->peers[server].request;
    m->step = step;
    transport_send(l->peers[server].socket, NULL, &m);
    wire_destroy(&m);
    return PS_OK;
}

static ps_status send_what_is_due(admin_link *l, wire_type order, uint64_t step, ps_error *error)
{
    const uint64_t now = clock_monotonic_ms();
    ps_status status = PS_OK;
    for (uint32_t i = 0; i < l->count && status == PS_OK; i++) {
        admin_peer *p = &l->peers[i];
        if (!p->waits || now < p->again_at_ms)
            continue;
        p->again_at_ms = now + AGAIN_MS;
        transport_follow_key(p->socket);
        status = send_order(l, i, order, step, error);
    }
    return status;
}

/* The last answer counts: one that says that the order is carried out may come right behind another. */
static void take(admin_peer *p, uint32_t server, const wire_message *m, admin_answer *answer)
{
    const bool refuses = m->type == WIRE_ERROR,
               answers = m->type == WIRE_ACK || m->type == WIRE_PENDING || refuses;
    /* A refusal before the order was read has no number. */
    const bool is_meant = m->request == p->request || (refuses && m->request == 0);
    if (p->request == 0 || !answers || m->role != WIRE_PS || !is_meant)
        return;
    if (refuses && m->status == PS_EREJOIN) { /* it has restarted, or the job is only to begin */
        ps_fail(&p->not_yet, PS_EREJOIN, "%s", m->text ? m->text : "");
        return;
    }
    p->waits = false;
    if (m->index != server) {
        *answer = (admin_answer){.type = WIRE_ERROR};
        ps_fail(&answer->said, PS_EMISMATCH, "at the address of ps/%u answers another process: ps/%u", server,
                m->index);
        return;
    }
    *answer = (admin_answer){.type = m->type, .step = m->step, .end_step = m->end_step};
    const ps_status said = !refuses ? PS_OK : m->status < 0 ? m->status : PS_EPROTOCOL;
    ps_fail(&answer->said, said, "%s", m->text ? m->text : ""); /* no control characters of others */
}

static void receive(admin_link *l, admin_answer *answers)
{
    for (uint32_t i = 0; i < l->count; i++) {
        for (uint32_t k = 0; k < RECEIVE_MAX; k++) {
            wire_message *m;
            ps_error ignored;
            if (transport_receive(l->peers[i].socket, NULL, &m, &ignored) == TRANSPORT_NOTHING)
                break;
            if (m)
                take(&l->peers[i], i, m, &answers[i]);
            wire_destroy(&m);
        }
    }
}

static ps_status fail(const admin_link *l, uint32_t server, ps_status status, const char *why,
                      ps_error *error)
{
    char where[ADDRESS_TEXT_MAX + 1];
    address_format(l->servers[server].host, l->servers[server].port, where, sizeof where);
    return ps_fail(error, status, "ps/%u at %s: %s", server, where, why);
}

/* Does nobody hear of it? `waiting`: a ps that has not answered; l->count: all have. */
static ps_status look(const admin_link *l, uint32_t *waiting, ps_error *error)
{
    *waiting = l->count;
    for (uint32_t i = 0; i < l->count; i++) {
        char why[128];
        if (!l->peers[i].waits)
            continue;
        *waiting = i;
        const transport_handshakes *h = transport_look_at_handshakes(l->peers[i].socket);
        const ps_status status = handshakes_judge(h, l->has_keys, why, sizeof why);
        if (status != PS_OK)
            return fail(l, i, status, why, error);
    }
    return PS_OK;
}

static ps_status say_who_is_late(const admin_link *l, uint32_t server, ps_error *error)
{
    const ps_error *said = &l->peers[server].not_yet;
    return fail(l, server, PS_ETIMEDOUT, said->status == PS_OK ? "it does not answer" : said->text, error);
}

ps_status admin_link_ask(admin_link *l, wire_type order, uint64_t step, const bool *wanted,
                         uint64_t deadline_ms, const volatile sig_atomic_t *stop, admin_answer *answers,
                         ps_error *error)
{
    uint32_t waiting;
    ps_status status;
    for (uint32_t i = 0; i < l->count; i++) {
        l->peers[i].waits = wanted[i];
        l->peers[i].request = !wanted[i] ? 0 : order == WIRE_STOP ? STOP_REQUEST : ++l->requests;
        l->peers[i].again_at_ms = 0;
        l->peers[i].not_yet.status = PS_OK;
    }
    for (;;) {
        status = send_what_is_due(l, order, step, error);
        receive(l, answers);
        if (status == PS_OK)
            status = look(l, &waiting, error);
        if (status != PS_OK || waiting == l->count)
            return status;
        if (*stop)
            return ps_fail(error, PS_EINTERRUPTED, "interrupted by a signal");
        if (clock_monotonic_ms() >= deadline_ms)
            return say_who_is_late(l, waiting, error);
        transport_poll(l->sockets, l->count, POLL_MS);
    }
}
