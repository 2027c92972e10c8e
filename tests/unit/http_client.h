/* http_client.h - asks a server of common/http over real sockets, byte by byte as a test wants it. */
#ifndef PENSTOCK_TESTS_HTTP_CLIENT_H
#define PENSTOCK_TESTS_HTTP_CLIENT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/http.h"
#include "tests/unit/unit.h"

enum { ANSWER_MAX = 64 << 10, PATIENCE_MS = 60000 };

static inline int connect_to(const http *h)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(http_port(h)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

/* What comes until the other side closes; false if it does not in time. */
static inline bool read_to_end(int fd, char *answer, size_t bytes)
{
    const uint64_t end = clock_monotonic_ms() + PATIENCE_MS;
    size_t used = 0;
    while (clock_monotonic_ms() < end) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        poll(&wait, 1, 1000);
        if (!wait.revents)
            continue;
        ssize_t got = recv(fd, answer + used, bytes - 1 - used, 0);
        if (got <= 0) {
            answer[used] = '\0';
            return true;
        }
        used += (size_t)got;
        assert_true(used < bytes - 1);
    }
    return false;
}

static inline const char *ask_bytes(const http *h, const char *request, size_t bytes)
{
    static char answer[ANSWER_MAX];
    int fd = connect_to(h);
    for (size_t sent = 0; sent < bytes;) {
        ssize_t done = send(fd, request + sent, bytes - sent, MSG_NOSIGNAL);
        if (done <= 0)
            break;
        sent += (size_t)done;
    }
    assert_true(read_to_end(fd, answer, sizeof answer));
    close(fd);
    return answer;
}

static inline const char *ask(const http *h, const char *request)
{
    return ask_bytes(h, request, strlen(request));
}

static inline bool begins(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

static inline bool ends(const char *text, const char *end)
{
    return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

#define assert_answer(answer, beginning, end)                             \
    do {                                                                  \
        const char *got = (answer);                                       \
        if (!begins(got, "HTTP/1.1 " beginning " ") || !ends(got, (end))) \
            fail_msg("%s", got);                                          \
    } while (0)

#endif
