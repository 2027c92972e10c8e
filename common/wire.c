/* wire.c - see wire.h. */
#include "common/wire.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/wire_job.h"
#include "proto/penstock.pb-c.h"

/* The wire's types and roles are the schema's, under names that read well in C. */
static_assert((int)WIRE_HELLO == PENSTOCK__MESSAGE_TYPE__HELLO, "schema and wire.h disagree");
static_assert((int)WIRE_SETTLE == PENSTOCK__MESSAGE_TYPE__SETTLE, "schema and wire.h disagree");
static_assert((int)WIRE_WELCOME == PENSTOCK__MESSAGE_TYPE__WELCOME, "schema and wire.h disagree");
static_assert((int)WIRE_ERROR == PENSTOCK__MESSAGE_TYPE__ERROR, "schema and wire.h disagree");
static_assert((int)WIRE_EVALUATOR == PENSTOCK__ROLE__EVALUATOR, "schema and wire.h disagree");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "payload frames are raw little-endian floats");

const char *wire_type_name(wire_type type)
{
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(&penstock__message_type__descriptor, (int)type);
    return value ? value->name : "?";
}

const char *wire_role_name(wire_role role)
{
    switch (role) {
    case WIRE_PS:
        return "ps";
    case WIRE_WORKER:
        return "worker";
    case WIRE_EVALUATOR:
        return "evaluator";
    }
    return "?";
}

wire_message *wire_create(wire_type type, uint32_t slice_count)
{
    /* One block: the message, then places, payload pointers, slice numbers and lengths. */
    wire_message *m =
        calloc(1, sizeof *m + slice_count * (sizeof(wire_place) + sizeof(buffer *) + 2 * sizeof(uint32_t)));
    if (!m)
        return NULL;
    m->type = type;
    m->slice_count = slice_count;
    m->places = (wire_place *)(m + 1);
    m->payloads = (buffer **)(m->places + slice_count);
    m->slices = (uint32_t *)(m->payloads + slice_count);
    m->payload_bytes = m->slices + slice_count;
    return m;
}

void wire_destroy(wire_message **message)
{
    wire_message *m = *message;
    *message = NULL;
    if (!m)
        return;
    for (uint32_t i = 0; i < m->slice_count; i++)
        buffer_unref(&m->payloads[i]);
    if (m->hello) {
        job_fini(m->hello);
        free(m->hello);
    }
    free(m->text);
    free(m);
}

void wire_set_text(wire_message *m, const char *text)
{
    free(m->text);
    m->text = strndup(text, WIRE_TEXT_MAX);
}

uint32_t wire_frames(const wire_message *m)
{
    uint32_t frames = 0;
    for (uint32_t i = 0; m->has_payload && i < m->slice_count; i++)
        frames += m->places[i].segment == 0;
    return frames;
}

/* The lists of a header that hold an entry per slice or segment; it points into them while it is packed. */
typedef struct {
    uint32_t slice_bytes[WIRE_SLICES_MAX];
    uint32_t slice_segments[WIRE_SLICES_MAX];
    uint64_t slice_offsets[WIRE_SLICES_MAX];
    Penstock__Segment segments[WIRE_SEGMENTS_MAX];
    Penstock__Segment *segment_list[WIRE_SEGMENTS_MAX];
} header_lists;

static void list_segments(const wire_message *m, header_lists *lists, Penstock__Header *h)
{
    for (uint32_t i = 0; i < m->segment_count; i++) {
        const segment_name *from = &m->segments[i];
        Penstock__Segment *to = &lists->segments[i];
        penstock__segment__init(to);
        to->pid = from->pid;
        to->fd = from->fd;
        to->bytes = from->bytes;
        to->token_low = from->token[0];
        to->token_high = from->token[1];
        lists->segment_list[i] = to;
    }
    h->n_segment = m->segment_count;
    h->segment = lists->segment_list;
}

static void list_payloads(const wire_message *m, header_lists *lists, Penstock__Header *h)
{
    for (uint32_t i = 0; i < m->slice_count; i++)
        lists->slice_bytes[i] = (uint32_t)buffer_size(m->payloads[i]);
    h->n_slice_bytes = m->slice_count;
    h->slice_bytes = lists->slice_bytes;
    if (m->segment_count == 0)
        return;
    for (uint32_t i = 0; i < m->slice_count; i++) {
        lists->slice_segments[i] = m->places[i].segment;
        lists->slice_offsets[i] = m->places[i].offset;
    }
    h->n_slice_segment = m->slice_count;
    h->slice_segment = lists->slice_segments;
    h->n_slice_offset = m->slice_count;
    h->slice_offset = lists->slice_offsets;
}

ps_status wire_encode(const wire_message *m, buffer **header)
{
    *header = NULL;
    header_lists lists;
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
    h.n_slice = m->slice_count;
    h.slice = m->slices;
    h.settled = m->settled;
    h.reads_memory = m->reads_memory;
    list_segments(m, &lists, &h);
    if (m->has_payload)
        list_payloads(m, &lists, &h);
    if (m->hello) {
        h.hello = wire_job_to_proto(m->hello);
        if (!h.hello)
            return PS_ENOMEM;
    }

    buffer *frame = buffer_alloc(penstock__header__get_packed_size(&h));
    if (frame)
        penstock__header__pack(&h, buffer_data(frame));
    wire_job_free(&h.hello);
    *header = frame;
    return frame ? PS_OK : PS_ENOMEM;
}

static bool is_request(int type)
{
    return type >= WIRE_HELLO && type <= WIRE_SETTLE;
}

static bool carries_slices(int type)
{
    return type == WIRE_PUSH_PULL || type == WIRE_PUSH || type == WIRE_PULL || type == WIRE_WEIGHTS;
}

/* May a message of this type come with payload frames, must it, or must it not? A push of a worker that has
 * no examples left carries none. */
static bool payload_allowed(const Penstock__Header *h)
{
    switch ((int)h->type) {
    case WIRE_WEIGHTS:
        return true;
    case WIRE_PUSH_PULL:
    case WIRE_PUSH:
        return h->examples > 0;
    default:
        return false;
    }
}

/* Offsets are judged here against the lengths that the segments claim, and those when they are mapped. */
static ps_status check_segments(const Penstock__Header *h, size_t payloads, ps_error *error)
{
    const char *type = wire_type_name((wire_type)h->type);
    size_t expected = h->n_slice_segment ? payloads : 0;
    if (h->n_segment > WIRE_SEGMENTS_MAX)
        return ps_fail(error, PS_EPROTOCOL, "%s names %zu segments; at most %d are allowed", type,
                       h->n_segment, WIRE_SEGMENTS_MAX);
    if (h->n_slice_segment != expected || h->n_slice_offset != expected)
        return ps_fail(error, PS_EPROTOCOL, "%s of %zu payloads has %zu segment numbers and %zu offsets",
                       type, payloads, h->n_slice_segment, h->n_slice_offset);
    for (size_t i = 0; i < expected; i++) {
        uint32_t number = h->slice_segment[i];
        if (number == 0)
            continue;
        if (number > h->n_segment)
            return ps_fail(error, PS_EPROTOCOL, "%s: slice %u lies in segment %u of %zu", type, h->slice[i],
                           number, h->n_segment);
        uint64_t bytes = h->segment[number - 1]->bytes, offset = h->slice_offset[i];
        if (offset % sizeof(float) || offset > bytes || bytes - offset < h->slice_bytes[i])
            return ps_fail(error, PS_EPROTOCOL, "%s: slice %u, %u bytes at %llu, is not in a segment of %llu",
                           type, h->slice[i], h->slice_bytes[i], (unsigned long long)offset,
                           (unsigned long long)bytes);
    }
    return PS_OK;
}

/* The frames that came are the payloads that lie in no segment. */
static ps_status check_frames(const Penstock__Header *h, const size_t *frame_bytes, uint32_t frame_count,
                              ps_error *error)
{
    const char *type = wire_type_name((wire_type)h->type);
    uint32_t expected = 0;
    for (size_t i = 0; i < h->n_slice_bytes; i++) {
        if (h->n_slice_segment && h->slice_segment[i])
            continue;
        if (expected < frame_count && h->slice_bytes[i] != frame_bytes[expected])
            return ps_fail(error, PS_EPROTOCOL, "%s: the frame of slice %u has %zu bytes, its header says %u",
                           type, h->slice[i], frame_bytes[expected], h->slice_bytes[i]);
        expected++;
    }
    if (frame_count != expected)
        return ps_fail(error, PS_EPROTOCOL, "%s of %zu slices and %u examples has %u frames, not %u", type,
                       h->n_slice, h->examples, frame_count, expected);
    return PS_OK;
}

static ps_status check_slices(const Penstock__Header *h, const size_t *frame_bytes, uint32_t frame_count,
                              ps_error *error)
{
    const char *type = wire_type_name((wire_type)h->type);
    if (h->n_slice > WIRE_SLICES_MAX)
        return ps_fail(error, PS_EPROTOCOL, "%s names %zu slices; at most %d are allowed", type, h->n_slice,
                       WIRE_SLICES_MAX);
    if (h->n_slice && !carries_slices((int)h->type))
        return ps_fail(error, PS_EPROTOCOL, "%s names slices, which it must not", type);
    for (size_t i = 1; i < h->n_slice; i++)
        if (h->slice[i] <= h->slice[i - 1])
            return ps_fail(error, PS_EPROTOCOL, "%s: slice %u follows slice %u; numbers must rise", type,
                           h->slice[i], h->slice[i - 1]);

    size_t payloads = payload_allowed(h) ? h->n_slice : 0;
    if (h->n_slice_bytes != payloads)
        return ps_fail(error, PS_EPROTOCOL,
                       "%s of %zu slices and %u examples has %zu payload lengths, not %zu", type, h->n_slice,
                       h->examples, h->n_slice_bytes, payloads);
    for (size_t i = 0; i < payloads; i++)
        if (h->slice_bytes[i] == 0 || h->slice_bytes[i] > WIRE_FRAME_MAX || h->slice_bytes[i] % sizeof(float))
            return ps_fail(error, PS_EPROTOCOL, "%s: a payload of %u bytes is no slice of float32", type,
                           h->slice_bytes[i]);
    ps_status status = check_segments(h, payloads, error);
    return status == PS_OK ? check_frames(h, frame_bytes, frame_count, error) : status;
}

static ps_status check_header(const Penstock__Header *h, ps_error *error)
{
    if (h->protocol != WIRE_PROTOCOL)
        return ps_fail(error, PS_EPROTOCOL, "peer speaks protocol %u; this is protocol %d", h->protocol,
                       WIRE_PROTOCOL);
    if (h->type == PENSTOCK__MESSAGE_TYPE__MESSAGE_NONE ||
        !protobuf_c_enum_descriptor_get_value(&penstock__message_type__descriptor, (int)h->type))
        return ps_fail(error, PS_EPROTOCOL, "message type %d is unknown", (int)h->type);
    const char *type = wire_type_name((wire_type)h->type);
    if (!protobuf_c_enum_descriptor_get_value(&penstock__role__descriptor, (int)h->role))
        return ps_fail(error, PS_EPROTOCOL, "%s: role %d is unknown", type, (int)h->role);
    if (is_request((int)h->type) == ((int)h->role == WIRE_PS))
        return ps_fail(error, PS_EPROTOCOL, "%s cannot come from %s %u", type,
                       wire_role_name((wire_role)h->role), h->index);
    if (h->index >= JOB_WORKERS_MAX)
        return ps_fail(error, PS_EPROTOCOL, "%s: sender index %u is out of range", type, h->index);
    if (!h->hello != ((int)h->type != WIRE_HELLO))
        return ps_fail(error, PS_EPROTOCOL, "%s %s a job", type, h->hello ? "must not carry" : "must carry");
    bool push = (int)h->type == WIRE_PUSH_PULL || (int)h->type == WIRE_PUSH;
    if (push && h->step == 0)
        return ps_fail(error, PS_EPROTOCOL, "%s: steps count from 1", type);
    if (push && !(h->clip_factor > 0.0f && h->clip_factor <= 1.0f))
        return ps_fail(error, PS_EPROTOCOL, "%s: clip factor %g is not in (0, 1]", type,
                       (double)h->clip_factor);
    if (strlen(h->text) > WIRE_TEXT_MAX)
        return ps_fail(error, PS_EPROTOCOL, "%s: a text of more than %d bytes", type, WIRE_TEXT_MAX);
    return PS_OK;
}

static ps_status message_from_header(const Penstock__Header *h, wire_message **out, ps_error *error)
{
    wire_message *m = wire_create((wire_type)h->type, (uint32_t)h->n_slice);
    if (!m)
        goto no_memory;
    m->job = h->job;
    m->role = (wire_role)h->role;
    m->index = h->index;
    m->incarnation = h->incarnation;
    m->request = h->request;
    m->step = h->step;
    m->examples = h->examples;
    m->clip_factor = h->clip_factor;
    m->nonfinite = h->nonfinite;
    m->after_finish = h->after_finish;
    m->receiver = h->receiver;
    m->examples_total = h->examples_total;
    m->job_finished = h->job_finished;
    m->status = (ps_status)h->status;
    m->settled = h->settled;
    m->reads_memory = h->reads_memory;
    m->has_payload = h->n_slice_bytes > 0;
    if (m->has_payload)
        memcpy(m->payload_bytes, h->slice_bytes, h->n_slice_bytes * sizeof *m->payload_bytes);
    for (size_t i = 0; i < h->n_slice_segment; i++)
        m->places[i] = (wire_place){.segment = h->slice_segment[i], .offset = h->slice_offset[i]};
    m->segment_count = (uint32_t)h->n_segment;
    for (size_t i = 0; i < h->n_segment; i++) {
        const Penstock__Segment *from = h->segment[i];
        m->segments[i] = (segment_name){.pid = from->pid,
                                        .fd = from->fd,
                                        .bytes = from->bytes,
                                        .token = {from->token_low, from->token_high}};
    }
    if (h->n_slice)
        memcpy(m->slices, h->slice, h->n_slice * sizeof *m->slices);
    if (h->text[0])
        wire_set_text(m, h->text);
    if (h->hello) {
        m->hello = calloc(1, sizeof *m->hello);
        if (!m->hello)
            goto no_memory;
        ps_status status = wire_job_from_proto(h->hello, m->hello, error);
        if (status != PS_OK) {
            wire_destroy(&m);
            return status;
        }
    }
    *out = m;
    return PS_OK;

no_memory:
    wire_destroy(&m);
    return ps_fail(error, PS_ENOMEM, "out of memory for a message of %zu slices", h->n_slice);
}

ps_status wire_decode(const void *header, size_t header_bytes, const size_t *frame_bytes,
                      uint32_t frame_count, wire_message **out, ps_error *error)
{
    *out = NULL;
    if (header_bytes == 0 || header_bytes > WIRE_HEADER_MAX)
        return ps_fail(error, PS_EPROTOCOL, "a header of %zu bytes; 1 to %d are allowed", header_bytes,
                       WIRE_HEADER_MAX);
    arena memory;
    arena_init(&memory, WIRE_UNPACKED_MAX);
    Penstock__Header *h = penstock__header__unpack(&memory.allocator, header_bytes, header);
    ps_status status;
    if (!h)
        status = ps_fail(error, PS_EPROTOCOL, "%zu bytes are not a message header", header_bytes);
    else
        status = check_header(h, error);
    if (status == PS_OK)
        status = check_slices(h, frame_bytes, frame_count, error);
    if (status == PS_OK)
        status = message_from_header(h, out, error);
    arena_fini(&memory);
    return status;
}

ps_status wire_job_fingerprint(const job_config *job, uint64_t *fingerprint)
{
    Penstock__Job *proto = wire_job_to_proto(job);
    if (!proto)
        return PS_ENOMEM;
    size_t bytes = penstock__job__get_packed_size(proto);
    uint8_t *packed = malloc(bytes);
    if (!packed) {
        wire_job_free(&proto);
        return PS_ENOMEM;
    }
    penstock__job__pack(proto, packed);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ packed[i]) * UINT64_C(0x100000001b3);
    *fingerprint = hash;
    free(packed);
    wire_job_free(&proto);
    return PS_OK;
}
