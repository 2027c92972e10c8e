/* visitors.h - who is connected to a server (HTTP's, or as a stranger to the transport's:
 * transport_door.h), and who has to go when there is no room for the next.
 *
 * Whoever comes gets in. When `most` are there, one is told to leave for it: the oldest of the address that
 * holds the most places, or if some of those are held, the oldest of the others. So who sits on connections
 * loses them first, and one address, however many it opens, keeps no other out. Of IPv6 a whole network of 64
 * bits is one address: a host has all of it.
 *
 * Pure: no socket, no clock, nothing allocated. Belongs to one thread. */
#ifndef PENSTOCK_COMMON_VISITORS_H
#define PENSTOCK_COMMON_VISITORS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    HTTP_CONNECTIONS_MAX = 64, /* unless somebody wants more: */
    HTTP_CONNECTIONS_MOST = 256,
    VISITORS_MOST = 1024,             /* of `most`, whoever's */
    VISITORS_MAX = 2 * VISITORS_MOST, /* with those who were told to leave and are not gone */
};

typedef struct {
    uint64_t network; /* of an IPv6 address the first half */
    uint64_t host;    /* 0, or the second half of one that stands for an IPv4 address */
} visitor_origin;

typedef struct {
    bool here, leaving;
    bool asked; /* its user's: a whole request has come */
    bool held;  /* its user's: it waits for us, and does not expire */
    int fd;
    visitor_origin from;
    uint32_t together; /* of that address, this one counted, that stay */
    uint64_t arrival;  /* 1, 2, ... */
    uint64_t since_ms;
} visitor;

/* Start from zeros. */
typedef struct {
    uint32_t most;          /* who may stay; 0: HTTP_CONNECTIONS_MAX */
    uint32_t here, staying; /* staying: and not told to leave */
    uint64_t arrivals;
    visitor places[VISITORS_MAX];
} visitors;

/* Is there a place, with all who were told to leave and are not gone? */
bool visitors_fit(const visitors *g);

/* NULL: there is no place. What is neither IPv4 nor IPv6 is all one address. */
visitor *visitors_enter(visitors *g, const struct sockaddr *from, int fd, uint64_t now_ms);
void visitors_exit(visitors *g, visitor *who);

/* It is told to leave. */
void visitors_dismiss(visitors *g, visitor *who);

/* Dismisses one, as said above, if as many stay as may; the caller hangs up. NULL: nobody. */
visitor *visitors_make_room(visitors *g);

/* Likewise one that is here for `longest_ms` or longer. */
visitor *visitors_expire(visitors *g, uint64_t now_ms, uint64_t longest_ms);

#endif
