/* http_host.h - by which names a server may be asked: what Host of a request has to say.
 *
 * A browser lets a page read the answers of the host that the page came from. Whoever owns that host's name
 * can point it at 127.0.0.1 a moment later (DNS rebinding), and the page reads what listens there for this
 * machine's own users only. Its requests still carry the foreign name in Host. So names are answered only if
 * they are known to be ours. Addresses cannot be pointed elsewhere: a page that came from one can ask only
 * that one, and all are answered, so that tunnels and forwarded ports go on working. */
#ifndef PENSTOCK_COMMON_HTTP_HOST_H
#define PENSTOCK_COMMON_HTTP_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

enum { HTTP_HOSTS_MAX = 16 };

/* Names beside "localhost". Start from zeros. */
typedef struct {
    uint32_t count;
    const char *names[HTTP_HOSTS_MAX]; /* borrowed */
} http_hosts;

/* PS_EINVAL: it is no host name, or the table is full. */
ps_status http_hosts_add(http_hosts *hosts, const char *name, ps_error *error);

/* Is the value of a field Host "localhost", one of `hosts`, or a numeric address; with or without a port?
 * Case and a last dot do not matter. */
bool http_host_is_ours(const http_hosts *hosts, const char *value);

/* Did the page with this field Origin come from a server on its reader's own host: "http://localhost:8000",
 * or an address of loopback? Who can serve from there can connect to the ports there without a browser. */
bool http_origin_is_loopback(const char *value);

#endif
