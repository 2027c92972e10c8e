/* raw_tcp.h - the floors over TCP on the loopback device, with nothing but read and write. */
#ifndef PENSTOCK_BENCH_RAW_TCP_H
#define PENSTOCK_BENCH_RAW_TCP_H

#include <stddef.h>

#include "tests/bench/stage.h"

typedef struct {
    bool ping;          /* each write is answered by as many bytes; else all go one way */
    bool one_processor; /* the server too runs where the client does */
    size_t bytes;       /* of a write */
} raw_tcp_setup;

/* Starts both processes; an operation is a write of `bytes`, taken in at the other end. PS_EIO. */
ps_status raw_tcp_open(const bench_options *options, const raw_tcp_setup *setup, stage *out, ps_error *error);

#endif
