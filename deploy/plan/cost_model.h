/* cost_model.h - how long does one synchronous step take, and what does it wait for?
 *
 * Pure functions from the description of a job, of the hosts and of what the code costs to seconds. Nothing
 * is measured here: the constants come from `penstock bench` (cost_constants.h). The model predicts a step of
 * `sync` without backup workers, every worker doing the same work. It leaves out stragglers, losses on the
 * network, incast (many senders overrunning a switch's buffer), the pauses of a checkpoint, and the memory
 * bandwidth that the processes of one host share.
 *
 * Symbols
 *
 *   M     bytes of the model, float32             W, S  workers, ps
 *   C     seconds of compute per step             B, L  bytes/s per direction and one-way seconds of a NIC
 *   n, m  slices in all; on the fullest ps        D     bytes on the fullest ps
 *   u, d  bytes on the wire per float32 byte, up (gradients) and down (weights)
 *   k     float32 slots that the optimizer keeps beside each parameter
 *   encode_u, decode_u, encode_d, decode_d        seconds of CPU per float32 byte
 *   socket, request, message, update, reduce, judge, copy: see cost_constants
 *
 * How the model is cut (common/partition.h): slices of at most min(slice_bytes, max(M / S, 64 KiB)), so
 *   n = ceil(M / that),  m = ceil(n / S),  D = m M / n
 * A worker sends each ps q = ceil(m / WIRE_SLICES_MAX) messages a step and gets as many.
 *
 * The stages of the exchange. Each takes as long as its slowest resource; all wait for the fullest ps.
 *   encode  worker's trainer thread: M (judge + encode_u)
 *   push    the longest of
 *             M u / B           a worker sends every parameter once
 *             W D u / B         a ps takes its share from every worker: the fan-in
 *             W D u / socket    one I/O thread of the ps receives all of that
 *             M u / socket      one I/O thread of a worker sends all of its
 *   update  ps's main thread, the sum of
 *             D t / update      SGD's bytes/s, slowed by t = (3 + 2k) / 3: of each parameter the gradient is
 *                               read, weight and slots are read and written
 *             (W - 1) D reduce  each further gradient is read in the same pass
 *             W D decode_u + D encode_d   all gradients are decoded, the new weights encoded once for all
 *             W p / 2           its half of the messages, p = q request_cpu + (m - q) message being the cost
 *                               of a pair of worker and ps (a message's first slice is part of the request)
 *   pull    as push with d for u, directions swapped
 *   place   worker's trainer thread: M (1 / copy + decode_d) + S p / 2
 *
 * How they add up. If the ps update a slice as soon as all of its gradients are there (`pipelined`), the
 * stages work on different slices at the same time: as in any pipeline of m equal items the slowest stage is
 * always busy, and each other one adds the time of one slice while the pipeline fills or drains:
 *   E = max + (sum - max) / m
 * If the ps wait for a whole shard, E is the sum. Either way no thread is in two stages at a time:
 *   E >= encode + place         both are the trainer thread's
 *   E >= W D (u + d) io         the ps's I/O thread receives gradients and sends weights (NICs are full
 *   E >= M (u + d) io           duplex), and so the worker's; io = socket_cpu / 2: one of the two ends
 *
 * The chain of messages adds latency = 2 L + request_s: the way up, the way down, and what a round trip takes
 * at its two ends when it carries nothing, above all the waking of threads.
 *
 * Overlap with backward. A share o of the gradients is ready before backward ends: of layers of equal size
 * all but the first (its gradient comes last), so (layers - 1) / layers; with one push per step o = 0. They
 * come evenly over the window V = o COST_BACKWARD_SHARE compute. If they leave faster than they come, the
 * rest remains after compute; if slower, the exchange is busy from the start of the window:
 *   step = latency + max(compute + E(1 - o), compute - V + E(1))
 * where E(x) is the exchange of a share x of the slices. If the ps wait for whole shards, only encode and
 * push can begin early: E(x) = x (encode + push) + update + pull + place.
 *
 * One host (cores > 0). There is no NIC (B infinite, L = 0), but all processes share the cores. A synchronous
 * step alternates: all compute, then all exchange. So each phase is bounded by its own CPU time, and the step
 * by all of it:
 *   compute = max(C, W C / cores),  E >= X / cores,  step >= (W C + X) / cores
 *   X = W M (judge + encode_u + 1 / copy + decode_d) + M t / update + (W - 1) M reduce + W M decode_u + M
 * encode_d
 *     + W M (u + d) socket_cpu + W S p
 * C is the time that a worker's step takes when it has a core for itself. With shared memory instead of TCP,
 * socket_cpu becomes shared_cpu and socket 2 / shared_cpu, what one end can do.
 *
 * Efficiency is C / step: the part of a step in which a worker does what it is for.
 *
 * Memory of the fullest ps: D (3 + k) + W D u: the current version, the one before, and a spare to write the
 * next to while answers still leave from the one before; slots; and the gradients of all workers, which are
 * held as they came until the last is there, since they are reduced in worker order (that is what makes the
 * bits repeatable). */
#ifndef PENSTOCK_DEPLOY_COST_MODEL_H
#define PENSTOCK_DEPLOY_COST_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/job.h"

/* Of compute: backward has two matrix products per layer, forward one. */
#define COST_BACKWARD_SHARE (2.0 / 3.0)

/* Do the ps of this version update slice by slice? No: ps/shard.c updates when all of a step is in. */
#define COST_PIPELINED false

/* What the code costs on a machine; `penstock bench` measures it. */
typedef struct {
    uint32_t cores;
    double request_s;             /* round trip of a small push_pull between two cores */
    double request_cpu_s;         /* CPU of both ends of it, where none has to be woken */
    double message_cpu_s;         /* CPU of both ends per additional slice in a request */
    double socket_bytes_per_s;    /* goodput, one way, of one TCP connection on loopback: of one I/O thread */
    double socket_cpu_s_per_byte; /* CPU of both ends */
    double update_bytes_per_s;    /* parameter bytes/s of SGD with one gradient */
    double reduce_s_per_byte;     /* per parameter byte and further gradient */
    double judge_s_per_byte;      /* to see that a gradient is finite */
    double copy_bytes_per_s;      /* memcpy */
    double shared_cpu_s_per_byte; /* CPU of both ends, through shared memory, beside update and copy */
} cost_constants;

/* How floats travel. */
typedef struct {
    double ratio;             /* bytes on the wire per float32 byte */
    double encode_s_per_byte; /* CPU per float32 byte */
    double decode_s_per_byte;
} cost_codec;

/* How bytes travel: over TCP, or on one host through shared memory. */
typedef enum { COST_TCP, COST_SHARED } cost_transport;

/* All counts and sizes are at least 1, all times at least 0. */
typedef struct {
    double model_bytes; /* float32 */
    double compute_s;
    double bandwidth; /* bytes/s of a NIC, each direction; read only if cores is 0 */
    double latency_s; /* one way; likewise */
    double slice_bytes;
    double overlap; /* share of the gradients that is ready before backward ends, [0, 1) */
    uint32_t workers;
    uint32_t servers;
    uint32_t cores; /* of the one host that all processes share; 0: a host for each process */
    bool pipelined; /* ps update slice by slice, not shard by shard */
    optimizer_kind optimizer;
    cost_transport transport; /* COST_SHARED only if cores is not 0 */
    cost_codec push, pull;
} cost_input;

/* What a step waits for. */
#define COST_RESOURCE_LIST(X)                   \
    X(COST_COMPUTE, "compute")                  \
    X(COST_WORKER_OUT, "worker NIC, out")       \
    X(COST_WORKER_IN, "worker NIC, in")         \
    X(COST_SERVER_IN, "ps NIC, in")             \
    X(COST_SERVER_OUT, "ps NIC, out")           \
    X(COST_SERVER_IO, "ps I/O thread")          \
    X(COST_WORKER_IO, "worker I/O thread")      \
    X(COST_UPDATE, "ps update")                 \
    X(COST_TRAINER, "worker encoding, copying") \
    X(COST_LATENCY, "latency")                  \
    X(COST_CORES, "cores of the host")

typedef enum {
#define COST_ENUM(name, text) name,
    COST_RESOURCE_LIST(COST_ENUM)
#undef COST_ENUM
        COST_RESOURCES,
} cost_resource;

/* "ps NIC, in" */
const char *cost_resource_name(cost_resource resource);

typedef struct {
    double step_s;
    double efficiency; /* compute_s / step_s */
    /* Seconds; overlapping parts of the step, not a sum. */
    double compute_s; /* on one host with fewer cores than workers longer than the input's */
    double encode_s, push_s, update_s, pull_s, place_s;
    double message_s; /* CPU of the ps for messages, part of update_s */
    double latency_s;
    double exposed_s;              /* step_s - compute_s: what of the exchange compute does not hide */
    double busy_s[COST_RESOURCES]; /* how long each resource works in a step */
    cost_resource bottleneck;      /* compute where the rest adds at most 5 %, else the busiest of the rest */
    /* Of the fullest ps. */
    uint64_t slices; /* m */
    double share_bytes;
    double memory_bytes;
    double server_in_bytes, server_out_bytes; /* per step */
    double worker_out_bytes, worker_in_bytes; /* per step */
} cost_prediction;

/* "tcp" or "shared"; false for anything else. */
bool cost_transport_parse(const char *text, cost_transport *transport);

/* n: slices in all. A job may have at most PARTITION_SLICES_MAX. */
double cost_slices(const cost_input *input);

void cost_predict(const cost_input *input, const cost_constants *constants, cost_prediction *prediction);

/* float32 slots per parameter, as ps/optimizer.c has them: 0, 1 or 2. (This folder cannot see ps/; a test
 * holds the two together.) */
uint32_t cost_optimizer_slots(optimizer_kind kind);

#endif
