/* driver.h - Penstock as it is measured: real penstock-ps processes, and workers that do nothing but push and
 * pull through worker/client.h, each a process of its own. */
#ifndef PENSTOCK_BENCH_DRIVER_H
#define PENSTOCK_BENCH_DRIVER_H

#include "common/job.h"
#include "tests/bench/stage.h"

enum { DRIVER_OUTSTANDING_MAX = 64 };

typedef enum { DRIVER_PUSH, DRIVER_PULL, DRIVER_PUSH_PULL } driver_operation;

typedef struct {
    driver_operation operation;
    consistency_mode mode;
    uint32_t servers, workers;
    uint64_t model_bytes; /* one tensor of float32, updated by plain SGD */
    uint32_t slice_bytes;
    uint32_t outstanding; /* requests of a worker under way; each has gradients and weights of its own */
    bool share_memory;
    const char *keys_folder; /* of CURVE, which then encrypts what travels; NULL: none. Borrowed */
    bool one_processor;      /* everything runs where the client does; else see driver_open */
    double compute_s;        /* processor time that a worker burns before each request */
} driver_setup;

/* A worker and a ps that push and pull `bytes` asynchronously over TCP, `RAW_IN_FLIGHT` at a time. */
driver_setup driver_pair(driver_operation operation, uint64_t bytes, uint32_t slice_bytes);

/* Starts all processes and has the workers join. One worker and one ps run on the processors of the options;
 * of several, workers take the processors in turn from the first on, and ps from the last. An operation is
 * one request for the whole model. PS_EIO, PS_ENOMEM; what a worker cannot do it says at its first order. */
ps_status driver_open(const bench_options *options, const driver_setup *setup, stage *out, ps_error *error);

/* Bytes of state that all ps together should hold. 0 if there is no memory to compute it. */
uint64_t driver_stored_bytes(const driver_setup *setup);

/* Resident bytes of all ps together. */
uint64_t driver_resident_bytes(const stage *s);

#endif
