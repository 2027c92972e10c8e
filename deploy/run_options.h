/* run_options.h - the options of `penstock run`. What they bring about is run.c's. */
#ifndef PENSTOCK_DEPLOY_RUN_OPTIONS_H
#define PENSTOCK_DEPLOY_RUN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deploy/placement.h"

enum {
    RUN_SERVERS_MAX = 64,
    RUN_WORKERS_MAX = 256,
    RUN_GRACE_MAX_S = 3600,
    RUN_SERVER_OPTIONS_MAX = 32,
    RUN_CHECKPOINT_STEPS = 200, /* half an epoch of MNIST, with 3 workers and batches of 50 */
};

typedef struct {
    unsigned servers;
    unsigned workers;
    bool chief;     /* one chief in addition to the workers */
    bool evaluator; /* one evaluator in addition */
    bool quiet;
    unsigned grace_s;
    pin_policy pin;
    unsigned restarts;      /* how often in all a process that dies is started again */
    bool keeps_checkpoints; /* even if nothing is restarted */
    uint64_t checkpoint_steps;
    unsigned checkpoint_keep; /* 0: the ps' own default */
    const char *run_dir;      /* NULL: a new folder under runs/ */
    const char *bin_dir;      /* NULL: look in the usual places */
    const char *log_level;    /* NULL: the daemons' own default */
    char **training;          /* what follows `--`, passed on untouched */
    size_t training_count;
    char *server_options[RUN_SERVER_OPTIONS_MAX]; /* likewise, for every ps */
    size_t server_option_count;
} run_options;

/* Reads the command line, argv[0] being "penstock run". Answers --help, and ends the program with exit
 * code 2 on a mistake, with a hint. The options borrow from `argv`. */
void run_options_parse(int argc, char **argv, run_options *options);

/* Takes the training options, which follow the first `--`; returns how many arguments stand before it. */
int run_options_cut(int argc, char **argv, run_options *options);

#endif
