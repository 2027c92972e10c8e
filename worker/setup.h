/* setup.h - what trainer and evaluator both need before they begin: model, weights, client. */
#ifndef PENSTOCK_WORKER_SETUP_H
#define PENSTOCK_WORKER_SETUP_H

#include <signal.h>

#include "common/cluster.h"
#include "worker/backend.h"
#include "worker/client.h"
#include "worker/dataset.h"
#include "worker/mlp.h"
#include "worker/options.h"
#include "worker/performance.h"

enum { SETUP_ARRAYS_MAX = 2 }; /* weights and gradients */

typedef struct {
    dataset *train;
    dataset *test; /* NULL for a worker that never evaluates */
    mlp_config config;
    backend *backend;
    mlp *model;
    ps_client *client;
    uint64_t parameters;
    float *weights;                 /* (parameters) flat, laid out by the tensor table */
    float **tensor_weights;         /* per tensor, into `weights` */
    void *locked[SETUP_ARRAYS_MAX]; /* for the device to copy from and to */
    uint32_t locked_count;
} setup;

/* What differs from one that sets up to another. */
typedef struct {
    bool needs_test; /* the test set too */
    const volatile sig_atomic_t *stop;
    /* As in ps_client_options; may be 0 and NULL. */
    uint64_t incarnation;
    void (*worker_lost)(void *context, uint32_t worker);
    void *context;
    performance *performance; /* that looks on, or NULL */
} setup_wishes;

/* Opens the data, makes the model and joins the job. setup_fini is due in any case. PS_EINVAL without a data
 * folder; else what the data, the model and the client fail with. */
ps_status setup_init(setup *s, const worker_options *options, const cluster_spec *cluster,
                     const setup_wishes *wishes, ps_error *error);
void setup_fini(setup *s);

/* Tells every ps that this process has done its part. That a ps does not answer any more is only a warning:
 * it may have ended already, and the work is done. */
ps_status setup_finish(setup *s, ps_error *error);

/* (parameters) f32, zeroed: shared with ps on this host, and copied to and from the device at its best. The
 * caller's until setup_fini; of more than SETUP_ARRAYS_MAX the others are copied as any memory. NULL if out
 * of memory. */
float *setup_allocate(setup *s);

/* Per tensor of the job, its place in a flat array; the caller frees. NULL if out of memory. */
float **setup_tensor_pointers(const setup *s, float *flat);

/* Blocks until weights of at least version `step` are in place, 0: those that there are. */
ps_status setup_pull(setup *s, uint64_t step, ps_result *result, ps_error *error);

/* ... those after the last step of all. */
ps_status setup_pull_final(setup *s, ps_result *result, ps_error *error);

#endif
