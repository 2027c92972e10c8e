/* main.c - penstock-ps: options, cluster spec, and then the server's loop. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/cluster.h"
#include "common/cluster_options.h"
#include "common/curve_options.h"
#include "common/first_process.h"
#include "common/http_options.h"
#include "common/log.h"
#include "common/log_options.h"
#include "common/options.h"
#include "common/stop.h"
#include "common/trace.h"
#include "ps/archive_folder.h"
#include "ps/exposure.h"
#include "ps/limits.h"
#include "ps/server.h"

enum { CHECKPOINT_SECS_MAX = 1000000000 };

const char *argp_program_version = "penstock-ps " PENSTOCK_VERSION;

typedef struct {
    cluster_options cluster;
    curve_options curve;
    http_options http;
    trace_options trace;
    log_options log;
    const char *status_folder;
    int listen_fd;
    bool bind_given;
    bool insecure;
    bool share_memory;
    const char *checkpoint_folder;
    uint64_t checkpoint_steps;
    uint64_t checkpoint_secs;
    uint32_t checkpoint_keep;
    uint32_t lease_ms, deadline_ms; /* deadline: 0: none */
    uint32_t stop_ms;
    bool log_updates;
    bool lingers;
    int io_threads;
    uint64_t memory_max_bytes; /* 0: half of what the host has */
    uint32_t threads;
    processor_list processors;
} ps_options;

enum {
    KEY_LISTEN_FD = 256,
    KEY_BIND_GIVEN,
    KEY_INSECURE,
    KEY_MEMORY_LIMIT,
    KEY_NO_SHARED_MEMORY,
    KEY_IO_THREADS,
    KEY_THREADS,
    KEY_PIN_CPUS,
    KEY_CHECKPOINT_DIR,
    KEY_CHECKPOINT_STEPS,
    KEY_CHECKPOINT_SECS,
    KEY_CHECKPOINT_KEEP,
    KEY_LEASE,
    KEY_DEADLINE,
    KEY_STOP,
    KEY_LINGER,
    KEY_DURABILITY,
    KEY_STATUS_DIR
};

static const struct argp_option options[] = {
    {"bind-given", KEY_BIND_GIVEN, 0, 0,
     "Listen only on the host that the cluster spec names, not on all interfaces", 0},
    {"insecure", KEY_INSECURE, 0, 0,
     "Listen without keys (--curve-keys) also where others than this host can reach it", 0},
    {"listen-fd", KEY_LISTEN_FD, "N", 0, "Use the inherited, listening socket N instead of the port", 0},
    {"memory-limit", KEY_MEMORY_LIMIT, "MIB", 0,
     "Refuse a job whose shard needs more (default: half of the host's memory)", 0},
    {"io-threads", KEY_IO_THREADS, "N", 0,
     "Threads that move bytes to and from the sockets; each serves some of the workers (1)", 0},
    {"no-shared-memory", KEY_NO_SHARED_MEMORY, 0, 0,
     "Take gradients and give weights through the socket alone, also of workers on this host", 0},
    {"threads", KEY_THREADS, "N", 0, "Threads that share the arithmetic of updates (default: 1)", 0},
    {"pin-cpus", KEY_PIN_CPUS, "LIST", 0,
     "Processors on which these threads run, one each and in this order, such as 0-3,8 (default: any)", 0},
    {"checkpoint-dir", KEY_CHECKPOINT_DIR, "DIR", 0,
     "Keep checkpoints in a folder that all ps see, and go on from the newest one (default: keep none)", 0},
    {"checkpoint-steps", KEY_CHECKPOINT_STEPS, "N", 0,
     "Steps (ssp, async: updates) between checkpoints; one more is kept at the end; 0: only that (1000)", 0},
    {"checkpoint-secs", KEY_CHECKPOINT_SECS, "S", 0,
     "ssp, async: seconds between checkpoints, in place of --checkpoint-steps; with several ps somewhat "
     "less, at "
     "updates that all of them choose (default: by steps, as in synchronous mode always)",
     0},
    {"checkpoint-keep", KEY_CHECKPOINT_KEEP, "N", 0, "Checkpoints to keep, the newest ones, 2 or more (3)",
     0},
    {"lease-secs", KEY_LEASE, "N", 0,
     "Seconds without a sign of life after which a worker counts as lost (10)", 0},
    {"deadline", KEY_DEADLINE, "SECONDS", 0,
     "Give up if nothing moves for so long: no update, nobody who joins or finishes (keep waiting)", 0},
    {"stop-secs", KEY_STOP, "N", 0,
     "After SIGTERM: seconds to complete the step under way and keep a checkpoint of it (20)", 0},
    {"linger", KEY_LINGER, 0, 0,
     "Stay when the job has finished, for workers who are started again late, and end with 0 after a signal: "
     "for engines that start again whatever ends, as a StatefulSet does",
     0},
    {"durability", KEY_DURABILITY, "LEVEL", 0,
     "What survives the end of this process: what is in the last checkpoint (checkpoint, the default), or "
     "every update that was acknowledged (log), which needs --checkpoint-dir",
     0},
    {"status-dir", KEY_STATUS_DIR, "DIR", 0,
     "Keep what /status of --http-port says in a file of this folder, for `penstock ui'", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    ps_options *o = state->input;
    ps_error error = {PS_OK, ""};
    uint64_t number = 0;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->cluster;
        state->child_inputs[1] = &o->curve;
        state->child_inputs[2] = &o->http;
        state->child_inputs[3] = &o->trace;
        state->child_inputs[4] = &o->log;
        return 0;
    case KEY_BIND_GIVEN:
        o->bind_given = true;
        return 0;
    case KEY_INSECURE:
        o->insecure = true;
        return 0;
    case KEY_IO_THREADS:
        option_unsigned("io-threads", argument, 1, 64, &number, &error);
        o->io_threads = (int)number;
        break;
    case KEY_NO_SHARED_MEMORY:
        o->share_memory = false;
        return 0;
    case KEY_LISTEN_FD:
        option_unsigned("listen-fd", argument, 3, INT32_MAX, &number, &error);
        o->listen_fd = (int)number;
        break;
    case KEY_MEMORY_LIMIT:
        option_unsigned("memory-limit", argument, 1, UINT32_MAX, &number, &error);
        o->memory_max_bytes = number << 20;
        break;
    case KEY_THREADS:
        option_u32("threads", argument, 1, CREW_THREADS_MAX, &o->threads, &error);
        break;
    case KEY_PIN_CPUS:
        if (processors_parse("pin-cpus", argument, &o->processors, &error) == PS_OK)
            processors_check("pin-cpus", &o->processors, &error);
        break;
    case KEY_CHECKPOINT_DIR:
        option_name("checkpoint-dir", argument, &o->checkpoint_folder, &error);
        break;
    case KEY_CHECKPOINT_STEPS:
        option_unsigned("checkpoint-steps", argument, 0, UINT64_MAX, &o->checkpoint_steps, &error);
        break;
    case KEY_CHECKPOINT_SECS:
        option_unsigned("checkpoint-secs", argument, 1, CHECKPOINT_SECS_MAX, &o->checkpoint_secs, &error);
        break;
    case KEY_CHECKPOINT_KEEP:
        option_u32("checkpoint-keep", argument, 2, ARCHIVE_KEEP_MAX, &o->checkpoint_keep, &error);
        break;
    case KEY_LEASE:
        option_seconds("lease-secs", argument, 1, &o->lease_ms, &error);
        break;
    case KEY_DEADLINE:
        option_seconds("deadline", argument, 1, &o->deadline_ms, &error);
        break;
    case KEY_STOP:
        option_seconds("stop-secs", argument, 0, &o->stop_ms, &error);
        break;
    case KEY_LINGER:
        o->lingers = true;
        return 0;
    case KEY_DURABILITY:
        o->log_updates = strcmp(argument, "log") == 0;
        if (!o->log_updates && strcmp(argument, "checkpoint") != 0)
            argp_error(state, "--durability '%s' is none of: checkpoint, log", argument);
        return 0;
    case KEY_STATUS_DIR:
        option_name("status-dir", argument, &o->status_folder, &error);
        break;
    case ARGP_KEY_END:
        if (o->log_updates && !o->checkpoint_folder)
            argp_error(state, "--durability log needs --checkpoint-dir, where the log is kept");
        if (o->status_folder && !o->http.wanted)
            argp_error(state, "--status-dir needs --http-port");
        if (o->processors.count > 0 && o->processors.count < o->threads)
            argp_error(state, "--pin-cpus lists %u processors for %u threads", o->processors.count,
                       o->threads);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is no option of a ps; training options belong to the workers", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (error.status != PS_OK)
        argp_error(state, "%s", error.text);
    return 0;
}

static const struct argp_child children[] = {
    {&cluster_options_argp, 0, "Cluster", 1},  {&curve_options_argp, 0, "Security", 2},
    {&http_options_argp, 0, "Observation", 3}, {&trace_options_argp, 0, "Trace", 4},
    {&log_options_argp, 0, "Log", 5},          {0}};

static const struct argp parser = {
    .options = options,
    .parser = parse_option,
    .children = children,
    .help_filter = limits_help,
    .doc =
        "Hold a shard of a model: take in gradients, apply updates, serve weights.\v"
        "The cluster and this process's place in it come from TF_CONFIG, or from --cluster and --task. "
        "What is trained, and how, is brought by the workers. The process ends with 0 when every worker has "
        "finished.\n\n"
        "Exit status: 0 finished; 2 usage or configuration; 3 bad data; 138 peers lost, or the log of "
        "updates cannot be written or read now; 143 after a "
        "signal; 1 anything else.",
};

static uint64_t half_of_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes / 2 : 0;
}

static ps_status serve(const ps_options *o, const cluster_spec *cluster, ps_error *error)
{
    const cluster_task *self = cluster_find(cluster, ROLE_PS, cluster->index);
    const cluster_job *servers = &cluster->jobs[ROLE_PS];
    curve_keys keys = {.wanted = false};
    ps_status status = o->curve.folder ? curve_keys_read_server(o->curve.folder, &keys, error) : PS_OK;
    if (status != PS_OK)
        return status;
    const char *host;
    const exposure wanted = {.listen_fd = o->listen_fd,
                             .bind_given = o->bind_given,
                             .has_keys = keys.wanted,
                             .insecure = o->insecure};
    status = exposure_settle(&wanted, self, &host, error);
    if (status != PS_OK)
        return status;
    if (o->insecure && !keys.wanted)
        log_warning("without keys (--insecure): whoever reaches port %u can read and change the model",
                    self->port);
    server_config config = {
        .host = host,
        .port = self->port,
        .listen_fd = o->listen_fd,
        .stop = stop_on_signals(),
        .stop_ms = o->stop_ms,
        .http = o->http,
        .status_folder = o->status_folder,
        .keys = &keys,
        .io_threads = o->io_threads,
        .share_memory = o->share_memory,
        .threads = o->threads,
        .processors = &o->processors,
        .checkpoint_folder = o->checkpoint_folder,
        .checkpoint_keep = o->checkpoint_keep,
        .log_updates = o->log_updates,
        .lingers = o->lingers,
        .shard =
            {
                .index = cluster->index,
                .incarnation = clock_incarnation(),
                .servers = servers->dense ? servers->count : 0,
                .workers = cluster_workers(cluster),
                .memory_max_bytes = o->memory_max_bytes,
                .image_steps = o->checkpoint_steps,
                .lease_ms = o->lease_ms,
                .deadline_ms = o->deadline_ms,
                .image_ms = o->checkpoint_secs * 1000,
            },
    };
    status = server_run(&config, error);
    curve_keys_wipe(&keys);
    return status;
}

int main(int argc, char **argv)
{
    ps_options o = {.listen_fd = -1,
                    .share_memory = true,
                    .io_threads = 1,
                    .memory_max_bytes = half_of_memory(),
                    .threads = 1,
                    .lease_ms = 10000,
                    .stop_ms = 20000,
                    .checkpoint_steps = 1000,
                    .checkpoint_keep = 3};
    first_process_prepare(false);
    argp_err_exit_status = PS_EXIT_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    log_setup("ps", o.log.level);
    log_set_format(o.log.format);

    cluster_spec cluster;
    cluster_warning warning = {""};
    char caret[512] = "";
    ps_error error = {PS_OK, ""};
    ps_status status =
        cluster_options_resolve(&o.cluster, ROLE_PS, &cluster, &warning, caret, sizeof caret, &error);
    if (warning.text[0])
        log_warning("%s", warning.text);
    if (status != PS_OK) {
        fprintf(stderr, "penstock-ps: %s\n%s", error.text, caret);
        return ps_status_exit_code(status);
    }
    if (o.cluster.check_config) {
        static char text[CLUSTER_DESCRIPTION_MAX];
        cluster_describe(&cluster, text, sizeof text);
        fputs(text, stdout);
    } else {
        char who[32];
        snprintf(who, sizeof who, "ps/%u", cluster.index);
        log_setup(who, o.log.level);
        const trace_identity self = {.who = who, .role = TRACE_OF_PS, .index = cluster.index};
        status = trace_open(&o.trace, &self, &error);
        trace_name_thread("loop");
        if (status == PS_OK)
            status = serve(&o, &cluster, &error);
        if (status == PS_OK)
            log_event(LOG_INFO, "finished", LOG_NO_STEP, "the job has finished");
        else
            log_event(LOG_ERROR, "failed", LOG_NO_STEP, "%s", error.text);
        trace_close();
    }
    cluster_fini(&cluster);
    return ps_status_exit_code(status);
}
