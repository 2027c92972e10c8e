/* cluster_options.h - the command line of the cluster spec, alike in both daemons.
 *
 *   static const struct argp_child children[] = {{&cluster_options_argp, 0, NULL, 0}, {0}};
 *   ... at ARGP_KEY_INIT of the parent: state->child_inputs[0] = &options->cluster;
 *   ... after argp_parse: cluster_options_resolve(&options.cluster, ROLE_WORKER, ...)
 *
 * Prints nothing itself, but for argp's own --help and usage errors. */
#ifndef PENSTOCK_COMMON_CLUSTER_OPTIONS_H
#define PENSTOCK_COMMON_CLUSTER_OPTIONS_H

#include <argp.h>
#include <stdbool.h>

#include "common/cluster.h"

#define ORDINAL_VARIABLE "PENSTOCK_FROM_ORDINAL"

/* Start from zeros. The strings are the command line's own. */
typedef struct {
    const char *cluster; /* --cluster TEXT|FILE, or NULL */
    const char *task;    /* --task TYPE:INDEX, or NULL */
    const char *ordinal; /* --from-ordinal SPEC, or NULL */
    bool strict;         /* --strict */
    bool check_config;   /* --check-config: main prints cluster_describe and ends with success */
} cluster_options;

/* For a parent's children; its input is a cluster_options *. */
extern const struct argp cluster_options_argp;

/* What the options and the environment say together, for the daemon ROLE_PS or ROLE_WORKER: TF_CONFIG, or
 * PENSTOCK_FROM_ORDINAL with the names by which an engine calls this process (common/ordinal.h). Results and
 * failures are those of cluster_parse. Call before other threads change the environment. */
ps_status cluster_options_resolve(const cluster_options *options, cluster_role daemon, cluster_spec *spec,
                                  cluster_warning *warning, char *caret, size_t caret_bytes, ps_error *error);

#endif
