/* chaos_packet.h - IPv4 packets that pass a link: what they are, and the RST that ends a TCP connection.
 *
 * Packets come from a kernel, but are read as if they came from anybody. Numbers are in host order. Pure. */
#ifndef PENSTOCK_DEPLOY_CHAOS_PACKET_H
#define PENSTOCK_DEPLOY_CHAOS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACKET_RESET_BYTES = 40 };

enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_ACK = 0x10 };

typedef struct {
    uint32_t from, to;
    bool is_tcp; /* whole, and the first fragment: the rest is there */
    uint16_t from_port, to_port;
    uint32_t seq, ack;
    uint32_t length; /* sequence numbers that it takes up: bytes, SYN and FIN */
    uint8_t flags;
} packet;

/* False if it is no whole IPv4 packet. */
bool packet_read(const uint8_t *bytes, size_t count, packet *p);

/* The checksum of RFC 1071, complemented, over the bytes and what `sum` holds already. */
uint16_t packet_checksum(const uint8_t *bytes, size_t count, uint32_t sum);

/* Is the checksum of the TCP packet right? For one that packet_read took for TCP. */
bool packet_is_sound(const uint8_t *bytes, size_t count);

/* Writes the RST, ACK that the connection of `p` gets in that direction: from, to, ports, seq and ack are
 * used. */
void packet_write_reset(const packet *p, uint8_t out[PACKET_RESET_BYTES]);

#endif
