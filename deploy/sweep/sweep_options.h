/* sweep_options.h - the command line of `penstock sweep`. */
#ifndef PENSTOCK_DEPLOY_SWEEP_OPTIONS_H
#define PENSTOCK_DEPLOY_SWEEP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *space_file; /* NULL with `resume` */
    const char *sweep_dir;  /* NULL: a new folder below runs/ */
    const char *resume;     /* the folder of a sweep to go on with, or NULL */
    size_t parallel;
    bool seed_given;
    uint64_t seed;
    bool retry_failed;
    bool events;
    bool dry_run;
    bool json;
    bool quiet;
    char **run; /* what follows `--`: the arguments of `penstock run` */
    size_t run_count;
} sweep_options;

/* Reads the command line, argv[0] being "penstock sweep". Answers --help, and ends the program with exit code
 * 2 on a mistake. The options borrow from `argv`. */
void sweep_options_parse(int argc, char **argv, sweep_options *options);

#endif
