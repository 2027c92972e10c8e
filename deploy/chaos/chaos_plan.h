/* chaos_plan.h - which faults are to happen, when and to whom: read from JSON, drawn from a seed, or written.
 *
 *   {"shared_memory": false,
 *    "faults": [
 *      {"at": {"step": 40}, "do": "kill", "target": "ps-0"},
 *      {"at": {"seconds": 1.5}, "do": "stop", "target": "worker-1", "for": 0.8},
 *      {"at": {"fraction": 0.5}, "do": "partition", "target": "worker-0/ps-1", "direction": "up", "for": 1}]}
 *
 * or the list of faults alone. A fault comes at a step of the chief, after a fraction of all its steps, or so
 * many seconds after its first one; those that come at the same time, in the order of the list. Fraction 1 is
 * when all steps are done and the chief has tested the model, but not yet written it or told anybody of the
 * end.
 *
 *   do           target    besides                  what happens
 *   kill         process                            SIGKILL, and a new start
 *   terminate    process                            SIGTERM, and a new start
 *   stop         process   for                      SIGSTOP, and SIGCONT after `for` seconds
 *   reset        link                               all connections end with RST
 *   blackhole    link      for                      connections stay, and nothing moves
 *   partition    link      for, direction           the same one way: "up", to the ps, or "down"
 *   delay        link      for, delay_ms, jitter_ms everything takes longer
 *   throttle     link      for, bytes_per_s         everything takes longer the more it is
 *   loss         link      for, percent             so many of the packets are lost
 *   reorder      link      for, percent, delay_ms   so many of the packets come later, behind others
 *   disk_full    ps        for                      nothing can be written to its checkpoints (ENOSPC)
 *   fsync_error  ps        for                      fsync of its checkpoints fails (EIO)
 *
 * Packets are lost and overtaken only where the network is one of packets (--net namespaces), not connections
 * that a proxy passes on. There, too, what is held up by blackhole and partition is lost; TCP sends it again.
 *
 * A process is "ps-0" or "worker-2"; a link "worker-2/ps-0", or a process for all its links. Pure. */
#ifndef PENSTOCK_DEPLOY_CHAOS_PLAN_H
#define PENSTOCK_DEPLOY_CHAOS_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/status.h"

/*    kind                name           disturbs  lasts */
#define FAULT_LIST(X)                               \
    X(FAULT_KILL, "kill", PROCESS, false)           \
    X(FAULT_TERMINATE, "terminate", PROCESS, false) \
    X(FAULT_STOP, "stop", PROCESS, true)            \
    X(FAULT_RESET, "reset", LINK, false)            \
    X(FAULT_BLACKHOLE, "blackhole", LINK, true)     \
    X(FAULT_PARTITION, "partition", LINK, true)     \
    X(FAULT_DELAY, "delay", LINK, true)             \
    X(FAULT_THROTTLE, "throttle", LINK, true)       \
    X(FAULT_DISK_FULL, "disk_full", DISK, true)     \
    X(FAULT_FSYNC_ERROR, "fsync_error", DISK, true) \
    X(FAULT_LOSS, "loss", LINK, true)               \
    X(FAULT_REORDER, "reorder", LINK, true)

typedef enum {
#define FAULT_ENUM(kind, name, disturbs, lasts) kind,
    FAULT_LIST(FAULT_ENUM)
#undef FAULT_ENUM
        FAULT_KINDS
} fault_kind;

typedef enum { DISTURBS_PROCESS, DISTURBS_LINK, DISTURBS_DISK } fault_reach;

typedef enum { AT_STEP, AT_FRACTION, AT_SECONDS } fault_clock;

/* Seen from the worker: up is to the ps. */
typedef enum { CHAOS_UP = 1, CHAOS_DOWN = 2, CHAOS_BOTH = 3 } chaos_direction;

#define CHAOS_ANY SIZE_MAX /* as a worker or ps of a link: all of them */

enum {
    CHAOS_WORKERS_MAX = 16,
    CHAOS_SERVERS_MAX = 8,
    CHAOS_DELAY_MAX_MS = 10000,
    CHAOS_FAULTS_MAX = 1000,
    CHAOS_TARGET_MAX = 64,
    CHAOS_FOR_MAX_S = 600,
    CHAOS_PLAN_BYTES_MAX = 1 << 20,
};

typedef struct {
    fault_kind kind;
    fault_clock clock;
    double at;
    size_t worker, server; /* CHAOS_ANY: all, or, of a process, that it is none of these */
    uint32_t for_ms;
    chaos_direction direction;
    uint32_t delay_ms, jitter_ms;
    uint64_t bytes_per_s;
    double percent;
} fault;

typedef struct {
    bool share_memory;
    size_t count;
    fault faults[CHAOS_FAULTS_MAX];
} chaos_plan;

const char *fault_kind_name(fault_kind kind);
fault_reach fault_kind_reach(fault_kind kind);
bool fault_kind_lasts(fault_kind kind);

/* Does it take a network of packets? */
bool fault_kind_takes_packets(fault_kind kind);

/* "worker-1/ps-0" */
const char *fault_target(const fault *f, char text[CHAOS_TARGET_MAX]);

/* Reads a plan for so many workers and ps. PS_EFORMAT names `source`, the fault and the rule; PS_ELIMIT,
 * PS_ENOMEM. */
ps_status chaos_plan_parse(const char *text, size_t bytes, const char *source, size_t workers, size_t servers,
                           chaos_plan *plan, ps_error *error);

/* At least `faults` of them, drawn from the seed alone: every kind (those of disks only if `disks`, those of
 * packets only if `packets`), ps 0 and another, the chief and another worker, if there are others; in every
 * other plan the last comes at the end.
 */
void chaos_plan_draw(uint64_t seed, size_t faults, size_t workers, size_t servers, bool disks, bool packets,
                     chaos_plan *plan);

/* As chaos_plan_parse reads it. */
void chaos_plan_write(const chaos_plan *plan, FILE *to);

#endif
