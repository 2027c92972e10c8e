/* sweep_run.c - see sweep_run.h. */
#include "deploy/sweep/sweep_run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/path.h"
#include "deploy/launch/placement.h"
#include "deploy/launch/progress.h"
#include "deploy/launch/signals.h"
#include "deploy/launch/supervisor.h"
#include "deploy/launch/verdict.h"
#include "deploy/line_reader.h"
#include "deploy/log_tail.h"
#include "deploy/sweep/sweep_check.h"
#include "deploy/sweep/sweep_report.h"
#include "deploy/terminal.h"

extern char **environ;

enum { LOOK_EVERY_MS = 200, OWN_ARGUMENTS_MAX = 16, SHOWN_LOG_BYTES = SWEEP_WHY_BYTES - 80 };

/* A place at which a run can be under way; its number is that of the process in the supervisor. */
typedef struct {
    struct sweep_loop *owner;
    bool busy, started; /* started: a process of this number has been there before */
    size_t trial;
    int64_t start_ms;
    int progress_fd;
    off_t log_start; /* size of its log before this attempt */
    line_reader reader;
    progress progress;
    uint32_t decided; /* epoch of the last decision about it */
    const char *stop; /* why it was told to end, as recorded; NULL: it was not */
    char why[SWEEP_WHY_BYTES];
    size_t processor_count;
    int processors[PLACEMENT_PROCESSORS_MAX];
} place;

typedef struct sweep_loop {
    sweep *sweep;
    sweep_journal *journal;
    supervisor *supervisor;
    int signal_fd;
    terminal screen;
    double before; /* seconds of earlier sittings */
    int64_t start_ms;
    size_t next; /* the first trial that may still wait */
    ps_status status;
    ps_error error;
    place places[SWEEP_PARALLEL_MAX];
} sweep_loop;

static int64_t now_in_ms(void)
{
    return (int64_t)clock_monotonic_ms();
}

static void complain(sweep_loop *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void complain(sweep_loop *l, const char *format, ...)
{
    terminal_clear(&l->screen);
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", l->sweep->title);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
}

static size_t running(const sweep_loop *l)
{
    return supervisor_running(l->supervisor);
}

static bool ends(const sweep_loop *l)
{
    const sweep *s = l->sweep;
    return s->ending_signal || s->gave_up || s->out_of_time || l->status != PS_OK;
}

/* An error of the sweep's own: everything ends. */
static void fail(sweep_loop *l, ps_status status, const ps_error *error)
{
    if (l->status != PS_OK)
        return;
    l->status = status;
    l->error = *error;
    supervisor_signal(l->supervisor, SIGTERM);
}

/* ---- starting -------------------------------------------------------------------------------------- */

/* Deals the processors out, so that places that are busy at the same time are apart as far as can be. */
static void deal_processors(sweep_loop *l)
{
    int all[PLACEMENT_PROCESSORS_MAX];
    const size_t count = placement_processors(all), places = l->sweep->parallel;
    for (size_t i = 0; i < places && count > 0; i++) {
        place *p = &l->places[i];
        if (count < places) {
            p->processors[p->processor_count++] = all[i % count];
            continue;
        }
        for (size_t k = i * count / places; k < (i + 1) * count / places; k++)
            p->processors[p->processor_count++] = all[k];
    }
}

/* Progress that is there is of an attempt that was broken off. It stands only if the run goes on from where
 * that was. */
static ps_status forget_progress(const char *folder, ps_error *error)
{
    char path[PATH_BYTES];
    ps_status status = path_make(path, error, "%s/checkpoints", folder);
    if (status != PS_OK || access(path, F_OK) == 0)
        return status;
    status = path_make(path, error, "%s/progress.jsonl", folder);
    return status == PS_OK ? file_remove(path, error) : status;
}

static ps_status write_command(const sweep *s, size_t trial, const char *folder, ps_error *error)
{
    char path[PATH_BYTES];
    char *text = sweep_command_text(s->command, s->space, sweep_trials_values(s->list, trial));
    if (!text)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    struct iovec parts[] = {{text, strlen(text)}, {(char[]){'\n'}, 1}};
    ps_status status = path_make(path, error, "%s/command", folder);
    if (status == PS_OK)
        status = file_write_atomic(path, parts, sizeof parts / sizeof parts[0], error);
    free(text);
    return status;
}

static ps_status open_file(const char *path, int flags, int *fd, ps_error *error)
{
    *fd = open(path, flags | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    return *fd < 0 ? path_fail(error, "open", path) : PS_OK;
}

/* What a run is given beside what the command says, with room for its texts. */
typedef struct {
    char folder[PATH_BYTES], log[PATH_BYTES], progress[PATH_BYTES], events[PATH_BYTES];
    char *own[OWN_ARGUMENTS_MAX];
    size_t own_count;
} run_texts;

static ps_status make_texts(const sweep *s, size_t trial, run_texts *t, ps_error *error)
{
    static char penstock[] = "penstock", run[] = "run", quiet[] = "--quiet", dir[] = "--run-dir",
                progress_file[] = "--progress-file", logdir[] = "--logdir";
    char name[32];
    sweep_trial_folder(s, trial, name, sizeof name);
    ps_status status = path_make(t->folder, error, "%s/%s", s->folder, name);
    if (status == PS_OK)
        status = path_make(t->log, error, "%s/%s/run.log", s->folder, name);
    if (status == PS_OK)
        status = path_make(t->progress, error, "%s/%s/progress.jsonl", s->folder, name);
    if (status == PS_OK)
        status = path_make(t->events, error, "%s/%s/events", s->folder, name);
    char *const always[] = {penstock, run, quiet, dir, t->folder, progress_file, t->progress};
    t->own_count = sizeof always / sizeof always[0];
    memcpy(t->own, always, sizeof always);
    if (s->events) {
        t->own[t->own_count++] = logdir;
        t->own[t->own_count++] = t->events;
    }
    return status;
}

static ps_status start_process(sweep_loop *l, place *p, run_texts *t, ps_error *error)
{
    const sweep *s = l->sweep;
    int log_fd = -1;
    char **arguments = sweep_command_line(s->command, s->space, sweep_trials_values(s->list, p->trial),
                                          t->own, t->own_count);
    ps_status status = arguments ? open_file(t->log, O_WRONLY | O_APPEND, &log_fd, error)
                                 : ps_fail(error, PS_ENOMEM, "out of memory");
    if (status == PS_OK) {
        const size_t number = (size_t)(p - l->places);
        const process_spec spec = {.path = SWEEP_OWN_PROGRAM,
                                   .arguments = arguments,
                                   .environment = environ,
                                   .log_fd = log_fd,
                                   .processors = p->processors,
                                   .processor_count = p->processor_count};
        p->log_start = lseek(log_fd, 0, SEEK_END);
        status = p->started ? supervisor_start_again(l->supervisor, number, &spec, error)
                            : supervisor_start(l->supervisor, &spec, error);
        p->started = p->busy = true;
        close(log_fd);
    }
    free(arguments);
    return status;
}

static ps_status start_trial(sweep_loop *l, place *p, size_t trial, ps_error *error)
{
    run_texts t;
    p->trial = trial;
    p->start_ms = now_in_ms();
    p->decided = 0;
    p->stop = NULL;
    p->reader = (line_reader){0};
    progress_init(&p->progress, p->start_ms);
    ps_status status = make_texts(l->sweep, trial, &t, error);
    if (status == PS_OK)
        status = file_make_folder(t.folder, error);
    if (status == PS_OK)
        status = forget_progress(t.folder, error);
    if (status == PS_OK)
        status = write_command(l->sweep, trial, t.folder, error);
    if (status == PS_OK)
        status = open_file(t.progress, O_RDONLY, &p->progress_fd, error);
    if (status == PS_OK)
        status = start_process(l, p, &t, error);
    if (status == PS_OK)
        l->sweep->trials[trial].outcome = TRIAL_RUNS;
    return status;
}

/* The first places are taken first, as supervisor_start numbers its processes. */
static void start_those_that_wait(sweep_loop *l)
{
    const sweep *s = l->sweep;
    for (size_t i = 0; i < s->parallel && !ends(l); i++) {
        ps_error error;
        while (l->next < s->list->count && s->trials[l->next].outcome != TRIAL_WAITS)
            l->next++;
        if (l->places[i].busy || l->next == s->list->count)
            continue;
        ps_status status = start_trial(l, &l->places[i], l->next, &error);
        if (status != PS_OK)
            fail(l, status, &error);
    }
}

/* ---- watching -------------------------------------------------------------------------------------- */

static void take_report(void *context, char *line, size_t bytes)
{
    place *p = context;
    sweep_trial *t = &p->owner->sweep->trials[p->trial];
    progress_event event;
    ps_error error;
    if (progress_take(&p->progress, line, bytes, now_in_ms(), &event, &error) != PS_OK) {
        complain(p->owner, "trial %zu: %s\n", p->trial + 1, error.text);
        return;
    }
    const progress_eval *e = &p->progress.eval;
    if (event == PROGRESS_EVAL && sweep_curve_add(&t->curve, e->epoch, e->accuracy, e->loss) != PS_OK) {
        ps_fail(&error, PS_ENOMEM, "out of memory");
        fail(p->owner, PS_ENOMEM, &error);
    }
}

static void stop(sweep_loop *l, place *p, const char *why)
{
    if (!p->busy || p->stop)
        return;
    p->stop = why;
    const size_t number = (size_t)(p - l->places);
    supervisor_disturb(l->supervisor, number, SIGTERM);
    supervisor_disturb(l->supervisor, number, SIGCONT); /* one that is stopped would not hear */
}

/* Should its run go on, now that there is another evaluation? One at the last step comes with the result. */
static void decide(sweep_loop *l, place *p)
{
    const sweep *s = l->sweep;
    const sweep_curve *own = &s->trials[p->trial].curve;
    sweep_rival rivals[SWEEP_TRIALS_MAX];
    size_t count = 0;
    const progress *at = &p->progress;
    const bool last = at->finished || (at->steps > 0 && at->eval.step >= (double)at->steps);
    if (p->stop || last || !sweep_decision_due(&s->space->stopping, own, p->decided))
        return;
    p->decided = own->list[own->count - 1].epoch;
    for (size_t i = 0; i < s->list->count; i++) {
        const sweep_outcome outcome = s->trials[i].outcome;
        if (i != p->trial && outcome != TRIAL_WAITS && outcome != TRIAL_FAILED)
            rivals[count++] = (sweep_rival){&s->trials[i].curve, outcome != TRIAL_RUNS};
    }
    if (!sweep_goes_on(&s->space->stopping, &s->space->goal, own, rivals, count, p->why))
        stop(l, p, p->why);
}

static void look_at_progress(sweep_loop *l)
{
    for (size_t i = 0; i < l->sweep->parallel; i++) {
        place *p = &l->places[i];
        if (!p->busy)
            continue;
        line_reader_drain(&p->reader, p->progress_fd, take_report, p); /* up to the end as of now */
        if (!ends(l))
            decide(l, p);
    }
}

static void look_at_time(sweep_loop *l)
{
    sweep *s = l->sweep;
    s->elapsed = l->before + (double)(now_in_ms() - l->start_ms) / 1000;
    if (ends(l) || s->space->seconds <= 0 || s->elapsed < s->space->seconds)
        return;
    s->out_of_time = true;
    for (size_t i = 0; i < s->parallel; i++)
        stop(l, &l->places[i], "the time of the sweep was over");
}

/* ---- ends ------------------------------------------------------------------------------------------ */

/* The last line of the run's log tells most. */
static void explain_failure(const sweep *s, const place *p, const process_end *end, sweep_trial *t)
{
    char name[32], path[PATH_BYTES], how[48], line[LOG_TAIL_BYTES];
    verdict_describe(end, how, sizeof how);
    sweep_trial_folder(s, p->trial, name, sizeof name);
    const bool read = path_make(path, NULL, "%s/%s/run.log", s->folder, name) == PS_OK &&
                      log_tail(path, p->log_start, 1, "", line, sizeof line) == 1;
    line[read ? strcspn(line, "\n") : 0] = '\0';
    const char *text = line + strspn(line, " ");
    if (*text >= '0' && *text <= '9') { /* when it happened */
        text += strcspn(text, " ");
        text += strspn(text, " ");
    }
    if (end->wait_status == 0)
        snprintf(t->why, sizeof t->why, "it ended without a result");
    else
        snprintf(t->why, sizeof t->why, "%s%s%.*s", how, text[0] ? ": " : "", SHOWN_LOG_BYTES, text);
}

/* How did it end? False: it was only broken off, and is to be run again. */
static bool judge(const sweep_loop *l, const place *p, const process_end *end, sweep_trial *t)
{
    t->exit_code = verdict_exit_code(end);
    t->seconds = (double)(now_in_ms() - p->start_ms) / 1000;
    t->why[0] = '\0';
    if (t->exit_code == PS_EXIT_DONE && p->progress.finished) {
        t->outcome = TRIAL_FINISHED;
        t->accuracy = p->progress.result.accuracy;
        t->loss = p->progress.result.loss;
        return true;
    }
    if (p->stop) {
        t->outcome = TRIAL_STOPPED;
        snprintf(t->why, sizeof t->why, "%s", p->stop);
        return true;
    }
    if (ends(l)) {
        t->outcome = TRIAL_WAITS;
        return false;
    }
    t->outcome = TRIAL_FAILED;
    explain_failure(l->sweep, p, end, t);
    return true;
}

static void give_up_after_failures(sweep_loop *l)
{
    sweep *s = l->sweep;
    const size_t failed = sweep_count(s, TRIAL_FAILED);
    if (ends(l) || failed <= s->space->failures)
        return;
    s->gave_up = true;
    complain(l, "%zu trials have failed, more than the %u that may; giving up\n", failed, s->space->failures);
    supervisor_signal(l->supervisor, SIGTERM);
}

static void take_end(sweep_loop *l, place *p, const process_end *end)
{
    sweep *s = l->sweep;
    sweep_trial *t = &s->trials[p->trial];
    ps_error error;
    p->busy = false;
    line_reader_drain(&p->reader, p->progress_fd, take_report, p);
    close(p->progress_fd);
    if (!judge(l, p, end, t)) {
        sweep_curve_fini(&t->curve);
        return;
    }
    ps_status status = sweep_journal_append(l->journal, p->trial, t, s->elapsed, &error);
    if (status == PS_OK && t->outcome == TRIAL_FINISHED)
        status = sweep_link_best(s, &error);
    if (!s->quiet)
        sweep_report_row(&l->screen, s, p->trial);
    if (status != PS_OK)
        fail(l, status, &error);
    give_up_after_failures(l);
}

static void look_at_ends(sweep_loop *l)
{
    size_t count;
    const process_end *list = supervisor_ends(l->supervisor, &count);
    for (size_t i = 0; i < count; i++)
        if (l->places[i].busy && list[i].ended)
            take_end(l, &l->places[i], &list[i]);
}

static void handle_signal(sweep_loop *l, int number)
{
    sweep *s = l->sweep;
    if (number == SIGCHLD) {
        supervisor_reap(l->supervisor);
        return;
    }
    /* To the runs a closed standard output of ours is a plain request to end. A second SIGINT hurries them.
     */
    const int sent = number == SIGPIPE ? SIGTERM : number;
    if (!s->ending_signal) {
        s->ending_signal = number;
        complain(l, "ending %zu runs after SIG%s\n", running(l), sigabbrev_np(number));
        supervisor_signal(l->supervisor, sent);
    } else if (number == SIGINT) {
        supervisor_signal(l->supervisor, sent);
    }
}

/* ---- the loop -------------------------------------------------------------------------------------- */

static void show(sweep_loop *l)
{
    char line[TERMINAL_LINE_MAX];
    if (l->sweep->quiet || !l->screen.interactive)
        return;
    sweep_report_line(l->sweep, terminal_width(&l->screen), line, sizeof line);
    terminal_draw(&l->screen, line);
}

static void loop(sweep_loop *l)
{
    const sweep *s = l->sweep;
    look_at_time(l);
    give_up_after_failures(l);
    start_those_that_wait(l);
    while (running(l) > 0) {
        struct pollfd wait = {.fd = l->signal_fd, .events = POLLIN};
        show(l);
        poll(&wait, 1, LOOK_EVERY_MS);
        for (int number; (number = signals_next(l->signal_fd));)
            handle_signal(l, number);
        look_at_progress(l);
        look_at_ends(l);
        look_at_time(l);
        start_those_that_wait(l);
    }
    terminal_clear(&l->screen);
    if (s->ending_signal)
        complain(l, "ended by SIG%s; `penstock sweep --resume %s' goes on\n", sigabbrev_np(s->ending_signal),
                 s->folder);
}

ps_status sweep_run(sweep *s, sweep_journal *j, ps_error *error)
{
    sweep_loop *l = calloc(1, sizeof *l);
    if (!l)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    l->sweep = s;
    l->journal = j;
    l->signal_fd = -1;
    l->before = s->elapsed;
    l->start_ms = now_in_ms();
    for (size_t i = 0; i < SWEEP_PARALLEL_MAX; i++)
        l->places[i].owner = l;
    terminal_init(&l->screen, STDOUT_FILENO);
    deal_processors(l);
    ps_status status = signals_open(&l->signal_fd, error);
    if (status == PS_OK)
        status = supervisor_create(&l->supervisor, error);
    if (status == PS_OK)
        status = sweep_link_best(s, error);
    if (status == PS_OK) {
        loop(l);
        status = l->status;
        if (status != PS_OK && error)
            *error = l->error;
    }
    supervisor_destroy(&l->supervisor);
    if (l->signal_fd >= 0)
        close(l->signal_fd);
    free(l);
    return status;
}
