/* journal_format.h - the bytes of a durability log: segment heads, records, and the judgement of both.
 *
 * A segment is a head and then records one behind the other, each at a multiple of 8 bytes; all numbers are
 * little-endian.
 *
 *   record = record_head | slice_count x record_slice | payloads, in that order | zeros up to 8 bytes
 *          | record_head | version of a list of members, 8 bytes | record_change ...      (LEAVE, RESTORE)
 *
 * A record's head has a checksum of its own, so that its length can be believed, and one of what follows.
 * Sequence numbers rise by one from record to record and over segments; a segment's head has one too.
 *
 * Torn or damaged? A crash may leave the last batch of records that was being written in any state, all of it
 * after what was durable by then; such a tail was never acknowledged and ends the reading. But every record
 * says up to which number all was durable when it was written (`synced`). Where something cannot be read, and
 * a record behind it vouches for that number, or the segment is not the last one, that is damage, an
 * error. Damage in the very last batch looks like a torn one.
 *
 * Pure: bytes in memory, no files. */
#ifndef PENSTOCK_PS_JOURNAL_FORMAT_H
#define PENSTOCK_PS_JOURNAL_FORMAT_H

#include <assert.h>
#include <stddef.h>

#include "ps/journal.h"

enum { JOURNAL_VERSION = 1, JOURNAL_ALIGN = 8 };

typedef struct {
    uint8_t magic[8];
    uint32_t version;
    uint32_t crc; /* of what follows it in this head */
    uint64_t sequence;
    uint64_t job;
    uint16_t server, servers;
    uint32_t flags;
    uint64_t step, epoch; /* of the base, */
    uint32_t carried;     /* as is this */
    uint32_t reserved;
} segment_head;

typedef struct {
    uint32_t magic;
    uint32_t head_crc; /* of what follows it in this head */
    uint64_t sequence;
    uint64_t synced;      /* everything up to this number was durable when this was written */
    uint64_t step;        /* as in the message */
    uint64_t incarnation; /* RESTORE: the epoch */
    uint64_t body_bytes;  /* slices and payloads */
    uint32_t body_crc;
    uint32_t examples;
    float clip_factor;
    uint32_t slice_count;
    uint16_t index;
    uint8_t type; /* wire_type */
    uint8_t flags;
    uint32_t reserved;
} record_head;

typedef struct {
    uint32_t number;
    uint32_t bytes; /* of its payload; 0: none */
} record_slice;

typedef struct {
    uint64_t from;
    uint32_t worker;
    uint32_t enters; /* 0 or 1 */
} record_change;

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "heads are written as they lie in memory");
static_assert(sizeof(segment_head) == 64 && offsetof(segment_head, sequence) == 16 &&
                  offsetof(segment_head, step) == 40,
              "layout of a segment's head");
static_assert(sizeof(record_head) == 72 && offsetof(record_head, sequence) == 8 &&
                  offsetof(record_head, body_crc) == 48 && offsetof(record_head, index) == 64,
              "layout of a record's head");
static_assert(sizeof(record_slice) == 8, "layout of a record's slices");
static_assert(sizeof(record_change) == 16, "layout of a record's changes of members");

void segment_head_fill(segment_head *h, const journal_owner *owner, const journal_base *base,
                       uint64_t sequence);

/* PS_EFORMAT: it is none, or damaged; PS_EMISMATCH: it is of another job or ps. */
ps_status segment_head_judge(const segment_head *h, const journal_owner *owner, ps_error *error);
journal_base segment_head_base(const segment_head *h);

/* All but what is known only when it is written: see record_head_seal. `slices` (slice_count) is filled too.
 */
void record_head_fill(record_head *h, record_slice *slices, const wire_message *message, bool carried,
                      uint64_t sequence);
void record_head_seal(record_head *h, uint64_t synced, uint32_t body_crc);

/* The body of a record of a message that tells of members. NULL: out of memory. */
buffer *record_pack_members(const members_list *list);

/* Zeros that follow a body. */
static inline size_t journal_padding(uint64_t body_bytes)
{
    return (size_t)(-body_bytes % JOURNAL_ALIGN);
}

typedef struct {
    const uint8_t *bytes; /* of a segment, its head included */
    size_t count;
    size_t at;         /* where the next record begins: behind the last good one */
    uint64_t sequence; /* of the last record or head before `at` */
    bool last;         /* of the journal: it may have a torn end */
} segment_reader;

/* The next record as a message with payloads of its own, for the caller to destroy; NULL at the end, torn or
 * not. PS_EFORMAT says at which offset what is wrong; PS_ENOMEM. */
ps_status segment_read(segment_reader *r, wire_message **message, bool *carried, ps_error *error);

#endif
