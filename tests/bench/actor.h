/* actor.h - the processes that are measured: forked ones, which take orders, and programs.
 *
 * A forked actor runs a function of this program that does nothing until it is ordered to work for so many
 * seconds, or so many operations, and then answers what it did. Between orders all actors sleep, so what is
 * measured by turns does not disturb each other. None outlives this process (PR_SET_PDEATHSIG). */
#ifndef PENSTOCK_BENCH_ACTOR_H
#define PENSTOCK_BENCH_ACTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/status.h"

typedef struct {
    pid_t pid;   /* 0: none */
    int channel; /* to a forked actor; -1: a program */
} actor;

typedef struct {
    double seconds;
    uint64_t operations; /* 0: as many as fit into `seconds` */
    uint32_t variant;    /* which of the things that it can do */
} actor_order;

enum { LATENCY_P50, LATENCY_P99, LATENCY_P999, LATENCIES };

typedef struct {
    ps_error error; /* status PS_OK: the rest holds */
    double seconds;
    uint64_t operations;
    double latency_s[LATENCIES]; /* of one operation, where they are taken; else 0 */
} actor_answer;

/* What an actor does: takes orders from `channel` until there are no more. It may not return to code above,
 * and ends with the process. */
typedef void actor_body(int channel, void *argument);

/* Starts one on `processor` (OPTIONS_ANYWHERE: on any). PS_EIO. */
ps_status actor_fork(actor *a, int processor, actor_body *body, void *argument, ps_error *error);

/* Starts a program, which inherits `descriptor`, with `variable` ("NAME=value") in its environment and
 * standard output discarded. `arguments` end in NULL. PS_EIO. */
ps_status actor_exec(actor *a, int processor, int descriptor, const char *path, char *const *arguments,
                     char *variable, ps_error *error);

/* Kills and reaps it. Fine on one that was never started (all zero). */
void actor_end(actor *a);

ps_status actor_send_order(const actor *a, const actor_order *order, ps_error *error);

/* Blocks. PS_EPEER if it has died, PS_ETIMEDOUT after a minute beyond `seconds`, or what the actor says.
 */
ps_status actor_receive_answer(const actor *a, double seconds, actor_answer *answer, ps_error *error);

/* Time that all its threads have spent on processors so far. */
double actor_cpu_seconds(const actor *a);

/* Its resident memory. 0 if that is not known. */
uint64_t actor_resident_bytes(const actor *a);

/* ---- for bodies ---- */

/* Waits for the next order; false if there will be none. */
bool actor_take_order(int channel, actor_order *order);
void actor_answer_order(int channel, const actor_answer *answer);

/* Answers every order with this failure; does not return. */
void actor_refuse(int channel, const ps_error *error) __attribute__((noreturn));

/* A clock to obey an order by. */
typedef struct {
    double start, end;
    uint64_t operations, wanted;
} pace;

pace pace_start(const actor_order *order);

/* Counts an operation to begin now; false if the order is fulfilled. At least one is done. */
bool pace_begins(pace *p);

#endif
