/* sweep_report.h - how a sweep goes, and what has come of it, for people and for programs. */
#ifndef PENSTOCK_DEPLOY_SWEEP_REPORT_H
#define PENSTOCK_DEPLOY_SWEEP_REPORT_H

#include <stdio.h>

#include "deploy/sweep/sweep_state.h"
#include "deploy/terminal.h"

/* The trials before any has begun: "penstock-sweep-trials/1" as JSON. */
void sweep_report_trials_text(FILE *out, const sweep_trials *list);
void sweep_report_trials_json(FILE *out, const sweep_trials *list, uint64_t seed);

/* The table while it grows: its head, and the row of a trial that has ended. */
void sweep_report_head(FILE *out);
void sweep_report_row(terminal *screen, const sweep *s, size_t trial);

/* "7 of 20 trials, 1 failed; best 5, 97.40 %; now 8 (epoch 3, 96.10 %)" in `width` columns. */
void sweep_report_line(const sweep *s, size_t width, char *line, size_t bytes);

/* At the end: all trials, the best first, and what to do with that one; "penstock-sweep/1" as JSON.
 * PS_ENOMEM. */
ps_status sweep_report_text(FILE *out, const sweep *s, ps_error *error);
ps_status sweep_report_json(FILE *out, const sweep *s, ps_error *error);

#endif
