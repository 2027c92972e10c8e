/* A server over real sockets, asked by people and by strangers: common/http. */
#include <ifaddrs.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/unit/http_client.h"

static unsigned say_hello(void *context, FILE *body)
{
    fprintf(body, "hello %s\n", (const char *)context);
    return 200;
}

static unsigned say_no(void *context, FILE *body)
{
    (void)context;
    fputs("not yet\n", body);
    return 503;
}

static const http_page pages[] = {{"/hello", "text/plain", say_hello, false},
                                  {"/no", "text/plain", say_no, true}};
enum { PAGES = sizeof pages / sizeof pages[0] };

static http *serve(void)
{
    static char name[] = "there";
    const http_config config = {.pages = pages, .page_count = PAGES, .context = name};
    http *h = NULL;
    ps_error error;
    if (http_start(&config, &h, &error) != PS_OK)
        fail_msg("%s", error.text);
    assert_int_not_equal(http_port(h), 0);
    return h;
}

static void pages_are_answered(void **state)
{
    (void)state;
    http *h = serve();
    const char *answer = ask(h, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_answer(answer, "200", "\r\n\r\nhello there\n");
    assert_non_null(strstr(answer, "Content-Type: text/plain\r\n"));
    assert_non_null(strstr(answer, "X-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(answer, "Cache-Control: no-store\r\n"));
    assert_non_null(strstr(answer, "Content-Security-Policy: default-src 'none'"));
    assert_non_null(strstr(answer, "Connection: close\r\n"));
    assert_answer(ask(h, "GET /hello?a=b HTTP/1.0\r\n\r\n"), "200", "hello there\n");
    assert_answer(ask(h, "HEAD /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"), "200", "\r\n\r\n");
    assert_answer(ask(h, "GET /no HTTP/1.1\r\nHost: localhost\r\n\r\n"), "503", "not yet\n");
    http_stop(&h);
    assert_null(h);
    http_stop(&h);
}

static void what_is_not_there_is_refused_in_one_line(void **state)
{
    (void)state;
    static const char *const paths[] = {"/",      "/hello/",   "//hello", "/../etc/passwd",
                                        "/HELLO", "/hello%00", "*"};
    http *h = serve();
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char request[128];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", paths[i]);
        const char *answer = ask(h, request);
        if (!begins(answer, "HTTP/1.1 404 ") || !ends(answer, "\r\n\r\n404 there is no such page\n"))
            fail_msg("%s: %s", paths[i], answer);
    }
    const char *answer = ask(h, "DELETE /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_answer(answer, "405", "405 only GET and HEAD are answered here\n");
    assert_non_null(strstr(answer, "Allow: GET, HEAD\r\n"));
    assert_answer(ask(h, "POST /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"), "405",
                  "here\n");
    http_stop(&h);
}

static void bodies_are_not_read(void **state)
{
    (void)state;
    http *h = serve();
    assert_answer(ask(h, "GET /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\n\r\n"),
                  "413", "413 a request has no body here\n");
    assert_answer(ask(h, "GET /hello HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"),
                  "413", "413 a request has no body here\n");
    http_stop(&h);
}

static void long_heads_are_refused_and_the_next_is_answered(void **state)
{
    (void)state;
    enum { LONG = 4 * HTTP_MEMORY_BYTES };
    static char request[LONG + 64];
    http *h = serve();
    int used = snprintf(request, sizeof request, "GET /hello HTTP/1.1\r\nHost: localhost\r\nX: ");
    memset(request + used, 'a', LONG);
    const char *answer = ask_bytes(h, request, (size_t)used + LONG);
    /* It is hung up on with bytes unread, so that the answer itself may be lost. */
    assert_true(answer[0] == '\0' || begins(answer, "HTTP/1.1 431 ") || begins(answer, "HTTP/1.1 413 "));
    used = snprintf(request, sizeof request, "GET /");
    memset(request + used, 'a', LONG);
    answer = ask_bytes(h, request, (size_t)used + LONG);
    assert_true(answer[0] == '\0' || begins(answer, "HTTP/1.1 414 ") || begins(answer, "HTTP/1.1 4"));
    assert_answer(ask(h, "GET /hello HTTP/1.0\r\n\r\n"), "200", "hello there\n");
    http_stop(&h);
}

static void garbage_gets_no_page(void **state)
{
    (void)state;
    static const char *const garbage[] = {"\r\n\r\n\r\n",
                                          "GET\r\n\r\n",
                                          "\x16\x03\x01\x02",
                                          "GET /hello HTTP/9.9\r\n\r\n",
                                          "GET /hello HTTP/1.1\r\n\r\n",
                                          "GET /hello HTTP/1.1\r\nHost x\r\n\r\n"};
    http *h = serve();
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        int fd = connect_to(h);
        static char answer[ANSWER_MAX];
        assert_true(send(fd, garbage[i], strlen(garbage[i]), MSG_NOSIGNAL) > 0);
        shutdown(fd, SHUT_WR); /* its end is seen, or else this test lasts */
        assert_true(read_to_end(fd, answer, sizeof answer));
        assert_null(strstr(answer, "hello there"));
        close(fd);
    }
    assert_answer(ask(h, "GET /hello HTTP/1.0\r\n\r\n"), "200", "hello there\n");
    http_stop(&h);
}

static void refusals_are_counted_by_reason(void **state)
{
    (void)state;
    static char name[] = "x";
    static http_refusals refused;
    const http_config config = {.pages = pages, .page_count = PAGES, .context = name, .refused = &refused};
    http *h = NULL;
    assert_int_equal(http_start(&config, &h, NULL), PS_OK);
    ask(h, "GET /hello HTTP/1.0\r\n\r\n");
    ask(h, "GET /nothing HTTP/1.0\r\n\r\n");
    ask(h, "DELETE /hello HTTP/1.0\r\n\r\n");
    ask(h, "DELETE /hello HTTP/1.0\r\n\r\n");
    ask(h, "GET /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n");
    ask(h, "GET /hello HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    http_stop(&h);
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    http_refusals_print(&refused, "x_total", out);
    fclose(out);
    assert_non_null(strstr(text, "# TYPE x_total counter\n"));
    assert_non_null(strstr(text, "x_total{reason=\"no_such_page\"} 1\n"));
    assert_non_null(strstr(text, "x_total{reason=\"method\"} 2\n"));
    assert_non_null(strstr(text, "x_total{reason=\"body\"} 1\n"));
    assert_non_null(strstr(text, "x_total{reason=\"foreign_name\"} 1\n"));
    assert_non_null(strstr(text, "x_total{reason=\"crowded\"} 0\n"));
    free(text);
}

static http *serve_with(const char *address, const http_token *token, bool is_open)
{
    static char name[] = "there";
    const http_config config = {.address = address,
                                .token = token,
                                .is_open = is_open,
                                .pages = pages,
                                .page_count = PAGES,
                                .context = name};
    http *h = NULL;
    ps_error error;
    if (http_start(&config, &h, &error) != PS_OK)
        fail_msg("%s", error.text);
    return h;
}

static void with_a_token_only_pages_for_all_are_without(void **state)
{
    (void)state;
    static const http_token token = {"0123456789abcdef+/=="};
    static const char *const wrong[] = {
        "",
        "Authorization: Bearer 0123456789abcdef+/=\r\n",
        "Authorization: Bearer 0123456789abcdef+/===\r\n",
        "Authorization: Bearer 0123456789abcdeF+/==\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: Basic 0123456789abcdef+/==\r\n",
        "Authorization: 0123456789abcdef+/==\r\n",
        "Authorization: Bearer x\r\nAuthorization: Bearer 0123456789abcdef+/==\r\n",
        "Authorization: Bearer 0123456789abcdef+/==\r\nAuthorization: Bearer x\r\n",
        "X-Authorization: Bearer 0123456789abcdef+/==\r\n",
    };
    char request[256];
    http *h = serve_with(NULL, &token, false);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(request, sizeof request, "GET /hello HTTP/1.1\r\nHost: localhost\r\n%s\r\n", wrong[i]);
        const char *answer = ask(h, request);
        if (!begins(answer, "HTTP/1.1 401 ") || strstr(answer, "hello") || strstr(answer, "0123") ||
            !strstr(answer, "WWW-Authenticate: Bearer realm=\"penstock\"\r\n"))
            fail_msg("%s: %s", wrong[i], answer);
    }
    assert_answer(ask(h, "GET /nothing HTTP/1.0\r\n\r\n"), "401", "--http-token-file)\n");
    assert_answer(ask(h, "GET /no HTTP/1.0\r\n\r\n"), "503", "not yet\n");
    assert_answer(ask(h, "GET /hello HTTP/1.0\r\nAuthorization: Bearer 0123456789abcdef+/==\r\n\r\n"), "200",
                  "hello there\n");
    assert_answer(ask(h, "GET /hello HTTP/1.0\r\nauthorization: bearer  0123456789abcdef+/==\r\n\r\n"), "200",
                  "hello there\n");
    assert_answer(ask(h, "GET /hello HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer "
                         "0123456789abcdef+/==\r\n\r\n"),
                  "421", "--http-host\n");
    http_stop(&h);
}

/* An address of this host that is not loopback's; false: it has none. */
static bool find_own_address(char text[INET_ADDRSTRLEN])
{
    struct ifaddrs *all = NULL;
    bool found = false;
    assert_int_equal(getifaddrs(&all), 0);
    for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
            continue;
        const struct in_addr at = ((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr;
        found = ntohl(at.s_addr) >> 24 != 127 && inet_ntop(AF_INET, &at, text, INET_ADDRSTRLEN);
    }
    freeifaddrs(all);
    return found;
}

/* From that address, to loopback. */
static const char *ask_from(const http *h, const char *from, const char *request)
{
    static char answer[ANSWER_MAX];
    struct sockaddr_in own = {.sin_family = AF_INET}, at = {.sin_family = AF_INET};
    assert_int_equal(inet_pton(AF_INET, from, &own.sin_addr), 1);
    at.sin_addr = own.sin_addr;
    at.sin_port = htons(http_port(h));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_true(send(fd, request, strlen(request), MSG_NOSIGNAL) > 0);
    assert_true(read_to_end(fd, answer, sizeof answer));
    close(fd);
    return answer;
}

static void other_hosts_see_probes_alone_unless_it_is_open(void **state)
{
    (void)state;
    char own[INET_ADDRSTRLEN];
    if (!find_own_address(own))
        skip();
    http *h = serve_with("0.0.0.0", NULL, false);
    assert_answer(ask_from(h, own, "GET /hello HTTP/1.0\r\n\r\n"), "403",
                  "403 other hosts see no more than probes here: see --http-token-file, or --http-open\n");
    assert_answer(ask_from(h, own, "GET /nothing HTTP/1.0\r\n\r\n"), "403", "--http-open\n");
    assert_answer(ask_from(h, own, "GET /no HTTP/1.1\r\nHost: pod.example\r\n\r\n"), "503", "not yet\n");
    assert_answer(ask(h, "GET /hello HTTP/1.0\r\n\r\n"), "200", "hello there\n");
    assert_answer(ask(h, "GET /hello HTTP/1.1\r\nHost: evil.example\r\n\r\n"), "421", "--http-host\n");
    http_stop(&h);
    h = serve_with("0.0.0.0", NULL, true);
    assert_answer(ask_from(h, own, "GET /hello HTTP/1.0\r\n\r\n"), "200", "hello there\n");
    http_stop(&h);
    static const http_token token = {"0123456789abcdef"};
    h = serve_with("0.0.0.0", &token, true);
    assert_answer(ask_from(h, own, "GET /hello HTTP/1.0\r\n\r\n"), "401", "--http-token-file)\n");
    http_stop(&h);
}

/* As a page would ask whose name was made to point here. */
static void names_of_others_are_refused(void **state)
{
    (void)state;
    http *h = serve();
    const char *answer = ask(h, "GET /hello HTTP/1.1\r\nHost: evil.example:80\r\n\r\n");
    assert_answer(answer, "421",
                  "421 this host name is not answered to here: use an address, or see --http-host\n");
    assert_null(strstr(answer, "evil"));
    assert_answer(ask(h, "GET /nothing HTTP/1.1\r\nHost: evil.example\r\n\r\n"), "421", "--http-host\n");
    assert_answer(ask(h, "POST /hello HTTP/1.1\r\nHost: evil.example\r\n\r\n"), "421", "--http-host\n");
    assert_answer(ask(h, "GET /hello HTTP/1.1\r\nHost:\r\n\r\n"), "421", "--http-host\n");
    assert_answer(ask(h, "GET /hello HTTP/1.1\r\nHost: localhost\r\nhost: evil.example\r\n\r\n"), "421",
                  "421 a request names one host\n");
    assert_answer(ask(h, "GET /hello HTTP/1.1\r\nHost: 192.0.2.1:1\r\n\r\n"), "200", "hello there\n");
    assert_answer(ask(h, "GET /hello HTTP/1.0\r\n\r\n"), "200", "hello there\n");
    http_stop(&h);
}

static void names_are_checked_where_some_were_given_or_on_loopback(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        http_hosts hosts;
        const char *status;
    } cases[] = {
        {"0.0.0.0", {0}, "200"},
        {"0.0.0.0", {1, {"other.example"}}, "421"},
        {"0.0.0.0", {1, {"some.example"}}, "200"},
        {"127.0.0.1", {0}, "421"},
        {"127.0.0.1", {1, {"some.example"}}, "200"},
        {"::ffff:127.0.0.1", {0}, "421"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static char name[] = "there";
        const http_config config = {.address = cases[i].address,
                                    .hosts = &cases[i].hosts,
                                    .is_open = true,
                                    .pages = pages,
                                    .page_count = PAGES,
                                    .context = name};
        http *h = NULL;
        ps_error error;
        if (http_start(&config, &h, &error) != PS_OK)
            fail_msg("%s", error.text);
        const char *answer = ask(h, "GET /hello HTTP/1.1\r\nHost: some.example\r\n\r\n");
        if (strncmp(answer + strlen("HTTP/1.1 "), cases[i].status, 3) != 0)
            fail_msg("%zu: %s", i, answer);
        http_stop(&h);
    }
}

/* Of each connection the first request is answered, in whatever pieces it comes. */
static void one_request_is_answered_by_connection(void **state)
{
    (void)state;
    static const char request[] = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
    char many[8 * sizeof request] = "", answer[ANSWER_MAX];
    http *h = serve();
    for (int i = 0; i < 8; i++)
        strcat(many, request);
    const char *once = ask(h, many);
    assert_answer(once, "200", "\r\n\r\nhello there\n");
    assert_null(strstr(once + 1, "HTTP/1.1"));
    int fd = connect_to(h), one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (size_t i = 0; i < sizeof request - 1; i++)
        assert_int_equal(send(fd, request + i, 1, MSG_NOSIGNAL), 1);
    shutdown(fd, SHUT_WR); /* who says no more may still be waiting for the answer */
    assert_true(read_to_end(fd, answer, sizeof answer));
    assert_answer(answer, "200", "hello there\n");
    close(fd);
    http_stop(&h);
}

static void what_cannot_be_listened_on_is_named(void **state)
{
    (void)state;
    http *h = serve(), *second = NULL;
    ps_error error;
    http_config config = {.port = http_port(h), .pages = pages, .page_count = PAGES};
    assert_int_equal(http_start(&config, &second, &error), PS_ECONFIG);
    assert_null(second);
    assert_non_null(strstr(error.text, "cannot listen for HTTP on 127.0.0.1:"));
    assert_non_null(strstr(error.text, "in use"));
    config = (http_config){.address = "localhost"};
    assert_int_equal(http_start(&config, &second, &error), PS_ECONFIG);
    assert_string_equal(error.text, "--http-address: 'localhost' is no IPv4 or IPv6 address");
    config = (http_config){.address = "192.0.2.1"};
    assert_int_equal(http_start(&config, &second, &error), PS_ECONFIG);
    assert_non_null(strstr(error.text, "192.0.2.1:0"));
    config = (http_config){.port_file = "/nowhere/at/all"};
    assert_int_equal(http_start(&config, &second, &error), PS_EIO);
    assert_null(second);
    http_stop(&h);
}

static void the_port_is_written_where_it_is_wanted(void **state)
{
    (void)state;
    char folder[] = "/tmp/penstock-http-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64], line[64], expected[64];
    snprintf(path, sizeof path, "%s/port", folder);
    const http_config config = {.port_file = path, .pages = pages, .page_count = PAGES};
    http *h = NULL;
    assert_int_equal(http_start(&config, &h, NULL), PS_OK);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_non_null(fgets(line, sizeof line, in));
    fclose(in);
    snprintf(expected, sizeof expected, "127.0.0.1:%u\n", http_port(h));
    assert_string_equal(line, expected);
    http_stop(&h);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_answered),
        cmocka_unit_test(what_is_not_there_is_refused_in_one_line),
        cmocka_unit_test(bodies_are_not_read),
        cmocka_unit_test(long_heads_are_refused_and_the_next_is_answered),
        cmocka_unit_test(garbage_gets_no_page),
        cmocka_unit_test(refusals_are_counted_by_reason),
        cmocka_unit_test(with_a_token_only_pages_for_all_are_without),
        cmocka_unit_test(other_hosts_see_probes_alone_unless_it_is_open),
        cmocka_unit_test(names_of_others_are_refused),
        cmocka_unit_test(names_are_checked_where_some_were_given_or_on_loopback),
        cmocka_unit_test(one_request_is_answered_by_connection),
        cmocka_unit_test(what_cannot_be_listened_on_is_named),
        cmocka_unit_test(the_port_is_written_where_it_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
