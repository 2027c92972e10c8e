/* scenario.h - what a seed stands for: a job, a model, workers of some speed, and a network's weather.
 *
 * A pure function of the seed. */
#ifndef PENSTOCK_TESTS_SIM_SCENARIO_H
#define PENSTOCK_TESTS_SIM_SCENARIO_H

#include "common/job.h"
#include "tests/sim/network.h"

enum {
    SCENARIO_SERVERS_MAX = 5,
    SCENARIO_WORKERS_MAX = 7,
    SCENARIO_EVALUATORS_MAX = 1,
    SCENARIO_STEPS_MAX = 12,
    SCENARIO_TENSORS_MAX = 5,
    SCENARIO_TENSOR_MAX = 5000, /* elements */
    SCENARIO_CRASHES_MAX = 4,
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
    bool restarts;     /* once, at its first chance (trainee.h) after both of these */
    uint64_t restart_from_ms;
    uint32_t restart_from_step;
} scenario_worker;

/* A ps dies, and is started again. */
typedef struct {
    uint32_t server;
    uint64_t from_ms;  /* at the first message that reaches it after this */
    bool before_reply; /* having taken that message in; else before */
    uint32_t down_ms;
} scenario_crash;

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
    uint32_t crash_count; /* 0: no ps keeps images */
    scenario_crash crashes[SCENARIO_CRASHES_MAX];
    uint32_t image_steps, disk_max_ms, damage_per_mille; /* disk: until an image is durable */
    network_weather weather; /* addresses: ps first, then workers, then evaluators */
} scenario;

/* PS_ENOMEM, or why the seed makes no valid job. scenario_fini is due only after success. */
ps_status scenario_init(scenario *s, uint64_t seed, ps_error *error);
void scenario_fini(scenario *s);

/* One line for a person. */
void scenario_describe(const scenario *s, char *text, size_t bytes);

#endif
