/* worker_metrics.h - everything that a worker counts for those who look at it, and under which name
 * (common/metrics.h). Its trainer's thread counts. */
#ifndef PENSTOCK_WORKER_WORKER_METRICS_H
#define PENSTOCK_WORKER_WORKER_METRICS_H

#include "common/metrics.h"

typedef enum {
    WORKER_METRIC_BUILD,
    WORKER_METRIC_TURNED,
    WORKER_METRIC_JOINED,
    WORKER_METRIC_STEP,
    WORKER_METRIC_LAST_STEP,
    WORKER_METRIC_EPOCH,
    WORKER_METRIC_EPOCHS,
    WORKER_METRIC_EXAMPLES_TOTAL,
    WORKER_METRIC_STEPS,
    WORKER_METRIC_PHASES, /* series: worker_phase */
    WORKER_METRIC_EXAMPLES,
    WORKER_METRIC_CORRECT,
    WORKER_METRIC_LOSS_SUM,
    WORKER_METRIC_LOSS,
    WORKER_METRIC_ACCURACY,
    WORKER_METRIC_EXAMPLES_RATE,
    WORKER_METRIC_STEPS_RATE,
    WORKER_METRIC_BYTES_PUSHED,
    WORKER_METRIC_BYTES_PULLED,
    WORKER_METRIC_REQUESTS,
    WORKER_METRIC_RESENT,
    WORKER_METRIC_ROLLBACKS,
    WORKER_METRIC_TESTS,
    WORKER_METRIC_TEST_STEP,
    WORKER_METRIC_TEST_ACCURACY,
    WORKER_METRIC_TEST_LOSS,
    WORKER_METRIC_STEP_TIME,
    WORKER_METRIC_WAIT_TIME,
    WORKER_METRIC_COUNT,
} worker_metric;

/* What a step's time goes to; common/status_page.md says what each is. */
typedef enum { PHASE_COMPUTE, PHASE_PUSH, PHASE_WAIT, PHASE_PULL, PHASE_COUNT } worker_phase;

/* All zero. NULL: out of memory. */
metrics *worker_metrics_create(void);

#endif
