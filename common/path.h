/* path.h - names of files that say what is in them: numbers in a fixed width, and which ps wrote them.
 *
 * Names are taken for ours only if they are letter for letter what we would write. Thread-safe. */
#ifndef PENSTOCK_COMMON_PATH_H
#define PENSTOCK_COMMON_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

enum {
    PATH_BYTES = 4096, /* of a path, its terminator included */
    PATH_DIGITS = 12,  /* of a number in a name; more if need be */
};

/* PS_EIO: the path is too long. */
ps_status path_make(char path[PATH_BYTES], ps_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* PS_EIO: "cannot <what> <path>: <errno>". */
ps_status path_fail(ps_error *error, const char *what, const char *path);

/* The number in "<before><number><after>"; 0: that is not the name's form. */
uint64_t path_number(const char *name, const char *before, const char *after);

/* Does the name begin with "ps-<server>-of-<servers>"? What follows that, or NULL. */
const char *path_of_shard(const char *name, uint32_t *server, uint32_t *servers);

#endif
