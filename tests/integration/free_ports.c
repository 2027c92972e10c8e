/* free_ports.c - prints N TCP ports that nobody listens on, for daemons that a test starts by hand.
 *
 *   free_ports N
 *
 * They lie below the range from which Linux takes ports for outgoing connections, and begin at a random
 * place, so neither connections nor tests running beside this one take them before the daemon does. */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST = 10000, COUNT = 22000 };

static bool is_free(unsigned port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0) /* a host without IPv6 */
        return true;
    bool bound = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return bound;
}

int main(int argc, char **argv)
{
    int wanted = argc == 2 ? atoi(argv[1]) : 0;
    unsigned start;
    if (wanted < 1 || wanted > 100) {
        fputs("usage: free_ports N (1 to 100)\n", stderr);
        return EXIT_FAILURE;
    }
    if (getrandom(&start, sizeof start, 0) != (ssize_t)sizeof start)
        return EXIT_FAILURE;
    start %= COUNT;
    for (unsigned i = 0; i < COUNT && wanted > 0; i++) {
        unsigned port = FIRST + (start + i) % COUNT;
        if (!is_free(port))
            continue;
        printf("%u\n", port);
        wanted--;
    }
    return wanted == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
