/* chaos_report.h - what became of a training under faults, for people and as JSON. */
#ifndef PENSTOCK_DEPLOY_CHAOS_REPORT_H
#define PENSTOCK_DEPLOY_CHAOS_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/status.h"
#include "deploy/chaos/chaos_faults.h"
#include "deploy/chaos/chaos_logs.h"
#include "deploy/chaos/chaos_plan.h"
#include "deploy/launch/cluster_run.h"

enum { CHAOS_HASH_BYTES = 65 };

/* Of one training. */
typedef struct {
    bool done; /* it has been made */
    cluster_outcome outcome;
    char hash[CHAOS_HASH_BYTES]; /* SHA-256 of the model, or empty */
    double seconds;
    chaos_counts counts;
} chaos_training;

typedef struct {
    uint64_t seed;
    bool drawn;           /* from the seed */
    const char *expected; /* SHA-256 that was given; NULL: that of `plain` counts */
    double within;        /* points of accuracy; negative: the models must be the same */
    chaos_training plain, faulty;
    const chaos_faults *faults;
} chaos_result;

/* SHA-256 of the model that a run has left, by sha256sum. Empty if there is none. */
void chaos_training_hash(chaos_training *t);

/* Did all end well, and with the model there should be? */
bool chaos_passed(const chaos_result *r);

void chaos_report_text(const chaos_result *r, FILE *to);
void chaos_report_json(const chaos_result *r, FILE *to);

#endif
