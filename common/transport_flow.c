/* transport_flow.c - see transport_flow.h. */
#include "common/transport_flow.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
    SHORT_FRAME_MAX = 255, /* ZMTP 3: of such frames the head has 2 bytes, */
    SHORT_HEAD_BYTES = 2,
    LONG_HEAD_BYTES = 9, /* of longer ones this many */
    CURVE_BYTES = 33,    /* that CURVE adds to a frame: "\7MESSAGE", a nonce, a flag, and a seal */
    FEW_BYTES = 1 << 16, /* no matter whether they still lie in the system's buffer */
    ROUTE_BYTES = 5,     /* a zero and a number: what a ROUTER calls who has no name of its own */
};

/* Of the last connection under a descriptor that was heard of. */
typedef struct {
    bool used;
    uint32_t number;
    atomic_uint_least64_t taken;
    uint64_t handed, acked;
    uint64_t cookie;  /* the system's name for the connection, once something was handed; 0: none */
    uint64_t waiting; /* the door's */
} connection;

struct flow {
    bool has_keys;
    connection *connections; /* (FLOW_FILES_MAX), of which those in use have memory */
};

flow *flow_create(bool has_keys)
{
    flow *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->has_keys = has_keys;
    f->connections = calloc(FLOW_FILES_MAX, sizeof *f->connections);
    if (!f->connections)
        flow_destroy(&f);
    return f;
}

void flow_destroy(flow **f)
{
    if (*f)
        free((*f)->connections);
    free(*f);
    *f = NULL;
}

size_t flow_frame_bytes(const flow *f, size_t bytes)
{
    const size_t body = bytes + (f->has_keys ? CURVE_BYTES : 0);
    return body + (body > SHORT_FRAME_MAX ? LONG_HEAD_BYTES : SHORT_HEAD_BYTES);
}

static bool is_known(int fd)
{
    return fd > 0 && fd < FLOW_FILES_MAX;
}

/* Who gives itself a name is told from others by it, as far as it takes. */
static uint32_t number_of(const wire_route *route, bool *rises)
{
    uint32_t number = 0;
    *rises = route->bytes == ROUTE_BYTES && route->id[0] == 0;
    for (uint32_t i = *rises ? 1 : 0; i < route->bytes; i++)
        number = (*rises ? number << 8 : number * 31) + route->id[i];
    return number;
}

/* NULL: it is not known, or its descriptor has been another's since. */
static connection *find(flow *f, const wire_route *route)
{
    bool rises;
    const uint32_t number = number_of(route, &rises);
    if (!is_known(route->fd))
        return NULL;
    connection *c = &f->connections[route->fd];
    if (c->used && c->number == number)
        return c;
    if (c->used && rises && (int32_t)(number - c->number) < 0)
        return NULL;
    c->used = true;
    c->number = number;
    atomic_store_explicit(&c->taken, 0, memory_order_relaxed);
    c->handed = c->acked = c->cookie = 0;
    return c;
}

void flow_take(flow *f, const wire_route *from, uint64_t bytes)
{
    connection *c = find(f, from);
    if (c) /* its only writer */
        atomic_store_explicit(&c->taken, atomic_load_explicit(&c->taken, memory_order_relaxed) + bytes,
                              memory_order_relaxed);
}

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t bytes = sizeof cookie;
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &bytes) == 0 ? cookie : 0;
}

static bool look(int fd, struct tcp_info *info)
{
    socklen_t bytes = sizeof *info;
    *info = (struct tcp_info){0};
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &bytes) == 0;
}

bool flow_has_room(flow *f, const wire_route *to, uint64_t most)
{
    struct tcp_info now;
    connection *c = find(f, to);
    if (!c || c->handed < c->acked + most)
        return true;
    if (!look(to->fd, &now) || cookie_of(to->fd) != c->cookie)
        return true;
    c->acked = now.tcpi_bytes_acked;
    return c->handed < c->acked + most;
}

void flow_hand(flow *f, const wire_route *to, uint64_t bytes)
{
    connection *c = find(f, to);
    if (!c)
        return;
    if (c->cookie == 0)
        c->cookie = cookie_of(to->fd);
    c->handed += bytes;
}

/* Others receive meanwhile, and this thread may be held up between any two lines: so of what had `come` when
 * the system was asked, `before` had been taken just before, and `after` has just after. */
static uint64_t not_taken(uint64_t come, uint64_t before, uint64_t after)
{
    if (before > come) /* by another connection, that had the descriptor before it */
        return come;
    if (after < before) /* the descriptor has become another's meanwhile: the next look will tell */
        return 0;
    return come - (after < come ? after : come);
}

uint64_t flow_waiting(flow *f, int fd)
{
    struct tcp_info now;
    int unread = 0;
    if (!is_known(fd))
        return 0;
    connection *c = &f->connections[fd];
    const uint64_t before = atomic_load(&c->taken);
    if (!look(fd, &now))
        return 0;
    uint64_t waiting = not_taken(now.tcpi_bytes_received, before, atomic_load(&c->taken));
    if (waiting > FEW_BYTES && ioctl(fd, FIONREAD, &unread) == 0 && unread > 0)
        waiting -= waiting < (uint64_t)unread ? waiting : (uint64_t)unread;
    return c->waiting = waiting;
}

uint64_t flow_left(flow *f, int fd)
{
    if (!is_known(fd))
        return 0;
    const uint64_t left = f->connections[fd].waiting;
    f->connections[fd].waiting = 0;
    return left;
}
