/* status_page.c - see status_page.h. */
#include "ps/status_page.h"

#include <math.h>
#include <unistd.h>

#include "common/events.h"
#include "common/process_page.h"
#include "common/transport.h"
#include "ps/ps_metrics.h"
#include "ps/refusals.h"

static const char *state_of(const status_page *p)
{
    if (p->view->failed)
        return "failed";
    if (p->is_over || p->view->finished)
        return "finished";
    return p->view->job ? "training" : "waiting";
}

static void put_job(json_writer *w, const job_config *job)
{
    if (!job) {
        json_put_null(w, "job");
        return;
    }
    json_open(w, "job", '{');
    json_put_text(w, "name", job->name);
    json_put_text(w, "mode", consistency_mode_name(job->mode));
    json_put_count(w, "staleness", job->staleness);
    json_put_count(w, "backup_workers", job->backup_workers);
    json_put_text(w, "optimizer", optimizer_kind_name(job->optimizer.kind));
    json_put_count(w, "servers", job->servers);
    json_put_count(w, "workers", job->workers);
    json_put_count(w, "evaluators", job->evaluators);
    json_put_count(w, "tensors", job->tensors.count);
    json_put_count(w, "parameters", tensor_table_elements(&job->tensors));
    json_put_text(w, "push_codec", codec_kind_name(job->push_codec));
    json_put_text(w, "pull_codec", codec_kind_name(job->pull_codec));
    json_put_text(w, "guard", guard_policy_name(job->guard));
    json_put_text(w, "on_worker_loss", loss_policy_name(job->on_worker_loss));
    json_put_digits(w, "seed", job->seed);
    json_close(w, '}');
}

static void put_known(json_writer *w, const char *key, uint64_t number, bool known)
{
    if (known)
        json_put_count(w, key, number);
    else
        json_put_null(w, key);
}

static void put_progress(json_writer *w, const status_page *p)
{
    const chronicle_progress now = chronicle_tell(p->past);
    json_open(w, "progress", '{');
    json_put_count(w, "step", p->view->version);
    put_known(w, "steps", now.steps, now.steps > 0);
    json_put_real(w, "epoch", now.epoch);
    json_put_real(w, "epochs", now.epochs);
    json_put_count(w, "examples", p->view->counters.examples_applied);
    json_put_real(w, "loss", now.loss);
    json_put_real(w, "accuracy", now.accuracy);
    json_put_real(w, "learning_rate", now.learning_rate);
    json_put_real(w, "examples_per_s", now.examples_per_s);
    json_put_real(w, "steps_per_s", now.steps_per_s);
    json_put_real(w, "eta_s", now.eta_s);
    page_put_test(w, now.tested, now.test_step, now.test_accuracy, now.test_loss);
    json_close(w, '}');
}

/* ---- members ---- */

static void put_pace(json_writer *w, const chronicle_pace *pace)
{
    json_put_real(w, "step_ms", pace->step_ms);
    json_put_real(w, "compute_ms", pace->compute_ms);
    json_put_real(w, "push_ms", pace->push_ms);
    json_put_real(w, "wait_ms", pace->wait_ms);
    json_put_real(w, "pull_ms", pace->pull_ms);
    json_put_real(w, "examples_per_s", pace->examples_per_s);
    json_put_real(w, "loss", pace->loss);
}

static void put_member(json_writer *w, const status_page *p, uint32_t index, const member_view *m, bool works)
{
    const bool known = m->incarnation != 0;
    const uint32_t past = works ? index : UINT32_MAX; /* of an evaluator there is none */
    const chronicle_pace pace = chronicle_tell_worker(p->past, past);
    json_open(w, NULL, '{');
    json_put_count(w, "index", index);
    if (known)
        json_put_digits(w, "incarnation", m->incarnation);
    else
        json_put_null(w, "incarnation");
    json_put_text(w, "state", member_state_name(m->state));
    put_known(w, "heard_ms", m->silent_ms, known);
    json_put_count(w, "restarts", m->restarts);
    put_known(w, "step", m->step, works);
    put_known(w, "behind", m->behind, works);
    put_known(w, "staleness", m->staleness, m->has_staleness);
    put_pace(w, &pace);
    page_put_figures(w, m->figures_count > 0 ? &m->figures : NULL);
    chronicle_print_recent(p->past, past, w);
    json_close(w, '}');
}

static void put_members(json_writer *w, const status_page *p)
{
    const job_config *job = p->view->job;
    json_open(w, "workers", '[');
    for (uint32_t i = 0; job && i < job->workers; i++)
        put_member(w, p, i, &p->view->workers[i], true);
    json_close(w, ']');
    json_open(w, "evaluators", '[');
    for (uint32_t i = 0; job && i < job->evaluators; i++)
        put_member(w, p, i, &p->view->evaluators[i], false);
    json_close(w, ']');
}

static void put_waits(json_writer *w, const shard_view *view)
{
    json_open(w, "waits", '[');
    for (uint32_t i = 0; i < view->wait_count; i++) {
        const wait_view *wait = &view->waits[i];
        json_open(w, NULL, '{');
        json_put_count(w, "worker", wait->worker);
        json_put_count(w, "step", wait->step);
        json_put_count(w, "since_ms", wait->since_ms);
        json_open(w, "for", '[');
        for (uint32_t k = 0; k < wait->awaited_count; k++)
            json_put_count(w, NULL, wait->awaited[k]);
        json_close(w, ']');
        json_put_text(w, "text", wait->text);
        json_close(w, '}');
    }
    json_close(w, ']');
}

/* ---- servers ---- */

static void put_codecs(json_writer *w, const char *key, const metrics *counted, ps_metric id)
{
    json_open(w, key, '{');
#define PUT_CODEC(kind, name) json_put_count(w, name, metrics_value(counted, id, (kind)-CODEC_FP32));
    CODEC_LIST(PUT_CODEC)
#undef PUT_CODEC
    json_close(w, '}');
}

static void put_shard(json_writer *w, const status_page *p)
{
    const shard_view *view = p->view;
    const shard_counters *c = &view->counters;
    json_open(w, "shard", '{');
    json_put_count(w, "index", p->index);
    json_put_count(w, "version", view->version);
    json_put_count(w, "slices", view->slices);
    json_put_count(w, "parameters", view->parameters);
    json_put_count(w, "bytes", view->parameters * sizeof(float) * (1 + view->slots));
    json_put_count(w, "updates", c->steps_applied);
    json_put_count(w, "examples", c->examples_applied);
    json_put_count(w, "pushes", c->pushes);
    json_put_count(w, "duplicates", c->repeats);
    json_put_count(w, "late", c->late_gradients);
    json_put_count(w, "nonfinite", c->nonfinite_refused);
    json_put_count(w, "refused", c->messages_refused);
    json_put_real(w, "apply_ms", chronicle_tell(p->past).apply_ms);
    json_open(w, "queue", '{');
    json_put_count(w, "requests", view->open_requests);
    json_put_count(w, "answers", view->held_answers);
    json_put_count(w, "unsent", p->unsent);
    json_close(w, '}');
    put_codecs(w, "received", p->counted, PS_METRIC_BYTES_RECEIVED);
    put_codecs(w, "sent", p->counted, PS_METRIC_BYTES_SENT);
    json_put_count(w, "restores", c->restores + c->resumes);
    json_close(w, '}');
}

static void put_servers(json_writer *w, const status_page *p)
{
    const job_config *job = p->view->job;
    json_open(w, "servers", '[');
    for (uint32_t i = 0; i < (job ? job->servers : 0); i++) {
        const char *http = i == p->index ? p->http : p->view->server_http[i];
        json_open(w, NULL, '{');
        json_put_count(w, "index", i);
        json_put_text(w, "http", http[0] ? http : NULL);
        json_close(w, '}');
    }
    json_close(w, ']');
}

static void put_checkpoint(json_writer *w, const status_page *p)
{
    const archive_counters *i = &p->images;
    const bool some = i->kept > 0;
    if (!p->has_archive) {
        json_put_null(w, "checkpoint");
        return;
    }
    json_open(w, "checkpoint", '{');
    json_put_count(w, "kept", i->kept);
    json_put_count(w, "failed", i->failed);
    json_put_count(w, "dropped", i->dropped);
    put_known(w, "step", i->step, some);
    put_known(w, "age_ms", p->now_ms > i->kept_ms ? p->now_ms - i->kept_ms : 0, some);
    put_known(w, "duration_ms", i->took_ms, some);
    json_close(w, '}');
}

static void put_faults(json_writer *w, const shard_counters *c)
{
    const uint64_t restores = c->restores + c->resumes;
    json_open(w, "faults", '{');
    json_put_count(w, "workers_lost", c->members_lost);
    json_put_count(w, "workers_returned", c->members_returned);
    json_put_count(w, "workers_restarted", c->members_restarted);
    json_put_count(w, "restores", restores);
    json_put_count(w, "recovered", c->members_returned + c->members_restarted + restores);
    json_close(w, '}');
}

static void put_refusals(json_writer *w, const status_page *p)
{
    json_open(w, "refusals", '{');
    json_open(w, "handshakes", '{');
#define PUT_HANDSHAKE(constant, name) \
    json_put_count(w, name, metrics_value(p->counted, PS_METRIC_HANDSHAKES, constant));
    HANDSHAKE_FAILURE_LIST(PUT_HANDSHAKE)
#undef PUT_HANDSHAKE
    json_close(w, '}');
    json_open(w, "messages", '{');
#define PUT_REFUSAL(constant, name) \
    json_put_count(w, name, metrics_value(p->counted, PS_METRIC_REFUSED, constant));
    REFUSAL_LIST(PUT_REFUSAL)
#undef PUT_REFUSAL
    json_close(w, '}');
    http_refusals_put(p->http_refused, "http", w);
    json_close(w, '}');
}

void status_page_print(const status_page *p, FILE *out)
{
    json_writer w = {.out = out};
    const process_page process = {
        .kind = "ps",
        .role = "ps",
        .index = p->index,
        .incarnation = p->incarnation,
        .now_unix_ms = p->now_unix_ms,
        .started_unix_ms = p->started_unix_ms,
        .loop_age_ms = p->loop_age_ms,
        .ready = p->is_over || p->view->job,
    };
    json_open(&w, NULL, '{');
    page_put_process(&w, &process);
    json_put_text(&w, "state", state_of(p));
    put_job(&w, p->view->job);
    put_progress(&w, p);
    put_members(&w, p);
    put_shard(&w, p);
    put_servers(&w, p);
    put_checkpoint(&w, p);
    put_faults(&w, &p->view->counters);
    put_refusals(&w, p);
    put_waits(&w, p->view);
    chronicle_print_history(p->past, &w);
    chronicle_print_tests(p->past, &w);
    events_print(&w);
    json_close(&w, '}');
    fputc('\n', out);
}
