/* disk.h - the folder that all simulated ps share: an image is durable after a while, or never, for the disk
 * is full or broken; some turn out damaged; and what is not durable when a ps crashes is lost or torn. The
 * logs of those ps that keep one are on it too (journal.h). Where there is one, no two images in a row are
 * damaged: a log stands that of one.
 *
 * Checks every image that it is given against the ledger (ledger.h), and knows to which a ps must go back. */
#ifndef PENSTOCK_TESTS_SIM_DISK_H
#define PENSTOCK_TESTS_SIM_DISK_H

#include "ps/archive.h"
#include "tests/sim/journal.h"
#include "tests/sim/ledger.h"
#include "tests/sim/plant.h"
#include "tests/sim/trace.h"

typedef struct disk disk;

/* All borrowed. */
typedef struct {
    const scenario *scenario;
    const partition *partition;
    const ledger *ledger;
    plant *plant;
    const trace *trace;
} disk_config;

/* PS_ENOMEM. */
ps_status disk_create(const disk_config *config, disk **out);
void disk_destroy(disk **d);

/* Virtual time; never goes back. */
void disk_set_time(disk *d, uint64_t now_ms);

/* Where the ps of that index keeps its images; the disk's own. */
archive *disk_archive(disk *d, uint32_t server);

/* The log of that ps; NULL: it keeps none. */
sim_journal *disk_log(disk *d, uint32_t server);

/* That ps dies. What it remembered of damage is gone too. Of its log nothing is left that is not durable yet
 * and was appended after position `most`. */
void disk_crash(disk *d, uint32_t server, uint64_t most);

/* Is an image of that ps being written? And if so, is all of it there but its manifest? */
bool disk_is_writing(const disk *d, uint32_t server);
bool disk_is_renaming(const disk *d, uint32_t server);

/* What that ps must begin as if it comes back now, borrowed: the newest whole cut of which its own image is
 * sound. NULL: at the start. */
const checkpoint_state *disk_expected(disk *d, uint32_t server);

/* Has the image of that ps of `step` been kept? One that has made room for newer cuts counts. */
bool disk_has_kept(const disk *d, uint32_t server, uint64_t step);

/* Is the last image of that ps, after `step`, durable? */
bool disk_has_final(const disk *d, uint32_t server, uint64_t step);

/* PS_OK, or what was wrong with an image. */
ps_status disk_failure(const disk *d, ps_error *error);

typedef struct {
    uint64_t kept, failed, lost; /* images; lost: in a crash */
    uint64_t damaged;            /* met when a ps wanted to go there */
    uint64_t torn;               /* records of logs */
} disk_counters;

const disk_counters *disk_count(const disk *d);

#endif
