/* members.h - which workers take part in which steps of synchronous training.
 *
 * At first all do. Each change says from which step on one worker takes part no more, or again; steps before
 * it are not touched. Who decides about changes is ps 0 (ps/shard_members.c); this is the list of them, a
 * value. Everyone who has the list of one version computes the same, such as whose rows are whose.
 *
 * Not thread-safe: each list belongs to one thread. */
#ifndef PENSTOCK_COMMON_MEMBERS_H
#define PENSTOCK_COMMON_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { MEMBERS_CHANGES_MAX = 4096 };

#define MEMBERS_NEVER UINT64_MAX
/* What the chief adds to the version of a list that it changes: more than ps 0 can add at the same time. */
#define MEMBERS_VERSION_LEAP (UINT64_C(1) << 16)

/* Greater steps are impossible: a number in JSON (common/json.h) tells no more of them apart. */
#define MEMBERS_STEP_MAX ((UINT64_C(1) << 53) - 1)

typedef struct {
    uint64_t from; /* step, 1, 2, ... */
    uint32_t worker;
    bool enters; /* else it leaves */
} members_change;

typedef struct {
    uint64_t version; /* of lists that know of more it is greater; 0: no change */
    uint32_t count;
    members_change *changes; /* (count) owned; `from` never falls */
} members_list;

/* Frees and empties; does nothing on an empty list. */
void members_fini(members_list *m);

/* A copy over whatever `to` holds, which must not need fini. PS_ENOMEM: `to` is empty. */
ps_status members_copy(const members_list *from, members_list *to);

/* Adds a change; the version is the caller's to raise. PS_ELIMIT: MEMBERS_CHANGES_MAX are there; PS_ENOMEM.
 */
ps_status members_add(members_list *m, const members_change *change, ps_error *error);

/* Of a list from a stranger, for a job of so many workers: are the steps in order, and does each change
 * change something? Worker 0, the chief, always takes part. PS_EPROTOCOL. */
ps_status members_check(const members_list *m, uint32_t workers, ps_error *error);

/* Does this worker take part in `step`? MEMBERS_NEVER asks about the time after the last change. */
bool members_include(const members_list *m, uint32_t worker, uint64_t step);

/* How many of `workers` do? */
uint32_t members_count(const members_list *m, uint32_t workers, uint64_t step);

/* How many with a lower number do? */
uint32_t members_order(const members_list *m, uint32_t worker, uint64_t step);

/* The first step from `step` on in which this worker takes part; MEMBERS_NEVER: none. */
uint64_t members_first_step(const members_list *m, uint32_t worker, uint64_t step);

/* The next step after `step` that a change takes effect with; MEMBERS_NEVER: none. */
uint64_t members_next_change(const members_list *m, uint64_t step);

/* The first step about which two lists, checked for so many workers, do not say the same; MEMBERS_NEVER: they
 * agree. */
uint64_t members_first_difference(const members_list *a, const members_list *b, uint32_t workers);

/* What was to take effect after `step` does so with it. */
void members_hasten(members_list *m, uint64_t step);

#ifdef __cplusplus
}
#endif
#endif
