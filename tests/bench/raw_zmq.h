/* raw_zmq.h - the floors over ZeroMQ: what a program that does nothing else gets out of it.
 *
 * Two processes, a DEALER at each end for bulk and DEALER and ROUTER for small requests, each with one I/O
 * thread, malloc tuned as in common/transport.c. Bulk is sent without copying, out of buffers that are used
 * again once ZeroMQ has let go of them, which bounds what is in flight. A message is one frame or several,
 * as Penstock would cut it. What its receiver then does is what a ps or a worker must do at least. */
#ifndef PENSTOCK_BENCH_RAW_ZMQ_H
#define PENSTOCK_BENCH_RAW_ZMQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/stage.h"

enum { RAW_IN_FLIGHT = 4 };

typedef enum {
    RAW_SEND,      /* client to server, which drops it */
    RAW_PUSH,      /* client to server, which applies it as a gradient by plain SGD, out of place */
    RAW_PULL,      /* server to client, which copies it */
    RAW_PUSH_PULL, /* both, each message of one direction answered by one of the other; 4 under way */
    RAW_REQUEST,   /* small, answered by as many bytes; `outstanding` under way */
} raw_kind;

typedef struct {
    raw_kind kind;
    bool curve;           /* encrypted; the server lets in whoever knows its key */
    bool ipc;             /* a Unix socket, else TCP on the loopback device */
    bool one_processor;   /* the server too runs where the client does */
    uint32_t frames;      /* of one message */
    size_t frame_bytes;   /* a multiple of 4 */
    uint32_t outstanding; /* RAW_REQUEST */
} raw_setup;

/* Starts both processes; an operation is a message (there and back). PS_EIO. */
ps_status raw_zmq_open(const bench_options *options, const raw_setup *setup, stage *out, ps_error *error);

#endif
