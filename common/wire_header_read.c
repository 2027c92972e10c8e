/* wire_header_read.c - the bytes of a header, read with mistrust; see wire_header.h. */
#include <assert.h>
#include <string.h>

#include "common/wire_header.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fixed numbers are copied as they lie in memory");

static_assert((int)MEMBERS_CHANGES_MAX == (int)WIRE_SLICES_MAX, "lists of either kind have the same limit");

enum { VARINT_BYTES_MAX = 10, PREFIX_BYTES_MAX = 5 };

/* The bytes that are left to read. */
typedef struct {
    const uint8_t *at, *end;
} reader;

static bool read_long_varint(reader *r, uint64_t *value)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX && r->at < r->end; i++) {
        const uint8_t byte = *r->at++;
        if (i == VARINT_BYTES_MAX - 1 && byte > 1) /* the 64th bit is the last */
            return false;
        sum |= (uint64_t)(byte & 0x7f) << 7 * i;
        if (byte < 0x80) {
            *value = sum;
            return true;
        }
    }
    return false;
}

static inline bool read_varint(reader *r, uint64_t *value)
{
    if (r->at == r->end || *r->at >= 0x80)
        return read_long_varint(r, value);
    *value = *r->at++;
    return true;
}

/* Of 32 bits too proto3 asks that higher ones be cut off. */
static inline bool read_uint32(reader *r, uint32_t *value)
{
    uint64_t wide;
    if (!read_varint(r, &wide))
        return false;
    *value = (uint32_t)wide;
    return true;
}

static inline bool read_bool(reader *r, bool *value)
{
    uint64_t wide;
    if (!read_varint(r, &wide))
        return false;
    *value = wide != 0;
    return true;
}

static inline bool read_fixed(reader *r, void *value, size_t bytes)
{
    if ((size_t)(r->end - r->at) < bytes)
        return false;
    memcpy(value, r->at, bytes);
    r->at += bytes;
    return true;
}

/* Tags and lengths have 32 bits, in no more bytes than those take. */
static inline bool read_prefix(reader *r, uint32_t *value)
{
    const uint8_t *start = r->at;
    uint64_t wide;
    if (!read_varint(r, &wide) || wide > UINT32_MAX || r->at - start > PREFIX_BYTES_MAX)
        return false;
    *value = (uint32_t)wide;
    return true;
}

static inline bool read_tag(reader *r, uint32_t *tag)
{
    return read_prefix(r, tag) && *tag >> WIRE_KIND_BITS != 0;
}

/* What a length stands before. */
static inline bool read_part(reader *r, reader *part)
{
    uint32_t bytes;
    if (!read_prefix(r, &bytes) || bytes > (size_t)(r->end - r->at))
        return false;
    *part = (reader){r->at, r->at + bytes};
    r->at += bytes;
    return true;
}

/* Passes by a field of a later version. Groups are no part of proto3. */
static bool skip_field(reader *r, uint32_t tag)
{
    uint64_t number;
    uint32_t half;
    reader part;
    switch (tag & ((1u << WIRE_KIND_BITS) - 1)) {
    case WIRE_VARINT:
        return read_varint(r, &number);
    case WIRE_FIXED64:
        return read_fixed(r, &number, sizeof number);
    case WIRE_LENGTH:
        return read_part(r, &part);
    case WIRE_FIXED32:
        return read_fixed(r, &half, sizeof half);
    default:
        return false;
    }
}

/* One entry of a list, from a field of its own or a packed one. */
static inline bool read_entry32(reader *r, uint32_t *list, uint32_t *count)
{
    uint32_t entry;
    if (!read_uint32(r, &entry))
        return false;
    if (*count < WIRE_SLICES_MAX)
        list[*count] = entry;
    ++*count;
    return true;
}

static inline bool read_entry64(reader *r, uint64_t *list, uint32_t *count)
{
    uint64_t entry;
    if (!read_varint(r, &entry))
        return false;
    if (*count < WIRE_SLICES_MAX)
        list[*count] = entry;
    ++*count;
    return true;
}

static bool read_packed32(reader *r, uint32_t *list, uint32_t *count)
{
    reader part;
    if (!read_part(r, &part))
        return false;
    while (part.at < part.end)
        if (!read_entry32(&part, list, count))
            return false;
    return true;
}

static bool read_packed64(reader *r, uint64_t *list, uint32_t *count)
{
    reader part;
    if (!read_part(r, &part))
        return false;
    while (part.at < part.end)
        if (!read_entry64(&part, list, count))
            return false;
    return true;
}

static bool read_segment_field(reader *r, segment_name *name)
{
    uint32_t tag;
    if (!read_tag(r, &tag))
        return false;
    switch (tag) {
    case WIRE_TAG(SEGMENT_PID, WIRE_VARINT):
        return read_uint32(r, &name->pid);
    case WIRE_TAG(SEGMENT_FD, WIRE_VARINT):
        return read_uint32(r, &name->fd);
    case WIRE_TAG(SEGMENT_BYTES, WIRE_VARINT):
        return read_varint(r, &name->bytes);
    case WIRE_TAG(SEGMENT_TOKEN_LOW, WIRE_FIXED64):
        return read_fixed(r, &name->token[0], sizeof name->token[0]);
    case WIRE_TAG(SEGMENT_TOKEN_HIGH, WIRE_FIXED64):
        return read_fixed(r, &name->token[1], sizeof name->token[1]);
    default:
        return tag >> WIRE_KIND_BITS > SEGMENT_FIELDS && skip_field(r, tag);
    }
}

static bool read_segment(reader *r, wire_message *m)
{
    segment_name name = {0};
    reader part;
    if (!read_part(r, &part))
        return false;
    while (part.at < part.end)
        if (!read_segment_field(&part, &name))
            return false;
    if (m->segment_count < WIRE_SEGMENTS_MAX)
        m->segments[m->segment_count] = name;
    m->segment_count++;
    return true;
}

static bool read_text(reader *r, wire_header *h)
{
    reader part;
    if (!read_part(r, &part))
        return false;
    h->text = part.at;
    h->text_bytes = (size_t)(part.end - part.at);
    return !memchr(h->text, '\0', h->text_bytes);
}

static bool read_hello(reader *r, wire_header *h)
{
    reader part;
    if (h->hello || !read_part(r, &part))
        return false;
    h->hello = part.at;
    h->hello_bytes = (size_t)(part.end - part.at);
    return true;
}

static bool read_inlined(reader *r, wire_header *h)
{
    reader part;
    if (!read_part(r, &part))
        return false;
    h->inlined = part.at;
    h->inlined_bytes = (size_t)(part.end - part.at);
    return true;
}

static bool read_figures(reader *r, wire_header *h)
{
    reader part;
    if (!read_part(r, &part))
        return false;
    h->figures = part.at;
    h->figures_bytes = (size_t)(part.end - part.at);
    return true;
}

static bool read_type(reader *r, wire_message *m)
{
    uint32_t bits;
    if (!read_uint32(r, &bits))
        return false;
    m->type = (wire_type)bits;
    return true;
}

static bool read_role(reader *r, wire_message *m)
{
    uint32_t bits;
    if (!read_uint32(r, &bits))
        return false;
    m->role = (wire_role)bits;
    return true;
}

static bool read_status(reader *r, wire_message *m)
{
    uint32_t bits;
    if (!read_uint32(r, &bits))
        return false;
    m->status = (ps_status)(int32_t)(bits >> 1 ^ (bits & 1 ? UINT32_MAX : 0));
    return true;
}

static inline bool read_field(reader *r, wire_header *h)
{
    wire_message *m = &h->message;
    uint32_t tag;
    if (!read_tag(r, &tag))
        return false;
    switch (tag) {
    case WIRE_TAG(HEADER_PROTOCOL, WIRE_VARINT):
        return read_uint32(r, &h->protocol);
    case WIRE_TAG(HEADER_TYPE, WIRE_VARINT):
        return read_type(r, m);
    case WIRE_TAG(HEADER_JOB, WIRE_FIXED64):
        return read_fixed(r, &m->job, sizeof m->job);
    case WIRE_TAG(HEADER_ROLE, WIRE_VARINT):
        return read_role(r, m);
    case WIRE_TAG(HEADER_INDEX, WIRE_VARINT):
        return read_uint32(r, &m->index);
    case WIRE_TAG(HEADER_INCARNATION, WIRE_FIXED64):
        return read_fixed(r, &m->incarnation, sizeof m->incarnation);
    case WIRE_TAG(HEADER_REQUEST, WIRE_VARINT):
        return read_varint(r, &m->request);
    case WIRE_TAG(HEADER_STEP, WIRE_VARINT):
        return read_varint(r, &m->step);
    case WIRE_TAG(HEADER_EXAMPLES, WIRE_VARINT):
        return read_uint32(r, &m->examples);
    case WIRE_TAG(HEADER_CLIP_FACTOR, WIRE_FIXED32):
        return read_fixed(r, &m->clip_factor, sizeof m->clip_factor);
    case WIRE_TAG(HEADER_NONFINITE, WIRE_VARINT):
        return read_bool(r, &m->nonfinite);
    case WIRE_TAG(HEADER_AFTER_FINISH, WIRE_VARINT):
        return read_bool(r, &m->after_finish);
    case WIRE_TAG(HEADER_SLICE, WIRE_LENGTH):
        return read_packed32(r, h->slices, &h->slice_count);
    case WIRE_TAG(HEADER_SLICE, WIRE_VARINT):
        return read_entry32(r, h->slices, &h->slice_count);
    case WIRE_TAG(HEADER_SLICE_BYTES, WIRE_LENGTH):
        return read_packed32(r, h->lengths, &h->length_count);
    case WIRE_TAG(HEADER_SLICE_BYTES, WIRE_VARINT):
        return read_entry32(r, h->lengths, &h->length_count);
    case WIRE_TAG(HEADER_RECEIVER, WIRE_VARINT):
        return read_uint32(r, &m->receiver);
    case WIRE_TAG(HEADER_EXAMPLES_TOTAL, WIRE_VARINT):
        return read_varint(r, &m->examples_total);
    case WIRE_TAG(HEADER_JOB_FINISHED, WIRE_VARINT):
        return read_bool(r, &m->job_finished);
    case WIRE_TAG(HEADER_STATUS, WIRE_VARINT):
        return read_status(r, m);
    case WIRE_TAG(HEADER_TEXT, WIRE_LENGTH):
        return read_text(r, h);
    case WIRE_TAG(HEADER_HELLO, WIRE_LENGTH):
        return read_hello(r, h);
    case WIRE_TAG(HEADER_SETTLED, WIRE_VARINT):
        return read_varint(r, &m->settled);
    case WIRE_TAG(HEADER_READS_MEMORY, WIRE_VARINT):
        return read_bool(r, &m->reads_memory);
    case WIRE_TAG(HEADER_SEGMENT, WIRE_LENGTH):
        return read_segment(r, m);
    case WIRE_TAG(HEADER_SLICE_SEGMENT, WIRE_LENGTH):
        return read_packed32(r, h->places, &h->place_count);
    case WIRE_TAG(HEADER_SLICE_SEGMENT, WIRE_VARINT):
        return read_entry32(r, h->places, &h->place_count);
    case WIRE_TAG(HEADER_SLICE_OFFSET, WIRE_LENGTH):
        return read_packed64(r, h->offsets, &h->offset_count);
    case WIRE_TAG(HEADER_SLICE_OFFSET, WIRE_VARINT):
        return read_entry64(r, h->offsets, &h->offset_count);
    case WIRE_TAG(HEADER_INLINED, WIRE_LENGTH):
        return read_inlined(r, h);
    case WIRE_TAG(HEADER_EPOCH, WIRE_VARINT):
        return read_varint(r, &m->epoch);
    case WIRE_TAG(HEADER_OLDEST, WIRE_VARINT):
        return read_varint(r, &m->oldest);
    case WIRE_TAG(HEADER_EXACT, WIRE_VARINT):
        return read_bool(r, &m->exact);
    case WIRE_TAG(HEADER_UNFIT, WIRE_VARINT):
        return read_bool(r, &m->unfit);
    case WIRE_TAG(HEADER_HEARTBEAT_MS, WIRE_VARINT):
        return read_uint32(r, &m->heartbeat_ms);
    case WIRE_TAG(HEADER_HELD, WIRE_VARINT):
        return read_varint(r, &m->held);
    case WIRE_TAG(HEADER_MEMBERS_VERSION, WIRE_FIXED64):
        return read_fixed(r, &m->members_version, sizeof m->members_version);
    case WIRE_TAG(HEADER_CHANGE_STEP, WIRE_LENGTH):
        return read_packed64(r, h->change_steps, &h->change_step_count);
    case WIRE_TAG(HEADER_CHANGE_STEP, WIRE_VARINT):
        return read_entry64(r, h->change_steps, &h->change_step_count);
    case WIRE_TAG(HEADER_CHANGE_WORKER, WIRE_LENGTH):
        return read_packed32(r, h->change_workers, &h->change_worker_count);
    case WIRE_TAG(HEADER_CHANGE_WORKER, WIRE_VARINT):
        return read_entry32(r, h->change_workers, &h->change_worker_count);
    case WIRE_TAG(HEADER_LOST_WORKER, WIRE_VARINT):
        return read_uint32(r, &m->lost_worker);
    case WIRE_TAG(HEADER_FIGURES, WIRE_LENGTH):
        return read_figures(r, h);
    case WIRE_TAG(HEADER_END_STEP, WIRE_VARINT):
        return read_varint(r, &m->end_step);
    default: /* also a known field whose value is laid out otherwise than the schema says */
        return tag >> WIRE_KIND_BITS > HEADER_FIELDS && skip_field(r, tag);
    }
}

bool wire_header_read(const uint8_t *bytes, size_t count, wire_header *h)
{
    memset(h, 0, offsetof(wire_header, message.segments));
    reader r = {bytes, bytes + count};
    while (r.at < r.end)
        if (!read_field(&r, h))
            return false;
    return true;
}
