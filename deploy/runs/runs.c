/* runs.c - `penstock runs`: what has been trained, how it goes, and ending it; for people and for scripts. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "deploy/command_end.h"
#include "deploy/command_table.h"
#include "deploy/commands.h"
#include "deploy/registry/file_tree.h"
#include "deploy/registry/registry_command.h"
#include "deploy/runs/run_follow.h"
#include "deploy/runs/run_history.h"
#include "deploy/runs/run_view.h"
#include "deploy/runs/runs_print.h"

enum { IDS_MAX = 256 };

typedef struct {
    registry_options common;
    const char *experiment, *only;
    bool follow, keep_folder;
    const char *ids[IDS_MAX];
    size_t count, most;
} runs_options;

/* ---- options ---- */

enum { KEY_EXPERIMENT = REGISTRY_KEY_OTHERS, KEY_TASK, KEY_KEEP_FOLDER };

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    runs_options *o = state->input;
    ps_error error;
    switch (key) {
    case KEY_EXPERIMENT:
        if (registry_check_name("experiment", argument, &error) != PS_OK)
            argp_error(state, "%s", error.text);
        o->experiment = argument;
        return 0;
    case KEY_TASK:
        o->only = argument;
        return 0;
    case KEY_KEEP_FOLDER:
        o->keep_folder = true;
        return 0;
    case 'f':
        o->follow = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->count == o->most)
            argp_error(state, "'%s' is one argument too many", argument);
        if (registry_check_name("run", argument, &error) != PS_OK)
            argp_error(state, "%s", error.text);
        o->ids[o->count++] = argument;
        return 0;
    default:
        return registry_options_take(key, argument, state, &o->common);
    }
}

/* A command takes `least` to `most` runs. */
static void parse(const struct argp *parser, int argc, char **argv, size_t least, size_t most,
                  runs_options *o)
{
    *o = (runs_options){.most = most};
    argp_parse(parser, argc, argv, 0, NULL, o);
    if (o->count < least) {
        fprintf(stderr, "%s: %s (penstock runs list)\n", argv[0],
                least > 1 ? "which runs is missing: two or more IDs" : "which run is missing: its ID");
        exit(PS_EXIT_USAGE);
    }
}

/* ---- list, show, compare ---- */

/* All of them begin so: runs that have ended without a word are written down as such. */
static ps_status list(registry *r, void *context, ps_error *error)
{
    const runs_options *o = context;
    run_rows rows = {0};
    ps_status status = run_history_refresh(r, error);
    if (status == PS_OK)
        status = run_history_list(r, o->experiment, NULL, &rows, error);
    if (status == PS_OK && o->common.json)
        runs_print_json(&rows);
    else if (status == PS_OK)
        runs_print_table(&rows);
    run_rows_free(&rows);
    return status;
}

static int list_main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"experiment", KEY_EXPERIMENT, "NAME", 0, "Only its runs", 0},
        REGISTRY_OPTION,
        REGISTRY_OPTION_JSON,
        {0}};
    static const struct argp parser = {
        .options = options, .parser = parse_option, .doc = "List runs, the oldest first."};
    static runs_options o;
    parse(&parser, argc, argv, 0, 0, &o);
    return registry_command_run(argv[0], &o.common, REGISTRY_MUST_EXIST, list, &o);
}

static const struct argp_option look_options[] = {REGISTRY_OPTION, REGISTRY_OPTION_JSON, {0}};

static ps_status show(registry *r, void *context, ps_error *error)
{
    const runs_options *o = context;
    run_rows rows = {0};
    ps_status status = run_history_refresh(r, error);
    if (status == PS_OK)
        status = run_history_find(r, o->ids[0], &rows, error);
    if (status == PS_OK && o->common.json)
        runs_print_one_json(&rows.rows[0]);
    else if (status == PS_OK)
        runs_print_one(&rows.rows[0]);
    run_rows_free(&rows);
    return status;
}

static int show_main(int argc, char **argv)
{
    static const struct argp parser = {.options = look_options,
                                       .parser = parse_option,
                                       .args_doc = "ID",
                                       .doc = "Show a run: configuration, phases, and metrics over time."};
    static runs_options o;
    parse(&parser, argc, argv, 1, 1, &o);
    return registry_command_run(argv[0], &o.common, REGISTRY_MUST_EXIST, show, &o);
}

/* The rows of several runs, in the order of the command line. */
static ps_status find_all(registry *r, const runs_options *o, run_rows *rows, ps_error *error)
{
    ps_status status = PS_OK;
    rows->rows = calloc(o->count, sizeof *rows->rows);
    if (!rows->rows)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    for (size_t i = 0; i < o->count && status == PS_OK; i++) {
        run_rows one = {0};
        status = run_history_find(r, o->ids[i], &one, error);
        if (status != PS_OK)
            continue;
        rows->rows[rows->count++] = one.rows[0];
        free(one.rows);
    }
    return status;
}

static ps_status compare(registry *r, void *context, ps_error *error)
{
    const runs_options *o = context;
    run_rows rows = {0};
    ps_status status = run_history_refresh(r, error);
    if (status == PS_OK)
        status = find_all(r, o, &rows, error);
    if (status == PS_OK && o->common.json)
        runs_print_json(&rows);
    else if (status == PS_OK)
        status = runs_print_comparison(&rows, error);
    run_rows_free(&rows);
    return status;
}

static int compare_main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = look_options,
        .parser = parse_option,
        .args_doc = "ID ID...",
        .doc = "Compare runs: the options that differ, and what has come of them; a column for each."};
    static runs_options o;
    parse(&parser, argc, argv, 2, RUNS_COMPARED_MAX, &o);
    return registry_command_run(argv[0], &o.common, REGISTRY_MUST_EXIST, compare, &o);
}

/* ---- logs ---- */

static int logs_main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"follow", 'f', NULL, 0, "Go on until the run is over", 0},
        {"task", KEY_TASK, "NAME", 0, "Only the log of this process: ps-0, worker-0, ...", 0},
        REGISTRY_OPTION,
        {0}};
    static const struct argp parser = {.options = options,
                                       .parser = parse_option,
                                       .args_doc = "ID",
                                       .doc = "Print the logs of all processes of a run."};
    static runs_options o;
    char folder[PATH_BYTES];
    ps_error error;
    parse(&parser, argc, argv, 1, 1, &o);
    const run_follow_options follow = {.shows = true, .waits = o.follow, .only = o.only};
    ps_status status = registry_find(o.common.folder, folder, &error);
    if (status == PS_OK)
        status = run_follow(argv[0], folder, o.ids[0], &follow, NULL, &error);
    return command_end(argv[0], status, &error);
}

/* ---- cancel ---- */

/* Signals the launcher, and nobody who has its number now: what the descriptor names was looked at after it
 * was opened. */
static ps_status signal_launcher(const char *id, const run_process *wanted, ps_error *error)
{
    run_process found;
    int process = pidfd_open((pid_t)wanted->pid, 0);
    if (process < 0)
        return ps_fail(error, PS_ESTATE, "the launcher of %s, process %lld, cannot be reached: %s", id,
                       (long long)wanted->pid, strerror(errno));
    run_process_find(wanted->pid, &found);
    ps_status status = PS_OK;
    if (found.started != wanted->started || strcmp(found.boot, wanted->boot) != 0)
        status = ps_fail(error, PS_ESTATE, "the launcher of %s, process %lld, is not seen from here", id,
                         (long long)wanted->pid);
    else if (pidfd_send_signal(process, SIGTERM, NULL, 0) != 0)
        status = ps_fail(error, PS_EIO, "cannot end the launcher of %s, process %lld: %s", id,
                         (long long)wanted->pid, strerror(errno));
    close(process);
    return status;
}

static ps_status cancel_one(registry *r, const char *id, ps_error *error)
{
    char host[RUN_HOST_BYTES];
    run_rows rows = {0};
    run_view view = {0};
    run_history_host(host);
    ps_status status = run_history_find(r, id, &rows, error);
    if (status == PS_OK && run_phase_is_over(rows.rows[0].phase))
        status =
            ps_fail(error, PS_EINVAL, "the run %s is over: it is %s", id, run_phase_name(rows.rows[0].phase));
    if (status == PS_OK && strcmp(rows.rows[0].host, host) != 0)
        status =
            ps_fail(error, PS_EINVAL, "the run %s is on the host %s: cancel it there", id, rows.rows[0].host);
    if (status == PS_OK)
        status = run_view_open(rows.rows[0].record, &view, error);
    if (status == PS_OK)
        status = signal_launcher(id, &view.launcher, error);
    if (status == PS_OK)
        printf("asked %s to end\n", id);
    run_view_close(&view);
    run_rows_free(&rows);
    return status;
}

static ps_status cancel(registry *r, void *context, ps_error *error)
{
    const runs_options *o = context;
    ps_status status = run_history_refresh(r, error);
    for (size_t i = 0; i < o->count && status == PS_OK; i++)
        status = cancel_one(r, o->ids[i], error);
    return status;
}

static const struct argp_option cancel_options[] = {REGISTRY_OPTION, {0}};

static int cancel_main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = cancel_options,
        .parser = parse_option,
        .args_doc = "ID...",
        .doc = "Ask runs on this host to end, as SIGTERM to `penstock run' does.\v"
               "penstock runs logs -f ID waits until it has."};
    static runs_options o;
    parse(&parser, argc, argv, 1, IDS_MAX, &o);
    return registry_command_run(argv[0], &o.common, REGISTRY_MUST_EXIST, cancel, &o);
}

/* ---- rm ---- */

/* Only a folder that was made for this run and named after it: others may hold what is not the run's. */
static bool is_own_folder(const run_row *row)
{
    const char *name = strrchr(row->folder, '/');
    return name && strcmp(name + 1, row->id) == 0;
}

static ps_status remove_one(registry *r, const char *id, bool keep_folder, ps_error *error)
{
    run_rows rows = {0};
    ps_status status = run_history_find(r, id, &rows, error);
    if (status == PS_OK)
        status = run_history_remove(r, id, error);
    const bool removes = status == PS_OK && !keep_folder && is_own_folder(&rows.rows[0]);
    if (removes)
        status = file_tree_remove(rows.rows[0].folder, error);
    if (status == PS_OK && removes)
        printf("removed %s and its folder\n", id);
    else if (status == PS_OK)
        printf("removed %s; its folder %s stays\n", id, rows.rows[0].folder);
    run_rows_free(&rows);
    return status;
}

static ps_status remove_all(registry *r, void *context, ps_error *error)
{
    const runs_options *o = context;
    ps_status status = run_history_refresh(r, error);
    for (size_t i = 0; i < o->count && status == PS_OK; i++)
        status = remove_one(r, o->ids[i], o->keep_folder, error);
    return status;
}

static int remove_main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"keep-folder", KEY_KEEP_FOLDER, NULL, 0, "Only forget the run", 0}, REGISTRY_OPTION, {0}};
    static const struct argp parser = {
        .options = options,
        .parser = parse_option,
        .args_doc = "ID...",
        .doc = "Remove runs that are over, and their folders with logs and outputs.\v"
               "A folder that was named by --run-dir stays. Models that come from a run keep what is known "
               "of it."};
    static runs_options o;
    parse(&parser, argc, argv, 1, IDS_MAX, &o);
    return registry_command_run(argv[0], &o.common, REGISTRY_MUST_EXIST, remove_all, &o);
}

int runs_main(int argc, char **argv)
{
    static const command commands[] = {
        {"list", "penstock runs list", "List runs, of one experiment or of all", list_main},
        {"show", "penstock runs show", "Show one: configuration, phases, metrics", show_main},
        {"compare", "penstock runs compare", "Compare options and metrics of several", compare_main},
        {"logs", "penstock runs logs", "Print the logs of all its processes, also as they grow", logs_main},
        {"cancel", "penstock runs cancel", "End one that runs", cancel_main},
        {"rm", "penstock runs rm", "Remove some that are over", remove_main},
    };
    static const command_table table = {"penstock runs",
                                        "Look at what has been trained, and what is being trained.", commands,
                                        sizeof commands / sizeof commands[0]};
    return command_table_run(&table, argc, argv);
}
