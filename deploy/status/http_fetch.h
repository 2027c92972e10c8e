/* http_fetch.h - asks a daemon for a page over HTTP. Blocking, with a bound on time and size. */
#ifndef PENSTOCK_DEPLOY_HTTP_FETCH_H
#define PENSTOCK_DEPLOY_HTTP_FETCH_H

#include <stddef.h>

#include "common/status.h"

enum { HTTP_FETCH_MAX = 32 << 20 /* bytes of an answer */ };

/* `token`: what is brought to it (common/http_token.h); NULL: none. The body of `path` at `address`,
 * "host:port", with a terminating zero; the caller frees it. PS_EINVAL: that is no address; PS_ETIMEDOUT;
 * PS_EIO: nobody listens there, or what answers is no such page; PS_ENOMEM. */
ps_status http_fetch(const char *address, const char *path, const char *token, unsigned timeout_ms,
                     char **body, size_t *bytes, ps_error *error);

#endif
