/* penstock.c - the command line for people: finds the subcommand and hands over.
 *
 * A new subcommand is a file with its `main`, a line in commands.h and a line in the table below. */
#include <argp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/status.h"
#include "deploy/commands.h"

typedef struct {
    const char *name;
    const char *title; /* argv[0] of its `main`, which argp puts before its messages */
    const char *summary;
    int (*main)(int argc, char **argv);
} command;

static const command commands[] = {
    {"run", "penstock run", "Train on this machine with a cluster of local processes", run_main},
    {"chaos", "penstock chaos", "Train on this machine while everything fails, and compare the model",
     chaos_main},
    {"bench", "penstock bench", "Measure Penstock beside what this machine can do at best", bench_main},
    {"sim", "penstock sim", "Simulate clusters in which everything fails, thousands of schedules a minute",
     sim_main},
    {"checkpoints", "penstock checkpoints", "List, verify or remove the checkpoints in a folder",
     checkpoints_main},
    {"devices", "penstock devices", "List the processors and GPUs that a worker can compute on here",
     devices_main},
    {"plan", "penstock plan", "Say how many ps a job needs, and how long its steps will take", plan_main},
    {"predict", "penstock predict", "Say what a trained model makes of images", predict_main},
    {"trace", "penstock trace", "Make one trace of what the processes of a cluster have left", trace_main},
    {"export", "penstock export", "Write a trained model in a format that others read", export_main},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0], LIST_MAX = 1024 };

const char *argp_program_version = "penstock " PENSTOCK_VERSION;

static const command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* "  run   Train on this machine ..." per line, or the names alone, separated by commas. */
static void list_commands(char *text, size_t bytes, bool with_summary)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < COMMAND_COUNT && used < bytes; i++) {
        int length =
            with_summary
                ? snprintf(text + used, bytes - used, "  %-12s %s\n", commands[i].name, commands[i].summary)
                : snprintf(text + used, bytes - used, "%s%s", i > 0 ? ", " : "", commands[i].name);
        used += (size_t)length;
    }
}

/* argp asks for the text after the options of --help: the table of commands. */
static char *help_filter(int key, const char *text, void *input)
{
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)(uintptr_t)text;
    char list[LIST_MAX];
    char *help = NULL;
    list_commands(list, sizeof list, true);
    if (asprintf(&help, "Commands:\n%s\n`penstock COMMAND --help' tells more.", list) < 0)
        return NULL;
    return help;
}

static error_t parse_one(int key, char *argument, struct argp_state *state)
{
    int *position = state->input;
    char names[LIST_MAX];
    list_commands(names, sizeof names, false);
    switch (key) {
    case ARGP_KEY_ARG:
        if (!find_command(argument))
            argp_error(state, "there is no command '%s'; there is: %s", argument, names);
        /* The rest is the command's. */
        *position = state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "a command is missing; there is: %s", names);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp parser = {.parser = parse_one,
                                       .args_doc = "COMMAND [OPTIONS]",
                                       .doc = "Penstock, a parameter server for distributed training.\v",
                                       .help_filter = help_filter};
    argp_err_exit_status = PS_EXIT_USAGE;
    int position = 0;
    argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &position);
    const command *chosen = find_command(argv[position]);
    char title[64];
    snprintf(title, sizeof title, "%s", chosen->title);
    argv[position] = title;
    return chosen->main(argc - position, argv + position);
}
