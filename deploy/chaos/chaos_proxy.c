/* chaos_proxy.c - see chaos_proxy.h. */
#include "deploy/chaos/chaos_proxy.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/random.h"
#include "deploy/launch/ports.h"

enum {
    FLOW_BYTES = 256 << 10,
    FLOW_CHUNKS = 256,
    REFILL_MS = 5,          /* how often a throttled flow goes on */
    BURST_MS = 50,          /* what it may save up while it has nothing to send */
    PARTS = 1000,           /* of a byte: allowances are counted in them */
    ACCEPT_PAUSE_MS = 1000, /* when there is no room for another connection */
    NOT_POLLED = -1,        /* as a place among the waits */
};

typedef struct {
    int listener;
    uint16_t port, server_port;
    int place;                   /* of the listener among the waits */
    const link_weather *weather; /* by direction; borrowed of the net */
} proxy_link;

/* Bytes that came together. */
typedef struct {
    size_t bytes;
    uint64_t due_ms;
} chunk;

/* One direction of a connection: a queue of bytes, in order. */
typedef struct {
    char data[FLOW_BYTES];
    size_t begin, end;
    chunk chunks[FLOW_CHUNKS]; /* a ring */
    size_t first, count;
    bool ended, told; /* no more will come; the receiver knows */
    uint64_t refilled_ms;
    uint64_t allowance; /* PARTS of bytes that may still go, while throttled */
} flow;

/* Sides and flows: 0 is the worker, and what it sends. */
typedef struct connection {
    struct connection *next;
    proxy_link *link;
    int fds[2];
    int places[2];
    flow flows[2];
} connection;

typedef struct {
    chaos_net net;
    size_t connection_count;
    connection *connections;
    uint64_t random_key, drawn;
    uint64_t accepts_again_ms;
    int trouble; /* errno of the last accept that failed for lack of room; 0: none that is to be told */
    int told;    /* ... of what has been told */
    chaos_net_counters counters;
    proxy_link links[CHAOS_LINKS_MAX];
} chaos_proxy;

static void close_connection(chaos_proxy *p, connection **place, bool reset)
{
    connection *c = *place;
    *place = c->next;
    for (int side = 0; side < 2; side++) {
        const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
        if (reset)
            setsockopt(c->fds[side], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(c->fds[side]);
    }
    p->connection_count--;
    p->counters.resets += reset;
    free(c);
}

static void proxy_destroy(chaos_net *self)
{
    chaos_proxy *p = (chaos_proxy *)self;
    while (p->connections)
        close_connection(p, &p->connections, true);
    for (size_t i = 0; i < chaos_link_count(&self->weather); i++)
        if (p->links[i].listener >= 0)
            close(p->links[i].listener);
    free(p);
}

uint16_t chaos_proxy_port(const chaos_net *self, size_t worker, size_t server)
{
    const chaos_proxy *p = (const chaos_proxy *)self;
    return p->links[chaos_link_number(&self->weather, worker, server)].port;
}

static void proxy_begun(chaos_net *self, const tasks *t)
{
    chaos_proxy *p = (chaos_proxy *)self;
    for (size_t i = 0; i < t->count; i++)
        for (size_t worker = 0; t->list[i].role == ROLE_PS && worker < self->weather.workers; worker++)
            p->links[chaos_link_number(&self->weather, worker, t->list[i].index)].server_port =
                t->list[i].port;
}

static chaos_net_counters proxy_count(const chaos_net *self)
{
    return ((const chaos_proxy *)self)->counters;
}

static void proxy_reset(chaos_net *self, size_t worker, size_t server, uint64_t now_ms)
{
    chaos_proxy *p = (chaos_proxy *)self;
    connection **place = &p->connections;
    (void)now_ms;
    while (*place) {
        if (chaos_link_is_meant(&self->weather, (size_t)((*place)->link - p->links), worker, server))
            close_connection(p, place, true);
        else
            place = &(*place)->next;
    }
}

/* ---- moving ---- */

static void set_up(int fd)
{
    int on = 1;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* A connection to the ps of a link; it may not be complete yet. -1 if there is none to be had. */
static int connect_to(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    set_up(fd);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 || errno == EINPROGRESS)
        return fd;
    close(fd);
    return -1;
}

/* For lack of room: it would fail again at once. */
static bool is_lack(int cause)
{
    return cause == EMFILE || cause == ENFILE || cause == ENOBUFS || cause == ENOMEM;
}

static void pause_accepting(chaos_proxy *p, int cause, uint64_t now_ms)
{
    p->accepts_again_ms = now_ms + ACCEPT_PAUSE_MS;
    p->trouble = cause;
}

/* False if the ps cannot be reached for lack of room. */
static bool add_connection(chaos_proxy *p, proxy_link *l, int fd)
{
    int other = connect_to(l->server_port);
    int cause = other < 0 ? errno : ENOMEM;
    connection *c = other >= 0 ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        close(fd);
        if (other >= 0)
            close(other);
        errno = cause;
        return !is_lack(cause);
    }
    set_up(fd);
    c->link = l;
    c->fds[0] = fd;
    c->fds[1] = other;
    c->places[0] = c->places[1] = NOT_POLLED;
    c->next = p->connections;
    p->connections = c;
    p->connection_count++;
    p->counters.connections++;
    return true;
}

static void accept_some(chaos_proxy *p, proxy_link *l, uint64_t now_ms)
{
    while (p->connection_count < CHAOS_CONNECTIONS_MAX && now_ms >= p->accepts_again_ms) {
        int fd = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && !is_lack(errno))
            return;
        if (fd < 0 || !add_connection(p, l, fd))
            pause_accepting(p, errno, now_ms);
    }
}

static bool proxy_trouble(chaos_net *self, ps_error *error)
{
    chaos_proxy *p = (chaos_proxy *)self;
    bool news = p->trouble != 0 && p->trouble != p->told;
    if (news)
        ps_fail(error, PS_EIO, "no more connections can be passed on: %s; trying again every %d s",
                strerror(p->trouble), ACCEPT_PAUSE_MS / 1000);
    p->told = news ? p->trouble : p->told;
    p->trouble = 0;
    return news;
}

static bool has_room(const flow *f)
{
    return f->count < FLOW_CHUNKS && f->end - f->begin < FLOW_BYTES;
}

static uint64_t due_time(chaos_proxy *p, const link_weather *w, const flow *f, uint64_t now_ms)
{
    uint64_t due = now_ms;
    if (now_ms < w->delayed_until)
        due += w->delay_ms + (w->jitter_ms ? random_at(p->random_key, p->drawn++) % (w->jitter_ms + 1) : 0);
    /* Nothing overtakes. */
    if (f->count > 0) {
        uint64_t last = f->chunks[(f->first + f->count - 1) % FLOW_CHUNKS].due_ms;
        due = due < last ? last : due;
    }
    return due;
}

/* False if the connection is broken. */
static bool take_in(chaos_proxy *p, connection *c, int direction, uint64_t now_ms)
{
    flow *f = &c->flows[direction];
    if (f->begin > 0) {
        memmove(f->data, f->data + f->begin, f->end - f->begin);
        f->end -= f->begin;
        f->begin = 0;
    }
    ssize_t got = recv(c->fds[direction], f->data + f->end, FLOW_BYTES - f->end, 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    if (got == 0) {
        f->ended = true;
        return true;
    }
    const chunk added = {.bytes = (size_t)got,
                         .due_ms = due_time(p, &c->link->weather[direction], f, now_ms)};
    f->end += (size_t)got;
    f->chunks[(f->first + f->count++) % FLOW_CHUNKS] = added;
    return true;
}

/* In which a flow of that rate may send so many PARTS of bytes. */
static uint64_t ms_for(uint64_t parts, uint64_t bytes_per_s)
{
    static_assert(PARTS == 1000, "a byte per second is a part of it per ms");
    return (parts + bytes_per_s - 1) / bytes_per_s;
}

/* Adds what has been earned since the last time. No more is saved up than a short burst, or one byte. */
static void refill(flow *f, uint64_t bytes_per_s, uint64_t now_ms)
{
    uint64_t passed = now_ms - f->refilled_ms;
    uint64_t byte_ms = ms_for(PARTS, bytes_per_s);
    uint64_t most = byte_ms > BURST_MS ? byte_ms : BURST_MS;
    if (passed < REFILL_MS)
        return;
    f->allowance += bytes_per_s * (passed < most ? passed : most);
    if (f->allowance > bytes_per_s * most)
        f->allowance = bytes_per_s * most;
    f->refilled_ms = now_ms;
}

/* When a throttled flow may send its next byte. */
static uint64_t next_byte_ms(const flow *f, uint64_t bytes_per_s)
{
    uint64_t wait = ms_for(PARTS - f->allowance, bytes_per_s);
    return f->refilled_ms + (wait > REFILL_MS ? wait : REFILL_MS);
}

/* Bytes that may go now. */
static size_t sendable(flow *f, const link_weather *w, uint64_t now_ms)
{
    if (f->count == 0 || f->chunks[f->first].due_ms > now_ms)
        return 0;
    size_t bytes = f->chunks[f->first].bytes;
    if (now_ms >= w->throttled_until)
        return bytes;
    refill(f, w->bytes_per_s, now_ms);
    return bytes < f->allowance / PARTS ? bytes : (size_t)(f->allowance / PARTS);
}

/* False if the connection is broken. */
static bool give_out(chaos_proxy *p, connection *c, int direction, uint64_t now_ms)
{
    flow *f = &c->flows[direction];
    const link_weather *w = &c->link->weather[direction];
    for (size_t bytes; (bytes = sendable(f, w, now_ms)) > 0;) {
        ssize_t put = send(c->fds[!direction], f->data + f->begin, bytes, MSG_NOSIGNAL);
        if (put < 0)
            return errno == EAGAIN || errno == EINTR;
        f->begin += (size_t)put;
        uint64_t spent = (uint64_t)put * PARTS;
        f->allowance -= f->allowance < spent ? f->allowance : spent;
        p->counters.bytes += (size_t)put;
        f->chunks[f->first].bytes -= (size_t)put;
        if (f->chunks[f->first].bytes == 0) {
            f->first = (f->first + 1) % FLOW_CHUNKS;
            f->count--;
        }
    }
    if (f->ended && f->count == 0 && !f->told) {
        shutdown(c->fds[!direction], SHUT_WR);
        f->told = true;
    }
    return true;
}

static bool is_blocked(const connection *c, int direction, uint64_t now_ms)
{
    return now_ms < c->link->weather[direction].blocked_until;
}

/* What one direction of a connection waits for. */
static void wait_for_flow(const connection *c, int direction, uint64_t now_ms, short events[2],
                          uint64_t *wake_ms)
{
    const flow *f = &c->flows[direction];
    const link_weather *w = &c->link->weather[direction];
    if (is_blocked(c, direction, now_ms)) {
        chaos_wake_by(wake_ms, w->blocked_until);
        return;
    }
    if (!f->ended && has_room(f))
        events[direction] |= POLLIN;
    if (f->count == 0)
        return;
    if (f->chunks[f->first].due_ms > now_ms)
        chaos_wake_by(wake_ms, f->chunks[f->first].due_ms);
    else if (now_ms < w->throttled_until && f->allowance < PARTS && next_byte_ms(f, w->bytes_per_s) > now_ms)
        chaos_wake_by(wake_ms, next_byte_ms(f, w->bytes_per_s));
    else
        events[!direction] |= POLLOUT;
}

static size_t proxy_waits(chaos_net *self, struct pollfd *waits, uint64_t now_ms, uint64_t *wake_ms)
{
    chaos_proxy *p = (chaos_proxy *)self;
    size_t count = 0;
    if (now_ms < p->accepts_again_ms)
        chaos_wake_by(wake_ms, p->accepts_again_ms);
    for (size_t i = 0; i < chaos_link_count(&p->net.weather); i++) {
        p->links[i].place = NOT_POLLED;
        if (p->connection_count == CHAOS_CONNECTIONS_MAX || now_ms < p->accepts_again_ms)
            continue;
        p->links[i].place = (int)count;
        waits[count++] = (struct pollfd){.fd = p->links[i].listener, .events = POLLIN};
    }
    for (connection *c = p->connections; c; c = c->next) {
        short events[2] = {0, 0};
        for (int direction = 0; direction < 2; direction++)
            wait_for_flow(c, direction, now_ms, events, wake_ms);
        for (int side = 0; side < 2; side++) {
            /* Of one that nothing is asked of poll would report the end, again and again. */
            c->places[side] = events[side] ? (int)count : NOT_POLLED;
            if (events[side])
                waits[count++] = (struct pollfd){.fd = c->fds[side], .events = events[side]};
        }
    }
    return count;
}

static bool has_news(const struct pollfd *waits, int place)
{
    return place != NOT_POLLED && waits[place].revents != 0;
}

/* False if the connection is broken. */
static bool move(chaos_proxy *p, connection *c, const struct pollfd *waits, uint64_t now_ms)
{
    for (int direction = 0; direction < 2; direction++) {
        flow *f = &c->flows[direction];
        if (is_blocked(c, direction, now_ms))
            continue;
        bool readable = has_news(waits, c->places[direction]) &&
                        (waits[c->places[direction]].revents & (POLLIN | POLLERR | POLLHUP));
        if (readable && !f->ended && has_room(f) && !take_in(p, c, direction, now_ms))
            return false;
        if (!give_out(p, c, direction, now_ms))
            return false;
    }
    return true;
}

static void proxy_turn(chaos_net *self, const struct pollfd *waits, uint64_t now_ms)
{
    chaos_proxy *p = (chaos_proxy *)self;
    connection **place = &p->connections;
    while (*place) {
        connection *c = *place;
        if (!move(p, c, waits, now_ms))
            close_connection(p, place, true);
        else if (c->flows[0].told && c->flows[1].told)
            close_connection(p, place, false);
        else
            place = &c->next;
    }
    for (size_t i = 0; i < chaos_link_count(&p->net.weather); i++)
        if (has_news(waits, p->links[i].place))
            accept_some(p, &p->links[i], now_ms);
}

static const chaos_net_ops proxy_ops = {
    .name = "proxy",
    .begun = proxy_begun,
    .reset = proxy_reset,
    .waits = proxy_waits,
    .turn = proxy_turn,
    .trouble = proxy_trouble,
    .count = proxy_count,
    .destroy = proxy_destroy,
};

ps_status chaos_proxy_create(size_t workers, size_t servers, uint64_t seed, chaos_net **out, ps_error *error)
{
    chaos_proxy *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    p->net = (chaos_net){.ops = &proxy_ops, .weather = {.workers = workers, .servers = servers}};
    p->random_key = random_key(seed, "jitter", 0);
    ps_status status = PS_OK;
    for (size_t i = 0; i < workers * servers; i++)
        p->links[i] = (proxy_link){.listener = -1, .weather = p->net.weather.links[i]};
    for (size_t i = 0; i < workers * servers && status == PS_OK; i++) {
        status = port_reserve(true, &p->links[i].listener, &p->links[i].port, error);
        if (status == PS_OK)
            fcntl(p->links[i].listener, F_SETFL, O_NONBLOCK);
    }
    if (status == PS_OK)
        *out = &p->net;
    else
        proxy_destroy(&p->net);
    return status;
}
