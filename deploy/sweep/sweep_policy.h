/* sweep_policy.h - is a run so much worse than others that it need not go on?
 *
 * Pure. Runs are compared where they have seen the same number of whole epochs, whatever their batches, at
 * the evaluations of the test set. A decision is due from `grace` epochs on, and then `interval` epochs after
 * the last one. Equal is never worse.
 *
 * - median (Golovin et al., Google Vizier, KDD 2017): a run stops whose best evaluation so far is worse than
 * the median, over the runs that have ended and had come as far, of the mean of their evaluations up to
 * there; as soon as there are `others` such runs.
 * - bandit (as in Azure Machine Learning): a run stops whose best evaluation so far is worse than the best of
 * any other run up to there by more than the factor 1 + slack. */
#ifndef PENSTOCK_DEPLOY_SWEEP_POLICY_H
#define PENSTOCK_DEPLOY_SWEEP_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum {
    SWEEP_CURVE_MAX = 1000, /* evaluations of a run that are kept; later ones are not compared */
    SWEEP_WHY_BYTES = 240,
};

typedef enum { SWEEP_ACCURACY, SWEEP_LOSS } sweep_metric;

typedef struct {
    sweep_metric metric;
    bool minimize;
} sweep_goal;

typedef enum { STOPPING_NONE, STOPPING_MEDIAN, STOPPING_BANDIT } sweep_policy;

typedef struct {
    sweep_policy policy;
    uint32_t grace, interval; /* epochs, 1 or more */
    uint32_t others;          /* median */
    double slack;             /* bandit */
} sweep_stopping;

typedef struct {
    uint32_t epoch; /* whole ones that were over */
    double accuracy, loss;
} sweep_evaluation;

/* The evaluations of one run, by rising epochs. Start from zeros; sweep_curve_fini is due. */
typedef struct {
    size_t count;
    sweep_evaluation *list;
} sweep_curve;

/* Adds an evaluation. Those of the same and of later epochs are forgotten: the run has gone back. `epoch` as
 * reported, a number with fractions; what is not finite or beyond SWEEP_CURVE_MAX evaluations is left out.
 * PS_ENOMEM. */
ps_status sweep_curve_add(sweep_curve *c, double epoch, double accuracy, double loss);

void sweep_curve_fini(sweep_curve *c);

/* The metric of the goal. */
double sweep_goal_value(const sweep_goal *goal, double accuracy, double loss);

/* Is `a` truly better than `b`? Any number is better than NaN. */
bool sweep_goal_better(const sweep_goal *goal, double a, double b);

/* Another run. */
typedef struct {
    const sweep_curve *curve;
    bool ended; /* it finished, or was stopped */
} sweep_rival;

/* Is a decision due at the last evaluation of `own`, the one before having been at epoch `decided` (0: none)?
 */
bool sweep_decision_due(const sweep_stopping *rule, const sweep_curve *own, uint32_t decided);

/* May the run go on? If not, `why` says what it was compared with. */
bool sweep_goes_on(const sweep_stopping *rule, const sweep_goal *goal, const sweep_curve *own,
                   const sweep_rival *rivals, size_t rival_count, char why[SWEEP_WHY_BYTES]);

#endif
