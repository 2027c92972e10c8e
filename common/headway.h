/* headway.h - that this process gets on with a piece of work that keeps its loop from turning for long:
 * reading a checkpoint, making initial weights, applying a log of updates.
 *
 * Who does it notes so now and then; who judges whether the process lives looks whether that has been since.
 * Of the whole process, by any thread: of several loops in one, as simulations have, nobody asks. */
#ifndef PENSTOCK_COMMON_HEADWAY_H
#define PENSTOCK_COMMON_HEADWAY_H

#include <stdint.h>

/* Costs an addition: after each MiB or so. */
void headway_note(void);

/* How often that has been. */
uint64_t headway_count(void);

#endif
