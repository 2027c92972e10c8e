/* run.c - `penstock run`: a whole cluster on this machine, from start to end.
 *
 * One thread, one loop over a descriptor for signals and the pipes on which chief and evaluator report.
 * What is decided here: when a run ends, and what a person is told. How a process is started and reaped is
 * supervisor's, which failure is to blame verdict's, how progress reads progress's. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/status.h"
#include "deploy/commands.h"
#include "deploy/line_reader.h"
#include "deploy/log_tail.h"
#include "deploy/progress.h"
#include "deploy/signals.h"
#include "deploy/supervisor.h"
#include "deploy/tasks.h"
#include "deploy/terminal.h"
#include "deploy/verdict.h"

enum {
    REPORTERS_MAX = 2, /* chief and evaluator */
    DRAW_EVERY_MS = 250,
    PRINT_EVERY_MS = 5000,        /* progress where no terminal is */
    PRINT_QUIET_EVERY_MS = 30000, /* the same when nothing has changed */
    SHOWN_LOG_LINES = 10,
};

typedef struct run run;

typedef struct {
    run *owner;
    const task *task;
    bool closed; /* nothing will follow */
    line_reader reader;
    progress progress;
} reporter;

struct run {
    run_options options;
    tasks tasks;
    supervisor *supervisor;
    int signal_fd;
    terminal screen;
    reporter reporters[REPORTERS_MAX]; /* first the one that trains, whose progress is that of the run */
    size_t reporter_count;
    int64_t next_print_ms;
    int64_t printed_ms; /* when news had come as of the last line printed */
    bool ending;        /* the others have been told to end */
    bool killed;
    int64_t kill_ms;   /* while ending: when patience is over */
    int ending_signal; /* 0: a failure ended the run */
};

static int64_t now_in_ms(void)
{
    return (int64_t)clock_monotonic_ms();
}

static void complain(run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void complain(run *r, const char *format, ...)
{
    terminal_clear(&r->screen);
    va_list arguments;
    va_start(arguments, format);
    fputs("penstock run: ", stderr);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
}

static const progress *training(const run *r)
{
    return &r->reporters[0].progress;
}

/* ---- ending ---------------------------------------------------------------------------------------- */

static void begin_ending(run *r, int signal_sent)
{
    r->ending = true;
    r->kill_ms = now_in_ms() + (int64_t)r->options.grace_s * 1000;
    supervisor_signal(r->supervisor, signal_sent);
}

static void kill_all(run *r)
{
    if (r->killed)
        return;
    r->killed = true;
    supervisor_signal(r->supervisor, SIGKILL);
}

static void handle_signal(run *r, int number)
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

static void end_after_failure(run *r)
{
    size_t count;
    const process_end *ends = supervisor_ends(r->supervisor, &count);
    size_t failed = verdict_first_cause(ends, count);
    if (r->ending || failed == count)
        return;
    char how[128];
    verdict_describe(&ends[failed], how, sizeof how);
    complain(r, "%s ended with %s; ending the others\n", r->tasks.list[failed].name, how);
    begin_ending(r, SIGTERM);
}

/* ---- progress -------------------------------------------------------------------------------------- */

static void take_report(void *context, char *line, size_t bytes)
{
    reporter *from = context;
    run *r = from->owner;
    progress_event event;
    ps_error error;
    if (progress_take(&from->progress, line, bytes, now_in_ms(), &event, &error)) {
        complain(r, "%s: %s\n", from->task->name, error.text);
        return;
    }
    if (event == PROGRESS_EVAL && !r->options.quiet) {
        char text[TERMINAL_LINE_MAX];
        progress_render_eval(&from->progress.eval, text, sizeof text);
        /* Of two that test, say which. */
        if (r->reporter_count > 1)
            terminal_print(&r->screen, "%s: %s", from->task->name, text);
        else
            terminal_print(&r->screen, "%s", text);
    }
}

static void listen_to_reports(run *r)
{
    for (size_t i = 0; i < r->tasks.count; i++) {
        if (r->tasks.list[i].report < 0)
            continue;
        reporter *added = &r->reporters[r->reporter_count++];
        *added = (reporter){.owner = r, .task = &r->tasks.list[i]};
        progress_init(&added->progress, now_in_ms());
    }
    r->printed_ms = training(r)->updated_ms;
    r->next_print_ms = now_in_ms() + PRINT_EVERY_MS;
}

static void drain_reports(run *r)
{
    for (size_t i = 0; i < r->reporter_count; i++) {
        reporter *from = &r->reporters[i];
        if (!from->closed && !line_reader_drain(&from->reader, from->task->report, take_report, from))
            from->closed = true;
    }
}

/* "waiting for ps-0, worker-2 to end", as many names as fit. */
static void render_waiting(const run *r, size_t width, char *line, size_t bytes)
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

static void render(const run *r, size_t width, char *line, size_t bytes)
{
    if (r->ending || training(r)->finished)
        render_waiting(r, width, line, bytes);
    else
        progress_render(training(r), width, now_in_ms(), line, bytes);
}

static void show_progress(run *r)
{
    char line[TERMINAL_LINE_MAX];
    if (r->options.quiet)
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

static void wait_for_something(run *r)
{
    struct pollfd waits[1 + REPORTERS_MAX] = {{.fd = r->signal_fd, .events = POLLIN}};
    for (size_t i = 0; i < r->reporter_count; i++) {
        /* poll leaves out a negative descriptor. */
        waits[1 + i].fd = r->reporters[i].closed ? -1 : r->reporters[i].task->report;
        waits[1 + i].events = POLLIN;
    }
    int64_t patience = r->screen.interactive ? DRAW_EVERY_MS : PRINT_EVERY_MS;
    if (r->ending && !r->killed && r->kill_ms - now_in_ms() < patience)
        patience = r->kill_ms - now_in_ms();
    poll(waits, 1 + r->reporter_count, patience > 0 ? (int)patience : 0);
}

static void watch(run *r)
{
    while (supervisor_running(r->supervisor) > 0) {
        show_progress(r);
        wait_for_something(r);
        drain_reports(r);
        for (int number; (number = signals_next(r->signal_fd));)
            handle_signal(r, number);
        end_after_failure(r);
        if (r->ending && now_in_ms() >= r->kill_ms)
            kill_all(r);
    }
    /* The last report may have been written just before its process ended. */
    drain_reports(r);
    terminal_clear(&r->screen);
}

/* ---- the outcome ----------------------------------------------------------------------------------- */

static void show_log(run *r, const task *of)
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

/* Tells how the run ended; returns the exit code. */
static int conclude(run *r)
{
    size_t count;
    const process_end *ends = supervisor_ends(r->supervisor, &count);
    if (r->ending_signal) {
        complain(r, "ended by SIG%s; logs are in %s/logs\n", sigabbrev_np(r->ending_signal),
                 r->tasks.folder.path);
        return SIGNAL_EXIT_BASE + r->ending_signal;
    }
    size_t failed = verdict_first_cause(ends, count);
    if (failed < count) {
        char how[128];
        verdict_describe(&ends[failed], how, sizeof how);
        complain(r, "%s failed with %s\n", r->tasks.list[failed].name, how);
        show_log(r, &r->tasks.list[failed]);
        return verdict_exit_code(&ends[failed]);
    }
    char text[PROGRESS_PATH_MAX + 256];
    progress_render_result(&training(r)->result, text, sizeof text);
    printf("%slogs           %s/logs\n", training(r)->finished ? text : "", r->tasks.folder.path);
    return PS_EXIT_DONE;
}

static int fail(run *r, const ps_error *error)
{
    complain(r, "%s\n", error->text);
    return ps_status_exit_code(error->status);
}

static ps_status begin(run *r, ps_error *error)
{
    ps_status status = signals_open(&r->signal_fd, error);
    if (status == PS_OK)
        status = supervisor_create(&r->supervisor, error);
    if (status == PS_OK)
        status = tasks_start(&r->tasks, &r->options, r->supervisor, error);
    return status;
}

int run_main(int argc, char **argv)
{
    /* Some 100 KiB of tables, and `main` runs once. */
    static run r;
    ps_error error;
    r.signal_fd = -1;
    tasks_init(&r.tasks);
    run_options_parse(argc, argv, &r.options);
    terminal_init(&r.screen, STDOUT_FILENO);

    int exit_code;
    if (begin(&r, &error)) {
        exit_code = fail(&r, &error);
    } else {
        listen_to_reports(&r);
        if (!r.options.quiet)
            terminal_print(&r.screen, "processes started: %zu; logs in %s/logs", r.tasks.count,
                           r.tasks.folder.path);
        watch(&r);
        exit_code = conclude(&r);
    }
    supervisor_destroy(&r.supervisor);
    tasks_fini(&r.tasks);
    if (r.signal_fd >= 0)
        close(r.signal_fd);
    return exit_code;
}
