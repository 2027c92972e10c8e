/* Payloads that travel as places in shared memory, over real sockets: common/transport and what it stands on.
 * Both ends are this process, which maps its own memory a second time. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/silence.h"
#include "tests/unit/transport_bench.h"

enum { FLOATS = 1000, BYTES = FLOATS * sizeof(float), SLICES = 3 };

/* The client is a transport of its own, as in another process. */
typedef struct {
    bench ends;
    transport *client_transport;
    pool *server_pool, *client_pool;
    wire_route route; /* of the client, once it has spoken */
} sharing_bench;

static void open_sharing(sharing_bench *b, bool server_shares, bool client_shares)
{
    open_bench(&b->ends);
    transport_close(&b->ends.client, 0);
    assert_int_equal(transport_create(1, &b->client_transport, NULL), PS_OK);
    assert_int_equal(transport_connect(b->client_transport, "127.0.0.1", b->ends.port, &b->ends.client, NULL),
                     PS_OK);
    assert_int_equal(pool_create(true, &b->server_pool), PS_OK);
    assert_int_equal(pool_create(true, &b->client_pool), PS_OK);
    if (server_shares)
        assert_int_equal(transport_share(b->ends.transport, b->server_pool), PS_OK);
    if (client_shares)
        assert_int_equal(transport_share(b->client_transport, b->client_pool), PS_OK);
}

static void close_sharing(sharing_bench *b)
{
    transport_close(&b->ends.client, 0);
    transport_destroy(&b->client_transport);
    close_bench(&b->ends);
    pool_destroy(&b->server_pool);
    pool_destroy(&b->client_pool);
}

/* A buffer of the pool, or of no pool, full of `value`. */
static buffer *make_buffer(pool *from, float value)
{
    buffer *b = from ? pool_take(from, BYTES) : buffer_alloc(BYTES);
    assert_non_null(b);
    for (int i = 0; i < FLOATS; i++)
        ((float *)buffer_data(b))[i] = value;
    return b;
}

/* Slices 0, 1, ...; the odd ones in memory of no pool if `mixed`. */
static wire_message *make_message(wire_type type, pool *from, bool mixed)
{
    wire_message *m = wire_create(type, SLICES);
    m->role = type == WIRE_WEIGHTS ? WIRE_PS : WIRE_WORKER;
    m->step = m->examples = 1;
    m->clip_factor = 1;
    m->has_payload = true;
    m->by_reference = true;
    for (uint32_t i = 0; i < SLICES; i++) {
        m->slices[i] = i;
        m->payloads[i] = make_buffer(mixed && i % 2 ? NULL : from, (float)i);
    }
    return m;
}

static void assert_arrived_whole(const wire_message *m)
{
    assert_int_equal(m->slice_count, SLICES);
    for (uint32_t i = 0; i < SLICES; i++) {
        assert_non_null(m->payloads[i]);
        assert_int_equal(buffer_size(m->payloads[i]), BYTES);
        for (int k = 0; k < FLOATS; k++)
            assert_true(((const float *)buffer_bytes(m->payloads[i]))[k] == (float)i);
    }
}

/* Sends the client's message and takes it at the server. */
static wire_message *to_server(sharing_bench *b, wire_message *m)
{
    send_when_possible(b->ends.client, NULL, m);
    return await_message(b->ends.server, &b->route);
}

static void push_by_reference_is_the_senders_memory(void **state)
{
    (void)state;
    for (int mixed = 0; mixed < 2; mixed++) {
        sharing_bench b;
        open_sharing(&b, true, true);
        wire_message *m = make_message(WIRE_PUSH_PULL, b.client_pool, mixed);
        buffer *lent[SLICES];
        for (int i = 0; i < SLICES; i++)
            lent[i] = buffer_ref(m->payloads[i]);
        m = to_server(&b, m);
        assert_true(m->readable);
        assert_int_equal(m->segment_count, 1);
        assert_int_equal(wire_frames(m), mixed ? 1 : 0);
        assert_arrived_whole(m);
        for (int i = 0; i < SLICES; i++) {
            bool framed = mixed && i % 2;
            ((float *)buffer_data(lent[i]))[7] = 99;
            assert_true(((const float *)buffer_bytes(m->payloads[i]))[7] == (framed ? (float)i : 99));
            buffer_unref(&lent[i]);
        }
        wire_destroy(&m);
        close_sharing(&b);
    }
}

static void weights_come_back_by_reference(void **state)
{
    (void)state;
    sharing_bench b;
    open_sharing(&b, true, true);
    wire_message *m = to_server(&b, make_message(WIRE_PUSH_PULL, b.client_pool, false));
    wire_destroy(&m);
    m = make_message(WIRE_WEIGHTS, b.server_pool, true);
    buffer *lent = buffer_ref(m->payloads[2]);
    send_when_possible(b.ends.server, &b.route, m);
    m = await_message(b.ends.client, NULL);
    assert_true(m->readable);
    assert_arrived_whole(m);
    ((float *)buffer_data(lent))[0] = 99;
    assert_true(((const float *)buffer_bytes(m->payloads[2]))[0] == 99);
    buffer_unref(&lent);
    wire_destroy(&m);
    close_sharing(&b);
}

static void without_leave_or_memory_of_the_pool_frames_are_sent(void **state)
{
    (void)state;
    sharing_bench b;
    open_sharing(&b, true, true);
    for (int i = 0; i < 2; i++) {
        wire_message *m = make_message(WIRE_PUSH_PULL, i ? NULL : b.client_pool, false);
        m->by_reference = i == 1;
        m = to_server(&b, m);
        assert_false(m->readable);
        assert_int_equal(m->segment_count, 0);
        assert_int_equal(wire_frames(m), SLICES);
        assert_arrived_whole(m);
        wire_destroy(&m);
    }
    close_sharing(&b);
}

static void side_that_does_not_share_sends_frames(void **state)
{
    (void)state;
    sharing_bench b;
    open_sharing(&b, true, false);
    wire_message *m = to_server(&b, make_message(WIRE_PUSH_PULL, b.client_pool, false));
    assert_int_equal(m->segment_count, 0);
    assert_arrived_whole(m);
    wire_destroy(&m);
    close_sharing(&b);
}

/* That a session asks for it nonetheless is its mistake, not a reason to crash. */
static void side_that_does_not_share_finds_memory_unreadable(void **state)
{
    (void)state;
    sharing_bench b;
    open_sharing(&b, false, true);
    wire_message *m = to_server(&b, make_message(WIRE_PUSH_PULL, b.client_pool, true));
    assert_false(m->readable);
    assert_null(m->payloads[0]);
    assert_non_null(m->payloads[1]); /* came in a frame */
    assert_null(m->payloads[2]);
    wire_destroy(&m);
    close_sharing(&b);
}

static wire_message *make_hello(void)
{
    wire_message *m = wire_create(WIRE_HELLO, 0);
    m->role = WIRE_WORKER;
    m->hello = calloc(1, sizeof *m->hello);
    assert_non_null(m->hello);
    job_init(m->hello);
    m->hello->servers = m->hello->workers = 1;
    tensor t = {.name = "w", .rank = 1, .shape = {1}};
    assert_int_equal(tensor_table_add(&m->hello->tensors, &t, NULL), PS_OK);
    return m;
}

static void hello_and_welcome_bring_a_segment_to_try(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        bool server_shares = i & 1, client_shares = i & 2;
        sharing_bench b;
        open_sharing(&b, server_shares, client_shares);
        wire_message *m = to_server(&b, make_hello());
        assert_int_equal(m->segment_count, client_shares);
        assert_true(m->readable == (server_shares && client_shares));
        wire_destroy(&m);
        m = wire_create(WIRE_WELCOME, 0);
        send_when_possible(b.ends.server, &b.route, m);
        m = await_message(b.ends.client, NULL);
        assert_int_equal(m->segment_count, server_shares);
        assert_true(m->readable == (server_shares && client_shares));
        wire_destroy(&m);
        close_sharing(&b);
    }
}

/* ---- forgeries ---- */

/* A message whose places are as they are given; the client itself shares nothing, and so leaves them alone.
 */
static wire_message *forge(const segment_name *name, uint64_t offset)
{
    wire_message *m = wire_create(WIRE_PUSH_PULL, 1);
    m->role = WIRE_WORKER;
    m->step = m->examples = 1;
    m->clip_factor = 1;
    m->has_payload = true;
    m->payloads[0] = make_buffer(NULL, 1);
    m->segments[m->segment_count++] = *name;
    m->places[0] = (wire_place){.segment = 1, .offset = offset};
    return m;
}

static void assert_unreadable(sharing_bench *b, const segment_name *name, uint64_t offset)
{
    wire_message *m = to_server(b, forge(name, offset));
    assert_null(m->payloads[0]);
    wire_destroy(&m);
}

static void forged_names_are_at_most_unreadable(void **state)
{
    (void)state;
    sharing_bench b;
    open_sharing(&b, true, false);
    segment *own;
    assert_int_equal(segment_create(1 << 20, &own), PS_OK);
    const segment_name real = *segment_name_of(own);
    segment_name name = real;
    name.token[0] ^= 1;
    assert_unreadable(&b, &name, SEGMENT_HEAD_BYTES);
    name = real;
    name.token[1]++;
    assert_unreadable(&b, &name, SEGMENT_HEAD_BYTES);
    name = real;
    name.bytes += 4096;
    assert_unreadable(&b, &name, SEGMENT_HEAD_BYTES);
    name.bytes = UINT64_MAX;
    assert_unreadable(&b, &name, SEGMENT_HEAD_BYTES);
    const uint32_t pids[] = {0, 1, real.pid + 1, INT32_MAX, UINT32_MAX};
    for (size_t i = 0; i < sizeof pids / sizeof *pids; i++) {
        name = real;
        name.pid = pids[i];
        assert_unreadable(&b, &name, SEGMENT_HEAD_BYTES);
    }
    for (uint32_t fd = 0; fd < 64; fd++) { /* sockets, pipes, terminals, and whatever else is open */
        if (fd == real.fd)
            continue;
        name = real;
        name.fd = fd;
        assert_unreadable(&b, &name, SEGMENT_HEAD_BYTES);
    }
    name.fd = UINT32_MAX;
    assert_unreadable(&b, &name, SEGMENT_HEAD_BYTES);

    int unsealed = memfd_create("penstock", MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(unsealed, (off_t)real.bytes), 0);
    assert_int_equal(pwrite(unsealed, segment_at(own, 0), 4096, 0), 4096); /* as good a head as any */
    name = real;
    name.fd = (uint32_t)unsealed;
    assert_unreadable(&b, &name, SEGMENT_HEAD_BYTES);
    close(unsealed);

    wire_message *m =
        to_server(&b, forge(&real, SEGMENT_HEAD_BYTES)); /* after all that the real one is read */
    assert_true(m->readable);
    assert_non_null(m->payloads[0]);
    wire_destroy(&m);
    segment_destroy(&own);
    close_sharing(&b);
}

static void places_at_the_ends_are_read_and_beyond_them_refused(void **state)
{
    (void)state;
    sharing_bench b;
    open_sharing(&b, true, false);
    segment *own;
    assert_int_equal(segment_create(1 << 20, &own), PS_OK);
    const segment_name real = *segment_name_of(own);
    const uint64_t last = real.bytes - BYTES;
    const uint64_t good[] = {SEGMENT_HEAD_BYTES, SEGMENT_HEAD_BYTES + 4, last};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        wire_message *m = to_server(&b, forge(&real, good[i]));
        assert_non_null(m->payloads[0]);
        assert_int_equal(((const float *)buffer_bytes(m->payloads[0]))[FLOATS - 1], 0);
        wire_destroy(&m);
    }
    assert_unreadable(&b, &real, 0); /* the token's */
    assert_unreadable(&b, &real, SEGMENT_HEAD_BYTES - 4);
    const uint64_t bad[] = {last + 4,       last + 1,       real.bytes,
                            real.bytes + 4, UINT64_MAX - 3, SEGMENT_HEAD_BYTES + 1};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wire_message *m;
        ps_error error = {PS_OK, ""};
        send_when_possible(b.ends.client, NULL, forge(&real, bad[i]));
        assert_int_equal(await(b.ends.server, &b.route, &m, &error), TRANSPORT_REFUSED);
        assert_int_equal(error.status, PS_EPROTOCOL);
    }
    segment_destroy(&own);
    close_sharing(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_by_reference_is_the_senders_memory),
        cmocka_unit_test(weights_come_back_by_reference),
        cmocka_unit_test(without_leave_or_memory_of_the_pool_frames_are_sent),
        cmocka_unit_test(side_that_does_not_share_sends_frames),
        cmocka_unit_test(side_that_does_not_share_finds_memory_unreadable),
        cmocka_unit_test(hello_and_welcome_bring_a_segment_to_try),
        cmocka_unit_test(forged_names_are_at_most_unreadable),
        cmocka_unit_test(places_at_the_ends_are_read_and_beyond_them_refused),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
