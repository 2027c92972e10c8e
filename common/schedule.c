/* schedule.c - see schedule.h.
 *
 * With p = elapsed / decay_steps, held at 1 from the end on for the last two:
 *   constant      rate
 *   step          rate * decay_rate^floor(p)
 *   exponential   rate * decay_rate^p
 *   cosine        from rate to end_rate by (1 + cos(pi p)) / 2    (Loshchilov and Hutter 2017, no restarts)
 *   polynomial    from rate to end_rate by (1 - p)^power */
#include "common/schedule.h"

#include <assert.h>
#include <math.h>

static const double PI = 3.14159265358979323846;

typedef double decay_function(const schedule_config *config, uint64_t elapsed);

/* Weighted rather than end + (rate - end) * share, which would miss the rate itself by a rounding. */
static double blend(const schedule_config *config, double share)
{
    return config->learning_rate * share + config->end_rate * (1 - share);
}

/* Exactly 1 at the end and beyond. */
static double progress(const schedule_config *config, uint64_t elapsed)
{
    return elapsed < config->decay_steps ? (double)elapsed / (double)config->decay_steps : 1;
}

static double constant(const schedule_config *config, uint64_t elapsed)
{
    (void)elapsed;
    return config->learning_rate;
}

static double step_decay(const schedule_config *config, uint64_t elapsed)
{
    return config->learning_rate * pow(config->decay_rate, (double)(elapsed / config->decay_steps));
}

static double exponential(const schedule_config *config, uint64_t elapsed)
{
    return config->learning_rate * pow(config->decay_rate, (double)elapsed / (double)config->decay_steps);
}

static double cosine(const schedule_config *config, uint64_t elapsed)
{
    return blend(config, (1 + cos(PI * progress(config, elapsed))) / 2);
}

static double polynomial(const schedule_config *config, uint64_t elapsed)
{
    return blend(config, pow(1 - progress(config, elapsed), config->power));
}

static decay_function *const decays[] = {
    [SCHEDULE_CONSTANT] = constant, [SCHEDULE_STEP] = step_decay,       [SCHEDULE_EXPONENTIAL] = exponential,
    [SCHEDULE_COSINE] = cosine,     [SCHEDULE_POLYNOMIAL] = polynomial,
};

double schedule_rate(const schedule_config *config, uint64_t step)
{
    assert(step >= 1);
    if (step <= config->warmup_steps)
        return config->learning_rate * ((double)step / (double)config->warmup_steps);
    return decays[config->kind](config, step - config->warmup_steps - 1);
}
