/* ports.c - see ports.h. */
#include "deploy/launch/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PENDING_CONNECTIONS = 128 };

ps_status port_reserve(bool listening, int *socket_fd, uint16_t *port, ps_error *error)
{
    return port_reserve_at(INADDR_LOOPBACK, listening, socket_fd, port, error);
}

ps_status port_reserve_at(uint32_t at, bool listening, int *socket_fd, uint16_t *port, ps_error *error)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(at)};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        goto failed;
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        (listening && listen(fd, PENDING_CONNECTIONS) != 0) ||
        getsockname(fd, (struct sockaddr *)&address, &bytes) != 0)
        goto failed;
    *socket_fd = fd;
    *port = ntohs(address.sin_port);
    return PS_OK;

failed:;
    int cause = errno;
    if (fd >= 0)
        close(fd);
    char text[INET_ADDRSTRLEN];
    return ps_fail(error, PS_EIO, "cannot reserve a port of %s: %s",
                   inet_ntop(AF_INET, &address.sin_addr, text, sizeof text), strerror(cause));
}
