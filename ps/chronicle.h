/* chronicle.h - what a ps remembers of a training for those who look at it: a bounded past of the whole, of
 * tests, and of each worker's steps; and how fast all that goes at the moment.
 *
 * Pure bookkeeping: looks at views of the shard (ps/shard_view.h), of which it gets some a second. Its owner
 * guards it. How it is told: common/status_page.md. */
#ifndef PENSTOCK_PS_CHRONICLE_H
#define PENSTOCK_PS_CHRONICLE_H

#include "common/json_write.h"
#include "common/metrics.h"
#include "ps/shard_view.h"

enum {
    CHRONICLE_POINTS_MAX = 512, /* of the whole; then every other one goes, and they come half as often */
    CHRONICLE_TESTS_MAX = 512,
    CHRONICLE_RECENT_MAX = 120,       /* of each worker */
    CHRONICLE_POINT_MS = 1000,        /* from point to point, at first */
    CHRONICLE_SPEED_MS = 5000,        /* that speeds are measured over */
    CHRONICLE_SPEED_SAMPLES_MAX = 32, /* in that time */
};

typedef struct chronicle chronicle;

/* NULL: out of memory. */
chronicle *chronicle_create(void);
void chronicle_destroy(chronicle **c);

/* `counted`: the ps' metrics. Of the first view with a job allocates what is kept of workers; without memory
 * for it nothing is. */
void chronicle_note(chronicle *c, const shard_view *view, const metrics *counted, uint64_t now_ms,
                    uint64_t unix_ms);

/* How it goes at the moment; NAN where nobody can tell. */
typedef struct {
    double loss, accuracy; /* of the rows of the last point that has them */
    double learning_rate;
    double examples_per_s, steps_per_s;
    double apply_ms; /* mean of the last point */
    uint64_t step, steps;
    double epoch, epochs;
    double eta_s;
    bool tested;
    uint64_t test_step;
    double test_accuracy, test_loss;
} chronicle_progress;

chronicle_progress chronicle_tell(const chronicle *c);

/* Of a worker's steps between its last two messages: means, NAN where there were none. */
typedef struct {
    double step_ms, compute_ms, push_ms, wait_ms, pull_ms;
    double examples_per_s, loss;
} chronicle_pace;

chronicle_pace chronicle_tell_worker(const chronicle *c, uint32_t worker);

/* "history", "tests", and "recent" of a worker, as common/status_page.md has them. */
void chronicle_print_history(const chronicle *c, json_writer *w);
void chronicle_print_tests(const chronicle *c, json_writer *w);
void chronicle_print_recent(const chronicle *c, uint32_t worker, json_writer *w);

#endif
