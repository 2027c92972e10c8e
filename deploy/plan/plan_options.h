/* plan_options.h - the options of `penstock plan`. What they bring about is plan.c's. */
#ifndef PENSTOCK_DEPLOY_PLAN_OPTIONS_H
#define PENSTOCK_DEPLOY_PLAN_OPTIONS_H

#include <stdbool.h>

#include "deploy/plan/plan_search.h"

typedef struct {
    plan_request request;
    plan_codec pull_codec;
    const char *constants_file; /* NULL: built in */
    const char *check_file;     /* predict its points instead of planning; else NULL */
    bool json;
} plan_options;

/* Reads the command line, argv[0] being "penstock plan". Answers --help, and ends the program with exit code
 * 2 on a mistake, with a hint. The options borrow from `argv`. */
void plan_options_parse(int argc, char **argv, plan_options *options);

#endif
