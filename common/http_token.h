/* http_token.h - the word that a client of HTTP has to know: "Authorization: Bearer WORD" (RFC 6750).
 *
 * It comes from a file of one line, for its owner alone:
 *
 *   head -c 32 /dev/urandom | base64 >token; chmod 600 token
 *
 * HTTP here is not encrypted: whoever can listen on the way learns it. */
#ifndef PENSTOCK_COMMON_HTTP_TOKEN_H
#define PENSTOCK_COMMON_HTTP_TOKEN_H

#include <stdbool.h>

#include "common/status.h"

#define HTTP_TOKEN_VARIABLE "PENSTOCK_HTTP_TOKEN_FILE"

enum {
    HTTP_TOKEN_MIN = 16, /* characters; fewer could be tried out */
    HTTP_TOKEN_MAX = 256,
};

/* Start from zeros: none. */
typedef struct {
    char text[HTTP_TOKEN_MAX + 1];
} http_token;

/* PS_ECONFIG: others than its owner may read the file, or it holds no token; PS_ENOENT, PS_EIO, PS_ELIMIT.
 * The path is named, never the token. */
ps_status http_token_read(const char *path, http_token *token, ps_error *error);

/* As an option says where it is: that of the file `path`, else (NULL) of the environment's, else none. As
 * http_token_read; PS_ECONFIG also for an empty name, by which `option` is called ("--token-file"). */
ps_status http_token_find(const char *path, const char *option, http_token *token, ps_error *error);

/* Does the value of a field Authorization bring it? How long that takes does not depend on where it differs.
 */
bool http_token_is_brought(const http_token *token, const char *authorization);

#endif
