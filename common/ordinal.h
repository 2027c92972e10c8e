/* ordinal.h - the cluster and this process's place in it, from a pattern and a number.
 *
 * Engines that number what they start (a StatefulSet, an Indexed Job) give all of them the same command line
 * and environment, and so no TF_CONFIG, which says to each which task it is. Here the equal TF_CONFIG is made
 * of what they can give,
 *
 *     ps=2@trainer-ps-{}.trainer:2222,worker=3
 *
 * jobs, each with the number of its tasks and the pattern of their addresses, in which {} stands for the
 * index; and of the number in the name by which the engine calls this process. What is refused beyond that,
 * and what it means, is cluster_parse's, to which that TF_CONFIG goes. Pure. */
#ifndef PENSTOCK_COMMON_ORDINAL_H
#define PENSTOCK_COMMON_ORDINAL_H

#include "common/cluster.h"
#include "common/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* By what the engine calls this process; the first that is not NULL counts, even if it is of no use. */
typedef struct {
    const char *completion_index; /* JOB_COMPLETION_INDEX: the index itself */
    const char *pod_name;         /* POD_NAME: "trainer-ps-0" */
    const char *host_name;        /* the same, up to the first dot */
} ordinal_names;

/* The TF_CONFIG that `spec` stands for, with `daemon` (ROLE_PS or ROLE_WORKER) as the type of the task and
 * its index from `names`; without a task if `names` is NULL. A job without a pattern has the addresses
 * "worker-0:2222", ..., by which nobody looks for it; ps must have one. The caller frees `*tf_config`.
 * PS_ECONFIG: one line that names --from-ordinal or the name, and the rule; PS_ENOMEM. */
ps_status ordinal_tf_config(const char *spec, cluster_role daemon, const ordinal_names *names,
                            char **tf_config, ps_error *error);

#ifdef __cplusplus
}
#endif
#endif
