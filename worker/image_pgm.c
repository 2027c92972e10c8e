/* image_pgm.c - binary PGM (http://netpbm.sourceforge.net/doc/pgm.html). */
#include <inttypes.h>
#include <stdbool.h>

#include "worker/image_decode.h"

enum { NUMBER_MAX = 1 << 24, MAXIMUM_MAX = 65535 };

typedef struct {
    const uint8_t *next, *end;
} reader;

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Spaces, and comments from '#' to the end of the line. */
static void skip_space(reader *r)
{
    bool comment = false;
    for (; r->next < r->end && (comment || is_space(*r->next) || *r->next == '#'); r->next++)
        comment = *r->next == '#' || (comment && *r->next != '\n' && *r->next != '\r');
}

static ps_status read_number(reader *r, const char *what, uint32_t most, uint32_t *number, ps_error *error)
{
    skip_space(r);
    *number = 0;
    const uint8_t *first = r->next;
    for (; r->next < r->end && *r->next >= '0' && *r->next <= '9' && *number <= most; r->next++)
        *number = *number * 10 + (uint32_t)(*r->next - '0');
    if (r->next == first || *number < 1 || *number > most)
        return ps_fail(error, PS_EFORMAT, "its PGM header gives no %s from 1 to %" PRIu32, what, most);
    return PS_OK;
}

static ps_status read_header(reader *r, uint32_t *width, uint32_t *height, uint32_t *maximum, ps_error *error)
{
    ps_status status = read_number(r, "width", NUMBER_MAX, width, error);
    if (status == PS_OK)
        status = read_number(r, "height", NUMBER_MAX, height, error);
    if (status == PS_OK)
        status = read_number(r, "largest value", MAXIMUM_MAX, maximum, error);
    if (status == PS_OK && (r->next == r->end || !is_space(*r->next++)))
        status = ps_fail(error, PS_EFORMAT, "its PGM header does not end");
    return status;
}

ps_status image_check_size(uint64_t width, uint64_t height, uint32_t pixels, ps_error *error)
{
    if (width * height == pixels)
        return PS_OK;
    return ps_fail(error, PS_EMISMATCH,
                   "it has %" PRIu64 " x %" PRIu64 " = %" PRIu64 " pixels, the model takes %" PRIu32, width,
                   height, width * height, pixels);
}

ps_status image_decode_pgm(const void *bytes, size_t size, uint32_t pixels, float *features, ps_error *error)
{
    reader r = {.next = bytes, .end = (const uint8_t *)bytes + size};
    if (size < 2 || r.next[0] != 'P' || r.next[1] != '5')
        return ps_fail(error, PS_EFORMAT, "it does not begin with P5");
    r.next += 2;
    uint32_t width, height, maximum;
    ps_status status = read_header(&r, &width, &height, &maximum, error);
    if (status == PS_OK)
        status = image_check_size(width, height, pixels, error);
    if (status != PS_OK)
        return status;
    const size_t depth = maximum > UINT8_MAX ? 2 : 1, got = (size_t)(r.end - r.next);
    if (got != pixels * depth)
        return ps_fail(error, PS_EFORMAT, "%s: %zu bytes of pixels follow its PGM header, not %zu",
                       got < pixels * depth ? "truncated" : "too long", got, pixels * depth);
    for (uint32_t i = 0; i < pixels; i++, r.next += depth) {
        const uint32_t value = depth == 2 ? (uint32_t)(r.next[0] << 8 | r.next[1]) : r.next[0];
        if (value > maximum)
            return ps_fail(error, PS_EFORMAT,
                           "pixel %" PRIu32 " is %" PRIu32 ", above its largest value %" PRIu32, i, value,
                           maximum);
        features[i] = (float)value / (float)maximum;
    }
    return PS_OK;
}
