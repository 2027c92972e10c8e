/* sweep_state.c - see sweep_state.h. */
#include "deploy/sweep/sweep_state.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "common/file.h"
#include "common/path.h"

size_t sweep_count(const sweep *s, sweep_outcome outcome)
{
    size_t count = 0;
    for (size_t i = 0; i < s->list->count; i++)
        count += s->trials[i].outcome == outcome;
    return count;
}

size_t sweep_best(const sweep *s)
{
    const sweep_goal *goal = &s->space->goal;
    size_t best = SWEEP_NO_TRIAL;
    double leader = NAN;
    for (size_t i = 0; i < s->list->count; i++) {
        const sweep_trial *t = &s->trials[i];
        const double value = sweep_goal_value(goal, t->accuracy, t->loss);
        if (t->outcome != TRIAL_FINISHED || !sweep_goal_better(goal, value, leader))
            continue;
        leader = value;
        best = i;
    }
    return best;
}

void sweep_trial_folder(const sweep *s, size_t trial, char *text, size_t bytes)
{
    snprintf(text, bytes, "trials/%0*zu", s->list->count > 999 ? 4 : 3, trial + 1);
}

/* A link is made anew beside the old one, and takes its place. */
ps_status sweep_link_best(const sweep *s, ps_error *error)
{
    char target[32], path[PATH_BYTES], beside[PATH_BYTES];
    const size_t best = sweep_best(s);
    if (best == SWEEP_NO_TRIAL)
        return PS_OK;
    sweep_trial_folder(s, best, target, sizeof target);
    ps_status status = path_make(path, error, "%s/best", s->folder);
    if (status == PS_OK)
        status = path_make(beside, error, "%s/best" FILE_TEMPORARY_MARK "link", s->folder);
    if (status != PS_OK)
        return status;
    unlink(beside);
    return symlink(target, beside) == 0 && rename(beside, path) == 0 ? PS_OK : path_fail(error, "link", path);
}
