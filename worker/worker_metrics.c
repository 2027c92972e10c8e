/* worker_metrics.c - see worker_metrics.h. */
#include "worker/worker_metrics.h"

#include <stddef.h>

static const char *const phase_labels[] = {
    [PHASE_COMPUTE] = "phase=\"compute\"",
    [PHASE_PUSH] = "phase=\"push\"",
    [PHASE_WAIT] = "phase=\"wait\"",
    [PHASE_PULL] = "phase=\"pull\"",
    NULL,
};

static const metric table[WORKER_METRIC_COUNT] = {
    [WORKER_METRIC_BUILD] = BUILD_ROW("penstock_worker_build_info"),
    [WORKER_METRIC_TURNED] =
        GAUGE_ROW(METRIC_NS, "penstock_worker_loop_turned_seconds",
                  "When it last ended a step or looked for a message, by a clock that began "
                  "when the host did."),
    [WORKER_METRIC_JOINED] =
        GAUGE_ROW(METRIC_ONE, "penstock_worker_joined", "1 once all ps have welcomed it."),
    [WORKER_METRIC_STEP] = GAUGE_ROW(METRIC_ONE, "penstock_worker_step", "The last step that is over."),
    [WORKER_METRIC_LAST_STEP] =
        GAUGE_ROW(METRIC_ONE, "penstock_worker_last_step", "At which training ends; 0: not known yet."),
    [WORKER_METRIC_EPOCH] = GAUGE_ROW(METRIC_REAL, "penstock_worker_epoch", "Times through the data so far."),
    [WORKER_METRIC_EPOCHS] =
        GAUGE_ROW(METRIC_REAL, "penstock_worker_epochs", "Times through the data in all; 0: not known."),
    [WORKER_METRIC_EXAMPLES_TOTAL] = GAUGE_ROW(METRIC_ONE, "penstock_worker_examples_in_weights",
                                               "Rows of all workers in the weights of the last step."),
    [WORKER_METRIC_STEPS] =
        COUNTER_ROW("penstock_worker_steps_total", "Steps computed, repeated ones included."),
    [WORKER_METRIC_PHASES] =
        LABELLED_COUNTER_ROW(METRIC_NS, phase_labels, "penstock_worker_step_phase_seconds_total",
                             "Time of these steps, by what it went to."),
    [WORKER_METRIC_EXAMPLES] = COUNTER_ROW("penstock_worker_examples_total", "Rows of these steps."),
    [WORKER_METRIC_CORRECT] =
        COUNTER_ROW("penstock_worker_correct_examples_total", "Those of them that were classified rightly."),
    [WORKER_METRIC_LOSS_SUM] =
        GAUGE_ROW(METRIC_REAL, "penstock_worker_summed_loss", "Loss, summed over them."),
    [WORKER_METRIC_LOSS] =
        GAUGE_ROW(METRIC_REAL, "penstock_worker_loss", "Mean loss over its rows of the last second or so."),
    [WORKER_METRIC_ACCURACY] = GAUGE_ROW(METRIC_REAL, "penstock_worker_accuracy_ratio",
                                         "Share of these rows that were classified rightly."),
    [WORKER_METRIC_EXAMPLES_RATE] =
        GAUGE_ROW(METRIC_REAL, "penstock_worker_examples_per_second",
                  "Rows of all workers that went into the weights, in that time."),
    [WORKER_METRIC_STEPS_RATE] =
        GAUGE_ROW(METRIC_REAL, "penstock_worker_steps_per_second", "Steps that were over, in that time."),
    [WORKER_METRIC_BYTES_PUSHED] =
        COUNTER_ROW("penstock_worker_pushed_tensor_bytes_total",
                    "Bytes of gradients as they travel, repeats and shared memory included."),
    [WORKER_METRIC_BYTES_PULLED] = COUNTER_ROW("penstock_worker_pulled_tensor_bytes_total",
                                               "Bytes of weights as they travel, shared memory included."),
    [WORKER_METRIC_REQUESTS] =
        COUNTER_ROW("penstock_worker_requests_total", "Messages to ps, without repeats."),
    [WORKER_METRIC_RESENT] = COUNTER_ROW("penstock_worker_resent_requests_total",
                                         "Those that were sent again, for a ps lacked them."),
    [WORKER_METRIC_ROLLBACKS] = COUNTER_ROW("penstock_worker_rollbacks_total",
                                            "Times that it joined the ps anew, at the step they are at."),
    [WORKER_METRIC_TESTS] =
        COUNTER_ROW("penstock_worker_tests_total", "Times that it tested the model on the test set."),
    [WORKER_METRIC_TEST_STEP] = GAUGE_ROW(METRIC_ONE, "penstock_worker_test_step", "Step of the last test."),
    [WORKER_METRIC_TEST_ACCURACY] =
        GAUGE_ROW(METRIC_REAL, "penstock_worker_test_accuracy_ratio", "What it found: a share, 0 to 1."),
    [WORKER_METRIC_TEST_LOSS] =
        GAUGE_ROW(METRIC_REAL, "penstock_worker_test_loss", "What it found: mean over the rows."),
    [WORKER_METRIC_STEP_TIME] = HISTOGRAM_ROW(METRIC_NS, &metric_buckets_ns,
                                              "penstock_worker_step_duration_seconds", "Time of a step."),
    [WORKER_METRIC_WAIT_TIME] =
        HISTOGRAM_ROW(METRIC_NS, &metric_buckets_ns, "penstock_worker_wait_duration_seconds",
                      "Time of it that was spent waiting for weights."),
};

metrics *worker_metrics_create(void)
{
    return metrics_create(table, WORKER_METRIC_COUNT);
}
