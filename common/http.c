/* http.c - see http.h.
 *
 * libmicrohttpd is driven from a loop of ours, which also accepts the connections. Its own timeout, which is
 * off, is one of silence: who sends a byte now and then would keep a connection for ever, and what a deaf one
 * has not taken would stay in the kernel. At its limits it leaves newcomers waiting, whoever they are; and
 * while descriptors lack it turns without end. So the loop decides who gets in, and shuts down those that are
 * too old or have to make room.
 *
 * What a service answers is http_request.c's. Who owns what: http_state.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/http_state.h"
#include "common/log.h"
#include "common/thread.h"

enum {
    SWEEP_MS = 250, /* between looks for connections that are too old */
    BACKLOG = 1024, /* that wait to be accepted */
    ENTRIES_PER_TURN = 16,
    LINE_BYTES = 256 /* of a refusal */
};

/* ---- answers ---- */

static const char strict_policy[] = "default-src 'none'; frame-ancestors 'none'";

enum MHD_Result http_send(const http *h, struct MHD_Connection *c, const http_answer *answer,
                          struct MHD_Response *r)
{
    const char *origin =
        h->config.is_shared ? MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN) : NULL;
    const char *const headers[][2] = {
        {"Content-Type", answer->type},
        {"Content-Security-Policy", h->config.policy ? h->config.policy : strict_policy},
        {"Cache-Control", "no-store"},
        {"Referrer-Policy", "no-referrer"},
        {"X-Content-Type-Options", "nosniff"},
    };
    if (!r)
        return MHD_NO;
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", answer->retry_after_s);
    enum MHD_Result done = MHD_YES;
    for (size_t i = 0; done == MHD_YES && i < sizeof headers / sizeof headers[0]; i++)
        done = MHD_add_response_header(r, headers[i][0], headers[i][1]);
    if (done == MHD_YES && origin && http_origin_is_loopback(origin))
        done = MHD_add_response_header(r, "Access-Control-Allow-Origin", origin);
    if (done == MHD_YES && answer->close)
        done = MHD_add_response_header(r, "Connection", "close");
    if (done == MHD_YES && answer->allow)
        done = MHD_add_response_header(r, "Allow", answer->allow);
    if (done == MHD_YES && answer->wants_token)
        done = MHD_add_response_header(r, "WWW-Authenticate", "Bearer realm=\"penstock\"");
    if (done == MHD_YES && answer->retry_after_s)
        done = MHD_add_response_header(r, "Retry-After", seconds);
    if (done == MHD_YES)
        done = MHD_queue_response(c, answer->status, r);
    MHD_destroy_response(r);
    return done;
}

static void count_refusal(const http *h, unsigned status)
{
    switch (status) {
    case MHD_HTTP_MISDIRECTED_REQUEST:
        http_refusals_add(h->config.refused, HTTP_REFUSAL_NAME);
        break;
    case MHD_HTTP_UNAUTHORIZED:
        http_refusals_add(h->config.refused, HTTP_REFUSAL_TOKEN);
        break;
    case MHD_HTTP_FORBIDDEN:
        http_refusals_add(h->config.refused, HTTP_REFUSAL_BEYOND);
        break;
    case MHD_HTTP_METHOD_NOT_ALLOWED:
        http_refusals_add(h->config.refused, HTTP_REFUSAL_METHOD);
        break;
    case MHD_HTTP_CONTENT_TOO_LARGE:
        http_refusals_add(h->config.refused, HTTP_REFUSAL_BODY);
        break;
    case MHD_HTTP_NOT_FOUND:
        http_refusals_add(h->config.refused, HTTP_REFUSAL_PAGE);
        break;
    default: /* ours to answer for */
        break;
    }
}

/* Counts it. One line is said, or without memory nothing. */
static http_answer refusal(const http *h, unsigned status, const char *why)
{
    count_refusal(h, status);
    char *line = NULL;
    const int length = asprintf(&line, "%u %s\n", status, why);
    return (http_answer){.status = status,
                         .type = "text/plain; charset=utf-8",
                         .body = length < 0 ? NULL : line,
                         .bytes = length < 0 ? 0 : (size_t)length,
                         .allow = status == MHD_HTTP_METHOD_NOT_ALLOWED ? "GET, HEAD" : NULL,
                         .wants_token = status == MHD_HTTP_UNAUTHORIZED,
                         .close = true};
}

static enum MHD_Result refuse(const http *h, struct MHD_Connection *c, unsigned status, const char *why)
{
    const http_answer answer = refusal(h, status, why);
    struct MHD_Response *r =
        MHD_create_response_from_buffer(answer.bytes, answer.body, MHD_RESPMEM_MUST_FREE);
    if (!r)
        free(answer.body);
    return http_send(h, c, &answer, r);
}

static enum MHD_Result answer_page(const http *h, struct MHD_Connection *c, const http_page *page)
{
    char *body = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&body, &bytes);
    const unsigned status = out ? page->answer(h->config.context, out) : MHD_HTTP_INTERNAL_SERVER_ERROR;
    if (!out || fclose(out) != 0 || bytes > HTTP_BODY_MAX) {
        free(body);
        return refuse(h, c, MHD_HTTP_INTERNAL_SERVER_ERROR, "no memory for the answer");
    }
    struct MHD_Response *r = MHD_create_response_from_buffer(bytes, body, MHD_RESPMEM_MUST_FREE);
    if (!r)
        free(body);
    const http_answer answer = {.status = status, .type = page->type, .close = true};
    return http_send(h, c, &answer, r);
}

/* Does a body follow the head? */
static bool brings_a_body(struct MHD_Connection *c)
{
    const char *length = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (length && strcmp(length, "0") != 0) ||
           MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

typedef struct {
    const char *field;
    unsigned count;
} field_count;

static enum MHD_Result count_field(void *context, enum MHD_ValueKind kind, const char *field,
                                   const char *value)
{
    field_count *of = context;
    (void)kind;
    (void)value;
    of->count += strcasecmp(field, of->field) == 0;
    return MHD_YES;
}

/* How often; its value, of the first, or NULL. */
static unsigned look_up(struct MHD_Connection *c, const char *field, const char **value)
{
    field_count of = {.field = field};
    MHD_get_connection_values(c, MHD_HEADER_KIND, count_field, &of);
    *value = MHD_lookup_connection_value(c, MHD_HEADER_KIND, field);
    return of.count;
}

static bool is_from_this_host(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *from = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return address_is_loopback((const struct sockaddr_storage *)from->client_addr);
}

/* Reading is for this host alone. */
static bool is_restricted(const http *h)
{
    return !h->has_token && !h->config.is_open;
}

/* Whether who asks may read what is not for all: 0, or the status of the refusal, and why. */
static unsigned judge_reader(const http *h, struct MHD_Connection *c, const char **why)
{
    const char *authorization;
    if (h->has_token) {
        *why = h->wants_token;
        return look_up(c, MHD_HTTP_HEADER_AUTHORIZATION, &authorization) == 1 &&
                       http_token_is_brought(h->config.token, authorization)
                   ? 0
                   : MHD_HTTP_UNAUTHORIZED;
    }
    *why = h->beyond_host;
    return is_restricted(h) && !is_from_this_host(c) ? MHD_HTTP_FORBIDDEN : 0;
}

/* What is wrong with the name that a server is asked by; NULL: nothing. Only who is no browser names none. */
static const char *judge_host(const http *h, struct MHD_Connection *c)
{
    static const http_hosts none = {0};
    const char *host;
    if (look_up(c, MHD_HTTP_HEADER_HOST, &host) > 1)
        return "a request names one host";
    const bool checks = h->checks_names || (is_restricted(h) && is_from_this_host(c));
    if (host && checks && !http_host_is_ours(h->config.hosts ? h->config.hosts : &none, host))
        return h->foreign_name;
    return NULL;
}

static const http_page *find_page(const http *h, const char *path)
{
    for (uint32_t i = 0; i < h->config.page_count; i++)
        if (strcmp(path, h->config.pages[i].path) == 0)
            return &h->config.pages[i];
    return NULL;
}

static bool is_for_all(const http *h, const http_page *page, const char *path)
{
    const char *const *p = h->config.service ? h->config.service->for_all : NULL;
    if (page)
        return page->for_all;
    while (p && *p && strcmp(*p, path) != 0)
        p++;
    return p && *p;
}

/* Is called with the head of a request; of a page, all is decided on that. */
static enum MHD_Result answer(void *context, struct MHD_Connection *c, const char *path, const char *method,
                              const char *version, const char *body, size_t *body_bytes, void **request)
{
    http *h = context;
    (void)version;
    if (*request) /* a service's, and not its head any more */
        return http_request_handle(h, c, path, method, body, body_bytes, request);
    const union MHD_ConnectionInfo *about = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    visitor *guest = about->socket_context;
    if (guest)
        guest->asked = true;
    const http_page *page = find_page(h, path);
    const bool is_service = h->config.service && !page;
    const char *why = judge_host(h, c);
    unsigned forbidden = why ? MHD_HTTP_MISDIRECTED_REQUEST : 0;
    if (!forbidden && !is_for_all(h, page, path))
        forbidden = judge_reader(h, c, &why);
    if (forbidden && is_service) {
        const http_answer no = refusal(h, forbidden, why);
        return http_request_refuse(h, c, path, method, &no, request);
    }
    if (forbidden)
        return refuse(h, c, forbidden, why);
    if (is_service)
        return http_request_handle(h, c, path, method, body, body_bytes, request);
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return refuse(h, c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are answered here");
    if (brings_a_body(c))
        return refuse(h, c, MHD_HTTP_CONTENT_TOO_LARGE, "a request has no body here");
    return page ? answer_page(h, c, page) : refuse(h, c, MHD_HTTP_NOT_FOUND, "there is no such page");
}

/* ---- connections ---- */

static void note_connection(void *context, struct MHD_Connection *c, void **own,
                            enum MHD_ConnectionNotificationCode what)
{
    http *h = context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *from = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        const union MHD_ConnectionInfo *at = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
        *own = visitors_enter(&h->guests, from->client_addr, at->connect_fd, clock_monotonic_ms());
    } else if (*own) {
        visitors_exit(&h->guests, *own);
        *own = NULL;
    }
}

/* libmicrohttpd sees the end and closes it. What a client has not taken by then the kernel is not to keep. */
static void hang_up(const http *h, const visitor *who, http_refusal why)
{
    const struct linger not_at_all = {.l_onoff = 1};
    if (!who)
        return;
    http_refusals_add(h->config.refused, why);
    setsockopt(who->fd, SOL_SOCKET, SO_LINGER, &not_at_all, sizeof not_at_all);
    shutdown(who->fd, SHUT_RDWR);
}

/* libmicrohttpd misses the end of what a client sends if it comes along with bytes before it. Those who have
 * sent no whole request by then never will. */
static void dismiss_the_half_closed(http *h)
{
    for (uint32_t i = 0; i < VISITORS_MAX; i++) {
        visitor *guest = &h->guests.places[i];
        struct pollfd end = {.fd = guest->fd, .events = POLLRDHUP};
        int unread = 0;
        if (!guest->here || guest->leaving || guest->asked || poll(&end, 1, 0) <= 0 ||
            ioctl(guest->fd, FIONREAD, &unread) != 0 || unread > 0)
            continue;
        visitors_dismiss(&h->guests, guest);
        hang_up(h, guest, HTTP_REFUSAL_SLOW);
    }
}

static void sweep(http *h, uint64_t now_ms)
{
    for (visitor *old; (old = visitors_expire(&h->guests, now_ms, h->patience_ms));)
        hang_up(h, old, HTTP_REFUSAL_SLOW);
    dismiss_the_half_closed(h);
}

/* Descriptors lack, or memory. */
static void close_door(http *h, uint64_t now_ms)
{
    if (h->closed_until_ms == 0)
        log_warning("HTTP lets nobody in for now: %s", strerror(errno));
    h->closed_until_ms = now_ms + SWEEP_MS;
}

/* Lets in some of those who wait; the others have their turn when these have been looked at. */
static void let_in(http *h, uint64_t now_ms)
{
    for (int i = 0; i < ENTRIES_PER_TURN && visitors_fit(&h->guests); i++) {
        struct sockaddr_storage from;
        socklen_t bytes = sizeof from;
        const int fd = accept4(h->listener, (struct sockaddr *)&from, &bytes, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                close_door(h, now_ms);
            return;
        }
        h->closed_until_ms = 0;
        hang_up(h, visitors_make_room(&h->guests), HTTP_REFUSAL_CROWDED);
        MHD_add_connection(h->daemon, fd, (struct sockaddr *)&from, bytes); /* closes it if it cannot */
    }
}

static void *loop(void *context)
{
    http *h = context;
    const union MHD_DaemonInfo *about = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    enum { GUESTS, ENDING, REPLIES, DOOR, WAITS };
    struct pollfd waits[WAITS] = {
        [GUESTS] = {.fd = about->epoll_fd, .events = POLLIN},
        [ENDING] = {.fd = h->ending, .events = POLLIN},
        [REPLIES] = {.fd = h->replied, .events = POLLIN},
        [DOOR] = {.events = POLLIN},
    };
    uint64_t swept_ms = 0, now_ms = clock_monotonic_ms();
    while (!waits[ENDING].revents) {
        MHD_UNSIGNED_LONG_LONG patience = SWEEP_MS;
        if (MHD_get_timeout(h->daemon, &patience) != MHD_YES || patience > SWEEP_MS)
            patience = SWEEP_MS;
        const bool open = now_ms >= h->closed_until_ms && visitors_fit(&h->guests);
        waits[DOOR].fd = open ? h->listener : -1;
        poll(waits, WAITS, (int)patience);
        now_ms = clock_monotonic_ms();
        if (waits[DOOR].revents)
            let_in(h, now_ms);
        if (now_ms - swept_ms >= SWEEP_MS) {
            sweep(h, now_ms);
            swept_ms = now_ms;
        }
        if (waits[REPLIES].revents)
            http_request_resume(h);
        MHD_run(h->daemon);
    }
    http_request_resume(h); /* libmicrohttpd does not end with connections suspended */
    MHD_run(h->daemon);
    return NULL;
}

/* ---- start and end ---- */

/* What libmicrohttpd complains of is what strangers do. */
__attribute__((format(printf, 2, 0))) static void log_complaint(void *unused, const char *format,
                                                                va_list arguments)
{
    char text[LINE_BYTES];
    (void)unused;
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = '\0';
    log_debug("HTTP: %s", text);
}

/* No page needs an escape to be named, and "%00" would cut a path. */
static size_t leave_escapes(void *unused, struct MHD_Connection *c, char *text)
{
    (void)unused;
    (void)c;
    return strlen(text);
}

static bool parse_address(const char *text, uint16_t port, struct sockaddr_storage *to, socklen_t *bytes)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)to;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
    memset(to, 0, sizeof *to);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *bytes = sizeof *v4;
        return true;
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    *bytes = sizeof *v6;
    return inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
}

static ps_status listen_at(http *h, struct sockaddr_storage *at, ps_error *error)
{
    socklen_t bytes;
    char where[ADDRESS_TEXT_MAX + 8];
    address_format(h->config.address, h->config.port, where, sizeof where);
    if (!parse_address(h->config.address, h->config.port, at, &bytes))
        return ps_fail(error, PS_ECONFIG, "--%saddress: '%s' is no IPv4 or IPv6 address", h->config.options,
                       h->config.address);
    h->listener = socket(at->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int one = 1;
    if (h->listener < 0)
        return ps_fail(error, PS_EIO, "no socket for HTTP: %s", strerror(errno));
    setsockopt(h->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(h->listener, (struct sockaddr *)at, bytes) != 0 || listen(h->listener, BACKLOG) != 0)
        return ps_fail(error, PS_ECONFIG, "cannot listen for HTTP on %s: %s (--%saddress, --%sport)", where,
                       strerror(errno), h->config.options, h->config.options);
    if (getsockname(h->listener, (struct sockaddr *)at, &bytes) != 0)
        return ps_fail(error, PS_EIO, "cannot listen for HTTP on %s: %s", where, strerror(errno));
    h->port = ntohs(at->ss_family == AF_INET ? ((struct sockaddr_in *)at)->sin_port
                                             : ((struct sockaddr_in6 *)at)->sin6_port);
    return PS_OK;
}

static ps_status start_daemon(http *h, ps_error *error)
{
    const http_service *s = h->config.service;
    h->patience_ms = s ? s->patience_ms : HTTP_CONNECTION_MS;
    h->guests.most = s ? s->connections_max : HTTP_CONNECTIONS_MAX;
    h->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG | (s ? MHD_ALLOW_SUSPEND_RESUME : 0), 0,
        NULL, NULL, answer, h, MHD_OPTION_EXTERNAL_LOGGER, log_complaint, NULL, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)VISITORS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        s ? (size_t)s->memory_bytes : (size_t)HTTP_MEMORY_BYTES, MHD_OPTION_UNESCAPE_CALLBACK, leave_escapes,
        NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION, note_connection, h,
        MHD_OPTION_NOTIFY_COMPLETED, http_request_completed, h, MHD_OPTION_END);
    if (!h->daemon)
        return ps_fail(error, PS_EIO, "libmicrohttpd does not start");
    int failed = thread_start(&h->thread, loop, h);
    h->has_thread = failed == 0;
    return failed ? ps_fail(error, PS_ENOMEM, "no thread for HTTP: %s", strerror(failed)) : PS_OK;
}

static ps_status tell_port(const http *h, const char *where, ps_error *error)
{
    const struct iovec parts[] = {{(void *)(uintptr_t)where, strlen(where)}, {(void *)(uintptr_t) "\n", 1}};
    return h->config.port_file ? file_write_atomic(h->config.port_file, parts, 2, error) : PS_OK;
}

/* On an address beyond loopback. */
static void say_exposure(const http *h, const char *where)
{
    if (h->has_token)
        log_warning("HTTP on %s is not encrypted: who listens on the way learns the token", where);
    else if (h->config.is_open)
        log_warning("HTTP on %s is open to everybody who can reach it", where);
    else
        log_warning("HTTP on %s: %s", where, h->beyond_host);
}

ps_status http_start(const http_config *config, http **out, ps_error *error)
{
    http *h = calloc(1, sizeof *h);
    *out = h;
    if (!h)
        return ps_fail(error, PS_ENOMEM, "out of memory for HTTP");
    h->config = *config;
    if (!h->config.address)
        h->config.address = "127.0.0.1";
    if (!h->config.options)
        h->config.options = "http-";
    snprintf(h->foreign_name, sizeof h->foreign_name,
             "this host name is not answered to here: use an address, or see --%shost", h->config.options);
    snprintf(h->wants_token, sizeof h->wants_token,
             "a token is wanted here: Authorization: Bearer ... (that of --%stoken-file)", h->config.options);
    snprintf(h->beyond_host, sizeof h->beyond_host,
             "other hosts see no more than probes here: see --%stoken-file, or --%sopen", h->config.options,
             h->config.options);
    h->has_token = config->token && config->token->text[0];
    pthread_mutex_init(&h->lock, NULL);
    h->listener = -1;
    h->ending = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    h->replied = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct sockaddr_storage at;
    char where[ADDRESS_TEXT_MAX + 8];
    ps_status status = h->ending < 0 || h->replied < 0
                           ? ps_fail(error, PS_EIO, "no descriptor for HTTP: %s", strerror(errno))
                           : listen_at(h, &at, error);
    h->checks_names =
        status == PS_OK && (address_is_loopback(&at) || (config->hosts && config->hosts->count > 0));
    if (status == PS_OK)
        status = start_daemon(h, error);
    address_format(h->config.address, h->port, where, sizeof where);
    if (status == PS_OK)
        status = tell_port(h, where, error);
    if (status != PS_OK) {
        http_stop(out);
        return status;
    }
    log_info(h->has_token ? "HTTP on %s, with a token" : "HTTP on %s", where);
    if (!address_is_loopback(&at))
        say_exposure(h, where);
    return PS_OK;
}

uint16_t http_port(const http *h)
{
    return h->port;
}

void http_stop(http **handle)
{
    http *h = *handle;
    *handle = NULL;
    if (!h)
        return;
    if (h->has_thread) {
        const uint64_t one = 1;
        ssize_t ignored = write(h->ending, &one, sizeof one);
        (void)ignored;
        pthread_join(h->thread, NULL);
    }
    if (h->daemon)
        MHD_stop_daemon(h->daemon);
    if (h->listener >= 0)
        close(h->listener);
    if (h->ending >= 0)
        close(h->ending);
    if (h->replied >= 0)
        close(h->replied);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
