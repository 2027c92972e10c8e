/* cluster_reports.c - what chief and evaluator report of a training: kept, handed on, and shown as progress.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "deploy/launch/cluster_state.h"

enum { PRINT_QUIET_EVERY_MS = 30000 /* progress where no terminal is, when nothing has changed */ };

/* `*fd` is -1 if none is asked for. */
ps_status cluster_reports_open_file(const run_options *options, int *fd, ps_error *error)
{
    const char *path = options->progress_file;
    *fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666) : -1;
    return !path || *fd >= 0 ? PS_OK : ps_fail(error, PS_EIO, "cannot open %s: %s", path, strerror(errno));
}

/* Appends a report to the file that was asked for. `line[bytes]` may be written to. */
static void keep_report(cluster_run *r, char *line, size_t bytes)
{
    if (r->progress_fd < 0)
        return;
    line[bytes] = '\n';
    if (write(r->progress_fd, line, bytes + 1) == (ssize_t)bytes + 1)
        return;
    cluster_complain(r, "cannot write to %s: %s; it is left as it is\n", r->options->progress_file,
                     strerror(errno));
    close(r->progress_fd);
    r->progress_fd = -1;
}

static void take_report(void *context, char *line, size_t bytes)
{
    reporter *from = context;
    cluster_run *r = from->owner;
    progress_event event;
    ps_error error;
    if (progress_take(&from->progress, line, bytes, cluster_now_ms(), &event, &error)) {
        cluster_complain(r, "%s: %s\n", from->task->name, error.text);
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

void cluster_reports_begin(cluster_run *r)
{
    for (size_t i = 0; i < r->tasks.count; i++) {
        if (r->tasks.list[i].report < 0)
            continue;
        reporter *added = &r->reporters[r->reporter_count++];
        *added = (reporter){.owner = r, .number = i, .task = &r->tasks.list[i]};
        progress_init(&added->progress, cluster_now_ms());
    }
    r->printed_ms = cluster_training(r)->updated_ms;
    r->next_print_ms = cluster_now_ms() + PRINT_EVERY_MS;
}

void cluster_reports_drain(cluster_run *r)
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
    if (r->ending || cluster_training(r)->finished)
        render_waiting(r, width, line, bytes);
    else
        progress_render(cluster_training(r), width, cluster_now_ms(), line, bytes);
}

void cluster_reports_show(cluster_run *r)
{
    char line[TERMINAL_LINE_MAX];
    if (r->options->quiet)
        return;
    if (r->screen.interactive) {
        render(r, terminal_width(&r->screen), line, sizeof line);
        terminal_draw(&r->screen, line);
        return;
    }
    int64_t now = cluster_now_ms();
    bool moved = r->printed_ms != cluster_training(r)->updated_ms;
    if (now < r->next_print_ms || (!moved && now < r->next_print_ms + PRINT_QUIET_EVERY_MS - PRINT_EVERY_MS))
        return;
    render(r, sizeof line, line, sizeof line);
    terminal_print(&r->screen, "%s", line);
    r->printed_ms = cluster_training(r)->updated_ms;
    r->next_print_ms = now + PRINT_EVERY_MS;
}
