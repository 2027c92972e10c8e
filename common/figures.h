/* figures.h - what a worker tells of itself with its heartbeats, for people to look at: Figures of
 * proto/penstock.proto. Nothing is decided by it. */
#ifndef PENSTOCK_COMMON_FIGURES_H
#define PENSTOCK_COMMON_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACTIVITY_LIST(X)             \
    X(ACTIVITY_UNKNOWN, "unknown")   \
    X(ACTIVITY_JOINING, "joining")   \
    X(ACTIVITY_TRAINING, "training") \
    X(ACTIVITY_TESTING, "testing")   \
    X(ACTIVITY_FINISHING, "finishing")

#define ACTIVITY_ENUM(activity, name) activity,
typedef enum { ACTIVITY_LIST(ACTIVITY_ENUM) ACTIVITY_COUNT } worker_activity;
#undef ACTIVITY_ENUM

enum {
    FIGURES_BYTES_MAX = 1024, /* packed */
    FIGURES_TEXT_MAX = 95,
};

/* Sums and counts are since the process began. */
typedef struct {
    worker_activity activity;
    uint32_t pid;
    uint64_t step;           /* the last one that is over */
    uint64_t last_step;      /* at which training ends; 0: not known */
    double epoch, epochs;    /* times through the data: so far, and in all */
    uint64_t examples_total; /* of all workers, in the weights at `step` */

    uint64_t steps; /* that the next times are of */
    uint64_t step_ns, compute_ns, push_ns, wait_ns, pull_ns;
    uint64_t examples, correct; /* rows it has computed, and those classified rightly */
    double loss_sum;            /* over these rows */

    uint64_t bytes_pushed, bytes_pulled; /* as ps_counters */
    uint64_t requests, resent;
    uint64_t rollbacks;

    uint64_t tests; /* evaluations so far; the next are of the last one */
    uint64_t test_step;
    double test_accuracy, test_loss;

    /* One of the ps, by turns, that have told where they show themselves; server_http is empty if none has.
     */
    uint32_t server;
    char server_http[FIGURES_TEXT_MAX + 1];

    char device[FIGURES_TEXT_MAX + 1], host[FIGURES_TEXT_MAX + 1];
    char http[FIGURES_TEXT_MAX + 1]; /* where it shows itself, "address:port"; empty: nowhere */
} worker_figures;

const char *worker_activity_name(worker_activity activity);

/* Sets a text of theirs, cut at FIGURES_TEXT_MAX; control characters become '?'. */
void figures_set_text(char to[FIGURES_TEXT_MAX + 1], const char *from);

/* Packs into `bytes` (FIGURES_BYTES_MAX suffice); returns how many. */
size_t figures_pack(const worker_figures *f, uint8_t bytes[FIGURES_BYTES_MAX]);

/* False if the bytes are no Figures. Texts are as figures_set_text makes them. */
bool figures_unpack(const uint8_t *bytes, size_t count, worker_figures *f);

#endif
