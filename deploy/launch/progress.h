/* progress.h - what the daemons report of their training, and how it reads on one line.
 *
 * Pure: bytes in, text out. Where the bytes come from and where the text goes is run.c's. A report is one
 * JSON object on one line: "event" is start, step, eval or done; unknown events and keys are ignored, and a
 * report that is not understood changes nothing. */
#ifndef PENSTOCK_DEPLOY_PROGRESS_H
#define PENSTOCK_DEPLOY_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum {
    PROGRESS_PATH_MAX = 1024,
    PROGRESS_QUIET_MS = 5000, /* without news for longer, the line says so */
};

/* Numbers that have not been reported are NaN. */
typedef struct {
    double epoch, loss, images_per_s;
    double seconds; /* since the process began to train */
    uint64_t step;
} progress_step;

typedef struct {
    double epoch, step, accuracy, loss, seconds;
} progress_eval;

typedef struct {
    double accuracy, loss, train_seconds, images_per_s;
    char model[PROGRESS_PATH_MAX]; /* path; empty: none reported */
} progress_result;

typedef struct {
    int64_t updated_ms; /* when the last report came */
    bool started, stepped, finished;
    double epochs;  /* of the whole run */
    uint64_t steps; /* of the whole run, as last reported; 0: unknown */
    progress_step first, latest;
    progress_eval eval; /* the latest */
    progress_result result;
} progress;

typedef enum { PROGRESS_NOTHING, PROGRESS_START, PROGRESS_STEP, PROGRESS_EVAL, PROGRESS_DONE } progress_event;

void progress_init(progress *p, int64_t now_ms);

/* Takes one report in and says which event it was; PROGRESS_NOTHING if of an unknown kind. PS_EFORMAT if it
 * is malformed; nothing has changed then. */
ps_status progress_take(progress *p, const char *line, size_t bytes, int64_t now_ms, progress_event *event,
                        ps_error *error);

/* "epoch 1.25/10  step 500/4,000  loss 0.31  40,000 images/s  ETA 0:52" in at most `width` columns:
 * what does not fit is left out, the least telling first. */
void progress_render(const progress *p, size_t width, int64_t now_ms, char *line, size_t bytes);

/* "epoch 1: test accuracy 95.30 %, loss 0.16, after 2.4 s" */
void progress_render_eval(const progress_eval *eval, char *line, size_t bytes);

/* What a person wants to know at the end, several lines, each with its newline. */
void progress_render_result(const progress_result *result, char *text, size_t bytes);

#endif
