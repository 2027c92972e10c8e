/* wire_header.h - the protobuf form of a message's header, written and read by hand. Private to the wire.
 *
 * proto/penstock.proto is the truth; this is its message Header spelt out, because protobuf-c's walk over
 * descriptors costs several times what a small message costs otherwise. The Job of a HELLO stays with
 * protobuf-c (common/wire_job.h). The writer's bytes are protobuf-c's bytes. The reader takes what proto3
 * demands of one: fields in any order, the last of a scalar that comes twice, lists packed, unpacked or in
 * pieces, fields it does not know. It is stricter than protobuf-c where no writer of proto3 goes; it refuses
 * - a field of number 0 or above 2^29 - 1,
 * - a varint of more than 64 bits,
 * - a bool that is no varint,
 * - a text with a NUL in it,
 * - a second Job, which proto3 would merge with the first.
 * It accepts what exhausts WIRE_UNPACKED_MAX in protobuf-c, such as millions of unknown fields: nothing is
 * kept of them. A text need not be UTF-8: it may quote a path. */
#ifndef PENSTOCK_COMMON_WIRE_HEADER_H
#define PENSTOCK_COMMON_WIRE_HEADER_H

#include "common/wire.h"
#include "proto/penstock.pb-c.h"

/* Field numbers of the schema. A test compares them with it. */
typedef enum {
    HEADER_PROTOCOL = 1,
    HEADER_TYPE = 2,
    HEADER_JOB = 3,
    HEADER_ROLE = 4,
    HEADER_INDEX = 5,
    HEADER_INCARNATION = 6,
    HEADER_REQUEST = 7,
    HEADER_STEP = 8,
    HEADER_EXAMPLES = 9,
    HEADER_CLIP_FACTOR = 10,
    HEADER_NONFINITE = 11,
    HEADER_AFTER_FINISH = 12,
    HEADER_SLICE = 13,
    HEADER_SLICE_BYTES = 14,
    HEADER_RECEIVER = 15,
    HEADER_EXAMPLES_TOTAL = 16,
    HEADER_JOB_FINISHED = 17,
    HEADER_STATUS = 18,
    HEADER_TEXT = 19,
    HEADER_HELLO = 20,
    HEADER_SETTLED = 21,
    HEADER_READS_MEMORY = 22,
    HEADER_SEGMENT = 23,
    HEADER_SLICE_SEGMENT = 24,
    HEADER_SLICE_OFFSET = 25,
    HEADER_INLINED = 26,
    HEADER_EPOCH = 27,
    HEADER_OLDEST = 28,
    HEADER_EXACT = 29,
    HEADER_UNFIT = 30,
    HEADER_HEARTBEAT_MS = 31,
    HEADER_HELD = 32,
    HEADER_MEMBERS_VERSION = 33,
    HEADER_CHANGE_STEP = 34,
    HEADER_CHANGE_WORKER = 35,
    HEADER_LOST_WORKER = 36,
    HEADER_FIGURES = 37,
    HEADER_END_STEP = 38,
    HEADER_FIELDS = HEADER_END_STEP,
} wire_header_field;

typedef enum {
    SEGMENT_PID = 1,
    SEGMENT_FD = 2,
    SEGMENT_BYTES = 3,
    SEGMENT_TOKEN_LOW = 4,
    SEGMENT_TOKEN_HIGH = 5,
    SEGMENT_FIELDS = SEGMENT_TOKEN_HIGH,
} wire_segment_field;

/* How a value is laid out: the low bits of a field's tag. */
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2, WIRE_FIXED32 = 5, WIRE_KIND_BITS = 3 };
#define WIRE_TAG(field, kind) ((uint32_t)(field) << WIRE_KIND_BITS | (kind))

/* What a header says, before it is judged. Counts may exceed the limits; of a list no more entries are kept
 * than its limit. Pointers lead into the bytes that were read. */
typedef struct {
    uint32_t protocol;
    const uint8_t *text;
    size_t text_bytes;
    const uint8_t *hello; /* NULL: there is none */
    size_t hello_bytes;
    const uint8_t *inlined;
    size_t inlined_bytes;
    const uint8_t *figures;
    size_t figures_bytes;
    uint32_t slice_count, length_count, place_count, offset_count;
    uint32_t change_step_count, change_worker_count;
    wire_message message; /* scalars and segments; it has no lists, text or job */
    uint32_t slices[WIRE_SLICES_MAX];
    uint32_t lengths[WIRE_SLICES_MAX]; /* field slice_bytes */
    uint32_t places[WIRE_SLICES_MAX];  /* field slice_segment */
    uint64_t offsets[WIRE_SLICES_MAX]; /* field slice_offset */
    uint64_t change_steps[MEMBERS_CHANGES_MAX];
    uint32_t change_workers[MEMBERS_CHANGES_MAX];
} wire_header;

/* Bytes that a header takes, and of those the contents of its lists and its Job. */
typedef struct {
    size_t bytes;
    size_t slices, lengths, places, offsets, hello, inlined, change_steps, change_workers;
} wire_header_size;

/* The size of the header of `m`, whose Job is `hello` or NULL. */
wire_header_size wire_header_measure(const wire_message *m, const Penstock__Job *hello);

/* Writes size.bytes. Nothing may have changed since they were measured. */
void wire_header_write(const wire_message *m, const Penstock__Job *hello, wire_header_size size, uint8_t *to);

/* False if the bytes are no Header; then `h` means nothing. */
bool wire_header_read(const uint8_t *bytes, size_t count, wire_header *h);

#endif
