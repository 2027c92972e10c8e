/* run_view.c - see run_view.h. */
#include "deploy/runs/run_view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/plain_text.h"
#include "deploy/runs/run_metrics.h"

static int64_t integer_at(const json *object, const char *key)
{
    int64_t integer;
    return json_as_integer(json_find(object, key), key, 0, JSON_INTEGER_MAX, &integer, NULL) == PS_OK
               ? integer
               : 0;
}

static void read_phases(run_view *v)
{
    run_phase phase;
    for (const json *each = json_first(json_find(v->record, "phases")); each; each = json_next(each))
        if (run_phase_parse(json_string_or(json_find(each, "phase"), ""), &phase, NULL) == PS_OK)
            v->phase_ms[phase] = integer_at(each, "ms");
}

static void read_metrics(run_view *v)
{
    const json *metrics = json_find(v->record, "metrics");
    v->step = json_number(json_find(metrics, "step"));
    v->epoch = json_number(json_find(metrics, "epoch"));
    v->accuracy = json_number(json_find(metrics, "accuracy"));
    v->loss = json_number(json_find(metrics, "loss"));
    v->images_per_s = json_number(json_find(metrics, "images_per_s"));
    v->train_seconds = json_number(json_find(metrics, "train_seconds"));
}

ps_status run_view_open(const char *record, run_view *v, ps_error *error)
{
    const json_options options = {.source = "the record of a run", .max_bytes = RUN_RECORD_MAX};
    *v = (run_view){0};
    ps_status status = json_parse(record, strlen(record), &options, &v->record, NULL, error);
    if (status == PS_OK)
        status = json_as_object(v->record, "the record of a run", error);
    if (status == PS_OK)
        status = run_phase_parse(json_string_or(json_find(v->record, "phase"), ""), &v->phase, error);
    if (status != PS_OK) {
        run_view_close(v);
        return status;
    }
    const json *launcher = json_find(v->record, "launcher"), *cluster = json_find(v->record, "cluster");
    v->id = json_string_or(json_find(v->record, "id"), "");
    v->experiment = json_string_or(json_find(v->record, "experiment"), "");
    v->folder = json_string_or(json_find(v->record, "folder"), "");
    v->reason = json_string_or(json_find(v->record, "reason"), "");
    v->exit_code = json_number(json_find(v->record, "exit_code"));
    v->data_sha256 = json_string_or(json_find(json_find(v->record, "data"), "sha256"), "");
    v->servers = json_number(json_find(cluster, "ps"));
    v->workers = json_number(json_find(cluster, "workers"));
    v->launcher =
        (run_process){.pid = integer_at(launcher, "pid"), .started = integer_at(launcher, "started")};
    snprintf(v->launcher.boot, sizeof v->launcher.boot, "%s",
             json_string_or(json_find(launcher, "boot"), ""));
    read_phases(v);
    read_metrics(v);
    return PS_OK;
}

/* Keeps what it knows where a line has nothing. */
static void take_number(const json *metric, const char *key, double *number)
{
    const double found = json_number(json_find(metric, key));
    if (!isnan(found))
        *number = found;
}

static void take_metric(void *context, const char *line, const json *metric)
{
    run_view *v = context;
    (void)line;
    take_number(metric, "step", &v->step);
    take_number(metric, "epoch", &v->epoch);
    take_number(metric, "images_per_s", &v->images_per_s);
    if (strcmp(json_string_or(json_find(metric, "event"), ""), "eval") != 0)
        return;
    take_number(metric, "accuracy", &v->accuracy);
    take_number(metric, "loss", &v->loss);
}

void run_view_catch_up(run_view *v)
{
    if (v->phase != RUN_COMPLETED)
        run_metrics_read(v->folder, v->id, take_metric, v, NULL);
}

void run_view_close(run_view *v)
{
    json_free(&v->record);
}

double run_view_seconds(const run_view *v, int64_t now_ms)
{
    int64_t end_ms = run_phase_is_over(v->phase) ? v->phase_ms[v->phase] : now_ms;
    return v->phase_ms[RUN_PREPARING] > 0 ? (double)(end_ms - v->phase_ms[RUN_PREPARING]) / 1000 : NAN;
}

/* As it is if it is plain, else in single quotes. */
static void append_quoted(const char *text, char *line, size_t bytes)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=,:+@%";
    size_t used = strlen(line);
    if (used > 0 && used + 1 < bytes)
        line[used++] = ' ';
    if (text[0] && text[strspn(text, plain)] == '\0') {
        snprintf(line + used, bytes - used, "%s", text);
        return;
    }
    /* Five bytes are left for what a quote in the text becomes, and the one at the end. */
    if (used + 1 < bytes)
        line[used++] = '\'';
    for (; *text && used + 6 < bytes; text++) {
        if (*text == '\'')
            used += (size_t)snprintf(line + used, bytes - used, "'\\''");
        else
            line[used++] = is_control_character(*text) ? '?' : *text;
    }
    if (used + 1 < bytes)
        line[used++] = '\'';
    line[used] = '\0';
}

void run_view_options(const run_view *v, char *text, size_t bytes)
{
    const char *option;
    text[0] = '\0';
    for (const json *each = json_first(json_find(v->record, "options")); each; each = json_next(each))
        if (json_as_string(each, "option", &option, NULL) == PS_OK && strlen(text) + 1 < bytes)
            append_quoted(option, text, bytes);
}
