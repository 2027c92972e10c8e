/* host_options.h - the options of `penstock hosts`. What they bring about is hosts.c's. */
#ifndef PENSTOCK_DEPLOY_HOST_OPTIONS_H
#define PENSTOCK_DEPLOY_HOST_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "deploy/launch/run_options.h"

typedef enum { PRINT_COMMANDS, PRINT_CLUSTER, PRINT_TASKS } host_print;

typedef struct {
    run_options run; /* servers and workers (0: not given), bin_dir, grace_s, restarts, what is passed on */
    const char *host_file; /* NULL: `slurm` */
    bool slurm;
    uint16_t port;
    const char *folder; /* on the hosts; NULL: where one comes in */
    host_print print;
    bool starts;     /* them itself ... */
    const char *ssh; /* ... by this command; NULL: ssh with what we think it needs */
} host_options;

/* As run_options_parse. */
void host_options_parse(int argc, char **argv, host_options *options);

#endif
