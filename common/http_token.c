/* http_token.c - see http_token.h. */
#include "common/http_token.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/file.h"

enum { FILE_BYTES_MAX = 4096 };

/* What RFC 6750 calls a b64token. */
static bool is_token(const char *text, size_t length)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";
    const size_t own = strspn(text, letters);
    return length >= HTTP_TOKEN_MIN && length <= HTTP_TOKEN_MAX && own > 0 &&
           own + strspn(text + own, "=") == length;
}

ps_status http_token_read(const char *path, http_token *token, ps_error *error)
{
    char *text;
    size_t bytes;
    struct stat about;
    *token = (http_token){""};
    ps_status status = file_read_regular(path, FILE_BYTES_MAX, &text, &bytes, &about, error);
    if (status != PS_OK)
        return status;
    const size_t length = strcspn(text, "\r\n");
    const bool one_line = length + strspn(text + length, "\r\n") == bytes;
    text[length] = '\0';
    if (file_is_read_by_others(&about))
        status = ps_fail(error, PS_ECONFIG, "%s: others may read this token (mode %04o): chmod 600", path,
                         (unsigned)about.st_mode & 07777);
    else if (!one_line || !is_token(text, length))
        status = ps_fail(error, PS_ECONFIG,
                         "%s holds no token: one line of %d to %d letters, digits or any of -._~+/, with = "
                         "at its end",
                         path, HTTP_TOKEN_MIN, HTTP_TOKEN_MAX);
    else
        memcpy(token->text, text, length + 1);
    explicit_bzero(text, bytes);
    free(text);
    return status;
}

ps_status http_token_find(const char *path, const char *option, http_token *token, ps_error *error)
{
    if (!path)
        path = getenv(HTTP_TOKEN_VARIABLE);
    *token = (http_token){""};
    if (!path)
        return PS_OK;
    if (path[0] == '\0')
        return ps_fail(error, PS_ECONFIG, "%s (or " HTTP_TOKEN_VARIABLE ") has an empty name", option);
    return http_token_read(path, token, error);
}

bool http_token_is_brought(const http_token *token, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *given = authorization + sizeof scheme - 1;
    given += strspn(given, " ");
    const size_t length = strlen(token->text), given_length = strlen(given);
    volatile unsigned char difference = length != given_length || length == 0;
    for (size_t i = 0; i < given_length; i++) /* as long as what was given, which its sender knows */
        difference |= (unsigned char)(given[i] ^ token->text[i < length ? i : 0]);
    return difference == 0;
}
