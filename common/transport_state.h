/* transport_state.h - a socket's state, and what the transport's sources share. Private to
 * common/transport*.c:
 *
 *   transport.c          contexts, sockets and names, and the wait for several sockets
 *   transport_send.c     messages into frames
 *   transport_receive.c  frames into messages
 *   transport_curve.c    keys, and what becomes of handshakes
 *   transport_door.c     connections of those who listen (transport_door.h)
 *   transport_flow.c     the bytes that those have on their way (transport_flow.h)
 *   transport_rotate.c   other keys while sockets are open
 */
#ifndef PENSTOCK_COMMON_TRANSPORT_STATE_H
#define PENSTOCK_COMMON_TRANSPORT_STATE_H

#include <zmq.h>

#include "common/attachments.h"
#include "common/bundle.h"
#include "common/transport.h"
#include "common/transport_door.h"
#include "common/transport_flow.h"
#include "common/transport_zap.h"

struct transport {
    void *context;
    pool *own;           /* what others may map; NULL: nothing is shared */
    attachments *others; /* NULL likewise */
    curve_keys keys;
    zap *guard; /* of those who come; NULL: all are let in */
};

struct transport_socket {
    transport *transport;
    void *socket;
    bool router;
    int descriptor;  /* readable when there may be news */
    int patience_ms; /* as set by ZMQ_RCVTIMEO */
    int watched;     /* 0: none */
    void *monitor;   /* a socket that tells of handshakes; NULL: they are not counted, or by the door */
    door *door;      /* of one that listens, once it is monitored */
    flow *flow;      /* likewise */
    transport_handshakes handshakes;
    uint32_t endpoint_count;
    struct {
        char name[TRANSPORT_ENDPOINT_MAX];
        bool bound; /* false of a connected socket's one */
    } endpoints[TRANSPORT_ADDRESSES_MAX];
    int listen_fd;                 /* a copy of what was inherited; -1: nothing was */
    char server_key[KEY_TEXT + 1]; /* of a connected socket: whom it takes for its ps */
    uint32_t failures_followed; /* handshakes failed in a row, when the file of that key was looked at last */
    struct {
        bool open; /* it has messages that have not been taken */
        zmq_msg_t frame;
        bundle_reader rest;
        wire_route from;
        allow_entry sender; /* where keys are asked for */
        bool is_stranger;   /* what was refused was so for its sender's key */
    } received;             /* the last bundle */
};

/* To be called for each socket before it binds or connects. PS_EIO. */
ps_status transport_curve_apply(transport_socket *s, ps_error *error);

/* Likewise, so that no connection is missed: from now on handshakes are counted, and who connects to one that
 * listens is watched (common/transport_door.h). PS_EIO, PS_ENOMEM. */
ps_status transport_monitor(transport_socket *s, ps_error *error);

/* What ZeroMQ tells of a socket's connections. */
typedef struct {
    uint16_t event; /* ZMQ_EVENT_... */
    uint32_t value;
} transport_news;

/* The next of it, waited for unless `flags` say ZMQ_DONTWAIT. False: none (errno). */
bool transport_news_next(void *monitor, int flags, transport_news *news);

/* Counts what is news of a handshake. */
void transport_news_count(const transport_news *news, transport_handshakes *h);

bool transport_curve_set(transport_socket *s, int option, const char *key);

/* Binds to what was inherited, or `endpoint`, and remembers where. False: errno. */
bool transport_bind(transport_socket *s, const char *endpoint);

/* Who sent that frame, by its key? PS_EPEER: nobody who may (any more). Call only where t->guard is. */
ps_status transport_curve_sender(transport *t, zmq_msg_t *frame, allow_entry *sender, ps_error *error);

/* May that sender speak as what the message says that it is? PS_ECONFIG. */
ps_status transport_curve_check(const allow_entry *sender, const wire_message *m, ps_error *error);

#endif
