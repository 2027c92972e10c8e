/* cluster_jobs.h - the jobs of a cluster: from JSON to checked lists of tasks. Private to cluster_parse.c,
 * which finds the JSON, knows which task this process is, and judges that task. */
#ifndef PENSTOCK_COMMON_CLUSTER_JOBS_H
#define PENSTOCK_COMMON_CLUSTER_JOBS_H

#include <stdbool.h>

#include "common/cluster.h"
#include "common/json.h"

/* Where the jobs stand. */
typedef struct {
    const char *source; /* names the text in errors: "TF_CONFIG", "--cluster" or a path */
    const char *prefix; /* of every job in messages: "cluster.", "sparseCluster." or "" */
    const json *jobs;   /* the object that holds them */
    bool sparse;        /* it came under the key sparseCluster */
} cluster_text;

/* "ps", "worker", "chief" or "master", "evaluator"; false for any other name. */
bool cluster_role_parse(const char *name, cluster_role *role);

/* Decimal digits without sign, blanks or leading zeros, below CLUSTER_TASKS_MAX. */
bool cluster_index_parse(const char *digits, uint32_t *index);

/* Fills spec->jobs and spec->sparse. spec->role and spec->index must be set: how Kubeflow shows itself to
 * a ps can be read only with its index. PS_ECONFIG or PS_ENOMEM; jobs read so far are for cluster_fini. */
ps_status cluster_jobs_read(const cluster_text *text, cluster_spec *spec, ps_error *error);

#endif
