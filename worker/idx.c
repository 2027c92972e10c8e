/* idx.c - see idx.h. */
#include "worker/idx.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    IDX_UNSIGNED_BYTES = 0x08,
    IDX_MAGIC_BYTES = 4,
    IDX_HEADER_MAX = IDX_MAGIC_BYTES + 4 * IDX_RANK_MAX,
    /* zlib: 15 bits of window, and a gzip wrapper is demanded. */
    GZIP_WINDOW_BITS = 15 + 16,
    /* Deflate packs at most 258 bytes into two bits. */
    DEFLATE_RATIO_MAX = 1032,
};

/* ---- Header ---- */

static uint32_t read_big_endian(const uint8_t bytes[4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Of the first four bytes. */
static ps_status check_magic(const uint8_t *bytes, size_t size, ps_error *error)
{
    if (size < IDX_MAGIC_BYTES)
        return ps_fail(error, PS_EFORMAT, "%zu bytes are too few for an IDX header", size);
    if (bytes[0] != 0 || bytes[1] != 0)
        return ps_fail(error, PS_EFORMAT,
                       "not an IDX file: it begins with 0x%02x%02x, not with two zero bytes", bytes[0],
                       bytes[1]);
    if (bytes[2] != IDX_UNSIGNED_BYTES)
        return ps_fail(error, PS_EFORMAT, "IDX type 0x%02x; only 0x08, unsigned bytes, is supported",
                       bytes[2]);
    if (bytes[3] < 1 || bytes[3] > IDX_RANK_MAX)
        return ps_fail(error, PS_EFORMAT, "IDX rank %u is not within 1 ... %d", bytes[3], IDX_RANK_MAX);
    return PS_OK;
}

static size_t header_bytes(const uint8_t *magic)
{
    return IDX_MAGIC_BYTES + 4 * (size_t)magic[3];
}

/* Fills all of `view` but its rows; `total` is the size of the file that the header asks for. */
static ps_status parse_header(const uint8_t *bytes, size_t size, idx_view *view, uint64_t *total,
                              ps_error *error)
{
    ps_status status = check_magic(bytes, size, error);
    if (status != PS_OK)
        return status;
    size_t header = header_bytes(bytes);
    if (size < header)
        return ps_fail(error, PS_EFORMAT, "truncated: holds %zu bytes, its IDX header alone takes %zu", size,
                       header);

    *view = (idx_view){.rank = bytes[3], .row_bytes = 1};
    bool overflow = false;
    for (uint32_t i = 0; i < view->rank; i++) {
        view->shape[i] = read_big_endian(bytes + IDX_MAGIC_BYTES + 4 * i);
        if (view->shape[i] == 0)
            return ps_fail(error, PS_EFORMAT, "empty: dimension %" PRIu32 " of %" PRIu32 " is zero", i,
                           view->rank);
        if (i > 0)
            overflow |= __builtin_mul_overflow(view->row_bytes, view->shape[i], &view->row_bytes);
    }
    overflow |= __builtin_mul_overflow(view->row_bytes, view->shape[0], total);
    overflow |= __builtin_add_overflow(*total, header, total);
    if (overflow)
        return ps_fail(error, PS_EFORMAT, "the product of its dimensions is beyond 64 bits");
    return PS_OK;
}

ps_status idx_parse(const void *bytes, size_t size, idx_view *view, ps_error *error)
{
    uint64_t total;
    ps_status status = parse_header(bytes, size, view, &total, error);
    if (status != PS_OK)
        return status;
    if (size != total)
        return ps_fail(error, PS_EFORMAT, "%s: holds %zu bytes, its header asks for %" PRIu64,
                       size < total ? "truncated" : "too long", size, total);
    view->rows = (const uint8_t *)bytes + header_bytes(bytes);
    return PS_OK;
}

/* ---- Inflation ---- */

/* Inflates until `room` bytes are there or the compressed stream ends; at its end it stays there. */
static ps_status inflate_some(z_stream *stream, uint8_t *out, size_t room, size_t *got, ps_error *error)
{
    stream->next_out = out;
    stream->avail_out = (uInt)room;
    int result = Z_OK;
    while (result == Z_OK && stream->avail_out > 0)
        result = inflate(stream, Z_NO_FLUSH);
    *got = room - stream->avail_out;
    switch (result) {
    case Z_OK:
    case Z_STREAM_END:
        return PS_OK;
    case Z_BUF_ERROR: /* no progress: the input is used up */
        return ps_fail(error, PS_EFORMAT, "truncated: its gzip stream ends early");
    case Z_MEM_ERROR:
        return ps_fail(error, PS_ENOMEM, "out of memory while inflating");
    default:
        return ps_fail(error, PS_EFORMAT, "damaged gzip data: %s",
                       stream->msg ? stream->msg : zError(result));
    }
}

/* Inflates the IDX header, and no more, into `header`; less of it if the stream ends. */
static ps_status inflate_header(z_stream *stream, uint8_t header[IDX_HEADER_MAX], size_t *used,
                                ps_error *error)
{
    ps_status status = inflate_some(stream, header, IDX_MAGIC_BYTES, used, error);
    if (status == PS_OK)
        status = check_magic(header, *used, error);
    if (status != PS_OK)
        return status;
    size_t more;
    status = inflate_some(stream, header + *used, header_bytes(header) - *used, &more, error);
    *used += more;
    return status;
}

/* Refuses a header that asks for more than we hold or than `compressed` bytes can inflate to. */
static ps_status check_claim(uint64_t total, size_t compressed, ps_error *error)
{
    if (total > IDX_INFLATED_MAX)
        return ps_fail(error, PS_ELIMIT,
                       "its header asks for %" PRIu64 " bytes, more than the %" PRIu32
                       " that are inflated into memory; unpack it with gunzip",
                       total, IDX_INFLATED_MAX);
    if (total / DEFLATE_RATIO_MAX > compressed)
        return ps_fail(error, PS_EFORMAT,
                       "truncated: its header asks for %" PRIu64
                       " bytes, which %zu compressed bytes cannot hold",
                       total, compressed);
    return PS_OK;
}

/* The rest of the file, after its header. */
static ps_status inflate_body(z_stream *stream, uint8_t *bytes, size_t header, size_t total, ps_error *error)
{
    size_t got;
    /* One byte beyond shows that there is more; reaching for it also makes zlib check the trailer. */
    ps_status status = inflate_some(stream, bytes + header, total + 1 - header, &got, error);
    if (status != PS_OK)
        return status;
    if (header + got > total)
        return ps_fail(error, PS_EFORMAT,
                       "too long: inflates to more than the %zu bytes that its header asks for", total);
    if (header + got < total)
        return ps_fail(error, PS_EFORMAT, "truncated: inflates to %zu bytes, its header asks for %zu",
                       header + got, total);
    if (stream->avail_in > 0)
        return ps_fail(error, PS_EFORMAT, "%u bytes follow the end of its gzip stream", stream->avail_in);
    return PS_OK;
}

static ps_status inflate_stream(z_stream *stream, uint8_t **bytes, size_t *inflated, ps_error *error)
{
    size_t compressed = stream->avail_in;
    uint8_t header[IDX_HEADER_MAX];
    size_t used;
    idx_view view;
    uint64_t total;
    ps_status status = inflate_header(stream, header, &used, error);
    if (status == PS_OK)
        status = parse_header(header, used, &view, &total, error);
    if (status == PS_OK)
        status = check_claim(total, compressed, error);
    if (status != PS_OK)
        return status;

    uint8_t *body = malloc((size_t)total + 1);
    if (!body)
        return ps_fail(error, PS_ENOMEM, "out of memory for %" PRIu64 " bytes", total);
    memcpy(body, header, used);
    status = inflate_body(stream, body, used, (size_t)total, error);
    if (status != PS_OK) {
        free(body);
        return status;
    }
    *bytes = body;
    *inflated = (size_t)total;
    return PS_OK;
}

ps_status idx_inflate(const void *gzip, size_t size, uint8_t **bytes, size_t *inflated, ps_error *error)
{
    if (size > UINT32_MAX)
        return ps_fail(error, PS_ELIMIT,
                       "%zu compressed bytes are more than the %" PRIu32
                       " that are inflated into memory; unpack it with gunzip",
                       size, UINT32_MAX);
    z_stream stream = {.next_in = (z_const Bytef *)(uintptr_t)gzip, .avail_in = (uInt)size};
    if (inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK)
        return ps_fail(error, PS_ENOMEM, "out of memory while inflating");
    ps_status status = inflate_stream(&stream, bytes, inflated, error);
    inflateEnd(&stream);
    return status;
}
