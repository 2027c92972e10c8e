/* Links of packets, and the weather on them: deploy/chaos_link, deploy/chaos_weather. One worker, two ps. */
#include "deploy/chaos/chaos_link.h"

#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "deploy/chaos/chaos_packet.h"
#include "tests/unit/unit.h"

enum {
    PS = 0, /* nodes */
    OTHER_PS = 1,
    WORKER = 2,
    PORT = 2222,
    OWN_PORT = 40000,
    FULL_BYTES = 1000, /* of a packet, with its headers */
};

typedef struct {
    chaos_weather weather;
    chaos_links *links;
    uint64_t now_ms;
} net;

static int setup(void **state)
{
    net *n = calloc(1, sizeof *n);
    n->weather = (chaos_weather){.workers = 1, .servers = 2};
    n->now_ms = 1000;
    *state = n;
    return chaos_links_create(&n->weather, 1, &n->links, NULL);
}

static int teardown(void **state)
{
    net *n = *state;
    chaos_links_destroy(&n->links);
    free(n);
    return 0;
}

/* Sends a TCP packet with so much in it, checksums left out. */
static void send_tcp(net *n, size_t from, size_t to, uint8_t flags, uint32_t seq, uint32_t ack,
                     size_t payload)
{
    uint8_t bytes[2 * FULL_BYTES] = {0};
    const packet p = {.from = chaos_node_address(from),
                      .to = chaos_node_address(to),
                      .from_port = from == WORKER ? OWN_PORT : PORT,
                      .to_port = from == WORKER ? PORT : OWN_PORT,
                      .seq = seq,
                      .ack = ack};
    packet_write_reset(&p, bytes);
    size_t total = PACKET_RESET_BYTES + payload;
    bytes[2] = (uint8_t)(total >> 8);
    bytes[3] = (uint8_t)total;
    bytes[33] = flags;
    chaos_links_send(n->links, from, bytes, total, n->now_ms);
}

static void send_bytes(net *n, size_t from, size_t to, uint32_t seq)
{
    send_tcp(n, from, to, TCP_ACK, seq, 1, FULL_BYTES - PACKET_RESET_BYTES);
}

/* What arrives next by now; a packet to nowhere if nothing does. */
static packet receive(net *n, size_t *to)
{
    chaos_arrival arrival;
    packet p = {0};
    *to = SIZE_MAX;
    if (chaos_links_next(n->links, n->now_ms, &arrival)) {
        assert_true(packet_read(arrival.data, arrival.bytes, &p));
        *to = arrival.to;
    }
    return p;
}

static void assert_arrives(net *n, size_t wanted, uint32_t seq)
{
    size_t to;
    packet p = receive(n, &to);
    assert_int_equal(to, wanted);
    assert_int_equal(p.seq, seq);
}

static void assert_nothing(net *n)
{
    size_t to;
    receive(n, &to);
    assert_true(to == SIZE_MAX);
}

static size_t count_arrivals(net *n)
{
    chaos_arrival arrival;
    size_t count = 0;
    while (chaos_links_next(n->links, n->now_ms, &arrival))
        count++;
    return count;
}

static void change(net *n, fault what, uint64_t for_ms)
{
    what.direction = what.direction ? what.direction : CHAOS_BOTH;
    chaos_weather_change(&n->weather, &what, n->now_ms + for_ms);
}

static void packets_pass_in_order(void **state)
{
    net *n = *state;
    send_bytes(n, WORKER, PS, 1);
    send_bytes(n, WORKER, OTHER_PS, 2);
    send_bytes(n, PS, WORKER, 3);
    send_bytes(n, PS, OTHER_PS, 4);
    assert_int_equal(chaos_links_due(n->links), n->now_ms);
    assert_arrives(n, PS, 1);
    assert_arrives(n, OTHER_PS, 2);
    assert_arrives(n, WORKER, 3);
    assert_arrives(n, OTHER_PS, 4);
    assert_nothing(n);
    assert_true(chaos_links_due(n->links) == UINT64_MAX);
    assert_int_equal(chaos_links_count(n->links).packets, 4);
}

static void strangers_are_dropped(void **state)
{
    net *n = *state;
    send_bytes(n, WORKER, 3, 1);      /* no node */
    send_bytes(n, WORKER, WORKER, 1); /* itself */
    send_bytes(n, WORKER, (size_t)-5, 1);
    for (uint64_t i = 0; i < 10000; i++) {
        uint64_t words[6];
        for (size_t k = 0; k < 6; k++)
            words[k] = random_at(i, k);
        chaos_links_send(n->links, WORKER, (const uint8_t *)words, random_at(i, 7) % sizeof words, n->now_ms);
    }
    assert_nothing(n);
}

static void a_partition_loses_what_goes_one_way(void **state)
{
    net *n = *state;
    change(n, (fault){.kind = FAULT_PARTITION, .worker = 0, .server = 0, .direction = CHAOS_UP}, 100);
    send_bytes(n, WORKER, PS, 1);
    send_bytes(n, PS, WORKER, 2);
    send_bytes(n, WORKER, OTHER_PS, 3);
    assert_arrives(n, WORKER, 2);
    assert_arrives(n, OTHER_PS, 3);
    assert_nothing(n);
    n->now_ms += 100;
    assert_nothing(n);
    send_bytes(n, WORKER, PS, 4);
    assert_arrives(n, PS, 4);
    assert_int_equal(chaos_links_count(n->links).lost, 1);
}

static void what_is_delayed_comes_in_its_time_and_in_order(void **state)
{
    net *n = *state;
    change(n, (fault){.kind = FAULT_DELAY, .worker = CHAOS_ANY, .server = 0, .delay_ms = 50, .jitter_ms = 40},
           1000);
    for (uint32_t seq = 0; seq < 100; seq++)
        send_bytes(n, WORKER, PS, seq);
    n->now_ms += 49;
    assert_nothing(n);
    n->now_ms += 41;
    for (uint32_t seq = 0; seq < 100; seq++)
        assert_arrives(n, PS, seq);
}

static void so_many_percent_are_lost(void **state)
{
    net *n = *state;
    enum { SENT = 20000 };
    change(n, (fault){.kind = FAULT_LOSS, .worker = 0, .server = 0, .percent = 5}, 1000);
    size_t arrived = 0;
    for (uint32_t seq = 0; seq < SENT; seq++) {
        send_bytes(n, WORKER, PS, seq);
        arrived += count_arrivals(n);
    }
    /* Six standard deviations. */
    assert_in_range(SENT - arrived, SENT / 20 - 185, SENT / 20 + 185);
    assert_int_equal(chaos_links_count(n->links).lost, SENT - arrived);
}

/* Which of 64 packets arrive. */
static uint64_t pattern(uint64_t seed)
{
    net n = {.weather = {.workers = 1, .servers = 2}, .now_ms = 1000};
    uint64_t arrived = 0;
    assert_int_equal(chaos_links_create(&n.weather, seed, &n.links, NULL), PS_OK);
    change(&n, (fault){.kind = FAULT_LOSS, .worker = 0, .server = 0, .percent = 50}, 1000);
    for (uint32_t seq = 0; seq < 64; seq++) {
        send_bytes(&n, WORKER, PS, seq);
        arrived |= (uint64_t)count_arrivals(&n) << seq;
    }
    chaos_links_destroy(&n.links);
    return arrived;
}

static void the_seed_says_which_are_lost(void **state)
{
    (void)state;
    assert_true(pattern(7) == pattern(7));
    assert_true(pattern(7) != pattern(8));
}

static void late_packets_are_overtaken(void **state)
{
    net *n = *state;
    change(n, (fault){.kind = FAULT_REORDER, .worker = 0, .server = 0, .percent = 20, .delay_ms = 10}, 1000);
    uint32_t highest = 0;
    size_t overtaken = 0, arrived = 0;
    for (uint32_t seq = 1; seq <= 1000; seq++, n->now_ms++) {
        size_t to;
        send_bytes(n, WORKER, PS, seq);
        for (packet p = receive(n, &to); to == PS; p = receive(n, &to)) {
            arrived++;
            overtaken += p.seq < highest;
            highest = p.seq > highest ? p.seq : highest;
        }
    }
    n->now_ms += 10;
    arrived += count_arrivals(n);
    assert_int_equal(arrived, 1000);
    assert_in_range(overtaken, 120, 280);
    assert_in_range(chaos_links_count(n->links).late, overtaken, overtaken + 10);
}

static void a_narrow_link_keeps_its_rate(void **state)
{
    net *n = *state;
    change(n, (fault){.kind = FAULT_THROTTLE, .worker = 0, .server = 0, .bytes_per_s = 150}, 100000);
    size_t arrived = 0;
    for (int i = 0; i <= 60000; i++, n->now_ms++) { /* a little more is sent than may pass */
        if (i % 1000 == 0)
            send_bytes(n, WORKER, PS, (uint32_t)i);
        arrived += count_arrivals(n);
    }
    assert_int_equal(arrived, 60 * 150 / FULL_BYTES);
}

static void what_a_narrow_link_holds_back_has_a_limit_and_goes_when_the_fault_ends(void **state)
{
    net *n = *state;
    change(n, (fault){.kind = FAULT_THROTTLE, .worker = 0, .server = 0, .bytes_per_s = 10}, 1000);
    for (uint32_t seq = 0; seq < 1000; seq++)
        send_bytes(n, WORKER, PS, seq);
    n->now_ms += 999;
    assert_nothing(n);
    n->now_ms += 1;
    size_t arrived = count_arrivals(n);
    assert_in_range(arrived, CHAOS_LINK_QUEUE_BYTES / FULL_BYTES, CHAOS_LINK_QUEUE_BYTES / FULL_BYTES + 2);
    assert_int_equal(chaos_links_count(n->links).lost, 1000 - arrived);
}

/* ---- lines ---- */

static void no_packet_is_earlier_than_its_line_lets_it(void **state)
{
    net *n = *state;
    n->weather.line.latency_ms = 20;
    change(n, (fault){.kind = FAULT_DELAY, .worker = 0, .server = 1, .delay_ms = 50}, 1000);
    send_bytes(n, WORKER, PS, 1);
    send_bytes(n, PS, OTHER_PS, 2);
    send_bytes(n, WORKER, OTHER_PS, 3);
    n->now_ms += 20; /* if they came within this millisecond, 19 and a part have passed */
    assert_nothing(n);
    n->now_ms++;
    assert_arrives(n, PS, 1);
    assert_arrives(n, OTHER_PS, 2);
    n->now_ms += 49;
    assert_nothing(n);
    n->now_ms++;
    assert_arrives(n, OTHER_PS, 3);
}

static void all_links_of_a_host_share_its_line(void **state)
{
    net *n = *state;
    n->weather.line.bytes_per_s = 100 * FULL_BYTES;
    for (uint32_t seq = 0; seq < 40; seq++)
        send_bytes(n, WORKER, seq % 2 ? PS : OTHER_PS, seq);
    send_bytes(n, OTHER_PS, WORKER, 100); /* the other way is free */
    n->now_ms += 210;                     /* 10 ms for a packet on each of two lines, one after the other */
    assert_int_equal(count_arrivals(n), 21);
    n->now_ms += 190;
    assert_int_equal(count_arrivals(n), 19);
    n->now_ms += 10;
    assert_int_equal(count_arrivals(n), 1);
}

static void into_a_host_goes_first_who_comes_first(void **state)
{
    net *n = *state;
    n->weather.line.bytes_per_s = 100 * FULL_BYTES;
    for (uint32_t seq = 0; seq < 10; seq++)
        send_bytes(n, WORKER, PS, seq);
    send_bytes(n, OTHER_PS, PS, 100);
    send_bytes(n, OTHER_PS, PS, 101);
    n->now_ms += 20;
    assert_arrives(n, PS, 0);
    n->now_ms += 20;
    assert_arrives(n, PS, 100);
    assert_arrives(n, PS, 1);
    n->now_ms += 80;
    assert_int_equal(count_arrivals(n), 8);
    assert_int_equal(chaos_links_count(n->links).packets, 11);
    n->now_ms += 10;
    assert_int_equal(count_arrivals(n), 1);
}

static void a_fault_narrows_a_line_further(void **state)
{
    net *n = *state;
    n->weather.line.bytes_per_s = 100 * FULL_BYTES;
    change(n, (fault){.kind = FAULT_THROTTLE, .worker = 0, .server = 0, .bytes_per_s = 10 * FULL_BYTES},
           1000);
    for (uint32_t seq = 0; seq < 20; seq++)
        send_bytes(n, WORKER, PS, seq);
    n->now_ms += 999;
    assert_in_range(count_arrivals(n), 9, 10);
    n->now_ms += 1 + 20 * 10; /* what the fault has held back still takes the line */
    count_arrivals(n);
    assert_int_equal(chaos_links_count(n->links).packets, 20);
}

/* ---- reset ---- */

/* A connection on which the worker has sent 100 bytes from 501 on, and the ps 10 from 901. */
static void connect_and_talk(net *n)
{
    send_tcp(n, WORKER, PS, TCP_SYN, 500, 0, 0);
    send_tcp(n, PS, WORKER, TCP_SYN | TCP_ACK, 900, 501, 0);
    count_arrivals(n);
    send_tcp(n, WORKER, PS, TCP_ACK, 501, 901, 100);
    send_tcp(n, PS, WORKER, TCP_ACK, 901, 601, 10);
    count_arrivals(n);
    send_tcp(n, WORKER, PS, TCP_ACK, 601, 911, 0);
    count_arrivals(n);
}

static void assert_reset(net *n, size_t wanted, uint32_t seq, uint32_t ack)
{
    size_t to;
    packet p = receive(n, &to);
    assert_int_equal(to, wanted);
    assert_int_equal(p.flags, TCP_RST | TCP_ACK);
    assert_int_equal(p.seq, seq);
    assert_int_equal(p.ack, ack);
    assert_int_equal(p.to_port, to == WORKER ? OWN_PORT : PORT);
    assert_int_equal(p.from, chaos_node_address(to == WORKER ? PS : WORKER));
}

static void both_ends_are_reset_with_the_number_they_wait_for(void **state)
{
    net *n = *state;
    connect_and_talk(n);
    chaos_links_reset(n->links, 0, 0, n->now_ms);
    assert_reset(n, WORKER, 911, 601);
    assert_reset(n, PS, 601, 911);
    assert_nothing(n);
    assert_int_equal(chaos_links_count(n->links).resets, 1);
    chaos_links_reset(n->links, 0, 0, n->now_ms);
    assert_nothing(n);
    assert_int_equal(chaos_links_count(n->links).resets, 1);
}

static void bytes_that_are_not_acknowledged_yet_count(void **state)
{
    net *n = *state;
    connect_and_talk(n);
    send_tcp(n, WORKER, PS, TCP_ACK, 601, 911, 50);
    assert_arrives(n, PS, 601);
    chaos_links_reset(n->links, CHAOS_ANY, CHAOS_ANY, n->now_ms);
    assert_reset(n, WORKER, 911, 651);
    assert_reset(n, PS, 601, 911);
    assert_reset(n, PS, 651, 911);
    assert_nothing(n);
}

static void what_is_on_its_way_is_dropped_by_a_reset(void **state)
{
    net *n = *state;
    connect_and_talk(n);
    change(n, (fault){.kind = FAULT_DELAY, .worker = 0, .server = CHAOS_ANY, .delay_ms = 50}, 1000);
    send_bytes(n, WORKER, PS, 601);
    send_bytes(n, WORKER, OTHER_PS, 77);
    chaos_links_reset(n->links, 0, 0, n->now_ms);
    assert_int_equal(count_arrivals(n), 2);
    n->now_ms += 100;
    assert_arrives(n, OTHER_PS, 77);
    assert_nothing(n);
}

static void later_packets_are_answered_with_the_number_they_ask_for(void **state)
{
    net *n = *state;
    connect_and_talk(n);
    chaos_links_reset(n->links, 0, 0, n->now_ms);
    count_arrivals(n);
    send_tcp(n, PS, WORKER, TCP_ACK, 911, 12345, 30);
    assert_reset(n, PS, 12345, 941);
    send_tcp(n, PS, WORKER, TCP_RST, 941, 0, 0);
    assert_nothing(n);
}

static void a_connection_that_is_being_made_is_refused(void **state)
{
    net *n = *state;
    send_tcp(n, WORKER, PS, TCP_SYN, 500, 0, 0);
    chaos_links_reset(n->links, 0, 0, n->now_ms);
    assert_reset(n, WORKER, 0, 501);
    assert_nothing(n);
    send_tcp(n, WORKER, PS, TCP_SYN, 500, 0, 0); /* again, before the RST has come */
    assert_reset(n, WORKER, 0, 501);
}

static void a_new_connection_of_the_same_ports_works(void **state)
{
    net *n = *state;
    connect_and_talk(n);
    chaos_links_reset(n->links, 0, 0, n->now_ms);
    count_arrivals(n);
    send_tcp(n, WORKER, PS, TCP_SYN, 70000, 0, 0);
    assert_arrives(n, PS, 70000);
    send_tcp(n, PS, WORKER, TCP_SYN | TCP_ACK, 80000, 70001, 0);
    assert_arrives(n, WORKER, 80000);
    assert_int_equal(chaos_links_count(n->links).connections, 2);
}

static void what_has_ended_is_not_reset(void **state)
{
    net *n = *state;
    connect_and_talk(n);
    send_tcp(n, WORKER, PS, TCP_FIN | TCP_ACK, 601, 911, 0);
    send_tcp(n, PS, WORKER, TCP_FIN | TCP_ACK, 911, 602, 0);
    count_arrivals(n);
    chaos_links_reset(n->links, 0, 0, n->now_ms);
    assert_nothing(n);
    assert_int_equal(chaos_links_count(n->links).resets, 0);
}

static void more_connections_than_are_remembered_pass(void **state)
{
    net *n = *state;
    uint8_t bytes[PACKET_RESET_BYTES];
    for (uint32_t i = 0; i < 3 * CHAOS_FLOWS_MAX; i++) {
        const packet p = {.from = chaos_node_address(WORKER),
                          .to = chaos_node_address(PS),
                          .from_port = (uint16_t)(OWN_PORT + i),
                          .to_port = PORT};
        packet_write_reset(&p, bytes);
        bytes[33] = TCP_SYN;
        chaos_links_send(n->links, WORKER, bytes, sizeof bytes, n->now_ms);
    }
    assert_int_equal(count_arrivals(n), 3 * CHAOS_FLOWS_MAX);
    assert_int_equal(chaos_links_count(n->links).connections, 3 * CHAOS_FLOWS_MAX);
    chaos_links_reset(n->links, 0, 0, n->now_ms);
    assert_int_equal(count_arrivals(n), CHAOS_FLOWS_MAX);
}

#define NET_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(packets_pass_in_order),
        NET_TEST(strangers_are_dropped),
        NET_TEST(a_partition_loses_what_goes_one_way),
        NET_TEST(what_is_delayed_comes_in_its_time_and_in_order),
        NET_TEST(so_many_percent_are_lost),
        NET_TEST(the_seed_says_which_are_lost),
        NET_TEST(late_packets_are_overtaken),
        NET_TEST(a_narrow_link_keeps_its_rate),
        NET_TEST(what_a_narrow_link_holds_back_has_a_limit_and_goes_when_the_fault_ends),
        NET_TEST(no_packet_is_earlier_than_its_line_lets_it),
        NET_TEST(all_links_of_a_host_share_its_line),
        NET_TEST(into_a_host_goes_first_who_comes_first),
        NET_TEST(a_fault_narrows_a_line_further),
        NET_TEST(both_ends_are_reset_with_the_number_they_wait_for),
        NET_TEST(bytes_that_are_not_acknowledged_yet_count),
        NET_TEST(what_is_on_its_way_is_dropped_by_a_reset),
        NET_TEST(later_packets_are_answered_with_the_number_they_ask_for),
        NET_TEST(a_connection_that_is_being_made_is_refused),
        NET_TEST(a_new_connection_of_the_same_ports_works),
        NET_TEST(what_has_ended_is_not_reset),
        NET_TEST(more_connections_than_are_remembered_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
