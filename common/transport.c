/* transport.c - see transport.h. */
#include "common/transport.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "common/attachments.h"
#include "common/log.h"
#include "common/recycler.h"

/* ZeroMQ's queues hand a buffer over to its I/O thread, which ThreadSanitizer cannot see; so it is told. */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define HAND_OVER(b) __tsan_release(b)
#define TAKE_OVER(b) __tsan_acquire(b)
#else
#define HAND_OVER(b) ((void)(b))
#define TAKE_OVER(b) ((void)(b))
#endif

#define ZAP_DOMAIN "penstock"

enum {
    BACKLOG = 1024,
    RECONNECT_FIRST_MS = 50,
    RECONNECT_MAX_MS = 1000,
    POLL_MAX = JOB_SERVERS_MAX,
    COPIED_BYTES_MAX = 1024,       /* of a frame that is not sent by reference */
    MALLOC_MAP_BYTES = 32 << 20,   /* smaller allocations are not mapped one by one; glibc refuses more */
    MALLOC_KEEP_BYTES = 256 << 20, /* freed memory up to this stays mapped */
};

struct transport {
    void *context;
    pool *own;           /* what others may map; NULL: nothing is shared */
    attachments *others; /* NULL likewise */
};

struct transport_socket {
    transport *transport;
    void *socket;
    bool router;
    int descriptor;  /* readable when there may be news */
    int patience_ms; /* as set by ZMQ_RCVTIMEO */
    int watched;     /* 0: none */
};

ps_status transport_create(int io_threads, transport **out, ps_error *error)
{
    *out = NULL;
    transport *t = calloc(1, sizeof *t);
    if (!t)
        return ps_fail(error, PS_ENOMEM, "out of memory for the transport");
    assert(io_threads > 0);
    t->context = zmq_ctx_new();
    if (!t->context) {
        free(t);
        return ps_fail(error, PS_EIO, "cannot start ZeroMQ: %s", zmq_strerror(errno));
    }
    zmq_ctx_set(t->context, ZMQ_IPV6, 1);
    zmq_ctx_set(t->context, ZMQ_IO_THREADS, io_threads);
    /* With glibc's defaults each frame of 128 KiB and more is mapped, faulted in page by page and unmapped. A
     * sanitizer's malloc knows no such setting. */
    mallopt(M_MMAP_THRESHOLD, MALLOC_MAP_BYTES);
    mallopt(M_TRIM_THRESHOLD, MALLOC_KEEP_BYTES);
    *out = t;
    return PS_OK;
}

void transport_destroy(transport **t)
{
    if (!*t)
        return;
    while (zmq_ctx_term((*t)->context) != 0 && errno == EINTR)
        ;
    attachments_destroy(&(*t)->others);
    free(*t);
    *t = NULL;
}

ps_status transport_share(transport *t, pool *own)
{
    ps_status status = t->others ? PS_OK : attachments_create(&t->others);
    if (status == PS_OK)
        t->own = own;
    return status;
}

void transport_sweep(transport *t)
{
    if (t->others)
        attachments_sweep(t->others);
}

static void set_int(void *socket, int option, int value)
{
    int rc = zmq_setsockopt(socket, option, &value, sizeof value);
    assert(rc == 0);
    (void)rc;
}

static transport_socket *open_socket(transport *t, int type, ps_error *error)
{
    transport_socket *s = calloc(1, sizeof *s);
    if (!s) {
        ps_fail(error, PS_ENOMEM, "out of memory for a socket");
        return NULL;
    }
    s->transport = t;
    s->router = type == ZMQ_ROUTER;
    s->patience_ms = -1; /* ZeroMQ's default */
    s->socket = zmq_socket(t->context, type);
    if (!s->socket) {
        ps_fail(error, PS_EIO, "cannot open a socket: %s", zmq_strerror(errno));
        free(s);
        return NULL;
    }
    size_t bytes = sizeof s->descriptor;
    zmq_getsockopt(s->socket, ZMQ_FD, &s->descriptor, &bytes);
    int64_t frame_max = WIRE_FRAME_MAX;
    zmq_setsockopt(s->socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max);
    set_int(s->socket, ZMQ_LINGER, 0);
    set_int(s->socket, ZMQ_SNDHWM, TRANSPORT_QUEUE_MAX);
    set_int(s->socket, ZMQ_RCVHWM, TRANSPORT_QUEUE_MAX);
    if (s->router) {
        set_int(s->socket, ZMQ_ROUTER_MANDATORY, 1);
        set_int(s->socket, ZMQ_BACKLOG, BACKLOG);
        /* Only with a domain, which without a handler means nothing else, are peers of ZMTP 1.0 and 2.0
         * dropped at their greeting. libzmq 4.3.4 aborts when the routing id of one comes while the socket
         * closes. */
        zmq_setsockopt(s->socket, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN));
    } else {
        set_int(s->socket, ZMQ_IMMEDIATE, 1);
        set_int(s->socket, ZMQ_RECONNECT_IVL, RECONNECT_FIRST_MS);
        set_int(s->socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    }
    return s;
}

static void format_endpoint(char *endpoint, size_t bytes, const char *host, uint16_t port)
{
    bool ipv6 = host && strchr(host, ':');
    snprintf(endpoint, bytes, ipv6 ? "tcp://[%s]:%u" : "tcp://%s:%u", host ? host : "*", port);
}

/* ---- names ---- */

static int resolve(const char *host, struct addrinfo **found)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    return getaddrinfo(host, NULL, &hints, found);
}

bool transport_resolves(const char *host)
{
    struct addrinfo *found;
    if (resolve(host, &found) != 0)
        return false;
    freeaddrinfo(found);
    return true;
}

/* Did the resolver name this address before? For "localhost" it may, when the hosts file has two lines. */
static bool is_repeated(const struct addrinfo *first, const struct addrinfo *at)
{
    for (; first != at; first = first->ai_next)
        if (first->ai_addrlen == at->ai_addrlen && memcmp(first->ai_addr, at->ai_addr, at->ai_addrlen) == 0)
            return true;
    return false;
}

/* ---- opening and closing ---- */

static ps_status bind_endpoint(void *socket, const char *host, uint16_t port, int *cause, ps_error *error)
{
    char endpoint[TRANSPORT_ENDPOINT_MAX];
    format_endpoint(endpoint, sizeof endpoint, host, port);
    if (zmq_bind(socket, endpoint) == 0)
        return PS_OK;
    *cause = errno;
    return ps_fail(error, PS_EIO, "cannot listen on %s: %s", endpoint, zmq_strerror(errno));
}

/* libzmq itself binds to numeric addresses only. */
static ps_status bind_name(void *socket, const char *host, uint16_t port, ps_error *error)
{
    struct addrinfo *found;
    int failure = resolve(host, &found);
    if (failure != 0)
        return ps_fail(error, PS_ENOENT, "cannot listen on '%s': the name does not resolve (%s)", host,
                       failure == EAI_SYSTEM ? zmq_strerror(errno) : gai_strerror(failure));
    uint32_t bound = 0;
    ps_status status = PS_OK;
    for (struct addrinfo *at = found; at && status == PS_OK; at = at->ai_next) {
        char numeric[NI_MAXHOST];
        int cause = 0;
        if (is_repeated(found, at))
            continue;
        getnameinfo(at->ai_addr, at->ai_addrlen, numeric, sizeof numeric, NULL, 0, NI_NUMERICHOST);
        status = bind_endpoint(socket, numeric, port, &cause, error);
        if (status == PS_OK)
            bound++;
        else if (cause == EADDRNOTAVAIL || cause == ENODEV) /* not of this host; another may be */
            status = PS_OK;
    }
    freeaddrinfo(found);
    return bound > 0 ? status : PS_EIO;
}

ps_status transport_listen(transport *t, const char *host, uint16_t port, int listen_fd,
                           transport_socket **out, ps_error *error)
{
    *out = open_socket(t, ZMQ_ROUTER, error);
    if (!*out)
        return error ? error->status : PS_EIO;
    int cause;
    if (listen_fd >= 0)
        set_int((*out)->socket, ZMQ_USE_FD, listen_fd);
    ps_status status = host && listen_fd < 0 ? bind_name((*out)->socket, host, port, error)
                                             : bind_endpoint((*out)->socket, NULL, port, &cause, error);
    if (status != PS_OK)
        transport_close(out, 0);
    return status;
}

ps_status transport_connect(transport *t, const char *host, uint16_t port, transport_socket **out,
                            ps_error *error)
{
    *out = open_socket(t, ZMQ_DEALER, error);
    if (!*out)
        return error ? error->status : PS_EIO;
    char endpoint[TRANSPORT_ENDPOINT_MAX];
    format_endpoint(endpoint, sizeof endpoint, host, port);
    if (zmq_connect((*out)->socket, endpoint) == 0)
        return PS_OK;
    ps_fail(error, PS_EINVAL, "cannot connect to %s: %s", endpoint, zmq_strerror(errno));
    transport_close(out, 0);
    return PS_EINVAL;
}

void transport_close(transport_socket **s, int drain_ms)
{
    if (!*s)
        return;
    set_int((*s)->socket, ZMQ_LINGER, drain_ms);
    zmq_close((*s)->socket);
    free(*s);
    *s = NULL;
}

/* ---- sending ---- */

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

/* Once the first frame of a message is taken, ZeroMQ takes the rest, or drops it all if the peer is gone. */
static ps_status send_frames(transport_socket *s, const wire_route *to, wire_message *m, zmq_msg_t *header)
{
    uint32_t frames = wire_frames(m);
    int more = frames ? ZMQ_SNDMORE : 0;
    if (s->router && zmq_send(s->socket, to->id, to->bytes, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
        int cause = errno;
        zmq_msg_close(header);
        errno = cause;
        return errno == EAGAIN ? PS_ESTATE : PS_EPEER;
    }
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

ps_status transport_send(transport_socket *s, const wire_route *to, wire_message **message)
{
    zmq_msg_t header;
    if (s->transport->own)
        refer_to_memory(s->transport->own, *message);
    wire_inline_small(*message);
    ps_status status = wire_encode_with(*message, allocate_header, &header);
    if (status == PS_OK)
        status = send_frames(s, to, *message, &header);
    if (status != PS_ESTATE)
        wire_destroy(message);
    return status;
}

/* ---- receiving ---- */

/* The frames of one message; those beyond WIRE_SLICES_MAX are dropped, but counted. */
typedef struct {
    zmq_msg_t header;
    uint32_t payload_count;
    buffer *payloads[WIRE_SLICES_MAX];
    size_t payload_bytes[WIRE_SLICES_MAX];
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
 * mostly where no float may be. */
static buffer *receive_buffer(void *socket)
{
    zmq_msg_t received;
    zmq_msg_init(&received);
    if (zmq_msg_recv(&received, socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&received);
        return NULL;
    }
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

static void receive_payloads(void *socket, frame_set *frames)
{
    frames->payload_count = 0;
    while (more_frames(socket)) {
        buffer *b = receive_buffer(socket);
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
        return ps_fail(error, PS_EPROTOCOL, "a message of %u frames; at most %d are allowed", count + 1,
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
    return true;
}

static transport_event receive(transport_socket *s, int flags, wire_route *from, wire_message **message,
                               ps_error *error)
{
    *message = NULL;
    if (s->router && !receive_route(s, from, flags))
        return TRANSPORT_NOTHING;
    frame_set frames;
    zmq_msg_init(&frames.header);
    if (zmq_msg_recv(&frames.header, s->socket, s->router ? ZMQ_DONTWAIT : flags) < 0) {
        zmq_msg_close(&frames.header);
        return TRANSPORT_NOTHING;
    }
    receive_payloads(s->socket, &frames);
    ps_status status = decode_frames(&frames, message, error);
    if (status == PS_OK && s->transport->others)
        map_payloads(s->transport->others, *message);
    uint32_t held = frames.payload_count < WIRE_SLICES_MAX ? frames.payload_count : WIRE_SLICES_MAX;
    for (uint32_t i = 0; i < held; i++)
        buffer_unref(&frames.payloads[i]);
    zmq_msg_close(&frames.header);
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
        set_int(s->socket, ZMQ_RCVTIMEO, timeout_ms);
        s->patience_ms = timeout_ms;
    }
    return receive(s, 0, from, message, error);
}

static bool has_message(transport_socket *s)
{
    int events = 0;
    size_t bytes = sizeof events;
    zmq_getsockopt(s->socket, ZMQ_EVENTS, &events, &bytes);
    return events & ZMQ_POLLIN;
}

/* With a third of the system calls that zmq_poll makes. A socket's descriptor tells of news only, and sending
 * may have taken note of it: hence the look before the wait. */
void transport_poll(transport_socket *const *sockets, uint32_t count, int timeout_ms)
{
    struct pollfd items[POLL_MAX];
    assert(count <= POLL_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (has_message(sockets[i]))
            return;
        items[i] = (struct pollfd){.fd = sockets[i]->descriptor, .events = POLLIN};
    }
    poll(items, count, timeout_ms); /* a signal ends it early; the caller looks */
}
