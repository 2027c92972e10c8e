/* fault.h - what goes wrong with the processes of a simulated cluster, and when.
 *
 * A pure function of the seed, as is the weather of the network (network.h) and that of the disk (disk.h).
 * Carried out by cluster_faults.c. Hosts are numbered: ps first, then workers, then evaluators. */
#ifndef PENSTOCK_TESTS_SIM_FAULT_H
#define PENSTOCK_TESTS_SIM_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/dice.h"

enum { FAULTS_MAX = 8 };

typedef enum {
    FAULT_CRASH, /* the process dies, whatever it is doing, and is started again */
    FAULT_PAUSE, /* it is stopped and goes on later: what comes waits */
    FAULT_JUMP,  /* its clock goes forward */
} fault_kind;

/* When a crash happens, once it is due. From MOMENT_BEFORE_APPEND on they are of ps with a log; the last is
 * no fault of the plan: so such a ps ends. */
#define FAULT_MOMENT_LIST(X)                                                  \
    X(MOMENT_ANY, "")                                                         \
    X(MOMENT_BEFORE_MESSAGE, ", before it takes a message in")                \
    X(MOMENT_BEFORE_REPLY, ", having taken a message in, before it replies")  \
    X(MOMENT_AFTER_REPLY, ", having replied to a message")                    \
    X(MOMENT_WRITING, ", while it writes an image")                           \
    X(MOMENT_RENAMING, ", when an image is there but for its manifest")       \
    X(MOMENT_BEFORE_APPEND, ", having taken in what its log has not got")     \
    X(MOMENT_APPENDED, ", before what it has appended to its log is durable") \
    X(MOMENT_DURABLE, ", its log being durable, before it replies")           \
    X(MOMENT_BEFORE_KEEP, ", having begun a segment whose image is not kept") \
    X(MOMENT_LOG_FAILED, ": its log cannot be written")

typedef enum {
#define FAULT_MOMENT_ENUM(name, text) name,
    FAULT_MOMENT_LIST(FAULT_MOMENT_ENUM)
#undef FAULT_MOMENT_ENUM
        MOMENT_COUNT
} fault_moment;

typedef struct {
    fault_kind kind;
    fault_moment moment;
    uint32_t hosts;    /* the set of those that it befalls, all at once */
    uint64_t from_ms;  /* when it is due */
    uint32_t lasts_ms; /* down, or paused; by how much the clock jumps */
    uint32_t again;    /* crashes that follow soon after it has come back */
    bool for_good;     /* a worker that dies does not come back */
} fault;

typedef struct {
    uint32_t count;
    fault list[FAULTS_MAX];
} fault_plan;

/* Of so many hosts, all of whose faults are due before `calm_at_ms`. */
void fault_choose(fault_plan *plan, dice *d, uint32_t servers, uint32_t others, uint64_t calm_at_ms);

/* Has some of the crashes of these hosts, ps with a log, come at moments that others do not have. */
void fault_choose_of_logs(fault_plan *plan, dice *d, uint32_t hosts);

/* Workers that are lost for longer than they are waited for. */
typedef struct {
    uint32_t first, count; /* of their hosts */
    uint32_t least_ms;     /* so long one is waited for */
} fault_losses;

/* Has some of them die, or be stopped, for so long, or for good. */
void fault_choose_losses(fault_plan *plan, dice *d, const fault_losses *losses, uint64_t calm_at_ms);

/* Does one of these hosts crash? */
bool fault_kills(const fault_plan *plan, uint32_t hosts);

#endif
