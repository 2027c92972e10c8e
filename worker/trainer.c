/* trainer.c - the training loop of a worker or chief: batch -> gradient -> push and pull -> weights.
 *
 * One thread does all of it and drives the client. How one step is done says worker/trainer_step.c; here is
 * which step is done, from where the worker joins to the end of the job. Which rows a batch holds is the
 * sampler's business, when an update applies the shard's.
 *
 * Where workers may be lost for good (--on-worker-loss shrink), one that comes back enters anew and begins
 * with the step that the ps name; the chief stands in for one that is lost (worker/stand_in.h). */
#include "worker/trainer.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/fpmode.h"
#include "common/log.h"
#include "common/trace.h"
#include "worker/model_file.h"
#include "worker/trainer_state.h"

enum {
    REPORT_MS = 200, /* between progress reports */
    LOG_MS = 5000,   /* between progress lines in the log */
};

/* More where fewer share the rows of an epoch. */
static uint64_t count_steps(const trainer *t)
{
    const worker_options *o = t->options;
    return o->steps ? o->steps : sampler_last_step(&t->sampler, o->epochs);
}

static void worker_lost(void *context, uint32_t worker)
{
    trainer *t = context;
    if (t->stand_in)
        stand_in_replace(t->stand_in, worker);
}

static bool allocate_batches(trainer *t)
{
    backend *b = t->setup.backend;
    const uint32_t rows = t->options->batch_size;
    t->batch_count = b->ops->host_memory ? 1 : TRAINER_BATCHES_MAX;
    for (uint32_t i = 0; i < t->batch_count; i++) {
        batch *at = &t->batches[i];
        at->rows = calloc(rows, sizeof *at->rows);
        at->labels = backend_allocate_host(b, rows * sizeof *at->labels);
        at->features = backend_allocate_host(b, (size_t)rows * t->setup.config.inputs * sizeof *at->features);
        if (!at->rows || !at->labels || !at->features)
            return false;
    }
    return true;
}

static void release_batches(trainer *t)
{
    if (t->batch_count > 0)
        t->setup.backend->ops->synchronize(t->setup.backend); /* one may be on its way to the device */
    for (uint32_t i = 0; i < t->batch_count; i++) {
        free(t->batches[i].rows);
        backend_release_host(t->setup.backend, t->batches[i].labels);
        backend_release_host(t->setup.backend, t->batches[i].features);
    }
}

static ps_status init(trainer *t, const volatile sig_atomic_t *stop, ps_error *error)
{
    const worker_options *o = t->options;
    const setup_wishes wishes = {.needs_test = t->chief,
                                 .stop = stop,
                                 .incarnation = t->incarnation,
                                 .worker_lost = worker_lost,
                                 .context = t,
                                 .performance = t->performance};
    t->shrinks = o->job.on_worker_loss == LOSS_SHRINK && o->job.mode == CONSISTENCY_SYNC;
    ps_status status = PS_OK;
    if (t->shrinks && t->chief && stand_in_create(o, t->cluster, &t->stand_in) != PS_OK)
        return ps_fail(error, PS_ENOMEM, "out of memory for a trainer");
    status = setup_init(&t->setup, o, t->cluster, &wishes, error);
    if (status == PS_OK && t->chief)
        status = model_file_prepare(o->output_folder, t->model_path, sizeof t->model_path, error);
    if (status != PS_OK)
        return status;
    const job_config *job = ps_job(t->setup.client);
    t->sampler = (sampler){
        .seed = job->seed,
        .rows = dataset_rows(t->setup.train),
        .workers = job->workers,
        .batch = o->batch_size,
        .members = ps_members(t->setup.client),
    };
    status = sampler_check(&t->sampler, error);
    if (status != PS_OK)
        return status;
    if (t->chief && o->logdir) {
        const board_subject subject = {.options = o, .job = job, .model = &t->setup.config};
        status = board_open(&subject, &t->board, error);
        if (status != PS_OK)
            return status;
    }
    t->steps_per_epoch = sampler_steps_per_epoch(&t->sampler);
    t->steps = count_steps(t);
    t->evaluates = t->chief && job->evaluators == 0 && o->evaluate_every > 0;

    if (!allocate_batches(t))
        return ps_fail(error, PS_ENOMEM, "out of memory for a batch of %u rows", o->batch_size);
    t->gradients = setup_allocate(&t->setup);
    t->tensor_gradients = t->gradients ? setup_tensor_pointers(&t->setup, t->gradients) : NULL;
    if (!t->tensor_gradients)
        return ps_fail(error, PS_ENOMEM, "out of memory for %llu gradients",
                       (unsigned long long)t->setup.parameters);
    return PS_OK;
}

static void fini(trainer *t)
{
    stand_in_destroy(&t->stand_in);
    release_batches(t);
    board_close(&t->board); /* borrows the client's job */
    setup_fini(&t->setup);  /* ends the client, and with it all lending */
    free(t->tensor_gradients);
}

/* ---- progress ---- */

static double epochs_done(const trainer *t)
{
    return sampler_epochs_done(&t->sampler, t->step);
}

/* Of the rows since the last report. */
static void show_training(trainer *t, double now)
{
    if (t->loss_rows == 0 || now <= t->report_at)
        return;
    const double rows = (double)t->loss_rows;
    const board_training shown = {
        .loss = t->loss_sum / rows,
        .accuracy = (double)t->correct_rows / rows,
        .examples_per_s = (double)(t->examples_total - t->report_examples) / (now - t->report_at),
    };
    board_show_training(t->board, t->step, &shown);
}

static void tell_progress(trainer *t)
{
    double now = clock_monotonic_seconds();
    double interval = now - t->report_at;
    if (interval * 1000 < REPORT_MS || t->loss_rows == 0)
        return;
    t->loss = t->loss_sum / (double)t->loss_rows;
    double rate = (double)(t->examples_total - t->report_examples) / interval;
    show_training(t, now);
    report_step(&t->report, epochs_done(t), t->step, t->steps, t->loss, t->examples_total, now - t->started,
                rate);
    uint64_t now_ms = clock_monotonic_ms();
    if (now_ms - t->log_at_ms >= LOG_MS) {
        t->log_at_ms = now_ms;
        log_event(LOG_INFO, "progress", t->step, "epoch %.2f, step %llu of %llu: loss %.4f, %.0f images/s",
                  epochs_done(t), (unsigned long long)t->step, (unsigned long long)t->steps, t->loss, rate);
    }
    t->report_at = now;
    t->report_examples = t->examples_total;
    t->loss_sum = 0;
    t->loss_rows = t->correct_rows = 0;
}

static ps_status evaluate_now(trainer *t, ps_error *error)
{
    performance_set_activity(t->performance, ACTIVITY_TESTING);
    const uint64_t begun_ns = trace_begin();
    ps_status status = evaluate(t->setup.model, t->setup.weights, t->setup.test, &t->evaluation);
    trace_span(TRACE_EVALUATE, begun_ns, (trace_about){.step = t->step});
    if (status != PS_OK)
        return ps_fail(error, status, "evaluation: %.480s", backend_failure(t->setup.backend, status));
    log_event(LOG_INFO, "evaluation", t->step, "epoch %.4g: test accuracy %.2f %%, loss %.4f", epochs_done(t),
              t->evaluation.accuracy * 100, t->evaluation.loss);
    report_eval(&t->report, epochs_done(t), t->step, t->evaluation.accuracy, t->evaluation.loss,
                dataset_rows(t->setup.test), clock_monotonic_seconds() - t->started);
    performance_note_test(t->performance, t->step, &t->evaluation);
    performance_set_activity(t->performance, t->step < t->steps ? ACTIVITY_TRAINING : ACTIVITY_FINISHING);
    board_show_evaluation(t->board, t->step, &t->evaluation, t->setup.weights, t->gradients);
    return PS_OK;
}

/* ---- the loop ---- */

/* Does an epoch after which to evaluate end between two steps? */
static bool epoch_to_evaluate(const trainer *t, uint64_t before, uint64_t step)
{
    if (!t->evaluates || step >= t->steps)
        return false;
    const uint64_t epoch = (uint64_t)sampler_epochs_done(&t->sampler, step);
    return epoch > (uint64_t)sampler_epochs_done(&t->sampler, before) &&
           epoch % t->options->evaluate_every == 0;
}

static bool takes_part(const trainer *t, uint64_t step)
{
    return members_include(t->sampler.members, t->rank, step);
}

/* An administrator may have ended the job: then this worker ends with it, but not before `step`, which is
 * pushed. */
static void heed_end(trainer *t, uint64_t step)
{
    uint64_t end = ps_end_step(t->setup.client);
    if (end == 0 || t->steps <= step)
        return;
    end = end > step ? end : step;
    if (end >= t->steps)
        return;
    t->steps = end;
    log_event(LOG_WARNING, "stop_heard", t->step, "an administrator ends the job: after step %llu",
              (unsigned long long)end);
    performance_set_goal(t->performance, t->step, t->steps, sampler_epochs_done(&t->sampler, t->steps));
}

/* Must this step be over before the next may begin? With backup workers its answers tell which is the next.
 */
static bool ends_at_once(const trainer *t, uint64_t step)
{
    return step == t->steps || ps_job(t->setup.client)->backup_workers > 0 ||
           epoch_to_evaluate(t, step - 1, step) || !takes_part(t, step + 1);
}

/* Before the chief waits for the others' end, which is no communication of its own. */
static void say_how_it_communicated(const trainer *t)
{
    ps_counters done;
    ps_count(t->setup.client, &done);
    log_info("%llu steps pushed and acknowledged", (unsigned long long)t->step);
    log_info("communication: %.1f s, %.0f %% hidden; %.1f MiB pushed, %.1f MiB pulled, %llu requests, "
             "%llu resent",
             done.communication_seconds, ps_hidden_share(&done) * 100, (double)done.bytes_pushed / (1 << 20),
             (double)done.bytes_pulled / (1 << 20), (unsigned long long)done.requests,
             (unsigned long long)done.resent);
}

/* Says that the worker takes part no more, or again, unless the ps know that already. `*begin`: the step
 * after which it goes on; that of the end if it comes too late. */
static ps_status settle_membership(trainer *t, uint64_t *begin, ps_error *error)
{
    ps_client *client = t->setup.client;
    ps_status status = PS_OK;
    if (t->shrinks && t->rank > 0)
        status = (t->stands_in ? ps_leave : ps_enter)(client, PS_FOREVER, error);
    if (status == PS_ESTATE)
        log_info("%s", error->text);
    else if (status != PS_OK)
        return status;
    t->sampler.members = ps_members(client);
    const uint64_t joined = ps_joined_step(client);
    t->steps = count_steps(t);
    heed_end(t, joined);
    const uint64_t first = members_first_step(t->sampler.members, t->rank, joined + 1);
    if (first == joined + 1)
        *begin = joined;
    else if (first <= t->steps)
        *begin = first - 1;
    else
        *begin = joined > t->steps ? joined : t->steps; /* nothing is left to do */
    if (*begin > joined && *begin < t->steps)
        log_info("taking part from step %llu on; the ps are at step %llu", (unsigned long long)first,
                 (unsigned long long)joined);
    return PS_OK;
}

/* At the start, and after the ps have gone back or the members have changed. */
static ps_status begin_where_joined(trainer *t, ps_error *error)
{
    ps_result result;
    uint64_t begin;
    ps_status status = settle_membership(t, &begin, error);
    const bool waits = status == PS_OK && begin > ps_joined_step(t->setup.client) && begin < t->steps;
    if (status == PS_OK)
        status = setup_pull(&t->setup, waits ? begin : 0, &result, error);
    if (status != PS_OK)
        return status;
    t->pending = false;
    for (uint32_t i = 0; i < t->batch_count; i++)
        t->batches[i].step = 0;
    t->step = begin;
    heed_end(t, begin);
    t->examples_total = t->report_examples = result.examples_total;
    t->report_at = clock_monotonic_seconds();
    board_begin(t->board, t->step);
    performance_set_activity(t->performance, ACTIVITY_TRAINING);
    performance_set_goal(t->performance, t->step, t->steps, sampler_epochs_done(&t->sampler, t->steps));
    if (t->started > 0)
        return PS_OK;
    t->started = t->report_at;
    t->first_examples = result.examples_total;
    t->log_at_ms = clock_monotonic_ms();
    return PS_OK;
}

/* One that has left, and entered again at once, may have a step between the two of which it has no part: the
 * others do that, and it goes on after it. */
static ps_status sit_out(trainer *t, uint64_t *step, ps_error *error)
{
    const uint64_t first = members_first_step(t->sampler.members, t->rank, *step + 1);
    if (first == *step + 1 || first > t->steps)
        return PS_OK;
    ps_result result;
    ps_status status = setup_pull(&t->setup, first - 1, &result, error);
    if (status != PS_OK)
        return status;
    *step = t->step = first - 1;
    heed_end(t, *step);
    return PS_OK;
}

static void note_performance(trainer *t, uint64_t begun_ns, uint64_t pushed)
{
    if (!t->performance)
        return;
    const performance_step step = {
        .begun_ns = begun_ns,
        .pushed = pushed,
        .over = t->step,
        .examples_total = t->examples_total,
        .epoch = epochs_done(t),
        .rows = t->computed->count,
        .correct = t->step_correct,
        .loss_sum = t->step_loss,
    };
    performance_end_step(t->performance, &step, t->setup.client);
}

static ps_status train(trainer *t, ps_error *error)
{
    ps_status status = begin_where_joined(t, error);
    uint64_t step = t->step;
    while (status == PS_OK && step < t->steps && takes_part(t, step + 1)) {
        uint64_t before = step;
        const uint64_t begun_ns = performance_begin(t->performance);
        status = trainer_step(t, ++step, error);
        const uint64_t pushed = step;
        heed_end(t, step);
        if (status == PS_OK && ends_at_once(t, step)) {
            const uint64_t waiting_ns = performance_begin(t->performance);
            status = trainer_end_step(t, error);
            performance_add(t->performance, PHASE_WAIT, waiting_ns);
            step = t->step;
            heed_end(t, step);
        }
        if (status != PS_OK)
            break;
        note_performance(t, begun_ns, pushed);
        tell_progress(t);
        if (epoch_to_evaluate(t, before, step))
            status = evaluate_now(t, error);
        if (status == PS_OK)
            status = sit_out(t, &step, error);
    }
    t->train_seconds = clock_monotonic_seconds() - t->started;
    return status;
}

/* The chief's last duties: the weights after everyone's last update, tested and on disk. */
static ps_status conclude(trainer *t, ps_error *error)
{
    ps_result result;
    ps_status status = setup_pull_final(&t->setup, &result, error);
    if (status != PS_OK)
        return status;
    t->examples_total = result.examples_total;
    status = evaluate_now(t, error);
    const uint64_t begun_ns = trace_begin();
    if (status == PS_OK)
        status =
            model_file_write(t->options->output_folder, &t->setup.config, &ps_job(t->setup.client)->tensors,
                             t->setup.weights, t->model_path, sizeof t->model_path, error);
    trace_span(TRACE_SAVE, begun_ns, (trace_about){.step = t->step});
    return status;
}

/* Everyone has done his part, and the model is there. */
static void tell_result(const trainer *t)
{
    double rate = (double)(t->examples_total - t->first_examples) / t->train_seconds;
    log_event(LOG_INFO, "trained", t->step, "trained %llu steps in %.1f s, %.0f images/s; model in %s",
              (unsigned long long)t->step, t->train_seconds, rate, t->model_path);
    report_done(&t->report, t->step, t->evaluation.accuracy, t->evaluation.loss,
                clock_monotonic_seconds() - t->started, t->train_seconds, rate, t->model_path);
}

/* From where this worker has joined to the end of the job. */
static ps_status run_to_the_end(trainer *t, ps_error *error)
{
    ps_status status = train(t, error);
    if (status == PS_EROLLBACK)
        return status;
    performance_set_activity(t->performance, ACTIVITY_FINISHING);
    say_how_it_communicated(t);
    if (status == PS_OK && t->chief)
        status = conclude(t, error);
    performance_settle(t->performance, t->step, t->examples_total, epochs_done(t), t->setup.client);
    if (status == PS_OK)
        status = setup_finish(&t->setup, error);
    if (status == PS_OK && t->chief)
        tell_result(t);
    return status;
}

/* A ps was lost, and those that are there go on from an earlier step, or the members have changed: then this
 * worker does the same, as often as need be. */
static ps_status run_and_go_back(trainer *t, ps_status run(trainer *t, ps_error *error), ps_error *error)
{
    ps_status status = run(t, error);
    while (status == PS_EROLLBACK) {
        log_event(LOG_WARNING, "rollback", t->step, "step %llu: %s", (unsigned long long)t->step,
                  error->text);
        performance_note_rollback(t->performance);
        performance_set_activity(t->performance, ACTIVITY_JOINING);
        status = ps_join(t->setup.client, t->options->join_timeout_ms, error);
        if (status == PS_OK)
            status = run(t, error);
    }
    return status;
}

/* NULL: out of memory. */
static trainer *create(const worker_options *options, const cluster_spec *cluster, ps_error *error)
{
    trainer *t = calloc(1, sizeof *t);
    fpmode_flush_denormals();
    if (!t) {
        ps_fail(error, PS_ENOMEM, "out of memory for a trainer");
        return NULL;
    }
    t->options = options;
    t->cluster = cluster;
    t->rank = cluster->rank;
    t->report.fd = -1;
    return t;
}

ps_status trainer_run(const worker_options *options, const cluster_spec *cluster, performance *shown,
                      const volatile sig_atomic_t *stop, ps_error *error)
{
    trainer *t = create(options, cluster, error);
    if (!t)
        return PS_ENOMEM;
    t->chief = cluster->is_chief;
    t->performance = shown;
    if (t->chief)
        t->report.fd = options->progress_fd;
    ps_status status = init(t, stop, error);
    if (status == PS_OK) {
        report_start(&t->report, cluster_role_name(cluster->role), ps_job(t->setup.client), options->epochs,
                     t->steps, t->steps_per_epoch, t->sampler.rows);
        status = run_and_go_back(t, run_to_the_end, error);
    }
    fini(t);
    free(t);
    return status;
}

ps_status trainer_stand_in(const worker_options *options, const cluster_spec *cluster, uint32_t worker,
                           uint64_t incarnation, const volatile sig_atomic_t *stop, ps_error *error)
{
    cluster_spec as_the_lost = *cluster; /* borrows what it holds */
    as_the_lost.rank = worker;
    trainer *t = create(options, &as_the_lost, error);
    if (!t)
        return PS_ENOMEM;
    t->stands_in = true;
    t->incarnation = incarnation;
    ps_status status = init(t, stop, error);
    if (status == PS_OK)
        status = run_and_go_back(t, train, error);
    fini(t);
    free(t);
    return status;
}
