/* performance_page.c - /status of a worker: common/status_page.md, written. See performance_state.h. */
#include <math.h>
#include <string.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/events.h"
#include "common/process_page.h"
#include "worker/performance_state.h"

typedef struct {
    uint64_t count;
    uint64_t steps[RING][RECENT_FIELDS]; /* oldest first */
} recent_steps;

static void copy_recent(const performance *p, recent_steps *to)
{
    const uint64_t end = atomic_load_explicit(&p->done, memory_order_acquire);
    uint64_t first = end > PERFORMANCE_RECENT_MAX ? end - PERFORMANCE_RECENT_MAX : 0;
    for (uint64_t i = first; i < end; i++)
        for (int k = 0; k < RECENT_FIELDS; k++)
            to->steps[i - first][k] = atomic_load_explicit(&p->recent[i % RING][k], memory_order_acquire);
    const uint64_t now = atomic_load_explicit(&p->done, memory_order_relaxed) + 1; /* one may be under way */
    const uint64_t spoilt = now > RING + first ? now - RING - first : 0;
    to->count = end - first > spoilt ? end - first - spoilt : 0;
    memmove(to->steps[0], to->steps[end - first - to->count], to->count * sizeof to->steps[0]);
}

static void print_recent(const performance *p, json_writer *w)
{
    static const char *const names[] = {"unix_ms", "step",    "step_ms", "compute_ms",
                                        "push_ms", "wait_ms", "pull_ms"};
    recent_steps recent;
    copy_recent(p, &recent); /* before the time is taken: none of them ends later */
    const uint64_t now_ns = clock_monotonic_ns(), unix_ms = clock_unix_ms();
    json_open(w, "recent", '{');
    json_open(w, "columns", '[');
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        json_put_text(w, NULL, names[i]);
    json_close(w, ']');
    json_open(w, "points", '[');
    for (uint64_t i = 0; i < recent.count; i++) {
        const uint64_t *s = recent.steps[i];
        json_open(w, NULL, '[');
        json_put_count(w, NULL,
                       unix_ms - (uint64_t)((double)(now_ns - s[RECENT_END]) / PERFORMANCE_NS_PER_MS));
        json_put_count(w, NULL, s[RECENT_STEP]);
        for (int k = RECENT_TIME; k < RECENT_FIELDS; k++)
            json_put_real(w, NULL, (double)s[k] / PERFORMANCE_NS_PER_MS);
        json_close(w, ']');
    }
    json_close(w, ']');
    json_close(w, '}');
}

static double share(double sum, uint64_t count)
{
    return count > 0 ? sum / (double)count : NAN;
}

static void print_progress(const performance *p, const worker_figures *f, json_writer *w)
{
    const metrics *m = p->counted;
    const bool measured = metrics_real(m, WORKER_METRIC_STEPS_RATE, 0) > 0;
    const double steps_per_s = metrics_real(m, WORKER_METRIC_STEPS_RATE, 0);
    const bool ahead = f->last_step > f->step;
    json_open(w, "progress", '{');
    json_put_count(w, "step", f->step);
    if (f->last_step > 0)
        json_put_count(w, "steps", f->last_step);
    else
        json_put_null(w, "steps");
    json_put_real(w, "epoch", f->epoch);
    json_put_real(w, "epochs", f->epochs > 0 ? f->epochs : NAN);
    json_put_count(w, "examples", f->examples_total);
    json_put_real(w, "loss", measured ? metrics_real(m, WORKER_METRIC_LOSS, 0) : NAN);
    json_put_real(w, "accuracy", measured ? metrics_real(m, WORKER_METRIC_ACCURACY, 0) : NAN);
    json_put_real(w, "examples_per_s", measured ? metrics_real(m, WORKER_METRIC_EXAMPLES_RATE, 0) : NAN);
    json_put_real(w, "eta_s",
                  ahead && measured ? (double)(f->last_step - f->step) / steps_per_s
                                    : (f->last_step > 0 && !ahead ? 0 : NAN));
    page_put_test(w, f->tests > 0, f->test_step, f->test_accuracy, f->test_loss);
    json_close(w, '}');
}

static void print_worker(const performance *p, const worker_figures *f, json_writer *w)
{
    json_open(w, "worker", '{');
    json_put_count(w, "step", f->step);
    json_put_real(w, "step_ms", share((double)f->step_ns / PERFORMANCE_NS_PER_MS, f->steps));
    json_put_real(w, "compute_ms", share((double)f->compute_ns / PERFORMANCE_NS_PER_MS, f->steps));
    json_put_real(w, "push_ms", share((double)f->push_ns / PERFORMANCE_NS_PER_MS, f->steps));
    json_put_real(w, "wait_ms", share((double)f->wait_ns / PERFORMANCE_NS_PER_MS, f->steps));
    json_put_real(w, "pull_ms", share((double)f->pull_ns / PERFORMANCE_NS_PER_MS, f->steps));
    json_put_real(w, "loss", share(f->loss_sum, f->examples));
    page_put_figures(w, f);
    print_recent(p, w);
    json_close(w, '}');
}

static void print_servers(performance *p, json_writer *w)
{
    json_open(w, "servers", '[');
    pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < p->servers; i++) {
        const cluster_task *task = cluster_find(p->cluster, ROLE_PS, i);
        char where[ADDRESS_TEXT_MAX + 8] = "";
        if (task)
            address_format(task->host, task->port, where, sizeof where);
        json_open(w, NULL, '{');
        json_put_count(w, "index", i);
        json_put_text(w, "address", where);
        json_put_text(w, "http", p->server_http[i][0] ? p->server_http[i] : NULL);
        json_close(w, '}');
    }
    pthread_mutex_unlock(&p->lock);
    json_close(w, ']');
}

void performance_print(performance *p, FILE *out)
{
    json_writer w = {.out = out};
    worker_figures f;
    performance_look(p, &f);
    const bool evaluates = p->cluster->present && p->cluster->role == ROLE_EVALUATOR;
    const process_page process = {
        .kind = "worker",
        .role = p->cluster->present ? cluster_role_name(p->cluster->role) : "worker",
        .index = evaluates ? p->cluster->index : p->cluster->rank,
        .incarnation = atomic_load_explicit(&p->incarnation, memory_order_relaxed),
        .now_unix_ms = clock_unix_ms(),
        .started_unix_ms = p->started_unix_ms,
        .loop_age_ms = performance_age_ms(p),
        .ready = performance_has_joined(p),
    };
    json_open(&w, NULL, '{');
    page_put_process(&w, &process);
    json_put_text(&w, "activity", worker_activity_name(f.activity));
    print_progress(p, &f, &w);
    print_worker(p, &f, &w);
    print_servers(p, &w);
    json_open(&w, "refusals", '{');
    http_refusals_put(&p->refused, "http", &w);
    json_close(&w, '}');
    events_print(&w);
    json_close(&w, '}');
    fputc('\n', out);
}
