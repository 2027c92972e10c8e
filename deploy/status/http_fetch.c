/* http_fetch.c - see http_fetch.h. HTTP/1.0: the answer ends where the connection does, so that there is
 * nothing to be taken apart but its head. */
#include "deploy/status/http_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"

enum { REQUEST_MAX = 1024, ROOM_FIRST = 64 << 10 };

typedef struct {
    const char *address;
    int fd;
    uint64_t end_ms;
    char *text;
    size_t used, room;
} exchange;

/* False when time is over. */
static bool await(const exchange *x, short events)
{
    const uint64_t now_ms = clock_monotonic_ms();
    struct pollfd wait = {.fd = x->fd, .events = events};
    return now_ms < x->end_ms && poll(&wait, 1, (int)(x->end_ms - now_ms)) > 0;
}

static ps_status time_is_over(const exchange *x, ps_error *error)
{
    return ps_fail(error, PS_ETIMEDOUT, "%s: no answer in time", x->address);
}

static ps_status connect_to(exchange *x, const struct addrinfo *to, ps_error *error)
{
    x->fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (x->fd < 0)
        return ps_fail(error, PS_EIO, "%s: %s", x->address, strerror(errno));
    int failed = connect(x->fd, to->ai_addr, to->ai_addrlen) == 0 ? 0 : errno;
    if (failed == EINPROGRESS) {
        socklen_t bytes = sizeof failed;
        if (!await(x, POLLOUT))
            return time_is_over(x, error);
        if (getsockopt(x->fd, SOL_SOCKET, SO_ERROR, &failed, &bytes) != 0)
            failed = errno;
    }
    return failed ? ps_fail(error, PS_EIO, "%s: %s", x->address, strerror(failed)) : PS_OK;
}

/* The first of its addresses that takes the connection. */
static ps_status reach(exchange *x, const address *at, ps_error *error)
{
    char port[8];
    struct addrinfo *found = NULL;
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    snprintf(port, sizeof port, "%u", at->port);
    const int failed = getaddrinfo(at->host, port, &wanted, &found);
    if (failed)
        return ps_fail(error, PS_EIO, "%s: %s", x->address, gai_strerror(failed));
    ps_status status = PS_EIO;
    for (const struct addrinfo *to = found; to && status != PS_OK; to = to->ai_next) {
        if (x->fd >= 0)
            close(x->fd);
        status = connect_to(x, to, error);
    }
    freeaddrinfo(found);
    return status;
}

static ps_status send_request(exchange *x, const char *path, const char *token, ps_error *error)
{
    char request[REQUEST_MAX];
    const int length =
        snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: %s\r\n%s%s%s\r\n", path, x->address,
                 token ? "Authorization: Bearer " : "", token ? token : "", token ? "\r\n" : "");
    for (int sent = 0; sent < length;) {
        const ssize_t done = send(x->fd, request + sent, (size_t)(length - sent), MSG_NOSIGNAL);
        if (done > 0)
            sent += (int)done;
        else if (done < 0 && errno != EAGAIN && errno != EINTR)
            return ps_fail(error, PS_EIO, "%s: %s", x->address, strerror(errno));
        else if (!await(x, POLLOUT))
            return time_is_over(x, error);
    }
    return PS_OK;
}

static ps_status make_room(exchange *x, ps_error *error)
{
    if (x->used + 1 < x->room)
        return PS_OK;
    if (x->room >= HTTP_FETCH_MAX)
        return ps_fail(error, PS_ELIMIT, "%s: an answer of more than %d bytes", x->address, HTTP_FETCH_MAX);
    const size_t room = x->room ? 2 * x->room : ROOM_FIRST;
    char *text = realloc(x->text, room);
    if (!text)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    x->text = text;
    x->room = room;
    return PS_OK;
}

static ps_status receive(exchange *x, ps_error *error)
{
    for (;;) {
        ps_status status = make_room(x, error);
        if (status != PS_OK)
            return status;
        if (!await(x, POLLIN))
            return time_is_over(x, error);
        const ssize_t got = recv(x->fd, x->text + x->used, x->room - 1 - x->used, 0);
        if (got == 0)
            break;
        if (got > 0)
            x->used += (size_t)got;
        else if (errno != EAGAIN && errno != EINTR)
            return ps_fail(error, PS_EIO, "%s: %s", x->address, strerror(errno));
    }
    x->text[x->used] = '\0';
    return PS_OK;
}

/* Is the body as long as the head says, if it says? */
static bool is_whole(const char *head, const char *body_at, size_t body_bytes)
{
    static const char name[] = "content-length:";
    for (const char *line = head; line && line < body_at; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncasecmp(line, name, sizeof name - 1) == 0)
            return strtoull(line + sizeof name - 1, NULL, 10) == body_bytes;
    }
    return true;
}

/* Leaves the body alone in `text`. */
static ps_status take_apart(exchange *x, const char *path, ps_error *error)
{
    unsigned code = 0;
    const char *end = strstr(x->text, "\r\n\r\n");
    if (sscanf(x->text, "HTTP/1.%*1[01] %3u", &code) != 1 || !end)
        return ps_fail(error, PS_EIO, "%s: what listens there speaks no HTTP", x->address);
    if (code == 401 || code == 403)
        return ps_fail(error, PS_EIO, "%s: %s", x->address,
                       code == 401
                           ? "it asks for another token, or for one at all (--http-token-file)"
                           : "it shows itself to its own host alone (its --http-token-file, --http-open)");
    if (code != 200)
        return ps_fail(error, PS_EIO, "%s: %s is answered by %u", x->address, path, code);
    const char *body = end + 4;
    const size_t bytes = x->used - (size_t)(body - x->text);
    if (!is_whole(x->text, body, bytes))
        return ps_fail(error, PS_EIO, "%s: the answer was cut off", x->address);
    memmove(x->text, body, bytes + 1);
    x->used = bytes;
    return PS_OK;
}

ps_status http_fetch(const char *where, const char *path, const char *token, unsigned timeout_ms, char **body,
                     size_t *bytes, ps_error *error)
{
    address at;
    exchange x = {.address = where, .fd = -1, .end_ms = clock_monotonic_ms() + timeout_ms};
    *body = NULL;
    ps_status status = address_parse(where, &at, error);
    if (status == PS_OK)
        status = reach(&x, &at, error);
    if (status == PS_OK)
        status = send_request(&x, path, token, error);
    if (status == PS_OK)
        status = receive(&x, error);
    if (status == PS_OK)
        status = take_apart(&x, path, error);
    if (x.fd >= 0)
        close(x.fd);
    if (status != PS_OK) {
        free(x.text);
        return status;
    }
    *body = x.text;
    *bytes = x.used;
    return PS_OK;
}
