/* http_guests.h - who is connected to the HTTP server, and who has to go when there is no room for the next.
 *
 * Whoever comes gets in. When HTTP_CONNECTIONS_MAX are there, one is told to leave for it: the oldest of the
 * address that holds the most places. So who sits on connections loses them first, and one address, however
 * many it opens, keeps no other out. Of IPv6 a whole network of 64 bits is one address: a host has all of it.
 *
 * Pure: no socket, no clock, nothing allocated. Belongs to one thread. */
#ifndef PENSTOCK_COMMON_HTTP_GUESTS_H
#define PENSTOCK_COMMON_HTTP_GUESTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    HTTP_CONNECTIONS_MAX = 64,
    HTTP_GUESTS_MAX = 2 * HTTP_CONNECTIONS_MAX, /* with those who were told to leave and are not gone */
};

typedef struct {
    uint64_t network; /* of an IPv6 address the first half */
    uint64_t host;    /* 0, or the second half of one that stands for an IPv4 address */
} http_origin;

typedef struct {
    bool here, leaving;
    bool asked; /* its user's: a whole request has come */
    int fd;
    http_origin from;
    uint64_t arrival; /* 1, 2, ... */
    uint64_t since_ms;
} http_guest;

/* Start from zeros. */
typedef struct {
    uint32_t here, staying; /* staying: and not told to leave */
    uint64_t arrivals;
    http_guest places[HTTP_GUESTS_MAX];
} http_guests;

/* NULL: there are HTTP_GUESTS_MAX. What is neither IPv4 nor IPv6 is all one address. */
http_guest *http_guests_enter(http_guests *g, const struct sockaddr *from, int fd, uint64_t now_ms);
void http_guests_exit(http_guests *g, http_guest *who);

/* It is told to leave. */
void http_guests_dismiss(http_guests *g, http_guest *who);

/* Dismisses one, as said above, if HTTP_CONNECTIONS_MAX stay; the caller hangs up. NULL: nobody. */
http_guest *http_guests_make_room(http_guests *g);

/* Likewise one that is here for `longest_ms` or longer. */
http_guest *http_guests_expire(http_guests *g, uint64_t now_ms, uint64_t longest_ms);

#endif
