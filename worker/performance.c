/* performance.c - see performance.h and performance_state.h. */
#include "worker/performance.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/process_page.h"
#include "worker/performance_state.h"
#include "worker/witness.h"

performance *performance_create(const cluster_spec *cluster, bool tells)
{
    performance *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->cluster = cluster;
    p->tells = tells;
    p->started_unix_ms = clock_unix_ms();
    p->servers = cluster->present ? cluster->jobs[ROLE_PS].count : 0;
    p->server_http = calloc(p->servers + 1, sizeof *p->server_http);
    p->counted = worker_metrics_create();
    pthread_mutex_init(&p->lock, NULL);
    page_host(p->host, sizeof p->host);
    if (!p->server_http || !p->counted) {
        performance_destroy(&p);
        return NULL;
    }
    atomic_store(&p->activity, ACTIVITY_JOINING);
    metrics_set(p->counted, WORKER_METRIC_BUILD, 0, 1);
    metrics_set(p->counted, WORKER_METRIC_TURNED, 0, clock_monotonic_ns());
    return p;
}

void performance_destroy(performance **handle)
{
    performance *p = *handle;
    *handle = NULL;
    if (!p)
        return;
    metrics_destroy(&p->counted);
    pthread_mutex_destroy(&p->lock);
    free(p->server_http);
    free(p);
}

/* ---- the trainer's ---- */

void performance_set_activity(performance *p, worker_activity activity)
{
    if (p)
        atomic_store_explicit(&p->activity, (int)activity, memory_order_relaxed);
}

static void set_text(performance *p, char to[FIGURES_TEXT_MAX + 1], const char *text)
{
    pthread_mutex_lock(&p->lock);
    figures_set_text(to, text);
    pthread_mutex_unlock(&p->lock);
}

void performance_set_device(performance *p, const char *name)
{
    if (p)
        set_text(p, p->device, name);
}

static void tell(void *context, worker_figures *figures)
{
    performance_tell(context, figures);
}

static void turned(void *context, uint64_t now_ns)
{
    performance *p = context;
    metrics_set(p->counted, WORKER_METRIC_TURNED, 0, now_ns);
}

/* What listens everywhere is looked for where the cluster has it. */
static void saw_server(void *context, uint32_t server, const char *http)
{
    performance *p = context;
    const cluster_task *task = server < p->servers ? cluster_find(p->cluster, ROLE_PS, server) : NULL;
    const char *port = strrchr(http, ':');
    const bool anywhere = strncmp(http, "0.0.0.0:", 8) == 0 || strncmp(http, "[::]:", 5) == 0;
    char where[ADDRESS_TEXT_MAX + 8];
    if (!task || !port)
        return;
    snprintf(where, sizeof where, "%s", http);
    if (anywhere)
        address_format(task->host, (uint16_t)strtoul(port + 1, NULL, 10), where, sizeof where);
    set_text(p, p->server_http[server], strlen(where) <= FIGURES_TEXT_MAX ? where : "");
}

void performance_watch(performance *p, ps_client *client)
{
    const client_witness witness = {
        .context = p, .tell = p && p->tells ? tell : NULL, .turned = turned, .saw_server = saw_server};
    if (p)
        client_set_witness(client, &witness);
}

void performance_joined(performance *p, const ps_client *client)
{
    if (!p)
        return;
    atomic_store_explicit(&p->incarnation, client_incarnation(client), memory_order_relaxed);
    metrics_set(p->counted, WORKER_METRIC_JOINED, 0, 1);
}

static void set_place(performance *p, uint64_t over, uint64_t examples_total, double epoch)
{
    metrics_set(p->counted, WORKER_METRIC_STEP, 0, over);
    metrics_set(p->counted, WORKER_METRIC_EXAMPLES_TOTAL, 0, examples_total);
    metrics_set_real(p->counted, WORKER_METRIC_EPOCH, 0, epoch);
}

void performance_set_goal(performance *p, uint64_t step, uint64_t last_step, double epochs)
{
    if (!p)
        return;
    metrics_set(p->counted, WORKER_METRIC_STEP, 0, step);
    metrics_set(p->counted, WORKER_METRIC_LAST_STEP, 0, last_step);
    metrics_set_real(p->counted, WORKER_METRIC_EPOCHS, 0, epochs);
    p->speed_ns = 0; /* what was measured before a rollback is no part of what follows */
    p->speed_loss = 0;
    p->speed_rows = p->speed_correct = 0;
    memset(p->phase_ns, 0, sizeof p->phase_ns);
}

void performance_note_rollback(performance *p)
{
    if (p)
        metrics_add(p->counted, WORKER_METRIC_ROLLBACKS, 0, 1);
}

uint64_t performance_begin(const performance *p)
{
    return p ? clock_monotonic_ns() : 0;
}

void performance_add(performance *p, worker_phase phase, uint64_t begun_ns)
{
    if (p)
        p->phase_ns[phase] += clock_monotonic_ns() - begun_ns;
}

static void count_client(performance *p, const ps_client *client)
{
    ps_counters done;
    ps_count(client, &done);
    metrics_set(p->counted, WORKER_METRIC_BYTES_PUSHED, 0, done.bytes_pushed);
    metrics_set(p->counted, WORKER_METRIC_BYTES_PULLED, 0, done.bytes_pulled);
    metrics_set(p->counted, WORKER_METRIC_REQUESTS, 0, done.requests);
    metrics_set(p->counted, WORKER_METRIC_RESENT, 0, done.resent);
}

static void measure_speed(performance *p, uint64_t now_ns, const performance_step *step)
{
    metrics *m = p->counted;
    p->speed_loss += step->loss_sum;
    p->speed_rows += step->rows;
    p->speed_correct += step->correct;
    const double seconds = (double)(now_ns - p->speed_ns) * 1e-9;
    if (p->speed_ns && seconds * 1000 < SPEED_MS)
        return;
    if (p->speed_ns && step->examples_total >= p->speed_examples && step->over >= p->speed_step) {
        const double rows = (double)(step->examples_total - p->speed_examples);
        metrics_set_real(m, WORKER_METRIC_EXAMPLES_RATE, 0, rows / seconds);
        metrics_set_real(m, WORKER_METRIC_STEPS_RATE, 0, (double)(step->over - p->speed_step) / seconds);
    }
    if (p->speed_rows > 0) {
        metrics_set_real(m, WORKER_METRIC_LOSS, 0, p->speed_loss / (double)p->speed_rows);
        metrics_set_real(m, WORKER_METRIC_ACCURACY, 0, (double)p->speed_correct / (double)p->speed_rows);
    }
    p->speed_ns = now_ns;
    p->speed_examples = step->examples_total;
    p->speed_step = step->over;
    p->speed_loss = 0;
    p->speed_rows = p->speed_correct = 0;
}

static void remember(performance *p, uint64_t now_ns, uint64_t step, uint64_t step_ns)
{
    const uint64_t done = atomic_load_explicit(&p->done, memory_order_relaxed);
    _Atomic uint64_t *to = p->recent[done % RING];
    /* Who sees a field of this step sees `done` as it is, and leaves out the one that stood here before. */
    atomic_store_explicit(&to[RECENT_END], now_ns, memory_order_release);
    atomic_store_explicit(&to[RECENT_STEP], step, memory_order_release);
    atomic_store_explicit(&to[RECENT_TIME], step_ns, memory_order_release);
    for (int i = 0; i < PHASE_COUNT; i++)
        atomic_store_explicit(&to[RECENT_PHASES + i], p->phase_ns[i], memory_order_release);
    atomic_store_explicit(&p->done, done + 1, memory_order_release);
}

void performance_end_step(performance *p, const performance_step *step, const ps_client *client)
{
    if (!p)
        return;
    metrics *m = p->counted;
    const uint64_t now_ns = clock_monotonic_ns(), step_ns = now_ns - step->begun_ns;
    uint64_t told_ns = 0;
    for (int i = 0; i < PHASE_COUNT; i++)
        told_ns += p->phase_ns[i];
    p->phase_ns[PHASE_COMPUTE] += step_ns > told_ns ? step_ns - told_ns : 0;
    p->loss_sum += step->loss_sum;
    for (uint32_t i = 0; i < PHASE_COUNT; i++)
        metrics_add(m, WORKER_METRIC_PHASES, i, p->phase_ns[i]);
    metrics_add(m, WORKER_METRIC_STEPS, 0, 1);
    metrics_add(m, WORKER_METRIC_EXAMPLES, 0, step->rows);
    metrics_add(m, WORKER_METRIC_CORRECT, 0, step->correct);
    metrics_set_real(m, WORKER_METRIC_LOSS_SUM, 0, p->loss_sum);
    metrics_set(m, WORKER_METRIC_TURNED, 0, now_ns);
    metrics_observe(m, WORKER_METRIC_STEP_TIME, 0, step_ns);
    metrics_observe(m, WORKER_METRIC_WAIT_TIME, 0, p->phase_ns[PHASE_WAIT] + p->phase_ns[PHASE_PULL]);
    set_place(p, step->over, step->examples_total, step->epoch);
    count_client(p, client);
    measure_speed(p, now_ns, step);
    remember(p, now_ns, step->pushed, step_ns);
    memset(p->phase_ns, 0, sizeof p->phase_ns);
}

void performance_settle(performance *p, uint64_t over, uint64_t examples_total, double epoch,
                        const ps_client *client)
{
    if (!p)
        return;
    set_place(p, over, examples_total, epoch);
    count_client(p, client);
    metrics_set(p->counted, WORKER_METRIC_TURNED, 0, clock_monotonic_ns());
}

void performance_note_test(performance *p, uint64_t step, const evaluation *found)
{
    if (!p)
        return;
    metrics_set(p->counted, WORKER_METRIC_TEST_STEP, 0, step);
    metrics_set_real(p->counted, WORKER_METRIC_TEST_ACCURACY, 0, found->accuracy);
    metrics_set_real(p->counted, WORKER_METRIC_TEST_LOSS, 0, found->loss);
    metrics_add(p->counted, WORKER_METRIC_TESTS, 0, 1);
    metrics_set(p->counted, WORKER_METRIC_TURNED, 0, clock_monotonic_ns());
}

/* ---- any thread's ---- */

void performance_set_http(performance *p, const char *http)
{
    if (p)
        set_text(p, p->http, http);
}

http_refusals *performance_refusals(performance *p)
{
    return &p->refused;
}

uint64_t performance_age_ms(const performance *p)
{
    const uint64_t then = metrics_value(p->counted, WORKER_METRIC_TURNED, 0), now = clock_monotonic_ns();
    return now > then ? (uint64_t)((double)(now - then) / PERFORMANCE_NS_PER_MS) : 0;
}

bool performance_has_joined(const performance *p)
{
    return metrics_value(p->counted, WORKER_METRIC_JOINED, 0) > 0;
}

const metrics *performance_metrics(const performance *p)
{
    return p->counted;
}

static void count_figures(const performance *p, worker_figures *f)
{
    const metrics *m = p->counted;
    f->step = metrics_value(m, WORKER_METRIC_STEP, 0);
    f->last_step = metrics_value(m, WORKER_METRIC_LAST_STEP, 0);
    f->epoch = metrics_real(m, WORKER_METRIC_EPOCH, 0);
    f->epochs = metrics_real(m, WORKER_METRIC_EPOCHS, 0);
    f->examples_total = metrics_value(m, WORKER_METRIC_EXAMPLES_TOTAL, 0);
    f->steps = metrics_observed(m, WORKER_METRIC_STEP_TIME, 0, &f->step_ns);
    f->compute_ns = metrics_value(m, WORKER_METRIC_PHASES, PHASE_COMPUTE);
    f->push_ns = metrics_value(m, WORKER_METRIC_PHASES, PHASE_PUSH);
    f->wait_ns = metrics_value(m, WORKER_METRIC_PHASES, PHASE_WAIT);
    f->pull_ns = metrics_value(m, WORKER_METRIC_PHASES, PHASE_PULL);
    f->examples = metrics_value(m, WORKER_METRIC_EXAMPLES, 0);
    f->correct = metrics_value(m, WORKER_METRIC_CORRECT, 0);
    f->loss_sum = metrics_real(m, WORKER_METRIC_LOSS_SUM, 0);
    f->bytes_pushed = metrics_value(m, WORKER_METRIC_BYTES_PUSHED, 0);
    f->bytes_pulled = metrics_value(m, WORKER_METRIC_BYTES_PULLED, 0);
    f->requests = metrics_value(m, WORKER_METRIC_REQUESTS, 0);
    f->resent = metrics_value(m, WORKER_METRIC_RESENT, 0);
    f->rollbacks = metrics_value(m, WORKER_METRIC_ROLLBACKS, 0);
    f->tests = metrics_value(m, WORKER_METRIC_TESTS, 0);
    f->test_step = metrics_value(m, WORKER_METRIC_TEST_STEP, 0);
    f->test_accuracy = metrics_real(m, WORKER_METRIC_TEST_ACCURACY, 0);
    f->test_loss = metrics_real(m, WORKER_METRIC_TEST_LOSS, 0);
}

/* The next after that of the last time that has told where it is. */
static void tell_of_a_server(performance *p, worker_figures *f)
{
    for (uint32_t i = 1; i <= p->servers; i++) {
        const uint32_t server = (p->told + i) % p->servers;
        if (!p->server_http[server][0])
            continue;
        f->server = p->told = server;
        memcpy(f->server_http, p->server_http[server], sizeof f->server_http);
        return;
    }
}

void performance_look(performance *p, worker_figures *f)
{
    *f = (worker_figures){.pid = (uint32_t)getpid()};
    f->activity = (worker_activity)atomic_load_explicit(&p->activity, memory_order_relaxed);
    count_figures(p, f);
    pthread_mutex_lock(&p->lock);
    memcpy(f->device, p->device, sizeof f->device);
    memcpy(f->host, p->host, sizeof f->host);
    memcpy(f->http, p->http, sizeof f->http);
    pthread_mutex_unlock(&p->lock);
}

void performance_tell(performance *p, worker_figures *f)
{
    performance_look(p, f);
    pthread_mutex_lock(&p->lock);
    tell_of_a_server(p, f);
    pthread_mutex_unlock(&p->lock);
}
