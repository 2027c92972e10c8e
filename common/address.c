/* address.c - see address.h. */
#include "common/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LABEL_MAX = 63 }; /* characters between two dots of a name */

/* How much of a faulty address a message quotes. */
#define QUOTE "address \"%.100s\""

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' || c == '_';
}

/* Decimal without sign, blanks or leading zeros, 1 to 65535. */
static bool parse_port(const char *text, uint16_t *port)
{
    unsigned value = 0;
    if (*text == '0')
        return false;
    for (const char *c = text; *c; c++) {
        if (!is_digit(*c))
            return false;
        value = value * 10 + (unsigned)(*c - '0');
        if (value > UINT16_MAX)
            return false;
    }
    *port = (uint16_t)value;
    return value != 0;
}

/* inet_pton and back, so that two spellings of one address are seen to be the same. The zone after '%'
 * names an interface of this host; its characters are only checked. */
static bool canonical_ipv6(const char *text, size_t length, address *parsed)
{
    char number[INET6_ADDRSTRLEN];
    const char *percent = memchr(text, '%', length);
    const size_t number_length = percent ? (size_t)(percent - text) : length;
    const size_t zone_length = length - number_length;
    if (number_length >= sizeof number || zone_length == 1)
        return false;
    memcpy(number, text, number_length);
    number[number_length] = '\0';
    struct in6_addr binary;
    if (inet_pton(AF_INET6, number, &binary) != 1 || !inet_ntop(AF_INET6, &binary, number, sizeof number))
        return false;
    for (size_t i = 1; i < zone_length; i++)
        if (!is_name_character(percent[i]) && percent[i] != '.')
            return false;
    const int written = snprintf(parsed->host, sizeof parsed->host, "%s%.*s", number, (int)zone_length,
                                 percent ? percent : "");
    return written > 0 && (size_t)written < sizeof parsed->host;
}

/* A name in the host part, which is `length` long, or a dotted IPv4 address. */
static ps_status check_name(const char *text, size_t length, ps_error *error)
{
    bool numeric = true;
    size_t label = 0;
    if (length == 0)
        return ps_fail(error, PS_EINVAL, QUOTE " has no host; write host:port", text);
    if (length > ADDRESS_NAME_MAX)
        return ps_fail(error, PS_EINVAL, QUOTE ": a host of %zu characters; at most %d are allowed", text,
                       length, ADDRESS_NAME_MAX);
    for (size_t i = 0; i <= length; i++) {
        if (i < length && text[i] != '.') {
            if ((unsigned char)text[i] >= 0x80)
                return ps_fail(error, PS_EINVAL,
                               QUOTE ": the host has a letter outside ASCII; write its xn-- form", text);
            if (!is_name_character(text[i]))
                return ps_fail(error, PS_EINVAL,
                               QUOTE ": '%c' is not allowed in a host; use letters, digits, '-', '_' and '.'",
                               text, text[i]);
            numeric = numeric && is_digit(text[i]);
            label++;
            continue;
        }
        const bool root_dot = i == length && length > 1 && text[length - 1] == '.';
        if (label == 0 && !root_dot)
            return ps_fail(error, PS_EINVAL, QUOTE ": nothing stands between two dots of the host", text);
        if (label > LABEL_MAX)
            return ps_fail(error, PS_EINVAL, QUOTE ": %zu characters between dots; at most %d are allowed",
                           text, label, LABEL_MAX);
        if (label > 0 && (text[i - label] == '-' || text[i - 1] == '-'))
            return ps_fail(error, PS_EINVAL, QUOTE ": a part of the host starts or ends with '-'", text);
        label = 0;
    }
    char number[INET_ADDRSTRLEN];
    struct in_addr binary;
    if (numeric) {
        snprintf(number, sizeof number, "%.*s", (int)length, text);
        if (length >= sizeof number || inet_pton(AF_INET, number, &binary) != 1)
            return ps_fail(error, PS_EINVAL,
                           QUOTE ": the host is not an IPv4 address (four numbers up to 255)", text);
    }
    return PS_OK;
}

ps_status address_parse(const char *text, address *parsed, ps_error *error)
{
    memset(parsed, 0, sizeof *parsed);
    if (!*text)
        return ps_fail(error, PS_EINVAL, "the address is empty; write host:port");
    if (strlen(text) > ADDRESS_TEXT_MAX)
        return ps_fail(error, PS_EINVAL, QUOTE "... has %zu characters; at most %d are allowed", text,
                       strlen(text), ADDRESS_TEXT_MAX);
    if (strstr(text, "://"))
        return ps_fail(error, PS_EINVAL, QUOTE " has a scheme; write host:port without it", text);
    if (strchr(text, ','))
        return ps_fail(error, PS_EINVAL, QUOTE " has a comma; write each address as a string of its own",
                       text);

    const char *colon = strrchr(text, ':');
    if (*text == '[') {
        const char *close = strchr(text, ']');
        if (!close)
            return ps_fail(error, PS_EINVAL, QUOTE ": ']' is missing", text);
        if (!canonical_ipv6(text + 1, (size_t)(close - text) - 1, parsed))
            return ps_fail(error, PS_EINVAL, QUOTE ": no IPv6 address stands in the brackets", text);
        if (close[1] != ':')
            return ps_fail(error, PS_EINVAL, QUOTE " has no port; write [host]:port", text);
        colon = close + 1;
    } else if (!colon) {
        return ps_fail(error, PS_EINVAL, QUOTE " has no port; write host:port", text);
    } else if (memchr(text, ':', (size_t)(colon - text))) {
        return ps_fail(error, PS_EINVAL, QUOTE " has more than one ':'; write IPv6 in brackets, [::1]:2222",
                       text);
    } else {
        const ps_status status = check_name(text, (size_t)(colon - text), error);
        if (status)
            return status;
        memcpy(parsed->host, text, (size_t)(colon - text));
    }
    if (!parse_port(colon + 1, &parsed->port))
        return ps_fail(error, PS_EINVAL,
                       QUOTE ": the port must be a whole number from 1 to 65535, not \"%.20s\"", text,
                       colon + 1);
    return PS_OK;
}

void address_format(const char *host, uint16_t port, char *text, size_t bytes)
{
    snprintf(text, bytes, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, (unsigned)port);
}

bool address_is_loopback(const struct sockaddr_storage *at)
{
    if (at->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)at)->sin_addr.s_addr) >> 24 == 127;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)at)->sin6_addr;
    return at->ss_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127));
}
