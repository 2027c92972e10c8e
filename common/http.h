/* http.h - a small HTTP server for looking at a daemon. The only module that knows libmicrohttpd.
 *
 * It answers GET and HEAD of the paths it was given, each connection once, and nothing else: no files, no
 * state to be changed. All of it happens on one thread of its own, which the daemon never waits for.
 *
 * Who may read: with a token who brings it (http_token.h), else who asks from this host, or, if that is said,
 * everybody. What is for all is for all: probes bring no secrets, and what holds none needs no guard. On
 * loopback, and everywhere if names were given, a request by a foreign name is refused (http_host.h).
 *
 * Strangers are bounded: HTTP_CONNECTIONS_MAX connections, HTTP_MEMORY_BYTES for each, HTTP_CONNECTION_MS
 * from its start to its end, however busy it seems. Whoever comes beyond gets in all the same, and one of
 * those who take the most places is hung up on (visitors.h).
 *
 * With a service (below) requests that are no page's are its own, if who asks may read: any method, with a
 * body, one after the other on a connection, answered at once or later, by any thread. */
#ifndef PENSTOCK_COMMON_HTTP_H
#define PENSTOCK_COMMON_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/http_host.h"
#include "common/http_refusals.h"
#include "common/http_token.h"
#include "common/status.h"
#include "common/visitors.h"

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
    bool for_all; /* who may read nothing else gets it too */
} http_page;

/* ---- A service ---- */

typedef enum {
    HTTP_BODY_COMING,
    HTTP_BODY_WHOLE,     /* or there is none */
    HTTP_BODY_TOO_LONG,  /* longer than body_max */
    HTTP_BODY_NO_MEMORY, /* all bodies together would be more than bodies_max_bytes, or memory is out */
} http_body;

/* The server's until `whole` is called, then the service's until http_reply. */
typedef struct {
    const char *method, *path;
    uint64_t begun_ns; /* by clock_monotonic_ns, when the head had come */
    size_t body_max;   /* for `head` to set; 0 at first */
    http_body body_is;
    const char *body; /* (body_bytes), without a zero behind it; NULL unless HTTP_BODY_WHOLE */
    size_t body_bytes;
} http_request;

typedef struct {
    unsigned status;
    const char *type; /* of the content; static, as `allow` */
    char *body;       /* (bytes) from malloc; becomes the server's. NULL: none */
    size_t bytes;
    const char *allow;      /* methods, with 405; else NULL */
    bool wants_token;       /* says how to bring it, with 401 */
    unsigned retry_after_s; /* 0: not said */
    bool close;             /* the connection, when this is sent */
} http_answer;

typedef struct {
    uint32_t connections_max;   /* for HTTP_CONNECTIONS_MAX; at most HTTP_CONNECTIONS_MOST */
    uint32_t patience_ms;       /* for HTTP_CONNECTION_MS, and for each request anew: until it is whole, and
                                 * then for the answer to be taken; what is computed meanwhile does not count */
    uint32_t memory_bytes;      /* for HTTP_MEMORY_BYTES; the larger, the fewer calls of recv a body takes */
    size_t bodies_max_bytes;    /* of all bodies together */
    const char *const *for_all; /* paths that are for all, as pages may be; NULL at the end. NULL: none */
    /* All on the server's thread, which they must not hold up. */
    void (*head)(void *context, http_request *r);  /* may reply: then a body is read and thrown away */
    void (*whole)(void *context, http_request *r); /* unless it was replied to: body_is says what came; unless
                                                    * that is HTTP_BODY_WHOLE, it replies before it returns */
    /* What is said to `r`, also by the server itself; it is gone after that. Optional. */
    void (*answered)(void *context, const http_request *r, unsigned status);
} http_service;

/* A header of the request, or NULL. On the server's thread, before http_reply. */
const char *http_header(const http_request *r, const char *name);

/* By any thread, once for each request. */
void http_reply(http_request *r, const http_answer *answer);

/* ---- The server ---- */

typedef struct {
    const char *address;     /* numeric, to listen on; NULL: 127.0.0.1 */
    uint16_t port;           /* 0: any that is free */
    const char *port_file;   /* where "address:port" is written to, once it listens; NULL: nowhere */
    const http_hosts *hosts; /* names it is asked by; borrowed, until http_stop; NULL: none */
    const http_token *token; /* borrowed, until http_stop; NULL or empty: none */
    bool is_open;            /* without a token: to other hosts too */
    const http_page *pages;  /* borrowed, until http_stop */
    uint32_t page_count;
    const char *policy;     /* Content-Security-Policy of all pages; NULL: they may load and run nothing */
    bool is_shared;         /* what came from another server on the reader's own host may read them all */
    http_refusals *refused; /* borrowed, until http_stop; NULL: they are not counted */
    const http_service *service; /* borrowed; NULL: none */
    void *context;               /* of pages and service */
    const char *options;         /* how errors call the options "--<options>port"; NULL: "http-" */
} http_config;

/* Starts to serve, and says in the log where. PS_ECONFIG: the address is none of this host, or the port is
 * taken; PS_EIO; PS_ENOMEM. */
ps_status http_start(const http_config *config, http **out, ps_error *error);

uint16_t http_port(const http *h);

/* Requests of the service that have begun and whose answer is not sent yet. By any thread. */
uint32_t http_under_way(const http *h);

/* Ends the thread and all connections; nulls the pointer; does nothing on NULL. What a service was given
 * whole it must have replied to before, and from then on it replies at once. */
void http_stop(http **h);

#endif
