/* run_folder.h - the folder of one run:
 *
 *   logs/<role>-<index>.log          what each process wrote
 *   tf_config/<role>-<index>.json    the TF_CONFIG of each process
 *   http/<role>-<index>              "address:port" where that process shows itself, while it runs
 *   status/ps-<i>-<incarnation>.json how the training went, as each process of a ps saw it
 * (common/status_page.md) outputs/                         what the chief leaves: the model trace/ with
 * --trace, until the run has ended: what each process leaves of it */
#ifndef PENSTOCK_DEPLOY_RUN_FOLDER_H
#define PENSTOCK_DEPLOY_RUN_FOLDER_H

#include <stddef.h>

#include "common/status.h"

enum { RUN_PATH_MAX = 4096 };
#define RUN_HTTP   "http"
#define RUN_STATUS "status"

typedef struct {
    char path[RUN_PATH_MAX];
} run_folder;

/* Makes the folder `wanted`, which may exist, or if that is NULL a new one named after the time (UTC),
 * runs/20261122-195749, with -1, -2 ... appended if that is taken. PS_EIO, PS_ELIMIT. */
ps_status run_folder_create(run_folder *folder, const char *wanted, ps_error *error);

/* The same folder, without what a run keeps in it. */
ps_status run_folder_make(run_folder *folder, const char *wanted, ps_error *error);

/* <folder>/<kind>/<name><ending>; `name` and `ending` may be empty. PS_ELIMIT if it exceeds RUN_PATH_MAX. */
ps_status run_folder_path(const run_folder *folder, const char *kind, const char *name, const char *ending,
                          char path[RUN_PATH_MAX], ps_error *error);

#endif
