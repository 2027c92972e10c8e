/* chaos_packet.c - see chaos_packet.h. RFC 791, RFC 9293. */
#include "deploy/chaos/chaos_packet.h"

#include <string.h>

enum {
    IP_BYTES = 20, /* of a header without options */
    TCP_BYTES = 20,
    IP_PROTOCOL_TCP = 6,
    IP_TIME_TO_LIVE = 64,
    IP_FRAGMENT_OFFSET = 0x1fff,
    IP_MORE_FRAGMENTS = 0x2000,
    PSEUDO_BYTES = 8, /* the two addresses, as they lie in the IP header */
    PSEUDO_AT = 12,
};

static uint16_t read_16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t read_32(const uint8_t *at)
{
    return (uint32_t)read_16(at) << 16 | read_16(at + 2);
}

static void write_16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void write_32(uint8_t *at, uint32_t value)
{
    write_16(at, (uint16_t)(value >> 16));
    write_16(at + 2, (uint16_t)value);
}

static size_t header_bytes(const uint8_t *ip)
{
    return (size_t)(ip[0] & 0x0f) * 4;
}

static void read_tcp(const uint8_t *tcp, size_t count, packet *p)
{
    size_t header = count >= TCP_BYTES ? (size_t)(tcp[12] >> 4) * 4 : 0;
    if (header < TCP_BYTES || header > count)
        return;
    p->is_tcp = true;
    p->from_port = read_16(tcp);
    p->to_port = read_16(tcp + 2);
    p->seq = read_32(tcp + 4);
    p->ack = read_32(tcp + 8);
    p->flags = tcp[13];
    p->length = (uint32_t)(count - header) + ((p->flags & TCP_SYN) != 0) + ((p->flags & TCP_FIN) != 0);
}

bool packet_read(const uint8_t *bytes, size_t count, packet *p)
{
    *p = (packet){0};
    if (count < IP_BYTES || bytes[0] >> 4 != 4)
        return false;
    size_t header = header_bytes(bytes), total = read_16(bytes + 2);
    if (header < IP_BYTES || header > total || total > count)
        return false;
    p->from = read_32(bytes + 12);
    p->to = read_32(bytes + 16);
    bool fragment = (read_16(bytes + 6) & (IP_FRAGMENT_OFFSET | IP_MORE_FRAGMENTS)) != 0;
    if (bytes[9] == IP_PROTOCOL_TCP && !fragment)
        read_tcp(bytes + header, total - header, p);
    return true;
}

/* Ones' complement sum, not yet folded. */
static uint32_t add_up(const uint8_t *bytes, size_t count, uint32_t sum)
{
    for (size_t i = 0; i + 1 < count; i += 2)
        sum += read_16(bytes + i);
    return count % 2 ? sum + ((uint32_t)bytes[count - 1] << 8) : sum;
}

uint16_t packet_checksum(const uint8_t *bytes, size_t count, uint32_t sum)
{
    sum = add_up(bytes, count, sum);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* Of the TCP part of a packet, with its pseudo header; 0 if the checksum in it is right. */
static uint16_t tcp_checksum(const uint8_t *bytes)
{
    size_t header = header_bytes(bytes), length = read_16(bytes + 2) - header;
    uint32_t sum = add_up(bytes + PSEUDO_AT, PSEUDO_BYTES, IP_PROTOCOL_TCP + (uint32_t)length);
    return packet_checksum(bytes + header, length, sum);
}

bool packet_is_sound(const uint8_t *bytes, size_t count)
{
    packet p;
    return packet_read(bytes, count, &p) && p.is_tcp && packet_checksum(bytes, header_bytes(bytes), 0) == 0 &&
           tcp_checksum(bytes) == 0;
}

void packet_write_reset(const packet *p, uint8_t out[PACKET_RESET_BYTES])
{
    uint8_t *tcp = out + IP_BYTES;
    memset(out, 0, PACKET_RESET_BYTES);
    out[0] = 4 << 4 | IP_BYTES / 4;
    write_16(out + 2, PACKET_RESET_BYTES);
    out[8] = IP_TIME_TO_LIVE;
    out[9] = IP_PROTOCOL_TCP;
    write_32(out + 12, p->from);
    write_32(out + 16, p->to);
    write_16(tcp, p->from_port);
    write_16(tcp + 2, p->to_port);
    write_32(tcp + 4, p->seq);
    write_32(tcp + 8, p->ack);
    tcp[12] = TCP_BYTES / 4 << 4;
    tcp[13] = TCP_RST | TCP_ACK;
    write_16(out + 10, packet_checksum(out, IP_BYTES, 0));
    write_16(tcp + 16, tcp_checksum(out));
}
