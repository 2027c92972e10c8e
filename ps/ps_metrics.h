/* ps_metrics.h - everything that a ps counts for those who look at it, and under which name
 * (common/metrics.h).
 *
 * The shard counts what it alone knows (bytes, waits, staleness); the rest is shown by the loop. */
#ifndef PENSTOCK_PS_PS_METRICS_H
#define PENSTOCK_PS_PS_METRICS_H

#include "common/metrics.h"

typedef enum {
    PS_METRIC_BUILD,
    PS_METRIC_TICK,
    PS_METRIC_HAS_JOB,
    PS_METRIC_IS_OVER,
    PS_METRIC_VERSION,
    PS_METRIC_UPDATES,
    PS_METRIC_PUSHES,
    PS_METRIC_EXAMPLES,
    PS_METRIC_REPEATS,
    PS_METRIC_LATE,
    PS_METRIC_NONFINITE,
    PS_METRIC_REFUSED,    /* series: refusal */
    PS_METRIC_HANDSHAKES, /* series: handshake_failure */
    PS_METRIC_RESTORES,
    PS_METRIC_LOST,
    PS_METRIC_RETURNED,
    PS_METRIC_RESTARTED,
    PS_METRIC_BYTES_RECEIVED, /* series: codec_kind - 1 */
    PS_METRIC_BYTES_SENT,
    PS_METRIC_STEP,
    PS_METRIC_APPLY,
    PS_METRIC_WAIT,
    PS_METRIC_STALENESS,
    PS_METRIC_IMAGES, /* series: ps_image_result */
    PS_METRIC_IMAGE_TIME,
    PS_METRIC_IMAGE_AGE,
    PS_METRIC_IMAGE_DURATION,
    PS_METRIC_OPEN,
    PS_METRIC_HELD,
    PS_METRIC_UNSENT,
    PS_METRIC_COUNT,
} ps_metric;

typedef enum { PS_IMAGE_KEPT, PS_IMAGE_FAILED, PS_IMAGE_DROPPED } ps_image_result;

/* All zero. NULL: out of memory. */
metrics *ps_metrics_create(void);

#endif
