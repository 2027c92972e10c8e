/* http_abuse.c - abuses the HTTP servers of daemons on this host, until it is told to end (SIGTERM).
 *
 *   http_abuse CONNECTIONS PORT...
 *
 * Three kinds of abuse take turns. A crowd: CONNECTIONS that are open at a time, most of them silent, the
 * others half a head long and growing by a byte a round; those that the server gives up are replaced.
 * Requests that are too large, malformed, impossible, foreign, many in one, cut off or reset in the midst.
 * And questions by a foreign name, none of which may be answered by a page. They come from ADDRESSES
 * addresses of 127.0.1.0/24. Says "under attack" when the whole crowd is there and everything has been tried
 * once, and at the end what has been done. Ends with 0, or with 1 if a page was shown to whom it is not for.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PORTS_MAX = 8,
    ADDRESSES = 8,
    CONNECTIONS_MAX = 1 << 16,
    OTHER_DESCRIPTORS = 64, /* beside the crowd's */
    GROWTH = 1000,  /* of the crowd, a round: more at a time do not fit into the queues of the kernel */
    SLOW_EACH = 50, /* of the crowd, one in so many is not silent */
    LARGE_BYTES = 1 << 20,
    ROUNDS_MAX = 100000, /* should nobody tell it to end */
    ANSWER_MS = 2000,
    PAUSE_MS = 50, /* between rounds: the machine is also to train */
};

static volatile sig_atomic_t told_to_end;

static void note_end(int number)
{
    (void)number;
    told_to_end = 1;
}

static uint64_t random_state = UINT64_C(0x9E3779B97F4A7C15);

static uint64_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "http_abuse: %s\n", what);
    exit(EXIT_FAILURE);
}

static struct {
    uint16_t ports[PORTS_MAX];
    unsigned port_count;
    uint64_t connections, requests, replaced, shown;
} abuse;

/* A socket under way to one of the ports, from one of the addresses. */
static int connect_anywhere(void)
{
    const uint64_t number = abuse.connections++;
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl((127u << 24) + (1u << 8) + 1 + (uint32_t)(number % ADDRESSES));
    to.sin_port = htons(abuse.ports[number / ADDRESSES % abuse.port_count]);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    if (fd < 0)
        die(strerror(errno));
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0)
        die(strerror(errno));
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS && errno != ECONNREFUSED)
        die(strerror(errno));
    return fd;
}

static bool is_connected(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    return poll(&wait, 1, ANSWER_MS) == 1 && !(wait.revents & (POLLERR | POLLHUP));
}

/* As much as it takes; the other side may close at any time. */
static void send_bytes(int fd, const void *bytes, size_t count)
{
    const char *from = bytes;
    for (size_t sent = 0; sent < count;) {
        const ssize_t done = send(fd, from + sent, count - sent, MSG_NOSIGNAL);
        if (done <= 0)
            return;
        sent += (size_t)done;
    }
}

static void send_text(int fd, const char *text)
{
    send_bytes(fd, text, strlen(text));
}

static void reset(int fd)
{
    const struct linger at_once = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/* ---- requests ---- */

static const char *filling(void)
{
    static char bytes[LARGE_BYTES];
    if (!bytes[0])
        memset(bytes, 'a', sizeof bytes);
    return bytes;
}

static void large_field(int fd)
{
    send_text(fd, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ");
    send_bytes(fd, filling(), LARGE_BYTES);
}

static void many_fields(int fd)
{
    send_text(fd, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n");
    for (int i = 0; i < 10000; i++)
        send_text(fd, "X: y\r\n");
}

static void long_path(int fd)
{
    send_text(fd, "GET /");
    send_bytes(fd, filling(), LARGE_BYTES);
}

static void long_method(int fd)
{
    send_bytes(fd, filling(), LARGE_BYTES);
}

static void large_body(int fd)
{
    send_text(fd, "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n");
    send_bytes(fd, filling(), LARGE_BYTES);
}

static void body_without_end(int fd)
{
    send_text(fd, "GET /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n");
    send_bytes(fd, filling(), LARGE_BYTES / 2);
}

static void bad_path(int fd)
{
    static const char *const paths[] = {
        "/../../etc/passwd", "/%2e%2e/etc/passwd",          "//metrics", "/metrics%00.html",
        "metrics",           "http://evil.example/metrics", "/metrics/", "/\xff\xfe"};
    char request[256];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
             paths[draw() % (sizeof paths / sizeof paths[0])]);
    send_text(fd, request);
}

static void many_at_once(int fd)
{
    for (int i = 0; i < 200; i++)
        send_text(fd, i % 7 == 6 ? "\r\nJUNK\0\r\n" : "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

static void half_closed(int fd)
{
    send_text(fd, draw() % 2 ? "GET /metrics HTTP/1.1\r\nHost:" : "GET /metrics HTTP/1.0\r\n\r\n");
    shutdown(fd, SHUT_WR);
}

static void reset_in_the_midst(int fd)
{
    send_text(fd, draw() % 2 ? "GET /met" : "GET /metrics HTTP/1.0\r\n\r\n");
    reset(fd);
}

static void other_protocols(int fd)
{
    static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    if (draw() % 2)
        send_bytes(fd, hello, sizeof hello - 1);
    else
        send_text(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}

static void random_bytes(int fd)
{
    uint64_t bytes[512];
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++)
        bytes[i] = draw();
    send_bytes(fd, bytes, 1 + draw() % sizeof bytes);
}

/* The answer, if there is one, is no page. */
static void foreign_name(int fd)
{
    char answer[4096];
    size_t used = 0;
    send_text(fd, "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    for (struct pollfd wait = {.fd = fd, .events = POLLIN}; poll(&wait, 1, ANSWER_MS) == 1;) {
        const ssize_t got = recv(fd, answer + used, sizeof answer - 1 - used, 0);
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    answer[used] = '\0';
    abuse.shown += strstr(answer, " 200 ") != NULL || strstr(answer, "penstock_") != NULL;
}

static void try_requests(void)
{
    static void (*const kinds[])(int) = {large_field, many_fields,        long_path,       long_method,
                                         large_body,  body_without_end,   bad_path,        many_at_once,
                                         half_closed, reset_in_the_midst, other_protocols, random_bytes,
                                         foreign_name};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        int fd = connect_anywhere();
        if (is_connected(fd)) {
            kinds[i](fd);
            abuse.requests++;
        }
        if (draw() % 2)
            reset(fd);
        close(fd);
    }
}

/* ---- the crowd ---- */

typedef struct {
    unsigned count, wanted;
    struct pollfd *members; /* (wanted), of which `count` are there */
} crowd;

/* Lets it grow; once it is all there, those who are given up are replaced. True if all are connected, or have
 * been. */
static bool tend(crowd *c, bool replace)
{
    static const char head[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
    bool complete = c->count == c->wanted;
    for (int i = 0; i < GROWTH && c->count < c->wanted; i++)
        c->members[c->count++] = (struct pollfd){.fd = connect_anywhere(), .events = POLLOUT | POLLIN};
    if (poll(c->members, c->count, 0) < 0)
        die(strerror(errno));
    for (unsigned i = 0; i < c->count; i++) {
        struct pollfd *m = &c->members[i];
        complete = complete && m->revents != 0;
        if (replace && m->revents & (POLLERR | POLLHUP | POLLIN)) {
            close(m->fd);
            m->fd = connect_anywhere();
            abuse.replaced++;
        } else if (m->revents & POLLOUT && i % SLOW_EACH == 0) {
            send_bytes(m->fd, head + draw() % (sizeof head - 1), 1);
        }
    }
    return complete;
}

/* Room for it, as far as this host allows so many descriptors. */
static void prepare(crowd *c, unsigned count)
{
    struct rlimit limit;
    const rlim_t wanted = count + OTHER_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        die(strerror(errno));
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (limit.rlim_max < wanted) {
        const struct rlimit raised = {wanted, wanted};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
        else
            count = (unsigned)limit.rlim_max - OTHER_DESCRIPTORS;
    }
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die(strerror(errno));
    *c = (crowd){.wanted = count, .members = calloc(count, sizeof *c->members)};
    if (!c->members)
        die("out of memory");
}

int main(int argc, char **argv)
{
    crowd c;
    if (argc < 3 || argc - 2 > PORTS_MAX || atoi(argv[1]) < 1 || atoi(argv[1]) > CONNECTIONS_MAX)
        die("usage: http_abuse CONNECTIONS PORT...");
    for (; abuse.port_count < (unsigned)argc - 2; abuse.port_count++)
        abuse.ports[abuse.port_count] = (uint16_t)atoi(argv[2 + abuse.port_count]);
    signal(SIGTERM, note_end);
    prepare(&c, (unsigned)atoi(argv[1]));
    for (unsigned round = 0, complete = 0; !told_to_end && round < ROUNDS_MAX; round++) {
        /* The crowd stays as it is until all of it has been let in. */
        const bool all = tend(&c, complete > 0);
        try_requests();
        if (all && complete++ == 0) {
            printf("under attack: %u connections are open\n", c.count);
            fflush(stdout);
        }
        poll(NULL, 0, PAUSE_MS);
    }
    for (unsigned i = 0; i < c.count; i++)
        close(c.members[i].fd);
    free(c.members);
    printf(
        "%llu connections, at most %u at a time, %llu of which were given up and replaced; %llu requests\n",
        (unsigned long long)abuse.connections, c.count, (unsigned long long)abuse.replaced,
        (unsigned long long)abuse.requests);
    if (abuse.shown > 0)
        die("a page was shown by a foreign name");
    return EXIT_SUCCESS;
}
