/* journal.h - the log of a simulated ps (ps/journal.h), on its simulated disk (disk.h).
 *
 * As the writer of ps/journal_file.c does, it writes in batches: what has been appended while one is written
 * goes into the next, a segment begins alone. A batch takes a while, a long one while the disk is slow, and
 * is durable as a whole. A disk that is full or fails makes nothing durable any more: its ps has to end. When
 * a ps crashes, what was not durable is gone but for some first records of it, the last of which may be torn;
 * until it has been read again, that is not durable either, and a second crash may take more of it.
 *
 * A segment goes when it is older than the last image but one of those known to be durable. */
#ifndef PENSTOCK_TESTS_SIM_JOURNAL_H
#define PENSTOCK_TESTS_SIM_JOURNAL_H

#include "ps/journal.h"
#include "tests/sim/plant.h"
#include "tests/sim/scenario.h"
#include "tests/sim/trace.h"

typedef struct sim_journal sim_journal;

/* All borrowed. */
typedef struct {
    const scenario *scenario;
    const uint64_t *now_ms; /* virtual */
    const plant *plant;
    const trace *trace;
    uint32_t server;
} sim_journal_config;

/* NULL: out of memory. */
sim_journal *sim_journal_create(const sim_journal_config *config);
void sim_journal_destroy(sim_journal **j);

/* For the shard; the sim_journal's own. */
journal *sim_journal_of(sim_journal *j);

/* The position of what was appended last, and up to which all is durable. */
uint64_t sim_journal_end(const sim_journal *j);
uint64_t sim_journal_durable(sim_journal *j);

/* The position of the last record that says what has happened to the shard: a message, or a leap. 0: none. */
uint64_t sim_journal_last_change(const sim_journal *j);

/* Is that a leap? */
bool sim_journal_leapt(const sim_journal *j);

/* When is the batch durable that is being written? 0: none is. */
uint64_t sim_journal_next_ms(sim_journal *j);

/* Nothing can be made durable any more. */
bool sim_journal_failed(sim_journal *j);

/* The ps dies. Of what is not durable nothing is left that was appended after position `most`. Returns the
 * number of records that were torn: 0 or 1. */
uint32_t sim_journal_crash(sim_journal *j, uint64_t most);

#endif
