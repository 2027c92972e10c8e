/* client.h - the public client of Penstock: push gradients, pull weights.
 *
 *     ps_error error;
 *     ps_client_options options;
 *     ps_client_options_init(&options);          // SGD at 0.01, synchronous
 *     cluster_spec cluster = {0};                // trains alone; else from cluster_parse
 *     ps_client *client;
 *     ps_connect(&cluster, &options, &client, &error);
 *     tensor line = {.name = "line", .rank = 1, .shape = {2}};
 *     ps_declare(client, &line, &error);         // once per tensor, the same order everywhere
 *     ps_join(client, 60000, &error);            // all ps are there and agree on the job
 *
 *     float line_weights[2], line_gradient[2];
 *     float *weights[] = {line_weights};         // per tensor
 *     const float *gradients[] = {line_gradient};
 *     ps_ticket ticket;
 *     ps_result result;
 *     ps_pull(client, 0, weights, &ticket, &error);
 *     ps_wait(client, ticket, PS_FOREVER, &result, &error);
 *     for (uint64_t step = result.step + 1; step <= steps; step = result.step + 1) {
 *         compute_gradient(line_weights, line_gradient); // yours: the mean over 8 examples
 *         ps_update update = {.step = step, .examples = 8, .gradients = gradients};
 *         ps_push_pull(client, &update, weights, &ticket, &error);
 *         ps_wait(client, ticket, PS_FOREVER, &result, &error);
 *     }
 *     ps_finish(client, 30000, &error);
 *     ps_close(&client);
 *     ps_client_options_fini(&options);
 *
 * (tests/unit/test_client.c compiles and runs this.)
 *
 * Faults: what is lost or repeated on the way, and ps that come back with all that they had answered, are
 * dealt with inside. If ps come back at an earlier step, calls fail with PS_EROLLBACK, and all that is
 * outstanding is void; so they do when the members have changed. Then call ps_join again, pull, and go on
 * from ps_joined_step: pushing the same gradients again leads to the same bits. In the example, the loop
 * begins anew at the first ps_pull.
 *
 * Memory: gradients and weights may lie anywhere. What lies in memory from ps_allocate is shared with those
 * ps that run on this host, and is not sent to them at all.
 *
 * Threads: a client belongs to one thread at a time; different clients may be used on different threads. The
 * client has further threads: ZeroMQ's, which reads lent gradients, and one that tells the ps that it lives.
 * Nothing but ps_join, ps_wait, ps_wait_weights, ps_finish and ps_close blocks. Lost and repeated messages,
 * reconnection and names that do not resolve yet are handled inside.
 *
 * Errors: every function returns a ps_status and, where it takes a ps_error (which may be NULL), leaves one
 * line that names the thing and the reason. After PS_EMISMATCH, PS_EPEER, PS_ENONFINITE, or PS_ENOMEM of a
 * ps, the job is over for this client, with all that is outstanding: close it. */
#ifndef PENSTOCK_WORKER_CLIENT_H
#define PENSTOCK_WORKER_CLIENT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cluster.h"
#include "common/job.h"
#include "common/members.h"
#include "common/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PS_FOREVER UINT32_MAX

typedef struct ps_client ps_client;

typedef struct {
    /* What is trained and how. Numbers of ps, workers and evaluators are taken from the cluster spec where it
     * knows them, and must be set here for a sparse one. Tensors are added by ps_declare. */
    job_config job;
    /* If not NULL: blocking calls return PS_EINTERRUPTED once this is non-zero (set by a signal handler, or
     * atomically by another thread). */
    const volatile sig_atomic_t *stop;
    /* An unanswered request is asked about after this time, then after twice as long, and so on. */
    uint32_t query_first_ms, query_max_ms;
    /* Bytes of tensors. Of a step in pieces, what is ready for a ps waits for more below the minimum, unless
     * there is no more; a message of several slices holds at most the maximum (0, and more than that: 4 MiB).
     */
    uint64_t message_bytes_min, message_bytes_max;
    /* After ps_join has succeeded once: calls fail with PS_EPEER when a ps that owes an answer has not been
     * heard of for so long. 0: never. */
    uint32_t deadline_ms;
    /* If not NULL: is told, in a call that waits, of a worker that is lost for longer than the job's grace
     * time while the others wait for it (on_worker_loss shrink). May be told of the same one again. Someone
     * who can compute gradients is to join under its index, call ps_leave, and push what it still takes part
     * in. */
    void (*worker_lost)(void *context, uint32_t worker);
    void *context;
    /* Of processes under the same index that of the greatest number takes the place of the others, which hear
     * PS_EPEER. 0: nanoseconds since 1970 when ps_join is called first. */
    uint64_t incarnation;
    /* Share memory with ps on this host. What cannot be shared goes through the socket. */
    bool share_memory;
    /* Folder of CURVE keys, as `penstock keygen` makes it: all that travels is encrypted, and both ends prove
     * who they are. NULL: neither. Borrowed until ps_connect returns. */
    const char *keys_folder;
} ps_client_options;

/* Names an outstanding push or pull until ps_wait has collected it. */
typedef uint32_t ps_ticket;

typedef struct {
    uint64_t step; /* 1, 2, ...: this worker's step */
    /* Rows that `gradients` are the mean of: its weight among the workers' in a synchronous step. 0: nothing
     * to contribute to this step; `gradients` is not read. */
    uint32_t examples;
    /* Per declared tensor: (its shape) f32, row-major. Lent until ps_wait returns PS_OK for the ticket. */
    const float *const *gradients;
} ps_update;

typedef struct {
    uint64_t step;           /* version of the weights: synchronous: last step applied (go on with the
                                next); else the number of updates */
    uint64_t examples_total; /* rows that all workers together have put into the weights so far */
    bool job_finished;       /* every worker has finished */
    bool nonfinite;          /* the gradient pushed held NaN or Inf; the guard's policy applies */
} ps_result;

/* What a client has done so far. Bytes are those of tensors, and nothing is counted of joining. */
typedef struct {
    uint64_t bytes_pushed; /* repeats included */
    uint64_t bytes_pulled;
    uint64_t bytes_copied;        /* by the client: pulled weights into their place */
    uint64_t requests;            /* messages to ps, without repeats */
    uint64_t resent;              /* ... because a ps had not got them */
    double communication_seconds; /* in which an answer was outstanding */
    double blocked_seconds;       /* those of them that the caller spent in here: waiting, moving messages */
} ps_counters;

/* Defaults: job_init with no numbers of ps and workers, no stop flag, 250 ms and 5 s, 256 KiB and 4 MiB, no
 * deadline, shared memory. */
void ps_client_options_init(ps_client_options *options);
void ps_client_options_fini(ps_client_options *options);

/* Starts connecting to every ps; does not wait. `cluster` without `present`: a shard inside this process.
 * Both arguments are copied. PS_ECONFIG if neither tells the number of ps or workers, or this worker is not
 * among them; PS_EIO; PS_ENOMEM. */
ps_status ps_connect(const cluster_spec *cluster, const ps_client_options *options, ps_client **out,
                     ps_error *error);

/* `bytes` of zeroed memory, aligned to 64, the caller's until ps_close. NULL if there is none. */
void *ps_allocate(ps_client *client, size_t bytes);

/* Adds a tensor to the job. Not after ps_join (PS_ESTATE). PS_ECONFIG as tensor_table_add. */
ps_status ps_declare(ps_client *client, const tensor *t, ps_error *error);

/* Blocks until every ps has accepted this process and its description of the job, and all are at steps that
 * fit together. To be called again after PS_EROLLBACK; gradients that were lent are the caller's again when
 * it returns PS_OK. PS_ETIMEDOUT names a ps that did not answer; PS_EMISMATCH what differs; PS_ECONFIG if the
 * job is not valid; PS_EINTERRUPTED. */
ps_status ps_join(ps_client *client, uint32_t timeout_ms, ps_error *error);

/* The step after which this process goes on: 0 for a new job. After ps_join, by which it may change. */
uint64_t ps_joined_step(const ps_client *client);

/* Which workers take part in which steps, as of the last ps_join. Synchronous mode; a step is answered once
 * its members have pushed it. It may change in any call that waits, which then fails with PS_EROLLBACK. */
const members_list *ps_members(const ps_client *client);

/* Has somebody ended the job (`penstock admin stop`)? Then the step after which to call ps_finish: do not
 * push a later one, or, in ssp and async, where it may be one that is over, no further one. 0: no. Ask after
 * every step; a synchronous worker that goes on all the same may wait in vain for the others. */
uint64_t ps_end_step(const ps_client *client);

/* From a coming step on this worker takes part no more, or again; which step that is, ps_members says then.
 * Nothing may be outstanding. Joins anew, so that ps_joined_step may change. For jobs of on_worker_loss
 * shrink, and all workers but the chief: else PS_EPROTOCOL; PS_ESTATE: it is too late, the job is at its end;
 * PS_ELIMIT; else as ps_join and ps_wait. */
ps_status ps_leave(ps_client *client, uint32_t timeout_ms, ps_error *error);
ps_status ps_enter(ps_client *client, uint32_t timeout_ms, ps_error *error);

/* The job as joined, tensors included; valid until ps_close. */
const job_config *ps_job(const ps_client *client);

/* Gradients up, and the weights after that step down, in one round trip. `weights`: per tensor, written until
 * ps_wait returns. PS_ELIMIT if 64 requests are outstanding; PS_ESTATE before ps_join; PS_EINVAL. */
ps_status ps_push_pull(ps_client *client, const ps_update *update, float *const *weights, ps_ticket *ticket,
                       ps_error *error);

/* As ps_push_pull, but no gradient is complete yet: tensors leave while others are still computed, and
 * weights are waited for tensor by tensor, so that communication hides behind arithmetic:
 *
 *   ps_begin -> backward, layer by layer: ps_ready -> next forward, layer by layer: ps_wait_weights ->
 * ps_wait
 *
 * Tensors should be declared in the order in which forward needs them: those leave first that are needed
 * first. Until all are ready no other push may begin (PS_ESTATE). With clip_norm nothing leaves before. */
ps_status ps_begin(ps_client *client, const ps_update *update, float *const *weights, ps_ticket *ticket,
                   ps_error *error);

/* The gradients of `count` tensors from number `first_tensor` on are complete: each is looked at once for NaN
 * and Inf, and lent from now on. PS_EINVAL if one was ready before, or the ticket names no push whose
 * gradient is still coming; one without examples has none. */
ps_status ps_ready(ps_client *client, ps_ticket ticket, uint32_t first_tensor, uint32_t count,
                   ps_error *error);

/* As ps_ready, of tensors that need not be looked at, since the caller knows the sum of squares of each:
 * `squares`: (count), not finite where the tensor holds NaN or Inf, and with clip_norm in the order of sums
 * that common/gradient.h states. NULL: as ps_ready. */
ps_status ps_ready_measured(ps_client *client, ps_ticket ticket, uint32_t first_tensor, uint32_t count,
                            const double *squares, ps_error *error);

/* Blocks until the weights of those tensors are in place. Fails as ps_wait does; a refusal by a ps does not
 * end the request, which ps_wait has still to collect. PS_EINVAL if it brings no such weights; PS_ESTATE
 * while its own gradient is incomplete, without which none can come. */
ps_status ps_wait_weights(ps_client *client, ps_ticket ticket, uint32_t first_tensor, uint32_t count,
                          uint32_t timeout_ms, ps_error *error);

/* Gradients alone. Answered when every shard holds them (sync), or has applied them and lets this worker go
 * on (ssp, async). */
ps_status ps_push(ps_client *client, const ps_update *update, ps_ticket *ticket, ps_error *error);

/* Weights alone: of at least version `step` (sync), or once the slowest worker allows a worker at `step`
 * (ssp); 0: the current ones, which before the first push of a synchronous worker are those of
 * ps_joined_step. */
ps_status ps_pull(ps_client *client, uint64_t step, float *const *weights, ps_ticket *ticket,
                  ps_error *error);

/* The weights after all other workers have finished: what a chief saves. */
ps_status ps_pull_final(ps_client *client, float *const *weights, ps_ticket *ticket, ps_error *error);

/* Blocks until the request is answered by all ps and its gradients are the caller's again. PS_ETIMEDOUT and
 * PS_EINTERRUPTED leave it outstanding; PS_EINVAL if the ticket names no request that is; PS_ESTATE while its
 * gradient is incomplete. A refusal by a ps ends it, with the reason. `result` may be NULL. */
ps_status ps_wait(ps_client *client, ps_ticket ticket, uint32_t timeout_ms, ps_result *result,
                  ps_error *error);

/* Sends what is due and takes in what has come, without waiting. Worth a call before and in long
 * computations: a request of less than 64 KiB that is made while another is outstanding is held back until
 * the next wait, unless many are. */
void ps_progress(ps_client *client);

/* What has not been sent yet of a tensor whose push codec keeps a residual (topk, common/codec.h): (its
 * shape) f32, all zero at first, changed by pushes. NULL for other tensors, and before ps_join. To continue
 * later with the same bits, save it when no push is outstanding, with the step, and put it back after
 * ps_join. */
float *ps_residual(ps_client *client, uint32_t t);

void ps_count(const ps_client *client, ps_counters *counters);

/* The share of the communication's time, 0 to 1, in which the caller did something else. */
double ps_hidden_share(const ps_counters *counters);

/* Tells every ps that this process will push no more, and waits for their word: where checkpoints are kept,
 * until all workers have finished and the last checkpoint is safe. The ps end when all have said so.
 * PS_ETIMEDOUT: no ps has said anything for `timeout_ms`; they may have ended already. */
ps_status ps_finish(ps_client *client, uint32_t timeout_ms, ps_error *error);

/* Ends the client, with or without ps_finish; nulls the pointer. */
void ps_close(ps_client **client);

#ifdef __cplusplus
}
#endif
#endif
