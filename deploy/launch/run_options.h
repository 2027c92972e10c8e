/* run_options.h - the options of `penstock run`. What they bring about is run.c's. */
#ifndef PENSTOCK_DEPLOY_RUN_OPTIONS_H
#define PENSTOCK_DEPLOY_RUN_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/log_options.h"
#include "deploy/launch/placement.h"

enum {
    RUN_SERVERS_MAX = 64,
    RUN_WORKERS_MAX = 256,
    RUN_GRACE_MAX_S = 3600,
    RUN_SERVER_OPTIONS_MAX = 32,
    RUN_OPTIONS_ID_MAX = 32,    /* bytes of an id, with its terminator */
    RUN_CHECKPOINT_STEPS = 200, /* half an epoch of MNIST, with 3 workers and batches of 50 */
};

typedef struct {
    unsigned servers;
    unsigned workers;
    bool chief;     /* one chief in addition to the workers */
    bool evaluator; /* one evaluator in addition */
    bool quiet;
    bool check; /* look at the options, and start nothing */
    unsigned grace_s;
    pin_policy pin;
    unsigned restarts;      /* how often in all a process that dies is started again */
    unsigned spare_workers; /* that may die and not be started again */
    bool keeps_checkpoints; /* even if nothing is restarted */
    uint64_t checkpoint_steps;
    unsigned checkpoint_keep;  /* 0: the ps' own default */
    const char *run_dir;       /* NULL: a new folder under runs/ */
    const char *bin_dir;       /* NULL: look in the usual places */
    log_options log;           /* of the daemons */
    bool shows_http;           /* all processes on loopback, at ports that the run's folder tells */
    const char *logdir;        /* NULL: nothing for TensorBoard */
    const char *trace;         /* where the trace goes; NULL: nowhere */
    const char *progress_file; /* NULL: none */
    const char *experiment;    /* NULL: the default one */
    const char *registry;      /* NULL: the usual one */
    const char *id;            /* of the run; NULL: a new one */
    char **training;           /* what follows `--`, passed on untouched */
    size_t training_count;
    char *server_options[RUN_SERVER_OPTIONS_MAX]; /* likewise, for every ps */
    size_t server_option_count;
} run_options;

/* Reads the command line, argv[0] being "penstock run". Answers --help, and ends the program with exit
 * code 2 on a mistake, with a hint. The options borrow from `argv`. */
void run_options_parse(int argc, char **argv, run_options *options);

/* The options that `penstock run` shares with those who also run a cluster, by their keys for argp. */
enum {
    RUN_KEY_SERVERS = 256,
    RUN_KEY_WORKERS,
    RUN_KEY_CHECKPOINT_STEPS,
    RUN_KEY_PS_OPTION,
    RUN_KEY_RUN_DIR,
    RUN_KEY_BIN_DIR,
    RUN_KEY_OTHERS, /* the first that is free */
};

/* How many there may be. */
typedef struct {
    unsigned servers_min, servers_max, workers_min, workers_max;
    size_t server_options_max;
} run_limits;

/* Takes a shared option as argp's parsers do, ARGP_ERR_UNKNOWN for any other; ends the program on a mistake.
 */
error_t run_options_take(int key, char *argument, struct argp_state *state, const run_limits *limits,
                         run_options *options);

/* For a command that waits for its ps to end: ends the program if one of their options lets them stay. */
void run_options_refuse_linger(struct argp_state *state, const run_options *options);

/* The value of an option that names a file or folder, borrowed; ends the program where it is empty. */
void run_options_name(struct argp_state *state, const char *option, const char *text, const char **value);

/* The value of an option that is a whole number; ends the program on a mistake. */
uint64_t run_options_number(struct argp_state *state, const char *option, const char *text, uint64_t least,
                            uint64_t most);

/* Takes the training options, which follow the first `--`; returns how many arguments stand before it. */
int run_options_cut(int argc, char **argv, run_options *options);

#endif
