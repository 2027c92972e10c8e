/* cluster.h - who is in the cluster and which of them is this process?
 *
 * Reads TF_CONFIG as TensorFlow's resolver, Azure ML and Kubeflow write it, and as people paste it.
 * Everything is validated here; the rest of the program sees only a checked cluster_spec. Addresses
 * are not resolved: names may not exist yet when a pod starts. */
#ifndef PENSTOCK_COMMON_CLUSTER_H
#define PENSTOCK_COMMON_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CLUSTER_ROLES = 4,
    CLUSTER_ADDRESS_MAX = 300,         /* bytes: a DNS name of 253, brackets, port */
    CLUSTER_TASKS_MAX = 1024,          /* per job, and the largest index + 1 */
    CLUSTER_DESCRIPTION_MAX = 2 << 20, /* bytes that cluster_describe can need */
    CLUSTER_TEXT_MAX = 1 << 20,        /* bytes of JSON accepted */
};

typedef enum { ROLE_PS, ROLE_WORKER, ROLE_CHIEF, ROLE_EVALUATOR } cluster_role;

/* "ps", "worker", "chief", "evaluator" */
const char *cluster_role_name(cluster_role role);

typedef struct {
    uint32_t index;
    char host[CLUSTER_ADDRESS_MAX + 1]; /* without brackets for IPv6 */
    uint16_t port;
} cluster_task;

/* Tasks of one job, by rising index. `dense`: indices are 0, 1, ... and the job is known to be whole: a
 * list, or a dictionary with every index from 0 on, that is not Kubeflow's partial view of the cluster
 * (cluster_jobs.c says how to tell). A job that a dense spec does not name is whole and has no task. */
typedef struct {
    cluster_task *tasks;
    uint32_t count;
    bool dense;
} cluster_job;

typedef struct {
    bool present;                    /* false: no TF_CONFIG, or {}: train alone */
    cluster_job jobs[CLUSTER_ROLES]; /* by cluster_role */
    bool sparse;                     /* as Kubeflow writes it for dynamic workers: peers may be missing */
    cluster_role role;               /* this process */
    uint32_t index;
    bool is_chief; /* task chief or master; else worker 0 of a cluster without a chief */
    uint32_t rank; /* worker and chief: index + number of chiefs, chief itself 0 */
} cluster_spec;

/* Where the text came from; names the source in errors and decides what absence means. */
typedef struct {
    bool strict;           /* refuse trailing commas rather than warn */
    cluster_role daemon;   /* ROLE_PS: task must be ps; ROLE_WORKER: worker, chief, master or evaluator */
    const char *cluster;   /* --cluster: JSON text or the path of a file, or NULL */
    const char *task;      /* --task: "TYPE:INDEX" or JSON, or NULL */
    const char *tf_config; /* value of TF_CONFIG, or NULL if unset */
    const char *origin;    /* what that was made from, for errors; NULL: it is TF_CONFIG itself */
} cluster_source;

/* Text of a warning for the caller to log, e.g. about trailing commas; empty if none. */
typedef struct {
    char text[256];
} cluster_warning;

/* Parses and validates. --cluster and --task win over TF_CONFIG; --cluster may itself hold a whole
 * TF_CONFIG with its task. On failure nothing is left to free. PS_ECONFIG: one line naming key, value
 * and rule. For a JSON syntax error, line, column and a caret are in `caret` (two lines: the source
 * line, and a '^' below the place; NULL if the caller does not want it). */
ps_status cluster_parse(const cluster_source *source, cluster_spec *spec, cluster_warning *warning,
                        char *caret, size_t caret_bytes, ps_error *error);

void cluster_fini(cluster_spec *spec);

/* The task at `index`, or NULL if the spec does not know it. */
const cluster_task *cluster_find(const cluster_spec *spec, cluster_role role, uint32_t index);

/* Number of tasks that push gradients (workers and chief), or 0 if the spec is sparse and cannot know. */
uint32_t cluster_workers(const cluster_spec *spec);

/* The parsed spec for people, several lines, as --check-config prints it; cut at `bytes`. */
void cluster_describe(const cluster_spec *spec, char *text, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
