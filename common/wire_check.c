/* wire_check.c - see wire_check.h. */
#include "common/wire_check.h"

static const char *type_of(const wire_header *h)
{
    return wire_type_name(h->message.type);
}

static bool is_request(wire_type type)
{
    return type >= WIRE_HELLO && type <= WIRE_STOP;
}

/* What only an administrator may ask for, who may ask for nothing else. */
static bool administers(wire_type type)
{
    return type == WIRE_CHECKPOINT || type == WIRE_STOP;
}

static bool is_answer(wire_type type)
{
    return type >= WIRE_WELCOME && type <= WIRE_ERROR;
}

static bool is_push(wire_type type)
{
    return type == WIRE_PUSH_PULL || type == WIRE_PUSH;
}

static bool carries_slices(wire_type type)
{
    return is_push(type) || type == WIRE_PULL || type == WIRE_WEIGHTS;
}

/* Does a message of this type carry the bytes of its slices? A push of a worker that has no examples left
 * carries none. */
static bool carries_payload(const wire_message *m)
{
    return m->type == WIRE_WEIGHTS || (is_push(m->type) && m->examples > 0);
}

static ps_status check_sender(const wire_header *h, ps_error *error)
{
    const wire_message *m = &h->message;
    if (h->protocol != WIRE_PROTOCOL)
        return ps_fail(error, PS_EPROTOCOL, "peer speaks protocol %u; this is protocol %d", h->protocol,
                       WIRE_PROTOCOL);
    if (!is_request(m->type) && !is_answer(m->type))
        return ps_fail(error, PS_EPROTOCOL, "message type %d is unknown", (int)m->type);
    if ((unsigned)m->role > WIRE_ADMINISTRATOR)
        return ps_fail(error, PS_EPROTOCOL, "%s: role %d is unknown", type_of(h), (int)m->role);
    if (is_request(m->type) == (m->role == WIRE_PS) ||
        administers(m->type) != (m->role == WIRE_ADMINISTRATOR))
        return ps_fail(error, PS_EPROTOCOL, "%s cannot come from %s %u", type_of(h), wire_role_name(m->role),
                       m->index);
    if (m->index >= JOB_WORKERS_MAX)
        return ps_fail(error, PS_EPROTOCOL, "%s: sender index %u is out of range", type_of(h), m->index);
    return PS_OK;
}

static ps_status check_fields(const wire_header *h, ps_error *error)
{
    const wire_message *m = &h->message;
    if (!h->hello != (m->type != WIRE_HELLO))
        return ps_fail(error, PS_EPROTOCOL, "%s %s a job", type_of(h),
                       h->hello ? "must not carry" : "must carry");
    if (is_push(m->type) && m->step == 0)
        return ps_fail(error, PS_EPROTOCOL, "%s: steps count from 1", type_of(h));
    if (is_push(m->type) && !(m->clip_factor > 0.0f && m->clip_factor <= 1.0f))
        return ps_fail(error, PS_EPROTOCOL, "%s: clip factor %g is not in (0, 1]", type_of(h),
                       (double)m->clip_factor);
    const bool tells = m->type == WIRE_HEARTBEAT || m->type == WIRE_FINISH;
    if (h->figures_bytes > (tells ? FIGURES_BYTES_MAX : 0))
        return ps_fail(error, PS_EPROTOCOL,
                       "%s: %zu bytes of figures; HEARTBEAT and FINISH have at most %d, others none",
                       type_of(h), h->figures_bytes, FIGURES_BYTES_MAX);
    if (h->text_bytes > WIRE_TEXT_MAX)
        return ps_fail(error, PS_EPROTOCOL, "%s: a text of more than %d bytes", type_of(h), WIRE_TEXT_MAX);
    return PS_OK;
}

/* Whether the changes themselves are possible is judged where the number of workers is known. */
static ps_status check_members(const wire_header *h, ps_error *error)
{
    const wire_type type = h->message.type;
    const uint32_t count = h->change_step_count;
    const bool tells = type == WIRE_HELLO || type == WIRE_RESTORE || type == WIRE_WELCOME;
    if (count != h->change_worker_count || count > MEMBERS_CHANGES_MAX)
        return ps_fail(error, PS_EPROTOCOL, "%s: %u steps and %u workers of changes of members; at most %d",
                       type_of(h), count, h->change_worker_count, MEMBERS_CHANGES_MAX);
    return tells || count == 0 ? PS_OK
                               : ps_fail(error, PS_EPROTOCOL, "%s must not tell of members", type_of(h));
}

/* Offsets are judged here against the lengths that the segments claim, and those when they are mapped. */
static ps_status check_segments(const wire_header *h, uint32_t payloads, ps_error *error)
{
    const wire_message *m = &h->message;
    const uint32_t expected = h->place_count ? payloads : 0;
    if (m->segment_count > WIRE_SEGMENTS_MAX)
        return ps_fail(error, PS_EPROTOCOL, "%s names %u segments; at most %d are allowed", type_of(h),
                       m->segment_count, WIRE_SEGMENTS_MAX);
    if (h->place_count != expected || h->offset_count != expected)
        return ps_fail(error, PS_EPROTOCOL, "%s of %u payloads has %u segment numbers and %u offsets",
                       type_of(h), payloads, h->place_count, h->offset_count);
    for (uint32_t i = 0; i < expected; i++) {
        const uint32_t number = h->places[i];
        if (number == 0)
            continue;
        if (number > m->segment_count)
            return ps_fail(error, PS_EPROTOCOL, "%s: slice %u lies in segment %u of %u", type_of(h),
                           h->slices[i], number, m->segment_count);
        const uint64_t bytes = m->segments[number - 1].bytes, offset = h->offsets[i];
        if (offset % sizeof(float) || offset > bytes || bytes - offset < h->lengths[i])
            return ps_fail(error, PS_EPROTOCOL, "%s: slice %u, %u bytes at %llu, is not in a segment of %llu",
                           type_of(h), h->slices[i], h->lengths[i], (unsigned long long)offset,
                           (unsigned long long)bytes);
    }
    return PS_OK;
}

/* The frames that came are the payloads that lie in no segment. */
static ps_status check_frames(const wire_header *h, const size_t *frame_bytes, uint32_t frame_count,
                              ps_error *error)
{
    uint32_t expected = 0;
    for (uint32_t i = 0; i < h->length_count && h->inlined_bytes == 0; i++) {
        if (h->place_count && h->places[i])
            continue;
        if (expected < frame_count && h->lengths[i] != frame_bytes[expected])
            return ps_fail(error, PS_EPROTOCOL, "%s: the frame of slice %u has %zu bytes, its header says %u",
                           type_of(h), h->slices[i], frame_bytes[expected], h->lengths[i]);
        expected++;
    }
    if (frame_count != expected)
        return ps_fail(error, PS_EPROTOCOL, "%s of %u slices and %u examples has %u frames, not %u",
                       type_of(h), h->slice_count, h->message.examples, frame_count, expected);
    return PS_OK;
}

/* Payloads within the header are small, and all that lie in no segment. */
static ps_status check_inlined(const wire_header *h, ps_error *error)
{
    uint64_t expected = 0;
    for (uint32_t i = 0; i < h->length_count; i++)
        expected += h->place_count && h->places[i] ? 0 : h->lengths[i];
    if (h->inlined_bytes > WIRE_INLINED_MAX || (h->inlined_bytes > 0 && h->inlined_bytes != expected))
        return ps_fail(error, PS_EPROTOCOL,
                       "%s: %zu bytes of payloads lie in its header; there are %llu, and at most %d may",
                       type_of(h), h->inlined_bytes, (unsigned long long)expected, WIRE_INLINED_MAX);
    return PS_OK;
}

static ps_status check_slices(const wire_header *h, uint32_t payloads, ps_error *error)
{
    const wire_message *m = &h->message;
    if (h->slice_count > WIRE_SLICES_MAX)
        return ps_fail(error, PS_EPROTOCOL, "%s names %u slices; at most %d are allowed", type_of(h),
                       h->slice_count, WIRE_SLICES_MAX);
    if (h->slice_count && !carries_slices(m->type))
        return ps_fail(error, PS_EPROTOCOL, "%s names slices, which it must not", type_of(h));
    for (uint32_t i = 1; i < h->slice_count; i++)
        if (h->slices[i] <= h->slices[i - 1])
            return ps_fail(error, PS_EPROTOCOL, "%s: slice %u follows slice %u; numbers must rise",
                           type_of(h), h->slices[i], h->slices[i - 1]);
    if (h->length_count != payloads)
        return ps_fail(error, PS_EPROTOCOL, "%s of %u slices and %u examples has %u payload lengths, not %u",
                       type_of(h), h->slice_count, m->examples, h->length_count, payloads);
    for (uint32_t i = 0; i < payloads; i++)
        if (h->lengths[i] == 0 || h->lengths[i] > WIRE_FRAME_MAX)
            return ps_fail(error, PS_EPROTOCOL, "%s: a payload of %u bytes; it has 1 to %u", type_of(h),
                           h->lengths[i], WIRE_FRAME_MAX);
    return PS_OK;
}

ps_status wire_check(const wire_header *h, const size_t *frame_bytes, uint32_t frame_count, ps_error *error)
{
    const uint32_t payloads = carries_payload(&h->message) ? h->slice_count : 0;
    ps_status status = check_sender(h, error);
    if (status == PS_OK)
        status = check_fields(h, error);
    if (status == PS_OK)
        status = check_members(h, error);
    if (status == PS_OK)
        status = check_slices(h, payloads, error);
    if (status == PS_OK)
        status = check_segments(h, payloads, error);
    if (status == PS_OK)
        status = check_inlined(h, error);
    if (status == PS_OK)
        status = check_frames(h, frame_bytes, frame_count, error);
    return status;
}
