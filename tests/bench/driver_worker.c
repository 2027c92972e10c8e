/* driver_worker.c - see driver_worker.h. */
#include "tests/bench/driver_worker.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/fpmode.h"
#include "common/log.h"
#include "tests/bench/latency.h"
#include "worker/client.h"

enum { JOIN_MS = 30000, ANSWER_MS = 40000 };

typedef struct {
    driver_setup setup;
    ps_client *client;
    float *gradients[DRIVER_OUTSTANDING_MAX], *weights[DRIVER_OUTSTANDING_MAX];
    ps_ticket tickets[DRIVER_OUTSTANDING_MAX];
    double issued_at[DRIVER_OUTSTANDING_MAX];
    uint64_t issued, waited; /* requests, since the start */
    uint64_t step;
    latency_log latencies;
} driver_worker;

static ps_status allocate(driver_worker *w, ps_error *error)
{
    for (uint32_t i = 0; i < w->setup.outstanding; i++) {
        w->gradients[i] = ps_allocate(w->client, w->setup.model_bytes);
        w->weights[i] = ps_allocate(w->client, w->setup.model_bytes);
        if (!w->gradients[i] || !w->weights[i])
            return ps_fail(error, PS_ENOMEM, "out of memory for a worker's tensors");
        for (uint64_t e = 0; e < w->setup.model_bytes / sizeof(float); e++)
            w->gradients[i][e] = 1e-3f * (float)(e % 100 + 1);
        memset(w->weights[i], 0, w->setup.model_bytes);
    }
    return PS_OK;
}

static ps_status join(driver_worker *w, const char *tf_config, ps_error *error)
{
    const cluster_source source = {.daemon = ROLE_WORKER, .tf_config = tf_config};
    cluster_spec cluster;
    cluster_warning warning;
    ps_client_options options;
    ps_client_options_init(&options);
    options.share_memory = w->setup.share_memory;
    options.keys_folder = w->setup.keys_folder;
    ps_status status = driver_describe(&w->setup, &options.job, error);
    if (status != PS_OK)
        goto done;
    status = cluster_parse(&source, &cluster, &warning, NULL, 0, error);
    if (status != PS_OK)
        goto done;
    status = ps_connect(&cluster, &options, &w->client, error);
    cluster_fini(&cluster);
    if (status == PS_OK)
        status = allocate(w, error);
    if (status == PS_OK)
        status = ps_join(w->client, JOIN_MS, error);

done:
    ps_client_options_fini(&options);
    return status;
}

/* Burns that much processor time: what a model would need on a processor of its own. */
static void compute(double seconds)
{
    struct timespec now;
    double end = 0;
    do {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        double used = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
        end = end > 0 ? end : used + seconds;
        seconds = end - used;
    } while (seconds > 0);
}

static ps_status issue(driver_worker *w, ps_error *error)
{
    uint32_t i = (uint32_t)(w->issued % w->setup.outstanding);
    const float *const gradients[] = {w->gradients[i]};
    float *const weights[] = {w->weights[i]};
    const ps_update update = {.step = w->step + 1, .examples = 1, .gradients = gradients};
    ps_status status = PS_OK;
    if (w->setup.compute_s > 0)
        compute(w->setup.compute_s);
    w->issued_at[i] = clock_monotonic_seconds();
    switch (w->setup.operation) {
    case DRIVER_PUSH:
        status = ps_push(w->client, &update, &w->tickets[i], error);
        break;
    case DRIVER_PULL:
        status = ps_pull(w->client, 0, weights, &w->tickets[i], error);
        break;
    case DRIVER_PUSH_PULL:
        status = ps_push_pull(w->client, &update, weights, &w->tickets[i], error);
        break;
    }
    w->step++;
    w->issued++;
    return status;
}

static ps_status wait_oldest(driver_worker *w, ps_error *error)
{
    uint32_t i = (uint32_t)(w->waited % w->setup.outstanding);
    ps_status status = ps_wait(w->client, w->tickets[i], ANSWER_MS, NULL, error);
    latency_add(&w->latencies, clock_monotonic_seconds() - w->issued_at[i]);
    w->waited++;
    return status;
}

static void obey(driver_worker *w, const actor_order *order, actor_answer *answer)
{
    pace p = pace_start(order);
    ps_status status = PS_OK;
    while (status == PS_OK && pace_begins(&p)) {
        if (w->issued - w->waited == w->setup.outstanding)
            status = wait_oldest(w, &answer->error);
        if (status == PS_OK)
            status = issue(w, &answer->error);
    }
    while (status == PS_OK && w->waited < w->issued)
        status = wait_oldest(w, &answer->error);
    answer->operations = p.operations;
    answer->seconds = clock_monotonic_seconds() - p.start;
    latency_summarise(&w->latencies, answer->latency_s);
}

void driver_worker_body(int channel, void *argument)
{
    const driver_worker_plan *plan = argument;
    static driver_worker w;
    ps_error error;
    actor_order order;
    log_setup("worker", LOG_WARNING);
    fpmode_flush_denormals();
    w.setup = plan->setup;
    if (join(&w, plan->tf_config, &error) != PS_OK)
        actor_refuse(channel, &error);
    while (actor_take_order(channel, &order)) {
        actor_answer answer = {.error.status = PS_OK};
        obey(&w, &order, &answer);
        actor_answer_order(channel, &answer);
    }
    ps_close(&w.client);
}
