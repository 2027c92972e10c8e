/* loopback.h - listening sockets on this host for tests that really send, and their bound on waiting. */
#ifndef PENSTOCK_TESTS_LOOPBACK_H
#define PENSTOCK_TESTS_LOOPBACK_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* Long enough for a busy machine; only a test that fails anyway waits for so long. */
enum { LOOPBACK_PATIENCE_MS = 60000 };

/* Bound to a free port of 127.0.0.1, which goes to `port`. */
static inline int loopback_bind(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &bytes), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

/* A listening socket on 127.0.0.1, its port in `port`. */
static inline int loopback_listen(uint16_t *port)
{
    int fd = loopback_bind(port);
    assert_int_equal(listen(fd, SOMAXCONN), 0);
    return fd;
}

/* A port at which nobody listens, nor will as long as this process lasts: its socket stays open for that. */
static inline uint16_t loopback_silent_port(void)
{
    uint16_t port;
    loopback_bind(&port);
    return port;
}

/* A plain TCP connection to that port of 127.0.0.1. */
static inline int loopback_connect(uint16_t port)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

#endif
