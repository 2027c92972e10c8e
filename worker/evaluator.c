/* evaluator.c - a task that trains nothing: it pulls the model as it is and tests it, until the job ends. */
#include <time.h>

#include "common/clock.h"
#include "common/fpmode.h"
#include "common/log.h"
#include "common/trace.h"
#include "worker/evaluation.h"
#include "worker/report.h"
#include "worker/setup.h"
#include "worker/trainer.h"

enum { PAUSE_MS = 200 }; /* between two looks at the model, if it has changed */

static void pause_a_little(void)
{
    struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
    nanosleep(&pause, NULL); /* a signal ends it early; the caller looks */
}

static ps_status test_model(setup *s, const report *r, const ps_result *at, double started,
                            performance *shown, ps_error *error)
{
    evaluation found;
    const uint64_t begun_ns = trace_begin();
    ps_status status = evaluate(s->model, s->weights, s->test, &found);
    trace_span(TRACE_EVALUATE, begun_ns, (trace_about){.step = at->step});
    if (status != PS_OK)
        return ps_fail(error, status, "evaluation: %.480s", backend_failure(s->backend, status));
    log_event(LOG_INFO, "evaluation", at->step,
              "version %llu, %llu examples: test accuracy %.2f %%, loss %.4f", (unsigned long long)at->step,
              (unsigned long long)at->examples_total, found.accuracy * 100, found.loss);
    performance_note_test(shown, at->step, &found);
    double epoch = (double)at->examples_total / (double)dataset_rows(s->train);
    report_eval(r, epoch, at->step, found.accuracy, found.loss, dataset_rows(s->test),
                clock_monotonic_seconds() - started);
    performance_settle(shown, at->step, at->examples_total, epoch, s->client);
    return PS_OK;
}

/* Tests each version it gets to see; the last one is that after all workers have finished. */
static ps_status follow(setup *s, const report *r, performance *shown, const volatile sig_atomic_t *stop,
                        ps_error *error)
{
    double started = clock_monotonic_seconds();
    uint64_t tested = UINT64_MAX; /* examples_total of the version tested last */
    for (;;) {
        ps_result at;
        ps_status status = setup_pull(s, 0, &at, error);
        if (status == PS_OK && at.examples_total != tested)
            status = test_model(s, r, &at, started, shown, error);
        if (status != PS_OK || at.job_finished)
            return status;
        tested = at.examples_total;
        pause_a_little();
        if (*stop)
            return ps_fail(error, PS_EINTERRUPTED, "interrupted by a signal");
    }
}

ps_status evaluator_run(const worker_options *options, const cluster_spec *cluster, performance *shown,
                        const volatile sig_atomic_t *stop, ps_error *error)
{
    fpmode_flush_denormals();
    setup s;
    const setup_wishes wishes = {.needs_test = true, .stop = stop, .performance = shown};
    ps_status status = setup_init(&s, options, cluster, &wishes, error);
    if (status == PS_OK) {
        report r = {.fd = options->progress_fd};
        performance_set_activity(shown, ACTIVITY_TESTING);
        status = follow(&s, &r, shown, stop, error);
    }
    performance_set_activity(shown, ACTIVITY_FINISHING);
    if (status == PS_OK)
        status = setup_finish(&s, error);
    setup_fini(&s);
    return status;
}
