/* scenario.c - see scenario.h. */
#include "tests/sim/scenario.h"

#include <stdio.h>
#include <string.h>

#include "tests/sim/dice.h"

static void choose_members(scenario *s, dice *d)
{
    job_config *job = &s->job;
    job->servers = dice_chance(d, 150) ? 1 : (uint32_t)dice_between(d, 1, SCENARIO_SERVERS_MAX);
    job->workers = (uint32_t)dice_between(d, 1, SCENARIO_WORKERS_MAX);
    job->evaluators = dice_chance(d, 300);
    s->steps = (uint32_t)dice_between(d, 3, SCENARIO_STEPS_MAX);
}

/* Exactness under faults is the promise of `sync`: it gets as many seeds as all others together. */
static void choose_mode(scenario *s, dice *d)
{
    job_config *job = &s->job;
    switch (dice_between(d, 0, 5)) {
    case 0:
        job->mode = CONSISTENCY_ASYNC;
        break;
    case 1:
        job->mode = CONSISTENCY_SSP;
        job->staleness = (uint32_t)dice_between(d, 0, 4);
        break;
    case 2:
        job->backup_workers = (uint32_t)dice_between(d, 0, job->workers - 1);
        break;
    default:
        break;
    }
}

static void choose_optimizer(scenario *s, dice *d)
{
    optimizer_config *o = &s->job.optimizer;
    schedule_config *schedule = &s->job.schedule;
    schedule->learning_rate = 0.05;
    s->additive = s->job.mode != CONSISTENCY_SYNC && dice_chance(d, 300);
    if (s->additive)
        return;
    o->kind = (optimizer_kind)dice_between(d, OPTIMIZER_SGD, OPTIMIZER_FTRL);
    if (dice_chance(d, 200))
        o->weight_decay = 0.01;
    if (dice_chance(d, 150))
        o->clip_value = 0.5;
    if (dice_chance(d, 250))
        o->clip_norm = dice_chance(d, 500) ? 1 : 30;
    schedule->kind = (schedule_kind)dice_between(d, SCHEDULE_CONSTANT, SCHEDULE_POLYNOMIAL);
    schedule->decay_steps = dice_between(d, 1, 10);
    if (dice_chance(d, 300))
        schedule->warmup_steps = dice_between(d, 1, 5);
}

/* Shapes that are no multiples of anything, from a single number to several slices. */
static ps_status add_tensor(scenario *s, dice *d, uint32_t number, ps_error *error)
{
    tensor t = {.rank = 1};
    snprintf(t.name, sizeof t.name, "tensor%u", number);
    uint64_t most = dice_chance(d, 300) ? 7 : SCENARIO_TENSOR_MAX;
    t.shape[0] = dice_between(d, 1, most);
    if (dice_chance(d, 500)) {
        t.rank = 2;
        t.shape[1] = dice_between(d, 1, most / t.shape[0]);
    }
    t.init.kind = (initializer_kind)dice_between(d, INITIALIZER_ZEROS, INITIALIZER_HE_NORMAL);
    if (t.init.kind == INITIALIZER_CONSTANT)
        t.init.a = 0.25;
    if (t.init.kind == INITIALIZER_UNIFORM)
        t.init.a = -1;
    if (t.init.kind >= INITIALIZER_UNIFORM && t.init.kind <= INITIALIZER_TRUNCATED_NORMAL)
        t.init.b = 0.5;
    return tensor_table_add(&s->job.tensors, &t, error);
}

static ps_status choose_model(scenario *s, dice *d, ps_error *error)
{
    s->job.slice_bytes = JOB_SLICE_BYTES_MIN;
    if (dice_chance(d, 400))
        s->empty_per_mille = (uint32_t)dice_between(d, 50, 400);
    if (dice_chance(d, 200))
        s->nonfinite_per_mille = 100;
    uint32_t tensors = (uint32_t)dice_between(d, 1, SCENARIO_TENSORS_MAX);
    ps_status status = PS_OK;
    for (uint32_t i = 0; i < tensors && status == PS_OK; i++)
        status = add_tensor(s, d, i, error);
    return status;
}

static void choose_workers(scenario *s, dice *d)
{
    uint32_t straggler = dice_chance(d, 400) ? (uint32_t)dice_between(d, 0, s->job.workers - 1) : UINT32_MAX;
    bool uneven = dice_chance(d, 200);
    for (uint32_t w = 0; w < s->job.workers; w++) {
        scenario_worker *worker = &s->workers[w];
        worker->style =
            dice_chance(d, 400) ? STYLE_PUSH_PULL : (scenario_style)dice_between(d, 0, STYLE_COUNT - 1);
        worker->steps = uneven && w > 0 ? (uint32_t)dice_between(d, 1, s->steps) : s->steps;
        worker->leaves_early = worker->style == STYLE_PUSH_THEN_PULL && dice_chance(d, 700);
        worker->step_ms = (uint32_t)dice_between(d, 1, 30);
        if (w == straggler)
            worker->step_ms *= 15;
    }
    s->slices_per_message = dice_chance(d, 400) ? 0 : (uint32_t)dice_between(d, 1, 3);
    s->query_first_ms = (uint32_t)dice_between(d, 10, 200);
    s->query_max_ms = s->query_first_ms * (uint32_t)dice_between(d, 1, 8);
}

/* Between one ps and one other; between two parts of the cluster; or around one host. */
static void choose_sides(network_cut *cut, dice *d, uint32_t servers, uint32_t others)
{
    const uint32_t all = (1U << (servers + others)) - 1;
    if (dice_chance(d, 600)) {
        cut->from = 1U << dice_between(d, 0, servers - 1);
        cut->to = 1U << (servers + dice_between(d, 0, others - 1));
    } else if (dice_chance(d, 500)) {
        cut->from = (uint32_t)dice_between(d, 1, all);
        cut->to = all & ~cut->from;
    } else {
        cut->from = 1U << dice_between(d, 0, servers + others - 1);
        cut->to = all & ~cut->from;
    }
    cut->one_way = dice_chance(d, 400);
    if (cut->one_way && dice_chance(d, 500)) {
        uint32_t from = cut->from;
        cut->from = cut->to;
        cut->to = from;
    }
}

static void choose_cuts(scenario *s, dice *d)
{
    network_weather *w = &s->weather;
    w->cut_count = (uint32_t)dice_between(d, 0, NETWORK_CUTS_MAX);
    for (uint32_t i = 0; i < w->cut_count; i++) {
        network_cut *cut = &w->cuts[i];
        choose_sides(cut, d, s->job.servers, s->job.workers + s->job.evaluators);
        cut->from_ms = dice_between(d, 0, 3000);
        cut->until_ms = cut->from_ms + dice_between(d, 10, dice_chance(d, 800) ? 1500 : 6000);
    }
}

static void choose_weather(scenario *s, dice *d)
{
    network_weather *w = &s->weather;
    w->departure_max_ms = (uint32_t)(dice_chance(d, 300) ? dice_between(d, 10, 100) : dice_between(d, 0, 3));
    w->delay_max_ms = (uint32_t)dice_between(d, 1, 40);
    w->stray_max_ms = w->delay_max_ms;
    w->calm_at_ms = dice_between(d, 500, 20000);
    if (dice_chance(d, 100)) /* a sound network, to know that nothing relies on faults */
        return;
    w->stray_per_mille = (uint32_t)dice_between(d, 0, 150);
    w->stray_max_ms = (uint32_t)dice_between(d, 40, 1500);
    w->loss_per_mille = (uint32_t)(dice_chance(d, 200) ? dice_between(d, 200, 400) : dice_between(d, 0, 100));
    w->repeat_per_mille =
        (uint32_t)(dice_chance(d, 200) ? dice_between(d, 200, 500) : dice_between(d, 0, 100));
    if (dice_chance(d, 400))
        choose_cuts(s, d);
}

static void choose_disk(scenario *s, dice *d)
{
    disk_weather *w = &s->disk;
    s->keeps_images = dice_chance(d, 930);
    s->image_steps = dice_chance(d, 100) ? 0 : (uint32_t)dice_between(d, 1, 5);
    w->durable_max_ms = (uint32_t)(dice_chance(d, 500) ? dice_between(d, 0, 20) : dice_between(d, 20, 500));
    if (dice_chance(d, 100))
        w->durable_max_ms = (uint32_t)dice_between(d, 500, 5000);
    w->damage_per_mille = dice_chance(d, 300) ? 300 : 0;
    w->error_per_mille = dice_chance(d, 200) ? (uint32_t)dice_between(d, 50, 700) : 0;
    if (dice_chance(d, 200)) {
        w->full_from_ms = dice_between(d, 1, 1000);
        w->full_until_ms = w->full_from_ms + dice_between(d, 10, 2000);
    }
}

/* With what comes after an image, on all ps, some or none: each has an option of its own. */
static void choose_logs(scenario *s)
{
    dice d = dice_for(s->seed, "logs", 0);
    const uint32_t all = (1U << s->job.servers) - 1;
    disk_weather *w = &s->disk;
    if (!s->keeps_images || !s->servers_crash || dice_chance(&d, 300))
        return;
    s->logs = dice_chance(&d, 700) ? all : (uint32_t)dice_between(&d, 1, all);
    w->log_max_ms = (uint32_t)(dice_chance(&d, 600) ? dice_between(&d, 0, 5) : dice_between(&d, 5, 100));
    if (dice_chance(&d, 200)) {
        w->slow_from_ms = dice_between(&d, 1, 1000);
        w->slow_until_ms = w->slow_from_ms + dice_between(&d, 100, 2000);
        w->slow_max_ms = (uint32_t)dice_between(&d, 50, 1500);
    }
    w->log_error_per_mille = dice_chance(&d, 200) ? (uint32_t)dice_between(&d, 5, 60) : 0;
    fault_choose_of_logs(&s->faults, &d, s->logs);
}

/* Rows for so many epochs that all workers together have as many steps as the scenario says. */
static void choose_rows(scenario *s, dice *d)
{
    const uint32_t per_epoch = (uint32_t)dice_between(d, 1, s->steps);
    const uint32_t epochs = s->steps / per_epoch;
    s->batch = (uint32_t)dice_between(d, 1, SCENARIO_BATCH_MAX);
    const uint64_t of_step = (uint64_t)s->batch * s->job.workers;
    s->rows = of_step * per_epoch - dice_between(d, 0, of_step - 1);
    if (dice_chance(d, 300))
        return;
    s->epochs = epochs;
    s->steps = per_epoch * epochs;
}

/* A synchronous job may go on without workers that are lost, which some then are. */
static void choose_shrinking(scenario *s)
{
    dice d = dice_for(s->seed, "shrinking", 0);
    if (!scenario_is_exact(s) || s->job.workers < 2 || !dice_chance(&d, 400))
        return;
    s->shrinks = true;
    s->job.on_worker_loss = LOSS_SHRINK;
    s->lease_ms = (uint32_t)dice_between(&d, 300, 800);
    s->job.grace_ms = (uint32_t)(dice_chance(&d, 500) ? 1 : dice_between(&d, 1, 500));
    s->empty_per_mille = 0; /* it depends on the rows that are left */
    choose_rows(s, &d);
    for (uint32_t w = 0; w < s->job.workers; w++) {
        s->workers[w].steps = s->steps;
        s->workers[w].leaves_early = false;
    }
}

/* Faults that never stop come as often as those of the other mode do before it is calm. */
static void choose_faults(scenario *s)
{
    dice d = dice_for(s->seed, "faults", 0);
    fault_choose(&s->faults, &d, s->job.servers, s->job.workers + s->job.evaluators, s->weather.calm_at_ms);
    if (s->shrinks) {
        const fault_losses losses = {
            .first = s->job.servers + 1, /* not the chief */
            .count = s->job.workers - 1,
            .least_ms = s->lease_ms + s->job.grace_ms,
        };
        dice of_losses = dice_for(s->seed, "losses", 0);
        fault_choose_losses(&s->faults, &of_losses, &losses, s->weather.calm_at_ms);
    }
    s->servers_crash = fault_kills(&s->faults, (1U << s->job.servers) - 1);
    choose_disk(s, &d);
    s->keeps_images &= s->servers_crash;
    choose_logs(s);
    if (s->mode == MODE_SAFETY) {
        s->weather.calm_at_ms = UINT64_MAX;
        s->weather.cut_every_ms = SCENARIO_CUT_EVERY_MS;
    }
}

/* See cluster.h for the jobs that nobody ends. */
static void choose_orders(scenario *s)
{
    dice d = dice_for(s->seed, "orders", 0);
    if (s->job.backup_workers > 0)
        return;
    if (!s->shrinks && dice_chance(&d, 300))
        s->stop_at_ms = dice_between(&d, 1, dice_chance(&d, 700) ? 500 : 5000);
    if (s->keeps_images && dice_chance(&d, 300))
        s->keep_at_ms = dice_between(&d, 1, 1000);
}

ps_status scenario_init(scenario *s, uint64_t seed, scenario_mode mode, ps_error *error)
{
    memset(s, 0, sizeof *s);
    s->seed = seed;
    s->mode = mode;
    job_init(&s->job);
    snprintf(s->job.name, sizeof s->job.name, "sim-%llu", (unsigned long long)seed);
    s->job.seed = seed;
    dice d = dice_for(seed, "scenario", 0);
    choose_members(s, &d);
    choose_mode(s, &d);
    choose_optimizer(s, &d);
    ps_status status = choose_model(s, &d, error);
    choose_workers(s, &d);
    choose_weather(s, &d);
    choose_shrinking(s);
    choose_faults(s);
    choose_orders(s);
    if (status == PS_OK)
        status = job_check(&s->job, error);
    if (status != PS_OK)
        scenario_fini(s);
    return status;
}

void scenario_fini(scenario *s)
{
    job_fini(&s->job);
}

sampler scenario_sampler(const scenario *s, const members_list *list)
{
    return (sampler){
        .seed = s->seed, .rows = s->rows, .workers = s->job.workers, .batch = s->batch, .members = list};
}

uint64_t scenario_last_step(const scenario *s, const members_list *list)
{
    const sampler draws = scenario_sampler(s, list);
    return s->epochs > 0 ? sampler_last_step(&draws, s->epochs) : s->steps;
}

void scenario_describe(const scenario *s, char *text, size_t bytes)
{
    const job_config *job = &s->job;
    const network_weather *w = &s->weather;
    char calm[32] = "never calm";
    if (s->mode == MODE_LIVENESS)
        snprintf(calm, sizeof calm, "calm at %llu ms", (unsigned long long)w->calm_at_ms);
    int used = snprintf(
        text, bytes,
        "%s (backups %u, staleness %u), %s, %u ps, %u workers, %u evaluators, %u steps of %llu "
        "parameters, %u slices a message; %u/1000 lost, %u/1000 repeated, %u/1000 stray up to %u ms, "
        "%u cuts, %u faults, %s",
        consistency_mode_name(job->mode), job->backup_workers, job->staleness,
        optimizer_kind_name(job->optimizer.kind), job->servers, job->workers, job->evaluators, s->steps,
        (unsigned long long)tensor_table_elements(&job->tensors), s->slices_per_message, w->loss_per_mille,
        w->repeat_per_mille, w->stray_per_mille, w->stray_max_ms, w->cut_count, s->faults.count, calm);
    if (s->shrinks)
        used += snprintf(text + used, bytes - (size_t)used,
                         ", workers come and go after %u + %u ms, %llu rows by %u for %u epochs", s->lease_ms,
                         job->grace_ms, (unsigned long long)s->rows, s->batch, s->epochs);
    if (s->keeps_images)
        used += snprintf(text + used, bytes - (size_t)used, ", images every %u steps, logs of ps 0x%x",
                         s->image_steps, s->logs);
    if (s->keep_at_ms > 0)
        used += snprintf(text + used, bytes - (size_t)used, ", a checkpoint is ordered at %llu ms",
                         (unsigned long long)s->keep_at_ms);
    if (s->stop_at_ms > 0)
        snprintf(text + used, bytes - (size_t)used, ", the job is ended at %llu ms",
                 (unsigned long long)s->stop_at_ms);
}
