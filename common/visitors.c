/* visitors.c - see visitors.h. */
#include "common/visitors.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

static visitor_origin origin_of(const struct sockaddr *from)
{
    visitor_origin origin = {0, 0};
    if (from->sa_family == AF_INET) {
        origin.host = ((const struct sockaddr_in *)(const void *)from)->sin_addr.s_addr;
    } else if (from->sa_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(v6))
            origin.host = v6->s6_addr32[3];
        else
            memcpy(&origin.network, v6->s6_addr, sizeof origin.network);
    }
    return origin;
}

static bool is_same(const visitor_origin *a, const visitor_origin *b)
{
    return a->network == b->network && a->host == b->host;
}

static uint32_t most_of(const visitors *g)
{
    return g->most ? g->most : HTTP_CONNECTIONS_MAX;
}

static bool stays(const visitor *guest)
{
    return guest->here && !guest->leaving;
}

bool visitors_fit(const visitors *g)
{
    return g->here < 2 * most_of(g);
}

/* One more, or less, of that address stays. Says how many do. */
static uint32_t count_together(visitors *g, const visitor_origin *from, int32_t change)
{
    uint32_t together = 0;
    for (uint32_t i = 0; i < VISITORS_MAX; i++) {
        visitor *guest = &g->places[i];
        if (stays(guest) && is_same(&guest->from, from))
            together = guest->together += (uint32_t)change;
    }
    return together;
}

visitor *visitors_enter(visitors *g, const struct sockaddr *from, int fd, uint64_t now_ms)
{
    for (uint32_t i = 0; i < VISITORS_MAX && visitors_fit(g); i++) {
        visitor *place = &g->places[i];
        if (place->here)
            continue;
        const visitor_origin origin = origin_of(from);
        const uint32_t others = count_together(g, &origin, 1);
        *place = (visitor){.here = true,
                           .fd = fd,
                           .from = origin,
                           .together = others ? others : 1,
                           .arrival = ++g->arrivals,
                           .since_ms = now_ms};
        g->here++;
        g->staying++;
        return place;
    }
    return NULL;
}

void visitors_exit(visitors *g, visitor *who)
{
    if (!who->leaving)
        visitors_dismiss(g, who);
    g->here--;
    who->here = false;
}

void visitors_dismiss(visitors *g, visitor *who)
{
    count_together(g, &who->from, -1);
    who->leaving = true;
    g->staying--;
}

static bool goes_later(const visitor *guest, const visitor *than)
{
    if (guest->together != than->together)
        return guest->together < than->together;
    return guest->held != than->held ? guest->held : guest->arrival > than->arrival;
}

visitor *visitors_make_room(visitors *g)
{
    visitor *chosen = NULL;
    if (g->staying < most_of(g))
        return NULL;
    for (uint32_t i = 0; i < VISITORS_MAX; i++) {
        visitor *guest = &g->places[i];
        if (stays(guest) && (!chosen || goes_later(chosen, guest)))
            chosen = guest;
    }
    visitors_dismiss(g, chosen);
    return chosen;
}

visitor *visitors_expire(visitors *g, uint64_t now_ms, uint64_t longest_ms)
{
    for (uint32_t i = 0; i < VISITORS_MAX; i++) {
        visitor *guest = &g->places[i];
        if (stays(guest) && !guest->held && now_ms >= guest->since_ms + longest_ms) {
            visitors_dismiss(g, guest);
            return guest;
        }
    }
    return NULL;
}
