/* plant.h - known faults, planted between the network and the shards, to see that the simulator finds them.
 *
 * Each makes a shard behave as if a bug were in it; neither the oracle nor the workers are told. */
#ifndef PENSTOCK_TESTS_SIM_PLANT_H
#define PENSTOCK_TESTS_SIM_PLANT_H

#include "common/status.h"
#include "common/wire.h"

#define PLANT_LIST(X)                                                                         \
    X(PLANT_NONE, "none", "the shards are left alone")                                        \
    X(PLANT_APPLY_REPEATS, "apply-repeats", "a repeated push is applied as the next step")    \
    X(PLANT_ARRIVAL_ORDER, "arrival-order", "ps 0 sums in the order in which workers joined") \
    X(PLANT_FLIP_BIT, "flip-bit", "the last bit of one gradient in twenty is flipped")        \
    X(PLANT_STALE_WEIGHTS, "stale-weights", "answers carry the weights of the answer before") \
    X(PLANT_LOSE_PUSH, "lose-push", "one push in ten is answered without being applied")      \
    X(PLANT_DEAF_TO_QUERIES, "deaf-to-queries", "no shard answers a query")                   \
    X(PLANT_FORGET_FINISH, "forget-finish", "ps 0 acknowledges a finish as if it were a pull")

typedef enum {
#define PLANT_ENUM(name, text, what) name,
    PLANT_LIST(PLANT_ENUM)
#undef PLANT_ENUM
} plant_kind;

const char *plant_kind_name(plant_kind kind);
/* PS_EINVAL, listing the known names. */
ps_status plant_kind_parse(const char *text, plant_kind *kind, ps_error *error);

typedef struct plant plant;

/* PS_ENOMEM. */
ps_status plant_create(plant_kind kind, plant **out);
void plant_destroy(plant **p);

/* Before the shard of `server` gets `m`. False: it shall not get it at all. */
bool plant_request(plant *p, uint32_t server, wire_message *m);

/* After a shard has made `m`. */
void plant_answer(plant *p, wire_message *m);

#endif
