/* transport_rotate.c - other keys while sockets are open. See transport_state.h.
 *
 * ZeroMQ looks at keys when it binds or connects, and never again. So who listens unbinds and binds again:
 * libzmq 4.3.4 ends all connections that came in that way along with it, which suits who wants an old key to
 * be worth nothing. Who connected is told nothing, tries again with the key it knows, fails, and looks
 * whether its file holds another by now. */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "common/transport_state.h"

/* The address is free a moment later: ZeroMQ's I/O thread closes it. */
ps_status transport_change_key(transport_socket *s, const key_pair *own, ps_error *error)
{
    if (!transport_curve_set(s, ZMQ_CURVE_SECRETKEY, own->secret_key))
        return ps_fail(error, PS_EIO, "cannot use a key: %s", zmq_strerror(errno));
    if (strcmp(s->transport->keys.own.secret_key, own->secret_key) != 0) {
        s->transport->keys.own = *own;
        for (uint32_t i = 0; i < s->endpoint_count; i++) {
            zmq_unbind(s->socket, s->endpoints[i].name);
            s->endpoints[i].bound = false;
        }
    }
    for (uint32_t i = 0; i < s->endpoint_count; i++) {
        if (!s->endpoints[i].bound && !transport_bind(s, s->endpoints[i].name))
            return ps_fail(error, errno == EADDRINUSE ? PS_ESTATE : PS_EIO, "cannot listen on %s again: %s",
                           s->endpoints[i].name, zmq_strerror(errno));
        s->endpoints[i].bound = true;
    }
    return PS_OK;
}

bool transport_follow_key(transport_socket *s)
{
    const curve_keys *keys = &s->transport->keys;
    const transport_handshakes *h = transport_look_at_handshakes(s);
    char key[KEY_TEXT + 1];
    if (h->last == TRANSPORT_WELCOME)
        s->failures_followed = 0;
    if (!keys->wanted || h->last == TRANSPORT_WELCOME || h->failed_in_a_row == s->failures_followed)
        return false;
    s->failures_followed = h->failed_in_a_row;
    if (key_file_read_public(keys->ps_path, key, NULL) != PS_OK || strcmp(key, s->server_key) == 0)
        return false;
    const char *endpoint = s->endpoints[0].name;
    memcpy(s->server_key, key, sizeof s->server_key);
    zmq_disconnect(s->socket, endpoint);
    if (transport_curve_set(s, ZMQ_CURVE_SERVERKEY, key) && zmq_connect(s->socket, endpoint) == 0) {
        log_info("%s holds another key: connecting with it to %s", keys->ps_path, endpoint);
        s->handshakes.failed_in_a_row = s->failures_followed = 0; /* the new key has failed nobody yet */
        return true;
    }
    log_warning("cannot connect to %s with the key in %s: %s", endpoint, keys->ps_path, zmq_strerror(errno));
    return false;
}
