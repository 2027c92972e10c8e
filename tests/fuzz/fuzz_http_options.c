/* fuzz_http_options.c - any text as a port, as a name that HTTP may be asked by, and as the host of a
 * request.
 *
 * Input: three lines, what --http-port, what --http-host and what Host are given. */
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "common/http_host.h"
#include "common/options.h"
#include "tests/fuzz/fuzz.h"

enum { LINE_MAX_BYTES = 600, PORT_MAX = 65535 };

/* The next line, cut at a NUL and at its maximum. */
static void take_line(const uint8_t **data, size_t *bytes, char *line)
{
    const uint8_t *end = *bytes ? memchr(*data, '\n', *bytes) : NULL;
    const size_t whole = end ? (size_t)(end - *data) : *bytes;
    const size_t length = whole < LINE_MAX_BYTES ? whole : LINE_MAX_BYTES;
    if (length > 0)
        memcpy(line, *data, length);
    line[length] = '\0';
    *data += end ? whole + 1 : whole;
    *bytes -= end ? whole + 1 : whole;
}

static void check_port(const char *text)
{
    uint64_t value = 0, expected = 0;
    size_t digits = 0;
    ps_error error = {PS_OK, ""};
    for (; isdigit((unsigned char)text[digits]) && expected <= PORT_MAX; digits++)
        expected = 10 * expected + (uint64_t)(text[digits] - '0');
    const bool is_port = digits > 0 && text[digits] == '\0' && expected <= PORT_MAX;
    FUZZ_REQUIRE((option_unsigned("http-port", text, 0, PORT_MAX, &value, &error) == PS_OK) == is_port);
    FUZZ_REQUIRE(is_port ? value == expected : error.text[0] != '\0');
}

/* What is ours stays so, and what is not does not become so, however it is spelt. */
static void check_host(const http_hosts *hosts, const char *host)
{
    char other[LINE_MAX_BYTES + 16];
    const bool ours = http_host_is_ours(hosts, host);
    const size_t length = strlen(host);
    for (size_t i = 0; i <= length; i++)
        other[i] = (char)(isupper((unsigned char)host[i]) ? tolower((unsigned char)host[i])
                                                          : toupper((unsigned char)host[i]));
    FUZZ_REQUIRE(http_host_is_ours(hosts, other) == ours);
    FUZZ_REQUIRE(!ours ||
                 host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]")] ==
                     '\0');
    snprintf(other, sizeof other, "%s.evil.example", host);
    FUZZ_REQUIRE(!http_host_is_ours(hosts, other));
    snprintf(other, sizeof other, "%s@evil", host);
    FUZZ_REQUIRE(!http_host_is_ours(hosts, other));
    if (ours && host[0] != '[' && !strchr(host, ':')) {
        snprintf(other, sizeof other, "%s:8080", host);
        FUZZ_REQUIRE(http_host_is_ours(hosts, other));
        snprintf(other, sizeof other, "[%s]", host);
        FUZZ_REQUIRE(!http_host_is_ours(hosts, other));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char port[LINE_MAX_BYTES + 1], name[LINE_MAX_BYTES + 1], host[LINE_MAX_BYTES + 1];
    http_hosts hosts = {0};
    ps_error error = {PS_OK, ""};
    take_line(&data, &bytes, port);
    take_line(&data, &bytes, name);
    take_line(&data, &bytes, host);
    check_port(port);
    if (http_hosts_add(&hosts, name, &error) == PS_OK)
        FUZZ_REQUIRE(http_host_is_ours(&hosts, name));
    else
        FUZZ_REQUIRE(hosts.count == 0 && error.text[0] != '\0');
    if (!strstr(name, "evil")) /* else it may be that "x.evil.example" is ours */
        check_host(&hosts, host);
    return 0;
}
