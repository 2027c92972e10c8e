/* exposure.c - see exposure.h. */
#include "ps/exposure.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/address.h"

/* By its spelling: what other names stand for may change. */
static bool names_loopback(const char *host)
{
    struct sockaddr_storage at = {.ss_family = AF_INET};
    if (inet_pton(AF_INET, host, &((struct sockaddr_in *)&at)->sin_addr) == 1)
        return address_is_loopback(&at);
    at.ss_family = AF_INET6;
    if (inet_pton(AF_INET6, host, &((struct sockaddr_in6 *)&at)->sin6_addr) == 1)
        return address_is_loopback(&at);
    return strcasecmp(host, "localhost") == 0;
}

static bool is_bound_to_loopback(int fd)
{
    struct sockaddr_storage at;
    socklen_t bytes = sizeof at;
    if (getsockname(fd, (struct sockaddr *)&at, &bytes) != 0)
        return true; /* it is no socket, which listening on it will say */
    return (at.ss_family != AF_INET && at.ss_family != AF_INET6) || address_is_loopback(&at);
}

ps_status exposure_settle(const exposure *wanted, const cluster_task *self, const char **host,
                          ps_error *error)
{
    const bool inherited = wanted->listen_fd >= 0;
    const bool local = inherited ? is_bound_to_loopback(wanted->listen_fd) : names_loopback(self->host);
    const bool open = wanted->has_keys || wanted->insecure;
    *host = !inherited && (wanted->bind_given || (local && !open)) ? self->host : NULL;
    if (open || local)
        return PS_OK;
    char where[ADDRESS_TEXT_MAX + 8];
    address_format(self->host, self->port, where, sizeof where);
    return ps_fail(
        error, PS_ECONFIG,
        "ps/%u would listen beyond this host (%s) without keys, so that whoever reaches it can change the "
        "model: give --curve-keys (penstock keygen makes them), or --insecure",
        self->index, where);
}
