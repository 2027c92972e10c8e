/* http_options.h - the command line of HTTP, alike in both daemons; used as common/cluster_options.h is. */
#ifndef PENSTOCK_COMMON_HTTP_OPTIONS_H
#define PENSTOCK_COMMON_HTTP_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/http.h"
#include "common/http_host.h"
#include "common/http_token.h"

/* Start from zeros. The strings are the command line's own. */
typedef struct {
    bool wanted;           /* --http-port was given */
    uint16_t port;         /* 0: any that is free */
    const char *address;   /* NULL: 127.0.0.1 */
    const char *port_file; /* NULL: none */
    http_hosts hosts;
    const char *token_file; /* --http-token-file; NULL: the environment's, if there is one */
    http_token token;       /* what it holds */
    bool is_open;
} http_options;

/* For a parent's children; its input is an http_options *. */
extern const struct argp http_options_argp;

/* What they say of a server, which borrows from them; all else is left to be filled in. */
http_config http_options_config(const http_options *options);

#endif
