/* file.h - whole files: read with a bound, written so that a crash leaves the old or the new one. */
#ifndef PENSTOCK_COMMON_FILE_H
#define PENSTOCK_COMMON_FILE_H

#include <stddef.h>
#include <sys/uio.h>

#include "common/status.h"

/* The whole of `path` in memory, with a terminating zero not counted in `bytes`; the caller frees. PS_ENOENT,
 * PS_EIO, PS_ELIMIT if larger than `max_bytes`; the path is named. */
ps_status file_read(const char *path, size_t max_bytes, char **text, size_t *bytes, ps_error *error);

/* Writes the parts one after the other to a temporary name beside `path`, fsyncs, renames over `path`
 * and fsyncs the folder. PS_EIO with path and cause; the target is then untouched, the temporary gone. */
ps_status file_write_atomic(const char *path, const struct iovec *parts, size_t part_count, ps_error *error);

/* mkdir -p. PS_EIO with the folder and cause. */
ps_status file_make_folder(const char *path, ps_error *error);

#endif
