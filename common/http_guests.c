/* http_guests.c - see http_guests.h. */
#include "common/http_guests.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

static http_origin origin_of(const struct sockaddr *from)
{
    http_origin origin = {0, 0};
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

static bool is_same(const http_origin *a, const http_origin *b)
{
    return a->network == b->network && a->host == b->host;
}

static uint32_t most_of(const http_guests *g)
{
    return g->most ? g->most : HTTP_CONNECTIONS_MAX;
}

static bool stays(const http_guest *guest)
{
    return guest->here && !guest->leaving;
}

bool http_guests_fit(const http_guests *g)
{
    return g->here < 2 * most_of(g);
}

/* One more, or less, of that address stays. Says how many do. */
static uint32_t count_together(http_guests *g, const http_origin *from, int32_t change)
{
    uint32_t together = 0;
    for (uint32_t i = 0; i < HTTP_GUESTS_MAX; i++) {
        http_guest *guest = &g->places[i];
        if (stays(guest) && is_same(&guest->from, from))
            together = guest->together += (uint32_t)change;
    }
    return together;
}

http_guest *http_guests_enter(http_guests *g, const struct sockaddr *from, int fd, uint64_t now_ms)
{
    for (uint32_t i = 0; i < HTTP_GUESTS_MAX && http_guests_fit(g); i++) {
        http_guest *place = &g->places[i];
        if (place->here)
            continue;
        const http_origin origin = origin_of(from);
        const uint32_t others = count_together(g, &origin, 1);
        *place = (http_guest){.here = true,
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

void http_guests_exit(http_guests *g, http_guest *who)
{
    if (!who->leaving)
        http_guests_dismiss(g, who);
    g->here--;
    who->here = false;
}

void http_guests_dismiss(http_guests *g, http_guest *who)
{
    count_together(g, &who->from, -1);
    who->leaving = true;
    g->staying--;
}

static bool goes_later(const http_guest *guest, const http_guest *than)
{
    if (guest->together != than->together)
        return guest->together < than->together;
    return guest->held != than->held ? guest->held : guest->arrival > than->arrival;
}

http_guest *http_guests_make_room(http_guests *g)
{
    http_guest *chosen = NULL;
    if (g->staying < most_of(g))
        return NULL;
    for (uint32_t i = 0; i < HTTP_GUESTS_MAX; i++) {
        http_guest *guest = &g->places[i];
        if (stays(guest) && (!chosen || goes_later(chosen, guest)))
            chosen = guest;
    }
    http_guests_dismiss(g, chosen);
    return chosen;
}

http_guest *http_guests_expire(http_guests *g, uint64_t now_ms, uint64_t longest_ms)
{
    for (uint32_t i = 0; i < HTTP_GUESTS_MAX; i++) {
        http_guest *guest = &g->places[i];
        if (stays(guest) && !guest->held && now_ms >= guest->since_ms + longest_ms) {
            http_guests_dismiss(g, guest);
            return guest;
        }
    }
    return NULL;
}
