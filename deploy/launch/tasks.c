/* tasks.c - see tasks.h. */
#include "deploy/launch/tasks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/checkpoint.h"
#include "common/cluster_options.h"
#include "common/file.h"
#include "deploy/launch/placement.h"
#include "deploy/launch/ports.h"
#include "deploy/launch/programs.h"
#include "deploy/launch/tf_config.h"
#include "deploy/runs/run_trace.h"

extern char **environ;

enum {
    TF_CONFIG_BYTES = 32 << 10, /* some 30 for each of TASKS_MAX addresses, with room */
    OWN_ARGUMENTS_MAX = 30,     /* of a daemon, before options passed on and the final NULL */
    ADDED_ENVIRONMENT_MAX = 8,  /* by a detour */
    NUMBER_BYTES = 24,
};

/* What all tasks are started with. */
struct launch {
    const run_options *options;
    const tasks_detour *detour;
    char server_program[RUN_PATH_MAX];
    char worker_program[RUN_PATH_MAX];
    char outputs[RUN_PATH_MAX];
    char checkpoints[RUN_PATH_MAX]; /* empty: none are kept */
    char traces[RUN_PATH_MAX];      /* where parts of a trace go; empty: nowhere */
    bool alone;                     /* one worker without a cluster */
    uint16_t ports[TF_CONFIG_ROLES][TASKS_MAX];
    uint32_t hosts[TF_CONFIG_ROLES][TASKS_MAX]; /* of the tasks of a detour that has them */
    local_cluster cluster;
    size_t processor_count; /* 0: processes are not pinned */
    int processors[PLACEMENT_PROCESSORS_MAX];
};

void tasks_init(tasks *t)
{
    *t = (tasks){0};
}

static void add_tasks(tasks *t, cluster_role role, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        task *added = &t->list[t->count++];
        *added = (task){.role = role, .index = i, .socket = -1, .report = -1, .report_end = -1};
        snprintf(added->name, sizeof added->name, "%s-%zu", cluster_role_name(role), i);
    }
}

static ps_status find_programs(launch *l, ps_error *error)
{
    const char *bin_dir = l->options->bin_dir;
    ps_status status = program_find("penstock-worker", "worker", bin_dir, l->worker_program,
                                    sizeof l->worker_program, error);
    if (status == PS_OK && !l->alone)
        status =
            program_find("penstock-ps", "ps", bin_dir, l->server_program, sizeof l->server_program, error);
    return status;
}

/* Only a ps listens; the addresses of the others must exist and be nobody else's. */
static ps_status reserve_port(task *each, launch *l, ps_error *error)
{
    const tasks_detour *d = l->detour;
    uint16_t *port = &l->ports[each->role][each->index];
    ps_status status = PS_OK;
    if (d && d->reserve)
        status = d->reserve(d->context, each->role, each->index, &each->socket,
                            &l->hosts[each->role][each->index], port, error);
    else
        status = port_reserve(each->role == ROLE_PS, &each->socket, port, error);
    each->port = *port;
    return status;
}

static ps_status reserve_ports(tasks *t, launch *l, ps_error *error)
{
    for (size_t i = 0; i < t->count; i++) {
        const task *each = &t->list[i];
        ps_status status = reserve_port(&t->list[i], l, error);
        if (status)
            return status;
        l->cluster.ports[each->role] = l->ports[each->role];
        l->cluster.hosts[each->role] = l->detour && l->detour->reserve ? l->hosts[each->role] : NULL;
        l->cluster.counts[each->role] = each->index + 1;
    }
    return PS_OK;
}

static ps_status open_log(task *each, const run_folder *folder, int *fd, ps_error *error)
{
    char path[RUN_PATH_MAX];
    struct stat info;
    ps_status status = run_folder_path(folder, "logs", each->name, ".log", path, error);
    if (status)
        return status;
    *fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
    if (*fd < 0 || fstat(*fd, &info) != 0)
        return ps_fail(error, PS_EIO, "cannot open the log %s: %s", path, strerror(errno));
    each->log_start = info.st_size;
    return PS_OK;
}

/* The TF_CONFIG of `each` as environment entry, and the same in its file, to repeat the process by hand. */
static ps_status configure(const task *each, const launch *l, const run_folder *folder, char *entry,
                           size_t bytes, ps_error *error)
{
    char path[RUN_PATH_MAX];
    size_t name = (size_t)snprintf(entry, bytes, "TF_CONFIG=");
    uint16_t detours[RUN_SERVERS_MAX];
    local_cluster seen = l->cluster;
    if (l->detour && l->detour->detour && each->role == ROLE_WORKER) {
        for (size_t i = 0; i < seen.counts[ROLE_PS]; i++)
            detours[i] = l->detour->detour(l->detour->context, each->index, i);
        seen.ports[ROLE_PS] = detours;
    }
    ps_status status = tf_config_write(&seen, each->role, each->index, entry + name, bytes - name, error);
    if (status == PS_OK)
        status = run_folder_path(folder, "tf_config", each->name, ".json", path, error);
    if (status)
        return status;
    const struct iovec parts[] = {{entry + name, strlen(entry + name)}, {"\n", 1}};
    return file_write_atomic(path, parts, 2, error);
}

/* Does an entry of the environment say what the cluster is? */
static bool tells_cluster(const char *entry)
{
    return strncmp(entry, "TF_CONFIG=", strlen("TF_CONFIG=")) == 0 ||
           strncmp(entry, ORDINAL_VARIABLE "=", strlen(ORDINAL_VARIABLE "=")) == 0;
}

/* Our environment with `entry` as its only TF_CONFIG, none at all if `entry` is NULL, and what a detour adds.
 * The caller frees the list, which borrows the entries. NULL if out of memory. */
static char **make_environment(char *entry, char *const *added)
{
    size_t count = 0;
    while (environ[count])
        count++;
    char **list = calloc(count + ADDED_ENVIRONMENT_MAX + 2, sizeof *list);
    size_t used = 0;
    if (!list)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (!tells_cluster(environ[i]))
            list[used++] = environ[i];
    for (size_t i = 0; added && added[i] && i < ADDED_ENVIRONMENT_MAX; i++)
        list[used++] = added[i];
    list[used] = entry;
    return list;
}

/* Whose reports are shown: those of the chief (the first worker, if there is none) and of an evaluator. */
static bool reports(const task *each, const run_options *options)
{
    return each->role == ROLE_CHIEF || each->role == ROLE_EVALUATOR ||
           (each->role == ROLE_WORKER && each->index == 0 && !options->chief);
}

/* Reports never block the one who writes them: our end may be stopped (Ctrl-Z), and what the pipe cannot
 * hold is then lost. A line of up to PIPE_BUF bytes is written whole or not at all. */
static ps_status open_report(task *each, ps_error *error)
{
    int ends[2];
    if (each->report >= 0)
        return PS_OK;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return ps_fail(error, PS_EIO, "cannot create a pipe: %s", strerror(errno));
    each->report = ends[0];
    each->report_end = ends[1];
    return PS_OK;
}

/* What argv borrows. */
typedef struct {
    char http[RUN_PATH_MAX];   /* file; empty: none */
    char status[RUN_PATH_MAX]; /* folder, if there is an `http` */
    char passed[NUMBER_BYTES], steps[NUMBER_BYTES], keep[NUMBER_BYTES];
} argument_texts;

static size_t add_server_arguments(launch *l, char **list, size_t used, argument_texts *texts)
{
    const run_options *options = l->options;
    if (l->checkpoints[0]) {
        list[used++] = "--checkpoint-dir";
        list[used++] = l->checkpoints;
        snprintf(texts->steps, sizeof texts->steps, "%" PRIu64, options->checkpoint_steps);
        list[used++] = "--checkpoint-steps";
        list[used++] = texts->steps;
    }
    if (l->checkpoints[0] && options->checkpoint_keep > 0) {
        snprintf(texts->keep, sizeof texts->keep, "%u", options->checkpoint_keep);
        list[used++] = "--checkpoint-keep";
        list[used++] = texts->keep;
    }
    if (texts->http[0]) {
        list[used++] = "--status-dir";
        list[used++] = texts->status;
    }
    if (l->detour && l->detour->network) /* which leads nowhere else */
        list[used++] = "--insecure";
    for (size_t i = 0; i < options->server_option_count; i++)
        list[used++] = options->server_options[i];
    return used;
}

/* argv of the daemon, which gets the descriptor `passed`, if it is not negative. */
static char **make_arguments(const task *each, launch *l, int passed, argument_texts *texts)
{
    const run_options *options = l->options;
    char **list = calloc(OWN_ARGUMENTS_MAX + RUN_SERVER_OPTIONS_MAX + options->training_count, sizeof *list);
    size_t used = 0;
    if (!list)
        return NULL;
    snprintf(texts->passed, sizeof texts->passed, "%d", passed);
    list[used++] = each->role == ROLE_PS ? l->server_program : l->worker_program;
    if (passed >= 0) {
        list[used++] = each->role == ROLE_PS ? "--listen-fd" : "--progress-fd";
        list[used++] = texts->passed;
    }
    if (options->log.level_given) {
        list[used++] = "--log-level";
        list[used++] = (char *)(uintptr_t)options->log.level_given;
    }
    if (options->log.format_given) {
        list[used++] = "--log-format";
        list[used++] = (char *)(uintptr_t)options->log.format_given;
    }
    if (l->traces[0]) {
        list[used++] = "--trace-dir";
        list[used++] = l->traces;
    }
    if (texts->http[0]) {
        list[used++] = "--http-port";
        list[used++] = "0";
        list[used++] = "--http-port-file";
        list[used++] = texts->http;
    }
    if (each->role == ROLE_PS) {
        add_server_arguments(l, list, used, texts);
        return list;
    }
    list[used++] = "--output-dir";
    list[used++] = l->outputs;
    if (options->logdir) {
        list[used++] = "--logdir";
        list[used++] = (char *)(uintptr_t)options->logdir;
    }
    for (size_t i = 0; i < options->training_count; i++)
        list[used++] = options->training[i];
    return list;
}

/* Do the training options ask for several threads per worker? */
static bool is_threaded(const run_options *options)
{
    for (size_t i = 0; i < options->training_count; i++)
        if (strncmp(options->training[i], "--threads", strlen("--threads")) == 0)
            return true;
    return false;
}

static void place(launch *l)
{
    const run_options *o = l->options;
    l->processor_count = placement_processors(l->processors);
    if (!placement_pins(o->pin, l->processor_count, o->workers + o->chief, o->servers, is_threaded(o)))
        l->processor_count = 0;
}

/* Where `each` is to run, or NULL: a trainer on the processor of its rank, a ps on that of its number. */
static const int *processor_of(const task *each, const launch *l)
{
    if (l->processor_count == 0 || each->role == ROLE_EVALUATOR)
        return NULL;
    size_t rank = each->index + (each->role == ROLE_WORKER && l->options->chief);
    return &l->processors[rank % l->processor_count];
}

static char *const *added_environment(const task *each, const launch *l)
{
    bool adds = l->detour && l->detour->environment && each->role == ROLE_PS;
    return adds ? l->detour->environment(l->detour->context, each->index) : NULL;
}

/* `number`: of one that is started again; NULL: for the first time. */
static ps_status start_one(task *each, launch *l, const run_folder *folder, supervisor *s,
                           const size_t *number, ps_error *error)
{
    char entry[TF_CONFIG_BYTES];
    argument_texts texts = {.http = ""};
    char **environment = NULL;
    char **arguments = NULL;
    int log_fd = -1;
    ps_status status = open_log(each, folder, &log_fd, error);
    if (status == PS_OK && !l->alone)
        status = configure(each, l, folder, entry, sizeof entry, error);
    if (status == PS_OK && reports(each, l->options))
        status = open_report(each, error);
    if (status == PS_OK && l->options->shows_http)
        status = run_folder_path(folder, RUN_HTTP, each->name, "", texts.http, error);
    if (status == PS_OK && l->options->shows_http)
        status = run_folder_path(folder, RUN_STATUS, "", "", texts.status, error);
    if (status)
        goto done;

    const int passed = each->role == ROLE_PS ? each->socket : each->report_end;
    const bool apart = l->detour && l->detour->network;
    const int network = apart ? l->detour->network(l->detour->context, each->role, each->index) : -1;
    environment = make_environment(l->alone ? NULL : entry, added_environment(each, l));
    arguments = make_arguments(each, l, passed, &texts);
    if (!environment || !arguments) {
        status = ps_fail(error, PS_ENOMEM, "out of memory");
        goto done;
    }
    const int *processor = processor_of(each, l);
    const process_spec spec = {
        .path = arguments[0],
        .arguments = arguments,
        .environment = environment,
        .log_fd = log_fd,
        .passed = &passed,
        .passed_count = passed >= 0,
        .processors = processor,
        .processor_count = processor != NULL,
        .network = apart ? &network : NULL,
    };
    status = number ? supervisor_start_again(s, *number, &spec, error) : supervisor_start(s, &spec, error);

done:
    free(environment);
    free(arguments);
    if (log_fd >= 0)
        close(log_fd);
    return status;
}

/* Checkpoints are kept where they are of use, and gone on from where there are any. */
static ps_status look_for_checkpoints(tasks *t, launch *l, ps_error *error)
{
    const run_options *o = l->options;
    if (l->alone)
        return PS_OK;
    ps_status status = run_folder_path(&t->folder, "checkpoints", "", "", l->checkpoints, error);
    checkpoint_cut newest = {0};
    uint32_t count = 0;
    if (status == PS_OK)
        status = checkpoint_list(l->checkpoints, false, &newest, 1, &count, error);
    if (status != PS_OK)
        return status;
    t->resumed = count > 0 ? newest.step : 0;
    if (count == 0 && o->restarts == 0 && !o->keeps_checkpoints)
        l->checkpoints[0] = '\0';
    return PS_OK;
}

ps_status tasks_check(const run_options *options, ps_error *error)
{
    launch *l = calloc(1, sizeof *l);
    if (!l)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    l->options = options;
    l->alone = options->servers == 0;
    ps_status status = find_programs(l, error);
    free(l);
    return status;
}

ps_status tasks_start(tasks *t, const run_options *options, const tasks_detour *detour, supervisor *s,
                      ps_error *error)
{
    launch *l = calloc(1, sizeof *l);
    if (!l)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    t->launch = l;
    l->options = options;
    l->detour = detour;
    l->alone = options->servers == 0;
    add_tasks(t, ROLE_PS, options->servers);
    add_tasks(t, ROLE_CHIEF, options->chief);
    add_tasks(t, ROLE_WORKER, options->workers);
    add_tasks(t, ROLE_EVALUATOR, options->evaluator);

    place(l);

    ps_status status = find_programs(l, error);
    if (status == PS_OK)
        status = run_folder_create(&t->folder, options->run_dir, error);
    if (status == PS_OK)
        status = run_folder_path(&t->folder, "outputs", "", "", l->outputs, error);
    if (status == PS_OK)
        status = look_for_checkpoints(t, l, error);
    if (status == PS_OK && options->trace)
        status = run_trace_begin(&t->folder, l->traces, error);
    if (status == PS_OK && !l->alone)
        status = reserve_ports(t, l, error);
    for (size_t i = 0; i < t->count && status == PS_OK; i++)
        status = start_one(&t->list[i], l, &t->folder, s, NULL, error);
    return status;
}

ps_status tasks_start_again(tasks *t, size_t number, supervisor *s, ps_error *error)
{
    return start_one(&t->list[number], t->launch, &t->folder, s, &number, error);
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Nobody shall look where a process has been. */
static void forget_http(const tasks *t, const task *each)
{
    char path[RUN_PATH_MAX];
    ps_error ignored;
    const bool shows = t->launch && t->launch->options->shows_http && t->folder.path[0];
    if (shows && run_folder_path(&t->folder, RUN_HTTP, each->name, "", path, &ignored) == PS_OK)
        unlink(path);
}

void tasks_let_go(tasks *t, size_t number)
{
    forget_http(t, &t->list[number]);
    if (t->list[number].role == ROLE_PS)
        close_one(&t->list[number].socket);
}

void tasks_fini(tasks *t)
{
    for (size_t i = 0; i < t->count; i++) {
        forget_http(t, &t->list[i]);
        close_one(&t->list[i].socket);
        close_one(&t->list[i].report);
        close_one(&t->list[i].report_end);
    }
    t->count = 0;
    free(t->launch);
    t->launch = NULL;
}
