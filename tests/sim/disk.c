/* disk.c - see disk.h. */
#include "tests/sim/disk.h"

#include <stdlib.h>
#include <string.h>

#include "ps/optimizer.h"
#include "tests/sim/dice.h"

enum {
    IMAGES_MAX = 128, /* of one shard */
    KEPT = 3,         /* whole cuts; older images are removed */
};

/* A shard at one step; copies, as on a disk. */
typedef struct {
    uint64_t step; /* 0: free */
    uint64_t
        order; /* in which they were written: of two of one step the later one counts, once it is durable */
    uint64_t renaming_ms, durable_ms; /* all of it is there, and then the manifest too */
    bool damaged;
    checkpoint_state state;
    uint64_t elements;
    float *values; /* (elements) arrays of all slices, one after the other */
} kept_image;

typedef struct {
    archive base;
    disk *disk;
    uint32_t server;
    uint64_t damaged_below; /* 0: no damage has been seen */
    uint64_t born;          /* what was written before it is of a life before this one */
    uint64_t forgot;        /* what was written before it did not count when images were last forgotten: */
    uint64_t newest_then;   /* then this was the newest that had been kept */
    sim_journal *log;       /* NULL: that ps keeps none */
    dice dice;
    kept_image images[IMAGES_MAX];
} sim_archive;

struct disk {
    disk_config config;
    uint64_t now_ms, written;
    ps_error failure;
    disk_counters counters;
    sim_archive archives[SCENARIO_SERVERS_MAX];
};

static void forget(kept_image *i)
{
    checkpoint_state_fini(&i->state);
    free(i->values);
    memset(i, 0, sizeof *i);
}

static bool is_durable(const disk *d, const kept_image *i)
{
    return i->step > 0 && i->durable_ms <= d->now_ms;
}

/* The image of that step that can be read, or NULL. */
static const kept_image *find(const sim_archive *a, uint64_t step)
{
    const kept_image *found = NULL;
    for (int i = 0; i < IMAGES_MAX; i++) {
        const kept_image *there = &a->images[i];
        if (there->step == step && is_durable(a->disk, there) && (!found || there->order > found->order))
            found = there;
    }
    return found;
}

static bool is_whole(const disk *d, uint64_t step)
{
    for (uint32_t i = 0; i < d->config.scenario->job.servers; i++)
        if (partition_server_count(d->config.partition, i) > 0 && !find(&d->archives[i], step))
            return false;
    return true;
}

static uint64_t newest_of(const sim_archive *a, uint64_t below, bool whole)
{
    uint64_t newest = 0;
    for (int i = 0; i < IMAGES_MAX; i++) {
        const kept_image *there = &a->images[i];
        if (there->step > newest && there->step < below && is_durable(a->disk, there) &&
            (!whole || is_whole(a->disk, there->step)))
            newest = there->step;
    }
    return newest;
}

/* ---- keeping ---- */

static bool is_replaced(const sim_archive *a, const kept_image *i)
{
    return is_durable(a->disk, i) && find(a, i->step) != i;
}

static void prune(sim_archive *a)
{
    uint64_t oldest = UINT64_MAX;
    for (int i = 0; i < KEPT && oldest > 0; i++)
        oldest = newest_of(a, oldest, true);
    for (int i = 0; i < IMAGES_MAX; i++)
        if (a->images[i].step > 0 && (a->images[i].step < oldest || is_replaced(a, &a->images[i])))
            forget(&a->images[i]);
}

/* The last one is kept in any case: who could replay what it holds may be gone. */
static bool fails(sim_archive *a, const image *i)
{
    const disk_weather *w = &a->disk->config.scenario->disk;
    bool full = a->disk->now_ms >= w->full_from_ms && a->disk->now_ms < w->full_until_ms;
    bool error = dice_chance(&a->dice, w->error_per_mille);
    return (full || error) && !i->state.final;
}

static void copy_values(const sim_archive *a, const image *from, kept_image *to)
{
    char *next = (char *)to->values;
    for (uint32_t k = 0; k < from->slices * (1 + from->slots); k++) {
        memcpy(next, buffer_bytes(from->arrays[k]), buffer_size(from->arrays[k]));
        next += buffer_size(from->arrays[k]);
    }
    const uint64_t before = newest_of(a, to->step, false);
    if (before > 0 && plant_is(a->disk->config.plant, PLANT_MIXED_IMAGE)) /* half of another step */
        memcpy(to->values, find(a, before)->values, to->elements / 2 * sizeof *to->values);
}

/* Of all images but that one: is the newest that is durable not damaged, nor any that are not durable yet? */
static bool others_are_sound(const sim_archive *a, const kept_image *judged)
{
    const kept_image *newest = NULL;
    bool sound = true;
    for (int i = 0; i < IMAGES_MAX; i++) {
        const kept_image *there = &a->images[i];
        if (there->step == 0 || there == judged)
            continue;
        if (!is_durable(a->disk, there))
            sound &= !there->damaged;
        else if (!newest || there->order > newest->order)
            newest = there;
    }
    return sound && !(newest && newest->damaged);
}

static void write_image(sim_archive *a, image *i, kept_image *kept)
{
    disk *d = a->disk;
    const disk_weather *w = &d->config.scenario->disk;
    kept->step = i->state.step;
    kept->order = ++d->written;
    kept->state = i->state;
    i->state = (checkpoint_state){0};
    uint64_t takes_ms = dice_between(&a->dice, 0, w->durable_max_ms);
    kept->durable_ms = d->now_ms + takes_ms;
    kept->renaming_ms = kept->durable_ms - takes_ms / 3;
    kept->damaged = dice_chance(&a->dice, w->damage_per_mille) && !kept->state.final;
    kept->damaged &= !a->log || others_are_sound(a, kept);
    if (a->damaged_below >= kept->step)
        a->damaged_below = 0;
    copy_values(a, i, kept);
    d->counters.kept++;
    trace_line(d->config.trace, d->now_ms, "ps %u writes its image of step %llu%s, durable at %llu ms%s",
               a->server, (unsigned long long)kept->step, kept->state.final ? ", the last" : "",
               (unsigned long long)kept->durable_ms, kept->damaged ? ", damaged" : "");
    if (d->failure.status == PS_OK)
        ledger_check_image(d->config.ledger, a->server, &kept->state, kept->values, &d->failure);
}

static void sim_keep(archive *self, image **taken)
{
    sim_archive *a = (sim_archive *)self;
    image *i = *taken;
    prune(a);
    kept_image *kept = NULL;
    for (int k = 0; !kept && k < IMAGES_MAX; k++)
        if (a->images[k].step == 0)
            kept = &a->images[k];
    size_t bytes = 0;
    for (uint32_t k = 0; k < i->slices * (1 + i->slots); k++)
        bytes += buffer_size(i->arrays[k]);
    const bool failed = fails(a, i);
    if (kept && !failed && (kept->values = malloc(bytes + 1))) {
        kept->elements = bytes / sizeof *kept->values;
        write_image(a, i, kept);
    } else {
        a->disk->counters.failed++;
        trace_line(a->disk->config.trace, a->disk->now_ms, "ps %u cannot keep its image of step %llu",
                   a->server, (unsigned long long)i->state.step);
    }
    image_destroy(taken);
}

static bool is_idle(const sim_archive *a)
{
    for (int i = 0; i < IMAGES_MAX; i++)
        if (a->images[i].step > 0 && !is_durable(a->disk, &a->images[i]))
            return false;
    return true;
}

static bool sim_is_idle(const archive *self)
{
    const sim_archive *a = (const sim_archive *)self;
    return is_idle(a) || plant_is(a->disk->config.plant, PLANT_HASTY_END);
}

/* ---- going back ---- */

static ps_status sim_newest(archive *self, const job_config *job, uint64_t below, uint64_t *step,
                            ps_error *error)
{
    sim_archive *a = (sim_archive *)self;
    (void)job, (void)error;
    if (a->damaged_below > 0 && a->damaged_below < below)
        below = a->damaged_below;
    *step = newest_of(a, below, !plant_is(a->disk->config.plant, PLANT_PARTIAL_CUT));
    return PS_OK;
}

static ps_status copy_state(const checkpoint_state *from, checkpoint_state *to)
{
    *to = *from;
    to->clocks = malloc(from->clock_count * sizeof *to->clocks);
    if (members_copy(&from->members, &to->members) != PS_OK || !to->clocks) {
        checkpoint_state_fini(to);
        return PS_ENOMEM;
    }
    memcpy(to->clocks, from->clocks, from->clock_count * sizeof *to->clocks);
    return PS_OK;
}

/* Fills store and state with an image; NULL: there is none. */
static ps_status read_image(const sim_archive *a, const kept_image *kept, uint64_t step,
                            const job_config *job, const partition *p, uint32_t server, store *into,
                            checkpoint_state *state, ps_error *error)
{
    disk *d = a->disk;
    d->counters.damaged += kept && kept->damaged;
    trace_line(d->config.trace, d->now_ms, "ps %u loads the image of step %llu%s", server,
               (unsigned long long)step,
               !kept           ? ": missing"
               : kept->damaged ? ": damaged"
                               : "");
    if (!kept || kept->damaged)
        return ps_fail(error, kept ? PS_EFORMAT : PS_ENOENT, "the image of step %llu is damaged or missing",
                       (unsigned long long)step);
    const float *next = kept->values;
    for (uint32_t i = 0; i < partition_server_count(p, server); i++) {
        uint32_t count = p->slices[p->server_slices[p->server_first[server] + i]].count;
        for (uint32_t k = 0; k <= optimizer_slots(&job->optimizer); k++, next += count)
            memcpy(store_array(into, i, k), next, count * sizeof *next);
    }
    ps_status status = copy_state(&kept->state, state);
    if (plant_is(d->config.plant, PLANT_UNLISTED_IMAGE))
        members_fini(&state->members);
    for (uint32_t i = 0; status == PS_OK && i < state->clock_count; i++)
        if (plant_is(d->config.plant, PLANT_LOST_CLOCKS))
            state->clocks[i].pushed = 0;
    return status;
}

static ps_status sim_load(archive *self, uint64_t step, const job_config *job, const partition *p,
                          uint32_t server, store *into, checkpoint_state *state, ps_error *error)
{
    sim_archive *a = (sim_archive *)self;
    ps_status status = read_image(a, find(a, step), step, job, p, server, into, state, error);
    if (status == PS_EFORMAT || status == PS_ENOENT)
        a->damaged_below = step;
    return status;
}

static ps_status sim_load_own(archive *self, uint64_t step, const job_config *job, const partition *p,
                              uint32_t server, store *into, checkpoint_state *state, ps_error *error)
{
    const sim_archive *a = (const sim_archive *)self;
    return read_image(a, find(a, step), step, job, p, server, into, state, error);
}

static uint64_t sim_newest_kept(const archive *self)
{
    const sim_archive *a = (const sim_archive *)self;
    const kept_image *newest = NULL;
    for (int i = 0; i < IMAGES_MAX; i++) {
        const kept_image *there = &a->images[i];
        const bool counts = there->order > a->born && there->order > a->forgot;
        if (is_durable(a->disk, there) && counts && (!newest || there->order > newest->order))
            newest = there;
    }
    return newest ? newest->step : a->forgot > a->born ? a->newest_then : 0;
}

static image_fate sim_fate(const archive *self, uint64_t step)
{
    const sim_archive *a = (const sim_archive *)self;
    const bool kept = find(a, step) || plant_is(a->disk->config.plant, PLANT_HASTY_ORDER);
    return kept ? IMAGE_KEPT : IMAGE_UNKNOWN;
}

/* As with files, what has been kept is known to have been also when it is gone. */
static void forget_images(sim_archive *a, uint64_t first, uint64_t last)
{
    const uint64_t newest = sim_newest_kept(&a->base);
    for (int i = 0; i < IMAGES_MAX; i++)
        if (a->images[i].step >= first && a->images[i].step <= last)
            forget(&a->images[i]);
    a->newest_then = newest;
    a->forgot = a->disk->written;
}

static ps_status sim_forget_beyond(archive *self, uint64_t step, const job_config *job, uint32_t server,
                                   ps_error *error)
{
    (void)job, (void)server, (void)error;
    forget_images((sim_archive *)self, step + 1, UINT64_MAX);
    return PS_OK;
}

static ps_status sim_forget_own(archive *self, uint64_t step, const job_config *job, uint32_t server,
                                ps_error *error)
{
    (void)job, (void)server, (void)error;
    forget_images((sim_archive *)self, step, step);
    return PS_OK;
}

static const archive_ops shrinking_ops = {
    .keep = sim_keep,
    .is_idle = sim_is_idle,
    .newest = sim_newest,
    .load = sim_load,
    .forget_beyond = sim_forget_beyond,
    .load_own = sim_load_own,
    .forget_own = sim_forget_own,
    .newest_kept = sim_newest_kept,
    .fate = sim_fate,
};

static const archive_ops sim_ops = {
    .keep = sim_keep,
    .is_idle = sim_is_idle,
    .newest = sim_newest,
    .load = sim_load,
    .load_own = sim_load_own,
    .newest_kept = sim_newest_kept,
    .fate = sim_fate,
};

/* ---- life ---- */

static ps_status create_logs(disk *d)
{
    sim_journal_config config = {
        .scenario = d->config.scenario,
        .now_ms = &d->now_ms,
        .plant = d->config.plant,
        .trace = d->config.trace,
    };
    for (uint32_t i = 0; i < config.scenario->job.servers; i++) {
        config.server = i;
        if (!(config.scenario->logs >> i & 1))
            continue;
        d->archives[i].log = sim_journal_create(&config);
        if (!d->archives[i].log)
            return PS_ENOMEM;
    }
    return PS_OK;
}

ps_status disk_create(const disk_config *config, disk **out)
{
    disk *d = calloc(1, sizeof *d);
    *out = d;
    if (!d)
        return PS_ENOMEM;
    d->config = *config;
    for (uint32_t i = 0; i < config->scenario->job.servers; i++)
        d->archives[i] = (sim_archive){
            .base.ops = config->scenario->shrinks ? &shrinking_ops : &sim_ops,
            .disk = d,
            .server = i,
            .dice = dice_for(config->scenario->seed, "disk", i),
        };
    ps_status status = create_logs(d);
    if (status != PS_OK)
        disk_destroy(out);
    return status;
}

void disk_destroy(disk **handle)
{
    disk *d = *handle;
    *handle = NULL;
    if (!d)
        return;
    for (int s = 0; s < SCENARIO_SERVERS_MAX; s++) {
        for (int i = 0; i < IMAGES_MAX; i++)
            forget(&d->archives[s].images[i]);
        sim_journal_destroy(&d->archives[s].log);
    }
    free(d);
}

void disk_set_time(disk *d, uint64_t now_ms)
{
    d->now_ms = now_ms;
}

archive *disk_archive(disk *d, uint32_t server)
{
    return &d->archives[server].base;
}

sim_journal *disk_log(disk *d, uint32_t server)
{
    return d->archives[server].log;
}

/* Of a disk that damages images some are there all the same, torn. */
void disk_crash(disk *d, uint32_t server, uint64_t most)
{
    sim_archive *a = &d->archives[server];
    a->damaged_below = 0;
    a->born = d->written;
    if (a->log)
        d->counters.torn += sim_journal_crash(a->log, most);
    for (int i = 0; i < IMAGES_MAX; i++) {
        kept_image *there = &a->images[i];
        if (there->step == 0 || is_durable(d, there))
            continue;
        bool torn = d->config.scenario->disk.damage_per_mille > 0 && dice_chance(&a->dice, 500);
        torn &= !a->log || others_are_sound(a, there);
        trace_line(d->config.trace, d->now_ms, "ps %u has not finished its image of step %llu, which is %s",
                   server, (unsigned long long)there->step, torn ? "torn" : "lost");
        d->counters.lost++;
        if (torn) {
            there->damaged = true;
            there->durable_ms = d->now_ms;
        } else {
            forget(there);
        }
    }
}

/* ---- what there is ---- */

bool disk_is_writing(const disk *d, uint32_t server)
{
    return !is_idle(&d->archives[server]);
}

bool disk_is_renaming(const disk *d, uint32_t server)
{
    for (int i = 0; i < IMAGES_MAX; i++) {
        const kept_image *there = &d->archives[server].images[i];
        if (there->step > 0 && !is_durable(d, there) && there->renaming_ms <= d->now_ms)
            return true;
    }
    return false;
}

const checkpoint_state *disk_expected(disk *d, uint32_t server)
{
    const sim_archive *a = &d->archives[server];
    uint64_t step = UINT64_MAX;
    while ((step = newest_of(a, step, true)) > 0) {
        const kept_image *there = find(a, step);
        if (!there->damaged)
            return &there->state;
    }
    return NULL;
}

bool disk_has_kept(const disk *d, uint32_t server, uint64_t step)
{
    return find(&d->archives[server], step) || newest_of(&d->archives[server], UINT64_MAX, true) > step;
}

bool disk_has_final(const disk *d, uint32_t server, uint64_t step)
{
    const kept_image *last = find(&d->archives[server], step);
    return last && last->state.final;
}

ps_status disk_failure(const disk *d, ps_error *error)
{
    if (d->failure.status != PS_OK)
        *error = d->failure;
    return d->failure.status;
}

const disk_counters *disk_count(const disk *d)
{
    return &d->counters;
}
