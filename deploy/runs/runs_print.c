/* runs_print.c - see runs_print.h. How runs compare is runs_compare.c's. */
#include "deploy/runs/runs_print.h"

#include <inttypes.h>
#include <string.h>

#include "deploy/moment.h"
#include "deploy/runs/run_metrics.h"
#include "deploy/runs/run_view.h"

enum { OPTIONS_BYTES = 4096 };

/* ---- tables ---- */

void runs_print_table(const run_rows *rows)
{
    char time[MOMENT_BYTES], seconds[RUN_CELL_BYTES], step[RUN_CELL_BYTES], accuracy[RUN_CELL_BYTES],
        loss[RUN_CELL_BYTES], rate[RUN_CELL_BYTES];
    printf("%-22s  %-16s  %-10s  %-20s  %8s  %2s  %7s  %8s  %8s  %8s  %9s\n", "run", "experiment", "phase",
           "started", "seconds", "ps", "workers", "step", "accuracy", "loss", "images/s");
    for (size_t i = 0; i < rows->count; i++) {
        const run_row *row = &rows->rows[i];
        run_view v;
        if (run_view_open(row->record, &v, NULL) != PS_OK) {
            printf("%-22s  %-16s  its record cannot be read\n", row->id, row->experiment);
            continue;
        }
        run_view_catch_up(&v);
        printf("%-22s  %-16s  %-10s  %-20s  %8s  %2.0f  %7.0f  %8s  %8s  %8s  %9s\n", row->id,
               row->experiment, run_phase_name(row->phase), moment_format(v.phase_ms[RUN_PREPARING], time),
               runs_cell(run_view_seconds(&v, moment_now_ms()), 1, seconds), v.servers, v.workers,
               runs_cell(v.step, 0, step), runs_cell(v.accuracy, 4, accuracy), runs_cell(v.loss, 4, loss),
               runs_cell(v.images_per_s, 0, rate));
        run_view_close(&v);
    }
}

void runs_print_json(const run_rows *rows)
{
    printf("{\"schema\": \"penstock-runs/1\", \"runs\": [");
    for (size_t i = 0; i < rows->count; i++)
        printf("%s\n%s", i ? "," : "", rows->rows[i].record);
    printf("]}\n");
}

/* ---- one run ---- */

/* Of the tests a line each; of the steps the latest is kept. */
static void print_eval(void *context, const char *line, const json *metric)
{
    (void)line;
    const char *event, *from;
    char epoch[RUN_CELL_BYTES], step[RUN_CELL_BYTES], accuracy[RUN_CELL_BYTES], loss[RUN_CELL_BYTES],
        seconds[RUN_CELL_BYTES];
    size_t *printed = context;
    if (json_as_string(json_find(metric, "event"), "event", &event, NULL) != PS_OK ||
        strcmp(event, "eval") != 0 || json_as_string(json_find(metric, "task"), "task", &from, NULL) != PS_OK)
        return;
    if ((*printed)++ == 0)
        printf("\n  %-12s  %8s  %10s  %9s  %9s  %9s\n", "task", "epoch", "step", "accuracy", "loss",
               "seconds");
    printf("  %-12s  %8s  %10s  %9s  %9s  %9s\n", from,
           runs_cell(json_number(json_find(metric, "epoch")), 2, epoch),
           runs_cell(json_number(json_find(metric, "step")), 0, step),
           runs_cell(json_number(json_find(metric, "accuracy")), 4, accuracy),
           runs_cell(json_number(json_find(metric, "loss")), 4, loss),
           runs_cell(json_number(json_find(metric, "seconds")), 1, seconds));
}

static void print_phases(const run_view *v)
{
    char time[MOMENT_BYTES];
    for (int phase = 0; phase < RUN_PHASE_COUNT; phase++)
        if (v->phase_ms[phase] > 0)
            printf("  %-12s  %s  %+10.3f s\n", run_phase_name((run_phase)phase),
                   moment_format(v->phase_ms[phase], time),
                   (double)(v->phase_ms[phase] - v->phase_ms[RUN_PREPARING]) / 1000);
}

void runs_print_one(const run_row *row)
{
    char options[OPTIONS_BYTES], text[RUN_CELL_BYTES];
    size_t evals = 0;
    run_view v;
    ps_error error;
    if (run_view_open(row->record, &v, &error) != PS_OK) {
        printf("run         %s\nits record cannot be read: %s\n", row->id, error.text);
        return;
    }
    run_view_catch_up(&v);
    run_view_options(&v, options, sizeof options);
    printf("run         %s\nexperiment  %s\nfolder      %s\nhost        %s\nphase       %s\n", row->id,
           row->experiment, row->folder, row->host, run_phase_name(row->phase));
    if (v.reason[0])
        printf("reason      %s\n", v.reason);
    printf("exit code   %s\n", runs_cell(v.exit_code, 0, text));
    printf("cluster     %.0f ps, %.0f workers\noptions     %s\ndata        %s\n", v.servers, v.workers,
           options, v.data_sha256[0] ? v.data_sha256 : "-");
    printf("accuracy    %s\n", runs_cell(v.accuracy, 4, text));
    printf("loss        %s\n", runs_cell(v.loss, 4, text));
    printf("images/s    %s\n\n", runs_cell(v.images_per_s, 0, text));
    print_phases(&v);
    run_metrics_read(row->folder, row->id, print_eval, &evals, NULL);
    run_view_close(&v);
}

static void print_line(void *context, const char *line, const json *metric)
{
    (void)metric;
    size_t *printed = context;
    printf("%s\n  %s", (*printed)++ ? "," : "", line);
}

void runs_print_one_json(const run_row *row)
{
    size_t printed = 0;
    printf("{\"schema\": \"penstock-run-metrics/1\", \"run\":\n%s, \"metrics\": [", row->record);
    run_metrics_read(row->folder, row->id, print_line, &printed, NULL);
    printf("]}\n");
}
