/* command_table.c - see command_table.h. */
#include "deploy/command_table.h"

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/status.h"

enum { LIST_MAX = 2048, TITLE_MAX = 64 };

typedef struct {
    const command_table *table;
    int position; /* of the command's name */
} choice;

static const command *find_command(const command_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->commands[i].name, name) == 0)
            return &table->commands[i];
    return NULL;
}

/* "  run   Train on this machine ..." per line, or the names alone, separated by commas. */
static void list_commands(const command_table *table, char *text, size_t bytes, bool with_summary)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < table->count && used < bytes; i++) {
        const command *each = &table->commands[i];
        int length = with_summary
                         ? snprintf(text + used, bytes - used, "  %-12s %s\n", each->name, each->summary)
                         : snprintf(text + used, bytes - used, "%s%s", i > 0 ? ", " : "", each->name);
        used += (size_t)length;
    }
}

/* argp asks for the text after the options of --help: the table of commands. */
static char *help_filter(int key, const char *text, void *input)
{
    const choice *c = input;
    if (key != ARGP_KEY_HELP_POST_DOC || !c)
        return (char *)(uintptr_t)text;
    char list[LIST_MAX];
    char *help = NULL;
    list_commands(c->table, list, sizeof list, true);
    if (asprintf(&help, "Commands:\n%s\n`%s COMMAND --help' tells more.", list, c->table->title) < 0)
        return NULL;
    return help;
}

static error_t parse_one(int key, char *argument, struct argp_state *state)
{
    choice *c = state->input;
    char names[LIST_MAX];
    list_commands(c->table, names, sizeof names, false);
    switch (key) {
    case ARGP_KEY_ARG:
        if (!find_command(c->table, argument))
            argp_error(state, "there is no command '%s'; there is: %s", argument, names);
        /* The rest is the command's. */
        c->position = state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "a command is missing; there is: %s", names);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int command_table_run(const command_table *table, int argc, char **argv)
{
    char about[LIST_MAX];
    snprintf(about, sizeof about, "%s\v", table->about);
    const struct argp parser = {
        .parser = parse_one, .args_doc = "COMMAND [OPTIONS]", .doc = about, .help_filter = help_filter};
    choice c = {.table = table};
    argp_err_exit_status = PS_EXIT_USAGE;
    argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &c);
    const command *chosen = find_command(table, argv[c.position]);
    char title[TITLE_MAX];
    snprintf(title, sizeof title, "%s", chosen->title);
    argv[c.position] = title;
    return chosen->main(argc - c.position, argv + c.position);
}
