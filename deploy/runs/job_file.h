/* job_file.h - a job described once, in JSON, for `penstock submit`:
 *
 *   {"schema": "penstock-job/1",
 *    "experiment": "tf-dnn-mnist",
 *    "target": "local",
 *    "data": "mnist",
 *    "ps": 2, "workers": 3, "chief": false, "evaluator": false,
 *    "options": {"batch-size": 50, "learning-rate": 0.01, "hidden": "300,100", "shuffle": true},
 *    "launcher": {"restarts": 2, "checkpoint-steps": 200},
 *    "ps_options": ["--lease-secs", "5"],
 *    "environment": {"OPENBLAS_NUM_THREADS": "1"}}
 *
 * All keys but the schema may be missing: what `penstock run` does without is then done. `data` is the folder
 * of the data set, relative to that of the file. `options` are the workers', `launcher` those of `penstock
 * run`, both without their dashes; true is an option without a value. A key that is not known is refused: a
 * job is not run as somebody else. */
#ifndef PENSTOCK_DEPLOY_JOB_FILE_H
#define PENSTOCK_DEPLOY_JOB_FILE_H

#include <stddef.h>

#include "common/path.h"
#include "common/status.h"

enum {
    JOB_FILE_MAX = 1 << 20,   /* bytes */
    JOB_ARGUMENTS_MAX = 512,  /* of each kind */
    JOB_EXPERIMENT_MAX = 128, /* bytes, with its terminator */
};

/* Texts of its own. */
typedef struct {
    char *list[JOB_ARGUMENTS_MAX];
    size_t count;
} job_texts;

typedef struct {
    char experiment[JOB_EXPERIMENT_MAX]; /* empty: not given */
    char data[PATH_BYTES];               /* absolute, or empty */
    job_texts launcher;                  /* "--ps=2", ...: of `penstock run` before its -- */
    job_texts training;                  /* "--batch-size=50", ...: after it, without the data */
    job_texts environment;               /* "NAME=value" */
} job_file;

/* Reads and checks a job. PS_ENOENT, PS_EIO; PS_EFORMAT, PS_EINVAL: key, value and rule are named; PS_ELIMIT,
 * PS_ENOMEM. On failure `job` is empty. */
ps_status job_file_read(const char *path, job_file *job, ps_error *error);

/* The same of a text, as if it lay in the folder. */
ps_status job_file_parse(const char *text, size_t bytes, const char *source, const char *folder,
                         job_file *job, ps_error *error);

/* Leaves it empty. */
void job_file_free(job_file *job);

#endif
