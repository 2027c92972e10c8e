/* What workers tell of themselves, through the wire and back: common/figures. */
#include "common/figures.h"

#include <string.h>

#include "common/wire.h"
#include "tests/unit/unit.h"

static worker_figures sample(void)
{
    return (worker_figures){
        .activity = ACTIVITY_TESTING,
        .pid = 4711,
        .step = 17,
        .last_step = 4000,
        .epoch = 0.25,
        .epochs = 10,
        .examples_total = UINT64_MAX,
        .steps = 16,
        .step_ns = 1,
        .compute_ns = 2,
        .push_ns = 3,
        .wait_ns = 4,
        .pull_ns = 5,
        .examples = 800,
        .correct = 700,
        .loss_sum = -0.5,
        .bytes_pushed = UINT64_C(1) << 40,
        .bytes_pulled = 6,
        .requests = 7,
        .resent = 8,
        .rollbacks = 9,
        .tests = 1,
        .test_step = 16,
        .test_accuracy = 0.97,
        .test_loss = 0.1,
        .server = 1,
        .server_http = "127.0.0.1:9090",
        .device = "cpu",
        .host = "here",
        .http = "127.0.0.1:9091",
    };
}

static void all_figures_come_back(void **state)
{
    (void)state;
    const worker_figures sent = sample();
    worker_figures got;
    uint8_t packed[FIGURES_BYTES_MAX];
    const size_t bytes = figures_pack(&sent, packed);
    assert_true(bytes > 0);
    assert_true(figures_unpack(packed, bytes, &got));
    assert_memory_equal(&got, &sent, offsetof(worker_figures, server_http));
    assert_string_equal(got.server_http, sent.server_http);
    assert_string_equal(got.device, sent.device);
    assert_string_equal(got.host, sent.host);
    assert_string_equal(got.http, sent.http);
}

static void the_largest_figures_fit(void **state)
{
    (void)state;
    worker_figures f, got;
    uint8_t packed[FIGURES_BYTES_MAX];
    memset(&f, 0xff, sizeof f);
    f.activity = ACTIVITY_FINISHING;
    char *texts[] = {f.server_http, f.device, f.host, f.http};
    for (size_t i = 0; i < 4; i++) {
        memset(texts[i], 'x', FIGURES_TEXT_MAX);
        texts[i][FIGURES_TEXT_MAX] = '\0';
    }
    const size_t bytes = figures_pack(&f, packed);
    assert_true(bytes > 0);
    assert_true(figures_unpack(packed, bytes, &got));
    assert_true(got.bytes_pushed == UINT64_MAX);
    assert_string_equal(got.http, f.http);
}

static void a_strangers_text_is_cut_and_steers_no_terminal(void **state)
{
    (void)state;
    uint8_t packed[256] = {0xe2, 1, 200, 1}; /* field 28, device, 200 bytes */
    worker_figures got;
    memset(packed + 4, '\x1b', 200);
    assert_true(figures_unpack(packed, 204, &got));
    assert_int_equal(strlen(got.device), FIGURES_TEXT_MAX);
    assert_int_equal(strspn(got.device, "?"), FIGURES_TEXT_MAX);
}

static void bytes_that_are_no_figures_are_refused(void **state)
{
    (void)state;
    worker_figures got;
    assert_false(figures_unpack((const uint8_t *)"\xff\xff", 2, &got));
    assert_true(figures_unpack((const uint8_t *)"\x08\x63", 2, &got)); /* an activity of later versions */
    assert_int_equal(got.activity, ACTIVITY_UNKNOWN);
    assert_true(figures_unpack(NULL, 0, &got));
}

/* Encodes, decodes, and takes the figures that have come. */
static void heartbeats_alone_carry_them(void **state)
{
    (void)state;
    const worker_figures sent = sample();
    static const wire_type types[] = {WIRE_HEARTBEAT, WIRE_QUERY};
    for (int i = 0; i < 2; i++) {
        wire_message *m = wire_create(types[i], 0), *decoded;
        buffer *header;
        ps_error error;
        m->role = WIRE_WORKER;
        wire_set_figures(m, &sent);
        assert_int_equal(wire_encode(m, &header), PS_OK);
        const ps_status status =
            wire_decode(buffer_bytes(header), buffer_size(header), NULL, 0, &decoded, &error);
        assert_int_equal(status, i == 0 ? PS_OK : PS_EPROTOCOL);
        if (i == 0) {
            worker_figures got;
            assert_true(figures_unpack(decoded->figures, decoded->figures_bytes, &got));
            assert_true(got.bytes_pushed == sent.bytes_pushed);
        }
        wire_destroy(&decoded);
        wire_destroy(&m);
        buffer_unref(&header);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_figures_come_back),
        cmocka_unit_test(the_largest_figures_fit),
        cmocka_unit_test(a_strangers_text_is_cut_and_steers_no_terminal),
        cmocka_unit_test(bytes_that_are_no_figures_are_refused),
        cmocka_unit_test(heartbeats_alone_carry_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
