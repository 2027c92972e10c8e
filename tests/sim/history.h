/* history.h - what a ps with a log must be when it comes back: the very shard that it was.
 *
 * After every event the shard is held against its log: what it is may change only with a record that says so.
 * For each such record that a crash might still take back, a portrait of the shard after it is kept: numbers,
 * the bits of weights and slots, who is who, who has finished, and which parts of gradients wait. So a ps
 * that comes back by what is left of its log is compared with itself, in every mode. It also remembers of
 * which update anybody has heard: that one must have outlived the crash. */
#ifndef PENSTOCK_TESTS_SIM_HISTORY_H
#define PENSTOCK_TESTS_SIM_HISTORY_H

#include "ps/shard.h"
#include "tests/sim/journal.h"
#include "tests/sim/scenario.h"

typedef struct history history;

/* Of one ps. `log` is borrowed. NULL: out of memory. */
history *history_create(uint32_t server, sim_journal *log);
void history_destroy(history **h);

/* After an event: what the shard is has a record, or nothing has changed. */
ps_status history_note(history *h, const shard *s, ps_error *error);

/* An answer leaves it. */
void history_hear(history *h, const shard *s, const wire_message *answer);

/* The ps has crashed, and its log with it. */
void history_crash(history *h);

/* Does the log hold nothing? Then the ps begins as one without. */
bool history_is_blank(const history *h);

/* It has come back, by `hello`, and has taken that in too: also the list of members whose version that names;
 * 0: none. */
ps_status history_check_recovered(history *h, const shard *s, const wire_message *hello, ps_error *error);

#endif
