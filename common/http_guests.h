/* http_guests.h - who is connected to a server (HTTP's, or as a stranger to the transport's:
 * transport_door.h), and who has to go when there is no room for the next.
 *
 * Whoever comes gets in. When `most` are there, one is told to leave for it: the oldest of the address that
 * holds the most places, or if some of those are held, the oldest of the others. So who sits on connections
 * loses them first, and one address, however many it opens, keeps no other out. Of IPv6 a whole network of 64
 * bits is one address: a host has all of it.
 *
 * Pure: no socket, no clock, nothing allocated. Belongs to one thread. */
#ifndef PENSTOCK_COMMON_HTTP_GUESTS_H
#define PENSTOCK_COMMON_HTTP_GUESTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    HTTP_CONNECTIONS_MAX = 64, /* unless somebody wants more: */
    HTTP_CONNECTIONS_MOST = 256,
    HTTP_GUESTS_MOST = 1024,                /* of `most`, whoever's */
    HTTP_GUESTS_MAX = 2 * HTTP_GUESTS_MOST, /* with those who were told to leave and are not gone */
};

typedef struct {
    uint64_t network; /* of an IPv6 address the first half */
    uint64_t host;    /* 0, or the second half of one that stands for an IPv4 address */
} http_origin;

typedef struct {
    bool here, leaving;
    bool asked; /* its user's: a whole request has come */
    bool held;  /* its user's: it waits for us, and does not expire */
    int fd;
    http_origin from;
    uint32_t together; /* of that address, this one counted, that stay */
    uint64_t arrival;  /* 1, 2, ... */
    uint64_t since_ms;
} http_guest;

/* Start from zeros. */
typedef struct {
    uint32_t most;          /* who may stay; 0: HTTP_CONNECTIONS_MAX */
    uint32_t here, staying; /* staying: and not told to leave */
    uint64_t arrivals;
    http_guest places[HTTP_GUESTS_MAX];
} http_guests;

/* Is there a place, with all who were told to leave and are not gone? */
bool http_guests_fit(const http_guests *g);

/* NULL: there is no place. What is neither IPv4 nor IPv6 is all one address. */
http_guest *http_guests_enter(http_guests *g, const struct sockaddr *from, int fd, uint64_t now_ms);
void http_guests_exit(http_guests *g, http_guest *who);

/* It is told to leave. */
void http_guests_dismiss(http_guests *g, http_guest *who);

/* Dismisses one, as said above, if as many stay as may; the caller hangs up. NULL: nobody. */
http_guest *http_guests_make_room(http_guests *g);

/* Likewise one that is here for `longest_ms` or longer. */
http_guest *http_guests_expire(http_guests *g, uint64_t now_ms, uint64_t longest_ms);

#endif
