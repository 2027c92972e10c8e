/* bundle.h - small messages that leave together, in one frame: message Bundle of proto/penstock.proto,
 * written and read by hand.
 *
 * What ZeroMQ and the kernel do for a frame costs several times what a small message costs otherwise. Pure:
 * bytes in, bytes out; what the headers in it say is the wire's business (common/wire.h). */
#ifndef PENSTOCK_COMMON_BUNDLE_H
#define PENSTOCK_COMMON_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BUNDLE_BYTES_MAX = 16 << 10 };

typedef struct {
    size_t used;
    uint8_t bytes[BUNDLE_BYTES_MAX];
} bundle_writer;

/* Room for a header of just so many bytes; NULL if that is too much. */
void *bundle_add(bundle_writer *w, size_t bytes);

typedef struct {
    const uint8_t *at, *end;
} bundle_reader;

typedef enum {
    BUNDLE_HEADER, /* `header` leads to it */
    BUNDLE_END,    /* there is no more */
    BUNDLE_BROKEN, /* what follows is no header in a bundle */
} bundle_entry;

/* Is the frame a bundle, and not a header? */
bool bundle_is(const uint8_t *frame, size_t bytes);

bundle_entry bundle_next(bundle_reader *r, const uint8_t **header, size_t *bytes);

#endif
