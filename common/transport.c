/* transport.c - see transport.h. Contexts, sockets and names; what the sources share is in transport_state.h.
 */
#include "common/transport.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/transport_state.h"

#define ZAP_DOMAIN "penstock"

enum {
    BACKLOG = 1024,
    HEADERS_BYTES = 1 << 18, /* beside the slices of a message: its header, and the heads of its frames */
    RECONNECT_FIRST_MS = 50,
    RECONNECT_MAX_MS = 1000,
    POLL_MAX = JOB_SERVERS_MAX,
    MALLOC_MAP_BYTES = 32 << 20,   /* smaller allocations are not mapped one by one; glibc refuses more */
    MALLOC_KEEP_BYTES = 256 << 20, /* freed memory up to this stays mapped */
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
    zap_join(&(*t)->guard);
    attachments_destroy(&(*t)->others);
    curve_keys_wipe(&(*t)->keys);
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
    s->listen_fd = -1;
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
    set_int(s->socket, ZMQ_RCVHWM, s->router ? TRANSPORT_INBOX_MAX : TRANSPORT_QUEUE_MAX);
    if (s->router) {
        set_int(s->socket, ZMQ_ROUTER_MANDATORY, 1);
        set_int(s->socket, ZMQ_BACKLOG, BACKLOG);
        set_int(s->socket, ZMQ_HANDSHAKE_IVL, TRANSPORT_HANDSHAKE_MS);
        /* Only with a domain, which without a handler means nothing else, are peers of ZMTP 1.0 and 2.0
         * dropped at their greeting. libzmq 4.3.4 aborts when the routing id of one comes while the socket
         * closes. */
        zmq_setsockopt(s->socket, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN));
    } else {
        set_int(s->socket, ZMQ_IMMEDIATE, 1);
        set_int(s->socket, ZMQ_RECONNECT_IVL, RECONNECT_FIRST_MS);
        set_int(s->socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    }
    if (transport_curve_apply(s, error) != PS_OK || transport_monitor(s, error) != PS_OK)
        transport_close(&s, 0);
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

bool transport_bind(transport_socket *s, const char *endpoint)
{
    const int inherited = s->listen_fd >= 0 ? dup(s->listen_fd) : -1; /* ZeroMQ closes what it is given */
    if (s->listen_fd >= 0)
        set_int(s->socket, ZMQ_USE_FD, inherited);
    return zmq_bind(s->socket, endpoint) == 0;
}

static ps_status bind_endpoint(transport_socket *s, const char *host, uint16_t port, int *cause,
                               ps_error *error)
{
    char endpoint[TRANSPORT_ENDPOINT_MAX];
    format_endpoint(endpoint, sizeof endpoint, host, port);
    if (s->endpoint_count == TRANSPORT_ADDRESSES_MAX)
        return ps_fail(error, PS_EIO, "cannot listen on %s: a name stands for %d addresses at most", endpoint,
                       TRANSPORT_ADDRESSES_MAX);
    if (transport_bind(s, endpoint)) {
        size_t bytes = sizeof s->endpoints[0].name;
        zmq_getsockopt(s->socket, ZMQ_LAST_ENDPOINT, s->endpoints[s->endpoint_count].name, &bytes);
        s->endpoints[s->endpoint_count++].bound = true;
        return PS_OK;
    }
    *cause = errno;
    return ps_fail(error, PS_EIO, "cannot listen on %s: %s", endpoint, zmq_strerror(errno));
}

/* libzmq itself binds to numeric addresses only. */
static ps_status bind_name(transport_socket *s, const char *host, uint16_t port, ps_error *error)
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
        status = bind_endpoint(s, numeric, port, &cause, error);
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
    (*out)->listen_fd = listen_fd;
    ps_status status = host && listen_fd < 0 ? bind_name(*out, host, port, error)
                                             : bind_endpoint(*out, NULL, port, &cause, error);
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
    char *endpoint = (*out)->endpoints[0].name;
    format_endpoint(endpoint, sizeof(*out)->endpoints[0].name, host, port);
    (*out)->endpoint_count = 1;
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
    if ((*s)->received.open)
        zmq_msg_close(&(*s)->received.frame);
    set_int((*s)->socket, ZMQ_LINGER, drain_ms);
    /* No more news: with nobody left to hear them ZeroMQ's I/O thread would wait for ever. */
    zmq_socket_monitor((*s)->socket, NULL, 0);
    door_close(&(*s)->door);
    flow_destroy(&(*s)->flow);
    zmq_close((*s)->socket);
    if ((*s)->listen_fd >= 0)
        close((*s)->listen_fd);
    if ((*s)->monitor)
        zmq_close((*s)->monitor);
    free(*s);
    *s = NULL;
}

/* ---- bounds ---- */

/* One message is in the making, and one may come while the first of those that wait is being taken. */
uint64_t transport_inbox_bytes(uint64_t message_bytes)
{
    const uint64_t most = message_bytes > WIRE_GATHERED_MAX ? message_bytes : WIRE_GATHERED_MAX;
    return (TRANSPORT_INBOX_MAX + 2) * (most + HEADERS_BYTES);
}

void transport_bound(transport_socket *s, uint64_t each_bytes, uint64_t all_bytes)
{
    assert(s->door);
    door_bound(s->door, each_bytes, all_bytes);
}

/* ---- waiting ---- */

static bool has_message(transport_socket *s)
{
    if (transport_has_more(s))
        return true;
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
