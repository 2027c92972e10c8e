/* image_decode.h - one picture in memory becomes the inputs of a model: grey values from 0 (black) to 1.
 *
 * Pure. Size is judged before anything is decoded: a file cannot ask for more memory than the model takes. */
#ifndef PENSTOCK_WORKER_IMAGE_DECODE_H
#define PENSTOCK_WORKER_IMAGE_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

/* PGM, binary ("P5"), one image, up to 16 bits a pixel. features: (pixels), row-major. PS_EFORMAT: damaged,
 * cut, something after its end; PS_EMISMATCH: not `pixels` pixels. */
ps_status image_decode_pgm(const void *bytes, size_t size, uint32_t pixels, float *features, ps_error *error);

/* PNG of any kind; colours become grey values by libpng's sRGB luminance, what is transparent becomes black,
 * 16 bits become 8. As above, and PS_ENOMEM. */
ps_status image_decode_png(const void *bytes, size_t size, uint32_t pixels, float *features, ps_error *error);

/* "it has 30 x 20 = 600 pixels, the model takes 784", or PS_OK. */
ps_status image_check_size(uint64_t width, uint64_t height, uint32_t pixels, ps_error *error);

#endif
