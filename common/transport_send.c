/* transport_send.c - messages into frames. See transport_state.h. */
#include <errno.h>
#include <string.h>

#include "common/transport_state.h"

/* ZeroMQ's queues hand a buffer over to its I/O thread, which ThreadSanitizer cannot see; so it is told. */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define HAND_OVER(b) __tsan_release(b)
#define TAKE_OVER(b) __tsan_acquire(b)
#else
#define HAND_OVER(b) ((void)(b))
#define TAKE_OVER(b) ((void)(b))
#endif

enum { COPIED_BYTES_MAX = 1024 }; /* of a frame that is not sent by reference */

static void unref_frame(void *data, void *hint)
{
    (void)data;
    buffer *b = hint;
    TAKE_OVER(b);
    buffer_unref(&b);
}

/* Sends a frame, and closes it whatever happens. */
static int send_frame(void *socket, zmq_msg_t *frame, int flags)
{
    int rc = zmq_msg_send(frame, socket, flags | ZMQ_DONTWAIT);
    int cause = errno;
    if (rc < 0)
        zmq_msg_close(frame);
    errno = cause;
    return rc;
}

/* A frame of the buffer's bytes; takes the reference, whatever happens. It goes by reference unless it is so
 * small that to be told of its end would cost more than the bytes. */
static int fill_frame(zmq_msg_t *frame, buffer *b)
{
    size_t bytes = buffer_size(b);
    int rc;
    if (bytes > COPIED_BYTES_MAX) {
        void *data = buffer_data(b);
        HAND_OVER(b); /* from here on it is ZeroMQ's */
        rc = zmq_msg_init_data(frame, data, bytes, unref_frame, b);
        if (rc == 0)
            return 0;
    } else {
        rc = zmq_msg_init_size(frame, bytes);
        if (rc == 0)
            memcpy(zmq_msg_data(frame), buffer_bytes(b), bytes);
    }
    buffer_unref(&b);
    return rc;
}

static void *allocate_header(void *context, size_t bytes)
{
    zmq_msg_t *frame = context;
    return zmq_msg_init_size(frame, bytes) == 0 ? zmq_msg_data(frame) : NULL;
}

/* Says for whom a ROUTER's message is. If that cannot be taken, closes its first frame. */
static bool send_route(transport_socket *s, const wire_route *to, zmq_msg_t *first)
{
    const bool has_room = !s->flow || flow_has_room(s->flow, to, TRANSPORT_OUTBOX_BYTES);
    if (has_room && zmq_send(s->socket, to->id, to->bytes, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0)
        return true;
    int cause = has_room ? errno : EAGAIN;
    zmq_msg_close(first);
    errno = cause;
    return false;
}

/* Bytes of the frames of a message, as they travel. */
static uint64_t count_bytes(const flow *f, const wire_message *m, size_t header_bytes)
{
    uint64_t bytes = flow_frame_bytes(f, header_bytes);
    for (uint32_t i = 0; !m->inlined && m->has_payload && i < m->slice_count; i++)
        bytes += m->places[i].segment ? 0 : flow_frame_bytes(f, buffer_size(m->payloads[i]));
    return bytes;
}

/* Once the first frame of a message is taken, ZeroMQ takes the rest, or drops it all if the peer is gone. */
static ps_status send_frames(transport_socket *s, const wire_route *to, wire_message *m, zmq_msg_t *header)
{
    uint32_t frames = wire_frames(m);
    int more = frames ? ZMQ_SNDMORE : 0;
    const uint64_t bytes = s->flow ? count_bytes(s->flow, m, zmq_msg_size(header)) : 0;
    if (s->router && !send_route(s, to, header))
        return errno == EAGAIN ? PS_ESTATE : PS_EPEER;
    if (s->flow)
        flow_hand(s->flow, to, bytes);
    if (send_frame(s->socket, header, more) < 0)
        return errno == EAGAIN ? PS_ESTATE : PS_EPEER;
    for (uint32_t i = 0; frames > 0; i++) {
        if (m->places[i].segment)
            continue;
        buffer *payload = m->payloads[i];
        m->payloads[i] = NULL;
        zmq_msg_t frame;
        if (fill_frame(&frame, payload) != 0 || send_frame(s->socket, &frame, --frames ? ZMQ_SNDMORE : 0) < 0)
            return PS_EPEER;
    }
    return PS_OK;
}

/* The number of a segment in the message, 1 and up, added if it is not there; 0 if there is no room. */
static uint32_t number_segment(wire_message *m, const segment_name *name)
{
    uint32_t i = 0;
    while (i < m->segment_count && (m->segments[i].fd != name->fd || m->segments[i].pid != name->pid))
        i++;
    if (i == WIRE_SEGMENTS_MAX)
        return 0;
    if (i == m->segment_count)
        m->segments[m->segment_count++] = *name;
    return i + 1;
}

/* Finds the places of payloads that need not be sent, or the segment that the receiver is to try. */
static void refer_to_memory(pool *own, wire_message *m)
{
    segment_name name;
    m->segment_count = 0;
    if (m->type == WIRE_HELLO || m->type == WIRE_WELCOME) {
        if (pool_sample(own, &name))
            m->segments[m->segment_count++] = name;
        return;
    }
    for (uint32_t i = 0; m->has_payload && i < m->slice_count; i++) {
        wire_place *place = &m->places[i];
        *place = (wire_place){0};
        const buffer *b = m->payloads[i];
        if (m->by_reference && pool_locate(own, buffer_bytes(b), buffer_size(b), &name, &place->offset))
            place->segment = number_segment(m, &name);
    }
}

/* Decides how each payload travels. */
static void prepare(transport_socket *s, wire_message *m)
{
    if (s->transport->own)
        refer_to_memory(s->transport->own, m);
    wire_inline_small(m);
}

static ps_status send_alone(transport_socket *s, const wire_route *to, wire_message **message)
{
    zmq_msg_t header;
    ps_status status = wire_encode_with(*message, allocate_header, &header);
    if (status == PS_OK)
        status = send_frames(s, to, *message, &header);
    if (status != PS_ESTATE)
        wire_destroy(message);
    return status;
}

ps_status transport_send(transport_socket *s, const wire_route *to, wire_message **message)
{
    prepare(s, *message);
    return send_alone(s, to, message);
}

static void *allocate_in_bundle(void *context, size_t bytes)
{
    return bundle_add(context, bytes);
}

static ps_status send_bundle(transport_socket *s, const wire_route *to, const bundle_writer *bundle)
{
    zmq_msg_t frame;
    if (zmq_msg_init_size(&frame, bundle->used) != 0)
        return PS_ENOMEM;
    memcpy(zmq_msg_data(&frame), bundle->bytes, bundle->used);
    if (s->router && !send_route(s, to, &frame))
        return errno == EAGAIN ? PS_ESTATE : PS_EPEER;
    if (s->flow)
        flow_hand(s->flow, to, flow_frame_bytes(s->flow, bundle->used));
    if (send_frame(s->socket, &frame, 0) < 0)
        return errno == EAGAIN ? PS_ESTATE : PS_EPEER;
    return PS_OK;
}

/* How many of the messages, from the first on, share a frame? All but HELLO, which is also for those who know
 * no bundles. Prepares the first one at least. */
static uint32_t count_sharers(transport_socket *s, wire_message **messages, uint32_t count)
{
    uint32_t sharers = 0;
    for (; sharers < count; sharers++) {
        wire_message *m = messages[sharers];
        prepare(s, m);
        if (m->hello || wire_frames(m) > 0)
            break;
    }
    return sharers;
}

/* Returns how many fit. */
static uint32_t fill_bundle(bundle_writer *bundle, wire_message *const *messages, uint32_t count)
{
    uint32_t filled = 0;
    bundle->used = 0;
    while (filled < count && wire_encode_with(messages[filled], allocate_in_bundle, bundle) == PS_OK)
        filled++;
    return filled;
}

/* Sends some of the messages, from the first on; returns how many, 0 if none can be taken now. */
static uint32_t send_some(transport_socket *s, const wire_route *to, wire_message **messages, uint32_t count)
{
    bundle_writer bundle;
    uint32_t sharers = count_sharers(s, messages, count);
    uint32_t bundled = sharers > 1 ? fill_bundle(&bundle, messages, sharers) : 0;
    if (bundled < 2)
        return send_alone(s, to, messages) != PS_ESTATE;
    if (send_bundle(s, to, &bundle) == PS_ESTATE)
        return 0;
    for (uint32_t i = 0; i < bundled; i++)
        wire_destroy(&messages[i]);
    return bundled;
}

uint32_t transport_send_together(transport_socket *s, const wire_route *to, wire_message **messages,
                                 uint32_t count)
{
    uint32_t sent = 0, more = 1;
    for (; sent < count && more > 0; sent += more)
        more = send_some(s, to, messages + sent, count - sent);
    return sent;
}
