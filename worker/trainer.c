/* trainer.c - the training loop of a worker or chief: batch -> gradient -> push_pull -> weights.
 *
 * One thread does all of it and drives the client; while the weights are on their way it gathers the next
 * batch. Which rows a batch holds is the sampler's business, when an update applies the shard's. */
#include "worker/trainer.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fpmode.h"
#include "common/log.h"
#include "worker/evaluation.h"
#include "worker/model_file.h"
#include "worker/report.h"
#include "worker/sampler.h"
#include "worker/setup.h"

enum {
    REPORT_MS = 200, /* between progress reports */
    LOG_MS = 5000,   /* between progress lines in the log */
    PATH_BYTES = 4096,
};

/* One batch, in the order the sampler drew it. */
typedef struct {
    uint64_t step; /* 0: none gathered */
    uint32_t count;
    uint64_t *rows;
    float *features; /* (count x inputs) */
    uint32_t *labels;
} batch;

typedef struct {
    setup setup;
    const worker_options *options;
    const cluster_spec *cluster;
    bool chief, evaluates; /* evaluates: also while training */
    report report;
    sampler sampler;
    uint64_t steps_per_epoch, steps; /* of the whole run */
    uint64_t step;                   /* the last one done */
    uint64_t examples_total;         /* of all workers, at that step */
    batch batch;
    float *gradients; /* (parameters) flat */
    float **tensor_gradients;
    double loss_sum; /* of the rows since the last report */
    uint64_t loss_rows;
    double loss; /* mean over the rows of the last report */
    double started, train_seconds;
    double report_at;
    uint64_t report_examples; /* examples_total at the last report */
    uint64_t first_examples;  /* examples_total when this process joined */
    uint64_t log_at_ms;
    evaluation evaluation;
    char model_path[PATH_BYTES];
} trainer;

static ps_status init(trainer *t, const volatile sig_atomic_t *stop, ps_error *error)
{
    const worker_options *o = t->options;
    ps_status status = setup_init(&t->setup, o, t->cluster, t->chief, stop, error);
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
    };
    status = sampler_check(&t->sampler, error);
    if (status != PS_OK)
        return status;
    t->steps_per_epoch = sampler_steps_per_epoch(&t->sampler);
    t->steps = o->steps ? o->steps : t->steps_per_epoch * o->epochs;
    t->evaluates = t->chief && job->evaluators == 0 && o->evaluate_every > 0;

    t->batch.rows = calloc(o->batch_size, sizeof *t->batch.rows);
    t->batch.labels = calloc(o->batch_size, sizeof *t->batch.labels);
    t->batch.features = calloc((size_t)o->batch_size * t->setup.config.inputs, sizeof *t->batch.features);
    t->gradients = ps_allocate(t->setup.client, t->setup.parameters * sizeof *t->gradients);
    t->tensor_gradients = t->gradients ? setup_tensor_pointers(&t->setup, t->gradients) : NULL;
    if (!t->batch.rows || !t->batch.labels || !t->batch.features || !t->tensor_gradients)
        return ps_fail(error, PS_ENOMEM, "out of memory for a batch of %u rows", o->batch_size);
    return PS_OK;
}

static void fini(trainer *t)
{
    setup_fini(&t->setup); /* ends the client, and with it all lending */
    free(t->batch.rows);
    free(t->batch.labels);
    free(t->batch.features);
    free(t->tensor_gradients);
}

/* ---- progress ---- */

static double epochs_done(const trainer *t)
{
    return (double)t->step / (double)t->steps_per_epoch;
}

static void tell_progress(trainer *t)
{
    double now = clock_monotonic_seconds();
    double interval = now - t->report_at;
    if (interval * 1000 < REPORT_MS || t->loss_rows == 0)
        return;
    t->loss = t->loss_sum / (double)t->loss_rows;
    double rate = (double)(t->examples_total - t->report_examples) / interval;
    report_step(&t->report, epochs_done(t), t->step, t->loss, t->examples_total, now - t->started, rate);
    uint64_t now_ms = clock_monotonic_ms();
    if (now_ms - t->log_at_ms >= LOG_MS) {
        t->log_at_ms = now_ms;
        log_info("epoch %.2f, step %llu of %llu: loss %.4f, %.0f images/s", epochs_done(t),
                 (unsigned long long)t->step, (unsigned long long)t->steps, t->loss, rate);
    }
    t->report_at = now;
    t->report_examples = t->examples_total;
    t->loss_sum = 0;
    t->loss_rows = 0;
}

static ps_status evaluate_now(trainer *t, ps_error *error)
{
    ps_status status = evaluate(t->setup.model, t->setup.weights, t->setup.test, &t->evaluation);
    if (status != PS_OK)
        return ps_fail(error, status, "evaluation: %s", ps_status_text(status));
    log_info("epoch %.4g: test accuracy %.2f %%, loss %.4f", epochs_done(t), t->evaluation.accuracy * 100,
             t->evaluation.loss);
    report_eval(&t->report, epochs_done(t), t->step, t->evaluation.accuracy, t->evaluation.loss,
                dataset_rows(t->setup.test), clock_monotonic_seconds() - t->started);
    return PS_OK;
}

/* ---- steps ---- */

static void gather(trainer *t, uint64_t step)
{
    batch *b = &t->batch;
    if (b->step == step || step > t->steps)
        return;
    b->step = step;
    b->count = sampler_rows(&t->sampler, step, t->cluster->rank, b->rows);
    dataset_gather(t->setup.train, b->rows, b->count, b->features, b->labels);
}

/* One step: compute, push, and have the next weights. */
static ps_status do_step(trainer *t, uint64_t step, ps_result *result, ps_error *error)
{
    gather(t, step);
    uint32_t rows = t->batch.count;
    double loss_sum = 0;
    if (rows > 0) {
        uint32_t correct;
        ps_status status = mlp_gradient(t->setup.model, t->setup.weights, t->batch.features, t->batch.labels,
                                        rows, t->gradients, NULL, NULL, &loss_sum, &correct);
        if (status != PS_OK)
            return ps_fail(error, status, "step %llu: %s", (unsigned long long)step, ps_status_text(status));
    }
    t->loss_sum += loss_sum;
    t->loss_rows += rows;

    ps_update update = {
        .step = step,
        .examples = rows,
        .gradients = (const float *const *)t->tensor_gradients,
    };
    ps_ticket ticket;
    ps_status status = ps_push_pull(t->setup.client, &update, t->setup.tensor_weights, &ticket, error);
    if (status != PS_OK)
        return status;
    gather(t, step + 1);
    status = ps_wait(t->setup.client, ticket, PS_FOREVER, result, error);
    if (status == PS_OK && result->nonfinite)
        log_warning("step %llu: the gradient of this worker holds NaN or Inf and was left out",
                    (unsigned long long)step);
    return status;
}

/* With backup workers the others may have gone on without this one: then so does it. */
static uint64_t step_done(const trainer *t, uint64_t step, const ps_result *result)
{
    bool sync = ps_job(t->setup.client)->mode == CONSISTENCY_SYNC;
    return sync && result->step > step ? result->step : step;
}

static bool epoch_to_evaluate(const trainer *t, uint64_t before)
{
    uint64_t epoch = t->step / t->steps_per_epoch;
    return t->evaluates && t->step < t->steps && epoch > before / t->steps_per_epoch &&
           epoch % t->options->evaluate_every == 0;
}

static ps_status train(trainer *t, ps_error *error)
{
    ps_result result;
    ps_status status = setup_pull(&t->setup, false, &result, error);
    t->step = ps_joined_step(t->setup.client);
    t->examples_total = t->first_examples = t->report_examples = result.examples_total;
    t->started = t->report_at = clock_monotonic_seconds();
    t->log_at_ms = clock_monotonic_ms();
    while (status == PS_OK && t->step < t->steps) {
        uint64_t before = t->step;
        status = do_step(t, before + 1, &result, error);
        if (status != PS_OK)
            break;
        t->step = step_done(t, before + 1, &result);
        t->examples_total = result.examples_total;
        tell_progress(t);
        if (epoch_to_evaluate(t, before))
            status = evaluate_now(t, error);
    }
    t->train_seconds = clock_monotonic_seconds() - t->started;
    return status;
}

/* The chief's last duties: the weights after everyone's last update, tested and on disk. */
static ps_status conclude(trainer *t, ps_error *error)
{
    ps_result result;
    ps_status status = setup_pull(&t->setup, true, &result, error);
    if (status != PS_OK)
        return status;
    t->examples_total = result.examples_total;
    status = evaluate_now(t, error);
    if (status == PS_OK)
        status =
            model_file_write(t->options->output_folder, &t->setup.config, &ps_job(t->setup.client)->tensors,
                             t->setup.weights, t->model_path, sizeof t->model_path, error);
    if (status != PS_OK)
        return status;
    double rate = (double)(t->examples_total - t->first_examples) / t->train_seconds;
    log_info("trained %llu steps in %.1f s, %.0f images/s; model in %s", (unsigned long long)t->step,
             t->train_seconds, rate, t->model_path);
    report_done(&t->report, t->step, t->evaluation.accuracy, t->evaluation.loss,
                clock_monotonic_seconds() - t->started, t->train_seconds, rate, t->model_path);
    return PS_OK;
}

ps_status trainer_run(const worker_options *options, const cluster_spec *cluster,
                      const volatile sig_atomic_t *stop, ps_error *error)
{
    fpmode_flush_denormals();
    trainer *t = calloc(1, sizeof *t);
    if (!t)
        return ps_fail(error, PS_ENOMEM, "out of memory for a trainer");
    t->options = options;
    t->cluster = cluster;
    t->chief = cluster->is_chief;
    t->report.fd = t->chief ? options->progress_fd : -1;
    ps_status status = init(t, stop, error);
    if (status == PS_OK) {
        report_start(&t->report, cluster_role_name(cluster->role), ps_job(t->setup.client), options->epochs,
                     t->steps, t->steps_per_epoch, t->sampler.rows);
        status = train(t, error);
    }
    if (status == PS_OK && t->chief)
        status = conclude(t, error);
    if (status == PS_OK)
        status = setup_finish(&t->setup, error);
    fini(t);
    free(t);
    return status;
}
