/* Pages asked of servers that behave, and of others: deploy/http_fetch, deploy/status_gather. */
#include "deploy/status/http_fetch.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/status/status_gather.h"
#include "tests/unit/loopback.h"

enum { SOON_MS = 200 };

/* Answers each connection with `answer`, and closes; one that is NULL says nothing and stays. */
typedef struct {
    const char *answer;
    int listener, connections;
    char address[32];
    pthread_t thread;
} server;

static void *serve(void *context)
{
    const server *s = context;
    for (int i = 0; i < s->connections; i++) {
        char request[4096];
        const int fd = accept(s->listener, NULL, NULL);
        const ssize_t got = recv(fd, request, sizeof request - 1, 0);
        if (got > 0 && s->answer)
            send(fd, s->answer, strlen(s->answer), MSG_NOSIGNAL);
        if (!s->answer) /* until the other side gives up */
            recv(fd, request, sizeof request, 0);
        close(fd);
    }
    return NULL;
}

static void start(server *s, const char *answer, int connections)
{
    uint16_t port;
    *s = (server){.answer = answer, .listener = loopback_listen(&port), .connections = connections};
    snprintf(s->address, sizeof s->address, "127.0.0.1:%u", port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void end(server *s)
{
    pthread_join(s->thread, NULL);
    close(s->listener);
}

static void expect_refusal(const char *answer, unsigned timeout_ms, ps_status status, const char *why)
{
    server s;
    char *body;
    size_t bytes;
    ps_error error;
    start(&s, answer, 1);
    assert_int_equal(http_fetch(s.address, "/status", NULL, timeout_ms, &body, &bytes, &error), status);
    assert_null(body);
    if (!strstr(error.text, why) || !strstr(error.text, s.address))
        fail_msg("'%s' does not say '%s'", error.text, why);
    end(&s);
}

static void a_page_is_fetched(void **state)
{
    (void)state;
    server s;
    char *body;
    size_t bytes;
    ps_error error;
    start(&s, "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\nhello", 1);
    assert_int_equal(http_fetch(s.address, "/x", NULL, LOOPBACK_PATIENCE_MS, &body, &bytes, &error), PS_OK);
    assert_int_equal(bytes, 5);
    assert_string_equal(body, "hello");
    free(body);
    end(&s);
}

static void what_is_no_answer_is_refused(void **state)
{
    (void)state;
    expect_refusal("HTTP/1.1 404 Not Found\r\n\r\n", LOOPBACK_PATIENCE_MS, PS_EIO, "answered by 404");
    expect_refusal("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", LOOPBACK_PATIENCE_MS, PS_EIO,
                   "cut off");
    expect_refusal("HTTP/1.1 200 OK\r\n", LOOPBACK_PATIENCE_MS, PS_EIO, "no HTTP");
    expect_refusal("SSH-2.0-x\r\n\r\n", LOOPBACK_PATIENCE_MS, PS_EIO, "no HTTP");
    expect_refusal("", LOOPBACK_PATIENCE_MS, PS_EIO, "no HTTP");
    expect_refusal(NULL, SOON_MS, PS_ETIMEDOUT, "no answer in time");
}

static void where_nobody_is_is_named(void **state)
{
    (void)state;
    char address[32], *body;
    size_t bytes;
    ps_error error;
    snprintf(address, sizeof address, "127.0.0.1:%u", loopback_silent_port());
    assert_int_equal(http_fetch(address, "/", NULL, LOOPBACK_PATIENCE_MS, &body, &bytes, &error), PS_EIO);
    assert_non_null(strstr(error.text, "refused"));
    assert_int_equal(http_fetch("nowhere", "/", NULL, LOOPBACK_PATIENCE_MS, &body, &bytes, &error),
                     PS_EINVAL);
}

static void gather_one(const char *answer, ps_status expected, const char *why)
{
    server s;
    status_pages all = {0};
    ps_error error = {PS_OK, ""};
    start(&s, answer, 1);
    const char *address = s.address;
    assert_int_equal(status_pages_gather(&all, &address, 1, NULL, &error), expected);
    assert_non_null(strstr(error.text, why));
    status_pages_fini(&all);
    end(&s);
}

static void pages_that_are_none_of_ours_are_refused(void **state)
{
    (void)state;
    gather_one("HTTP/1.1 200 OK\r\n\r\n{\"schema\":1,\"kind\":\"ps\"}", PS_OK, "");
    gather_one("HTTP/1.1 200 OK\r\n\r\n{\"schema\":2}", PS_EFORMAT, "of schema 2");
    gather_one("HTTP/1.1 200 OK\r\n\r\n{\"x\":2}", PS_EFORMAT, "no daemon of Penstock");
    gather_one("HTTP/1.1 200 OK\r\n\r\n[1]", PS_EFORMAT, "no daemon of Penstock");
    gather_one("HTTP/1.1 200 OK\r\n\r\n<html>", PS_EFORMAT, "line 1");
}

static void the_ps_that_one_names_are_asked_once(void **state)
{
    (void)state;
    server first, second;
    char text[512];
    status_pages all = {0};
    ps_error error;
    start(&second, "HTTP/1.1 200 OK\r\n\r\n{\"schema\":1,\"kind\":\"ps\",\"index\":1,\"servers\":[]}", 1);
    first = (server){.listener = -1};
    uint16_t port;
    first.listener = loopback_listen(&port);
    first.connections = 1;
    snprintf(first.address, sizeof first.address, "127.0.0.1:%u", port);
    snprintf(text, sizeof text,
             "HTTP/1.1 200 OK\r\n\r\n{\"schema\":1,\"kind\":\"ps\",\"index\":0,\"servers\":["
             "{\"index\":0,\"http\":\"%s\"},{\"index\":1,\"http\":\"%s\"},{\"index\":2,\"http\":null},"
             "{\"index\":3,\"http\":\"no address\"},7]}",
             first.address, second.address);
    first.answer = text;
    assert_int_equal(pthread_create(&first.thread, NULL, serve, &first), 0);
    const char *address = first.address;
    assert_int_equal(status_pages_gather(&all, &address, 1, NULL, &error), PS_OK);
    assert_int_equal(all.count, 3);
    assert_non_null(all.pages[0].page);
    assert_non_null(all.pages[1].page);
    assert_null(all.pages[2].page);
    assert_int_equal(all.pages[2].error.status, PS_EINVAL);
    status_pages_fini(&all);
    end(&first);
    end(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_fetched),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(where_nobody_is_is_named),
        cmocka_unit_test(pages_that_are_none_of_ours_are_refused),
        cmocka_unit_test(the_ps_that_one_names_are_asked_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
