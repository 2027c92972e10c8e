/* chronicle.c - see chronicle.h. */
#include "ps/chronicle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/schedule.h"
#include "ps/ps_metrics.h"

#define NS_PER_MS 1e6

typedef struct {
    uint64_t unix_ms, step, examples;
    double loss, accuracy, learning_rate, examples_per_s, apply_ms;
} point;

typedef struct {
    uint64_t unix_ms, step;
    double accuracy, loss;
} test;

/* Of a worker, between two messages. */
typedef struct {
    uint64_t unix_ms, step;
    double ms[5]; /* step, compute, push, wait, pull */
} stretch;

typedef struct {
    uint64_t heard; /* figures_count when it was last looked at */
    uint64_t heard_ms, incarnation, tests;
    worker_figures before;
    chronicle_pace pace;
    uint64_t count; /* of stretches so far */
    stretch recent[CHRONICLE_RECENT_MAX];
} past;

typedef struct {
    uint64_t ms, step, examples;
} sample;

struct chronicle {
    uint32_t workers, evaluators;
    past *pasts; /* (workers + evaluators); NULL until there is a job */
    uint32_t points;
    uint64_t interval_ms, point_ms; /* between points, and when the last was */
    point history[CHRONICLE_POINTS_MAX];
    uint64_t test_count; /* so far */
    test tests[CHRONICLE_TESTS_MAX];
    uint32_t sample_count;
    sample samples[CHRONICLE_SPEED_SAMPLES_MAX]; /* oldest first */

    /* Since the last point. */
    double loss_sum;
    uint64_t rows, correct;
    uint64_t applies, apply_ns; /* as of it */

    chronicle_progress now;
};

chronicle *chronicle_create(void)
{
    chronicle *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->interval_ms = CHRONICLE_POINT_MS;
    c->now = (chronicle_progress){.loss = NAN,
                                  .accuracy = NAN,
                                  .learning_rate = NAN,
                                  .examples_per_s = NAN,
                                  .steps_per_s = NAN,
                                  .apply_ms = NAN,
                                  .epoch = NAN,
                                  .epochs = NAN,
                                  .eta_s = NAN};
    return c;
}

void chronicle_destroy(chronicle **handle)
{
    chronicle *c = *handle;
    *handle = NULL;
    if (!c)
        return;
    free(c->pasts);
    free(c);
}

/* ---- workers ---- */

static const chronicle_pace no_pace = {NAN, NAN, NAN, NAN, NAN, NAN, NAN};

static void note_test(chronicle *c, past *p, const worker_figures *now, uint64_t unix_ms)
{
    if (now->tests == 0 || now->tests == p->tests)
        return;
    p->tests = now->tests;
    c->tests[c->test_count++ % CHRONICLE_TESTS_MAX] = (test){
        .unix_ms = unix_ms, .step = now->test_step, .accuracy = now->test_accuracy, .loss = now->test_loss};
    c->now.tested = true;
    c->now.test_step = now->test_step;
    c->now.test_accuracy = now->test_accuracy;
    c->now.test_loss = now->test_loss;
}

/* What came since its message before; all of it, where that was of another process. */
static void note_figures(chronicle *c, past *p, const worker_figures *now, uint64_t now_ms, uint64_t unix_ms)
{
    const worker_figures *before = &p->before;
    const uint64_t steps = now->steps - before->steps, rows = now->examples - before->examples;
    if (now->steps < before->steps || now->examples < before->examples || steps == 0)
        return;
    const double each = 1 / ((double)steps * NS_PER_MS);
    const double loss_sum = now->loss_sum - before->loss_sum;
    p->pace = (chronicle_pace){
        .step_ms = (double)(now->step_ns - before->step_ns) * each,
        .compute_ms = (double)(now->compute_ns - before->compute_ns) * each,
        .push_ms = (double)(now->push_ns - before->push_ns) * each,
        .wait_ms = (double)(now->wait_ns - before->wait_ns) * each,
        .pull_ms = (double)(now->pull_ns - before->pull_ns) * each,
        .examples_per_s = p->heard_ms ? (double)rows * 1000 / (double)(now_ms - p->heard_ms) : NAN,
        .loss = rows > 0 ? loss_sum / (double)rows : NAN,
    };
    p->recent[p->count++ % CHRONICLE_RECENT_MAX] = (stretch){
        .unix_ms = unix_ms,
        .step = now->step,
        .ms = {p->pace.step_ms, p->pace.compute_ms, p->pace.push_ms, p->pace.wait_ms, p->pace.pull_ms}};
    c->loss_sum += loss_sum;
    c->rows += rows;
    c->correct += now->correct - before->correct;
}

static void note_member(chronicle *c, past *p, const member_view *m, uint64_t now_ms, uint64_t unix_ms)
{
    if (m->figures_count == 0 || (m->figures_count == p->heard && m->incarnation == p->incarnation))
        return;
    if (m->incarnation != p->incarnation) {
        memset(&p->before, 0, sizeof p->before);
        p->heard_ms = p->tests = 0;
        p->incarnation = m->incarnation;
    }
    note_figures(c, p, &m->figures, now_ms, unix_ms);
    note_test(c, p, &m->figures, unix_ms);
    p->before = m->figures;
    p->heard = m->figures_count;
    p->heard_ms = now_ms;
}

static bool allocate(chronicle *c, const job_config *job)
{
    if (c->pasts)
        return true;
    c->pasts = calloc(job->workers + job->evaluators, sizeof *c->pasts);
    if (!c->pasts)
        return false;
    c->workers = job->workers;
    c->evaluators = job->evaluators;
    for (uint32_t i = 0; i < c->workers + c->evaluators; i++)
        c->pasts[i].pace = no_pace;
    return true;
}

/* ---- the whole ---- */

/* In `ssp` and `async` each worker has steps of its own. */
static void note_goal(chronicle *c, const shard_view *view)
{
    uint64_t steps = 0;
    bool all = true, first = true;
    for (uint32_t w = 0; w < c->workers; w++) {
        const worker_figures *f = &view->workers[w].figures;
        if (view->workers[w].figures_count == 0) {
            all = false;
            continue;
        }
        if (first) {
            c->now.epoch = f->epoch;
            c->now.epochs = f->epochs > 0 ? f->epochs : NAN;
        }
        if (view->job->mode != CONSISTENCY_SYNC)
            steps += f->last_step;
        else if (f->last_step > steps)
            steps = f->last_step;
        all &= f->last_step > 0;
        first = false;
    }
    const bool known = !first && (all || view->job->mode == CONSISTENCY_SYNC);
    c->now.steps = known ? steps : c->now.steps;
}

static void note_speed(chronicle *c, const shard_view *view, uint64_t now_ms)
{
    const sample here = {now_ms, view->version, view->counters.examples_applied};
    sample *last = c->sample_count ? &c->samples[c->sample_count - 1] : NULL;
    if (last && (here.step < last->step || here.examples < last->examples))
        c->sample_count = 0; /* it went back */
    else if (last && now_ms - last->ms < CHRONICLE_SPEED_MS / (CHRONICLE_SPEED_SAMPLES_MAX - 2))
        return;
    uint32_t old = 0;
    while (old + 1 < c->sample_count && now_ms - c->samples[old + 1].ms >= CHRONICLE_SPEED_MS)
        old++;
    if (c->sample_count - old == CHRONICLE_SPEED_SAMPLES_MAX)
        old++;
    memmove(c->samples, c->samples + old, (c->sample_count - old) * sizeof here);
    c->sample_count -= old;
    c->samples[c->sample_count++] = here;
    const sample *from = &c->samples[0];
    const double seconds = (double)(now_ms - from->ms) / 1000;
    c->now.examples_per_s = seconds > 0 ? (double)(here.examples - from->examples) / seconds : NAN;
    c->now.steps_per_s = seconds > 0 ? (double)(here.step - from->step) / seconds : NAN;
    const bool ahead = c->now.steps > here.step && c->now.steps_per_s > 0;
    c->now.eta_s = ahead ? (double)(c->now.steps - here.step) / c->now.steps_per_s
                         : (c->now.steps > 0 && c->now.steps <= here.step ? 0 : NAN);
}

static void thin_out(chronicle *c)
{
    for (uint32_t i = 0; i < CHRONICLE_POINTS_MAX / 2; i++)
        c->history[i] = c->history[2 * i + 1];
    c->points = CHRONICLE_POINTS_MAX / 2;
    c->interval_ms *= 2;
}

static void note_point(chronicle *c, const metrics *counted, uint64_t examples, uint64_t now_ms,
                       uint64_t unix_ms)
{
    uint64_t apply_ns;
    const uint64_t applies = metrics_observed(counted, PS_METRIC_APPLY, 0, &apply_ns);
    if (now_ms - c->point_ms < c->interval_ms || (applies == c->applies && c->rows == 0))
        return;
    if (c->points == CHRONICLE_POINTS_MAX)
        thin_out(c);
    const double rows = (double)c->rows;
    point *p = &c->history[c->points++];
    *p = (point){.unix_ms = unix_ms,
                 .step = c->now.step,
                 .examples = examples,
                 .loss = c->rows ? c->loss_sum / rows : NAN,
                 .accuracy = c->rows ? (double)c->correct / rows : NAN,
                 .learning_rate = c->now.learning_rate,
                 .examples_per_s = c->now.examples_per_s,
                 .apply_ms = applies > c->applies ? (double)(apply_ns - c->apply_ns) / NS_PER_MS /
                                                        (double)(applies - c->applies)
                                                  : NAN};
    c->now.apply_ms = p->apply_ms;
    if (c->rows) {
        c->now.loss = p->loss;
        c->now.accuracy = p->accuracy;
    }
    c->point_ms = now_ms;
    c->applies = applies;
    c->apply_ns = apply_ns;
    c->loss_sum = 0;
    c->rows = c->correct = 0;
}

void chronicle_note(chronicle *c, const shard_view *view, const metrics *counted, uint64_t now_ms,
                    uint64_t unix_ms)
{
    if (!view->job || !allocate(c, view->job))
        return;
    for (uint32_t w = 0; w < c->workers; w++)
        note_member(c, &c->pasts[w], &view->workers[w], now_ms, unix_ms);
    for (uint32_t i = 0; i < c->evaluators; i++)
        note_member(c, &c->pasts[c->workers + i], &view->evaluators[i], now_ms, unix_ms);
    const bool sync = view->job->mode == CONSISTENCY_SYNC;
    const uint64_t own_step = sync ? view->version : view->version / view->job->workers;
    c->now.step = view->version;
    c->now.learning_rate = schedule_rate(&view->job->schedule, own_step > 0 ? own_step : 1);
    note_goal(c, view);
    note_speed(c, view, now_ms);
    note_point(c, counted, view->counters.examples_applied, now_ms, unix_ms);
}

chronicle_progress chronicle_tell(const chronicle *c)
{
    return c->now;
}

chronicle_pace chronicle_tell_worker(const chronicle *c, uint32_t worker)
{
    return worker < c->workers ? c->pasts[worker].pace : no_pace;
}

/* ---- as JSON ---- */

static void print_columns(json_writer *w, const char *const *names)
{
    json_open(w, "columns", '[');
    for (; *names; names++)
        json_put_text(w, NULL, *names);
    json_close(w, ']');
}

void chronicle_print_history(const chronicle *c, json_writer *w)
{
    static const char *const names[] = {"unix_ms",       "step",           "examples", "loss", "accuracy",
                                        "learning_rate", "examples_per_s", "apply_ms", NULL};
    json_open(w, "history", '{');
    json_put_count(w, "interval_ms", c->interval_ms);
    print_columns(w, names);
    json_open(w, "points", '[');
    for (uint32_t i = 0; i < c->points; i++) {
        const point *p = &c->history[i];
        json_open(w, NULL, '[');
        json_put_count(w, NULL, p->unix_ms);
        json_put_count(w, NULL, p->step);
        json_put_count(w, NULL, p->examples);
        json_put_real(w, NULL, p->loss);
        json_put_real(w, NULL, p->accuracy);
        json_put_real(w, NULL, p->learning_rate);
        json_put_real(w, NULL, p->examples_per_s);
        json_put_real(w, NULL, p->apply_ms);
        json_close(w, ']');
    }
    json_close(w, ']');
    json_close(w, '}');
}

void chronicle_print_tests(const chronicle *c, json_writer *w)
{
    static const char *const names[] = {"unix_ms", "step", "accuracy", "loss", NULL};
    json_open(w, "tests", '{');
    print_columns(w, names);
    json_open(w, "points", '[');
    const uint64_t first = c->test_count > CHRONICLE_TESTS_MAX ? c->test_count - CHRONICLE_TESTS_MAX : 0;
    for (uint64_t i = first; i < c->test_count; i++) {
        const test *t = &c->tests[i % CHRONICLE_TESTS_MAX];
        json_open(w, NULL, '[');
        json_put_count(w, NULL, t->unix_ms);
        json_put_count(w, NULL, t->step);
        json_put_real(w, NULL, t->accuracy);
        json_put_real(w, NULL, t->loss);
        json_close(w, ']');
    }
    json_close(w, ']');
    json_close(w, '}');
}

void chronicle_print_recent(const chronicle *c, uint32_t worker, json_writer *w)
{
    static const char *const names[] = {"unix_ms", "step",    "step_ms", "compute_ms",
                                        "push_ms", "wait_ms", "pull_ms", NULL};
    const past *p = worker < c->workers ? &c->pasts[worker] : NULL;
    const uint64_t count = p ? p->count : 0;
    json_open(w, "recent", '{');
    print_columns(w, names);
    json_open(w, "points", '[');
    for (uint64_t i = count > CHRONICLE_RECENT_MAX ? count - CHRONICLE_RECENT_MAX : 0; i < count; i++) {
        const stretch *s = &p->recent[i % CHRONICLE_RECENT_MAX];
        json_open(w, NULL, '[');
        json_put_count(w, NULL, s->unix_ms);
        json_put_count(w, NULL, s->step);
        for (int k = 0; k < 5; k++)
            json_put_real(w, NULL, s->ms[k]);
        json_close(w, ']');
    }
    json_close(w, ']');
    json_close(w, '}');
}
