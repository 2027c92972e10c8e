/* file.h - whole files: read with a bound, mapped, or written so that a crash leaves the old or the new one.
 *
 * Thread-safe: there is no state but the file system's. */
#ifndef PENSTOCK_COMMON_FILE_H
#define PENSTOCK_COMMON_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "common/status.h"

/* The whole of `path` in memory, with a terminating zero not counted in `bytes`; the caller frees. A pipe
 * may be read too. PS_ENOENT, PS_EIO, PS_ENOMEM, PS_ELIMIT if larger than `max_bytes`, PS_EFORMAT for a
 * folder; the path is named. */
ps_status file_read(const char *path, size_t max_bytes, char **text, size_t *bytes, ps_error *error);

/* The same, and what the file is that these bytes are of, also if another takes its name meanwhile. Never
 * waits: what is no regular file, or a link to one, is PS_EFORMAT. */
ps_status file_read_regular(const char *path, size_t max_bytes, char **text, size_t *bytes,
                            struct stat *about, ps_error *error);

/* Are these two looks at one file, which nobody has written to or replaced between them? */
bool file_is_same(const struct stat *a, const struct stat *b);

/* May others than its owner read (or change, or run) such a file? Not so of one of root's, and of a group's,
 * which is how Kubernetes mounts a secret. */
bool file_is_read_by_others(const struct stat *about);

/* Maps the regular file `path` for reading; processes that map the same file share its pages. The file
 * must not be cut while it is mapped (replacing it by rename is safe). PS_ENOENT; PS_EFORMAT if it is empty
 * or no regular file; PS_EIO if it cannot be mapped; the path is named. */
ps_status file_map(const char *path, const void **map, size_t *bytes, ps_error *error);

/* Reads the part [from, from + bytes) of a mapped file, noting headway (common/headway.h): touching it then
 * does not end the process, as it does (SIGBUS) where a disk fails or the file was cut. Without effect on
 * kernels before 5.14. PS_EIO with the cause, no path; PS_ENOMEM. */
ps_status file_fetch(const void *from, size_t bytes, ps_error *error);

/* Undoes file_map; does nothing on NULL. */
void file_unmap(const void *map, size_t bytes);

/* Part of the temporary name that file_write_atomic puts beside its target,
 * "<target>.tmp-<process>-<number>": what a crash leaves behind is known by it. */
#define FILE_TEMPORARY_MARK ".tmp-"

/* Writes the parts one after the other to a temporary name beside `path`, fsyncs, renames over `path`
 * and fsyncs the folder. PS_EIO with path and cause; the target is then untouched, the temporary gone. Only
 * if that last fsync fails is the new file in place already, and the message says so. PS_ENOMEM. */
ps_status file_write_atomic(const char *path, const struct iovec *parts, size_t part_count, ps_error *error);

/* The same, and the checksum of each part (common/checksum.h) as it is written: its bytes come from memory
 * once. `checksums`: (part_count), or NULL. */
ps_status file_write_atomic_summed(const char *path, const struct iovec *parts, size_t part_count,
                                   uint32_t *checksums, ps_error *error);

/* Writes a file into `out`, whose errors it need not look for. */
typedef ps_status file_writer(FILE *out, void *context, ps_error *error);

/* The same for what is made as it is written. If `write` fails, so does this, with its status and error. */
ps_status file_write_atomic_stream(const char *path, file_writer *write, void *context, ps_error *error);

/* Removes a file: when this returns PS_OK it is not there, even after a power cut, whether or not it was
 * there before. PS_ENOENT: its folder is not there; PS_EIO, PS_ENOMEM. */
ps_status file_remove(const char *path, ps_error *error);

/* What has been made, renamed and removed in a folder is durable. PS_ENOENT, PS_EIO. */
ps_status file_sync_folder(const char *path, ps_error *error);

/* mkdir -p, each new folder made durable. PS_EIO with the folder and cause; PS_ENOMEM. */
ps_status file_make_folder(const char *path, ps_error *error);

#endif
