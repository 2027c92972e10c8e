/* job_sample.h - small jobs for tests of messages, shards and sessions. */
#ifndef PENSTOCK_TESTS_JOB_SAMPLE_H
#define PENSTOCK_TESTS_JOB_SAMPLE_H

#include <stdio.h>

#include "common/job.h"
#include "tests/unit/unit.h"

static inline void job_sample_add(job_config *job, const char *name, uint64_t elements, initializer init)
{
    tensor t = {.rank = 1, .shape = {elements}, .init = init};
    snprintf(t.name, sizeof t.name, "%s", name);
    ps_error error = {PS_OK, ""};
    if (tensor_table_add(&job->tensors, &t, &error) != PS_OK)
        fail_msg("%s", error.text);
}

/* Plain SGD at a rate of 1 on one tensor "w" of `elements` zeros in slices of 4 KiB (1024 elements): after a
 * step the weights are minus the mean of the gradients. job_fini is due. */
static inline void job_sample(job_config *job, uint32_t servers, uint32_t workers, uint64_t elements)
{
    job_init(job);
    job->servers = servers;
    job->workers = workers;
    job->slice_bytes = JOB_SLICE_BYTES_MIN;
    job->schedule.learning_rate = 1;
    job_sample_add(job, "w", elements, (initializer){.kind = INITIALIZER_ZEROS});
}

#endif
