/* runs_print.h - runs as people and scripts read them, on standard output. */
#ifndef PENSTOCK_DEPLOY_RUNS_PRINT_H
#define PENSTOCK_DEPLOY_RUNS_PRINT_H

#include <math.h>

#include "deploy/runs/run_history.h"

enum {
    RUNS_COMPARED_MAX = 16,
    RUN_CELL_BYTES = 32, /* of a number in a table */
};

void runs_print_table(const run_rows *rows);

/* {"schema": "penstock-runs/1", "runs": [...]}, each as run_record.h says. */
void runs_print_json(const run_rows *rows);

/* One run with its phases, and the tests on the way from the metrics in its folder. */
void runs_print_one(const run_row *row);

/* {"schema": "penstock-run-metrics/1", "run": {...}, "metrics": [...]} */
void runs_print_one_json(const run_row *row);

/* What is different between at most RUNS_COMPARED_MAX runs, and what has come of it; a column for each.
 * PS_EFORMAT, PS_ENOMEM. */
ps_status runs_print_comparison(const run_rows *rows, ps_error *error);

/* A number with so many digits after the point, "-" if it is unknown; returns `text`. */
const char *runs_cell(double number, int digits, char text[RUN_CELL_BYTES]);

#endif
