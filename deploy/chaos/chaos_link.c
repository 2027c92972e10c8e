/* chaos_link.c - see chaos_link.h. */
#include "deploy/chaos/chaos_link.h"

#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "deploy/chaos/chaos_packet.h"

enum {
    FIRST_ADDRESS = 0x0a530001, /* 10.83.0.1 */
    NO_LINK = CHAOS_LINKS_MAX,
};

#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

/* A packet on its way. */
typedef struct {
    uint64_t due_ms;
    uint64_t serial; /* of two that are due at the same time the earlier goes first */
    size_t to;
    size_t link; /* NO_LINK: of none */
    uint64_t generation;
    bool is_there; /* has only the line into its host before it, or nothing any more */
    size_t bytes;
    uint8_t data[];
} parcel;

/* What passing packets have told of one end of a connection. */
typedef struct {
    bool sent, acknowledged, arrived;
    uint32_t first;   /* (sent) its first sequence number */
    uint32_t end;     /* (sent) the one after its last */
    uint32_t ack;     /* (acknowledged) the next one that it waits for */
    uint32_t reached; /* (arrived) how far what it has sent has reached the other end */
    bool finished;
} flow_end;

/* A connection. Ends: 0 is the worker's. */
typedef struct {
    uint16_t ports[2];
    bool known; /* begun with a SYN that has passed */
    bool reset;
    bool over; /* by itself */
    uint64_t used;
    flow_end ends[2];
} flow;

typedef struct {
    uint64_t generation;                /* rises with each reset: what is older is dropped */
    uint64_t free_ns[CHAOS_DIRECTIONS]; /* until when a narrow link is busy */
    uint64_t last_ms[CHAOS_DIRECTIONS]; /* when what is in order arrives at the latest */
    size_t flow_count;
    flow flows[CHAOS_FLOWS_MAX];
} link_state;

/* Until when the line of a node is busy. */
typedef struct {
    uint64_t out_ns, in_ns;
} line_state;

struct chaos_links {
    const chaos_weather *weather;
    uint64_t random_key, drawn;
    uint64_t serial;
    size_t count;
    parcel *heap[CHAOS_PACKETS_MAX]; /* the next that is due on top */
    parcel *handed_out;
    chaos_net_counters counters;
    line_state lines[CHAOS_NODES_MAX];
    link_state links[CHAOS_LINKS_MAX];
};

ps_status chaos_links_create(const chaos_weather *weather, uint64_t seed, chaos_links **out, ps_error *error)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    (*out)->weather = weather;
    (*out)->random_key = random_key(seed, "packets", 0);
    return PS_OK;
}

void chaos_links_destroy(chaos_links **out)
{
    chaos_links *l = *out;
    *out = NULL;
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++)
        free(l->heap[i]);
    free(l->handed_out);
    free(l);
}

chaos_net_counters chaos_links_count(const chaos_links *l)
{
    return l->counters;
}

/* ---- nodes ---- */

uint32_t chaos_node_address(size_t node)
{
    return FIRST_ADDRESS + (uint32_t)node;
}

size_t chaos_server_node(size_t server)
{
    return server;
}

size_t chaos_worker_node(const chaos_weather *weather, size_t worker)
{
    return weather->servers + worker;
}

/* The link between two nodes, and the direction from the one to the other; NO_LINK if there is none. */
static size_t find_link(const chaos_weather *w, size_t from, size_t to, unsigned *direction)
{
    bool up = to < w->servers;
    size_t server = up ? to : from, worker = up ? from : to;
    *direction = !up;
    return server < w->servers && worker >= w->servers ? chaos_link_number(w, worker - w->servers, server)
                                                       : NO_LINK;
}

/* ---- packets on their way ---- */

static bool is_before(const parcel *a, const parcel *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->serial < b->serial;
}

static void swap(parcel **a, parcel **b)
{
    parcel *held = *a;
    *a = *b;
    *b = held;
}

/* There is room. */
static void put_parcel(chaos_links *l, parcel *p)
{
    size_t i = l->count++;
    l->heap[i] = p;
    for (; i > 0 && is_before(l->heap[i], l->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&l->heap[i], &l->heap[(i - 1) / 2]);
}

/* Lost if there is no room. */
static void add_parcel(chaos_links *l, size_t link, size_t to, const uint8_t *data, size_t bytes,
                       uint64_t due_ms)
{
    parcel *p = l->count < CHAOS_PACKETS_MAX ? malloc(sizeof *p + bytes) : NULL;
    if (!p) {
        l->counters.lost++;
        return;
    }
    *p = (parcel){.due_ms = due_ms,
                  .serial = l->serial++,
                  .to = to,
                  .link = link,
                  .generation = link != NO_LINK ? l->links[link].generation : 0,
                  .bytes = bytes};
    memcpy(p->data, data, bytes);
    put_parcel(l, p);
}

static parcel *take_first(chaos_links *l)
{
    parcel *first = l->heap[0];
    l->heap[0] = l->heap[--l->count];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++)
            if (child < l->count && is_before(l->heap[child], l->heap[least]))
                least = child;
        if (least == i)
            return first;
        swap(&l->heap[i], &l->heap[least]);
        i = least;
    }
}

uint64_t chaos_links_due(const chaos_links *l)
{
    return l->count > 0 ? l->heap[0]->due_ms : UINT64_MAX;
}

/* ---- connections ---- */

/* Ports of the connection of a packet in that direction, the worker's first. */
static void order_ports(const packet *p, unsigned direction, uint16_t ports[2])
{
    ports[direction] = p->from_port;
    ports[!direction] = p->to_port;
}

/* The connection of a packet; NULL if it is not remembered. */
static flow *find_flow(link_state *s, unsigned direction, const packet *p)
{
    uint16_t ports[2];
    order_ports(p, direction, ports);
    for (size_t i = 0; i < s->flow_count; i++)
        if (s->flows[i].ports[0] == ports[0] && s->flows[i].ports[1] == ports[1])
            return &s->flows[i];
    return NULL;
}

/* A new one, for which the one not used for longest makes room. */
static flow *add_flow(link_state *s, unsigned direction, const packet *p)
{
    flow *place = &s->flows[0];
    for (size_t i = 1; i < s->flow_count; i++)
        if (s->flows[i].used < place->used)
            place = &s->flows[i];
    if (s->flow_count < CHAOS_FLOWS_MAX)
        place = &s->flows[s->flow_count++];
    *place = (flow){0};
    order_ports(p, direction, place->ports);
    return place;
}

/* In the circle of sequence numbers. */
static bool is_later(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0;
}

static void note_sent(chaos_links *l, flow *f, unsigned direction, const packet *p)
{
    bool begins = (p->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
    if (begins && !(f->known && f->ends[direction].sent && f->ends[direction].first == p->seq)) {
        *f = (flow){.ports = {f->ports[0], f->ports[1]}, .known = true};
        l->counters.connections++;
    }
    flow_end *e = &f->ends[direction];
    f->used = l->serial;
    if (!e->sent)
        e->first = e->end = p->seq;
    e->sent = true;
    if (is_later(p->seq + p->length, e->end))
        e->end = p->seq + p->length;
    if ((p->flags & TCP_ACK) && (!e->acknowledged || is_later(p->ack, e->ack))) {
        e->ack = p->ack;
        e->acknowledged = true;
    }
    e->finished |= (p->flags & TCP_FIN) != 0;
    f->over |= (p->flags & TCP_RST) != 0 || (f->ends[0].finished && f->ends[1].finished);
}

static void note_arrived(chaos_links *l, const parcel *what)
{
    packet p;
    unsigned direction = what->to >= l->weather->servers;
    if (!packet_read(what->data, what->bytes, &p) || !p.is_tcp || (p.flags & TCP_RST))
        return;
    flow *f = find_flow(&l->links[what->link], direction, &p);
    if (!f)
        return;
    flow_end *e = &f->ends[direction];
    if (!e->arrived || is_later(p.seq + p.length, e->reached))
        e->reached = p.seq + p.length;
    e->arrived = true;
}

static void send_reset(chaos_links *l, size_t link, size_t to, const packet *p, uint64_t now_ms)
{
    uint8_t bytes[PACKET_RESET_BYTES];
    packet_write_reset(p, bytes);
    add_parcel(l, link, to, bytes, sizeof bytes, now_ms);
}

/* To a packet of a connection that has been reset. */
static void answer_with_reset(chaos_links *l, size_t link, size_t node, const packet *p, uint64_t now_ms)
{
    if (p->flags & TCP_RST)
        return;
    const packet answer = {.from = p->to,
                           .to = p->from,
                           .from_port = p->to_port,
                           .to_port = p->from_port,
                           .seq = p->flags & TCP_ACK ? p->ack : 0,
                           .ack = p->seq + p->length};
    send_reset(l, link, node, &answer, now_ms);
}

/* Tells one end of a connection, with the number that it waits for: the last one that it has asked for, or,
 * if it has got more since, the one after that. */
static void reset_end(chaos_links *l, size_t link, const flow *f, unsigned end, const size_t nodes[2],
                      uint64_t now_ms)
{
    const flow_end *own = &f->ends[end], *other = &f->ends[!end];
    packet p = {.from = chaos_node_address(nodes[!end]),
                .to = chaos_node_address(nodes[end]),
                .from_port = f->ports[!end],
                .to_port = f->ports[end],
                .seq = own->acknowledged ? own->ack : 0,
                .ack = own->end};
    if (!own->sent)
        return; /* it does not know of the connection */
    send_reset(l, link, nodes[end], &p, now_ms);
    if (other->arrived && other->reached != p.seq) {
        p.seq = other->reached;
        send_reset(l, link, nodes[end], &p, now_ms);
    }
}

static void reset_link(chaos_links *l, size_t link, uint64_t now_ms)
{
    link_state *s = &l->links[link];
    const size_t nodes[2] = {chaos_worker_node(l->weather, link / l->weather->servers),
                             chaos_server_node(link % l->weather->servers)};
    s->generation++;
    for (size_t i = 0; i < s->flow_count; i++) {
        flow *f = &s->flows[i];
        if (f->over || f->reset)
            continue;
        f->reset = true;
        l->counters.resets++;
        for (unsigned end = 0; end < 2; end++)
            reset_end(l, link, f, end, nodes, now_ms);
    }
}

void chaos_links_reset(chaos_links *l, size_t worker, size_t server, uint64_t now_ms)
{
    for (size_t link = 0; link < chaos_link_count(l->weather); link++)
        if (chaos_link_is_meant(l->weather, link, worker, server))
            reset_link(l, link, now_ms);
}

/* ---- weather ---- */

/* True in so many cases, from 0 to 1. */
static bool happens(chaos_links *l, double share)
{
    return (double)(random_at(l->random_key, l->drawn++) >> 11) * 0x1p-53 < share;
}

/* A packet that comes to what has that rate at a time: when it leaves; false if too much waits before it. */
static bool pass_bottleneck(uint64_t *free_ns, uint64_t bytes_per_s, size_t bytes, uint64_t *at_ms)
{
    uint64_t now_ns = *at_ms * NS_PER_MS;
    uint64_t begin_ns = *free_ns > now_ns ? *free_ns : now_ns;
    double waiting = (double)(begin_ns - now_ns) / (double)NS_PER_S * (double)bytes_per_s;
    double room = (double)bytes_per_s * CHAOS_LINK_QUEUE_MS / 1000;
    if (waiting > (room > CHAOS_LINK_QUEUE_BYTES ? room : CHAOS_LINK_QUEUE_BYTES))
        return false;
    *free_ns = begin_ns + bytes * NS_PER_S / bytes_per_s;
    *at_ms = (*free_ns + NS_PER_MS - 1) / NS_PER_MS;
    return true;
}

/* When a packet that a node sends at a time is at the line into another; false if it never is. */
static bool leave_host(chaos_links *l, size_t from, size_t bytes, uint64_t *at_ms)
{
    const chaos_line *line = &l->weather->line;
    if (line->bytes_per_s && !pass_bottleneck(&l->lines[from].out_ns, line->bytes_per_s, bytes, at_ms))
        return false;
    if (line->latency_ms)
        *at_ms += line->latency_ms + 1; /* a part of this one is over */
    return true;
}

/* Takes the line into its host, in which whoever comes first goes first. False if that is full. */
static bool enter_host(chaos_links *l, parcel *p)
{
    p->is_there = true;
    return pass_bottleneck(&l->lines[p->to].in_ns, l->weather->line.bytes_per_s, p->bytes, &p->due_ms);
}

/* As pass_bottleneck, while the fault lasts; what waits when it ends goes at once. */
static bool pass_throttle(uint64_t *free_ns, const link_weather *w, size_t bytes, uint64_t *at_ms)
{
    uint64_t end_ms = w->throttled_until > *at_ms ? w->throttled_until : *at_ms;
    if (!pass_bottleneck(free_ns, w->bytes_per_s, bytes, at_ms))
        return false;
    *at_ms = *at_ms < end_ms ? *at_ms : end_ms;
    return true;
}

/* When a packet, which the line would bring at `*due_ms`, arrives; false if it does not. */
static bool pass_weather(chaos_links *l, size_t link, unsigned direction, size_t bytes, uint64_t now_ms,
                         uint64_t *due_ms)
{
    const link_weather *w = &l->weather->links[link][direction];
    link_state *s = &l->links[link];
    if (now_ms < w->blocked_until || (now_ms < w->lossy_until && happens(l, w->lost)))
        return false;
    if (now_ms >= w->throttled_until)
        s->free_ns[direction] = 0;
    else if (!pass_throttle(&s->free_ns[direction], w, bytes, due_ms))
        return false;
    if (now_ms < w->delayed_until)
        *due_ms += w->delay_ms +
                   (w->jitter_ms ? random_at(l->random_key, l->drawn++) % ((uint64_t)w->jitter_ms + 1) : 0);
    if (now_ms < w->disordered_until && happens(l, w->late)) {
        *due_ms += w->late_ms;
        l->counters.late++;
        return true;
    }
    /* The others do not overtake each other. */
    if (*due_ms < s->last_ms[direction])
        *due_ms = s->last_ms[direction];
    s->last_ms[direction] = *due_ms;
    return true;
}

/* ---- in and out ---- */

void chaos_links_send(chaos_links *l, size_t from, const uint8_t *data, size_t bytes, uint64_t now_ms)
{
    packet p;
    unsigned direction;
    uint64_t due_ms = now_ms;
    if (!packet_read(data, bytes, &p))
        return;
    size_t to = p.to - FIRST_ADDRESS; /* too large, if it is no address of ours */
    if (to >= l->weather->servers + l->weather->workers || to == from)
        return;
    size_t link = find_link(l->weather, from, to, &direction);
    if (link != NO_LINK && p.is_tcp) {
        flow *f = find_flow(&l->links[link], direction, &p);
        if (!f)
            f = add_flow(&l->links[link], direction, &p);
        note_sent(l, f, direction, &p);
        if (f->reset) {
            answer_with_reset(l, link, from, &p, now_ms);
            return;
        }
    }
    if (leave_host(l, from, bytes, &due_ms) &&
        (link == NO_LINK || pass_weather(l, link, direction, bytes, now_ms, &due_ms)))
        add_parcel(l, link, to, data, bytes, due_ms);
    else
        l->counters.lost++;
}

bool chaos_links_next(chaos_links *l, uint64_t now_ms, chaos_arrival *arrival)
{
    free(l->handed_out);
    l->handed_out = NULL;
    while (chaos_links_due(l) <= now_ms) {
        parcel *p = take_first(l);
        if (p->link != NO_LINK && p->generation != l->links[p->link].generation) {
            free(p);
            continue;
        }
        if (l->weather->line.bytes_per_s && !p->is_there) {
            if (enter_host(l, p)) {
                put_parcel(l, p);
            } else {
                free(p);
                l->counters.lost++;
            }
            continue;
        }
        if (p->link != NO_LINK)
            note_arrived(l, p);
        l->counters.packets++;
        l->counters.bytes += p->bytes;
        l->handed_out = p;
        *arrival = (chaos_arrival){.to = p->to, .bytes = p->bytes, .data = p->data};
        return true;
    }
    return false;
}
