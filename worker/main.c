/* main.c - penstock-worker: options, cluster spec, and then the trainer or the evaluator. */
#include <stdio.h>
#include <stdlib.h>

#include "common/cluster.h"
#include "common/first_process.h"
#include "common/log.h"
#include "common/stop.h"
#include "common/trace.h"
#include "worker/blas_select.h"
#include "worker/options.h"
#include "worker/trainer.h"
#include "worker/worker_observer.h"

static ps_status work(const worker_options *o, const cluster_spec *cluster, ps_error *error)
{
    char who[32];
    snprintf(who, sizeof who, "%s/%u", cluster_role_name(cluster->role), cluster->index);
    log_setup(cluster->present ? who : "worker", o->log.level);
    if (!cluster->present)
        log_info("no TF_CONFIG: training alone, with the parameter server inside this process");
    const bool evaluates = cluster->present && cluster->role == ROLE_EVALUATOR;
    const trace_identity self = {
        .who = cluster->present ? who : "worker",
        .role = evaluates ? TRACE_OF_EVALUATOR : TRACE_OF_WORKER,
        .index = evaluates ? cluster->index : cluster->rank,
    };
    ps_status status = trace_open(&o->trace, &self, error);
    trace_name_thread("trainer");
    if (status != PS_OK)
        return status;
    const volatile sig_atomic_t *stop = stop_on_signals();
    const bool tells = o->figures && cluster->present, is_watched = tells || o->http.wanted;
    performance *shown = is_watched ? performance_create(cluster, tells) : NULL;
    http *server = NULL;
    if (shown)
        status = worker_observer_start(&o->http, shown, &server, error);
    else if (is_watched)
        status = ps_fail(error, PS_ENOMEM, "out of memory for figures");
    if (status == PS_OK)
        status = evaluates ? evaluator_run(o, cluster, shown, stop, error)
                           : trainer_run(o, cluster, shown, stop, error);
    http_stop(&server);
    performance_destroy(&shown);
    return status;
}

int main(int argc, char **argv)
{
    worker_options o;
    first_process_prepare(false);
    worker_options_parse(&o, argc, argv);
    log_setup("worker", o.log.level);
    log_set_format(o.log.format);
    if (o.list_devices) {
        device_list(stdout);
        job_fini(&o.job);
        return PS_EXIT_DONE;
    }

    cluster_spec cluster;
    cluster_warning warning = {""};
    char caret[512] = "";
    ps_error error = {PS_OK, ""};
    ps_status status =
        cluster_options_resolve(&o.cluster, ROLE_WORKER, &cluster, &warning, caret, sizeof caret, &error);
    if (status != PS_OK) {
        fprintf(stderr, "penstock-worker: %s\n%s", error.text, caret);
        job_fini(&o.job);
        return ps_status_exit_code(status);
    }
    if (o.cluster.check_config) {
        if (warning.text[0])
            log_warning("%s", warning.text);
        static char text[CLUSTER_DESCRIPTION_MAX];
        cluster_describe(&cluster, text, sizeof text);
        fputs(text, stdout);
    } else {
        char blas[512] = "";
        status = blas_select(argv, blas, sizeof blas, &error); /* may start this process anew */
        if (warning.text[0])
            log_warning("%s", warning.text);
        if (status == PS_OK) {
            log_info("%s", blas);
            status = work(&o, &cluster, &error);
        }
        if (status == PS_OK)
            log_event(LOG_INFO, "finished", LOG_NO_STEP, "finished");
        else
            log_event(LOG_ERROR, "failed", LOG_NO_STEP, "%s", error.text);
        trace_close();
    }
    cluster_fini(&cluster);
    job_fini(&o.job);
    return ps_status_exit_code(status);
}
