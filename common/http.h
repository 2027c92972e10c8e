/* http.h - a small HTTP server for looking at a daemon. The only module that knows libmicrohttpd.
 *
 * It answers GET and HEAD of the paths it was given, each connection once, and nothing else: no files, no
 * state to be changed. All of it happens on one thread of its own, which the daemon never waits for.
 *
 * On loopback, and everywhere if names were given, a request by a foreign name is refused (http_host.h).
 *
 * Strangers are bounded: HTTP_CONNECTIONS_MAX connections, HTTP_MEMORY_BYTES for each, HTTP_CONNECTION_MS
 * from its start to its end, however busy it seems. Whoever comes beyond gets in all the same, and one of
 * those who take the most places is hung up on (http_guests.h). */
#ifndef PENSTOCK_COMMON_HTTP_H
#define PENSTOCK_COMMON_HTTP_H

#include <stdint.h>
#include <stdio.h>

#include "common/http_guests.h"
#include "common/http_host.h"
#include "common/status.h"

enum {
    HTTP_MEMORY_BYTES = 16 << 10, /* of one connection; longer requests are refused with 431 or 414 */
    HTTP_CONNECTION_MS = 5000,
    HTTP_BODY_MAX = 16 << 20, /* of an answer */
};

typedef struct http http;

/* A path that is answered. `answer` writes the body and returns the HTTP status, 200 or 503; it is called on
 * the server's thread. */
typedef struct {
    const char *path; /* "/metrics" */
    const char *type; /* of the content */
    unsigned (*answer)(void *context, FILE *body);
} http_page;

typedef struct {
    const char *address;     /* numeric, to listen on; NULL: 127.0.0.1 */
    uint16_t port;           /* 0: any that is free */
    const char *port_file;   /* where "address:port" is written to, once it listens; NULL: nowhere */
    const http_hosts *hosts; /* names it is asked by; borrowed, until http_stop; NULL: none */
    const http_page *pages;  /* borrowed, until http_stop */
    uint32_t page_count;
    void *context; /* of the pages */
} http_config;

/* Starts to serve, and says in the log where. PS_ECONFIG: the address is none of this host, or the port is
 * taken; PS_EIO; PS_ENOMEM. */
ps_status http_start(const http_config *config, http **out, ps_error *error);

uint16_t http_port(const http *h);

/* Ends the thread and all connections; nulls the pointer; does nothing on NULL. */
void http_stop(http **h);

#endif
