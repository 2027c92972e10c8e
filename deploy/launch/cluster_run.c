/* cluster_run.c - see cluster_run.h. */
#include "deploy/launch/cluster_run.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/status.h"
#include "deploy/launch/cluster_state.h"
#include "deploy/launch/signals.h"
#include "deploy/log_tail.h"

enum { SHOWN_LOG_LINES = 10 };

void cluster_complain(cluster_run *r, const char *format, ...)
{
    terminal_clear(&r->screen);
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", r->title);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
}

/* ---- ending ---------------------------------------------------------------------------------------- */

static void begin_ending(cluster_run *r, int signal_sent)
{
    r->ending = true;
    r->kill_ms = cluster_now_ms() + (int64_t)r->options->grace_s * 1000;
    supervisor_signal(r->supervisor, signal_sent);
}

static void kill_all(cluster_run *r)
{
    if (r->killed)
        return;
    r->killed = true;
    supervisor_signal(r->supervisor, SIGKILL);
}

static void handle_signal(cluster_run *r, int number)
{
    if (number == SIGCHLD) {
        supervisor_reap(r->supervisor);
        return;
    }
    if (r->ending) {
        /* Only an impatient person hurries; engines repeat SIGTERM without meaning it. */
        if (number == SIGINT)
            kill_all(r);
        return;
    }
    r->ending_signal = number;
    cluster_complain(r, "ending %zu processes after SIG%s\n", supervisor_running(r->supervisor),
                     sigabbrev_np(number));
    /* A closed standard output is our own affair; to the daemons it is a plain request to end. */
    begin_ending(r, number == SIGPIPE ? SIGTERM : number);
}

/* The failure that ended the run, or the number of tasks: what will be started again, or is spared, has not
 * failed. */
static size_t first_failure(const cluster_run *r)
{
    process_end ends[SUPERVISOR_PROCESSES_MAX];
    size_t count;
    memcpy(ends, supervisor_ends(r->supervisor, &count), sizeof ends);
    for (size_t i = 0; i < count; i++)
        if (r->restarts.of[i].waits || r->spared[i])
            ends[i].ended = false;
    return verdict_first_cause(ends, count);
}

/* Can the others do without it? Not without the one that saves the model; and what would fail again anywhere
 * is no loss but a mistake. */
static bool spare(cluster_run *r, size_t i, const process_end *end)
{
    const task *t = &r->tasks.list[i];
    const bool saves = t->index == 0 && !r->options->chief;
    if (r->ending || t->role != ROLE_WORKER || saves || !restarts_worthwhile(end) ||
        r->spared_count == r->options->spare_workers)
        return false;
    r->spared[i] = true;
    r->spared_count++;
    return true;
}

/* Decides about those that have ended since. */
static void look_at_ends(cluster_run *r)
{
    size_t count;
    const process_end *ends = supervisor_ends(r->supervisor, &count);
    for (size_t i = 0; i < count; i++) {
        int64_t pause_ms = 0;
        if (!ends[i].ended || r->seen[i])
            continue;
        r->seen[i] = true;
        bool again = !r->ending && restarts_take(&r->restarts, i, &ends[i], cluster_now_ms(), &pause_ms);
        char how[128];
        verdict_describe(&ends[i], how, sizeof how);
        if (!again && verdict_failed(&ends[i]) && spare(r, i, &ends[i]))
            cluster_complain(r, "%s ended with %s; the others go on without it (%u of %u spare workers)\n",
                             r->tasks.list[i].name, how, r->spared_count, r->options->spare_workers);
        if (again && !r->options->quiet) {
            cluster_complain(r, "%s ended with %s; starting it again in %.1f s (%u of %u restarts)\n",
                             r->tasks.list[i].name, how, (double)pause_ms / 1000, r->restarts.used,
                             r->restarts.allowed);
        }
        if (!again)
            tasks_let_go(&r->tasks, i);
        if (r->observer && r->observer->ended)
            r->observer->ended(r->observer->context, i, &ends[i], again);
    }
}

static void start_those_due(cluster_run *r)
{
    ps_error error;
    if (r->ending)
        return;
    for (size_t i; (i = restarts_next(&r->restarts, r->tasks.count, cluster_now_ms())) < r->tasks.count;) {
        if (tasks_start_again(&r->tasks, i, r->supervisor, &error) != PS_OK) {
            snprintf(r->given_up_reason, sizeof r->given_up_reason, "%s cannot be started again: %s",
                     r->tasks.list[i].name, error.text);
            cluster_complain(r, "%s\n", r->given_up_reason);
            r->given_up = true;
            begin_ending(r, SIGTERM);
            return;
        }
        r->seen[i] = false;
        if (r->observer && r->observer->started_again)
            r->observer->started_again(r->observer->context, i);
    }
}

static void end_after_failure(cluster_run *r)
{
    size_t count;
    const process_end *ends = supervisor_ends(r->supervisor, &count);
    size_t failed = first_failure(r);
    if (r->ending || failed == count)
        return;
    char how[128];
    verdict_describe(&ends[failed], how, sizeof how);
    cluster_complain(r, "%s ended with %s; ending the others\n", r->tasks.list[failed].name, how);
    begin_ending(r, SIGTERM);
}

/* ---- the loop -------------------------------------------------------------------------------------- */

static void wait_for_something(cluster_run *r)
{
    struct pollfd *waits = r->waits;
    waits[0] = (struct pollfd){.fd = r->signal_fd, .events = POLLIN};
    for (size_t i = 0; i < r->reporter_count; i++) {
        /* poll leaves out a negative descriptor. */
        waits[1 + i].fd = r->reporters[i].closed ? -1 : r->reporters[i].task->report;
        waits[1 + i].events = POLLIN;
    }
    int64_t patience = r->screen.interactive ? DRAW_EVERY_MS : PRINT_EVERY_MS;
    if (r->ending && !r->killed && r->kill_ms - cluster_now_ms() < patience)
        patience = r->kill_ms - cluster_now_ms();
    if (!r->ending)
        patience = restarts_patience(&r->restarts, r->tasks.count, cluster_now_ms(), patience);
    size_t own = 1 + r->reporter_count;
    r->observed = r->observer && r->observer->waits
                      ? r->observer->waits(r->observer->context, waits + own, &patience)
                      : 0;
    poll(waits, own + r->observed, patience > 0 ? (int)patience : 0);
}

static void watch(cluster_run *r)
{
    while (supervisor_running(r->supervisor) > 0 || (r->restarts.pending > 0 && !r->ending)) {
        cluster_reports_show(r);
        wait_for_something(r);
        cluster_reports_drain(r);
        for (int number; (number = signals_next(r->signal_fd));)
            handle_signal(r, number);
        look_at_ends(r);
        end_after_failure(r);
        start_those_due(r);
        if (r->observer && r->observer->turn)
            r->observer->turn(r->observer->context, r->waits + 1 + r->reporter_count, r->observed);
        if (r->ending && cluster_now_ms() >= r->kill_ms)
            kill_all(r);
    }
    /* The last report may have been written just before its process ended. */
    cluster_reports_drain(r);
    terminal_clear(&r->screen);
}

/* ---- the outcome ----------------------------------------------------------------------------------- */

static void show_log(cluster_run *r, const task *of)
{
    char path[RUN_PATH_MAX];
    char text[LOG_TAIL_BYTES + SHOWN_LOG_LINES * sizeof "    ..."];
    if (run_folder_path(&r->tasks.folder, "logs", of->name, ".log", path, NULL))
        return;
    if (log_tail(path, of->log_start, SHOWN_LOG_LINES, "    ", text, sizeof text) > 0)
        cluster_complain(r, "the last lines of %s:\n%s", path, text);
    else
        cluster_complain(r, "its log %s holds nothing\n", path);
}

/* Tells how the run ended, also in `outcome->reason`; returns the exit code. */
static int conclude(cluster_run *r, cluster_outcome *outcome)
{
    size_t count;
    const process_end *ends = supervisor_ends(r->supervisor, &count);
    if (r->ending_signal) {
        outcome->ending_signal = r->ending_signal;
        snprintf(outcome->reason, sizeof outcome->reason, "ended by SIG%s", sigabbrev_np(r->ending_signal));
        cluster_complain(r, "%s; logs are in %s/logs\n", outcome->reason, r->tasks.folder.path);
        return SIGNAL_EXIT_BASE + r->ending_signal;
    }
    if (r->given_up) {
        snprintf(outcome->reason, sizeof outcome->reason, "%s", r->given_up_reason);
        return PS_EXIT_FAILURE;
    }
    size_t failed = first_failure(r);
    if (failed < count) {
        char how[128];
        verdict_describe(&ends[failed], how, sizeof how);
        snprintf(outcome->reason, sizeof outcome->reason, "%s failed with %s", r->tasks.list[failed].name,
                 how);
        cluster_complain(r, "%s\n", outcome->reason);
        show_log(r, &r->tasks.list[failed]);
        return verdict_exit_code(&ends[failed]);
    }
    return PS_EXIT_DONE;
}

static int fail(cluster_run *r, const ps_error *error, cluster_outcome *outcome)
{
    snprintf(outcome->reason, sizeof outcome->reason, "%s", error->text);
    cluster_complain(r, "%s\n", error->text);
    return ps_status_exit_code(error->status);
}

ps_status cluster_run_check(const run_options *options, ps_error *error)
{
    int fd = -1;
    ps_status status = tasks_check(options, error);
    if (status == PS_OK)
        status = cluster_reports_open_file(options, &fd, error);
    if (fd >= 0)
        close(fd);
    return status;
}

static ps_status begin(cluster_run *r, const tasks_detour *detour, ps_error *error)
{
    ps_status status = cluster_reports_open_file(r->options, &r->progress_fd, error);
    if (status == PS_OK)
        status = signals_open(&r->signal_fd, error);
    if (status == PS_OK)
        status = supervisor_create(&r->supervisor, error);
    if (status == PS_OK)
        status = tasks_start(&r->tasks, r->options, detour, r->supervisor, error);
    return status;
}

static void say_what_began(cluster_run *r)
{
    if (r->options->quiet)
        return;
    terminal_print(&r->screen, "processes started: %zu; logs in %s/logs", r->tasks.count,
                   r->tasks.folder.path);
    if (r->tasks.resumed > 0)
        terminal_print(&r->screen, "going on from the checkpoint of step %llu in %s/checkpoints",
                       (unsigned long long)r->tasks.resumed, r->tasks.folder.path);
}

static void run_to_end(cluster_run *r, const tasks_detour *detour, cluster_outcome *outcome)
{
    ps_error error;
    if (begin(r, detour, &error) != PS_OK) {
        outcome->exit_code = fail(r, &error, outcome);
        return;
    }
    restarts_init(&r->restarts, r->options->restarts, cluster_now_ms());
    cluster_reports_begin(r);
    say_what_began(r);
    if (r->observer && r->observer->begun)
        r->observer->begun(r->observer->context, r, &r->tasks);
    watch(r);
    outcome->exit_code = conclude(r, outcome);
    outcome->restarts = r->restarts.used;
    outcome->strays = supervisor_strays(r->supervisor);
    outcome->finished = cluster_training(r)->finished;
    outcome->result = cluster_training(r)->result;
}

void cluster_run_to_end(const char *title, const run_options *options, const tasks_detour *detour,
                        const cluster_observer *observer, cluster_outcome *outcome)
{
    *outcome = (cluster_outcome){.exit_code = PS_EXIT_FAILURE};
    cluster_run *r = calloc(1, sizeof *r);
    if (!r) {
        fprintf(stderr, "%s: out of memory\n", title);
        return;
    }
    r->title = title;
    r->options = options;
    r->observer = observer;
    r->signal_fd = -1;
    r->progress_fd = -1;
    tasks_init(&r->tasks);
    terminal_init(&r->screen, STDOUT_FILENO);
    run_to_end(r, detour, outcome);
    outcome->folder = r->tasks.folder;
    supervisor_destroy(&r->supervisor);
    tasks_fini(&r->tasks);
    if (r->signal_fd >= 0)
        close(r->signal_fd);
    if (r->progress_fd >= 0)
        close(r->progress_fd);
    free(r);
}

void cluster_run_disturb(cluster_run *r, size_t number, int sent)
{
    supervisor_disturb(r->supervisor, number, sent);
}

void cluster_run_give_up(cluster_run *r)
{
    if (r->ending)
        return;
    r->given_up = true;
    begin_ending(r, SIGTERM);
}
