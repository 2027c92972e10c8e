/* http_host.c - see http_host.h. */
#include "common/http_host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "common/address.h"

enum { HOST_BYTES = ADDRESS_NAME_MAX + 2 /* with a last dot, and the terminator */ };

static const char name_characters[] = "abcdefghijklmnopqrstuvwxyz"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789-._";

/* The last dot of a name says that it is complete, which ours are anyway. */
static size_t without_last_dot(const char *name, size_t length)
{
    return length > 0 && name[length - 1] == '.' ? length - 1 : length;
}

ps_status http_hosts_add(http_hosts *hosts, const char *name, ps_error *error)
{
    const size_t length = without_last_dot(name, strlen(name));
    if (length == 0 || length > ADDRESS_NAME_MAX || name[strspn(name, name_characters)] != '\0')
        return ps_fail(error, PS_EINVAL, "--http-host: '%.*s' is no host name", ADDRESS_NAME_MAX, name);
    if (hosts->count == HTTP_HOSTS_MAX)
        return ps_fail(error, PS_EINVAL, "--http-host: more than %d names", HTTP_HOSTS_MAX);
    hosts->names[hosts->count++] = name;
    return PS_OK;
}

/* "" or ":" and digits; which port does not matter, tunnels have others. */
static bool is_port(const char *text)
{
    return *text == '\0' || (*text == ':' && text[1 + strspn(text + 1, "0123456789")] == '\0');
}

/* The host of "host", "host:port", "[v6]" or "[v6]:port", without brackets; false: it is none of these. */
static bool take_host(const char *value, char host[HOST_BYTES], bool *bracketed)
{
    *bracketed = *value == '[';
    const char *begin = value + *bracketed;
    const size_t length = strcspn(begin, *bracketed ? "]" : ":");
    const char *end = begin + length;
    if (length == 0 || length >= HOST_BYTES || (*bracketed && *end++ != ']') || !is_port(end))
        return false;
    memcpy(host, begin, length);
    host[length] = '\0';
    return true;
}

static bool is_same_name(const char *name, const char *given, size_t length)
{
    return without_last_dot(name, strlen(name)) == length && strncasecmp(name, given, length) == 0;
}

bool http_host_is_ours(const http_hosts *hosts, const char *value)
{
    char host[HOST_BYTES];
    bool bracketed;
    struct in6_addr ignored;
    if (!take_host(value, host, &bracketed))
        return false;
    if (bracketed)
        return inet_pton(AF_INET6, host, &ignored) == 1;
    const size_t length = without_last_dot(host, strlen(host));
    if (length == 0 || length > ADDRESS_NAME_MAX)
        return false;
    host[length] = '\0';
    if (inet_pton(AF_INET, host, &ignored) == 1 || is_same_name("localhost", host, length))
        return true;
    for (uint32_t i = 0; i < hosts->count; i++)
        if (is_same_name(hosts->names[i], host, length))
            return true;
    return false;
}

bool http_origin_is_loopback(const char *value)
{
    static const char scheme[] = "http://";
    char host[HOST_BYTES];
    bool bracketed;
    struct in_addr v4;
    if (strncmp(value, scheme, sizeof scheme - 1) != 0 ||
        !take_host(value + sizeof scheme - 1, host, &bracketed))
        return false;
    if (bracketed)
        return strcmp(host, "::1") == 0;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcmp(host, "localhost") == 0;
}
