/* wire.c - see wire.h. */
#include "common/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/recycler.h"
#include "common/wire_check.h"
#include "common/wire_header.h"
#include "common/wire_job.h"

/* The wire's types and roles are the schema's, under names that read well in C. */
static_assert((int)WIRE_HELLO == PENSTOCK__MESSAGE_TYPE__HELLO, "schema and wire.h disagree");
static_assert((int)WIRE_STOP == PENSTOCK__MESSAGE_TYPE__STOP, "schema and wire.h disagree");
static_assert((int)WIRE_WELCOME == PENSTOCK__MESSAGE_TYPE__WELCOME, "schema and wire.h disagree");
static_assert((int)WIRE_ERROR == PENSTOCK__MESSAGE_TYPE__ERROR, "schema and wire.h disagree");
static_assert((int)WIRE_ADMINISTRATOR == PENSTOCK__ROLE__ADMINISTRATOR, "schema and wire.h disagree");
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
    case WIRE_ADMINISTRATOR:
        return "administrator";
    }
    return "?";
}

wire_message *wire_create(wire_type type, uint32_t slice_count)
{
    /* One block: the message, then places, payload pointers, slice numbers and lengths. */
    const size_t list_bytes = slice_count * (sizeof(wire_place) + sizeof(buffer *) + 2 * sizeof(uint32_t));
    wire_message *m = recycler_take(sizeof *m + list_bytes);
    if (!m)
        return NULL;
    memset(m, 0, sizeof *m + list_bytes);
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
    if (m->members) {
        members_fini(m->members);
        free(m->members);
    }
    free(m->text);
    free(m->figures);
    recycler_give(m);
}

void wire_set_text(wire_message *m, const char *text)
{
    free(m->text);
    m->text = strndup(text, WIRE_TEXT_MAX);
}

/* Bytes with nothing behind them are none. */
static void set_figures(wire_message *m, const uint8_t *bytes, size_t count)
{
    m->figures = count > 0 ? malloc(count) : NULL;
    m->figures_bytes = m->figures ? (uint32_t)count : 0;
    if (m->figures)
        memcpy(m->figures, bytes, count);
}

void wire_set_figures(wire_message *m, const worker_figures *figures)
{
    uint8_t packed[FIGURES_BYTES_MAX];
    free(m->figures);
    set_figures(m, packed, figures_pack(figures, packed));
}

ps_status wire_set_members(wire_message *m, const members_list *list)
{
    assert(!m->members);
    m->members_version = list->version;
    if (list->count == 0)
        return PS_OK;
    m->members = calloc(1, sizeof *m->members);
    return m->members ? members_copy(list, m->members) : PS_ENOMEM;
}

void wire_inline_small(wire_message *m)
{
    size_t bytes = 0;
    m->inlined = false;
    for (uint32_t i = 0; m->has_payload && i < m->slice_count && bytes <= WIRE_INLINED_MAX; i++)
        bytes += m->places[i].segment ? 0 : buffer_size(m->payloads[i]);
    m->inlined = bytes > 0 && bytes <= WIRE_INLINED_MAX;
}

bool wire_is_same_route(const wire_route *a, const wire_route *b)
{
    return a->bytes == b->bytes && memcmp(a->id, b->id, a->bytes) == 0;
}

uint32_t wire_frames(const wire_message *m)
{
    uint32_t frames = 0;
    for (uint32_t i = 0; m->has_payload && !m->inlined && i < m->slice_count; i++)
        frames += m->places[i].segment == 0;
    return frames;
}

ps_status wire_encode_with(const wire_message *m, wire_allocate *allocate, void *context)
{
    Penstock__Job *hello = NULL;
    if (m->hello) {
        hello = wire_job_to_proto(m->hello);
        if (!hello)
            return PS_ENOMEM;
    }
    const wire_header_size size = wire_header_measure(m, hello);
    uint8_t *header = allocate(context, size.bytes);
    if (header)
        wire_header_write(m, hello, size, header);
    wire_job_free(&hello);
    return header ? PS_OK : PS_ENOMEM;
}

static void *allocate_buffer(void *context, size_t bytes)
{
    buffer **header = context;
    *header = buffer_alloc(bytes);
    return *header ? buffer_data(*header) : NULL;
}

ps_status wire_encode(const wire_message *m, buffer **header)
{
    *header = NULL;
    return wire_encode_with(m, allocate_buffer, header);
}

/* The Job of a HELLO, unpacked by protobuf-c in bounded memory. */
static ps_status read_job(const wire_header *h, job_config **out, ps_error *error)
{
    job_config *job = calloc(1, sizeof *job);
    *out = job;
    if (!job)
        return ps_fail(error, PS_ENOMEM, "out of memory for the job of a HELLO");
    arena memory;
    arena_init(&memory, WIRE_UNPACKED_MAX);
    const Penstock__Job *proto = penstock__job__unpack(&memory.allocator, h->hello_bytes, h->hello);
    const ps_status status =
        proto ? wire_job_from_proto(proto, job, error)
              : ps_fail(error, PS_EPROTOCOL, "HELLO: %zu bytes are not a job", h->hello_bytes);
    arena_fini(&memory);
    return status;
}

/* Payloads that travelled within the header get memory of their own, in which floats may lie. */
static ps_status take_inlined(const wire_header *h, wire_message *m)
{
    const uint8_t *at = h->inlined;
    m->inlined = h->inlined_bytes > 0;
    for (uint32_t i = 0; m->inlined && i < m->slice_count; i++) {
        if (m->places[i].segment)
            continue;
        m->payloads[i] = buffer_alloc(m->payload_bytes[i]);
        if (!m->payloads[i])
            return PS_ENOMEM;
        memcpy(buffer_data(m->payloads[i]), at, m->payload_bytes[i]);
        at += m->payload_bytes[i];
    }
    return PS_OK;
}

static ps_status take_members(const wire_header *h, wire_message *m, ps_error *error)
{
    ps_status status = PS_OK;
    if (h->change_step_count == 0)
        return PS_OK;
    m->members = calloc(1, sizeof *m->members);
    if (!m->members)
        return ps_fail(error, PS_ENOMEM, "out of memory for a list of members");
    m->members->version = m->members_version;
    for (uint32_t i = 0; i < h->change_step_count && status == PS_OK; i++) {
        const uint32_t bits = h->change_workers[i];
        const members_change change = {.from = h->change_steps[i], .worker = bits >> 1, .enters = bits & 1};
        status = members_add(m->members, &change, error);
    }
    return status;
}

static ps_status message_from_header(const wire_header *h, wire_message **out, ps_error *error)
{
    const wire_message *said = &h->message;
    wire_message *m = wire_create(said->type, h->slice_count);
    if (!m)
        return ps_fail(error, PS_ENOMEM, "out of memory for a message of %u slices", h->slice_count);
    memcpy(m, said, offsetof(wire_message, text)); /* the scalars */
    m->segment_count = said->segment_count;
    memcpy(m->segments, said->segments, said->segment_count * sizeof *m->segments);
    m->has_payload = h->length_count > 0;
    memcpy(m->slices, h->slices, h->slice_count * sizeof *m->slices);
    memcpy(m->payload_bytes, h->lengths, h->length_count * sizeof *m->payload_bytes);
    for (uint32_t i = 0; i < h->place_count; i++)
        m->places[i] = (wire_place){.segment = h->places[i], .offset = h->offsets[i]};
    if (h->text_bytes > 0)
        m->text = strndup((const char *)h->text, h->text_bytes);
    set_figures(m, h->figures, h->figures_bytes);
    ps_status status = take_inlined(h, m);
    if (status != PS_OK)
        ps_fail(error, status, "out of memory for the payloads of a message of %u slices", h->slice_count);
    else if (h->hello)
        status = read_job(h, &m->hello, error);
    if (status == PS_OK)
        status = take_members(h, m, error);
    if (status != PS_OK)
        wire_destroy(&m);
    *out = m;
    return status;
}

ps_status wire_decode(const void *header, size_t header_bytes, const size_t *frame_bytes,
                      uint32_t frame_count, wire_message **out, ps_error *error)
{
    *out = NULL;
    if (header_bytes == 0 || header_bytes > WIRE_HEADER_MAX)
        return ps_fail(error, header_bytes ? PS_ELIMIT : PS_EPROTOCOL,
                       "a header of %zu bytes; 1 to %d are allowed", header_bytes, WIRE_HEADER_MAX);
    wire_header h;
    if (!wire_header_read(header, header_bytes, &h))
        return ps_fail(error, PS_EPROTOCOL, "%zu bytes are not a message header", header_bytes);
    ps_status status = wire_check(&h, frame_bytes, frame_count, error);
    return status == PS_OK ? message_from_header(&h, out, error) : status;
}

ps_status wire_job_pack(const job_config *job, uint8_t **bytes, size_t *count)
{
    *bytes = NULL;
    Penstock__Job *proto = wire_job_to_proto(job);
    if (!proto)
        return PS_ENOMEM;
    *count = penstock__job__get_packed_size(proto);
    *bytes = malloc(*count + 1);
    if (*bytes)
        penstock__job__pack(proto, *bytes);
    wire_job_free(&proto);
    return *bytes ? PS_OK : PS_ENOMEM;
}

ps_status wire_job_unpack(const uint8_t *bytes, size_t count, job_config *job, ps_error *error)
{
    arena memory;
    arena_init(&memory, WIRE_UNPACKED_MAX);
    const Penstock__Job *proto = penstock__job__unpack(&memory.allocator, count, bytes);
    const ps_status status =
        proto ? wire_job_from_proto(proto, job, error)
              : ps_fail(error, PS_EPROTOCOL, "%zu bytes are not the description of a job", count);
    arena_fini(&memory);
    return status;
}

ps_status wire_job_fingerprint(const job_config *job, uint64_t *fingerprint)
{
    uint8_t *packed;
    size_t bytes;
    if (wire_job_pack(job, &packed, &bytes) != PS_OK)
        return PS_ENOMEM;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ packed[i]) * UINT64_C(0x100000001b3);
    *fingerprint = hash;
    free(packed);
    return PS_OK;
}
