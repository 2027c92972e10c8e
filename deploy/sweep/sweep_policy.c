/* sweep_policy.c - see sweep_policy.h. */
#include "deploy/sweep/sweep_policy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "deploy/growing.h"

/* An epoch whose last step is not a whole one's share of rows off is over. */
#define EPOCH_TOLERANCE 1e-9

enum { RIVALS_MAX = 1000 };

ps_status sweep_curve_add(sweep_curve *c, double epoch, double accuracy, double loss)
{
    if (!(epoch >= 0 && epoch < UINT32_MAX))
        return PS_OK;
    const uint32_t whole = (uint32_t)(epoch + EPOCH_TOLERANCE);
    while (c->count > 0 && c->list[c->count - 1].epoch >= whole)
        c->count--;
    if (c->count == SWEEP_CURVE_MAX)
        return PS_OK;
    sweep_evaluation *list = growing_room(c->list, c->count, sizeof *list);
    if (!list)
        return PS_ENOMEM;
    c->list = list;
    c->list[c->count++] = (sweep_evaluation){.epoch = whole, .accuracy = accuracy, .loss = loss};
    return PS_OK;
}

void sweep_curve_fini(sweep_curve *c)
{
    free(c->list);
    *c = (sweep_curve){0};
}

double sweep_goal_value(const sweep_goal *goal, double accuracy, double loss)
{
    return goal->metric == SWEEP_ACCURACY ? accuracy : loss;
}

bool sweep_goal_better(const sweep_goal *goal, double a, double b)
{
    if (isnan(a) || isnan(b))
        return !isnan(a) && isnan(b);
    return goal->minimize ? a < b : a > b;
}

static double value_at(const sweep_goal *goal, const sweep_curve *c, size_t i)
{
    return sweep_goal_value(goal, c->list[i].accuracy, c->list[i].loss);
}

static uint32_t last_epoch(const sweep_curve *c)
{
    return c->count > 0 ? c->list[c->count - 1].epoch : 0;
}

static double best_up_to(const sweep_goal *goal, const sweep_curve *c, uint32_t epoch)
{
    double best = NAN;
    for (size_t i = 0; i < c->count && c->list[i].epoch <= epoch; i++)
        if (sweep_goal_better(goal, value_at(goal, c, i), best))
            best = value_at(goal, c, i);
    return best;
}

/* NaN if any of them is: the run had diverged. */
static double mean_up_to(const sweep_goal *goal, const sweep_curve *c, uint32_t epoch)
{
    double sum = 0;
    size_t count = 0;
    for (; count < c->count && c->list[count].epoch <= epoch; count++)
        sum += value_at(goal, c, count);
    return sum / (double)count; /* 0 / 0 is NaN */
}

static int by_rising_number(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The middle one of the sorted values, or the mean of the two. Runs without a number are the worst. */
static double median(const sweep_goal *goal, double *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (isnan(values[i]))
            values[i] = goal->minimize ? INFINITY : -INFINITY;
    qsort(values, count, sizeof *values, by_rising_number);
    const double low = values[(count - 1) / 2], high = values[count / 2];
    return isinf(low) || isinf(high) ? low : low + (high - low) / 2;
}

bool sweep_decision_due(const sweep_stopping *rule, const sweep_curve *own, uint32_t decided)
{
    const uint32_t epoch = last_epoch(own);
    if (rule->policy == STOPPING_NONE || epoch < rule->grace)
        return false;
    return decided == 0 || (epoch > decided && epoch - decided >= rule->interval);
}

static bool passes_median(const sweep_stopping *rule, const sweep_goal *goal, const sweep_curve *own,
                          const sweep_rival *rivals, size_t rival_count, char why[SWEEP_WHY_BYTES])
{
    const uint32_t epoch = last_epoch(own);
    double means[RIVALS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < rival_count && count < RIVALS_MAX; i++)
        if (rivals[i].ended && last_epoch(rivals[i].curve) >= epoch)
            means[count++] = mean_up_to(goal, rivals[i].curve, epoch);
    if (count == 0 || count < rule->others)
        return true;
    const double limit = median(goal, means, count), best = best_up_to(goal, own, epoch);
    if (!sweep_goal_better(goal, limit, best))
        return true;
    snprintf(why, SWEEP_WHY_BYTES, "epoch %u: %.4g is worse than the median of %zu runs, %.4g", epoch, best,
             count, limit);
    return false;
}

static bool passes_bandit(const sweep_stopping *rule, const sweep_goal *goal, const sweep_curve *own,
                          const sweep_rival *rivals, size_t rival_count, char why[SWEEP_WHY_BYTES])
{
    const uint32_t epoch = last_epoch(own);
    double leader = NAN;
    for (size_t i = 0; i < rival_count; i++) {
        const sweep_curve *c = rivals[i].curve;
        const double value = last_epoch(c) >= epoch ? best_up_to(goal, c, epoch) : NAN;
        if (sweep_goal_better(goal, value, leader))
            leader = value;
    }
    const double limit = goal->minimize ? leader * (1 + rule->slack) : leader / (1 + rule->slack);
    const double best = best_up_to(goal, own, epoch);
    if (!sweep_goal_better(goal, limit, best))
        return true;
    snprintf(why, SWEEP_WHY_BYTES, "epoch %u: %.4g is not within a slack of %g of the best run, %.4g", epoch,
             best, rule->slack, leader);
    return false;
}

bool sweep_goes_on(const sweep_stopping *rule, const sweep_goal *goal, const sweep_curve *own,
                   const sweep_rival *rivals, size_t rival_count, char why[SWEEP_WHY_BYTES])
{
    why[0] = '\0';
    if (own->count == 0)
        return true;
    switch (rule->policy) {
    case STOPPING_MEDIAN:
        return passes_median(rule, goal, own, rivals, rival_count, why);
    case STOPPING_BANDIT:
        return passes_bandit(rule, goal, own, rivals, rival_count, why);
    default:
        return true;
    }
}
