/* disk.c - see disk.h. */
#include "tests/sim/disk.h"

#include <stdlib.h>
#include <string.h>

#include "ps/optimizer.h"
#include "tests/sim/dice.h"

enum { CUTS_MAX = 64, KEPT = 3 };

/* A shard at one step; copies, as on a disk. */
typedef struct {
    uint64_t step; /* 0: free */
    uint64_t durable_ms;
    bool damaged;
    checkpoint_state state;
    float *values; /* arrays of all slices, one after the other */
} kept_image;

typedef struct {
    archive base;
    disk *disk;
    uint32_t server;
    uint64_t damaged_below; /* 0: no damage has been seen */
    dice dice;
    kept_image images[CUTS_MAX];
} sim_archive;

struct disk {
    const scenario *scenario;
    const uint64_t *now_ms;
    partition partition;
    sim_archive archives[SCENARIO_SERVERS_MAX];
};

static void forget(kept_image *i)
{
    checkpoint_state_fini(&i->state);
    free(i->values);
    memset(i, 0, sizeof *i);
}

static kept_image *find(sim_archive *a, uint64_t step)
{
    for (int i = 0; i < CUTS_MAX; i++)
        if (a->images[i].step == step && step > 0)
            return &a->images[i];
    return NULL;
}

static bool is_durable(const sim_archive *a, const kept_image *i)
{
    return i && i->step > 0 && i->durable_ms <= *a->disk->now_ms;
}

static bool is_whole(disk *d, uint64_t step)
{
    for (uint32_t i = 0; i < d->scenario->job.servers; i++)
        if (partition_server_count(&d->partition, i) > 0 &&
            !is_durable(&d->archives[i], find(&d->archives[i], step)))
            return false;
    return true;
}

static uint64_t newest_whole(disk *d, uint64_t below)
{
    uint64_t newest = 0;
    for (int s = 0; s < SCENARIO_SERVERS_MAX; s++)
        for (int i = 0; i < CUTS_MAX; i++) {
            uint64_t step = d->archives[s].images[i].step;
            if (step > newest && step < below && is_whole(d, step))
                newest = step;
        }
    return newest;
}

static void prune(sim_archive *a)
{
    uint64_t oldest = UINT64_MAX;
    for (int i = 0; i < KEPT && oldest > 0; i++)
        oldest = newest_whole(a->disk, oldest);
    for (int i = 0; i < CUTS_MAX; i++)
        if (a->images[i].step < oldest)
            forget(&a->images[i]);
}

static void sim_keep(archive *self, image **taken)
{
    sim_archive *a = (sim_archive *)self;
    image *i = *taken;
    prune(a);
    kept_image *kept = find(a, i->state.step);
    if (kept)
        forget(kept);
    for (int k = 0; !kept && k < CUTS_MAX; k++)
        if (a->images[k].step == 0)
            kept = &a->images[k];
    size_t bytes = 0, done = 0;
    for (uint32_t k = 0; k < i->slices * (1 + i->slots); k++)
        bytes += buffer_size(i->arrays[k]);
    if (kept && (kept->values = malloc(bytes + 1))) {
        kept->step = i->state.step;
        kept->state = i->state;
        i->state = (checkpoint_state){0};
        kept->durable_ms = *a->disk->now_ms + dice_between(&a->dice, 0, a->disk->scenario->disk_max_ms);
        /* Who could replay what the last one holds may be gone. */
        kept->damaged = !kept->state.final && dice_chance(&a->dice, a->disk->scenario->damage_per_mille);
        if (a->damaged_below >= kept->step)
            a->damaged_below = 0;
        for (uint32_t k = 0; k < i->slices * (1 + i->slots); k++) {
            memcpy((char *)kept->values + done, buffer_bytes(i->arrays[k]), buffer_size(i->arrays[k]));
            done += buffer_size(i->arrays[k]);
        }
    }
    image_destroy(taken);
}

static bool sim_is_idle(const archive *self)
{
    const sim_archive *a = (const sim_archive *)self;
    for (int i = 0; i < CUTS_MAX; i++)
        if (a->images[i].step > 0 && !is_durable(a, &a->images[i]))
            return false;
    return true;
}

static ps_status sim_newest(archive *self, const job_config *job, uint64_t below, uint64_t *step,
                            ps_error *error)
{
    sim_archive *a = (sim_archive *)self;
    (void)job, (void)error;
    if (a->damaged_below > 0 && a->damaged_below < below)
        below = a->damaged_below;
    *step = newest_whole(a->disk, below);
    return PS_OK;
}

static ps_status copy_state(const checkpoint_state *from, checkpoint_state *to)
{
    *to = *from;
    to->clocks = malloc(from->clock_count * sizeof *to->clocks);
    if (!to->clocks)
        return PS_ENOMEM;
    memcpy(to->clocks, from->clocks, from->clock_count * sizeof *to->clocks);
    return PS_OK;
}

static ps_status sim_load(archive *self, uint64_t step, const job_config *job, const partition *p,
                          uint32_t server, store *into, checkpoint_state *state, ps_error *error)
{
    sim_archive *a = (sim_archive *)self;
    const kept_image *kept = find(a, step);
    if (!is_durable(a, kept) || kept->damaged) {
        a->damaged_below = step;
        return ps_fail(error, kept ? PS_EFORMAT : PS_ENOENT, "the image of step %llu is damaged or missing",
                       (unsigned long long)step);
    }
    const float *next = kept->values;
    for (uint32_t i = 0; i < partition_server_count(p, server); i++) {
        uint32_t count = p->slices[p->server_slices[p->server_first[server] + i]].count;
        for (uint32_t k = 0; k <= optimizer_slots(&job->optimizer); k++, next += count)
            memcpy(store_array(into, i, k), next, count * sizeof *next);
    }
    return copy_state(&kept->state, state);
}

static const archive_ops sim_ops = {
    .keep = sim_keep,
    .is_idle = sim_is_idle,
    .newest = sim_newest,
    .load = sim_load,
};

ps_status disk_create(const scenario *s, const uint64_t *now_ms, disk **out)
{
    disk *d = calloc(1, sizeof *d);
    *out = d;
    if (!d)
        return PS_ENOMEM;
    d->scenario = s;
    d->now_ms = now_ms;
    for (uint32_t i = 0; i < s->job.servers; i++)
        d->archives[i] =
            (sim_archive){.base.ops = &sim_ops, .disk = d, .server = i, .dice = dice_for(s->seed, "disk", i)};
    return partition_init(&d->partition, &s->job, NULL);
}

void disk_destroy(disk **handle)
{
    disk *d = *handle;
    *handle = NULL;
    if (!d)
        return;
    for (int s = 0; s < SCENARIO_SERVERS_MAX; s++)
        for (int i = 0; i < CUTS_MAX; i++)
            forget(&d->archives[s].images[i]);
    partition_fini(&d->partition);
    free(d);
}

archive *disk_archive(disk *d, uint32_t server)
{
    return &d->archives[server].base;
}

void disk_crash(disk *d, uint32_t server)
{
    sim_archive *a = &d->archives[server];
    a->damaged_below = 0;
    for (int i = 0; i < CUTS_MAX; i++)
        if (!is_durable(a, &a->images[i]))
            forget(&a->images[i]);
}
