/* schedule.h - the learning rate of a step. Pure; formulas in schedule.c. */
#ifndef PENSTOCK_COMMON_SCHEDULE_H
#define PENSTOCK_COMMON_SCHEDULE_H

#include <stdint.h>

#include "common/job.h"

/* Rate of `step` (1, 2, ...). During warm-up (step <= warmup_steps) learning_rate * step /
 * warmup_steps; afterwards the schedule, by the steps already done since the end of warm-up: the first
 * has learning_rate itself, as in TensorFlow and PyTorch. The config has passed job_check. */
double schedule_rate(const schedule_config *config, uint64_t step);

#endif
