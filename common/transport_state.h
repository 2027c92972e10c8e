/* transport_state.h - a socket's state, and what the transport's sources share. Private to
 * common/transport*.c:
 *
 *   transport.c          contexts, sockets and names, and the wait for several sockets
 *   transport_send.c     messages into frames
 *   transport_receive.c  frames into messages
 *   transport_curve.c    keys, and what becomes of handshakes
 *   transport_door.c     connections of those who listen (transport_door.h)
 */
#ifndef PENSTOCK_COMMON_TRANSPORT_STATE_H
#define PENSTOCK_COMMON_TRANSPORT_STATE_H

#include <zmq.h>

#include "common/attachments.h"
#include "common/bundle.h"
#include "common/transport.h"
#include "common/transport_door.h"
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
    transport_handshakes handshakes;
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

/* What ZeroMQ tells of a socket's connections. */
typedef struct {
    uint16_t event; /* ZMQ_EVENT_... */
    uint32_t value;
} transport_news;

/* The next of it, waited for unless `flags` say ZMQ_DONTWAIT. False: none (errno). */
bool transport_news_next(void *monitor, int flags, transport_news *news);

/* Counts what is news of a handshake. */
void transport_news_count(const transport_news *news, transport_handshakes *h);

/* Who sent that frame, by its key? PS_EPEER: nobody who may (any more). Call only where t->guard is. */
ps_status transport_curve_sender(transport *t, zmq_msg_t *frame, allow_entry *sender, ps_error *error);

/* May that sender speak as what the message says that it is? PS_ECONFIG. */
ps_status transport_curve_check(const allow_entry *sender, const wire_message *m, ps_error *error);

#endif
