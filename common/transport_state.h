/* transport_state.h - a socket's state, and what the transport's three sources share. Private to
 * common/transport*.c:
 *
 *   transport.c          contexts, sockets and names, and the wait for several sockets
 *   transport_send.c     messages into frames
 *   transport_receive.c  frames into messages
 */
#ifndef PENSTOCK_COMMON_TRANSPORT_STATE_H
#define PENSTOCK_COMMON_TRANSPORT_STATE_H

#include <zmq.h>

#include "common/attachments.h"
#include "common/bundle.h"
#include "common/transport.h"

struct transport {
    void *context;
    pool *own;           /* what others may map; NULL: nothing is shared */
    attachments *others; /* NULL likewise */
};

struct transport_socket {
    transport *transport;
    void *socket;
    bool router;
    int descriptor;  /* readable when there may be news */
    int patience_ms; /* as set by ZMQ_RCVTIMEO */
    int watched;     /* 0: none */
    struct {
        bool open; /* it has messages that have not been taken */
        zmq_msg_t frame;
        bundle_reader rest;
        wire_route from;
    } received; /* the last bundle */
};

#endif
