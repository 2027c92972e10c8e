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

http_guest *http_guests_enter(http_guests *g, const struct sockaddr *from, int fd, uint64_t now_ms)
{
    for (uint32_t i = 0; i < HTTP_GUESTS_MAX; i++) {
        http_guest *place = &g->places[i];
        if (place->here)
            continue;
        *place = (http_guest){
            .here = true, .fd = fd, .from = origin_of(from), .arrival = ++g->arrivals, .since_ms = now_ms};
        g->here++;
        g->staying++;
        return place;
    }
    return NULL;
}

void http_guests_exit(http_guests *g, http_guest *who)
{
    g->here--;
    g->staying -= !who->leaving;
    who->here = false;
}

static bool stays(const http_guest *guest)
{
    return guest->here && !guest->leaving;
}

void http_guests_dismiss(http_guests *g, http_guest *who)
{
    who->leaving = true;
    g->staying--;
}

static uint32_t count_from(const http_guests *g, const http_origin *origin)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < HTTP_GUESTS_MAX; i++)
        count += stays(&g->places[i]) && is_same(&g->places[i].from, origin);
    return count;
}

http_guest *http_guests_make_room(http_guests *g)
{
    http_guest *chosen = NULL;
    uint32_t most = 0;
    if (g->staying < HTTP_CONNECTIONS_MAX)
        return NULL;
    for (uint32_t i = 0; i < HTTP_GUESTS_MAX; i++) {
        http_guest *guest = &g->places[i];
        if (!stays(guest))
            continue;
        const uint32_t count = count_from(g, &guest->from);
        if (count < most || (count == most && guest->arrival > chosen->arrival))
            continue;
        chosen = guest;
        most = count;
    }
    http_guests_dismiss(g, chosen);
    return chosen;
}

http_guest *http_guests_expire(http_guests *g, uint64_t now_ms, uint64_t longest_ms)
{
    for (uint32_t i = 0; i < HTTP_GUESTS_MAX; i++) {
        http_guest *guest = &g->places[i];
        if (stays(guest) && now_ms >= guest->since_ms + longest_ms) {
            http_guests_dismiss(g, guest);
            return guest;
        }
    }
    return NULL;
}
