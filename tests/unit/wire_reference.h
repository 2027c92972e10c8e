/* wire_reference.h - protobuf-c as the judge of common/wire_header.
 *
 * Functions return NULL or a text that says what disagrees, so that unit tests and the fuzzer can share them.
 */
#ifndef PENSTOCK_TESTS_WIRE_REFERENCE_H
#define PENSTOCK_TESTS_WIRE_REFERENCE_H

#include <stdlib.h>
#include <string.h>

#include "common/wire_header.h"
#include "common/wire_job.h"

/* ---- writing ---- */

typedef struct {
    uint32_t lengths[WIRE_SLICES_MAX], places[WIRE_SLICES_MAX];
    uint64_t offsets[WIRE_SLICES_MAX];
    Penstock__Segment segments[WIRE_SEGMENTS_MAX], *segment_list[WIRE_SEGMENTS_MAX];
    uint8_t inlined[WIRE_INLINED_MAX];
    uint64_t change_steps[MEMBERS_CHANGES_MAX];
    uint32_t change_workers[MEMBERS_CHANGES_MAX];
} wire_reference_lists;

static inline void wire_reference_add_lists(const wire_message *m, wire_reference_lists *lists,
                                            Penstock__Header *h)
{
    h->n_slice = m->slice_count;
    h->slice = m->slices;
    for (uint32_t i = 0; i < m->segment_count; i++) {
        const segment_name *from = &m->segments[i];
        Penstock__Segment *to = lists->segment_list[i] = &lists->segments[i];
        penstock__segment__init(to);
        to->pid = from->pid;
        to->fd = from->fd;
        to->bytes = from->bytes;
        to->token_low = from->token[0];
        to->token_high = from->token[1];
    }
    h->n_segment = m->segment_count;
    h->segment = lists->segment_list;
    for (uint32_t i = 0; m->has_payload && i < m->slice_count; i++) {
        lists->lengths[i] = (uint32_t)buffer_size(m->payloads[i]);
        lists->places[i] = m->places[i].segment;
        lists->offsets[i] = m->places[i].offset;
    }
    h->inlined.data = lists->inlined;
    for (uint32_t i = 0; m->inlined && i < m->slice_count; i++) {
        if (m->places[i].segment)
            continue;
        memcpy(lists->inlined + h->inlined.len, buffer_bytes(m->payloads[i]), buffer_size(m->payloads[i]));
        h->inlined.len += buffer_size(m->payloads[i]);
    }
    const uint32_t changes = m->members ? m->members->count : 0;
    for (uint32_t i = 0; i < changes; i++) {
        lists->change_steps[i] = m->members->changes[i].from;
        lists->change_workers[i] = m->members->changes[i].worker << 1 | m->members->changes[i].enters;
    }
    h->n_change_step = h->n_change_worker = changes;
    h->change_step = lists->change_steps;
    h->change_worker = lists->change_workers;
    h->n_slice_bytes = m->has_payload ? m->slice_count : 0;
    h->slice_bytes = lists->lengths;
    h->n_slice_segment = h->n_slice_offset = m->segment_count ? h->n_slice_bytes : 0;
    h->slice_segment = lists->places;
    h->slice_offset = lists->offsets;
}

/* The header of `m` as protobuf-c writes it; free it. */
static inline uint8_t *wire_reference_pack(const wire_message *m, size_t *bytes)
{
    static wire_reference_lists lists;
    Penstock__Header h;
    penstock__header__init(&h);
    h.protocol = WIRE_PROTOCOL;
    h.type = (Penstock__MessageType)m->type;
    h.job = m->job;
    h.role = (Penstock__Role)m->role;
    h.index = m->index;
    h.incarnation = m->incarnation;
    h.request = m->request;
    h.step = m->step;
    h.examples = m->examples;
    h.clip_factor = m->clip_factor;
    h.nonfinite = m->nonfinite;
    h.after_finish = m->after_finish;
    h.receiver = m->receiver;
    h.examples_total = m->examples_total;
    h.job_finished = m->job_finished;
    h.status = m->status;
    if (m->text)
        h.text = m->text;
    h.settled = m->settled;
    h.reads_memory = m->reads_memory;
    h.epoch = m->epoch;
    h.oldest = m->oldest;
    h.exact = m->exact;
    h.unfit = m->unfit;
    h.heartbeat_ms = m->heartbeat_ms;
    h.held = m->held;
    h.members_version = m->members_version;
    h.lost_worker = m->lost_worker;
    h.end_step = m->end_step;
    h.figures = (ProtobufCBinaryData){.len = m->figures_bytes, .data = m->figures};
    wire_reference_add_lists(m, &lists, &h);
    if (m->hello)
        h.hello = wire_job_to_proto(m->hello);
    *bytes = penstock__header__get_packed_size(&h);
    uint8_t *packed = malloc(*bytes + 1);
    if (packed)
        penstock__header__pack(&h, packed);
    wire_job_free(&h.hello);
    return packed;
}

static inline const char *wire_reference_judge_writing(const wire_message *m)
{
    size_t bytes;
    buffer *header;
    uint8_t *packed = wire_reference_pack(m, &bytes);
    const char *why = NULL;
    if (!packed || wire_encode(m, &header) != PS_OK)
        why = "out of memory";
    else if (buffer_size(header) != bytes)
        why = "protobuf-c writes another number of bytes";
    else if (memcmp(buffer_bytes(header), packed, bytes) != 0)
        why = "protobuf-c writes other bytes";
    if (packed)
        buffer_unref(&header);
    free(packed);
    return why;
}

/* ---- reading ---- */

/* Reads as leniently as protobuf-c. Bytes of a varint, 0 if it does not end. */
static inline size_t wire_reference_varint(const uint8_t *at, size_t left, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < left && i < 10; i++) {
        *value |= (uint64_t)(at[i] & 0x7f) << 7 * i;
        if (at[i] < 0x80)
            return i + 1;
    }
    return 0;
}

static inline bool wire_reference_has_wide_varint(const uint8_t *at, size_t left)
{
    uint64_t value;
    for (size_t used; left > 0; at += used, left -= used) {
        used = wire_reference_varint(at, left, &value);
        if (used == 0 || (used == 10 && at[9] > 1))
            return true;
    }
    return false;
}

/* Does a header that protobuf-c reads hold one of the things that wire_header.h says are refused? */
static inline bool wire_reference_is_loose(const uint8_t *at, size_t left, bool is_segment)
{
    uint32_t jobs = 0;
    while (left > 0) {
        uint64_t tag, length = 0;
        size_t used = wire_reference_varint(at, left, &tag);
        const uint64_t number = tag >> 3, kind = tag & 7;
        const uint8_t *value = at + used;
        if (number == 0 || number >= 1 << 29)
            return true;
        const bool is_bool = number == HEADER_NONFINITE || number == HEADER_AFTER_FINISH ||
                             number == HEADER_JOB_FINISHED || number == HEADER_READS_MEMORY ||
                             number == HEADER_EXACT || number == HEADER_UNFIT;
        const bool is_list = number == HEADER_SLICE || number == HEADER_SLICE_BYTES ||
                             number == HEADER_SLICE_SEGMENT || number == HEADER_SLICE_OFFSET ||
                             number == HEADER_CHANGE_STEP || number == HEADER_CHANGE_WORKER;
        if (!is_segment && is_bool && kind != WIRE_VARINT)
            return true;
        size_t bytes = kind == WIRE_FIXED64 ? 8 : 4;
        if (kind == WIRE_VARINT) {
            bytes = wire_reference_varint(value, left - used, &length);
            if (wire_reference_has_wide_varint(value, bytes))
                return true;
        } else if (kind == WIRE_LENGTH) {
            const size_t prefix = wire_reference_varint(value, left - used, &length);
            value += prefix;
            bytes = prefix + (size_t)length;
        }
        if (kind == WIRE_LENGTH && !is_segment) {
            if (is_list && wire_reference_has_wide_varint(value, (size_t)length))
                return true;
            if (number == HEADER_TEXT && memchr(value, 0, (size_t)length))
                return true;
            if (number == HEADER_SEGMENT && wire_reference_is_loose(value, (size_t)length, true))
                return true;
            jobs += number == HEADER_HELLO;
        }
        at += used + bytes;
        left -= used + bytes;
    }
    return jobs > 1;
}

static inline bool wire_reference_same_list32(const uint32_t *a, uint32_t count, const uint32_t *b, size_t n)
{
    const size_t kept = n < WIRE_SLICES_MAX ? n : WIRE_SLICES_MAX;
    return count == n && (kept == 0 || memcmp(a, b, kept * sizeof *a) == 0);
}

static inline bool wire_reference_same_list64(const uint64_t *a, uint32_t count, const uint64_t *b, size_t n)
{
    const size_t kept = n < WIRE_SLICES_MAX ? n : WIRE_SLICES_MAX;
    return count == n && (kept == 0 || memcmp(a, b, kept * sizeof *a) == 0);
}

static inline bool wire_reference_same_segments(const wire_message *m, const Penstock__Header *p)
{
    bool same = m->segment_count == p->n_segment;
    for (size_t i = 0; same && i < p->n_segment && i < WIRE_SEGMENTS_MAX; i++) {
        const segment_name *a = &m->segments[i];
        const Penstock__Segment *b = p->segment[i];
        same = a->pid == b->pid && a->fd == b->fd && a->bytes == b->bytes && a->token[0] == b->token_low &&
               a->token[1] == b->token_high;
    }
    return same;
}

static inline const char *wire_reference_difference(const wire_header *h, const Penstock__Header *p)
{
    const wire_message *m = &h->message;
    if (h->protocol != p->protocol || (int)m->type != (int)p->type || (int)m->role != (int)p->role ||
        m->index != p->index || m->incarnation != p->incarnation || m->job != p->job ||
        m->receiver != p->receiver || m->reads_memory != p->reads_memory)
        return "another sender";
    if (m->request != p->request || m->step != p->step || m->examples != p->examples ||
        memcmp(&m->clip_factor, &p->clip_factor, sizeof m->clip_factor) != 0 ||
        m->nonfinite != p->nonfinite || m->after_finish != p->after_finish || m->settled != p->settled ||
        m->epoch != p->epoch || m->exact != p->exact || m->unfit != p->unfit ||
        m->members_version != p->members_version)
        return "another request";
    if (m->examples_total != p->examples_total || m->job_finished != p->job_finished ||
        (int)m->status != p->status || m->oldest != p->oldest || m->heartbeat_ms != p->heartbeat_ms ||
        m->held != p->held || m->lost_worker != p->lost_worker || m->end_step != p->end_step)
        return "another answer";
    if (strlen(p->text) != h->text_bytes || (h->text_bytes && memcmp(p->text, h->text, h->text_bytes) != 0))
        return "another text";
    if (!wire_reference_same_list32(h->slices, h->slice_count, p->slice, p->n_slice) ||
        !wire_reference_same_list32(h->lengths, h->length_count, p->slice_bytes, p->n_slice_bytes) ||
        !wire_reference_same_list32(h->places, h->place_count, p->slice_segment, p->n_slice_segment) ||
        !wire_reference_same_list32(h->change_workers, h->change_worker_count, p->change_worker,
                                    p->n_change_worker) ||
        !wire_reference_same_list64(h->change_steps, h->change_step_count, p->change_step,
                                    p->n_change_step) ||
        !wire_reference_same_list64(h->offsets, h->offset_count, p->slice_offset, p->n_slice_offset))
        return "another list";
    if (p->inlined.len != h->inlined_bytes ||
        (h->inlined_bytes && memcmp(p->inlined.data, h->inlined, h->inlined_bytes) != 0))
        return "other payloads";
    if (p->figures.len != h->figures_bytes ||
        (h->figures_bytes && memcmp(p->figures.data, h->figures, h->figures_bytes) != 0))
        return "other figures";
    if (!wire_reference_same_segments(m, p))
        return "other segments";
    return !h->hello == !p->hello ? NULL : "only one sees a job";
}

static inline const char *wire_reference_judge_reading(const uint8_t *bytes, size_t count)
{
    static wire_header h;
    const bool taken = wire_header_read(bytes, count, &h);
    Penstock__Header *p = penstock__header__unpack(NULL, count, bytes);
    const char *why = NULL;
    if (taken && p) {
        why = wire_reference_difference(&h, p);
    } else if (taken) {
        Penstock__Job *job = h.hello ? penstock__job__unpack(NULL, h.hello_bytes, h.hello) : NULL;
        why = h.hello && !job ? NULL : "only protobuf-c refuses it";
        if (job)
            penstock__job__free_unpacked(job, NULL);
    } else if (p && !wire_reference_is_loose(bytes, count, false)) {
        why = "only protobuf-c takes it";
    }
    if (p)
        penstock__header__free_unpacked(p, NULL);
    return why;
}

#endif
