/* performance.h - how a worker fares: what it counts of its steps, for its heartbeats (common/figures.h) and
 * for those who look at it over HTTP.
 *
 *   const uint64_t begun = performance_begin(p);
 *   ...                                             // a wait for weights
 *   performance_add(p, PHASE_WAIT, begun);
 *   ...
 *   performance_end_step(p, &step);                 // what no phase was told of is computing
 *
 * Threads: one, the trainer's, counts, without a lock; functions that say so may be called by any. What the
 * trainer calls, and performance_set_http, does nothing on NULL: nobody looks. The others are for those who
 * look, and want one. */
#ifndef PENSTOCK_WORKER_PERFORMANCE_H
#define PENSTOCK_WORKER_PERFORMANCE_H

#include "common/cluster.h"
#include "common/figures.h"
#include "common/http_refusals.h"
#include "worker/client.h"
#include "worker/evaluation.h"
#include "worker/worker_metrics.h"

enum { PERFORMANCE_RECENT_MAX = 120 /* steps that are remembered one by one */ };

typedef struct performance performance;

/* `cluster` is borrowed; `tells`: heartbeats tell the ps of it. NULL: out of memory. */
performance *performance_create(const cluster_spec *cluster, bool tells);
void performance_destroy(performance **p);

/* ---- the trainer's ---- */

void performance_set_activity(performance *p, worker_activity activity);

/* `name`: that of device_open. */
void performance_set_device(performance *p, const char *name);

/* Lets it look on at this client, which is about to join; and it has joined. */
void performance_watch(performance *p, ps_client *client);
void performance_joined(performance *p, const ps_client *client);

/* Training goes on after `step`, to `last_step`. */
void performance_set_goal(performance *p, uint64_t step, uint64_t last_step, double epochs);

/* Joined anew, at the step where the ps are. */
void performance_note_rollback(performance *p);

/* The time; 0 on NULL. */
uint64_t performance_begin(const performance *p);

/* What has passed since then went to that. */
void performance_add(performance *p, worker_phase phase, uint64_t begun_ns);

typedef struct {
    uint64_t begun_ns; /* of performance_begin */
    uint64_t pushed;   /* the step */
    uint64_t over;     /* the last step that is over */
    uint64_t examples_total;
    double epoch; /* at that step */
    uint32_t rows, correct;
    double loss_sum;
} performance_step;

void performance_end_step(performance *p, const performance_step *step, const ps_client *client);

/* The last step is over, and what the client has done since shall be counted. */
void performance_settle(performance *p, uint64_t over, uint64_t examples_total, double epoch,
                        const ps_client *client);

void performance_note_test(performance *p, uint64_t step, const evaluation *found);

/* ---- any thread's ---- */

/* Where this process shows itself, "address:port". */
void performance_set_http(performance *p, const char *http);

/* What the server of these pages counts into. */
http_refusals *performance_refusals(performance *p);

/* How old its last sign of life is. */
uint64_t performance_age_ms(const performance *p);
bool performance_has_joined(const performance *p);

const metrics *performance_metrics(const performance *p);

/* What a heartbeat tells: how it stands, and where one of the ps shows itself, by turns. */
void performance_tell(performance *p, worker_figures *figures);

/* How it stands alone. */
void performance_look(performance *p, worker_figures *figures);

/* /status, common/status_page.md. */
void performance_print(performance *p, FILE *out);

#endif
