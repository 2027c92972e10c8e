/* chaos_options.h - the options of `penstock chaos`. What they bring about is chaos.c's. */
#ifndef PENSTOCK_DEPLOY_CHAOS_OPTIONS_H
#define PENSTOCK_DEPLOY_CHAOS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "deploy/chaos/chaos_weather.h"
#include "deploy/launch/run_options.h"

typedef struct {
    run_options run;       /* of the training under faults */
    const char *plan_file; /* NULL: drawn from the seed */
    uint64_t seed;
    uint64_t faults;      /* at least so many are drawn; 0: none */
    const char *report;   /* file for the JSON, or NULL */
    const char *expected; /* SHA-256 of the model; NULL: that of a training without faults */
    bool namespaces;      /* the network is one of packets; otherwise a proxy */
    chaos_line line;      /* of every process, if it is */
    double within;        /* points of accuracy; negative: the models must be the same */
    uint64_t deadline_s;
} chaos_options;

/* As run_options_parse. */
void chaos_options_parse(int argc, char **argv, chaos_options *options);

#endif
