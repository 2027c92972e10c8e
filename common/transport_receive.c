/* transport_receive.c - frames into messages. See transport_state.h. */
#include <poll.h>
#include <string.h>

#include "common/log.h"
#include "common/recycler.h"
#include "common/transport_state.h"

/* The frames of one message; those beyond WIRE_SLICES_MAX are dropped, but counted. */
typedef struct {
    zmq_msg_t header;
    uint32_t payload_count;
    buffer *payloads[WIRE_SLICES_MAX];
    size_t payload_bytes[WIRE_SLICES_MAX];
    uint64_t wire_bytes; /* of all, where they are counted */
} frame_set;

static void close_frame(void *data, void *context)
{
    (void)data;
    zmq_msg_t *frame = context;
    zmq_msg_close(frame);
    recycler_give(frame);
}

/* A buffer with the same bytes; the frame is closed. */
static buffer *copy_frame(zmq_msg_t *received)
{
    buffer *b = buffer_alloc(zmq_msg_size(received));
    if (b)
        memcpy(buffer_data(b), zmq_msg_data(received), buffer_size(b));
    zmq_msg_close(received);
    return b;
}

/* A buffer that owns the frame. */
static buffer *wrap_frame(zmq_msg_t *received)
{
    zmq_msg_t *frame = recycler_take(sizeof *frame);
    if (!frame) {
        zmq_msg_close(received);
        return NULL;
    }
    zmq_msg_init(frame);
    zmq_msg_move(frame, received);
    buffer *b = buffer_wrap(zmq_msg_data(frame), zmq_msg_size(frame), close_frame, frame);
    if (!b)
        close_frame(NULL, frame);
    return b;
}

/* Receives a frame; NULL if there is no memory for that, and the frame is lost. Large frames have memory of
 * their own and are taken as they are. Small ones lie where they fell in ZeroMQ's receive buffer of 8 KiB,
 * mostly where no float may be. `size`: of the frame. */
static buffer *receive_buffer(void *socket, size_t *size)
{
    zmq_msg_t received;
    zmq_msg_init(&received);
    *size = 0;
    if (zmq_msg_recv(&received, socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&received);
        return NULL;
    }
    *size = zmq_msg_size(&received);
    bool aligned = (uintptr_t)zmq_msg_data(&received) % _Alignof(float) == 0;
    return aligned ? wrap_frame(&received) : copy_frame(&received);
}

static bool more_frames(void *socket)
{
    int more = 0;
    size_t bytes = sizeof more;
    zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &bytes);
    return more != 0;
}

static void receive_payloads(const transport_socket *s, frame_set *frames)
{
    frames->payload_count = 0;
    while (more_frames(s->socket)) {
        size_t size;
        buffer *b = receive_buffer(s->socket, &size);
        frames->wire_bytes += s->flow ? flow_frame_bytes(s->flow, size) : 0;
        uint32_t i = frames->payload_count++;
        if (i < WIRE_SLICES_MAX) {
            frames->payloads[i] = b;
            frames->payload_bytes[i] = b ? buffer_size(b) : 0;
        } else {
            buffer_unref(&b);
        }
    }
}

static ps_status decode_frames(frame_set *frames, wire_message **message, ps_error *error)
{
    uint32_t count = frames->payload_count;
    if (count > WIRE_SLICES_MAX)
        return ps_fail(error, PS_ELIMIT, "a message of %u frames; at most %d are allowed", count + 1,
                       WIRE_SLICES_MAX + 1);
    ps_status status = wire_decode(zmq_msg_data(&frames->header), zmq_msg_size(&frames->header),
                                   frames->payload_bytes, count, message, error);
    if (status != PS_OK)
        return status;
    wire_message *m = *message;
    for (uint32_t i = 0, frame = 0; frame < count; i++) {
        if (m->places[i].segment)
            continue;
        m->payloads[i] = frames->payloads[frame];
        frames->payloads[frame++] = NULL;
    }
    return PS_OK;
}

/* Puts buffers over the sender's memory where the message refers to it. What cannot be had stays NULL. */
static void map_payloads(attachments *others, wire_message *m)
{
    m->readable = m->segment_count > 0;
    for (uint32_t i = 0; i < m->segment_count; i++) {
        ps_error error = {PS_OK, ""};
        if (attachments_add(others, &m->segments[i], &error) == PS_OK)
            continue;
        m->readable = false;
        log_debug("%s of %s %u: %s", wire_type_name(m->type), wire_role_name(m->role), m->index, error.text);
    }
    for (uint32_t i = 0; m->readable && m->has_payload && i < m->slice_count; i++) {
        const wire_place *place = &m->places[i];
        if (place->segment)
            m->payloads[i] = attachments_buffer(others, &m->segments[place->segment - 1], place->offset,
                                                m->payload_bytes[i]);
    }
}

/* Reads the routing id that a ROUTER puts before each message. */
static bool receive_route(transport_socket *s, wire_route *from, int flags)
{
    int bytes = zmq_recv(s->socket, from->id, sizeof from->id, flags);
    if (bytes < 0)
        return false;
    from->bytes = (uint8_t)((size_t)bytes < sizeof from->id ? (size_t)bytes : sizeof from->id);
    from->fd = 0;
    return true;
}

/* ---- bundles ---- */

bool transport_has_more(const transport_socket *s)
{
    return s->received.open;
}

/* Keeps the frame, of which one message after the other will be taken. */
static ps_status open_bundle(transport_socket *s, frame_set *frames, const wire_route *from, ps_error *error)
{
    size_t bytes = zmq_msg_size(&frames->header);
    if (frames->payload_count > 0 || bytes > BUNDLE_BYTES_MAX)
        return ps_fail(error, bytes > BUNDLE_BYTES_MAX ? PS_ELIMIT : PS_EPROTOCOL,
                       "a bundle of %zu bytes and %u further frames; at most %d bytes, and no frames, are "
                       "allowed",
                       bytes, frames->payload_count, BUNDLE_BYTES_MAX);
    zmq_msg_init(&s->received.frame);
    zmq_msg_move(&s->received.frame, &frames->header);
    const uint8_t *at = zmq_msg_data(&s->received.frame);
    s->received.open = true;
    s->received.rest = (bundle_reader){at, at + bytes};
    if (from)
        s->received.from = *from;
    return PS_OK;
}

static void close_bundle(transport_socket *s)
{
    s->received.open = false;
    zmq_msg_close(&s->received.frame);
}

static ps_status take_from_bundle(transport_socket *s, wire_message **message, ps_error *error)
{
    const uint8_t *header;
    size_t bytes;
    ps_status status;
    if (bundle_next(&s->received.rest, &header, &bytes) == BUNDLE_HEADER)
        status = wire_decode(header, bytes, NULL, 0, message, error);
    else
        status = ps_fail(error, PS_EPROTOCOL, "a bundle holds what is no message");
    if (status != PS_OK || s->received.rest.at == s->received.rest.end)
        close_bundle(s); /* who sends one thing that is no message sends no others */
    return status;
}

/* ---- one message after the other ---- */

/* The next message as ZeroMQ has it. */
static bool receive_frames(transport_socket *s, int flags, wire_route *from, frame_set *frames)
{
    if (s->router && !receive_route(s, from, flags))
        return false;
    zmq_msg_init(&frames->header);
    if (zmq_msg_recv(&frames->header, s->socket, s->router ? ZMQ_DONTWAIT : flags) < 0) {
        zmq_msg_close(&frames->header);
        return false;
    }
    frames->wire_bytes = s->flow ? flow_frame_bytes(s->flow, zmq_msg_size(&frames->header)) : 0;
    receive_payloads(s, frames);
    if (s->flow) {
        from->fd = zmq_msg_get(&frames->header, ZMQ_SRCFD);
        flow_take(s->flow, from, frames->wire_bytes);
    }
    return true;
}

static void close_frames(frame_set *frames)
{
    uint32_t held = frames->payload_count < WIRE_SLICES_MAX ? frames->payload_count : WIRE_SLICES_MAX;
    for (uint32_t i = 0; i < held; i++)
        buffer_unref(&frames->payloads[i]);
    zmq_msg_close(&frames->header);
}

/* The message that the frames are, or the first of the bundle. */
static ps_status take_first(transport_socket *s, frame_set *frames, const wire_route *from,
                            wire_message **message, ps_error *error)
{
    ps_status status = PS_OK;
    if (s->transport->guard)
        status = transport_curve_sender(s->transport, &frames->header, &s->received.sender, error);
    if (status != PS_OK) {
        s->received.is_stranger = true;
        return status;
    }
    if (!bundle_is(zmq_msg_data(&frames->header), zmq_msg_size(&frames->header)))
        return decode_frames(frames, message, error);
    status = open_bundle(s, frames, from, error);
    return status == PS_OK ? take_from_bundle(s, message, error) : status;
}

/* Is the sender who it says it is? Else the message is dropped. */
static ps_status check_sender(transport_socket *s, wire_message **message, ps_error *error)
{
    ps_status status = transport_curve_check(&s->received.sender, *message, error);
    s->received.is_stranger = status != PS_OK;
    if (status != PS_OK)
        wire_destroy(message);
    return status;
}

bool transport_refused_a_key(const transport_socket *s)
{
    return s->received.is_stranger;
}

static transport_event receive(transport_socket *s, int flags, wire_route *from, wire_message **message,
                               ps_error *error)
{
    ps_status status = PS_OK;
    frame_set frames;
    *message = NULL;
    s->received.is_stranger = false;
    if (s->received.open) {
        if (from)
            *from = s->received.from;
        status = take_from_bundle(s, message, error);
    } else if (!receive_frames(s, flags, from, &frames)) {
        if (s->door)
            door_note_empty(s->door);
        return TRANSPORT_NOTHING;
    } else {
        status = take_first(s, &frames, from, message, error);
        close_frames(&frames);
    }
    if (status == PS_OK && s->transport->guard)
        status = check_sender(s, message, error);
    if (status == PS_OK && s->door)
        door_know(s->door, from->fd);
    if (status == PS_OK && s->transport->others)
        map_payloads(s->transport->others, *message);
    return status == PS_OK ? TRANSPORT_MESSAGE : TRANSPORT_REFUSED;
}

transport_event transport_receive(transport_socket *s, wire_route *from, wire_message **message,
                                  ps_error *error)
{
    return receive(s, ZMQ_DONTWAIT, from, message, error);
}

void transport_watch(transport_socket *s, int fd)
{
    s->watched = fd;
}

/* The socket's descriptor tells of news only: hence the look before the wait. */
static transport_event await_either(transport_socket *s, int timeout_ms, wire_route *from,
                                    wire_message **message, ps_error *error)
{
    transport_event event = receive(s, ZMQ_DONTWAIT, from, message, error);
    if (event != TRANSPORT_NOTHING)
        return event;
    struct pollfd items[] = {{.fd = s->descriptor, .events = POLLIN}, {.fd = s->watched, .events = POLLIN}};
    poll(items, 2, timeout_ms); /* a signal ends it early; the caller looks */
    return receive(s, ZMQ_DONTWAIT, from, message, error);
}

transport_event transport_await(transport_socket *s, int timeout_ms, wire_route *from, wire_message **message,
                                ps_error *error)
{
    if (s->watched > 0)
        return await_either(s, timeout_ms, from, message, error);
    if (s->patience_ms != timeout_ms) {
        zmq_setsockopt(s->socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
        s->patience_ms = timeout_ms;
    }
    return receive(s, 0, from, message, error);
}
