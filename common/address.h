/* address.h - host:port as people write it. Names are judged by their spelling only, never resolved. */
#ifndef PENSTOCK_COMMON_ADDRESS_H
#define PENSTOCK_COMMON_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    ADDRESS_NAME_MAX = 253, /* characters of a DNS name */
    ADDRESS_TEXT_MAX = 300, /* of a whole address; an IPv6 zone may be long */
};

typedef struct {
    char host[ADDRESS_TEXT_MAX + 1]; /* IPv6 without brackets, in its canonical spelling */
    uint16_t port;                   /* never 0 */
} address;

/* Reads "name:port", "1.2.3.4:port" or "[ipv6]:port". PS_EINVAL, quoting the address and naming the rule. */
ps_status address_parse(const char *text, address *parsed, ps_error *error);

/* The inverse: "host:port" with brackets around IPv6; cut at `bytes`. */
void address_format(const char *host, uint16_t port, char *text, size_t bytes);

/* Is it an IPv4 or IPv6 address that only this host reaches? */
bool address_is_loopback(const struct sockaddr_storage *at);

#ifdef __cplusplus
}
#endif
#endif
