/* fuzz_http.c - any bytes from a stranger to the HTTP server: one answer or none, no page but to who asks for
 * it by GET or HEAD and by a name that is ours, none that is not for all to who does not bring the token,
 * nothing of the request in the answer, and the next client is served.
 *
 * Input: one byte, the size of the pieces in which the rest is sent (0: all at once); the rest is sent, and
 * after it the end of a head and another request, so that the server has never to wait for more. The server
 * is a whole one, with its thread and loopback; of one input to the next only connections change. Coverage
 * leads the search through our code; the grammar of HTTP is libmicrohttpd's, which sees the same bytes but is
 * not built for that. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http.h"
#include "common/log.h"
#include "tests/fuzz/fuzz.h"

enum {
    INPUT_MAX = 4 * HTTP_MEMORY_BYTES,
    ANSWER_MAX = 2048,
    PATIENCE_MS = 2 * HTTP_CONNECTION_MS,
    CONTROL_EACH = 16, /* inputs */
    CLIENTS = 1 << 16, /* addresses that inputs come from: connections linger under theirs */
};

static const char shown[] = "this is a page\n", guarded[] = "this is for readers alone\n";
static const http_token token = {"0123456789abcdef"};

static unsigned show(void *context, FILE *body)
{
    fputs(context, body);
    return 200;
}

static unsigned show_guarded(void *context, FILE *body)
{
    (void)context;
    fputs(guarded, body);
    return 200;
}

static const http_hosts hosts = {1, {"ps.example"}};

static const http *server(void)
{
    static char page[sizeof shown];
    static const http_page pages[] = {{"/page", "text/plain", show, true},
                                      {"/guarded", "text/plain", show_guarded, false}};
    const http_config config = {
        .hosts = &hosts, .token = &token, .pages = pages, .page_count = 2, .context = page};
    static http *h;
    if (!h) {
        memcpy(page, shown, sizeof shown);
        log_setup("fuzz", LOG_OFF);
        FUZZ_REQUIRE(http_start(&config, &h, NULL) == PS_OK);
    }
    return h;
}

/* The server may hang up at any time. */
static void send_pieces(int fd, const uint8_t *bytes, size_t count, size_t piece)
{
    for (size_t sent = 0; sent < count;) {
        const size_t next = piece && piece < count - sent ? piece : count - sent;
        const ssize_t done = send(fd, bytes + sent, next, MSG_NOSIGNAL);
        if (done <= 0)
            return;
        sent += (size_t)done;
    }
}

static void read_answer(int fd, char *answer)
{
    size_t used = 0;
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        FUZZ_REQUIRE(poll(&wait, 1, PATIENCE_MS) == 1);
        const ssize_t got = recv(fd, answer + used, ANSWER_MAX - 1 - used, 0);
        if (got <= 0)
            break;
        used += (size_t)got;
        FUZZ_REQUIRE(used < ANSWER_MAX - 1);
    }
    FUZZ_REQUIRE(!memchr(answer, '\0', used));
    answer[used] = '\0';
}

/* libFuzzer's clock is not to interrupt the calls of a client. */
static void mask_clock(int how)
{
    sigset_t clock;
    sigemptyset(&clock);
    sigaddset(&clock, SIGALRM);
    FUZZ_REQUIRE(pthread_sigmask(how, &clock, NULL) == 0);
}

static void ask(const uint8_t *request, size_t bytes, size_t piece, char *answer)
{
    static const char last[] = "\r\n\r\nGET /last HTTP/1.0\r\n\r\n";
    static uint32_t client;
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    const int one = 1;
    from.sin_addr.s_addr = htonl((127u << 24) + (1u << 16) + client++ % CLIENTS);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(http_port(server()));
    mask_clock(SIG_BLOCK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FUZZ_REQUIRE(fd >= 0);
    FUZZ_REQUIRE(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    FUZZ_REQUIRE(bind(fd, (struct sockaddr *)&from, sizeof from) == 0);
    FUZZ_REQUIRE(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    send_pieces(fd, request, bytes, piece);
    send_pieces(fd, (const uint8_t *)last, sizeof last - 1, 0);
    shutdown(fd, SHUT_WR);
    read_answer(fd, answer);
    close(fd);
    mask_clock(SIG_UNBLOCK);
}

/* ---- what the request says, read by simpler means ---- */

/* No line of the head names a host that is not ours, and one at most names any. What no browser sends is not
 * judged, nor what comes after it: lines that end by a lone carriage return, fields that go on in the next
 * line, and fields without a name, which libmicrohttpd takes for the end of the head. */
static bool names_no_stranger(const char *request)
{
    char line[INPUT_MAX + 1];
    unsigned named = 0;
    for (size_t whole; (whole = strcspn(request, "\n")) > 0; request += whole + 1) {
        const size_t length = request[whole - 1] == '\r' ? whole - 1 : whole;
        const char next = request[whole] ? request[whole + 1] : '\0';
        memcpy(line, request, length);
        line[length] = '\0';
        if (length == 0 || line[0] == ':' || strchr(line, '\r') || next == ' ' || next == '\t')
            break;
        if (strncasecmp(line, "host:", 5) != 0)
            continue;
        const char *value = line + 5 + strspn(line + 5, " \t");
        for (size_t end = length; end > 5 && strchr(" \t", line[end - 1]); end--)
            line[end - 1] = '\0';
        if (!http_host_is_ours(&hosts, value) || ++named > 1)
            return false;
    }
    return true;
}

/* Does it say "bearer TOKEN" anywhere? */
static bool names_the_token(const char *request)
{
    for (const char *at = request; (at = strstr(at, token.text)); at++) {
        const char *before = at;
        while (before > request && before[-1] == ' ')
            before--;
        if (before < at && before - request >= 6 && strncasecmp(before - 6, "bearer", 6) == 0)
            return true;
    }
    return false;
}

/* `cut`: the request holds a NUL, where libmicrohttpd cuts a method, a path or a host; no browser sends any.
 */
static void check_page(const char *answer, const char *request, bool cut)
{
    const char *body = strstr(answer, "\r\n\r\n");
    request += strspn(request, "\r\n");
    const bool asked = strncmp(request, "GET ", 4) == 0, asked_head = strncmp(request, "HEAD ", 5) == 0;
    const bool is_guarded = body && strcmp(body + 4, guarded) == 0;
    FUZZ_REQUIRE(body && (is_guarded || strcmp(body + 4, shown) == 0 || body[4] == '\0'));
    FUZZ_REQUIRE(!is_guarded || cut || names_the_token(request));
    FUZZ_REQUIRE(cut || (asked && body[4]) || (asked_head && !body[4]));
    FUZZ_REQUIRE(strstr(answer, "\r\nConnection: close\r\n"));
    FUZZ_REQUIRE(cut || names_no_stranger(request));
}

static void check_answer(const char *answer, const char *request, bool cut)
{
    static const char *const refusals[] = {"400", "401", "404", "405", "413",
                                           "414", "421", "431", "501", "505"};
    if (!answer[0])
        return;
    FUZZ_REQUIRE(strncmp(answer, "HTTP/1.", 7) == 0 && strlen(answer) > 12);
    const char *status = answer + 9;
    /* libmicrohttpd 0.9.75 sends the head of its own refusals twice if Content-Length is no number. */
    const bool is_from_us = strstr(answer, "\r\nCache-Control: no-store\r\n") != NULL;
    FUZZ_REQUIRE(!is_from_us || !strstr(answer + 1, "HTTP/1."));
    if (strncmp(status, "200", 3) == 0) {
        FUZZ_REQUIRE(is_from_us);
        check_page(answer, request, cut);
        return;
    }
    FUZZ_REQUIRE(!strstr(answer, shown) && !strstr(answer, guarded) && !strstr(answer, token.text));
    bool known = false;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        known = known || strncmp(status, refusals[i], 3) == 0;
    if (!known)
        fprintf(stderr, "%s\n", answer);
    FUZZ_REQUIRE(known);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char control[] = "GET /page HTTP/1.0";
    static unsigned inputs;
    static char answer[ANSWER_MAX], request[INPUT_MAX + 8];
    if (bytes < 1 || bytes - 1 > INPUT_MAX)
        return 0;
    memcpy(request, data + 1, bytes - 1);
    memcpy(request + bytes - 1, "\r\n\r\n", 5);
    ask(data + 1, bytes - 1, data[0], answer);
    check_answer(answer, request, memchr(data + 1, '\0', bytes - 1) != NULL);
    if (inputs++ % CONTROL_EACH == 0) {
        ask((const uint8_t *)control, sizeof control - 1, 0, answer);
        FUZZ_REQUIRE(strncmp(answer + 9, "200", 3) == 0);
    }
    return 0;
}
