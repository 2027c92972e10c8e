/* disk.h - the folder that all simulated ps share: images get durable after a while, some turn out damaged,
 * and what is not durable when a ps crashes is lost. */
#ifndef PENSTOCK_TESTS_SIM_DISK_H
#define PENSTOCK_TESTS_SIM_DISK_H

#include "ps/archive.h"
#include "tests/sim/scenario.h"

typedef struct disk disk;

/* `s` and the time, in virtual ms, are borrowed. PS_ENOMEM. */
ps_status disk_create(const scenario *s, const uint64_t *now_ms, disk **out);
void disk_destroy(disk **d);

/* Where the ps of that index keeps its images; the disk's own. */
archive *disk_archive(disk *d, uint32_t server);

/* That ps dies. What it remembered of damage is gone too. */
void disk_crash(disk *d, uint32_t server);

#endif
