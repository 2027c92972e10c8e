/* admin.c - `penstock admin`: has a running job keep a checkpoint, or end. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/cluster_options.h"
#include "common/curve_options.h"
#include "common/log.h"
#include "common/options.h"
#include "common/stop.h"
#include "deploy/admin/admin_orders.h"
#include "deploy/command_end.h"
#include "deploy/commands.h"
#include "deploy/runs/run_folder.h"

enum { KEY_CLUSTER = 256, KEY_RUN_DIR, KEY_TIMEOUT, TIMEOUT_S = 60, TIMEOUT_MAX_S = 1000000 };

/* Whom a cluster spec takes for somebody who is none of its tasks: an evaluator need not be listed. */
#define NO_TASK "evaluator:0"

typedef enum { ACTION_NONE, ACTION_CHECKPOINT, ACTION_STOP } action;

typedef struct {
    action action;
    curve_options curve;
    cluster_options cluster;
    const char *run_dir;
    uint64_t timeout_s;
    uint32_t address_count;
    char *addresses[CLUSTER_TASKS_MAX]; /* borrowed of argv */
} admin_options;

static const struct argp_option option_list[] = {
    {"cluster", KEY_CLUSTER, "TEXT|FILE", 0,
     "The cluster as JSON text or a file of it, or a whole TF_CONFIG (the environment's TF_CONFIG)", 0},
    {"run-dir", KEY_RUN_DIR, "DIR", 0, "The folder of the run of `penstock run' that is meant", 0},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "Give up after so long (60)", 0},
    {0},
};

static void parse_action(const char *text, admin_options *o, struct argp_state *state)
{
    static const char *const names[] = {[ACTION_CHECKPOINT] = "checkpoint", [ACTION_STOP] = "stop"};
    for (action a = ACTION_CHECKPOINT; a <= ACTION_STOP; a++)
        if (strcmp(names[a], text) == 0)
            o->action = a;
    if (o->action == ACTION_NONE)
        argp_error(state, "'%s' is none of checkpoint, stop", text);
}

static void take_argument(char *text, admin_options *o, struct argp_state *state)
{
    if (o->action == ACTION_NONE)
        parse_action(text, o, state);
    else if (o->address_count == CLUSTER_TASKS_MAX)
        argp_error(state, "more than %d addresses", CLUSTER_TASKS_MAX);
    else
        o->addresses[o->address_count++] = text;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    admin_options *o = state->input;
    ps_error error = {PS_OK, ""};
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->curve;
        return 0;
    case KEY_CLUSTER:
        o->cluster.cluster = argument;
        return 0;
    case KEY_RUN_DIR:
        option_name("run-dir", argument, &o->run_dir, &error);
        break;
    case KEY_TIMEOUT:
        option_unsigned("timeout", argument, 1, TIMEOUT_MAX_S, &o->timeout_s, &error);
        break;
    case ARGP_KEY_ARG:
        take_argument(argument, o, state);
        return 0;
    case ARGP_KEY_END:
        if (o->action == ACTION_NONE)
            argp_error(state, "what to do is missing: checkpoint or stop");
        if ((o->address_count > 0) + (o->run_dir != NULL) + (o->cluster.cluster != NULL) > 1)
            argp_error(state, "ADDRESS, --cluster and --run-dir exclude each other");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (error.status != PS_OK)
        argp_error(state, "%s", error.text);
    return 0;
}

static const struct argp_child children[] = {{&curve_options_argp, 0, "Security", 1}, {0}};

static const struct argp parser = {
    .options = option_list,
    .parser = parse_option,
    .children = children,
    .args_doc = "checkpoint [ADDRESS...]\nstop [ADDRESS...]",
    .doc = "Have a job that is running keep a checkpoint, or end.\v"
           "checkpoint: all ps keep one of the same step, a little ahead of the present one, and the command "
           "ends when "
           "it is on their disks. stop: the job ends as if the training were over: workers finish, the last "
           "checkpoint is kept, the model is written, and every process ends with 0. In synchronous training "
           "all "
           "workers end after the same step.\n\n"
           "ADDRESS is host:port of every ps, in the order of the cluster; for stop that of ps 0 is enough. "
           "Without any, "
           "the cluster is that of --run-dir, --cluster or TF_CONFIG. Where the ps have keys, --curve-keys "
           "holds "
           "admin.key and ps.pub (`penstock keygen').\n\n"
           "Exit status: 0 done; 2 usage or configuration; 138 no answer, or not in time; 1 anything else.",
};

/* ---- which ps ---- */

static ps_status read_addresses(const admin_options *o, cluster_task *servers, ps_error *error)
{
    ps_status status = PS_OK;
    for (uint32_t i = 0; i < o->address_count && status == PS_OK; i++) {
        address parsed;
        status = address_parse(o->addresses[i], &parsed, error);
        if (status != PS_OK)
            break;
        servers[i] = (cluster_task){.index = i, .port = parsed.port};
        memcpy(servers[i].host, parsed.host, sizeof parsed.host);
    }
    return status;
}

static ps_status read_cluster(const admin_options *o, cluster_task *servers, uint32_t *count, ps_error *error)
{
    char path[RUN_PATH_MAX], caret[512] = "";
    cluster_options options = o->cluster;
    cluster_warning warning;
    cluster_spec cluster;
    options.task = NO_TASK;
    if (o->run_dir) {
        run_folder folder;
        snprintf(folder.path, sizeof folder.path, "%s", o->run_dir);
        const ps_status found = run_folder_path(&folder, "tf_config", "ps-0", ".json", path, error);
        if (found != PS_OK)
            return found;
        options.cluster = path;
    } else if (!options.cluster && !getenv("TF_CONFIG") && !getenv(ORDINAL_VARIABLE)) {
        return ps_fail(error, PS_ECONFIG,
                       "which cluster? Give an ADDRESS, --run-dir or --cluster, or set TF_CONFIG");
    }
    ps_status status =
        cluster_options_resolve(&options, ROLE_WORKER, &cluster, &warning, caret, sizeof caret, error);
    if (status != PS_OK)
        return status;
    const cluster_job *job = &cluster.jobs[ROLE_PS];
    *count = job->count;
    if (job->count == 0 || !job->dense)
        status = ps_fail(error, PS_ECONFIG, "the cluster spec does not tell all ps");
    for (uint32_t i = 0; i < job->count && status == PS_OK; i++)
        servers[i] = job->tasks[i];
    cluster_fini(&cluster);
    return status;
}

/* ---- orders ---- */

static ps_status checkpoint(const admin_session *s, ps_error *error)
{
    uint64_t step;
    const ps_status status = admin_checkpoint(s, &step, error);
    if (status == PS_OK)
        printf("the checkpoint of step %llu is kept\n", (unsigned long long)step);
    return status;
}

static ps_status stop(const admin_session *s, ps_error *error)
{
    uint64_t end;
    const ps_status status = admin_stop(s, &end, error);
    if (status == PS_OK && end > 0)
        printf("the job ends, at the latest after step %llu\n", (unsigned long long)end);
    else if (status == PS_OK)
        printf("the job ends: each worker with the step that it has under way\n");
    return status;
}

static ps_status administer(const admin_options *o, ps_error *error)
{
    static cluster_task servers[CLUSTER_TASKS_MAX];
    curve_keys keys = {.wanted = false};
    admin_session s = {.servers = o->address_count,
                       .deadline_ms = clock_monotonic_ms() + o->timeout_s * 1000,
                       .stop = stop_on_signals()};
    ps_status status = o->address_count > 0 ? read_addresses(o, servers, error)
                                            : read_cluster(o, servers, &s.servers, error);
    if (status == PS_OK && o->curve.folder)
        status = curve_keys_read_client(o->curve.folder, WIRE_ADMINISTRATOR, 0, &keys, error);
    if (status == PS_OK && o->action == ACTION_STOP)
        s.servers = 1; /* the others learn of it from the workers */
    if (status == PS_OK)
        status = admin_link_open(servers, s.servers, &keys, &s.link, error);
    curve_keys_wipe(&keys);
    if (status == PS_OK)
        status = (o->action == ACTION_STOP ? stop : checkpoint)(&s, error);
    admin_link_close(&s.link);
    return status;
}

int admin_main(int argc, char **argv)
{
    admin_options o = {.timeout_s = TIMEOUT_S};
    ps_error error = {PS_OK, ""};
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    log_setup(argv[0], LOG_WARNING);
    return command_end(argv[0], administer(&o, &error), &error);
}
