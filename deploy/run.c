/* run.c - `penstock run`: options in, a run, and what a person wants to know of it. */
#include <stdio.h>

#include "common/status.h"
#include "deploy/cluster_run.h"
#include "deploy/commands.h"
#include "deploy/progress.h"
#include "deploy/run_options.h"

int run_main(int argc, char **argv)
{
    run_options options;
    cluster_outcome outcome;
    run_options_parse(argc, argv, &options);
    cluster_run_to_end(argv[0], &options, NULL, NULL, &outcome);
    if (outcome.exit_code != PS_EXIT_DONE)
        return outcome.exit_code;
    char text[PROGRESS_PATH_MAX + 256];
    progress_render_result(&outcome.result, text, sizeof text);
    printf("%slogs           %s/logs\n", outcome.finished ? text : "", outcome.folder.path);
    return PS_EXIT_DONE;
}
