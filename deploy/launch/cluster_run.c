/* cluster_run.c - see cluster_run.h. */
#include "deploy/launch/cluster_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/status.h"
#include "deploy/launch/restarts.h"
#include "deploy/launch/signals.h"
#include "deploy/launch/supervisor.h"
#include "deploy/line_reader.h"
#include "deploy/log_tail.h"
#include "deploy/terminal.h"

enum {
    REPORTERS_MAX = 2, /* chief and evaluator */
    DRAW_EVERY_MS = 250,
    PRINT_EVERY_MS = 5000,        /* progress where no terminal is */
    PRINT_QUIET_EVERY_MS = 30000, /* the same when nothing has changed */
    SHOWN_LOG_LINES = 10,
};

typedef struct {
    cluster_run *owner;
    size_t number; /* of the task */
    const task *task;
    bool closed; /* nothing will follow */
    line_reader reader;
    progress progress;
} reporter;

struct cluster_run {
    const char *title;
    const run_options *options;
    const cluster_observer *observer; /* all of it may be missing */
    tasks tasks;
    restarts restarts;
    bool seen[TASKS_MAX];   /* how it ended has been dealt with */
    bool spared[TASKS_MAX]; /* it has died, and the others go on without it */
    unsigned spared_count;
    supervisor *supervisor;
    int signal_fd;
    int progress_fd; /* the file of --progress-file, or -1 */
    terminal screen;
    reporter reporters[REPORTERS_MAX]; /* first the one that trains, whose progress is that of the run */
    size_t reporter_count;
    int64_t next_print_ms;
    int64_t printed_ms; /* when news had come as of the last line printed */
    bool ending;        /* the others have been told to end */
    bool killed;
    int64_t kill_ms;   /* while ending: when patience is over */
    int ending_signal; /* 0: a failure ended the run */
    bool given_up;     /* by the observer, or because of ... */
    char given_up_reason[CLUSTER_REASON_BYTES];
    struct pollfd waits[1 + REPORTERS_MAX + CLUSTER_RUN_WAITS_MAX];
    size_t observed; /* of the waits */
};

static int64_t now_in_ms(void)
{
    return (int64_t)clock_monotonic_ms();
}

static void complain(cluster_run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void complain(cluster_run *r, const char *format, ...)
{
    terminal_clear(&r->screen);
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", r->title);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
}

static const progress *training(const cluster_run *r)
{
    return &r->reporters[0].progress;
}

/* ---- ending ---------------------------------------------------------------------------------------- */

static void begin_ending(cluster_run *r, int signal_sent)
{
    r->ending = true;
    r->kill_ms = now_in_ms() + (int64_t)r->options->grace_s * 1000;
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
    complain(r, "ending %zu processes after SIG%s\n", supervisor_running(r->supervisor),
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
        bool again = !r->ending && restarts_take(&r->restarts, i, &ends[i], now_in_ms(), &pause_ms);
        char how[128];
        verdict_describe(&ends[i], how, sizeof how);
        if (!again && verdict_failed(&ends[i]) && spare(r, i, &ends[i]))
            complain(r, "%s ended with %s; the others go on without it (%u of %u spare workers)\n",
                     r->tasks.list[i].name, how, r->spared_count, r->options->spare_workers);
        if (again && !r->options->quiet) {
            complain(r, "%s ended with %s; starting it again in %.1f s (%u of %u restarts)\n",
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
    for (size_t i; (i = restarts_next(&r->restarts, r->tasks.count, now_in_ms())) < r->tasks.count;) {
        if (tasks_start_again(&r->tasks, i, r->supervisor, &error) != PS_OK) {
            snprintf(r->given_up_reason, sizeof r->given_up_reason, "%s cannot be started again: %s",
                     r->tasks.list[i].name, error.text);
            complain(r, "%s\n", r->given_up_reason);
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
    complain(r, "%s ended with %s; ending the others\n", r->tasks.list[failed].name, how);
    begin_ending(r, SIGTERM);
}

/* ---- progress -------------------------------------------------------------------------------------- */

/* Appends a report to the file that was asked for. `line[bytes]` may be written to. */
static void keep_report(cluster_run *r, char *line, size_t bytes)
{
    if (r->progress_fd < 0)
        return;
    line[bytes] = '\n';
    if (write(r->progress_fd, line, bytes + 1) == (ssize_t)bytes + 1)
        return;
    complain(r, "cannot write to %s: %s; it is left as it is\n", r->options->progress_file, strerror(errno));
    close(r->progress_fd);
    r->progress_fd = -1;
}

static void take_report(void *context, char *line, size_t bytes)
{
    reporter *from = context;
    cluster_run *r = from->owner;
    progress_event event;
    ps_error error;
    if (progress_take(&from->progress, line, bytes, now_in_ms(), &event, &error)) {
        complain(r, "%s: %s\n", from->task->name, error.text);
        return;
    }
    if (r->observer && r->observer->reported && event != PROGRESS_NOTHING)
        r->observer->reported(r->observer->context, from->number, event, &from->progress);
    if (event == PROGRESS_START || event == PROGRESS_EVAL || event == PROGRESS_DONE)
        keep_report(r, line, bytes);
    if (event == PROGRESS_EVAL && !r->options->quiet) {
        char text[TERMINAL_LINE_MAX];
        progress_render_eval(&from->progress.eval, text, sizeof text);
        /* Of two that test, say which. */
        if (r->reporter_count > 1)
            terminal_print(&r->screen, "%s: %s", from->task->name, text);
        else
            terminal_print(&r->screen, "%s", text);
    }
}

static void listen_to_reports(cluster_run *r)
{
    for (size_t i = 0; i < r->tasks.count; i++) {
        if (r->tasks.list[i].report < 0)
            continue;
        reporter *added = &r->reporters[r->reporter_count++];
        *added = (reporter){.owner = r, .number = i, .task = &r->tasks.list[i]};
        progress_init(&added->progress, now_in_ms());
    }
    r->printed_ms = training(r)->updated_ms;
    r->next_print_ms = now_in_ms() + PRINT_EVERY_MS;
}

static void drain_reports(cluster_run *r)
{
    for (size_t i = 0; i < r->reporter_count; i++) {
        reporter *from = &r->reporters[i];
        if (!from->closed && !line_reader_drain(&from->reader, from->task->report, take_report, from))
            from->closed = true;
    }
}

/* "waiting for ps-0, worker-2 to end", as many names as fit. */
static void render_waiting(const cluster_run *r, size_t width, char *line, size_t bytes)
{
    size_t count;
    const process_end *ends = supervisor_ends(r->supervisor, &count);
    size_t used = (size_t)snprintf(
        line, bytes, "waiting to end: %zu of %zu processes:", supervisor_running(r->supervisor), count);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(r->tasks.list[i].name) + 1;
        if (ends[i].ended || used + length > width || used + length >= bytes)
            continue;
        used += (size_t)snprintf(line + used, bytes - used, " %s", r->tasks.list[i].name);
    }
    if (width < bytes)
        line[width] = '\0';
}

static void render(const cluster_run *r, size_t width, char *line, size_t bytes)
{
    if (r->ending || training(r)->finished)
        render_waiting(r, width, line, bytes);
    else
        progress_render(training(r), width, now_in_ms(), line, bytes);
}

static void show_progress(cluster_run *r)
{
    char line[TERMINAL_LINE_MAX];
    if (r->options->quiet)
        return;
    if (r->screen.interactive) {
        render(r, terminal_width(&r->screen), line, sizeof line);
        terminal_draw(&r->screen, line);
        return;
    }
    int64_t now = now_in_ms();
    bool moved = r->printed_ms != training(r)->updated_ms;
    if (now < r->next_print_ms || (!moved && now < r->next_print_ms + PRINT_QUIET_EVERY_MS - PRINT_EVERY_MS))
        return;
    render(r, sizeof line, line, sizeof line);
    terminal_print(&r->screen, "%s", line);
    r->printed_ms = training(r)->updated_ms;
    r->next_print_ms = now + PRINT_EVERY_MS;
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
    if (r->ending && !r->killed && r->kill_ms - now_in_ms() < patience)
        patience = r->kill_ms - now_in_ms();
    if (!r->ending)
        patience = restarts_patience(&r->restarts, r->tasks.count, now_in_ms(), patience);
    size_t own = 1 + r->reporter_count;
    r->observed = r->observer && r->observer->waits
                      ? r->observer->waits(r->observer->context, waits + own, &patience)
                      : 0;
    poll(waits, own + r->observed, patience > 0 ? (int)patience : 0);
}

static void watch(cluster_run *r)
{
    while (supervisor_running(r->supervisor) > 0 || (r->restarts.pending > 0 && !r->ending)) {
        show_progress(r);
        wait_for_something(r);
        drain_reports(r);
        for (int number; (number = signals_next(r->signal_fd));)
            handle_signal(r, number);
        look_at_ends(r);
        end_after_failure(r);
        start_those_due(r);
        if (r->observer && r->observer->turn)
            r->observer->turn(r->observer->context, r->waits + 1 + r->reporter_count, r->observed);
        if (r->ending && now_in_ms() >= r->kill_ms)
            kill_all(r);
    }
    /* The last report may have been written just before its process ended. */
    drain_reports(r);
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
        complain(r, "the last lines of %s:\n%s", path, text);
    else
        complain(r, "its log %s holds nothing\n", path);
}

/* Tells how the run ended, also in `outcome->reason`; returns the exit code. */
static int conclude(cluster_run *r, cluster_outcome *outcome)
{
    size_t count;
    const process_end *ends = supervisor_ends(r->supervisor, &count);
    if (r->ending_signal) {
        outcome->ending_signal = r->ending_signal;
        snprintf(outcome->reason, sizeof outcome->reason, "ended by SIG%s", sigabbrev_np(r->ending_signal));
        complain(r, "%s; logs are in %s/logs\n", outcome->reason, r->tasks.folder.path);
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
        complain(r, "%s\n", outcome->reason);
        show_log(r, &r->tasks.list[failed]);
        return verdict_exit_code(&ends[failed]);
    }
    return PS_EXIT_DONE;
}

static int fail(cluster_run *r, const ps_error *error, cluster_outcome *outcome)
{
    snprintf(outcome->reason, sizeof outcome->reason, "%s", error->text);
    complain(r, "%s\n", error->text);
    return ps_status_exit_code(error->status);
}

/* `*fd` is -1 if none is asked for. */
static ps_status open_progress_file(const run_options *options, int *fd, ps_error *error)
{
    const char *path = options->progress_file;
    *fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666) : -1;
    return !path || *fd >= 0 ? PS_OK : ps_fail(error, PS_EIO, "cannot open %s: %s", path, strerror(errno));
}

ps_status cluster_run_check(const run_options *options, ps_error *error)
{
    int fd = -1;
    ps_status status = tasks_check(options, error);
    if (status == PS_OK)
        status = open_progress_file(options, &fd, error);
    if (fd >= 0)
        close(fd);
    return status;
}

static ps_status begin(cluster_run *r, const tasks_detour *detour, ps_error *error)
{
    ps_status status = open_progress_file(r->options, &r->progress_fd, error);
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
    restarts_init(&r->restarts, r->options->restarts, now_in_ms());
    listen_to_reports(r);
    say_what_began(r);
    if (r->observer && r->observer->begun)
        r->observer->begun(r->observer->context, r, &r->tasks);
    watch(r);
    outcome->exit_code = conclude(r, outcome);
    outcome->restarts = r->restarts.used;
    outcome->strays = supervisor_strays(r->supervisor);
    outcome->finished = training(r)->finished;
    outcome->result = training(r)->result;
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
