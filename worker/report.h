/* report.h - progress for a launcher: one JSON object per line, written to a descriptor.
 *
 * A report that cannot be written is dropped: training does not wait for its audience. */
#ifndef PENSTOCK_WORKER_REPORT_H
#define PENSTOCK_WORKER_REPORT_H

#include <stdint.h>

#include "common/job.h"

typedef struct {
    int fd; /* -1: nobody listens */
} report;

void report_start(const report *r, const char *role, const job_config *job, uint64_t epochs, uint64_t steps,
                  uint64_t steps_per_epoch, uint64_t examples);
/* `steps`: of the whole run, as it is now. */
void report_step(const report *r, double epoch, uint64_t step, uint64_t steps, double loss,
                 uint64_t examples_total, double seconds, double images_per_s);
void report_eval(const report *r, double epoch, uint64_t step, double accuracy, double loss,
                 uint64_t examples, double seconds);
void report_done(const report *r, uint64_t step, double accuracy, double loss, double seconds,
                 double train_seconds, double images_per_s, const char *model);

#endif
