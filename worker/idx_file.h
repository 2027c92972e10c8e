/* idx_file.h - an IDX file opened: a plain one mapped, a gzipped one inflated into memory. */
#ifndef PENSTOCK_WORKER_IDX_FILE_H
#define PENSTOCK_WORKER_IDX_FILE_H

#include <stdbool.h>

#include "common/status.h"
#include "worker/idx.h"

typedef struct {
    idx_view view;
    const void *map; /* private, as what follows: the mapped file, or NULL if it was inflated */
    size_t map_bytes;
    uint8_t *inflated;
} idx_file;

/* Opens and checks `path`, which must not be cut while open (replacing it is safe). PS_ENOENT, PS_EIO, or as
 * idx_inflate and idx_parse, the path named. On failure `file` is empty. */
ps_status idx_file_open(idx_file *file, const char *path, bool gzipped, ps_error *error);

/* Leaves `file` empty; does nothing on an empty one. */
void idx_file_close(idx_file *file);

#endif
