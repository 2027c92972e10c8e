/* http_refusals.h - requests that an HTTP server has not answered as was wished, counted by reason. What no
 * client of HTTP sends libmicrohttpd turns away by itself; that is not counted.
 *
 * Threads: the server's counts, others read. */
#ifndef PENSTOCK_COMMON_HTTP_REFUSALS_H
#define PENSTOCK_COMMON_HTTP_REFUSALS_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "common/json_write.h"

/* X(constant, name) */
#define HTTP_REFUSAL_LIST(X)                                                                             \
    X(HTTP_REFUSAL_NAME, "foreign_name")  /* 421 */                                                      \
    X(HTTP_REFUSAL_TOKEN, "no_token")     /* 401: none, or another */                                    \
    X(HTTP_REFUSAL_BEYOND, "beyond_host") /* 403: from elsewhere, where there is no token to be known */ \
    X(HTTP_REFUSAL_METHOD, "method")      /* 405 */                                                      \
    X(HTTP_REFUSAL_BODY, "body")          /* 413 */                                                      \
    X(HTTP_REFUSAL_PAGE, "no_such_page")  /* 404 */                                                      \
    X(HTTP_REFUSAL_CROWDED, "crowded")    /* a connection that had to make room */                       \
    X(HTTP_REFUSAL_SLOW, "slow")          /* ... that took too long */

#define HTTP_REFUSAL_ENUM(constant, name) constant,
typedef enum { HTTP_REFUSAL_LIST(HTTP_REFUSAL_ENUM) HTTP_REFUSAL_COUNT } http_refusal;
#undef HTTP_REFUSAL_ENUM

/* Start from zeros. */
typedef struct {
    _Atomic uint64_t count[HTTP_REFUSAL_COUNT];
} http_refusals;

/* Does nothing on NULL. */
void http_refusals_add(http_refusals *r, http_refusal why);

/* As a counter `name` with the label `reason`, for Prometheus. */
void http_refusals_print(const http_refusals *r, const char *name, FILE *out);

/* As an object `key`, by reason. */
void http_refusals_put(const http_refusals *r, const char *key, json_writer *w);

#endif
