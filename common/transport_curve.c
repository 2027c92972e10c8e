/* transport_curve.c - keys, who sent what, and what becomes of handshakes. See transport_state.h. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/transport_state.h"

enum {
    MONITORED = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH,
    MONITORED_AT_THE_DOOR =
        MONITORED | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_MONITOR_STOPPED
};

ps_status transport_make_keys(key_pair *pair, ps_error *error)
{
    if (zmq_curve_keypair(pair->public_key, pair->secret_key) == 0)
        return PS_OK;
    return ps_fail(error, PS_EIO, "cannot make keys: %s",
                   errno == ENOTSUP ? "this ZeroMQ was built without CURVE" : zmq_strerror(errno));
}

ps_status transport_secure(transport *t, const curve_keys *keys, ps_error *error)
{
    if (!zmq_has("curve"))
        return ps_fail(error, PS_EIO, "this ZeroMQ was built without CURVE");
    t->keys = *keys;
    return keys->allow_path[0] ? zap_start(t->context, keys->allow_path, &t->guard, error) : PS_OK;
}

bool transport_curve_set(transport_socket *s, int option, const char *key)
{
    return zmq_setsockopt(s->socket, option, key, KEY_TEXT + 1) == 0;
}

ps_status transport_curve_apply(transport_socket *s, ps_error *error)
{
    const curve_keys *keys = &s->transport->keys;
    const int yes = 1;
    if (!keys->wanted)
        return PS_OK;
    bool set = transport_curve_set(s, ZMQ_CURVE_SECRETKEY, keys->own.secret_key);
    memcpy(s->server_key, keys->server_key, sizeof s->server_key);
    if (s->router)
        set = set && zmq_setsockopt(s->socket, ZMQ_CURVE_SERVER, &yes, sizeof yes) == 0;
    else
        set = set && transport_curve_set(s, ZMQ_CURVE_PUBLICKEY, keys->own.public_key) &&
              transport_curve_set(s, ZMQ_CURVE_SERVERKEY, keys->server_key);
    return set ? PS_OK : ps_fail(error, PS_EIO, "cannot use a key: %s", zmq_strerror(errno));
}

/* ---- senders ---- */

ps_status transport_curve_sender(transport *t, zmq_msg_t *frame, allow_entry *sender, ps_error *error)
{
    const char *key = zmq_msg_gets(frame, "User-Id");
    if (key && zap_find(t->guard, key, sender))
        return PS_OK;
    return ps_fail(error, PS_EPEER, "the key %s is not let in any more", key ? key : "(none)");
}

ps_status transport_curve_check(const allow_entry *sender, const wire_message *m, ps_error *error)
{
    if (allow_entry_covers(sender, m->role, m->index))
        return PS_OK;
    char allowed[16] = "any index";
    if (!sender->any)
        snprintf(allowed, sizeof allowed, "index %u", sender->index);
    return ps_fail(error, PS_ECONFIG, "%s as %s %u, but its key is of %s, %s", wire_type_name(m->type),
                   wire_role_name(m->role), m->index, wire_role_name(sender->role), allowed);
}

/* ---- handshakes ---- */

/* Closes `monitor` in any case. */
static ps_status open_door(transport_socket *s, void *monitor, ps_error *error)
{
    const bool has_keys = s->transport->keys.wanted;
    s->flow = flow_create(has_keys);
    if (s->flow)
        return door_open(monitor, s->flow, has_keys, &s->door, error);
    zmq_close(monitor);
    return ps_fail(error, PS_ENOMEM, "out of memory to watch connections");
}

/* Without a limit on what waits: at one, ZeroMQ's I/O thread would wait for who reads the events. */
ps_status transport_monitor(transport_socket *s, ps_error *error)
{
    static atomic_uint next;
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "inproc://handshakes-%u", atomic_fetch_add(&next, 1));
    void *reader = zmq_socket(s->transport->context, ZMQ_PAIR);
    const int none = 0;
    if (reader && zmq_setsockopt(reader, ZMQ_RCVHWM, &none, sizeof none) == 0 &&
        zmq_setsockopt(reader, ZMQ_LINGER, &none, sizeof none) == 0 &&
        zmq_socket_monitor(s->socket, endpoint, s->router ? MONITORED_AT_THE_DOOR : MONITORED) == 0 &&
        zmq_connect(reader, endpoint) == 0) {
        if (s->router)
            return open_door(s, reader, error);
        s->monitor = reader;
        return PS_OK;
    }
    ps_status status = ps_fail(error, PS_EIO, "cannot watch handshakes: %s", zmq_strerror(errno));
    if (reader)
        zmq_close(reader);
    return status;
}

/* A frame of 16 bits of event and 32 of value, and one with an address, which is not needed. */
bool transport_news_next(void *monitor, int flags, transport_news *news)
{
    uint8_t bytes[sizeof news->event + sizeof news->value] = {0};
    const int got = zmq_recv(monitor, bytes, sizeof bytes, flags);
    if (got < 0)
        return false;
    memcpy(&news->event, bytes, sizeof news->event);
    memcpy(&news->value, bytes + sizeof news->event, sizeof news->value);
    zmq_recv(monitor, NULL, 0, ZMQ_DONTWAIT);
    return true;
}

static handshake_failure cause_of(uint16_t event, uint32_t value)
{
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        return HANDSHAKE_KEY_NOT_ALLOWED;
    if (event != ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
        return HANDSHAKE_HUNG_UP;
    return value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH ? HANDSHAKE_OTHER_MECHANISM
           : value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC    ? HANDSHAKE_WRONG_PS_KEY
                                                               : HANDSHAKE_MALFORMED;
}

static void note_failure(transport_handshakes *h, handshake_failure cause)
{
    static const transport_outcome meanings[HANDSHAKE_FAILURES] = {
        [HANDSHAKE_KEY_NOT_ALLOWED] = TRANSPORT_WRONG_KEY,
        [HANDSHAKE_WRONG_PS_KEY] = TRANSPORT_WRONG_MANNERS,
        [HANDSHAKE_OTHER_MECHANISM] = TRANSPORT_WRONG_MANNERS,
        [HANDSHAKE_MALFORMED] = TRANSPORT_UNSURE,
        [HANDSHAKE_HUNG_UP] = TRANSPORT_UNSURE,
    };
    h->last = meanings[cause];
    h->failed[cause]++;
    if (h->failed_in_a_row++ == 0)
        h->failing_since_ms = clock_monotonic_ms();
}

void transport_news_count(const transport_news *news, transport_handshakes *h)
{
    if (news->event != ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        note_failure(h, cause_of(news->event, news->value));
        return;
    }
    h->last = TRANSPORT_WELCOME;
    h->failed_in_a_row = 0;
}

const transport_handshakes *transport_look_at_handshakes(transport_socket *s)
{
    transport_news news;
    if (s->door)
        s->handshakes = door_count(s->door);
    while (s->monitor && transport_news_next(s->monitor, ZMQ_DONTWAIT, &news))
        transport_news_count(&news, &s->handshakes);
    return &s->handshakes;
}
