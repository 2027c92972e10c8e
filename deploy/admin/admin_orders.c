/* admin_orders.c - see admin_orders.h. */
#include "deploy/admin/admin_orders.h"

#include <stdio.h>
#include <time.h>

#include "common/clock.h"

enum {
    PACE_MS = 200,  /* between two looks at where the ps are */
    AHEAD_MS = 300, /* that an order needs to reach all of them, and be taken in */
    TRIES_MAX = 8,  /* each names a step twice as far ahead as the one before */
    POLL_MS = 100,  /* while the ps have not come as far */
    SAY_MS = 5000,
};

/* Is there no time left to pause, and to ask once more? */
static bool is_late(const admin_session *s)
{
    return clock_monotonic_ms() + UINT64_C(2) * POLL_MS >= s->deadline_ms;
}

static void pause_ms(long ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000};
    nanosleep(&pause, NULL); /* a signal ends it early; the caller looks */
}

static ps_status first_refusal(const admin_answer *answers, const bool *wanted, uint32_t count,
                               ps_error *error)
{
    for (uint32_t i = 0; i < count; i++)
        if (wanted[i] && answers[i].type == WIRE_ERROR) {
            *error = answers[i].said;
            return error->status;
        }
    return PS_OK;
}

/* The furthest step of those that have any; `holds` (count): who has. */
static ps_status look(const admin_session *s, bool *holds, uint64_t *furthest, ps_error *error)
{
    admin_answer answers[CLUSTER_TASKS_MAX];
    bool all[CLUSTER_TASKS_MAX];
    for (uint32_t i = 0; i < s->servers; i++)
        all[i] = true;
    ps_status status =
        admin_link_ask(s->link, WIRE_CHECKPOINT, 0, all, s->deadline_ms, s->stop, answers, error);
    if (status == PS_OK)
        status = first_refusal(answers, all, s->servers, error);
    *furthest = 0;
    for (uint32_t i = 0; i < s->servers && status == PS_OK; i++) {
        holds[i] = answers[i].type == WIRE_PENDING; /* the others have no part of the model */
        if (holds[i] && answers[i].step > *furthest)
            *furthest = answers[i].step;
    }
    return status;
}

/* A step that none has passed by the time that it hears of it, at the present pace and `patience` times
 * AHEAD_MS. */
static ps_status choose(const admin_session *s, unsigned patience, bool *holds, uint64_t *step,
                        ps_error *error)
{
    uint64_t before, now;
    ps_status status = look(s, holds, &before, error);
    const uint64_t begun_ms = clock_monotonic_ms();
    if (status != PS_OK)
        return status;
    pause_ms(PACE_MS);
    status = look(s, holds, &now, error);
    if (status != PS_OK)
        return status;
    const uint64_t elapsed_ms = clock_monotonic_ms() - begun_ms;
    const uint64_t done = now > before ? now - before : 0;
    *step = now;
    if (done > 0 && elapsed_ms > 0)
        *step += done * AHEAD_MS * patience / elapsed_ms + 1;
    return *step > 0 ? PS_OK
                     : ps_fail(error, PS_ESTATE, "no step has been done yet, of which to keep a checkpoint");
}

/* Waits until all have kept it. PS_ENOENT: one has passed it. */
static ps_status await(const admin_session *s, uint64_t step, bool *wanted, ps_error *error)
{
    admin_answer answers[CLUSTER_TASKS_MAX];
    uint64_t said_ms = clock_monotonic_ms();
    for (;;) {
        uint32_t last = s->servers; /* who has not */
        ps_status status =
            admin_link_ask(s->link, WIRE_CHECKPOINT, step, wanted, s->deadline_ms, s->stop, answers, error);
        if (status == PS_OK)
            status = first_refusal(answers, wanted, s->servers, error);
        if (status != PS_OK)
            return status;
        for (uint32_t i = 0; i < s->servers; i++) {
            wanted[i] = wanted[i] && answers[i].type != WIRE_ACK;
            last = wanted[i] ? i : last;
        }
        if (last == s->servers)
            return PS_OK;
        const admin_answer *at = &answers[last];
        const uint64_t now = clock_monotonic_ms();
        if (is_late(s))
            return ps_fail(error, PS_ETIMEDOUT, "ps/%u has not kept step %llu; it is at step %llu: %.400s",
                           last, (unsigned long long)step, (unsigned long long)at->step, at->said.text);
        if (now - said_ms >= SAY_MS) {
            said_ms = now;
            fprintf(stderr, "waiting for step %llu: ps/%u is at step %llu: %s\n", (unsigned long long)step,
                    last, (unsigned long long)at->step, at->said.text);
        }
        pause_ms(POLL_MS);
    }
}

ps_status admin_checkpoint(const admin_session *s, uint64_t *step, ps_error *error)
{
    bool holds[CLUSTER_TASKS_MAX];
    ps_status status = PS_ENOENT;
    for (unsigned tries = 0; tries < TRIES_MAX && status == PS_ENOENT; tries++) {
        status = choose(s, 1U << tries, holds, step, error);
        if (status == PS_OK)
            status = await(s, *step, holds, error);
    }
    if (status == PS_ENOENT) {
        const ps_error last = *error;
        return ps_fail(error, PS_ETIMEDOUT,
                       "a step to come was named %d times, and too late each time: %.400s", TRIES_MAX,
                       last.text);
    }
    return status;
}

ps_status admin_stop(const admin_session *s, uint64_t *end, ps_error *error)
{
    admin_answer answers[CLUSTER_TASKS_MAX];
    bool wanted[CLUSTER_TASKS_MAX] = {true};
    for (;;) {
        ps_status status =
            admin_link_ask(s->link, WIRE_STOP, 0, wanted, s->deadline_ms, s->stop, answers, error);
        if (status == PS_OK)
            status = first_refusal(answers, wanted, 1, error);
        if (status != PS_OK)
            return status;
        *end = answers[0].end_step > 1 ? answers[0].end_step : 0;
        if (answers[0].type == WIRE_ACK)
            return PS_OK;
        if (is_late(s))
            return ps_fail(error, PS_ETIMEDOUT, "ps/0 has taken the order, but %s", answers[0].said.text);
        pause_ms(POLL_MS);
    }
}
