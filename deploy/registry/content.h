/* content.h - bytes on their way from one file to another, and the SHA-256 by which they are known.
 *
 * The only user of nettle. SHA-256: FIPS 180-4. */
#ifndef PENSTOCK_DEPLOY_CONTENT_H
#define PENSTOCK_DEPLOY_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum { SHA256_HEX_BYTES = 65 /* with its terminator */ };

typedef struct {
    char sha256[SHA256_HEX_BYTES]; /* lower case */
    uint64_t bytes;
} content;

/* Copies the file `from`, a regular one, to the new file `to`, fsyncs that, and says what it was. With `to`
 * NULL it is only read. A link is not followed. PS_ENOENT, PS_EIO, with path and cause; `to` is then gone. */
ps_status content_copy(const char *from, const char *to, content *c, ps_error *error);

/* The SHA-256 of bytes in memory. */
void content_digest(const void *bytes, size_t count, char sha256[SHA256_HEX_BYTES]);

/* 64 digits of 0-9 and a-f? */
bool content_is_sha256(const char *text);

#endif
