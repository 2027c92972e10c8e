/* bundle.c - see bundle.h. Every entry is the field's tag, a length of one or two bytes, and a header. */
#include "common/bundle.h"

#include <assert.h>

/* Field 1000, of a length, as a varint. No header begins so: all its fields have lower numbers, and of what
 * it does not know none comes first. */
static const uint8_t tag[] = {0xc2, 0x3e};

enum { SEVEN_BITS = 0x80, HEAD_BYTES_MAX = sizeof tag + 2 };
static_assert(BUNDLE_BYTES_MAX <= SEVEN_BITS * SEVEN_BITS, "a length has at most two bytes");

void *bundle_add(bundle_writer *w, size_t bytes)
{
    if (bytes > BUNDLE_BYTES_MAX || w->used + HEAD_BYTES_MAX + bytes > BUNDLE_BYTES_MAX)
        return NULL;
    uint8_t *to = w->bytes + w->used;
    *to++ = tag[0];
    *to++ = tag[1];
    if (bytes >= SEVEN_BITS)
        *to++ = (uint8_t)(bytes | SEVEN_BITS);
    *to++ = (uint8_t)(bytes >= SEVEN_BITS ? bytes / SEVEN_BITS : bytes);
    w->used = (size_t)(to - w->bytes) + bytes;
    return to;
}

bool bundle_is(const uint8_t *frame, size_t bytes)
{
    return bytes >= sizeof tag && frame[0] == tag[0] && frame[1] == tag[1];
}

static bool read_length(bundle_reader *r, size_t *length)
{
    if (r->at == r->end)
        return false;
    *length = *r->at++;
    if (*length < SEVEN_BITS)
        return true;
    if (r->at == r->end || *r->at >= SEVEN_BITS)
        return false;
    *length = *length % SEVEN_BITS + (size_t)*r->at++ * SEVEN_BITS;
    return true;
}

bundle_entry bundle_next(bundle_reader *r, const uint8_t **header, size_t *bytes)
{
    if (r->at == r->end)
        return BUNDLE_END;
    if (!bundle_is(r->at, (size_t)(r->end - r->at)))
        return BUNDLE_BROKEN;
    r->at += sizeof tag;
    if (!read_length(r, bytes) || *bytes > (size_t)(r->end - r->at))
        return BUNDLE_BROKEN;
    *header = r->at;
    r->at += *bytes;
    return BUNDLE_HEADER;
}
