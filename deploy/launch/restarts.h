/* restarts.h - may a process that has ended be started again, and when?
 *
 * As Kubernetes does it: with exit code 0 it is done, 1 to 127 are final (Kubeflow's policy ExitCode), a
 * signal or 128 and above are worth another try, after a pause that doubles while a process keeps ending
 * soon. Pure. */
#ifndef PENSTOCK_DEPLOY_RESTARTS_H
#define PENSTOCK_DEPLOY_RESTARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deploy/launch/tasks.h"
#include "deploy/launch/verdict.h"

enum {
    RESTARTS_MAX = 100000, /* of one run */
    RESTART_FIRST_MS = 100,
    RESTART_PAUSE_MAX_MS = 10000,
    RESTART_SETTLED_MS = 10000, /* one that has run for so long starts with the first pause again */
};

typedef struct {
    unsigned allowed, used;
    size_t pending; /* processes that wait for their start */
    struct {
        bool waits;
        int64_t started_ms;
        int64_t due_ms;
        int64_t pause_ms;
    } of[TASKS_MAX];
} restarts;

/* All processes start now. */
void restarts_init(restarts *r, unsigned allowed, int64_t now_ms);

/* Would a process that has ended so do better the next time? */
bool restarts_worthwhile(const process_end *end);

/* Process `number` has ended so. True, with the number of ms until its start, if it will be started again. */
bool restarts_take(restarts *r, size_t number, const process_end *end, int64_t now_ms, int64_t *pause_ms);

/* A process that is to be started now, and counts as started; `count` if there is none. */
size_t restarts_next(restarts *r, size_t count, int64_t now_ms);

/* ms until the next start, at most `patience_ms`. */
int64_t restarts_patience(const restarts *r, size_t count, int64_t now_ms, int64_t patience_ms);

#endif
