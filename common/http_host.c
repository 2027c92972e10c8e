/* http_host.c - see http_host.h. */
#include "common/http_host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "common/address.h"

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

static bool is_same_name(const char *name, const char *given, size_t length)
{
    return without_last_dot(name, strlen(name)) == length && strncasecmp(name, given, length) == 0;
}

bool http_host_is_ours(const http_hosts *hosts, const char *value)
{
    char host[ADDRESS_NAME_MAX + 1];
    const bool bracketed = *value == '[';
    const char *begin = value + bracketed;
    const char *end = begin + strcspn(begin, bracketed ? "]" : ":");
    const size_t length = bracketed ? (size_t)(end - begin) : without_last_dot(begin, (size_t)(end - begin));
    if (length == 0 || length >= sizeof host || (bracketed && *end != ']') || !is_port(end + bracketed))
        return false;
    memcpy(host, begin, length);
    host[length] = '\0';
    struct in6_addr ignored;
    if (bracketed)
        return inet_pton(AF_INET6, host, &ignored) == 1;
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
    char host[ADDRESS_NAME_MAX + 1];
    if (strncmp(value, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *begin = value + sizeof scheme - 1;
    const bool bracketed = *begin == '[';
    const char *end = begin + strcspn(begin, bracketed ? "]" : ":");
    if (bracketed && *end != ']')
        return false;
    end += bracketed;
    const size_t length = (size_t)(end - begin);
    if (length >= sizeof host || !is_port(end))
        return false;
    memcpy(host, begin, length);
    host[length] = '\0';
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}
