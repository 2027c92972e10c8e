/* cut_sample.h - a small job whose shards can be written as a cut, and told again by their values.
 *
 * Three tensors of 3000, 350 and 1 elements in slices of at most 4 KiB, with two optimizer slots. Every value
 * says where it belongs: tensor, element, array and step. */
#ifndef PENSTOCK_TESTS_CUT_SAMPLE_H
#define PENSTOCK_TESTS_CUT_SAMPLE_H

#include <stdlib.h>

#include "common/checkpoint.h"
#include "tests/unit/job_sample.h"

enum { CUT_SLOTS = 2, CUT_SERVERS_MAX = 8 };

typedef struct {
    job_config job;
    partition map;
} cut_sample;

static inline void cut_sample_open(cut_sample *c, uint32_t servers, uint32_t workers, uint32_t slice_bytes)
{
    const initializer zeros = {.kind = INITIALIZER_ZEROS};
    job_sample(&c->job, servers, workers, 3000);
    job_sample_add(&c->job, "kernel", 350, zeros);
    job_sample_add(&c->job, "bias", 1, zeros);
    c->job.slice_bytes = slice_bytes;
    c->job.optimizer.kind = OPTIMIZER_ADAM;
    assert_int_equal(partition_init(&c->map, &c->job, NULL), PS_OK);
}

static inline void cut_sample_close(cut_sample *c)
{
    partition_fini(&c->map);
    job_fini(&c->job);
}

/* Whole numbers below 2^24. Steps are multiples of 100. */
static inline float cut_sample_value(const slice *cut, uint64_t element, uint32_t array, uint64_t step)
{
    uint64_t place = (cut->tensor * 4096 + cut->offset + element) * 4 + array;
    return (float)(place + (step / 100 % 256) * 65536);
}

static inline const slice *cut_sample_slice(const cut_sample *c, uint32_t server, uint32_t ordinal)
{
    return &c->map.slices[c->map.server_slices[c->map.server_first[server] + ordinal]];
}

/* Room for the arrays of a shard; cut_sample_free is due. */
static inline checkpoint_target *cut_sample_room(const cut_sample *c, uint32_t server)
{
    uint32_t count = partition_server_count(&c->map, server);
    checkpoint_target *targets = calloc(count + 1, sizeof *targets);
    assert_non_null(targets);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k <= CUT_SLOTS; k++)
            targets[i].arrays[k] = calloc(cut_sample_slice(c, server, i)->count, sizeof(float));
    return targets;
}

static inline void cut_sample_free(const cut_sample *c, uint32_t server, checkpoint_target *targets)
{
    for (uint32_t i = 0; i < partition_server_count(&c->map, server); i++)
        for (uint32_t k = 0; k <= CUT_SLOTS; k++)
            free(targets[i].arrays[k]);
    free(targets);
}

/* What a shard is at a step; `clocks` is filled and borrowed. */
static inline checkpoint_state cut_sample_state(const cut_sample *c, uint64_t step, checkpoint_clock *clocks)
{
    for (uint32_t w = 0; w < c->job.workers; w++)
        clocks[w] = (checkpoint_clock){.pushed = step + w, .finished = w == 1};
    return (checkpoint_state){.step = step,
                              .updates = step - 1,
                              .examples = step * 50,
                              .epoch = 2,
                              .clock_count = c->job.workers,
                              .clocks = clocks};
}

/* The values of a shard at a step, in `room`; free the sources themselves. */
static inline checkpoint_source *cut_sample_sources(const cut_sample *c, uint32_t server, uint64_t step,
                                                    const checkpoint_target *room)
{
    uint32_t count = partition_server_count(&c->map, server);
    checkpoint_source *sources = calloc(count + 1, sizeof *sources);
    assert_non_null(sources);
    for (uint32_t i = 0; i < count; i++) {
        const slice *cut = cut_sample_slice(c, server, i);
        for (uint32_t k = 0; k <= CUT_SLOTS; k++) {
            for (uint32_t e = 0; e < cut->count; e++)
                room[i].arrays[k][e] = cut_sample_value(cut, e, k, step);
            sources[i].arrays[k] = room[i].arrays[k];
        }
    }
    return sources;
}

/* Writes one shard of a cut into the folder "cuts". */
static inline ps_status cut_sample_try(const cut_sample *c, uint32_t server, uint64_t step, bool final,
                                       ps_error *error)
{
    checkpoint_clock clocks[JOB_WORKERS_MAX];
    checkpoint_state state = cut_sample_state(c, step, clocks);
    state.final = final;
    checkpoint_target *room = cut_sample_room(c, server);
    checkpoint_source *sources = cut_sample_sources(c, server, step, room);
    ps_status status = checkpoint_write("cuts", &c->job, &c->map, server, &state, CUT_SLOTS, sources, error);
    cut_sample_free(c, server, room);
    free(sources);
    return status;
}

static inline void cut_sample_write_shard(const cut_sample *c, uint32_t server, uint64_t step)
{
    ps_error error = {PS_OK, ""};
    if (cut_sample_try(c, server, step, false, &error) != PS_OK)
        fail_msg("%s", error.text);
}

static inline void cut_sample_write(const cut_sample *c, uint64_t step)
{
    for (uint32_t i = 0; i < c->job.servers; i++)
        cut_sample_write_shard(c, i, step);
}

/* Reads the shard, and holds every value against where it belongs if that succeeds. `state` may be NULL. */
static inline ps_status cut_sample_load(const cut_sample *c, uint32_t server, uint64_t step,
                                        checkpoint_state *state, ps_error *error)
{
    checkpoint_target *targets = cut_sample_room(c, server);
    checkpoint_state unused, *into = state ? state : &unused;
    ps_status status =
        checkpoint_load("cuts", step, &c->job, &c->map, server, CUT_SLOTS, targets, into, error);
    for (uint32_t i = 0; i < partition_server_count(&c->map, server) && status == PS_OK; i++) {
        const slice *cut = cut_sample_slice(c, server, i);
        for (uint32_t k = 0; k <= CUT_SLOTS; k++)
            for (uint32_t e = 0; e < cut->count; e++)
                if (targets[i].arrays[k][e] != cut_sample_value(cut, e, k, step))
                    fail_msg("tensor %u, element %llu, array %u is wrong", cut->tensor,
                             (unsigned long long)cut->offset + e, k);
    }
    cut_sample_free(c, server, targets);
    if (!state || status != PS_OK)
        checkpoint_state_fini(into);
    return status;
}

static inline void cut_sample_expect(const cut_sample *c, uint64_t step)
{
    for (uint32_t i = 0; i < c->job.servers; i++) {
        ps_error error = {PS_OK, ""};
        if (cut_sample_load(c, i, step, NULL, &error) != PS_OK)
            fail_msg("%s", error.text);
    }
}

static inline uint64_t cut_sample_newest(const cut_sample *c, uint64_t below)
{
    uint64_t step = 77;
    ps_error error = {PS_OK, ""};
    if (checkpoint_newest("cuts", &c->job, below, &step, NULL, &error) != PS_OK)
        fail_msg("%s", error.text);
    return step;
}

#endif
