/* data_digest.h - which data was trained on: a hash of the files in a folder, cheap enough for every run. */
#ifndef PENSTOCK_DEPLOY_DATA_DIGEST_H
#define PENSTOCK_DEPLOY_DATA_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/path.h"
#include "deploy/registry/content.h"

/* Files of more bytes in all are not read whole at the start of every run. */
#define DATA_DIGEST_WHOLE_MAX (UINT64_C(2) << 30)

typedef struct {
    char folder[PATH_BYTES]; /* absolute */
    bool whole;              /* false: of names, sizes and times of change alone */
    char sha256[SHA256_HEX_BYTES];
    uint64_t files, bytes;
} data_digest;

/* Of the regular files in `folder` (not below it), by name. If `whole`, the hash is that of the text which
 * `LC_ALL=C sha256sum *` prints there; else of a line "SIZE  NANOSECONDS  NAME" for each. PS_EIO, PS_ENOENT,
 * PS_ELIMIT, PS_ENOMEM. */
ps_status data_digest_take(const char *folder, data_digest *digest, ps_error *error);

#endif
