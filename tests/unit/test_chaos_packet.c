/* Packets that pass a link: deploy/chaos_packet. */
#include "deploy/chaos/chaos_packet.h"

#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "tests/unit/unit.h"

/* A SYN that Linux sent from 10.83.0.3:43424 to 10.83.0.1:2222. */
static const uint8_t sample[60] = {0x45, 0x00, 0x00, 0x3c, 0x55, 0x65, 0x40, 0x00, 0x40, 0x06, 0xd0, 0xad,
                                   0x0a, 0x53, 0x00, 0x03, 0x0a, 0x53, 0x00, 0x01, 0xa9, 0xa0, 0x08, 0xae,
                                   0x7b, 0x57, 0x1c, 0x88, 0x00, 0x00, 0x00, 0x00, 0xa0, 0x02, 0xfa, 0xf0,
                                   0x7b, 0x15, 0x00, 0x00, 0x02, 0x04, 0x05, 0xb4, 0x04, 0x02, 0x08, 0x0a,
                                   0xc8, 0x4e, 0xaa, 0xd0, 0x00, 0x00, 0x00, 0x00, 0x01, 0x03, 0x03, 0x0a};

static void checksums_are_those_of_rfc_1071(void **state)
{
    (void)state;
    static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    static const uint8_t odd[] = {0x12, 0x34, 0x56};
    assert_int_equal(packet_checksum(example, sizeof example, 0), 0x220d);
    assert_int_equal(packet_checksum(odd, sizeof odd, 0), (uint16_t) ~(0x1234 + 0x5600));
    assert_int_equal(packet_checksum(odd, 0, 0xffff0001), (uint16_t)~0x0001);
}

static void a_packet_of_the_kernel_is_read(void **state)
{
    (void)state;
    packet p;
    assert_true(packet_read(sample, sizeof sample, &p));
    assert_int_equal(p.from, 0x0a530003);
    assert_int_equal(p.to, 0x0a530001);
    assert_true(p.is_tcp);
    assert_int_equal(p.from_port, 43424);
    assert_int_equal(p.to_port, 2222);
    assert_int_equal(p.seq, 0x7b571c88);
    assert_int_equal(p.ack, 0);
    assert_int_equal(p.flags, TCP_SYN);
    assert_int_equal(p.length, 1);
    assert_true(packet_is_sound(sample, sizeof sample));
}

static void a_changed_bit_is_not_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < 8 * sizeof sample; i++) {
        uint8_t changed[sizeof sample];
        memcpy(changed, sample, sizeof sample);
        changed[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_false(packet_is_sound(changed, sizeof changed));
    }
}

static void what_is_cut_off_is_no_packet(void **state)
{
    (void)state;
    packet p;
    for (size_t bytes = 0; bytes < sizeof sample; bytes++) {
        uint8_t *part = malloc(bytes + 1);
        memcpy(part, sample, bytes);
        assert_false(packet_read(part, bytes, &p));
        free(part);
    }
}

static void bytes_behind_a_packet_are_not_its_own(void **state)
{
    (void)state;
    uint8_t longer[sizeof sample + 9] = {0};
    packet p;
    memcpy(longer, sample, sizeof sample);
    assert_true(packet_read(longer, sizeof longer, &p));
    assert_int_equal(p.length, 1);
    assert_true(packet_is_sound(longer, sizeof longer));
}

static void fragments_and_other_protocols_are_not_taken_for_tcp(void **state)
{
    (void)state;
    uint8_t changed[sizeof sample];
    packet p;
    memcpy(changed, sample, sizeof sample);
    changed[6] = 0x20; /* more fragments */
    assert_true(packet_read(changed, sizeof changed, &p));
    assert_false(p.is_tcp);
    memcpy(changed, sample, sizeof sample);
    changed[9] = 17;
    assert_true(packet_read(changed, sizeof changed, &p));
    assert_false(p.is_tcp);
    memcpy(changed, sample, sizeof sample);
    changed[32] = 0xf0; /* a TCP header longer than the packet */
    assert_true(packet_read(changed, sizeof changed, &p));
    assert_false(p.is_tcp);
}

static void anything_can_be_read(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t words[8];
        packet p;
        for (size_t k = 0; k < 8; k++)
            words[k] = random_at(i, k);
        size_t bytes = random_at(i, 9) % (sizeof words + 1);
        uint8_t *data = malloc(bytes + 1);
        memcpy(data, words, bytes);
        if (bytes > 9) {
            data[0] = (uint8_t)(0x40 | (data[0] & 0x0f));
            data[2] = 0;
            data[9] = 6;
        }
        packet_is_sound(data, bytes);
        if (packet_read(data, bytes, &p) && p.is_tcp)
            assert_in_range(p.length, 0, bytes);
        free(data);
    }
}

static void a_reset_is_a_sound_packet(void **state)
{
    (void)state;
    const packet wanted = {.from = 0x0a530001,
                           .to = 0x0a530003,
                           .from_port = 2222,
                           .to_port = 43424,
                           .seq = 0xfffffff0,
                           .ack = 0x7b571c89};
    uint8_t bytes[PACKET_RESET_BYTES];
    packet p;
    packet_write_reset(&wanted, bytes);
    assert_true(packet_is_sound(bytes, sizeof bytes));
    assert_true(packet_read(bytes, sizeof bytes, &p));
    assert_int_equal(p.from, wanted.from);
    assert_int_equal(p.to, wanted.to);
    assert_int_equal(p.from_port, wanted.from_port);
    assert_int_equal(p.to_port, wanted.to_port);
    assert_int_equal(p.seq, wanted.seq);
    assert_int_equal(p.ack, wanted.ack);
    assert_int_equal(p.flags, TCP_RST | TCP_ACK);
    assert_int_equal(p.length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_are_those_of_rfc_1071),
        cmocka_unit_test(a_packet_of_the_kernel_is_read),
        cmocka_unit_test(a_changed_bit_is_not_sound),
        cmocka_unit_test(what_is_cut_off_is_no_packet),
        cmocka_unit_test(bytes_behind_a_packet_are_not_its_own),
        cmocka_unit_test(fragments_and_other_protocols_are_not_taken_for_tcp),
        cmocka_unit_test(anything_can_be_read),
        cmocka_unit_test(a_reset_is_a_sound_packet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
