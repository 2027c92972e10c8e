/* round_trip.c - prints how long a packet takes to another host and its answer back, in microseconds.
 *
 *   round_trip ADDRESS PORT TIMES
 *
 * The least of so many: each the time of a connect to a port that somebody listens on, which the kernel at
 * the other end answers, whatever the process there does meanwhile. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int times = argc == 4 ? atoi(argv[3]) : 0;
    uint64_t least = UINT64_MAX;
    if (times < 1 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
        fputs("usage: round_trip ADDRESS PORT TIMES\n", stderr);
        return EXIT_FAILURE;
    }
    to.sin_port = htons((uint16_t)atoi(argv[2]));
    for (int i = 0; i < times; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        uint64_t begun = now_us();
        if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
            perror("round_trip");
            return EXIT_FAILURE;
        }
        uint64_t took = now_us() - begun;
        least = took < least ? took : least;
        close(fd);
    }
    printf("%llu\n", (unsigned long long)least);
    return EXIT_SUCCESS;
}
