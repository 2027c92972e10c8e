/* options.h - the command line of penstock-bench. */
#ifndef PENSTOCK_BENCH_OPTIONS_H
#define PENSTOCK_BENCH_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    OPTIONS_TURNS_MAX = 1000,
    OPTIONS_ANYWHERE = -1, /* in place of a processor: not pinned */
};

typedef struct {
    const char *cases; /* names of groups, separated by commas; NULL: all */
    uint32_t turns;    /* how often Penstock and its floor are measured, one after the other */
    double seconds;    /* for each single measurement */
    bool full;         /* large sizes too */
    const char *json_file, *svg_folder, *mnist_folder, *bin_folder; /* NULL: not given */
    int client_processor, server_processor;                         /* or OPTIONS_ANYWHERE */
    char server_program[PATH_MAX];
    char launcher_program[PATH_MAX]; /* only with a folder of MNIST */
} bench_options;

/* Parses, and finds the programs. Ends the process with PS_EXIT_USAGE after a message if anything is wrong.
 * `names`: the groups there are, NULL-terminated. */
void options_parse(int argc, char **argv, const char *const *names, bench_options *options);

/* Has this group been asked for? */
bool options_choose(const bench_options *options, const char *name);

#endif
