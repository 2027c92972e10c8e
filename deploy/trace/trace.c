/* trace.c - `penstock trace`: makes one trace of the parts that daemons started by hand have left. */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "common/options.h"
#include "deploy/command_end.h"
#include "deploy/commands.h"
#include "deploy/trace/trace_merge.h"

typedef struct {
    const char *title;
    const char *output;
    bool merges;
    trace_paths paths;
} trace_command;

static const struct argp_option option_list[] = {
    {"output", 'o', "FILE", 0, "Where the trace is written (trace.json)", 0}, {0}};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    trace_command *o = state->input;
    ps_error error;
    switch (key) {
    case 'o':
        if (option_name("output", argument, &o->output, &error) != PS_OK)
            argp_error(state, "%s", error.text);
        return 0;
    case ARGP_KEY_ARG:
        if (!o->merges && strcmp(argument, "merge") != 0)
            argp_error(state, "'%s' is not: merge", argument);
        if (!o->merges)
            o->merges = true;
        else if (trace_paths_add(&o->paths, argument, &error) != PS_OK)
            argp_error(state, "%s", error.text);
        return 0;
    case ARGP_KEY_END:
        if (!o->merges)
            argp_error(state, "what to do is missing: merge");
        if (o->paths.count == 0)
            argp_error(state, "no part of a trace is named, nor a folder that holds one");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void complain(void *context, const char *line)
{
    const trace_command *o = context;
    fprintf(stderr, "%s: %s\n", o->title, line);
}

int trace_main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = option_list,
        .parser = parse_option,
        .args_doc = "merge PART-OR-FOLDER...",
        .doc = "Make one trace of the parts that ps and workers with --trace-dir have left.\v"
               "The trace opens in ui.perfetto.dev and chrome://tracing. `penstock run --trace FILE' does "
               "all of "
               "this itself.",
    };
    static trace_command o = {.output = "trace.json"};
    trace_summary summary;
    ps_error error;
    char text[512];
    o.title = argv[0];
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    ps_status status = trace_merge(&o.paths, o.output, complain, &o, &summary, &error);
    trace_paths_fini(&o.paths);
    if (status == PS_OK) {
        trace_summary_describe(&summary, text, sizeof text);
        printf("%s: %s\n", o.output, text);
    }
    return command_end(argv[0], status, &error);
}
