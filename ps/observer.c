/* observer.c - see observer.h. */
#include "ps/observer.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/http.h"
#include "common/metrics.h"

/* ---- what is counted ---- */

enum {
    SHOWN_BUILD,
    SHOWN_TICK,
    SHOWN_HAS_JOB,
    SHOWN_VERSION,
    SHOWN_UPDATES,
    SHOWN_EXAMPLES,
    SHOWN_REPEATS,
    SHOWN_LATE,
    SHOWN_NONFINITE,
    SHOWN_REFUSED,
    SHOWN_RESTORES,
    SHOWN_IMAGES,
    SHOWN_UNSENT,
    SHOWN_COUNT,
};

enum { IMAGE_KEPT, IMAGE_FAILED, IMAGE_DROPPED };

static const char *const build_labels[] = {"version=\"" PENSTOCK_VERSION "\"", NULL};
static const char *const image_labels[] = {
    [IMAGE_KEPT] = "result=\"kept\"",
    [IMAGE_FAILED] = "result=\"failed\"",
    [IMAGE_DROPPED] = "result=\"left_out\"",
    NULL,
};

static const metric table[SHOWN_COUNT] = {
    [SHOWN_BUILD] = {METRIC_GAUGE, METRIC_ONE, "penstock_ps_build_info", "1; which build it is.",
                     build_labels, NULL},
    [SHOWN_TICK] = {METRIC_GAUGE, METRIC_MS, "penstock_ps_loop_turned_seconds",
                    "When the event loop last turned, by a clock that began when the host did.", NULL, NULL},
    [SHOWN_HAS_JOB] = {METRIC_GAUGE, METRIC_ONE, "penstock_ps_serving",
                       "1 once a worker has brought the job, else 0.", NULL, NULL},
    [SHOWN_VERSION] = {METRIC_GAUGE, METRIC_ONE, "penstock_ps_weights_version",
                       "Synchronous mode: the last step applied; else the number of updates, ever.", NULL,
                       NULL},
    [SHOWN_UPDATES] = {METRIC_COUNTER, METRIC_ONE, "penstock_ps_updates_total",
                       "Updates applied by this process, those by its log of updates included.", NULL, NULL},
    [SHOWN_EXAMPLES] = {METRIC_GAUGE, METRIC_ONE, "penstock_ps_examples",
                        "Rows in the weights; falls when the shard goes back.", NULL, NULL},
    [SHOWN_REPEATS] = {METRIC_COUNTER, METRIC_ONE, "penstock_ps_repeated_pushes_total",
                       "Pushes that had come before, answered without being applied again.", NULL, NULL},
    [SHOWN_LATE] = {METRIC_COUNTER, METRIC_ONE, "penstock_ps_late_gradients_total",
                    "Gradients dropped because their step was over (backup workers).", NULL, NULL},
    [SHOWN_NONFINITE] = {METRIC_COUNTER, METRIC_ONE, "penstock_ps_nonfinite_gradients_total",
                         "Contributions that held NaN or Inf and were left out.", NULL, NULL},
    [SHOWN_REFUSED] = {METRIC_COUNTER, METRIC_ONE, "penstock_ps_refused_messages_total",
                       "Messages answered by an error.", NULL, NULL},
    [SHOWN_RESTORES] = {METRIC_COUNTER, METRIC_ONE, "penstock_ps_restores_total",
                        "Times that the shard went to another step with all the others.", NULL, NULL},
    [SHOWN_IMAGES] = {METRIC_COUNTER, METRIC_ONE, "penstock_ps_checkpoints_total",
                      "Checkpoints, by what came of them.", image_labels, NULL},
    [SHOWN_UNSENT] = {METRIC_GAUGE, METRIC_ONE, "penstock_ps_unsent_answers",
                      "Answers that wait for room in the queue of their peer.", NULL, NULL},
};

struct observer {
    metrics *shown;
    http *server;
    uint64_t shown_ms; /* the loop's */
};

/* ---- the HTTP server's thread ---- */

static unsigned answer_live(void *context, FILE *body)
{
    const observer *o = context;
    const uint64_t turned_ms = metrics_value(o->shown, SHOWN_TICK, 0), now_ms = clock_monotonic_ms();
    const uint64_t age_ms = now_ms > turned_ms ? now_ms - turned_ms : 0;
    fprintf(body, "the loop turned %llu ms ago\n", (unsigned long long)age_ms);
    return age_ms <= OBSERVER_LIVE_MS ? 200 : 503;
}

static unsigned answer_ready(void *context, FILE *body)
{
    const observer *o = context;
    const bool ready = metrics_value(o->shown, SHOWN_HAS_JOB, 0) > 0;
    fputs(ready ? "serving\n" : "no worker has brought the job yet\n", body);
    return ready ? 200 : 503;
}

static unsigned answer_metrics(void *context, FILE *body)
{
    const observer *o = context;
    metrics_print(o->shown, body);
    return 200;
}

static const http_page pages[] = {
    {"/livez", "text/plain; charset=utf-8", answer_live},
    {"/readyz", "text/plain; charset=utf-8", answer_ready},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", answer_metrics},
};

/* ---- the loop's thread ---- */

ps_status observer_start(const http_options *options, observer **out, ps_error *error)
{
    *out = NULL;
    if (!options->wanted)
        return PS_OK;
    observer *o = calloc(1, sizeof *o);
    if (o)
        o->shown = metrics_create(table, SHOWN_COUNT);
    if (!o || !o->shown) {
        observer_stop(&o);
        return ps_fail(error, PS_ENOMEM, "out of memory for metrics");
    }
    metrics_set(o->shown, SHOWN_BUILD, 0, 1);
    metrics_set(o->shown, SHOWN_TICK, 0, clock_monotonic_ms());
    const http_config config = {
        .address = options->address,
        .port = options->port,
        .port_file = options->port_file,
        .hosts = &options->hosts,
        .pages = pages,
        .page_count = sizeof pages / sizeof pages[0],
        .context = o,
    };
    ps_status status = http_start(&config, &o->server, error);
    if (status != PS_OK)
        observer_stop(&o);
    *out = o;
    return status;
}

void observer_stop(observer **handle)
{
    observer *o = *handle;
    *handle = NULL;
    if (!o)
        return;
    http_stop(&o->server);
    metrics_destroy(&o->shown);
    free(o);
}

bool observer_tick(observer *o, uint64_t now_ms)
{
    metrics_set(o->shown, SHOWN_TICK, 0, now_ms);
    if (o->shown_ms != 0 && now_ms - o->shown_ms < OBSERVER_SHOW_MS)
        return false;
    o->shown_ms = now_ms;
    return true;
}

void observer_show(observer *o, const observation *now)
{
    metrics *m = o->shown;
    metrics_set(m, SHOWN_HAS_JOB, 0, now->has_job);
    metrics_set(m, SHOWN_VERSION, 0, now->version);
    metrics_set(m, SHOWN_UPDATES, 0, now->shard.steps_applied);
    metrics_set(m, SHOWN_EXAMPLES, 0, now->shard.examples_applied);
    metrics_set(m, SHOWN_REPEATS, 0, now->shard.repeats);
    metrics_set(m, SHOWN_LATE, 0, now->shard.late_gradients);
    metrics_set(m, SHOWN_NONFINITE, 0, now->shard.nonfinite_refused);
    metrics_set(m, SHOWN_REFUSED, 0, now->shard.messages_refused);
    metrics_set(m, SHOWN_RESTORES, 0, now->shard.restores);
    metrics_set(m, SHOWN_IMAGES, IMAGE_KEPT, now->images.kept);
    metrics_set(m, SHOWN_IMAGES, IMAGE_FAILED, now->images.failed);
    metrics_set(m, SHOWN_IMAGES, IMAGE_DROPPED, now->images.dropped);
    metrics_set(m, SHOWN_UNSENT, 0, now->unsent);
}
