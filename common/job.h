/* job.h - what is being trained and how: the one description that all processes of a job share.
 *
 * Workers make it from their options and carry it to every ps in HELLO; the ps themselves take no
 * training options. Two processes belong to the same job when their descriptions are equal, field by
 * field; job_difference names the first that is not. */
#ifndef PENSTOCK_COMMON_JOB_H
#define PENSTOCK_COMMON_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/codec.h"
#include "common/status.h"
#include "common/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    JOB_NAME_MAX = 63,
    JOB_WORKERS_MAX = 1024,
    JOB_SERVERS_MAX = 1024,
    JOB_DESCRIPTION_BYTES = 4096,
};
#define JOB_SLICE_BYTES_MIN     UINT32_C(4096)
#define JOB_SLICE_BYTES_MAX     (UINT32_C(64) << 20)
#define JOB_SLICE_BYTES_DEFAULT (UINT32_C(1) << 20)
#define JOB_STALENESS_MAX       (UINT32_C(1) << 20)
#define JOB_TOPK_DEFAULT        0.01
#define JOB_GRACE_MS_DEFAULT    UINT32_C(60000)
/* Where no other bound is noted, magnitudes stay below this, and an epsilon above its inverse: both are
 * ordinary float32 numbers with room to multiply. */
#define JOB_REAL_MAX 1e30

/* When an update applies. BSP with backup workers: Chen et al. 2016; SSP: Ho et al. 2013. */
#define CONSISTENCY_LIST(X)     \
    X(CONSISTENCY_SYNC, "sync") \
    X(CONSISTENCY_SSP, "ssp")   \
    X(CONSISTENCY_ASYNC, "async")

#define OPTIMIZER_LIST(X)             \
    X(OPTIMIZER_SGD, "sgd")           \
    X(OPTIMIZER_MOMENTUM, "momentum") \
    X(OPTIMIZER_NESTEROV, "nesterov") \
    X(OPTIMIZER_ADAGRAD, "adagrad")   \
    X(OPTIMIZER_RMSPROP, "rmsprop")   \
    X(OPTIMIZER_ADAM, "adam")         \
    X(OPTIMIZER_ADAMW, "adamw")       \
    X(OPTIMIZER_FTRL, "ftrl")

#define SCHEDULE_LIST(X)                   \
    X(SCHEDULE_CONSTANT, "constant")       \
    X(SCHEDULE_STEP, "step")               \
    X(SCHEDULE_EXPONENTIAL, "exponential") \
    X(SCHEDULE_COSINE, "cosine")           \
    X(SCHEDULE_POLYNOMIAL, "polynomial")

/* What happens when a gradient holds NaN or Inf. */
#define GUARD_LIST(X)                                                                          \
    X(GUARD_SKIP, "skip") /* that worker's contribution to the step is left out and counted */ \
    X(GUARD_STOP, "stop") /* the job ends with an error that names the worker */

/* What it means that a worker has not been heard of for the time of its lease (ps/shard.h). */
#define LOSS_LIST(X)                                                                    \
    X(LOSS_WAIT, "wait")     /* it is waited for, until it comes or is started again */ \
    X(LOSS_FAIL, "fail")     /* once the grace time is over as well, the job ends */    \
    X(LOSS_SHRINK, "shrink") /* ... the others go on without it, and with it again when it comes */

#define JOB_ENUM(name, text) name,
typedef enum { CONSISTENCY_LIST(JOB_ENUM) } consistency_mode;
typedef enum { OPTIMIZER_LIST(JOB_ENUM) } optimizer_kind;
typedef enum { SCHEDULE_LIST(JOB_ENUM) } schedule_kind;
typedef enum { GUARD_LIST(JOB_ENUM) } guard_policy;
typedef enum { LOSS_LIST(JOB_ENUM) } loss_policy;
#undef JOB_ENUM

/* Names, formulas and sources of the optimizers: ps/optimizer.h. */
typedef struct {
    optimizer_kind kind;
    double momentum;            /* momentum, nesterov: [0, 1) */
    double beta1, beta2;        /* adam, adamw: [0, 1) */
    double decay;               /* rmsprop: weight of the past in the mean square, [0, 1) */
    double epsilon;             /* adagrad, rmsprop, adam, adamw: > 0 */
    double initial_accumulator; /* adagrad, ftrl: >= 0 */
    double l1, l2;              /* ftrl: >= 0 */
    double learning_rate_power; /* ftrl: <= 0 */
    double weight_decay;        /* all: g += weight_decay * w; adamw: decoupled. >= 0 */
    double clip_value;          /* each element of a reduced gradient into [-v, v]; 0: off */
    double clip_norm;           /* each worker's gradient scaled to at most this L2 norm; 0: off */
} optimizer_config;

/* Learning rate as a function of the step, one worker's step in every mode: common/schedule.h. */
typedef struct {
    schedule_kind kind;
    double learning_rate;  /* > 0, the rate after warm-up */
    uint64_t warmup_steps; /* rate rises linearly over these; 0: none */
    uint64_t decay_steps;  /* step: interval; exponential, cosine, polynomial: length */
    double decay_rate;     /* step, exponential: factor in (0, 1] */
    double end_rate;       /* cosine, polynomial: final rate >= 0 */
    double power;          /* polynomial: > 0 */
} schedule_config;

typedef struct {
    char name[JOB_NAME_MAX + 1]; /* letters, digits, '.', '_', '-'; not first: '.', '-' */
    uint32_t servers;            /* number of ps */
    uint32_t workers;            /* chief included, evaluators not */
    uint32_t evaluators;         /* expected to join and to be waited for */
    consistency_mode mode;
    uint32_t staleness;      /* ssp */
    uint32_t backup_workers; /* sync: < workers */
    guard_policy guard;
    loss_policy on_worker_loss;
    uint32_t grace_ms; /* LOSS_FAIL, LOSS_SHRINK: that a lost worker still has to come back */
    uint64_t seed;
    uint32_t slice_bytes;  /* largest slice; a multiple of 4 */
    codec_kind push_codec; /* how gradients travel, of tensors that do not say otherwise */
    codec_kind pull_codec; /* how weights travel: one that codec_suits_weights */
    double topk_fraction;  /* topk: of the elements of a slice, in (0, CODEC_TOPK_FRACTION_MAX] */
    optimizer_config optimizer;
    schedule_config schedule;
    tensor_table tensors;
} job_config;

/* Names of enum values, as used in options, logs and errors; "?" outside the list. */
const char *consistency_mode_name(consistency_mode mode);
const char *optimizer_kind_name(optimizer_kind kind);
const char *schedule_kind_name(schedule_kind kind);
const char *guard_policy_name(guard_policy policy);
const char *loss_policy_name(loss_policy policy);
const char *initializer_kind_name(initializer_kind kind);

/* The reverse. PS_EINVAL, listing the known names. */
ps_status consistency_mode_parse(const char *text, consistency_mode *mode, ps_error *error);
ps_status optimizer_kind_parse(const char *text, optimizer_kind *kind, ps_error *error);
ps_status schedule_kind_parse(const char *text, schedule_kind *kind, ps_error *error);
ps_status guard_policy_parse(const char *text, guard_policy *policy, ps_error *error);
ps_status loss_policy_parse(const char *text, loss_policy *policy, ps_error *error);
ps_status initializer_kind_parse(const char *text, initializer_kind *kind, ps_error *error);

/* One ps, one worker, `sync`, plain SGD at a constant rate of 0.01, slices of 1 MiB in fp32, no tensors. The
 * fields of the other optimizers and schedules hold customary values, so that choosing one is setting `kind`
 * (and decay_steps, which has no customary value). job_fini is due afterwards. */
void job_init(job_config *job);

/* Every number within its range as noted on the fields, whether or not the kind in use reads it; at least
 * one tensor; decay_steps at least 1 where the schedule reads it. PS_ECONFIG names field, value and rule. */
ps_status job_check(const job_config *job, ps_error *error);

/* A deep copy over whatever bytes `to` holds. PS_ENOMEM, and then `to` is as after job_init. */
ps_status job_copy(const job_config *from, job_config *to);

/* PS_OK if the two are equal; else PS_EMISMATCH with the first difference as
 * "<field> is <b's value> here, but <a's value> in the job". Fields that the optimizer, schedule or mode in
 * use does not read are compared too: equality is of descriptions, not of behaviour. */
ps_status job_difference(const job_config *a, const job_config *b, ps_error *error);

/* Every field but the tensors, for people: "name value" a line, cut at a line's end if `bytes`, 1 or more, do
 * not suffice (JOB_DESCRIPTION_BYTES do). Returns the length. */
size_t job_describe(const job_config *job, char *text, size_t bytes);

/* How the gradients of tensor `t` travel. */
codec_config job_push_codec(const job_config *job, uint32_t t);

/* How weights travel; `final`: those after the last step, which are saved, go as they are. */
codec_config job_pull_codec(const job_config *job, bool final);

void job_fini(job_config *job);

#ifdef __cplusplus
}
#endif
#endif
