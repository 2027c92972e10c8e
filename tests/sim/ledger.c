/* ledger.c - see ledger.h. */
#include "tests/sim/ledger.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ps/shard_state.h"

/* Of sums of at most 84 gradients below 0.5 times 0.05, rounded to f32 each time. */
#define SUM_TOLERANCE 1e-4

struct ledger {
    const scenario *scenario;
    const partition *partition;
    const trajectory *trajectory;
    uint64_t end; /* by order */
    uint64_t computed[SCENARIO_WORKERS_MAX];
    uint64_t examples[SCENARIO_WORKERS_MAX][SCENARIO_STEPS_MAX + 1]; /* of the steps up to this */
    double *sums; /* (workers, steps + 1, elements) of the gradients up to a step; NULL: they do not add up */
};

static bool is_sync(const ledger *l)
{
    return l->scenario->job.mode == CONSISTENCY_SYNC;
}

static bool is_exact(const ledger *l)
{
    return scenario_is_exact(l->scenario);
}

static double *sum_of(const ledger *l, uint32_t worker, uint64_t step)
{
    return l->sums + (worker * (l->scenario->steps + UINT64_C(1)) + step) * l->trajectory->elements;
}

static ps_status add_up(ledger *l)
{
    const scenario *s = l->scenario;
    const uint64_t elements = l->trajectory->elements;
    float *gradient = malloc(elements * sizeof *gradient);
    l->sums = calloc(s->job.workers * (s->steps + UINT64_C(1)) * elements, sizeof *l->sums);
    for (uint32_t w = 0; gradient && l->sums && w < s->job.workers; w++) {
        for (uint64_t step = 1; step <= s->steps; step++) {
            toy_batch batch;
            toy_gradient(s, NULL, w, step, NULL, gradient, &batch);
            bool counts = batch.examples > 0 && !batch.nonfinite;
            for (uint64_t i = 0; i < elements; i++)
                sum_of(l, w, step)[i] = sum_of(l, w, step - 1)[i] + (counts ? (double)gradient[i] : 0);
        }
    }
    ps_status status = gradient && l->sums ? PS_OK : PS_ENOMEM;
    free(gradient);
    return status;
}

ps_status ledger_create(const scenario *s, const partition *p, const trajectory *t, ledger **out)
{
    ledger *l = calloc(1, sizeof *l);
    *out = l;
    if (!l)
        return PS_ENOMEM;
    l->scenario = s;
    l->partition = p;
    l->trajectory = t;
    for (uint32_t w = 0; w < s->job.workers; w++)
        for (uint64_t step = 1; step <= s->steps; step++)
            l->examples[w][step] = l->examples[w][step - 1] + toy_contribution(s, NULL, w, step);
    return s->additive ? add_up(l) : PS_OK;
}

void ledger_destroy(ledger **handle)
{
    ledger *l = *handle;
    *handle = NULL;
    if (l)
        free(l->sums);
    free(l);
}

void ledger_set_end(ledger *l, uint64_t step)
{
    l->end = step;
}

uint64_t ledger_end(const ledger *l)
{
    return l->end;
}

uint64_t ledger_last_step(const ledger *l, const members_list *list)
{
    const uint64_t last = scenario_last_step(l->scenario, list);
    return l->end > 0 && l->end < last ? l->end : last;
}

uint64_t ledger_steps_of(const ledger *l, uint32_t worker)
{
    return l->end > 0 ? l->computed[worker] : l->scenario->workers[worker].steps;
}

void ledger_computed(ledger *l, uint32_t worker, uint64_t step)
{
    if (l->computed[worker] < step)
        l->computed[worker] = step;
}

/* ---- numbers ---- */

/* What a shard, or its image, says of itself: of each worker the last step that is in its weights. */
typedef struct {
    const char *what;
    uint32_t server;
    uint64_t applied, examples;
    uint64_t pushed[SCENARIO_WORKERS_MAX];
    const members_list *members; /* borrowed */
} account;

static uint64_t examples_until(const ledger *l, const account *a)
{
    uint64_t examples = 0;
    if (is_exact(l))
        return trajectory_examples(l->trajectory, a->members, a->applied);
    for (uint32_t w = 0; w < l->scenario->job.workers; w++)
        examples += l->examples[w][is_sync(l) ? a->applied : a->pushed[w]];
    return examples;
}

static ps_status check_clocks(const ledger *l, const account *a, ps_error *error)
{
    uint64_t updates = 0;
    for (uint32_t w = 0; w < l->scenario->job.workers; w++) {
        if (a->pushed[w] > l->computed[w])
            return ps_fail(error, PS_EINTERNAL,
                           "ledger: %s of ps/%u holds step %llu of worker %u, which has computed %llu",
                           a->what, a->server, (unsigned long long)a->pushed[w], w,
                           (unsigned long long)l->computed[w]);
        updates += a->pushed[w];
    }
    if (updates != a->applied)
        return ps_fail(error, PS_EINTERNAL,
                       "ledger: %s of ps/%u has %llu updates, but the steps of its workers make %llu",
                       a->what, a->server, (unsigned long long)a->applied, (unsigned long long)updates);
    return PS_OK;
}

/* A step may be applied once all workers that have so many have computed theirs; with backups, which may
 * leave steps out and finish, once one has. */
static ps_status check_step(const ledger *l, const account *a, ps_error *error)
{
    const job_config *job = &l->scenario->job;
    uint32_t missing = 0;
    for (uint32_t w = 0; w < job->workers; w++)
        missing += a->applied > l->computed[w] && l->computed[w] < l->scenario->workers[w].steps &&
                   members_include(a->members, w, a->applied);
    const uint32_t most = job->backup_workers > 0 ? job->workers - 1 : 0;
    /* The end that is ordered may come before where this shard is, if that is still to go back. */
    if (a->applied <= scenario_last_step(l->scenario, a->members) && (missing <= most || a->applied == 0))
        return PS_OK;
    return ps_fail(error, PS_EINTERNAL,
                   "ledger: %s of ps/%u is at step %llu, which %u workers have not reached", a->what,
                   a->server, (unsigned long long)a->applied, missing);
}

static ps_status check_account(const ledger *l, const account *a, ps_error *error)
{
    ps_status status = is_sync(l) ? check_step(l, a, error) : check_clocks(l, a, error);
    if (status != PS_OK)
        return status;
    const uint64_t examples = examples_until(l, a);
    if (a->examples > examples || (a->examples != examples && (is_exact(l) || !is_sync(l))))
        return ps_fail(error, PS_EINTERNAL,
                       "ledger: %s of ps/%u counts %llu examples; the steps that it holds have %llu", a->what,
                       a->server, (unsigned long long)a->examples, (unsigned long long)examples);
    return PS_OK;
}

static account account_of(const ledger *l, uint32_t server, const shard *s)
{
    account a = {
        .what = "the shard",
        .server = server,
        .applied = s->consistency.applied,
        .examples = s->counters.examples_applied,
        .members = &s->consistency.members,
    };
    for (uint32_t w = 0; w < l->scenario->job.workers; w++)
        a.pushed[w] = s->consistency.clocks[w].pushed - s->consistency.clocks[w].waiting;
    return a;
}

static ps_status check_member(const shard *s, const member *m, const char *role, uint32_t index,
                              ps_error *error)
{
    if (m->request_count <= shard_requests_max(s) && m->unsettled_count <= shard_requests_max(s))
        return PS_OK;
    return ps_fail(error, PS_EINTERNAL,
                   "bounds: ps/%u holds %u requests of %s %u, and %u answers that may be on their way",
                   s->config.index, m->request_count, role, index, m->unsettled_count);
}

ps_status ledger_check_shard(const ledger *l, uint32_t server, const shard *s, ps_error *error)
{
    if (!s->has_job || s->slice_count == 0)
        return PS_OK;
    const account a = account_of(l, server, s);
    ps_status status = check_account(l, &a, error);
    for (uint32_t w = 0; w < s->job.workers && status == PS_OK; w++)
        status = check_member(s, &s->workers[w], "worker", w, error);
    for (uint32_t i = 0; i < s->job.evaluators && status == PS_OK; i++)
        status = check_member(s, &s->evaluators[i], "evaluator", i, error);
    return status;
}

ps_status ledger_check_recovered(const ledger *l, uint32_t server, const shard *s,
                                 const checkpoint_state *expected, ps_error *error)
{
    const checkpoint_state start = {0};
    if (s->slice_count == 0)
        return PS_OK;
    const account a = account_of(l, server, s);
    const uint64_t step = expected ? expected->step : start.step;
    if (a.applied != step)
        return ps_fail(error, PS_EINTERNAL,
                       "ledger: ps/%u comes back at step %llu, but its newest whole image is of step %llu",
                       server, (unsigned long long)a.applied, (unsigned long long)step);
    for (uint32_t w = 0; w < l->scenario->job.workers && expected && !is_sync(l); w++)
        if (a.pushed[w] != expected->clocks[w].pushed)
            return ps_fail(error, PS_EINTERNAL,
                           "ledger: ps/%u comes back with step %llu of worker %u; its image holds step %llu",
                           server, (unsigned long long)a.pushed[w], w,
                           (unsigned long long)expected->clocks[w].pushed);
    return PS_OK;
}

/* ---- members ---- */

static bool is_same_list(const members_list *a, const members_list *b)
{
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++)
        same = a->changes[i].from == b->changes[i].from && a->changes[i].worker == b->changes[i].worker &&
               a->changes[i].enters == b->changes[i].enters;
    return same;
}

ps_status ledger_check_lists(const ledger *l, const shard *a, const shard *b, ps_error *error)
{
    if (!a->has_job || !b->has_job || a->epoch != b->epoch)
        return PS_OK;
    const members_list *of_a = &a->consistency.members, *of_b = &b->consistency.members;
    const uint64_t applied_a = a->consistency.applied, applied_b = b->consistency.applied;
    const uint64_t both = applied_a < applied_b ? applied_a : applied_b;
    const uint64_t difference = members_first_difference(of_a, of_b, l->scenario->job.workers);
    if (difference <= both)
        return ps_fail(error, PS_EINTERNAL,
                       "members: ps/%u and ps/%u have applied step %llu with different members",
                       a->config.index, b->config.index, (unsigned long long)difference);
    if (of_a->version == of_b->version && !is_same_list(of_a, of_b))
        return ps_fail(error, PS_EINTERNAL, "members: ps/%u and ps/%u have different lists of version %llu",
                       a->config.index, b->config.index, (unsigned long long)of_a->version);
    return PS_OK;
}

ps_status ledger_check_rows(const ledger *l, const members_list *list, ps_error *error)
{
    const scenario *s = l->scenario;
    if (!s->shrinks || s->epochs == 0)
        return PS_OK;
    const sampler draws = scenario_sampler(s, list);
    const uint64_t last = scenario_last_step(s, list);
    uint32_t *used = calloc(s->rows, sizeof *used);
    if (!used)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    for (uint64_t step = 1; step <= last; step++) {
        for (uint32_t w = 0; w < s->job.workers; w++) {
            uint64_t rows[SCENARIO_BATCH_MAX];
            const uint32_t count = sampler_rows(&draws, step, w, rows);
            for (uint32_t i = 0; i < count; i++)
                used[rows[i]]++;
        }
    }
    ps_status status = PS_OK;
    for (uint64_t row = 0; row < s->rows && status == PS_OK; row++)
        if (used[row] != s->epochs)
            status = ps_fail(error, PS_EINTERNAL, "members: in %u epochs row %llu is used %u times",
                             s->epochs, (unsigned long long)row, used[row]);
    free(used);
    return status;
}

/* ---- weights ---- */

static const slice *slice_of(const ledger *l, uint32_t server, uint32_t ordinal)
{
    const partition *p = l->partition;
    return &p->slices[p->server_slices[p->server_first[server] + ordinal]];
}

static uint64_t place_of(const ledger *l, const slice *cut)
{
    return toy_offset(&l->scenario->job, cut->tensor) + cut->offset;
}

static bool is_version(const ledger *l, const slice *cut, const members_list *members, uint64_t step,
                       const void *values)
{
    const float *expected = step <= scenario_last_step(l->scenario, members)
                                ? trajectory_version(l->trajectory, members, step)
                                : NULL;
    return expected && memcmp(values, expected + place_of(l, cut), cut->count * sizeof *expected) == 0;
}

/* Are these the initial weights less all that the account holds, once? */
static bool is_sum(const ledger *l, const slice *cut, const account *a, const float *values)
{
    const uint64_t first = place_of(l, cut);
    const float *initial = trajectory_version(l->trajectory, NULL, 0) + first;
    for (uint32_t i = 0; i < cut->count; i++) {
        double sum = 0;
        for (uint32_t w = 0; w < l->scenario->job.workers; w++)
            sum += sum_of(l, w, a->pushed[w])[first + i];
        double expected = (double)initial[i] - l->scenario->job.schedule.learning_rate * sum;
        if (fabs(expected - (double)values[i]) > SUM_TOLERANCE)
            return false;
    }
    return true;
}

static ps_status check_weights(const ledger *l, const account *a, const slice *cut, const float *values,
                               ps_error *error)
{
    bool right = true;
    if (is_exact(l))
        right = is_version(l, cut, a->members, a->applied, values);
    else if (l->scenario->additive)
        right = is_sum(l, cut, a, values);
    return right
               ? PS_OK
               : ps_fail(error, PS_EINTERNAL, "ledger: weights in %s of ps/%u are not those of its step %llu",
                         a->what, a->server, (unsigned long long)a->applied);
}

/* An answer that has waited for the log may be of a time before the shard has gone back, and its members have
 * changed. */
ps_status ledger_check_answer(const ledger *l, const shard *s, const wire_message *answer, ps_error *error)
{
    const uint32_t server = s->config.index;
    const members_list *members = &s->consistency.members;
    if (!is_exact(l) || answer->type != WIRE_WEIGHTS || answer->slice_count == 0 ||
        answer->members_version != members->version)
        return PS_OK;
    const account now = {.what = "an answer",
                         .server = server,
                         .applied = answer->step + answer->exact, /* exact: of the version before */
                         .examples = answer->examples_total,
                         .members = members};
    ps_status status = check_account(l, &now, error);
    if (status != PS_OK)
        return status;
    for (uint32_t i = 0; i < answer->slice_count; i++)
        if (!is_version(l, &l->partition->slices[answer->slices[i]], members, answer->step,
                        buffer_bytes(answer->payloads[i])))
            return ps_fail(error, PS_EINTERNAL, "ledger: ps/%u sends weights that are not those of step %llu",
                           server, (unsigned long long)answer->step);
    return PS_OK;
}

ps_status ledger_check_image(const ledger *l, uint32_t server, const checkpoint_state *state,
                             const float *values, ps_error *error)
{
    account a = {
        .what = "the image",
        .server = server,
        .applied = state->step,
        .examples = state->examples,
        .members = &state->members,
    };
    for (uint32_t w = 0; w < l->scenario->job.workers; w++)
        a.pushed[w] = state->clocks[w].pushed;
    ps_status status = check_account(l, &a, error);
    const uint32_t arrays = 1 + optimizer_slots(&l->scenario->job.optimizer);
    for (uint32_t i = 0; i < partition_server_count(l->partition, server) && status == PS_OK; i++) {
        const slice *cut = slice_of(l, server, i);
        status = check_weights(l, &a, cut, values, error);
        values += (uint64_t)cut->count * arrays;
    }
    return status;
}

/* ---- the end ---- */

ps_status ledger_check_end(const ledger *l, uint32_t server, const shard *s, ps_error *error)
{
    if (!s->has_job || s->slice_count == 0)
        return PS_OK;
    const account a = account_of(l, server, s);
    /* Of a job that was ended a ps may lack steps that it has lost, or whose worker died amid them: nobody
     * does them again. */
    for (uint32_t w = 0; w < s->job.workers && !is_sync(l) && l->end == 0; w++)
        if (a.pushed[w] != l->scenario->workers[w].steps)
            return ps_fail(error, PS_EINTERNAL,
                           "end: ps/%u has applied %llu steps of worker %u, which has done %u", server,
                           (unsigned long long)a.pushed[w], w, l->scenario->workers[w].steps);
    const uint64_t last = ledger_last_step(l, a.members);
    if (is_sync(l) && a.applied != last)
        return ps_fail(error, PS_EINTERNAL, "end: ps/%u has applied %llu steps of %llu", server,
                       (unsigned long long)a.applied, (unsigned long long)last);
    ps_status status = ledger_check_rows(l, a.members, error);
    for (uint32_t i = 0; i < s->slice_count && status == PS_OK; i++)
        status =
            check_weights(l, &a, slice_of(l, server, i), buffer_bytes(store_weights(s->store, i)), error);
    return status;
}
