/* ps_metrics.c - see ps_metrics.h. */
#include "ps/ps_metrics.h"

#include <stddef.h>

#include "common/codec.h"
#include "common/transport.h"
#include "ps/refusals.h"

static const char *const image_labels[] = {
    [PS_IMAGE_KEPT] = "result=\"kept\"",
    [PS_IMAGE_FAILED] = "result=\"failed\"",
    [PS_IMAGE_DROPPED] = "result=\"left_out\"",
    NULL,
};
#define CODEC_LABEL(kind, name) "codec=\"" name "\"",
static const char *const codec_labels[] = {CODEC_LIST(CODEC_LABEL) NULL};
#undef CODEC_LABEL
#define REASON_LABEL(constant, name) "reason=\"" name "\"",
static const char *const refusal_labels[] = {REFUSAL_LIST(REASON_LABEL) NULL};
static const char *const handshake_labels[] = {HANDSHAKE_FAILURE_LIST(REASON_LABEL) NULL};
#undef REASON_LABEL

static const uint64_t update_limits[] = {0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096};
static const metric_buckets update_buckets = {sizeof update_limits / sizeof update_limits[0], update_limits};

static const metric table[PS_METRIC_COUNT] = {
    [PS_METRIC_BUILD] = BUILD_ROW("penstock_ps_build_info"),
    [PS_METRIC_TICK] = GAUGE_ROW(METRIC_MS, "penstock_ps_loop_turned_seconds",
                                 "When the event loop last turned, by a clock that began when the host did."),
    [PS_METRIC_HAS_JOB] =
        GAUGE_ROW(METRIC_ONE, "penstock_ps_serving", "1 once a worker has brought the job, else 0."),
    [PS_METRIC_IS_OVER] =
        GAUGE_ROW(METRIC_ONE, "penstock_ps_finished", "1 once the job has finished, else 0."),
    [PS_METRIC_VERSION] =
        GAUGE_ROW(METRIC_ONE, "penstock_ps_weights_version",
                  "Synchronous mode: the last step applied; else the number of updates, ever."),
    [PS_METRIC_UPDATES] =
        COUNTER_ROW("penstock_ps_updates_total",
                    "Updates applied by this process, those by its log of updates included."),
    [PS_METRIC_PUSHES] = COUNTER_ROW("penstock_ps_pushes_total",
                                     "Gradients of a worker and step that came whole and were kept."),
    [PS_METRIC_EXAMPLES] =
        GAUGE_ROW(METRIC_ONE, "penstock_ps_examples", "Rows in the weights; falls when the shard goes back."),
    [PS_METRIC_REPEATS] = COUNTER_ROW("penstock_ps_repeated_pushes_total",
                                      "Pushes that had come before, answered without being applied again."),
    [PS_METRIC_LATE] = COUNTER_ROW("penstock_ps_late_gradients_total",
                                   "Gradients dropped because their step was over (backup workers)."),
    [PS_METRIC_NONFINITE] = COUNTER_ROW("penstock_ps_nonfinite_gradients_total",
                                        "Contributions that held NaN or Inf and were left out."),
    [PS_METRIC_REFUSED] =
        LABELLED_COUNTER_ROW(METRIC_ONE, refusal_labels, "penstock_ps_refused_messages_total",
                             "Messages answered by an error, by reason."),
    [PS_METRIC_HANDSHAKES] =
        LABELLED_COUNTER_ROW(METRIC_ONE, handshake_labels, "penstock_ps_refused_handshakes_total",
                             "Connections of ZeroMQ that failed in the handshake, by reason."),
    [PS_METRIC_RESTORES] =
        COUNTER_ROW("penstock_ps_restores_total",
                    "Times that the shard went to another step with all the others, or took up "
                    "where a checkpoint or log ends."),
    [PS_METRIC_LOST] = COUNTER_ROW("penstock_ps_lost_members_total",
                                   "Workers and evaluators of which nothing was heard for a lease."),
    [PS_METRIC_RETURNED] =
        COUNTER_ROW("penstock_ps_returned_members_total", "Of those, the ones that were heard of again."),
    [PS_METRIC_RESTARTED] = COUNTER_ROW("penstock_ps_restarted_members_total",
                                        "Processes that took the place of one before of the same index."),
    [PS_METRIC_BYTES_RECEIVED] = LABELLED_COUNTER_ROW(
        METRIC_ONE, codec_labels, "penstock_ps_received_tensor_bytes_total",
        "Bytes of gradients as they travel, repeats and shared memory included, by codec."),
    [PS_METRIC_BYTES_SENT] =
        LABELLED_COUNTER_ROW(METRIC_ONE, codec_labels, "penstock_ps_sent_tensor_bytes_total",
                             "Bytes of weights as they travel, shared memory included, by codec."),
    [PS_METRIC_STEP] = HISTOGRAM_ROW(METRIC_NS, &metric_buckets_ns, "penstock_ps_step_duration_seconds",
                                     "Time from one update to the next."),
    [PS_METRIC_APPLY] =
        HISTOGRAM_ROW(METRIC_NS, &metric_buckets_ns, "penstock_ps_apply_duration_seconds",
                      "Time that it took to take in the last message of an update, and to apply it."),
    [PS_METRIC_WAIT] = HISTOGRAM_ROW(METRIC_MS, &metric_buckets_ms, "penstock_ps_push_wait_seconds",
                                     "Time that an applied gradient had waited for the rest of its step."),
    [PS_METRIC_STALENESS] =
        HISTOGRAM_ROW(METRIC_ONE, &update_buckets, "penstock_ps_staleness_updates",
                      "Updates between the weights that a worker had got and the gradient that it pushed."),
    [PS_METRIC_IMAGES] = LABELLED_COUNTER_ROW(METRIC_ONE, image_labels, "penstock_ps_checkpoints_total",
                                              "Checkpoints, by what came of them."),
    [PS_METRIC_IMAGE_TIME] = GAUGE_ROW(METRIC_MS, "penstock_ps_checkpoint_timestamp_seconds",
                                       "When the newest checkpoint was written, since 1970; 0: none was."),
    [PS_METRIC_IMAGE_AGE] = GAUGE_ROW(METRIC_MS, "penstock_ps_checkpoint_age_seconds",
                                      "How long ago that was, when the event loop last looked; 0: none was."),
    [PS_METRIC_IMAGE_DURATION] = GAUGE_ROW(METRIC_MS, "penstock_ps_checkpoint_duration_seconds",
                                           "How long it took to write the newest checkpoint."),
    [PS_METRIC_OPEN] =
        GAUGE_ROW(METRIC_ONE, "penstock_ps_waiting_requests", "Requests that wait for their step."),
    [PS_METRIC_HELD] =
        GAUGE_ROW(METRIC_ONE, "penstock_ps_held_answers", "Answers that wait for the log of updates."),
    [PS_METRIC_UNSENT] = GAUGE_ROW(METRIC_ONE, "penstock_ps_unsent_answers",
                                   "Answers that wait for room in the queue of their peer."),
};

metrics *ps_metrics_create(void)
{
    return metrics_create(table, PS_METRIC_COUNT);
}
