/* run_keeper.c - see run_keeper.h. */
#include "deploy/runs/run_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "deploy/moment.h"
#include "deploy/registry/registry_command.h"
#include "deploy/runs/run_history.h"

enum { METRIC_BYTES = 1024 /* of a line */ };

struct run_keeper {
    const char *title;
    const run_options *options;
    const tasks *tasks; /* NULL until they have been started */
    run_record record;
    char folder[PATH_BYTES];   /* as the options name it */
    char registry[PATH_BYTES]; /* empty: the run is not in any */
    int lock;                  /* of the run in the registry, or -1 */
    int metrics;               /* or -1 */
    bool complained;
    cluster_observer observer;
};

static void complain(run_keeper *k, const char *what, const char *cause)
{
    if (!k->complained)
        fprintf(stderr, "%s: %s: %s\n", k->title, what, cause);
    k->complained = true;
}

/* ---- the folder and the registry ---- */

static ps_status write_folder(run_keeper *k, const char *text, size_t bytes, ps_error *error)
{
    char path[PATH_BYTES];
    ps_status status = path_make(path, error, "%s/" RUN_RECORD_FILE, k->record.folder);
    const struct iovec part = {(void *)(uintptr_t)text, bytes};
    return status == PS_OK ? file_write_atomic(path, &part, 1, error) : status;
}

static ps_status write_registry(run_keeper *k, const char *text, ps_error *error)
{
    registry r = {0};
    if (!k->registry[0])
        return PS_OK;
    ps_status status = registry_command_open(k->title, k->registry, REGISTRY_MAY_BE_NEW, &r, error);
    if (status == PS_OK && k->lock < 0)
        status = run_history_begin(&r, k->record.id, &k->lock, error);
    if (status == PS_OK)
        status = run_history_write(&r, &k->record, text, error);
    registry_close(&r);
    return status;
}

/* The folder first: it tells how a run ended that was killed before the registry knew. */
static ps_status write_record(run_keeper *k, ps_error *error)
{
    char *text;
    size_t bytes;
    ps_status status = run_record_format(&k->record, &text, &bytes, error);
    if (status != PS_OK)
        return status;
    ps_status in_folder = write_folder(k, text, bytes, error);
    status = write_registry(k, text, error);
    free(text);
    return in_folder != PS_OK ? in_folder : status;
}

static void enter(run_keeper *k, run_phase phase)
{
    ps_error error;
    k->record.phase = phase;
    k->record.phase_ms[phase] = moment_now_ms();
    if (write_record(k, &error) != PS_OK)
        complain(k, "the record of this run is not up to date", error.text);
}

/* ---- metrics over time ---- */

static void open_metrics(run_keeper *k)
{
    char path[PATH_BYTES], line[METRIC_BYTES];
    if (path_make(path, NULL, "%s/" RUN_METRICS_FILE, k->record.folder) != PS_OK)
        return;
    k->metrics = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
    /* A folder may be used by one run after the other: this says whose lines follow. */
    int length = snprintf(line, sizeof line, "{\"event\": \"run\", \"run\": \"%s\"}\n", k->record.id);
    if (k->metrics < 0 || write(k->metrics, line, (size_t)length) != length)
        complain(k, "metrics are not written", strerror(errno));
}

typedef struct {
    const char *key;
    double number;
} metric;

/* One line, with one write: a reader sees it whole. */
static void write_metrics(run_keeper *k, const char *from, const char *event, const metric *metrics,
                          size_t count)
{
    char line[METRIC_BYTES];
    FILE *out = k->metrics >= 0 ? fmemopen(line, sizeof line, "w") : NULL;
    if (!out)
        return;
    fprintf(out, "{\"ms\": %lld, \"task\": \"%s\", \"event\": \"%s\"", (long long)moment_now_ms(), from,
            event);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, ", \"%s\": ", metrics[i].key);
        run_record_print_number(out, metrics[i].number);
    }
    fprintf(out, "}\n");
    long length = ftell(out);
    if (fclose(out) != 0 || length <= 0 || write(k->metrics, line, (size_t)length) != length)
        complain(k, "metrics are not written", strerror(errno));
}

#define WRITE_METRICS(k, task, event, ...)                       \
    write_metrics(k, task, event, (const metric[]){__VA_ARGS__}, \
                  sizeof(const metric[]){__VA_ARGS__} / sizeof(metric))

static void note_step(run_keeper *k, const char *from, const progress *p)
{
    const progress_step *s = &p->latest;
    WRITE_METRICS(k, from, "step", {"step", (double)s->step}, {"epoch", s->epoch}, {"loss", s->loss},
                  {"images_per_s", s->images_per_s}, {"seconds", s->seconds});
}

static void note_eval(run_keeper *k, const char *from, const progress_eval *e)
{
    WRITE_METRICS(k, from, "eval", {"step", e->step}, {"epoch", e->epoch}, {"accuracy", e->accuracy},
                  {"loss", e->loss}, {"seconds", e->seconds});
}

/* ---- what the launcher tells ---- */

/* The folder that the workers are given with --data-folder; NULL: none. */
static const char *data_folder(const run_options *o)
{
    static const char option[] = "--data-folder";
    const char *found = NULL;
    for (size_t i = 0; i < o->training_count; i++) {
        const char *each = o->training[i];
        if (strcmp(each, option) == 0 && i + 1 < o->training_count)
            found = o->training[i + 1];
        else if (strncmp(each, option, sizeof option - 1) == 0 && each[sizeof option - 1] == '=')
            found = each + sizeof option;
    }
    return found;
}

/* While the processes get ready. What cannot be read is theirs to complain of. */
static void take_data(run_keeper *k)
{
    const char *folder = data_folder(k->options);
    if (folder && data_digest_take(folder, &k->record.data, NULL) != PS_OK)
        k->record.data.folder[0] = '\0';
}

static void begun(void *context, cluster_run *run, const tasks *t)
{
    (void)run;
    run_keeper *k = context;
    ps_error error;
    k->tasks = t;
    open_metrics(k);
    take_data(k);
    if (write_record(k, &error) != PS_OK)
        complain(k, "the record of this run is not up to date", error.text);
}

static void reported(void *context, size_t number, progress_event event, const progress *p)
{
    run_keeper *k = context;
    const task *from = &k->tasks->list[number];
    const bool trains = from->role != ROLE_EVALUATOR;
    switch (event) {
    case PROGRESS_START:
        if (trains && k->record.phase == RUN_PREPARING)
            enter(k, RUN_RUNNING);
        return;
    case PROGRESS_STEP:
        note_step(k, from->name, p);
        if (!trains)
            return;
        k->record.step = p->latest;
        k->record.stepped = true;
        return;
    case PROGRESS_EVAL:
        note_eval(k, from->name, &p->eval);
        if (!trains)
            return;
        k->record.eval = p->eval;
        k->record.evaluated = true;
        return;
    case PROGRESS_DONE:
        if (!trains)
            return;
        k->record.result = p->result;
        k->record.finished = true;
        if (!run_phase_is_over(k->record.phase))
            enter(k, RUN_FINALIZING);
        return;
    case PROGRESS_NOTHING:
        return;
    }
}

/* ---- begin and end ---- */

static ps_status make_folder(run_keeper *k, run_options *options, ps_error *error)
{
    char real[PATH_MAX];
    run_folder folder;
    ps_status status = options->run_dir ? path_make(k->folder, error, "%s", options->run_dir)
                                        : path_make(k->folder, error, "runs/%s", k->record.id);
    if (status == PS_OK)
        status = run_folder_make(&folder, k->folder, error);
    if (status == PS_OK && !realpath(k->folder, real))
        status = path_fail(error, "read", k->folder);
    if (status == PS_OK)
        status = path_make(k->record.folder, error, "%s", real);
    options->run_dir = k->folder;
    return status;
}

static ps_status name_run(run_keeper *k, const run_options *options, ps_error *error)
{
    run_record *r = &k->record;
    const char *experiment = options->experiment ? options->experiment : RUN_EXPERIMENT;
    ps_status status = registry_check_name("experiment", experiment, error);
    snprintf(r->experiment, sizeof r->experiment, "%s", experiment);
    if (status == PS_OK && options->id) {
        status = registry_check_name("run", options->id, error);
        snprintf(r->id, sizeof r->id, "%s", options->id);
    } else if (status == PS_OK) {
        status = run_id_make(moment_now_ms(), r->id, error);
    }
    run_history_host(r->host);
    run_process_find(getpid(), &r->launcher);
    return status;
}

static bool asks_for_registry(const run_options *o)
{
    return o->registry || o->experiment || o->id;
}

/* One that cannot be used is none, unless it is asked for. */
static ps_status find_registry(run_keeper *k, ps_error *error)
{
    registry r = {0};
    ps_error cause;
    ps_status status = registry_find(k->options->registry, k->registry, &cause);
    if (status == PS_OK)
        status = registry_command_open(k->title, k->registry, REGISTRY_MAY_BE_NEW, &r, &cause);
    registry_close(&r);
    if (status == PS_OK)
        return PS_OK;
    if (asks_for_registry(k->options))
        return ps_fail(error, status, "%s", cause.text);
    k->registry[0] = '\0';
    fprintf(stderr, "%s: penstock runs will not know of this run: %s\n", k->title, cause.text);
    return PS_OK;
}

ps_status run_keeper_begin(const char *title, run_options *options, run_keeper **keeper, ps_error *error)
{
    ps_error cause;
    run_keeper *k = calloc(1, sizeof *k);
    *keeper = NULL;
    if (!k)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    k->title = title;
    k->options = options;
    k->lock = k->metrics = -1;
    k->observer = (cluster_observer){.context = k, .begun = begun, .reported = reported};
    k->record.options = options;
    k->record.phase = RUN_PREPARING;
    k->record.phase_ms[RUN_PREPARING] = moment_now_ms();
    ps_status status = name_run(k, options, error);
    if (status == PS_OK)
        status = find_registry(k, error);
    if (status == PS_OK)
        status = make_folder(k, options, error);
    if (status == PS_OK && write_record(k, &cause) != PS_OK) {
        if (asks_for_registry(options))
            status = ps_fail(error, cause.status, "%s", cause.text);
        else
            complain(k, "the record of this run is not up to date", cause.text);
    }
    if (status == PS_OK) {
        *keeper = k;
        return PS_OK;
    }
    run_history_end(k->registry, k->record.id, &k->lock);
    free(k);
    return status;
}

const cluster_observer *run_keeper_observer(run_keeper *keeper)
{
    return &keeper->observer;
}

const char *run_keeper_id(const run_keeper *keeper)
{
    return keeper->record.id;
}

void run_keeper_end(run_keeper **keeper, const cluster_outcome *outcome)
{
    run_keeper *k = *keeper;
    if (!k)
        return;
    run_record *r = &k->record;
    r->ended = true;
    r->exit_code = outcome->exit_code;
    snprintf(r->reason, sizeof r->reason, "%s", outcome->reason);
    enter(k, outcome->exit_code == PS_EXIT_DONE ? RUN_COMPLETED
             : outcome->ending_signal           ? RUN_CANCELED
                                                : RUN_FAILED);
    run_history_end(k->registry, r->id, &k->lock);
    if (k->metrics >= 0)
        close(k->metrics);
    free(k);
    *keeper = NULL;
}
