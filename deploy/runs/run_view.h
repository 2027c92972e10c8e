/* run_view.h - a run's record read back, for those who show it. */
#ifndef PENSTOCK_DEPLOY_RUN_VIEW_H
#define PENSTOCK_DEPLOY_RUN_VIEW_H

#include <stdint.h>

#include "common/json.h"
#include "deploy/runs/run_record.h"

typedef struct {
    json *record; /* owned; the texts below are its own */
    const char *id, *experiment, *folder, *reason;
    run_phase phase;
    run_process launcher;
    int64_t phase_ms[RUN_PHASE_COUNT]; /* 0: never */
    double servers, workers;           /* NaN: unknown, as all that follow */
    double step, epoch, accuracy, loss, images_per_s, train_seconds, exit_code;
    const char *data_sha256; /* "": none is known */
} run_view;

/* Reads a record; what it lacks is unknown. PS_EFORMAT: it is none; PS_ENOMEM. */
ps_status run_view_open(const char *record, run_view *view, ps_error *error);

/* Of a run that has not ended well the record knows little: takes the latest from the metrics in its folder,
 * as far as they are there. */
void run_view_catch_up(run_view *view);

/* Does nothing on an empty one. */
void run_view_close(run_view *view);

/* From the beginning to its end, or until now; seconds. */
double run_view_seconds(const run_view *view, int64_t now_ms);

/* The training options as one line, quoted for a shell; cut if need be. */
void run_view_options(const run_view *view, char *text, size_t bytes);

#endif
