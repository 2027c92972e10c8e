/* wire_header_write.c - a message as the bytes of its header; see wire_header.h.
 *
 * One function names the fields, for the size and for the bytes, so that the two cannot disagree. It is
 * compiled once for each: all that it calls is inlined, and `writing` is known then. */
#include <assert.h>
#include <string.h>

#include "common/wire_header.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fixed numbers are copied as they lie in memory");

#define INLINED static inline __attribute__((always_inline))

typedef struct {
    const bool writing;
    uint8_t *to;  /* writing */
    size_t bytes; /* counting */
} sink;

/* A seventh of the bits, rounded up; for 1 to 64 bits 9/64 does as well, and needs no division. */
INLINED size_t varint_bytes(uint64_t value)
{
    const unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    return (bits * 9 + 64) / 64;
}

INLINED void put_varint(sink *s, uint64_t value)
{
    if (!s->writing) {
        s->bytes += varint_bytes(value);
        return;
    }
    for (; value >= 0x80; value >>= 7)
        *s->to++ = (uint8_t)(value | 0x80);
    *s->to++ = (uint8_t)value;
}

INLINED void put_bytes(sink *s, const void *from, size_t count)
{
    if (s->writing) {
        memcpy(s->to, from, count);
        s->to += count;
    } else {
        s->bytes += count;
    }
}

/* Proto3 leaves out what is zero. */
INLINED void put_number(sink *s, uint32_t field, uint64_t value)
{
    if (value == 0)
        return;
    put_varint(s, WIRE_TAG(field, WIRE_VARINT));
    put_varint(s, value);
}

INLINED void put_fixed64(sink *s, uint32_t field, uint64_t value)
{
    if (value == 0)
        return;
    put_varint(s, WIRE_TAG(field, WIRE_FIXED64));
    put_bytes(s, &value, sizeof value);
}

INLINED void put_float(sink *s, uint32_t field, float value)
{
    if (value == 0)
        return;
    put_varint(s, WIRE_TAG(field, WIRE_FIXED32));
    put_bytes(s, &value, sizeof value);
}

INLINED void put_length(sink *s, uint32_t field, size_t bytes)
{
    put_varint(s, WIRE_TAG(field, WIRE_LENGTH));
    put_varint(s, bytes);
}

/* A packed list of `count` entries, that takes `bytes`: found out when counting. */
INLINED void put_list(sink *s, uint32_t field, size_t *bytes, const wire_message *m, uint32_t count,
                      uint64_t entry(const wire_message *m, uint32_t i))
{
    if (count == 0)
        return;
    if (!s->writing) {
        size_t sum = 0;
        for (uint32_t i = 0; i < count; i++)
            sum += varint_bytes(entry(m, i));
        s->bytes += sum;
        *bytes = sum;
    }
    put_length(s, field, *bytes);
    for (uint32_t i = 0; s->writing && i < count; i++)
        put_varint(s, entry(m, i));
}

INLINED uint64_t number_of_slice(const wire_message *m, uint32_t i)
{
    return m->slices[i];
}

INLINED uint64_t bytes_of_slice(const wire_message *m, uint32_t i)
{
    return (uint32_t)buffer_size(m->payloads[i]);
}

INLINED uint64_t segment_of_slice(const wire_message *m, uint32_t i)
{
    return m->places[i].segment;
}

INLINED uint64_t offset_of_slice(const wire_message *m, uint32_t i)
{
    return m->places[i].offset;
}

INLINED uint64_t step_of_change(const wire_message *m, uint32_t i)
{
    return m->members->changes[i].from;
}

INLINED uint64_t worker_of_change(const wire_message *m, uint32_t i)
{
    const members_change *change = &m->members->changes[i];
    return (uint32_t)(change->worker << 1 | change->enters);
}

INLINED void put_segment_fields(sink *s, const segment_name *name)
{
    put_number(s, SEGMENT_PID, name->pid);
    put_number(s, SEGMENT_FD, name->fd);
    put_number(s, SEGMENT_BYTES, name->bytes);
    put_fixed64(s, SEGMENT_TOKEN_LOW, name->token[0]);
    put_fixed64(s, SEGMENT_TOKEN_HIGH, name->token[1]);
}

INLINED void put_segments(sink *s, const wire_message *m)
{
    for (uint32_t i = 0; i < m->segment_count; i++) {
        sink length = {.writing = false};
        put_segment_fields(&length, &m->segments[i]);
        put_length(s, HEADER_SEGMENT, length.bytes);
        put_segment_fields(s, &m->segments[i]);
    }
}

INLINED void put_text(sink *s, const char *text)
{
    const size_t bytes = text ? strlen(text) : 0;
    if (bytes == 0)
        return;
    put_length(s, HEADER_TEXT, bytes);
    put_bytes(s, text, bytes);
}

INLINED void put_job(sink *s, size_t *bytes, const Penstock__Job *job)
{
    if (!job)
        return;
    if (!s->writing) {
        *bytes = penstock__job__get_packed_size(job);
        s->bytes += *bytes;
    }
    put_length(s, HEADER_HELLO, *bytes);
    if (s->writing)
        s->to += penstock__job__pack(job, s->to);
}

INLINED void put_inlined(sink *s, size_t *bytes, const wire_message *m)
{
    if (!s->writing) {
        size_t sum = 0;
        for (uint32_t i = 0; i < m->slice_count; i++)
            sum += m->places[i].segment ? 0 : buffer_size(m->payloads[i]);
        *bytes = sum;
    }
    put_length(s, HEADER_INLINED, *bytes);
    if (!s->writing) {
        s->bytes += *bytes;
        return;
    }
    for (uint32_t i = 0; i < m->slice_count; i++)
        if (m->places[i].segment == 0)
            put_bytes(s, buffer_bytes(m->payloads[i]), buffer_size(m->payloads[i]));
}

/* An int32 travels sign-extended, a sint32 with its sign in the lowest bit. */
INLINED uint64_t extended(int32_t value)
{
    return (uint64_t)(int64_t)value;
}

INLINED uint32_t zigzag(int32_t value)
{
    return (uint32_t)value << 1 ^ (value < 0 ? UINT32_MAX : 0);
}

INLINED void put_header(sink *s, wire_header_size *size, const wire_message *m, const Penstock__Job *hello)
{
    put_number(s, HEADER_PROTOCOL, WIRE_PROTOCOL);
    put_number(s, HEADER_TYPE, extended((int32_t)m->type));
    put_fixed64(s, HEADER_JOB, m->job);
    put_number(s, HEADER_ROLE, extended((int32_t)m->role));
    put_number(s, HEADER_INDEX, m->index);
    put_fixed64(s, HEADER_INCARNATION, m->incarnation);
    put_number(s, HEADER_REQUEST, m->request);
    put_number(s, HEADER_STEP, m->step);
    put_number(s, HEADER_EXAMPLES, m->examples);
    put_float(s, HEADER_CLIP_FACTOR, m->clip_factor);
    put_number(s, HEADER_NONFINITE, m->nonfinite);
    put_number(s, HEADER_AFTER_FINISH, m->after_finish);
    put_list(s, HEADER_SLICE, &size->slices, m, m->slice_count, number_of_slice);
    if (m->has_payload)
        put_list(s, HEADER_SLICE_BYTES, &size->lengths, m, m->slice_count, bytes_of_slice);
    put_number(s, HEADER_RECEIVER, m->receiver);
    put_number(s, HEADER_EXAMPLES_TOTAL, m->examples_total);
    put_number(s, HEADER_JOB_FINISHED, m->job_finished);
    put_number(s, HEADER_STATUS, zigzag((int32_t)m->status));
    put_text(s, m->text);
    put_job(s, &size->hello, hello);
    put_number(s, HEADER_SETTLED, m->settled);
    put_number(s, HEADER_READS_MEMORY, m->reads_memory);
    put_segments(s, m);
    if (m->has_payload && m->segment_count > 0) {
        put_list(s, HEADER_SLICE_SEGMENT, &size->places, m, m->slice_count, segment_of_slice);
        put_list(s, HEADER_SLICE_OFFSET, &size->offsets, m, m->slice_count, offset_of_slice);
    }
    if (m->inlined)
        put_inlined(s, &size->inlined, m);
    put_number(s, HEADER_EPOCH, m->epoch);
    put_number(s, HEADER_OLDEST, m->oldest);
    put_number(s, HEADER_EXACT, m->exact);
    put_number(s, HEADER_UNFIT, m->unfit);
    put_number(s, HEADER_HEARTBEAT_MS, m->heartbeat_ms);
    put_number(s, HEADER_HELD, m->held);
    put_fixed64(s, HEADER_MEMBERS_VERSION, m->members_version);
    if (m->members) {
        put_list(s, HEADER_CHANGE_STEP, &size->change_steps, m, m->members->count, step_of_change);
        put_list(s, HEADER_CHANGE_WORKER, &size->change_workers, m, m->members->count, worker_of_change);
    }
    put_number(s, HEADER_LOST_WORKER, m->lost_worker);
    if (m->figures_bytes > 0) {
        put_length(s, HEADER_FIGURES, m->figures_bytes);
        put_bytes(s, m->figures, m->figures_bytes);
    }
    put_number(s, HEADER_END_STEP, m->end_step);
}

wire_header_size wire_header_measure(const wire_message *m, const Penstock__Job *hello)
{
    wire_header_size size = {0};
    sink s = {.writing = false};
    put_header(&s, &size, m, hello);
    size.bytes = s.bytes;
    return size;
}

void wire_header_write(const wire_message *m, const Penstock__Job *hello, wire_header_size size, uint8_t *to)
{
    sink s = {.writing = true, .to = to};
    put_header(&s, &size, m, hello);
    assert(s.to == to + size.bytes);
}
