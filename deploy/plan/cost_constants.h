/* cost_constants.h - what the code costs on a machine: built in, or as `penstock bench --json` measured it.
 *
 * Reads files of the schema "penstock-bench/1":
 *
 *   {"schema": "penstock-bench/1",
 *    "constants": {"cores": 2, "request_s": 60e-6, ...},      the fields of cost_constants, all of them
 *    "plan_points": [{"transport": "tcp", "servers": 1, "workers": 2, "model_bytes": 4000000,
 *                     "slice_bytes": 1048576, "compute_s": 0.002, "step_s": 0.009}, ...]}
 *
 * A plan point is a step that was measured, with plain SGD, on the machine of the constants. Keys that are
 * not named here are left alone. */
#ifndef PENSTOCK_DEPLOY_COST_CONSTANTS_H
#define PENSTOCK_DEPLOY_COST_CONSTANTS_H

#include <stddef.h>

#include "common/status.h"
#include "deploy/plan/cost_model.h"

enum {
    COST_FILE_BYTES_MAX = 16 << 20,
    COST_POINTS_MAX = 4096,
};

/* Measured, roughly, on 2 virtual processors of an Intel Xeon (Ice Lake, 2.8 GHz), Debian 12. */
extern const cost_constants COST_CONSTANTS_DEFAULT;
#define COST_CONSTANTS_MACHINE "2 cores of an Intel Xeon"

typedef struct {
    cost_input
        input;     /* as the point says, on one host with the constants' cores; `pipelined` is left false */
    double step_s; /* measured */
} cost_point;

typedef struct {
    cost_constants constants;
    size_t point_count;
    cost_point *points; /* owned */
} cost_measurement;

/* Reads constants and points of the file `path`; it may have no points. PS_ENOENT, PS_EIO, PS_ELIMIT,
 * PS_ENOMEM; PS_EFORMAT names file, value and rule. On failure `m` is empty. */
ps_status cost_measurement_read(const char *path, cost_measurement *m, ps_error *error);

void cost_measurement_fini(cost_measurement *m);

#endif
