/* command_table.h - finds the command that the first argument names, and hands over: for `penstock` itself,
 * and for those of its commands that have commands of their own. */
#ifndef PENSTOCK_DEPLOY_COMMAND_TABLE_H
#define PENSTOCK_DEPLOY_COMMAND_TABLE_H

#include <stddef.h>

typedef struct {
    const char *name;
    const char *title; /* argv[0] of its `main`, which argp puts before its messages */
    const char *summary;
    int (*main)(int argc, char **argv);
} command;

typedef struct {
    const char *title; /* what stands before the command: "penstock" */
    const char *about; /* one line for --help */
    const command *commands;
    size_t count;
} command_table;

/* Answers --help, refuses what names no command (the program ends with exit code 2), or returns the exit code
 * of the command, whose argv begins with its title. */
int command_table_run(const command_table *table, int argc, char **argv);

#endif
