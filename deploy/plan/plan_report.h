/* plan_report.h - plans and checks as tables for people, or as JSON for programs.
 *
 * JSON of a plan: {"schema": "penstock-plan/1", "recommended": ROW, "fastest": ROW, "rows": [ROW ...],
 * "codecs": [ROW ...]}, all times in seconds and sizes in bytes. JSON of a check: {"schema":
 * "penstock-plan-check/1", "points": [...], "within": n, "tolerance": 0.2}. */
#ifndef PENSTOCK_DEPLOY_PLAN_REPORT_H
#define PENSTOCK_DEPLOY_PLAN_REPORT_H

#include <stdio.h>

#include "deploy/plan/cost_constants.h"
#include "deploy/plan/plan_search.h"

/* A prediction this near to the measurement counts as good. */
#define PLAN_CHECK_TOLERANCE 0.20

void plan_report_text(FILE *out, const plan_request *request, const plan_result *result);
void plan_report_json(FILE *out, const plan_result *result);

/* `predicted`: seconds per step, (m->point_count). */
void plan_check_text(FILE *out, const cost_measurement *m, const double *predicted);
void plan_check_json(FILE *out, const cost_measurement *m, const double *predicted);

#endif
