/* programs.h - where do the daemons and the programs of the tests lie? */
#ifndef PENSTOCK_DEPLOY_PROGRAMS_H
#define PENSTOCK_DEPLOY_PROGRAMS_H

#include <stddef.h>

#include "common/status.h"

/* The path of program `name`. With `bin_dir` (may be NULL) it must lie there; else it is looked for beside
 * this program (as installed), then in `build_folder` beside this program's folder (as built), then in PATH.
 * PS_ECONFIG names the places; PS_ELIMIT if the path exceeds `bytes`. */
ps_status program_find(const char *name, const char *build_folder, const char *bin_dir, char *path,
                       size_t bytes, ps_error *error);

/* This process becomes program `name`, which is looked for as above, with the arguments `argv`. Returns only
 * if it cannot, having said so: an exit code. `built_with`: what a build without it lacks; NULL: every build
 * has it. */
int program_become(const char *name, const char *build_folder, const char *built_with, char **argv);

#define PROGRAMS_OF_TESTS "the tests (cmake -DPENSTOCK_TESTS=ON)"

#endif
