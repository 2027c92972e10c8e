/* image_set.h - the images of one file, as a model takes them: PNG, PGM, or an IDX file of many, also
 * gzipped.
 *
 * Which it is, its first bytes say; its name does not matter. */
#ifndef PENSTOCK_WORKER_IMAGE_SET_H
#define PENSTOCK_WORKER_IMAGE_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"
#include "worker/idx_file.h"

typedef struct {
    uint64_t rows;
    bool many; /* an IDX file, of which rows are spoken of */
    /* private */
    uint32_t pixels;
    idx_file idx;
    float *decoded; /* (pixels), or NULL for an IDX file */
} image_set;

/* Opens `path` for a model that takes `pixels` inputs. PS_ENOENT, PS_EIO; PS_EFORMAT: damaged, or of no known
 * kind; PS_EMISMATCH: another number of pixels; PS_ELIMIT, PS_ENOMEM; path and reason are named. On failure
 * `set` is empty. */
ps_status image_set_open(const char *path, uint32_t pixels, image_set *set, ps_error *error);

/* Pixels of row `row` < rows, from 0 (black) to 1. features: (pixels). */
void image_set_gather(const image_set *set, uint64_t row, float *features);

/* Leaves `set` empty; does nothing on an empty one. */
void image_set_close(image_set *set);

#endif
