/* archive_folder.h - an archive of files, in a folder that all ps of the job see (common/checkpoint.h).
 *
 * Images are written by a thread of its own, which gives way to the arithmetic of the others.
 * The shard's thread only hands them over; memory to be warmed likewise. If the disk falls behind by more
 * than one image, that thread waits, up to ARCHIVE_PATIENCE_MS, so that all ps keep the same steps; then it
 * drops the image and says so. After each image that has been kept, older cuts than the newest `keep` that
 * are whole on all ps are removed. A disk that fails stops nothing: each cause is logged once, and that it is
 * over. */
#ifndef PENSTOCK_PS_ARCHIVE_FOLDER_H
#define PENSTOCK_PS_ARCHIVE_FOLDER_H

#include "ps/archive.h"

enum { ARCHIVE_PATIENCE_MS = 10000, ARCHIVE_KEEP_MAX = 1000 };

typedef struct {
    uint64_t kept;    /* images */
    uint64_t failed;  /* ... that could not be written */
    uint64_t dropped; /* ... because the disk was too slow */
    uint64_t step;    /* of the newest that was kept; 0: none was */
    uint64_t kept_ms; /* ... when, by the monotonic clock, */
    uint64_t took_ms; /* ... and how long it took */
} archive_counters;

/* Makes the folder if need be. `keep`: 1 or more. PS_EIO if that is impossible or the folder cannot be
 * written to; PS_ENOMEM. */
ps_status archive_folder_create(const char *folder, uint32_t keep, archive **out, ps_error *error);

archive_counters archive_folder_count(archive *a);

/* Is the newest cut there the end of a job? */
bool archive_folder_is_final(const archive *a);

#endif
