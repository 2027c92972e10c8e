/* run.c - `penstock run`: options in, a run, and what a person wants to know of it. */
#include <stdio.h>

#include "common/status.h"
#include "deploy/commands.h"
#include "deploy/launch/cluster_run.h"
#include "deploy/launch/progress.h"
#include "deploy/launch/run_check.h"
#include "deploy/launch/run_options.h"
#include "deploy/runs/run_keeper.h"
#include "deploy/runs/run_trace.h"

enum { TRACE_TEXT_BYTES = 512 };

/* Also of a run that has failed: then it is of use most. A trace that cannot be written fails a run that has
 * not. */
static int finish_trace(const char *title, const run_options *options, const cluster_outcome *outcome,
                        char *text)
{
    ps_error error;
    ps_status status = run_trace_end(title, &outcome->folder, options->trace, text, TRACE_TEXT_BYTES, &error);
    if (status == PS_OK)
        return outcome->exit_code;
    fprintf(stderr, "%s: --trace: %s\n", title, error.text);
    return outcome->exit_code ? outcome->exit_code : ps_status_exit_code(status);
}

int run_main(int argc, char **argv)
{
    run_options options;
    cluster_outcome outcome;
    char trace[TRACE_TEXT_BYTES] = "";
    run_keeper *keeper = NULL;
    ps_error error;
    run_options_parse(argc, argv, &options);
    if (options.check)
        return run_check(argv[0], &options);
    if (cluster_run_check(&options, &error) != PS_OK ||
        run_keeper_begin(argv[0], &options, &keeper, &error) != PS_OK) {
        fprintf(stderr, "%s: %s\n", argv[0], error.text);
        return ps_status_exit_code(error.status);
    }
    cluster_run_to_end(argv[0], &options, NULL, run_keeper_observer(keeper), &outcome);
    int code = outcome.exit_code;
    if (options.trace && outcome.folder.path[0])
        code = finish_trace(argv[0], &options, &outcome, trace);
    if (outcome.exit_code == PS_EXIT_DONE) {
        char text[PROGRESS_PATH_MAX + 256];
        progress_render_result(&outcome.result, text, sizeof text);
        printf("%slogs           %s/logs\n", outcome.finished ? text : "", outcome.folder.path);
    }
    if (trace[0])
        printf("trace          %s (%s)\n", options.trace, trace);
    /* Who follows the run's logs reads no further once it is over. */
    fflush(stdout);
    run_keeper_end(&keeper, &outcome);
    return code;
}
