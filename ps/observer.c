/* observer.c - see observer.h. */
#include "ps/observer.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/dashboard.h"
#include "common/events.h"
#include "common/headway.h"
#include "common/http.h"
#include "ps/chronicle.h"
#include "ps/ps_metrics.h"
#include "ps/status_keeper.h"
#include "ps/status_page.h"

struct observer {
    metrics *counted;
    const server_identity *self;
    http *server;
    status_keeper *keeper; /* NULL: none is wanted */
    char where[ADDRESS_TEXT_MAX + 8];
    uint64_t started_unix_ms;

    /* The loop's. */
    uint64_t shown_ms, viewed_ms; /* when last */
    uint64_t updates, update_ns;  /* that have been noted, and when the last was */

    /* At /status: when somebody looked last, and how often in all. */
    _Atomic uint64_t looked_ms, looks;

    /* The HTTP server's: headway, as it was when last asked about life, */
    uint64_t headway, advanced_ms; /* and when it was another than the time before */

    /* The loop tries, and leaves it if somebody reads; readers wait. */
    pthread_mutex_t lock;
    shard_view view;
    chronicle *past;
    http_refusals refused;
    observation last; /* what was shown with that view; without its shard */
};

/* ---- the HTTP server's thread ---- */

static uint64_t age_ms(uint64_t then_ms, uint64_t now_ms)
{
    return now_ms > then_ms ? now_ms - then_ms : 0;
}

static uint64_t loop_age_ms(const observer *o, uint64_t now_ms)
{
    return age_ms(metrics_value(o->counted, PS_METRIC_TICK, 0), now_ms);
}

static unsigned answer_live(void *context, FILE *body)
{
    observer *o = context;
    const uint64_t now_ms = clock_monotonic_ms(), headway = headway_count();
    const uint64_t loop_ms = loop_age_ms(o, now_ms);
    if (headway != o->headway)
        o->advanced_ms = now_ms;
    o->headway = headway;
    const bool is_at_work = o->advanced_ms > 0 && age_ms(o->advanced_ms, now_ms) <= OBSERVER_LIVE_MS;
    fprintf(body, "the loop turned %llu ms ago%s\n", (unsigned long long)loop_ms,
            loop_ms > OBSERVER_LIVE_MS && is_at_work ? ", and is at a long piece of work" : "");
    return loop_ms <= OBSERVER_LIVE_MS || is_at_work ? 200 : 503;
}

static unsigned answer_ready(void *context, FILE *body)
{
    const observer *o = context;
    const bool is_over = metrics_value(o->counted, PS_METRIC_IS_OVER, 0) > 0;
    const bool has_job = metrics_value(o->counted, PS_METRIC_HAS_JOB, 0) > 0;
    fputs(is_over   ? "the job has finished\n"
          : has_job ? "serving\n"
                    : "no worker has brought the job yet\n",
          body);
    return is_over || has_job ? 200 : 503;
}

static unsigned answer_metrics(void *context, FILE *body)
{
    const observer *o = context;
    metrics_print(o->counted, body);
    http_refusals_print(&o->refused, "penstock_ps_refused_http_requests_total", body);
    return 200;
}

static void print_status(void *context, FILE *body)
{
    observer *o = context;
    pthread_mutex_lock(&o->lock);
    const status_page page = {
        .index = o->self->index,
        .incarnation = o->self->incarnation,
        .started_unix_ms = o->started_unix_ms,
        .now_unix_ms = clock_unix_ms(),
        .now_ms = clock_monotonic_ms(),
        .loop_age_ms = loop_age_ms(o, clock_monotonic_ms()),
        .http = o->where,
        .counted = o->counted,
        .view = &o->view,
        .past = o->past,
        .has_archive = o->last.has_archive,
        .images = o->last.images,
        .unsent = o->last.unsent,
        .http_refused = &o->refused,
        .is_over = o->last.is_over,
    };
    status_page_print(&page, body);
    pthread_mutex_unlock(&o->lock);
}

static unsigned answer_status(void *context, FILE *body)
{
    observer *o = context;
    print_status(o, body);
    atomic_store(&o->looked_ms, clock_monotonic_ms());
    atomic_fetch_add(&o->looks, 1);
    return 200;
}

static const http_page pages[] = {
    {"/livez", "text/plain; charset=utf-8", answer_live, true},
    {"/readyz", "text/plain; charset=utf-8", answer_ready, true},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", answer_metrics, false},
    {"/status", "application/json", answer_status, false} DASHBOARD_PAGES,
};

/* ---- start and end ---- */

ps_status observer_create(const http_options *options, const server_identity *self, observer **out,
                          ps_error *error)
{
    *out = NULL;
    if (!options->wanted)
        return PS_OK;
    observer *o = calloc(1, sizeof *o);
    if (!o)
        return ps_fail(error, PS_ENOMEM, "out of memory for metrics");
    *out = o;
    pthread_mutex_init(&o->lock, NULL);
    o->self = self;
    o->started_unix_ms = clock_unix_ms();
    o->past = chronicle_create();
    o->counted = ps_metrics_create();
    if (!o->past || !o->counted) {
        observer_destroy(out);
        return ps_fail(error, PS_ENOMEM, "out of memory for metrics");
    }
    metrics_set(o->counted, PS_METRIC_BUILD, 0, 1);
    metrics_set(o->counted, PS_METRIC_TICK, 0, clock_monotonic_ms());
    events_keep();
    return PS_OK;
}

metrics *observer_metrics(observer *o)
{
    return o ? o->counted : NULL;
}

ps_status observer_serve(observer *o, const http_options *options, const char *status_folder, ps_error *error)
{
    http_config config = http_options_config(options);
    config.pages = pages;
    config.page_count = sizeof pages / sizeof pages[0];
    config.policy = DASHBOARD_POLICY;
    config.is_shared = true;
    config.refused = &o->refused;
    config.context = o;
    metrics_set(o->counted, PS_METRIC_TICK, 0, clock_monotonic_ms());
    o->headway = headway_count();
    ps_status status = http_start(&config, &o->server, error);
    if (status != PS_OK)
        return status;
    pthread_mutex_lock(&o->lock); /* somebody may have asked already */
    address_format(options->address ? options->address : "127.0.0.1", http_port(o->server), o->where,
                   sizeof o->where);
    pthread_mutex_unlock(&o->lock);
    return status_folder ? status_keeper_start(status_folder, o->self->index, o->self->incarnation,
                                               print_status, o, &o->keeper, error)
                         : PS_OK;
}

const char *observer_where(const observer *o)
{
    return o->where;
}

void observer_close(observer *o)
{
    status_keeper_stop(&o->keeper);
    http_stop(&o->server);
}

void observer_destroy(observer **handle)
{
    observer *o = *handle;
    *handle = NULL;
    if (!o)
        return;
    http_stop(&o->server);
    chronicle_destroy(&o->past);
    shard_view_fini(&o->view);
    metrics_destroy(&o->counted);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

/* ---- the loop's thread ---- */

void observer_note_updates(observer *o, uint64_t updates, uint64_t begun_ns)
{
    if (updates == o->updates)
        return;
    const uint64_t now_ns = clock_monotonic_ns(), count = updates > o->updates ? updates - o->updates : 1;
    for (uint64_t i = 0; i < count; i++) {
        metrics_observe(o->counted, PS_METRIC_APPLY, 0, (now_ns - begun_ns) / count);
        if (o->update_ns)
            metrics_observe(o->counted, PS_METRIC_STEP, 0, (now_ns - o->update_ns) / count);
    }
    o->updates = updates;
    o->update_ns = now_ns;
}

bool observer_tick(observer *o, uint64_t now_ms)
{
    metrics_set(o->counted, PS_METRIC_TICK, 0, now_ms);
    if (o->shown_ms != 0 && now_ms - o->shown_ms < OBSERVER_SHOW_MS)
        return false;
    o->shown_ms = now_ms;
    return true;
}

static void show_counts(metrics *m, const observation *now)
{
    const shard_counters *c = shard_count(now->shard);
    const bool has_job = shard_has_job(now->shard);
    metrics_set(m, PS_METRIC_HAS_JOB, 0, has_job);
    metrics_set(m, PS_METRIC_IS_OVER, 0, now->is_over);
    metrics_set(m, PS_METRIC_VERSION, 0, has_job ? shard_version(now->shard) : 0);
    metrics_set(m, PS_METRIC_UPDATES, 0, c->steps_applied);
    metrics_set(m, PS_METRIC_PUSHES, 0, c->pushes);
    metrics_set(m, PS_METRIC_EXAMPLES, 0, c->examples_applied);
    metrics_set(m, PS_METRIC_REPEATS, 0, c->repeats);
    metrics_set(m, PS_METRIC_LATE, 0, c->late_gradients);
    metrics_set(m, PS_METRIC_NONFINITE, 0, c->nonfinite_refused);
    for (uint32_t i = 0; i < REFUSAL_COUNT; i++)
        metrics_set(m, PS_METRIC_REFUSED, i, c->refused.count[i] + now->refused.count[i]);
    for (uint32_t i = 0; i < HANDSHAKE_FAILURES; i++)
        metrics_set(m, PS_METRIC_HANDSHAKES, i, now->handshakes_failed[i]);
    metrics_set(m, PS_METRIC_RESTORES, 0, c->restores + c->resumes);
    metrics_set(m, PS_METRIC_LOST, 0, c->members_lost);
    metrics_set(m, PS_METRIC_RETURNED, 0, c->members_returned);
    metrics_set(m, PS_METRIC_RESTARTED, 0, c->members_restarted);
    metrics_set(m, PS_METRIC_UNSENT, 0, now->unsent);
}

static void show_images(metrics *m, const archive_counters *images, uint64_t now_ms)
{
    metrics_set(m, PS_METRIC_IMAGES, PS_IMAGE_KEPT, images->kept);
    metrics_set(m, PS_METRIC_IMAGES, PS_IMAGE_FAILED, images->failed);
    metrics_set(m, PS_METRIC_IMAGES, PS_IMAGE_DROPPED, images->dropped);
    metrics_set(m, PS_METRIC_IMAGE_DURATION, 0, images->took_ms);
    if (images->kept == 0)
        return;
    const uint64_t age_ms = now_ms > images->kept_ms ? now_ms - images->kept_ms : 0;
    metrics_set(m, PS_METRIC_IMAGE_AGE, 0, age_ms);
    metrics_set(m, PS_METRIC_IMAGE_TIME, 0, clock_unix_ms() - age_ms);
}

void observer_show(observer *o, const observation *now, uint64_t now_ms)
{
    show_counts(o->counted, now);
    show_images(o->counted, &now->images, now_ms);
    if (now_ms - o->viewed_ms < OBSERVER_VIEW_MS || pthread_mutex_trylock(&o->lock) != 0)
        return;
    o->viewed_ms = now_ms;
    o->last = *now;
    o->last.shard = NULL;
    if (shard_view_take(now->shard, &o->view, now_ms) == PS_OK)
        chronicle_note(o->past, &o->view, o->counted, now_ms, clock_unix_ms());
    pthread_mutex_unlock(&o->lock);
    metrics_set(o->counted, PS_METRIC_OPEN, 0, o->view.open_requests);
    metrics_set(o->counted, PS_METRIC_HELD, 0, o->view.held_answers);
}

void observer_part(observer *o, const observation *now, uint64_t now_ms)
{
    enum { TURN_MS = 10 };
    const uint64_t looked_ms = atomic_load(&o->looked_ms);
    const bool is_watched = looked_ms > 0 && now_ms - looked_ms <= OBSERVER_LOOKED_MS;
    o->viewed_ms = 0;
    for (uint64_t waited_ms = 0; o->viewed_ms == 0 && waited_ms < OBSERVER_PART_MS; waited_ms += TURN_MS) {
        observer_show(o, now, now_ms); /* somebody may just be reading */
        poll(NULL, 0, o->viewed_ms == 0 ? TURN_MS : 0);
    }
    const uint64_t looks = atomic_load(&o->looks);
    for (uint64_t waited_ms = 0;
         is_watched && atomic_load(&o->looks) == looks && waited_ms < OBSERVER_PART_MS; waited_ms += TURN_MS)
        poll(NULL, 0, TURN_MS);
}
