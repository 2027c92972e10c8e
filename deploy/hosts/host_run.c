/* host_run.c - see host_run.h. */
#include "deploy/hosts/host_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/path.h"
#include "common/plain_text.h"
#include "deploy/launch/programs.h"
#include "deploy/launch/restarts.h"
#include "deploy/launch/signals.h"
#include "deploy/launch/supervisor.h"
#include "deploy/line_reader.h"
#include "deploy/terminal.h"

extern char **environ;

enum {
    SSH_WORDS_MAX = 64,
    SSH_TEXT_MAX = 4096,
    SSH_EXIT = 255, /* of ssh itself, whatever went wrong */
    PATIENCE_MS = 5000,
    LAST_PATIENCE_MS = 5000, /* after SIGKILL for the tasks, until their ssh are killed */
};

/* Never a question that nobody sees; and a host that is gone is noticed. */
static const char default_ssh[] = "ssh -o BatchMode=yes -o ServerAliveInterval=15 -o ServerAliveCountMax=4";

typedef struct {
    struct host_run *owner;
    const host_task *task;
    char *command;     /* owned */
    int input, output; /* our ends of its pipes, or -1 */
    bool seen;         /* how it ended has been dealt with */
    line_reader reader;
} remote;

typedef struct host_run {
    const char *title;
    const host_options *options;
    char ssh_text[SSH_TEXT_MAX]; /* what `ssh` borrows */
    char ssh_path[PATH_BYTES];
    char *ssh[SSH_WORDS_MAX + 3]; /* and host, command, NULL */
    size_t ssh_words;
    supervisor *supervisor;
    restarts restarts;
    int signal_fd;
    terminal screen;
    bool ending, told_to_kill, killed, gave_up;
    int64_t next_ms; /* while ending: of the next, harder step */
    int ending_signal;
    size_t count;
    remote list[TASKS_MAX];
} host_run;

static int64_t now_in_ms(void)
{
    return (int64_t)clock_monotonic_ms();
}

static void name_of(const remote *r, char *text, size_t bytes)
{
    snprintf(text, bytes, "%s-%u on %.100s", cluster_role_name(r->task->role), r->task->index,
             r->task->host->name);
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- starting --------------------------------------------------------------------------------------- */

static ps_status split_ssh(host_run *h, ps_error *error)
{
    const char *command = h->options->ssh ? h->options->ssh : default_ssh;
    if ((size_t)snprintf(h->ssh_text, sizeof h->ssh_text, "%s", command) >= sizeof h->ssh_text)
        return ps_fail(error, PS_ECONFIG, "--ssh has more than %zu bytes", sizeof h->ssh_text - 1);
    char *rest = h->ssh_text;
    for (char *word; (word = strtok_r(rest, " ", &rest));) {
        if (h->ssh_words == SSH_WORDS_MAX)
            return ps_fail(error, PS_ECONFIG, "--ssh has more than %d words", SSH_WORDS_MAX);
        h->ssh[h->ssh_words++] = word;
    }
    if (strchr(h->ssh[0], '/'))
        return path_make(h->ssh_path, error, "%s", h->ssh[0]);
    if (program_find(h->ssh[0], ".", NULL, h->ssh_path, sizeof h->ssh_path, NULL) != PS_OK)
        return ps_fail(error, PS_ECONFIG, "--ssh: there is no program %s in PATH", h->ssh[0]);
    return PS_OK;
}

/* `number`: of one that is started again; NULL: for the first time. */
static ps_status start_one(host_run *h, remote *r, const size_t *number, ps_error *error)
{
    int input[2] = {-1, -1}, output[2] = {-1, -1};
    close_one(&r->input);
    close_one(&r->output);
    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0) {
        close_one(&input[0]);
        close_one(&input[1]);
        return ps_fail(error, PS_EIO, "cannot create a pipe: %s", strerror(errno));
    }
    r->input = input[1];
    r->output = output[0];
    r->reader = (line_reader){.used = 0};
    fcntl(r->input, F_SETFL, O_NONBLOCK);
    fcntl(r->output, F_SETFL, O_NONBLOCK);
    h->ssh[h->ssh_words] = (char *)(uintptr_t)r->task->host->name;
    h->ssh[h->ssh_words + 1] = r->command;
    const process_spec spec = {.path = h->ssh_path,
                               .arguments = h->ssh,
                               .environment = environ,
                               .log_fd = output[1],
                               .input = &input[0]};
    const ps_status status = number ? supervisor_start_again(h->supervisor, *number, &spec, error)
                                    : supervisor_start(h->supervisor, &spec, error);
    close(input[0]);
    close(output[1]);
    return status;
}

static ps_status start_all(host_run *h, const host_job *job, ps_error *error)
{
    ps_status status = PS_OK;
    for (size_t i = 0; i < job->layout->count && status == PS_OK; i++) {
        remote *r = &h->list[h->count++];
        *r = (remote){.owner = h, .task = &job->layout->list[i], .input = -1, .output = -1};
        status = host_watched_command(job, r->task, h->options->run.grace_s, &r->command, error);
        if (status == PS_OK)
            status = start_one(h, r, NULL, error);
    }
    return status;
}

/* ---- ending ----------------------------------------------------------------------------------------- */

/* What a pipe cannot take at once is lost: then the task is ended by its closing. */
static void tell_all(host_run *h, const char *signal_name)
{
    char line[32];
    const int length = snprintf(line, sizeof line, "%s\n", signal_name);
    supervisor_signal(h->supervisor, 0);
    for (size_t i = 0; i < h->count; i++)
        if (h->list[i].input >= 0 && write(h->list[i].input, line, (size_t)length) != length)
            close_one(&h->list[i].input);
}

/* By SIGTERM, whatever has ended us: what a shell starts in the background ignores SIGINT. */
static void begin_ending(host_run *h)
{
    h->ending = true;
    h->next_ms = now_in_ms() + (int64_t)h->options->run.grace_s * 1000;
    tell_all(h, "TERM");
}

/* First the tasks, then whoever connects us with those that cannot be reached. */
static void end_harder(host_run *h)
{
    h->next_ms = now_in_ms() + LAST_PATIENCE_MS;
    if (!h->told_to_kill) {
        h->told_to_kill = true;
        tell_all(h, "KILL");
    } else if (!h->killed) {
        h->killed = true;
        supervisor_signal(h->supervisor, SIGKILL);
    }
}

static void handle_signal(host_run *h, int number)
{
    if (number == SIGCHLD) {
        supervisor_reap(h->supervisor);
        return;
    }
    if (h->ending) {
        /* Only an impatient person hurries; SIGPIPE is that of a task which has gone already. */
        if (number == SIGINT)
            end_harder(h);
        return;
    }
    h->ending_signal = number;
    fprintf(stderr, "%s: ending %zu tasks after SIG%s\n", h->title, supervisor_running(h->supervisor),
            sigabbrev_np(number));
    begin_ending(h);
}

/* The failure that ended the run, or the number of tasks: what will be started again has not failed. */
static size_t first_failure(const host_run *h)
{
    process_end ends[SUPERVISOR_PROCESSES_MAX];
    size_t count;
    memcpy(ends, supervisor_ends(h->supervisor, &count), sizeof ends);
    for (size_t i = 0; i < count; i++)
        if (h->restarts.of[i].waits)
            ends[i].ended = false;
    return verdict_first_cause(ends, count);
}

static void look_at_ends(host_run *h)
{
    size_t count;
    const process_end *ends = supervisor_ends(h->supervisor, &count);
    for (size_t i = 0; i < count; i++) {
        int64_t pause_ms = 0;
        if (!ends[i].ended || h->list[i].seen)
            continue;
        h->list[i].seen = true;
        close_one(&h->list[i].input);
        char how[128], name[160];
        verdict_describe(&ends[i], how, sizeof how);
        name_of(&h->list[i], name, sizeof name);
        if (!h->ending && restarts_take(&h->restarts, i, &ends[i], now_in_ms(), &pause_ms))
            fprintf(stderr, "%s: %s ended with %s; starting it again in %.1f s (%u of %u restarts)\n",
                    h->title, name, how, (double)pause_ms / 1000, h->restarts.used, h->restarts.allowed);
    }
    const size_t failed = first_failure(h);
    if (h->ending || failed == count)
        return;
    char how[128], name[160];
    verdict_describe(&ends[failed], how, sizeof how);
    name_of(&h->list[failed], name, sizeof name);
    fprintf(stderr, "%s: %s ended with %s; ending the others\n", h->title, name, how);
    begin_ending(h);
}

static void start_those_due(host_run *h)
{
    ps_error error;
    if (h->ending)
        return;
    for (size_t i; (i = restarts_next(&h->restarts, h->count, now_in_ms())) < h->count;) {
        if (start_one(h, &h->list[i], &i, &error) != PS_OK) {
            fprintf(stderr, "%s: %s\n", h->title, error.text);
            h->gave_up = true;
            begin_ending(h);
            return;
        }
        h->list[i].seen = false;
    }
}

/* ---- the loop --------------------------------------------------------------------------------------- */

/* What comes from a host is shown, and does nothing to a terminal. */
static void show_line(void *context, char *line, size_t bytes)
{
    const remote *r = context;
    plain_text(line, bytes, "\t");
    terminal_print(&r->owner->screen, "%s %s-%u: %s", r->task->host->address,
                   cluster_role_name(r->task->role), r->task->index, line);
}

static void drain_outputs(host_run *h)
{
    for (size_t i = 0; i < h->count; i++) {
        remote *r = &h->list[i];
        if (r->output >= 0 && !line_reader_drain(&r->reader, r->output, show_line, r))
            close_one(&r->output);
    }
}

static void wait_for_something(host_run *h)
{
    struct pollfd waits[1 + TASKS_MAX];
    int64_t patience = PATIENCE_MS;
    waits[0] = (struct pollfd){.fd = h->signal_fd, .events = POLLIN};
    for (size_t i = 0; i < h->count; i++) /* poll leaves out a negative descriptor */
        waits[1 + i] = (struct pollfd){.fd = h->list[i].output, .events = POLLIN};
    if (h->ending && h->next_ms - now_in_ms() < patience)
        patience = h->next_ms - now_in_ms();
    if (!h->ending)
        patience = restarts_patience(&h->restarts, h->count, now_in_ms(), patience);
    poll(waits, 1 + h->count, patience > 0 ? (int)patience : 0);
}

static void watch(host_run *h)
{
    while (supervisor_running(h->supervisor) > 0 || (h->restarts.pending > 0 && !h->ending)) {
        wait_for_something(h);
        drain_outputs(h);
        for (int number; (number = signals_next(h->signal_fd));)
            handle_signal(h, number);
        look_at_ends(h);
        start_those_due(h);
        if (h->ending && !h->killed && now_in_ms() >= h->next_ms)
            end_harder(h);
    }
    drain_outputs(h);
}

static int conclude(const host_run *h)
{
    size_t count;
    const process_end *ends = supervisor_ends(h->supervisor, &count);
    if (h->ending_signal)
        return SIGNAL_EXIT_BASE + h->ending_signal;
    if (h->gave_up)
        return PS_EXIT_FAILURE;
    const size_t failed = first_failure(h);
    if (failed == count)
        return PS_EXIT_DONE;
    char how[128], name[160];
    const int code = verdict_exit_code(&ends[failed]);
    verdict_describe(&ends[failed], how, sizeof how);
    name_of(&h->list[failed], name, sizeof name);
    fprintf(stderr, "%s: %s failed with %s%s\n", h->title, name, how,
            code == SSH_EXIT ? ", which is that of an ssh that cannot connect or log in" : "");
    return code;
}

static int run_to_end(host_run *h, const host_job *job)
{
    ps_error error;
    ps_status status = split_ssh(h, &error);
    if (status == PS_OK)
        status = signals_open(&h->signal_fd, &error);
    if (status == PS_OK)
        status = supervisor_create(&h->supervisor, &error);
    if (status == PS_OK)
        status = start_all(h, job, &error);
    if (status != PS_OK) {
        fprintf(stderr, "%s: %s\n", h->title, error.text);
        return ps_status_exit_code(status);
    }
    restarts_init(&h->restarts, h->options->run.restarts, now_in_ms());
    watch(h);
    return conclude(h);
}

int host_run_to_end(const char *title, const host_options *options, const host_job *job)
{
    host_run *h = calloc(1, sizeof *h);
    if (!h) {
        fprintf(stderr, "%s: out of memory\n", title);
        return PS_EXIT_FAILURE;
    }
    h->title = title;
    h->options = options;
    h->signal_fd = -1;
    terminal_init(&h->screen, STDOUT_FILENO);
    const int code = run_to_end(h, job);
    for (size_t i = 0; i < h->count; i++)
        close_one(&h->list[i].input); /* what has begun before something failed ends by that */
    supervisor_destroy(&h->supervisor);
    for (size_t i = 0; i < h->count; i++) {
        close_one(&h->list[i].output);
        free(h->list[i].command);
    }
    if (h->signal_fd >= 0)
        close(h->signal_fd);
    free(h);
    return code;
}
