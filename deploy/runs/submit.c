/* submit.c - `penstock submit`: starts a job that a file describes, in the background, and follows it if
 * asked to.
 *
 * What the file means is job_file's; the job itself is a `penstock run` of its own. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "deploy/command_end.h"
#include "deploy/commands.h"
#include "deploy/log_tail.h"
#include "deploy/moment.h"
#include "deploy/registry/registry_command.h"
#include "deploy/runs/job_file.h"
#include "deploy/runs/run_follow.h"
#include "deploy/runs/run_view.h"

enum {
    OWN_ARGUMENTS_MAX = 16,
    SHOWN_LOG_LINES = 10,
    LOOK_EVERY_MS = 20, /* whether the run has begun */
};

typedef struct {
    const char *path, *registry, *bin_dir, *data, *experiment;
    bool wait, show_output, json;
} submit_options;

typedef struct {
    const submit_options *options;
    job_file job;
    char registry[PATH_BYTES];
    char id[RUN_ID_BYTES];
    char folder[PATH_BYTES], log[PATH_BYTES];
    pid_t launcher;
} submission;

/* ---- options ---- */

enum { KEY_REGISTRY = 256, KEY_BIN_DIR, KEY_DATA, KEY_EXPERIMENT, KEY_WAIT, KEY_SHOW_OUTPUT, KEY_JSON };

static const struct argp_option option_list[] = {
    {"wait", KEY_WAIT, NULL, 0, "Stay until the run is over, and end with its exit code", 0},
    {"show-output", KEY_SHOW_OUTPUT, NULL, 0, "With --wait: show the logs of all its processes", 0},
    {"data", KEY_DATA, "DIR", 0, "The folder of the data, instead of the file's", 0},
    {"experiment", KEY_EXPERIMENT, "NAME", 0, "What the run belongs to, instead of the file's", 0},
    {"registry", KEY_REGISTRY, "DIR", 0, REGISTRY_OPTION_HELP, 0},
    {"bin-dir", KEY_BIN_DIR, "DIR", 0,
     "Where penstock-ps and penstock-worker lie (beside this program, or in PATH)", 0},
    {"json", KEY_JSON, NULL, 0, "Print id and folder of the run as JSON", 0},
    {0}};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    submit_options *o = state->input;
    if (argument && argument[0] == '\0' && key != ARGP_KEY_ARG)
        argp_error(state, "an option was given an empty value");
    switch (key) {
    case KEY_WAIT:
        o->wait = true;
        return 0;
    case KEY_SHOW_OUTPUT:
        o->show_output = true;
        return 0;
    case KEY_DATA:
        o->data = argument;
        return 0;
    case KEY_EXPERIMENT:
        o->experiment = argument;
        return 0;
    case KEY_REGISTRY:
        o->registry = argument;
        return 0;
    case KEY_BIN_DIR:
        o->bin_dir = argument;
        return 0;
    case KEY_JSON:
        o->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->path)
            argp_error(state, "'%s' is one argument too many", argument);
        o->path = argument;
        return 0;
    case ARGP_KEY_END:
        if (!o->path)
            argp_error(state, "the file that describes the job is missing");
        if (o->show_output && !o->wait)
            argp_error(state, "--show-output needs --wait");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_list,
    .parser = parse_option,
    .args_doc = "JOB.json",
    .doc = "Start the job that a file describes, in the background, and print the id of its run.\v"
           "  {\"schema\": \"penstock-job/1\", \"experiment\": \"mnist\", \"target\": \"local\", \"data\": "
           "\"mnist\",\n"
           "   \"ps\": 2, \"workers\": 3, \"options\": {\"batch-size\": 50, \"learning-rate\": 0.01}}\n\n"
           "`data' is relative to the file's folder. `options' are those of penstock-worker, `launcher' "
           "those of "
           "penstock run, both without dashes; `ps_options' is a list of arguments for every ps; "
           "`environment' holds "
           "variables. `chief' and `evaluator' may be true. The run has the folder runs/ID, here.\n\n"
           "Whoever waits and is interrupted leaves the run as it is: penstock runs cancel ID ends it.\n\n"
           "Exit status: 0 it has begun, or with --wait ended well; else that of the run; 2 for a mistake."};

/* ---- starting ---- */

static ps_status override(submission *s, ps_error *error)
{
    const submit_options *o = s->options;
    char real[PATH_MAX];
    ps_status status = PS_OK;
    if (o->experiment) {
        status = registry_check_name("experiment", o->experiment, error);
        snprintf(s->job.experiment, sizeof s->job.experiment, "%s", o->experiment);
    }
    if (status == PS_OK && o->data)
        status = realpath(o->data, real)
                     ? path_make(s->job.data, error, "%s", real)
                     : ps_fail(error, PS_EINVAL, "--data: cannot find %s: %s", o->data, strerror(errno));
    return status;
}

/* The registry has to be there, and the run's folder, before anything is started. */
static ps_status prepare(const char *title, submission *s, ps_error *error)
{
    registry r = {0};
    ps_status status = registry_find(s->options->registry, s->registry, error);
    if (status == PS_OK)
        status = registry_command_open(title, s->registry, REGISTRY_MAY_BE_NEW, &r, error);
    registry_close(&r);
    if (status == PS_OK)
        status = run_id_make(moment_now_ms(), s->id, error);
    if (status == PS_OK)
        status = path_make(s->folder, error, "runs/%s", s->id);
    if (status == PS_OK)
        status = path_make(s->log, error, "%s/logs", s->folder);
    if (status == PS_OK)
        status = file_make_folder(s->log, error);
    return status == PS_OK ? path_make(s->log, error, "%s/logs/launcher.log", s->folder) : status;
}

/* Like whoever is started by no shell: a session of its own, nothing to read, and a log. Does not return. */
static _Noreturn void become_launcher(const submission *s, int log, char **arguments)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (setsid() < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0)
        _exit(PS_EXIT_FAILURE);
    for (size_t i = 0; i < s->job.environment.count; i++)
        putenv(s->job.environment.list[i]);
    execv("/proc/self/exe", arguments);
    fprintf(stderr, "penstock submit: cannot start penstock run: %s\n", strerror(errno));
    _exit(PS_EXIT_FAILURE);
}

static void add_pair(char **arguments, size_t *used, const char *option, const char *value)
{
    arguments[(*used)++] = (char *)(uintptr_t)option;
    arguments[(*used)++] = (char *)(uintptr_t)value;
}

static ps_status start(submission *s, ps_error *error)
{
    const job_file *job = &s->job;
    size_t used = 0;
    char **arguments =
        calloc(OWN_ARGUMENTS_MAX + job->launcher.count + job->training.count, sizeof *arguments);
    int log = open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (!arguments || log < 0) {
        free(arguments);
        if (log >= 0)
            close(log);
        return log < 0 ? path_fail(error, "open", s->log) : ps_fail(error, PS_ENOMEM, "out of memory");
    }
    add_pair(arguments, &used, "penstock", "run");
    add_pair(arguments, &used, "--id", s->id);
    add_pair(arguments, &used, "--run-dir", s->folder);
    add_pair(arguments, &used, "--registry", s->registry);
    if (job->experiment[0])
        add_pair(arguments, &used, "--experiment", job->experiment);
    if (s->options->bin_dir)
        add_pair(arguments, &used, "--bin-dir", s->options->bin_dir);
    memcpy(arguments + used, job->launcher.list, job->launcher.count * sizeof *arguments);
    used += job->launcher.count;
    arguments[used++] = (char *)(uintptr_t) "--";
    if (job->data[0])
        add_pair(arguments, &used, "--data-folder", job->data);
    memcpy(arguments + used, job->training.list, job->training.count * sizeof *arguments);
    s->launcher = fork();
    if (s->launcher == 0)
        become_launcher(s, log, arguments);
    const int cause = errno;
    free(arguments);
    close(log);
    return s->launcher > 0 ? PS_OK : ps_fail(error, PS_EIO, "cannot start a process: %s", strerror(cause));
}

/* ---- following ---- */

static bool is_there(const char *title, const submission *s)
{
    registry r = {0};
    run_rows rows = {0};
    ps_status status = registry_command_open(title, s->registry, REGISTRY_MUST_EXIST, &r, NULL);
    if (status == PS_OK)
        status = run_history_find(&r, s->id, &rows, NULL);
    run_rows_free(&rows);
    registry_close(&r);
    return status == PS_OK;
}

/* Until the launcher has written down that the run has begun, or has ended without: its exit code, else -1.
 */
static int await_begin(const char *title, const submission *s)
{
    int status;
    while (!is_there(title, s)) {
        if (waitpid(s->launcher, &status, WNOHANG) == s->launcher && !is_there(title, s))
            return WIFEXITED(status) ? WEXITSTATUS(status) : PS_EXIT_FAILURE;
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_MS * 1000000L}, NULL);
    }
    return -1;
}

static int follow(const char *title, const submission *s)
{
    const run_follow_options options = {.shows = s->options->show_output, .waits = true};
    run_rows rows = {0};
    run_view view = {0};
    ps_error error;
    ps_status status = run_follow(title, s->registry, s->id, &options, &rows, &error);
    if (status == PS_OK)
        status = run_view_open(rows.rows[0].record, &view, &error);
    int code = command_end(title, status, &error);
    if (status == PS_OK && !s->options->json)
        printf("%s is %s%s%s\n", s->id, run_phase_name(view.phase), view.reason[0] ? ": " : "", view.reason);
    if (status == PS_OK && view.phase != RUN_COMPLETED)
        code = isnan(view.exit_code) || view.exit_code == 0 ? PS_EXIT_FAILURE : (int)view.exit_code;
    run_view_close(&view);
    run_rows_free(&rows);
    return code;
}

static void tell(const submission *s)
{
    if (s->options->json)
        printf("{\"run\": \"%s\", \"folder\": \"%s\"}\n", s->id, s->folder);
    else
        printf("submitted %s; penstock runs logs -f %s follows it\n", s->id, s->id);
    fflush(stdout);
}

int submit_main(int argc, char **argv)
{
    static submit_options options;
    static submission s;
    char text[LOG_TAIL_BYTES];
    ps_error error;
    argp_err_exit_status = PS_EXIT_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &options);
    s.options = &options;
    ps_status status = job_file_read(options.path, &s.job, &error);
    if (status == PS_OK)
        status = override(&s, &error);
    if (status == PS_OK)
        status = prepare(argv[0], &s, &error);
    if (status == PS_OK)
        status = start(&s, &error);
    int code = command_end(argv[0], status, &error);
    if (status == PS_OK && (code = await_begin(argv[0], &s)) >= 0) {
        log_tail(s.log, 0, SHOWN_LOG_LINES, "", text, sizeof text);
        fputs(text, stderr);
    } else if (status == PS_OK) {
        tell(&s);
        code = options.wait ? follow(argv[0], &s) : PS_EXIT_DONE;
    }
    job_file_free(&s.job);
    return code;
}
