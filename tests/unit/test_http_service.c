/* Requests with bodies, answered at once and later: the service of common/http. */
#include <pthread.h>
#include <stdlib.h>

#include "tests/unit/http_client.h"

enum { BODY_MAX = 100000, SLOW_MAX = 64 };

/* What the service under test is told and does. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    http_request *kept[SLOW_MAX]; /* of /later, until the test replies */
    uint32_t kept_count;
    uint32_t answered; /* with 200 */
} desk;

static void say(http_request *r, unsigned status, const char *text, size_t bytes)
{
    char *body = malloc(bytes + 1);
    memcpy(body, text, bytes);
    const http_answer answer = {.status = status,
                                .type = "text/plain",
                                .body = body,
                                .bytes = bytes,
                                .allow = status == 405 ? "POST" : NULL,
                                .retry_after_s = status == 503 ? 7 : 0};
    http_reply(r, &answer);
}

static void take_head(void *context, http_request *r)
{
    (void)context;
    r->body_max = BODY_MAX;
    if (strcmp(r->path, "/echo") != 0 && strcmp(r->path, "/later") != 0)
        say(r, 404, "nothing there\n", 14);
    else if (strcmp(r->method, "POST") != 0)
        say(r, 405, "POST it\n", 8);
}

static void take_whole(void *context, http_request *r)
{
    desk *d = context;
    if (r->body_is == HTTP_BODY_TOO_LONG) {
        say(r, 413, "too long\n", 9);
    } else if (r->body_is == HTTP_BODY_NO_MEMORY) {
        say(r, 503, "no room\n", 8);
    } else if (strcmp(r->path, "/echo") == 0) {
        say(r, 200, r->body_bytes ? r->body : "", r->body_bytes);
    } else {
        pthread_mutex_lock(&d->lock);
        d->kept[d->kept_count++] = r;
        pthread_cond_broadcast(&d->changed);
        pthread_mutex_unlock(&d->lock);
    }
}

static void note_answered(void *context, const http_request *r, unsigned status)
{
    desk *d = context;
    assert_true(r->begun_ns > 0);
    pthread_mutex_lock(&d->lock);
    d->answered += status == 200;
    pthread_mutex_unlock(&d->lock);
}

static unsigned say_page(void *context, FILE *body)
{
    (void)context;
    fputs("a page\n", body);
    return 200;
}

static const http_page page = {"/page", "text/plain", say_page, false};
static const http_service service = {
    .connections_max = 128,
    .patience_ms = 60000,
    .memory_bytes = 32 << 10,
    .bodies_max_bytes = (size_t)4 * BODY_MAX,
    .head = take_head,
    .whole = take_whole,
    .answered = note_answered,
};

static http *serve_as(desk *d, const http_service *how)
{
    *d = (desk){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    const http_config config = {.pages = &page, .page_count = 1, .service = how, .context = d};
    http *h = NULL;
    ps_error error;
    if (http_start(&config, &h, &error) != PS_OK)
        fail_msg("%s", error.text);
    return h;
}

/* Until the service has been given `count` requests of /later. */
static void await_kept(desk *d, uint32_t count)
{
    pthread_mutex_lock(&d->lock);
    while (d->kept_count < count)
        pthread_cond_wait(&d->changed, &d->lock);
    pthread_mutex_unlock(&d->lock);
}

static void await_idle(const http *h)
{
    while (http_under_way(h) > 0)
        poll(NULL, 0, 1);
}

static void send_all(int fd, const char *bytes, size_t count)
{
    for (size_t sent = 0; sent < count;) {
        ssize_t done = send(fd, bytes + sent, count - sent, MSG_NOSIGNAL);
        assert_true(done > 0);
        sent += (size_t)done;
    }
}

static int ask_later(const http *h)
{
    static const char request[] = "POST /later HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi";
    int fd = connect_to(h);
    send_all(fd, request, sizeof request - 1);
    return fd;
}

static void bodies_come_whole_and_connections_stay(void **state)
{
    (void)state;
    desk d;
    http *h = serve_as(&d, &service);
    const char *answer = ask(h, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nfirst"
                                "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "3\r\nsec\r\n3\r\nond\r\n0\r\n\r\n"
                                "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
                                "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_answer(answer, "200", "a page\n");
    assert_non_null(strstr(answer, "\r\n\r\nfirstHTTP/1.1 200 "));
    assert_non_null(strstr(answer, "\r\n\r\nsecondHTTP/1.1 200 "));
    await_idle(h);
    assert_int_equal(d.answered, 3);
    http_stop(&h);
}

static void what_is_refused_by_its_head_is_told_after_its_body(void **state)
{
    (void)state;
    desk d;
    http *h = serve_as(&d, &service);
    assert_answer(ask(h, "GET /no HTTP/1.0\r\n\r\n"), "404", "nothing there\n");
    assert_answer(ask(h, "HEAD /no HTTP/1.0\r\n\r\n"), "404", "\r\n\r\n");
    const char *answer = ask(h, "PUT /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
                                "POST /echo HTTP/1.0\r\nContent-Length: 4\r\n\r\nnext");
    assert_answer(answer, "405", "next");
    assert_non_null(strstr(answer, "Allow: POST\r\n"));
    http_stop(&h);
}

static void bodies_that_are_too_long_are_refused_however_they_come(void **state)
{
    (void)state;
    enum { LONG = 20 * BODY_MAX };
    desk d;
    http *h = serve_as(&d, &service);
    char *request = malloc(LONG + 200);
    int head = sprintf(request, "POST /echo HTTP/1.0\r\nContent-Length: %d\r\n\r\n", LONG);
    memset(request + head, 'a', LONG);
    assert_answer(ask_bytes(h, request, (size_t)head + LONG), "413", "too long\n");
    head = sprintf(request,
                   "POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n%x\r\n",
                   LONG);
    memset(request + head, 'a', LONG);
    memcpy(request + head + LONG, "\r\n0\r\n\r\n", 7);
    assert_answer(ask_bytes(h, request, (size_t)head + LONG + 7), "413", "too long\n");
    /* Before it is sent, if the client asks. */
    assert_answer(ask(h, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100001\r\n"
                         "Expect: 100-continue\r\n\r\n"),
                  "413", "too long\n");
    /* Nobody reads that much only to throw it away. */
    assert_answer(ask(h, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999999\r\n\r\n"),
                  "413", "too long\n");
    head = sprintf(request, "POST /echo HTTP/1.0\r\nContent-Length: %d\r\n\r\n", BODY_MAX);
    memset(request + head, 'b', BODY_MAX);
    int fd = connect_to(h);
    send_all(fd, request, (size_t)head + BODY_MAX);
    char *answer = malloc(2 * BODY_MAX);
    assert_true(read_to_end(fd, answer, (size_t)2 * BODY_MAX));
    assert_true(begins(answer, "HTTP/1.1 200 ") && ends(answer, "bbbb"));
    close(fd);
    free(answer);
    free(request);
    http_stop(&h);
}

static void who_may_not_ask_is_told_after_the_body_and_the_service_is_not_asked(void **state)
{
    (void)state;
    enum { LONG = 20 * BODY_MAX };
    static const http_token token = {"0123456789abcdef"};
    static const char *const for_all[] = {"/echo", NULL};
    http_service probed = service;
    probed.for_all = for_all;
    static http_refusals refused;
    desk d = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    const http_config config = {
        .token = &token, .options = "", .refused = &refused, .service = &probed, .context = &d};
    http *h = NULL;
    assert_int_equal(http_start(&config, &h, NULL), PS_OK);
    char *request = malloc(LONG + 200);
    int head = sprintf(request, "POST /later HTTP/1.0\r\nContent-Length: %d\r\n\r\n", LONG);
    memset(request + head, 'a', LONG);
    const char *answer = ask_bytes(h, request, (size_t)head + LONG);
    assert_answer(answer, "401", "(that of --token-file)\n");
    assert_non_null(strstr(answer, "WWW-Authenticate: Bearer realm=\"penstock\"\r\n"));
    head = sprintf(request, "POST /later HTTP/1.1\r\nHost: evil.example\r\nContent-Length: %d\r\n\r\n", LONG);
    memset(request + head, 'a', LONG);
    assert_answer(ask_bytes(h, request, (size_t)head + LONG), "421", "see --host\n");
    /* What would be too much to throw away, or is not sent yet, is refused at once. */
    assert_answer(ask(h, "POST /later HTTP/1.0\r\nContent-Length: 9999999999999\r\n\r\n"), "401", "file)\n");
    assert_answer(ask(h, "POST /later HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
                         "Expect: 100-continue\r\n\r\n"),
                  "401", "file)\n");
    assert_answer(ask(h, "GET /no HTTP/1.0\r\n\r\n"), "401", "file)\n");
    assert_int_equal(d.kept_count, 0);
    assert_int_equal(atomic_load(&refused.count[HTTP_REFUSAL_TOKEN]), 4);
    assert_int_equal(atomic_load(&refused.count[HTTP_REFUSAL_NAME]), 1);
    assert_answer(ask(h, "POST /echo HTTP/1.0\r\nContent-Length: 1\r\n\r\nx"), "200", "x");
    assert_answer(ask(h, "POST /no HTTP/1.0\r\nAuthorization: Bearer 0123456789abcdef\r\n"
                         "Content-Length: 1\r\n\r\nx"),
                  "404", "nothing there\n");
    await_idle(h);
    free(request);
    http_stop(&h);
}

/* Four bodies fit; whoever holds them may be silent. */
static void all_bodies_together_are_bounded(void **state)
{
    (void)state;
    enum { MOST = 4 };
    desk d;
    http *h = serve_as(&d, &service);
    char *request = malloc(BODY_MAX + 200);
    int head = sprintf(request, "POST /later HTTP/1.0\r\nContent-Length: %d\r\n\r\n", BODY_MAX);
    memset(request + head, 'c', BODY_MAX);
    int fds[MOST];
    for (int i = 0; i < MOST; i++) {
        fds[i] = connect_to(h);
        send_all(fds[i], request, (size_t)head + BODY_MAX);
    }
    await_kept(&d, MOST);
    const char *answer = ask(h, "POST /echo HTTP/1.0\r\nContent-Length: 1\r\n\r\nx");
    assert_answer(answer, "503", "no room\n");
    assert_non_null(strstr(answer, "Retry-After: 7\r\n"));
    for (int i = 0; i < MOST; i++)
        say(d.kept[i], 200, "done\n", 5);
    for (int i = 0; i < MOST; i++) {
        char text[1000];
        assert_true(read_to_end(fds[i], text, sizeof text));
        assert_answer(text, "200", "done\n");
        close(fds[i]);
    }
    await_idle(h);
    assert_answer(ask(h, "POST /echo HTTP/1.0\r\nContent-Length: 1\r\n\r\nx"), "200", "x");
    free(request);
    http_stop(&h);
}

static void *reply_to_all(void *context)
{
    desk *d = context;
    await_kept(d, SLOW_MAX);
    for (uint32_t i = SLOW_MAX; i-- > 0;)
        say(d->kept[i], 200, d->kept[i]->body, d->kept[i]->body_bytes);
    return NULL;
}

static void answers_may_come_later_from_another_thread(void **state)
{
    (void)state;
    desk d;
    pthread_t clerk;
    http *h = serve_as(&d, &service);
    assert_int_equal(pthread_create(&clerk, NULL, reply_to_all, &d), 0);
    int fds[SLOW_MAX];
    for (int i = 0; i < SLOW_MAX; i++)
        fds[i] = ask_later(h);
    for (int i = 0; i < SLOW_MAX; i++) {
        char text[1000];
        assert_true(read_to_end(fds[i], text, sizeof text));
        assert_answer(text, "200", "\r\n\r\nhi");
        close(fds[i]);
    }
    pthread_join(clerk, NULL);
    await_idle(h);
    assert_int_equal(d.answered, SLOW_MAX);
    http_stop(&h);
}

static void a_client_that_does_not_wait_for_its_answer_harms_nobody(void **state)
{
    (void)state;
    desk d;
    http *h = serve_as(&d, &service);
    close(ask_later(h));
    await_kept(&d, 1);
    assert_int_equal(http_under_way(h), 1);
    say(d.kept[0], 200, "late\n", 5);
    await_idle(h);
    assert_answer(ask(h, "GET /page HTTP/1.0\r\n\r\n"), "200", "a page\n");
    http_stop(&h);
}

/* Patience is with clients: one that is slow is hung up on, one that waits for us is not. */
static void time_that_the_service_takes_does_not_count(void **state)
{
    (void)state;
    http_service hasty = service;
    hasty.patience_ms = 300;
    desk d;
    http *h = serve_as(&d, &hasty);
    int waiting = ask_later(h), slow = connect_to(h);
    char text[1000];
    await_kept(&d, 1);
    send_all(slow, "POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nx", 42);
    assert_true(read_to_end(slow, text, sizeof text));
    assert_string_equal(text, "");
    say(d.kept[0], 200, "at last\n", 8);
    assert_true(read_to_end(waiting, text, sizeof text));
    assert_answer(text, "200", "at last\n");
    close(waiting);
    close(slow);
    http_stop(&h);
}

static void requests_half_sent_do_not_keep_it_from_ending(void **state)
{
    (void)state;
    desk d;
    http *h = serve_as(&d, &service);
    int fd = connect_to(h);
    send_all(fd, "POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nx", 42);
    while (http_under_way(h) == 0)
        poll(NULL, 0, 1);
    http_stop(&h);
    char text[1000];
    assert_true(read_to_end(fd, text, sizeof text));
    close(fd);
}

static void what_was_just_replied_to_does_not_keep_it_from_ending(void **state)
{
    (void)state;
    desk d;
    http *h = serve_as(&d, &service);
    int fds[SLOW_MAX];
    for (int i = 0; i < SLOW_MAX; i++)
        fds[i] = ask_later(h);
    await_kept(&d, SLOW_MAX);
    for (int i = 0; i < SLOW_MAX; i++)
        say(d.kept[i], 200, "done\n", 5);
    http_stop(&h);
    for (int i = 0; i < SLOW_MAX; i++)
        close(fds[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_come_whole_and_connections_stay),
        cmocka_unit_test(what_is_refused_by_its_head_is_told_after_its_body),
        cmocka_unit_test(bodies_that_are_too_long_are_refused_however_they_come),
        cmocka_unit_test(who_may_not_ask_is_told_after_the_body_and_the_service_is_not_asked),
        cmocka_unit_test(all_bodies_together_are_bounded),
        cmocka_unit_test(answers_may_come_later_from_another_thread),
        cmocka_unit_test(a_client_that_does_not_wait_for_its_answer_harms_nobody),
        cmocka_unit_test(time_that_the_service_takes_does_not_count),
        cmocka_unit_test(requests_half_sent_do_not_keep_it_from_ending),
        cmocka_unit_test(what_was_just_replied_to_does_not_keep_it_from_ending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
