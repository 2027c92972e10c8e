/* scenario.h - what a seed stands for: a job, a model, workers of some speed, weather and faults.
 *
 * A pure function of the seed. */
#ifndef PENSTOCK_TESTS_SIM_SCENARIO_H
#define PENSTOCK_TESTS_SIM_SCENARIO_H

#include "common/job.h"
#include "common/members.h"
#include "tests/sim/fault.h"
#include "tests/sim/network.h"
#include "worker/sampler.h"

enum {
    SCENARIO_SERVERS_MAX = 5,
    SCENARIO_WORKERS_MAX = 7,
    SCENARIO_EVALUATORS_MAX = 1,
    SCENARIO_STEPS_MAX = 12,
    SCENARIO_TENSORS_MAX = 5,
    SCENARIO_TENSOR_MAX = 5000,   /* elements */
    SCENARIO_CUT_EVERY_MS = 9000, /* where faults never stop */
    SCENARIO_BATCH_MAX = 20,      /* rows of a worker and step, where workers come and go */
};

/* How a worker has its gradient applied and gets the next weights. */
typedef enum {
    STYLE_PUSH_PULL,      /* one request */
    STYLE_PUSH_THEN_PULL, /* the pull once the push is answered */
    STYLE_PUSH_AND_PULL,  /* both at once */
    STYLE_COUNT
} scenario_style;

typedef struct {
    scenario_style style;
    uint32_t steps;    /* it has data for; worker 0 for all */
    bool leaves_early; /* having pushed its last gradient, it does not wait for the weights after it */
    uint32_t step_ms;  /* what computing a gradient takes at most */
} scenario_worker;

/* When do the faults stop? */
typedef enum {
    MODE_LIVENESS, /* at calm_at_ms; then the job has so long to come to its end (cluster.h) */
    MODE_SAFETY,   /* never: nothing has to happen, but nothing wrong may */
    MODE_COUNT
} scenario_mode;

/* What becomes of the images and the logs of ps. */
typedef struct {
    uint32_t durable_max_ms;              /* until one is durable: 0 to this */
    uint32_t damage_per_mille;            /* of images turn out damaged when they are read */
    uint32_t error_per_mille;             /* are not kept: an I/O error */
    uint64_t full_from_ms, full_until_ms; /* nor are any then: the disk is full, also for logs */
    uint32_t log_max_ms;                  /* until a batch of records is durable: 0 to this, */
    uint64_t slow_from_ms, slow_until_ms; /* and then, */
    uint32_t slow_max_ms;                 /* the disk being slow, so much more */
    uint32_t log_error_per_mille;         /* of batches are not: an I/O error */
} disk_weather;

typedef struct {
    uint64_t seed;
    job_config job;
    uint32_t steps;
    uint32_t slices_per_message;
    uint32_t query_first_ms, query_max_ms;
    uint32_t empty_per_mille;     /* batches without examples */
    uint32_t nonfinite_per_mille; /* gradients with NaN or Inf */
    bool additive; /* gradients do not depend on the weights and updates add them up, in whatever order */
    scenario_worker workers[SCENARIO_WORKERS_MAX];
    scenario_mode mode;
    fault_plan faults;
    bool servers_crash; /* some do */
    bool keeps_images;
    uint32_t image_steps;
    uint32_t logs; /* the set of ps that keep a log */
    disk_weather disk;
    network_weather weather;
    uint64_t stop_at_ms; /* an administrator ends the job from then on; 0: never */
    uint64_t keep_at_ms; /* ... has a checkpoint kept; 0: never */

    /* Where workers may leave the job and enter it again (on_worker_loss shrink, synchronous mode). */
    bool shrinks;
    uint32_t lease_ms;
    uint64_t rows; /* of the training set, drawn by the production sampler */
    uint32_t batch;
    uint32_t epochs; /* the job has so many, however many steps that takes; 0: it has `steps` */
} scenario;

/* PS_ENOMEM, or why the seed makes no valid job. scenario_fini is due only after success. */
ps_status scenario_init(scenario *s, uint64_t seed, scenario_mode mode, ps_error *error);
void scenario_fini(scenario *s);

/* Are weights and examples a function of the step? */
static inline bool scenario_is_exact(const scenario *s)
{
    return s->job.mode == CONSISTENCY_SYNC && s->job.backup_workers == 0;
}

/* Draws rows for the members of `list`, borrowed. Of a scenario that shrinks. */
sampler scenario_sampler(const scenario *s, const members_list *list);

/* The last step of the job, with those members. */
uint64_t scenario_last_step(const scenario *s, const members_list *list);

/* One line for a person. */
void scenario_describe(const scenario *s, char *text, size_t bytes);

#endif
