/* chaos_faults.c - see chaos_faults.h. */
#include "deploy/chaos/chaos_faults.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"

static_assert((int)CHAOS_WAITS_MAX <= (int)CLUSTER_RUN_WAITS_MAX,
              "the network must be able to poll all it has");

static uint64_t since_begin(const chaos_faults *f)
{
    return clock_monotonic_ms() - f->begun_ms;
}

/* Parameter servers come first among the tasks. */
static size_t task_of(const chaos_faults *f, const fault *what)
{
    return what->server != CHAOS_ANY ? what->server : f->servers + what->worker;
}

static bool is_like(const fault *a, const fault *b)
{
    return a->kind == b->kind && a->worker == b->worker && a->server == b->server;
}

/* Does another fault do the same still? */
static bool goes_on_otherwise(const chaos_faults *f, size_t number)
{
    for (size_t i = 0; i < f->plan->count; i++)
        if (i != number && f->courses[i].state == FAULT_LASTS &&
            is_like(&f->plan->faults[i], &f->plan->faults[number]))
            return true;
    return false;
}

/* Puts the faults of this disk that last at the moment into its control file. */
static void set_disk(const chaos_faults *f, size_t server)
{
    unsigned char bits = 0;
    for (size_t i = 0; i < f->plan->count; i++) {
        const fault *other = &f->plan->faults[i];
        if (f->courses[i].state != FAULT_LASTS || other->server != server)
            continue;
        bits |= (unsigned char)(other->kind == FAULT_DISK_FULL     ? DISK_FULL_BIT
                                : other->kind == FAULT_FSYNC_ERROR ? DISK_FSYNC_BIT
                                                                   : 0);
    }
    ssize_t ignored = pwrite(f->disks[server], &bits, 1, 0);
    (void)ignored;
}

/* ---- begin and end of a fault ---- */

static void begin_one(chaos_faults *f, size_t number)
{
    const fault *what = &f->plan->faults[number];
    fault_course *course = &f->courses[number];
    uint64_t until = clock_monotonic_ms() + what->for_ms;
    course->begun_ms = since_begin(f);
    course->state = FAULT_LASTS;
    course->ended_ms = course->begun_ms + what->for_ms;
    switch (what->kind) {
    case FAULT_KILL:
    case FAULT_TERMINATE:
        course->state = FAULT_AWAITS;
        cluster_run_disturb(f->run, task_of(f, what), what->kind == FAULT_KILL ? SIGKILL : SIGTERM);
        break;
    case FAULT_STOP:
        cluster_run_disturb(f->run, task_of(f, what), SIGSTOP);
        break;
    case FAULT_RESET:
        f->net->ops->reset(f->net, what->worker, what->server, clock_monotonic_ms());
        break;
    case FAULT_BLACKHOLE:
    case FAULT_PARTITION:
    case FAULT_DELAY:
    case FAULT_THROTTLE:
    case FAULT_LOSS:
    case FAULT_REORDER:
        chaos_weather_change(&f->net->weather, what, until);
        break;
    case FAULT_DISK_FULL:
    case FAULT_FSYNC_ERROR:
        set_disk(f, what->server);
        break;
    case FAULT_KINDS:
        break;
    }
}

static void end_one(chaos_faults *f, size_t number)
{
    const fault *what = &f->plan->faults[number];
    f->courses[number].state = FAULT_RECOVERING;
    if (what->kind == FAULT_STOP && !goes_on_otherwise(f, number))
        cluster_run_disturb(f->run, task_of(f, what), SIGCONT);
    if (fault_kind_reach(what->kind) == DISTURBS_DISK)
        set_disk(f, what->server);
}

static bool time_has_come(const chaos_faults *f, const fault *what)
{
    switch (what->clock) {
    case AT_STEP:
        return (double)f->step >= what->at && f->step > 0;
    case AT_FRACTION:
        return f->steps > 0 && f->step > 0 && (double)f->step >= what->at * (double)f->steps;
    case AT_SECONDS:
        return f->first_step_ms > 0 && (double)(clock_monotonic_ms() - f->first_step_ms) >= what->at * 1000;
    }
    return false;
}

/* A process can be disturbed while it runs, and a disk while its ps does. */
static bool is_there(const chaos_faults *f, const fault *what)
{
    return fault_kind_reach(what->kind) == DISTURBS_LINK || f->running[task_of(f, what)];
}

/* ---- the observer ---- */

static void begun(void *context, cluster_run *run, const tasks *t)
{
    chaos_faults *f = context;
    f->run = run;
    f->begun_ms = clock_monotonic_ms();
    for (size_t i = 0; i < t->count; i++)
        f->running[i] = true;
    if (f->net->ops->begun)
        f->net->ops->begun(f->net, t);
}

static void reported(void *context, size_t number, progress_event event, const progress *p)
{
    chaos_faults *f = context;
    (void)number;
    f->steps = p->steps;
    /* The last test of the model: all steps are done, and nobody has been told of the end. */
    if (event == PROGRESS_EVAL && p->eval.step > (double)f->step)
        f->step = (uint64_t)p->eval.step;
    if (event != PROGRESS_STEP)
        return;
    if (f->first_step_ms == 0)
        f->first_step_ms = clock_monotonic_ms();
    if (p->latest.step > f->step)
        f->step = p->latest.step;
    uint64_t now = since_begin(f);
    for (size_t i = 0; i < f->plan->count; i++) {
        if (f->courses[i].state != FAULT_RECOVERING)
            continue;
        f->courses[i].state = FAULT_RECOVERED;
        f->courses[i].recovered_ms = now;
    }
}

static void ended(void *context, size_t number, const process_end *end, bool starts_again)
{
    chaos_faults *f = context;
    (void)end;
    f->running[number] = false;
    f->gone[number] = !starts_again;
}

static void started_again(void *context, size_t number)
{
    chaos_faults *f = context;
    f->running[number] = true;
    for (size_t i = 0; i < f->plan->count; i++) {
        if (f->courses[i].state != FAULT_AWAITS || task_of(f, &f->plan->faults[i]) != number)
            continue;
        f->courses[i].state = FAULT_RECOVERING;
        f->courses[i].ended_ms = since_begin(f);
    }
}

static size_t waits(void *context, struct pollfd polled[CLUSTER_RUN_WAITS_MAX], int64_t *patience_ms)
{
    chaos_faults *f = context;
    uint64_t now = clock_monotonic_ms();
    uint64_t wake = now + (uint64_t)*patience_ms;
    size_t count = f->net->ops->waits(f->net, polled, now, &wake);
    for (size_t i = 0; i < f->plan->count; i++) {
        const fault *what = &f->plan->faults[i];
        if (f->courses[i].state == FAULT_LASTS)
            chaos_wake_by(&wake, f->begun_ms + f->courses[i].ended_ms);
        else if (f->courses[i].state == FAULT_PENDING && what->clock == AT_SECONDS && f->first_step_ms > 0 &&
                 !time_has_come(f, what))
            chaos_wake_by(&wake, f->first_step_ms + (uint64_t)(what->at * 1000) + 1);
    }
    if (!f->hung)
        chaos_wake_by(&wake, f->begun_ms + f->deadline_ms);
    *patience_ms = wake > now ? (int64_t)(wake - now) : 0;
    return count;
}

static void turn(void *context, const struct pollfd *polled, size_t count)
{
    chaos_faults *f = context;
    ps_error error;
    (void)count;
    f->net->ops->turn(f->net, polled, clock_monotonic_ms());
    if (f->net->ops->trouble && f->net->ops->trouble(f->net, &error))
        fprintf(stderr, "%s: %s\n", f->title, error.text);
    for (size_t i = 0; i < f->plan->count; i++) {
        fault_course *course = &f->courses[i];
        if (course->state == FAULT_LASTS && since_begin(f) >= course->ended_ms)
            end_one(f, i);
        else if (course->state == FAULT_PENDING && time_has_come(f, &f->plan->faults[i]) &&
                 is_there(f, &f->plan->faults[i]))
            begin_one(f, i);
    }
    if (since_begin(f) >= f->deadline_ms && !f->hung) {
        f->hung = true;
        cluster_run_give_up(f->run);
    }
}

cluster_observer chaos_faults_observer(chaos_faults *f)
{
    return (cluster_observer){
        .context = f,
        .begun = begun,
        .reported = reported,
        .ended = ended,
        .started_again = started_again,
        .waits = waits,
        .turn = turn,
    };
}
