/* tf_config.h - writes the TF_CONFIG of each process of a cluster.
 *
 * Reading TF_CONFIG, in all the forms that others write, is common/cluster's. */
#ifndef PENSTOCK_DEPLOY_TF_CONFIG_H
#define PENSTOCK_DEPLOY_TF_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "common/cluster.h"
#include "common/status.h"

enum { TF_CONFIG_ROLES = 4 };

/* The ports of the tasks of each job, by role and index. */
typedef struct {
    const uint16_t *ports[TF_CONFIG_ROLES];    /* by cluster_role */
    const uint32_t *hosts[TF_CONFIG_ROLES];    /* IPv4 addresses; NULL: 127.0.0.1 of all */
    const char *const *names[TF_CONFIG_ROLES]; /* in place of those: names or addresses; NULL: none */
    size_t counts[TF_CONFIG_ROLES];
} local_cluster;

/* {"cluster": {"ps": ["127.0.0.1:41873", ...], ...}, "task": {"type": "ps", "index": 0}} on one line,
 * without a newline; jobs without tasks are left out. PS_ELIMIT if `bytes` do not suffice. */
ps_status tf_config_write(const local_cluster *cluster, cluster_role role, size_t index, char *text,
                          size_t bytes, ps_error *error);

/* The cluster of it alone: {"ps": ["127.0.0.1:41873", ...], ...}. */
ps_status tf_config_write_cluster(const local_cluster *cluster, char *text, size_t bytes, ps_error *error);

#endif
