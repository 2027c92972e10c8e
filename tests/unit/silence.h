/* silence.h - for tests of what logs, where the lines are no matter of theirs. */
#ifndef PENSTOCK_TESTS_SILENCE_H
#define PENSTOCK_TESTS_SILENCE_H

#include "common/log.h"

/* To set up a group of tests with. */
static inline int silence(void **state)
{
    (void)state;
    log_setup("test", LOG_OFF);
    return 0;
}

#endif
