/* run_history.h - the runs in a registry: their rows, who still lives, and which have ended without a word.
 *
 * A launcher locks live/ID before its row is there, and as long as it lives: that it was killed is seen by
 * whoever looks next on its host, who takes from the folder how it ended, or writes down that it Failed. */
#ifndef PENSTOCK_DEPLOY_RUN_HISTORY_H
#define PENSTOCK_DEPLOY_RUN_HISTORY_H

#include <stddef.h>

#include "deploy/registry/registry.h"
#include "deploy/runs/run_record.h"

typedef struct {
    char *id, *experiment, *folder, *host;
    run_phase phase;
    char *record; /* JSON */
} run_row;

typedef struct {
    run_row *rows; /* the oldest first */
    size_t count;
} run_rows;

/* Locks the record of a run, for this process: `*lock` is closed by run_history_end. PS_EIO, PS_ESTATE. */
ps_status run_history_begin(const registry *r, const char *id, int *lock, ps_error *error);

/* Writes down what there is to know; the first time or again. PS_EIO, PS_ETIMEDOUT, PS_ENOMEM. */
ps_status run_history_write(registry *r, const run_record *record, const char *text, ps_error *error);

/* Nothing more will be written; -1 is fine. */
void run_history_end(const char *registry_folder, const char *id, int *lock);

/* Looks after those whose launchers were killed on this host. PS_EIO, PS_ETIMEDOUT, PS_ENOMEM. */
ps_status run_history_refresh(registry *r, ps_error *error);

/* All runs of an experiment (NULL: of any), or the run `id` alone unless that is NULL. The caller frees. */
ps_status run_history_list(registry *r, const char *experiment, const char *id, run_rows *rows,
                           ps_error *error);
void run_rows_free(run_rows *rows);

/* The run `id`, which has to be there: PS_EINVAL if not. */
ps_status run_history_find(registry *r, const char *id, run_rows *rows, ps_error *error);

/* Removes the row of a run that is over. PS_EINVAL: there is none; PS_ESTATE: it is not over. */
ps_status run_history_remove(registry *r, const char *id, ps_error *error);

/* The name of this host. */
void run_history_host(char host[RUN_HOST_BYTES]);

#endif
