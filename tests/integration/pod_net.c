/* pod_net.c - a network for pods: network namespaces, and the packets between them.
 *
 *   pod_net N     prints a line for each: a descriptor of this process, and the namespace's IPv4 address
 *
 * A namespace is entered through /proc/PID/fd/DESCRIPTOR. It carries packets until standard input ends. Exit
 * code 77, with the reason, where namespaces cannot be made. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "deploy/chaos/chaos_link.h"
#include "deploy/chaos/chaos_router.h"

enum { SKIPPED = 77, PATIENCE_MS = 1000 };

static void carry(chaos_net *net)
{
    static struct pollfd waits[CHAOS_WAITS_MAX + 1];
    for (;;) {
        uint64_t now_ms = clock_monotonic_ms(), wake_ms = now_ms + PATIENCE_MS;
        size_t count = net->ops->waits(net, waits, now_ms, &wake_ms);
        waits[count] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
        poll(waits, count + 1, wake_ms > now_ms ? (int)(wake_ms - now_ms) : 0);
        if (waits[count].revents)
            return;
        net->ops->turn(net, waits, clock_monotonic_ms());
    }
}

int main(int argc, char **argv)
{
    int wanted = argc == 2 ? atoi(argv[1]) : 0;
    chaos_net *net;
    ps_error error;
    if (wanted < 2 || wanted > CHAOS_WORKERS_MAX + 1) {
        fprintf(stderr, "usage: pod_net N (2 to %d)\n", CHAOS_WORKERS_MAX + 1);
        return EXIT_FAILURE;
    }
    size_t workers = (size_t)wanted - 1;
    if (chaos_router_create(workers, 1, (chaos_line){0}, 1, &net, &error) != PS_OK) {
        fprintf(stderr, "%s\n", error.text);
        return SKIPPED;
    }
    for (size_t node = 0; node <= workers; node++) {
        uint32_t address = chaos_node_address(node);
        int space =
            node == 0 ? chaos_router_space(net, ROLE_PS, 0) : chaos_router_space(net, ROLE_WORKER, node - 1);
        printf("%d %u.%u.%u.%u\n", space, address >> 24, address >> 16 & 255, address >> 8 & 255,
               address & 255);
    }
    fflush(stdout);
    carry(net);
    net->ops->destroy(net);
    return EXIT_SUCCESS;
}
