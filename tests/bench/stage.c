/* stage.c - see stage.h. */
#include "tests/bench/stage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const double WARM_UP_SHARE = 0.3; /* of the length of a measurement */

void stage_end(stage *s)
{
    /* Servers first: some complain when their client goes. */
    for (uint32_t i = 0; i < s->server_count; i++)
        actor_end(&s->servers[i]);
    for (uint32_t i = 0; i < s->client_count; i++)
        actor_end(&s->clients[i]);
    s->client_count = s->server_count = 0;
}

static double cpu_seconds(const stage *s)
{
    double sum = 0;
    for (uint32_t i = 0; i < s->client_count; i++)
        sum += actor_cpu_seconds(&s->clients[i]);
    for (uint32_t i = 0; i < s->server_count; i++)
        sum += actor_cpu_seconds(&s->servers[i]);
    return sum;
}

ps_status stage_measure(const stage *s, const actor_order *order, sample *out, ps_error *error)
{
    *out = (sample){0};
    double cpu = cpu_seconds(s), operations = 0;
    for (uint32_t i = 0; i < s->client_count; i++) {
        ps_status status = actor_send_order(&s->clients[i], order, error);
        if (status != PS_OK)
            return status;
    }
    for (uint32_t i = 0; i < s->client_count; i++) {
        actor_answer answer;
        ps_status status = actor_receive_answer(&s->clients[i], order->seconds, &answer, error);
        if (status != PS_OK)
            return status;
        if (answer.operations == 0 || !(answer.seconds > 0))
            return ps_fail(error, PS_EINTERNAL, "nothing was done in a measurement");
        double step = answer.seconds / (double)answer.operations;
        operations += (double)answer.operations;
        out->rate += 1 / step;
        out->step_s = step > out->step_s ? step : out->step_s;
        if (i == 0)
            memcpy(out->latency_s, answer.latency_s, sizeof out->latency_s);
    }
    out->cpu_s = (cpu_seconds(s) - cpu) / operations;
    return PS_OK;
}

static ps_status measure_stage(const contender *c, double seconds, sample *out, ps_error *error)
{
    const actor_order order = {.seconds = seconds, .variant = c->variant, .operations = c->operations};
    return stage_measure(c->subject, &order, out, error);
}

contender stage_contender(const stage *s, uint32_t variant)
{
    return (contender){.measure = measure_stage, .subject = s, .variant = variant};
}

/* ---- medians ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median(double *values, uint32_t count)
{
    qsort(values, count, sizeof *values, by_value);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* A sample is a struct of doubles, so it can be gone through like an array. */
enum { FIGURES = sizeof(sample) / sizeof(double) };
static_assert(sizeof(sample) == (3 + LATENCIES) * sizeof(double), "a sample holds nothing but doubles");

static double *figures(sample *s)
{
    return (double *)s;
}

static void take_medians(sample *samples, uint32_t count, sample *out)
{
    static double values[OPTIONS_TURNS_MAX];
    for (uint32_t f = 0; f < FIGURES; f++) {
        for (uint32_t i = 0; i < count; i++)
            values[i] = figures(&samples[i])[f];
        figures(out)[f] = median(values, count);
    }
}

/* Where the floor's figure is 0, it is not taken; nor is the ratio. */
static void divide(sample *penstock, sample *floor, sample *ratio)
{
    for (uint32_t f = 0; f < FIGURES; f++)
        figures(ratio)[f] = figures(floor)[f] > 0 ? figures(penstock)[f] / figures(floor)[f] : 0;
}

ps_status turns_take(const bench_options *o, double share, const contender *penstock, const contender *floor,
                     comparison *out, ps_error *error)
{
    static sample samples[2][OPTIONS_TURNS_MAX], ratios[OPTIONS_TURNS_MAX];
    const contender *both[2] = {penstock, floor};
    double seconds = o->seconds * share;
    memset(samples, 0, sizeof samples);
    for (uint32_t i = 0; i < 2; i++) {
        sample unused;
        ps_status status =
            both[i] ? both[i]->measure(both[i], seconds * WARM_UP_SHARE, &unused, error) : PS_OK;
        if (status != PS_OK)
            return status;
    }
    for (uint32_t turn = 0; turn < o->turns; turn++) {
        for (uint32_t i = 0; i < 2; i++) {
            uint32_t which = (turn + i) % 2;
            if (!both[which])
                continue;
            ps_status status = both[which]->measure(both[which], seconds, &samples[which][turn], error);
            if (status != PS_OK)
                return status;
        }
        divide(&samples[0][turn], &samples[1][turn], &ratios[turn]);
    }
    take_medians(samples[0], o->turns, &out->penstock);
    take_medians(samples[1], o->turns, &out->floor);
    take_medians(ratios, o->turns, &out->ratio);
    return PS_OK;
}
