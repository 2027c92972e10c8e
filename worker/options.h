/* options.h - the command line of penstock-worker. */
#ifndef PENSTOCK_WORKER_OPTIONS_H
#define PENSTOCK_WORKER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cluster_options.h"
#include "common/curve_options.h"
#include "common/http_options.h"
#include "common/job.h"
#include "common/log_options.h"
#include "common/trace_options.h"
#include "worker/device.h"
#include "worker/mlp.h"

typedef struct {
    cluster_options cluster;
    http_options http;
    bool figures; /* are told to the ps */
    trace_options trace;
    curve_options curve;
    log_options log;
    job_config job;   /* without tensors and, where the cluster spec knows them, without numbers of tasks */
    mlp_config model; /* without inputs and classes, which the data set tells */
    bool init_given;  /* --init: else it follows the activation */
    const char *data_folder;
    const char *output_folder;
    const char *logdir; /* NULL: nothing for TensorBoard */
    uint32_t batch_size;
    uint64_t epochs;
    uint64_t steps;          /* 0: as many as the epochs have */
    uint64_t evaluate_every; /* epochs; 0: only at the end */
    device_wish device;
    bool list_devices; /* print them, and nothing else */
    uint32_t threads;
    uint32_t join_timeout_ms; /* PS_FOREVER: keep trying */
    uint32_t deadline_ms;     /* for a silent ps; 0: none */
    bool share_memory;        /* with ps on this host */
    int progress_fd;          /* -1: none */
} worker_options;

/* Parses argv; prints usage errors, --help and --version, and ends the process for them, as argp does.
 * job_fini is due on options->job. */
void worker_options_parse(worker_options *options, int argc, char **argv);

#endif
