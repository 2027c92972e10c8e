/* plant.h - known faults, planted between the network and the shards, in the disk or in the logs, to see that
 * the simulator finds them.
 *
 * Each makes a shard behave as if a bug were in it; neither those who check nor the workers are told. */
#ifndef PENSTOCK_TESTS_SIM_PLANT_H
#define PENSTOCK_TESTS_SIM_PLANT_H

#include "common/status.h"
#include "common/wire.h"
#include "ps/shard.h"

#define PLANT_LIST(X)                                                                                     \
    X(PLANT_NONE, "none", "the shards are left alone")                                                    \
    X(PLANT_APPLY_REPEATS, "apply-repeats", "a repeated push is applied as the next step")                \
    X(PLANT_ARRIVAL_ORDER, "arrival-order", "ps 0 sums in the order in which workers joined")             \
    X(PLANT_FLIP_BIT, "flip-bit", "the last bit of one gradient in twenty is flipped")                    \
    X(PLANT_STALE_WEIGHTS, "stale-weights", "answers carry the weights of the answer before")             \
    X(PLANT_LOSE_PUSH, "lose-push", "one push in ten is answered without being applied")                  \
    X(PLANT_DEAF_TO_QUERIES, "deaf-to-queries", "no shard answers a query")                               \
    X(PLANT_FORGET_FINISH, "forget-finish", "ps 0 acknowledges a finish as if it were a pull")            \
    X(PLANT_REUSED_BUFFER, "reused-buffer", "weights are written to while an answer still lends them")    \
    X(PLANT_NO_PREVIOUS, "no-previous", "who pulls the version before the current one gets the current")  \
    X(PLANT_NO_FENCE, "no-fence", "messages of a worker that has been replaced count as its successor's") \
    X(PLANT_LONE_RESTORE, "lone-restore", "only ps 0 goes back when all are told to")                     \
    X(PLANT_FORGOTTEN_REPEATS, "forgotten-repeats", "a ps that comes back applies what it knew again")    \
    X(PLANT_LOST_CLOCKS, "lost-clocks", "a ps comes back with its weights, but no worker's clock")        \
    X(PLANT_MIXED_IMAGE, "mixed-image", "half of the weights of an image are of the image before")        \
    X(PLANT_PARTIAL_CUT, "partial-cut", "a ps comes back at an image that not all have")                  \
    X(PLANT_HASTY_END, "hasty-end", "a finish is acknowledged before the last image is durable")          \
    X(PLANT_HASTY_ORDER, "hasty-order", "a checkpoint is said to be kept that is not")                    \
    X(PLANT_EARLY_END, "early-end", "an order to end the job does not leave time for all to hear of it")  \
    X(PLANT_HASTY_ANSWER, "hasty-answer", "answers leave before the log is durable")                      \
    X(PLANT_UNLOGGED_HELLO, "unlogged-hello", "the log leaves out who has joined anew")                   \
    X(PLANT_UNLOGGED_PART, "unlogged-part", "the log leaves out one part of a gradient in ten")           \
    X(PLANT_NO_CARRY, "no-carry", "a segment of the log begins without what was carried over into it")    \
    X(PLANT_LOG_HOLE, "log-hole", "what stands behind a hole in the log is trusted")                      \
    X(PLANT_OTHER_LIST, "other-list", "who knows another list of members than a ps is not told so")       \
    X(PLANT_HASTY_LIST, "hasty-list", "a list of members takes effect one step too early")                \
    X(PLANT_KEPT_PUSHES, "kept-pushes", "gradients that wait are kept when the members change")           \
    X(PLANT_UNLISTED_IMAGE, "unlisted-image", "images do not say who takes part")                         \
    X(PLANT_UNLOGGED_LIST, "unlogged-list", "the log leaves out who takes part")

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

/* Is it this one? For those that are planted in the disk. */
bool plant_is(const plant *p, plant_kind kind);

/* Before that shard gets `m`. False: it shall not get it at all. */
bool plant_request(plant *p, const shard *s, wire_message *m);

/* Around that. */
void plant_look(plant *p, const shard *s);
void plant_meddle(plant *p, shard *s);

/* After a shard has made `m`. */
void plant_answer(plant *p, wire_message *m);

/* A ps has crashed. */
void plant_crashed(plant *p, uint32_t server);

#endif
