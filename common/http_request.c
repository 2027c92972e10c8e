/* http_request.c - requests of a service: their bodies, and answers that come later. See http.h.
 *
 * libmicrohttpd calls the handler with the head, with each piece of the body, and once more. While a service
 * is at work on a request its connection is suspended. Whoever replies only puts the request on a list and
 * wakes the server's thread, which resumes the connection and sends.
 *
 * A request that was refused by its head is not answered before its body has come, as long as that is not too
 * much: who is still writing when the connection is closed gets a reset instead of the reason. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/http_state.h"

enum {
    THROWN_AWAY_MAX = 64 << 20, /* bytes of a body that nobody wants */
    BODY_FIRST_BYTES = 16 << 10,
};

struct served {
    http_request request; /* first: what the service has is this */
    http *server;
    struct MHD_Connection *connection;
    visitor *guest;
    char *body;
    size_t capacity;     /* of `body` */
    size_t claimed;      /* by Content-Length; SIZE_MAX: not said */
    size_t thrown_away;  /* bytes */
    bool waits_for_word; /* Expect: 100-continue */

    /* Guarded by the server's lock. */
    bool suspended;
    bool replied;
    http_answer answer;
    served *next;
};

static served *served_of(const http_request *r)
{
    return (served *)(uintptr_t)r;
}

const char *http_header(const http_request *r, const char *name)
{
    return MHD_lookup_connection_value(served_of(r)->connection, MHD_HEADER_KIND, name);
}

uint32_t http_under_way(const http *h)
{
    return atomic_load(&h->under_way);
}

/* ---- answers ---- */

void http_reply(http_request *r, const http_answer *answer)
{
    served *s = served_of(r);
    http *h = s->server;
    pthread_mutex_lock(&h->lock);
    s->answer = *answer;
    s->replied = true;
    const bool first = s->suspended && !h->finished;
    if (s->suspended) {
        s->next = h->finished;
        h->finished = s;
    }
    pthread_mutex_unlock(&h->lock);
    if (first) {
        const uint64_t one = 1;
        ssize_t ignored = write(h->replied, &one, sizeof one);
        (void)ignored;
    }
}

void http_request_resume(http *h)
{
    uint64_t count;
    if (read(h->replied, &count, sizeof count) != sizeof count)
        return;
    pthread_mutex_lock(&h->lock);
    served *all = h->finished;
    h->finished = NULL;
    pthread_mutex_unlock(&h->lock);
    const uint64_t now_ms = clock_monotonic_ms();
    for (served *s = all; s; s = s->next) {
        s->guest->held = false;
        s->guest->since_ms = now_ms;
        MHD_resume_connection(s->connection);
    }
}

static bool is_replied(served *s)
{
    pthread_mutex_lock(&s->server->lock);
    const bool replied = s->replied;
    pthread_mutex_unlock(&s->server->lock);
    return replied;
}

static enum MHD_Result send_answer(served *s)
{
    const http_service *service = s->server->config.service;
    char *body = s->answer.body;
    s->answer.body = NULL;
    if (service->answered)
        service->answered(s->server->config.context, &s->request, s->answer.status);
    struct MHD_Response *r =
        MHD_create_response_from_buffer(body ? s->answer.bytes : 0, body, MHD_RESPMEM_MUST_FREE);
    if (!r)
        free(body);
    return http_send(s->server, s->connection, &s->answer, r);
}

/* ---- bodies ---- */

static void drop_body(served *s)
{
    s->server->bodies_bytes -= s->capacity;
    free(s->body);
    s->body = NULL;
    s->capacity = 0;
}

static void give_up_body(served *s, http_body why)
{
    drop_body(s);
    s->request.body_is = why;
}

/* Room for `bytes` in all, and no more than the body may have. */
static bool make_room(served *s, size_t bytes)
{
    http *h = s->server;
    if (bytes <= s->capacity)
        return true;
    const size_t most = s->claimed < s->request.body_max ? s->claimed : s->request.body_max;
    size_t capacity = s->capacity ? 2 * s->capacity : BODY_FIRST_BYTES;
    while (capacity < bytes)
        capacity *= 2;
    if (capacity > most)
        capacity = most;
    const size_t others = h->bodies_bytes - s->capacity;
    if (capacity > h->config.service->bodies_max_bytes - others)
        return false;
    char *grown = realloc(s->body, capacity);
    if (!grown)
        return false;
    h->bodies_bytes = others + capacity;
    s->body = grown;
    s->capacity = capacity;
    return true;
}

static void keep_piece(served *s, const char *piece, size_t bytes)
{
    http_request *r = &s->request;
    if (bytes > r->body_max - r->body_bytes) {
        give_up_body(s, HTTP_BODY_TOO_LONG);
    } else if (!make_room(s, r->body_bytes + bytes)) {
        give_up_body(s, HTTP_BODY_NO_MEMORY);
    } else {
        memcpy(s->body + r->body_bytes, piece, bytes);
        r->body_bytes += bytes;
    }
}

static void take_piece(served *s, const char *piece, size_t bytes)
{
    if (!is_replied(s) && s->request.body_is == HTTP_BODY_COMING)
        keep_piece(s, piece, bytes);
    else
        s->thrown_away += bytes;
}

/* ---- a request's way ---- */

static enum MHD_Result hand_over(served *s)
{
    http *h = s->server;
    http_request *r = &s->request;
    if (r->body_is == HTTP_BODY_COMING) {
        r->body_is = HTTP_BODY_WHOLE;
        r->body = s->body;
    } else {
        r->body_bytes = 0;
    }
    s->guest->held = true;
    h->config.service->whole(h->config.context, r);
    pthread_mutex_lock(&h->lock);
    const bool suspends = s->suspended = !s->replied;
    pthread_mutex_unlock(&h->lock);
    if (suspends) { /* whoever replies from here on has it resumed by this thread, which is here */
        MHD_suspend_connection(s->connection);
        return MHD_YES;
    }
    s->guest->held = false;
    return send_answer(s);
}

/* NULL: no memory, or no guest. */
static served *begin(http *h, struct MHD_Connection *c, const char *path, const char *method, void **request)
{
    served *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    *request = s;
    const char *length = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const char *encoding = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING);
    const char *expect = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    s->server = h;
    s->connection = c;
    s->guest = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    s->claimed = encoding ? SIZE_MAX : length ? strtoull(length, NULL, 10) : 0;
    s->waits_for_word = expect && strcasecmp(expect, "100-continue") == 0;
    s->request = (http_request){.method = method, .path = path, .begun_ns = clock_monotonic_ns()};
    atomic_fetch_add(&h->under_way, 1);
    return s->guest ? s : NULL;
}

static void show_head(served *s)
{
    http *h = s->server;
    h->config.service->head(h->config.context, &s->request);
    if (!is_replied(s) && s->claimed != SIZE_MAX && s->claimed > s->request.body_max)
        s->request.body_is = HTTP_BODY_TOO_LONG;
}

/* Would too much of the body have to be thrown away? */
static bool is_too_much(const served *s)
{
    return s->waits_for_word || (s->claimed != SIZE_MAX && s->claimed > THROWN_AWAY_MAX);
}

enum MHD_Result http_request_refuse(http *h, struct MHD_Connection *c, const char *path, const char *method,
                                    const http_answer *answer, void **request)
{
    served *s = begin(h, c, path, method, request);
    if (!s) {
        free(answer->body);
        return MHD_NO;
    }
    http_reply(&s->request, answer);
    return is_too_much(s) ? send_answer(s) : MHD_YES;
}

enum MHD_Result http_request_handle(http *h, struct MHD_Connection *c, const char *path, const char *method,
                                    const char *body, size_t *body_bytes, void **request)
{
    const bool is_head = !*request;
    served *s = is_head ? begin(h, c, path, method, request) : *request;
    if (!s)
        return MHD_NO;
    if (is_head)
        show_head(s);
    if (*body_bytes > 0) { /* libmicrohttpd takes no answer now */
        take_piece(s, body, *body_bytes);
        *body_bytes = 0;
        return s->thrown_away > THROWN_AWAY_MAX ? MHD_NO : MHD_YES;
    }
    const bool unwanted = is_replied(s) || s->request.body_is != HTTP_BODY_COMING;
    if (is_head && !(unwanted && is_too_much(s)))
        return MHD_YES;
    return is_replied(s) ? send_answer(s) : hand_over(s);
}

void http_request_completed(void *context, struct MHD_Connection *c, void **request,
                            enum MHD_RequestTerminationCode why)
{
    http *h = context;
    served *s = *request;
    (void)why;
    visitor *guest = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    if (guest) {
        guest->since_ms = clock_monotonic_ms();
        guest->asked = false;
    }
    *request = NULL;
    if (!s)
        return;
    drop_body(s);
    free(s->answer.body);
    free(s);
    atomic_fetch_sub(&h->under_way, 1);
}
