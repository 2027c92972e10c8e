/* sweep_command.h - what a sweep was asked for: a space, a seed, and the options that all its runs have
 * alike.
 *
 * It is kept in the folder of the sweep, so that an interrupted one goes on with the same:
 *
 *   space.json   the space, letter for letter
 *   sweep.json   {"version": 1, "seed": 1, "directory": "/where/it/began", "run": [...], "training": [...]}
 *
 * Here too is how a run's command line is put together from that and the values of a trial. */
#ifndef PENSTOCK_DEPLOY_SWEEP_COMMAND_H
#define PENSTOCK_DEPLOY_SWEEP_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "deploy/sweep/sweep_space.h"
#include "deploy/sweep/sweep_trials.h"

enum { SWEEP_COMMAND_BYTES_MAX = 1 << 20, SWEEP_FIXED_MAX = 1024 };

/* A list of arguments; both it and its texts are owned by whoever `sweep_command_fini` is called for. */
typedef struct {
    size_t count;
    char **list;
} sweep_arguments;

typedef struct {
    char *text; /* of the space */
    size_t bytes;
    uint64_t seed;
    char *directory; /* in which relative paths mean what they did */
    sweep_arguments run, training;
} sweep_command;

/* Reads the space from a file, copies the arguments, which are those of `penstock run`, and takes the seed
 * from the space. PS_ECONFIG names an argument that a sweep gives its runs itself, or that is no UTF-8;
 * PS_ENOENT, PS_EIO, PS_ELIMIT, PS_ENOMEM. `*space` is the caller's to free. sweep_command_fini is due, also
 * after a failure; likewise below. */
ps_status sweep_command_make(const char *space_file, char *const *arguments, size_t count,
                             sweep_command *command, sweep_space **space, ps_error *error);

/* What is kept in a folder. PS_ENOENT if that holds no sweep; PS_EFORMAT, PS_EIO, PS_ENOMEM. */
ps_status sweep_command_read(const char *folder, sweep_command *command, sweep_space **space,
                             ps_error *error);

/* Keeps it in a folder that is there. A crash leaves all of it or a folder that holds no sweep. */
ps_status sweep_command_write(const sweep_command *command, const char *folder, ps_error *error);

/* Is `given` what was asked for in `folder`? PS_ECONFIG names what differs; spaces differ by what they say,
 * not by how it is written. */
ps_status sweep_command_compare(const sweep_command *kept, const sweep_command *given, const char *folder,
                                ps_error *error);

void sweep_command_fini(sweep_command *command);

/* argv of a run with the values (parameters of the space): `own` first, then options of the run, "--" and
 * those of its workers; NULL-terminated. One block, to be freed, that borrows from all but `values`. NULL:
 * out of memory. */
char **sweep_command_line(const sweep_command *command, const sweep_space *space, const sweep_value *values,
                          char *const *own, size_t own_count);

/* The same as a line for a shell, "penstock run ...", to be freed; NULL likewise. */
char *sweep_command_text(const sweep_command *command, const sweep_space *space, const sweep_value *values);

#endif
