/* journal.h - the logs of simulated ps: a record gets durable after a while, and what is not when its ps
 * crashes is lost, or some of it. */
#ifndef PENSTOCK_TESTS_SIM_JOURNAL_H
#define PENSTOCK_TESTS_SIM_JOURNAL_H

#include "ps/journal.h"
#include "tests/sim/scenario.h"

typedef struct sim_journal sim_journal;

/* Of the ps of that index. `s` and the time, in virtual ms, are borrowed. NULL: out of memory. */
sim_journal *sim_journal_create(const scenario *s, const uint64_t *now_ms, uint32_t server);
void sim_journal_destroy(sim_journal **j);

/* For the shard; the sim_journal's own. */
journal *sim_journal_of(sim_journal *j);

/* When will everything be durable that has been appended by now? */
uint64_t sim_journal_settles_ms(const sim_journal *j);

/* The ps dies. */
void sim_journal_crash(sim_journal *j);

#endif
