/* Heartbeats over real connections: worker/pulse. */
#include "worker/pulse.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/transport.h"
#include "tests/unit/loopback.h"

typedef struct {
    transport *transport;
    transport_socket *listening[2];
    cluster_spec cluster;
} fixture;

static void open_two_ps(fixture *f)
{
    char json[256];
    uint16_t ports[2];
    ps_error error;
    assert_int_equal(transport_create(1, &f->transport, &error), PS_OK);
    for (int i = 0; i < 2; i++) {
        int fd = loopback_listen(&ports[i]);
        if (transport_listen(f->transport, NULL, 0, fd, &f->listening[i], &error) != PS_OK)
            fail_msg("%s", error.text);
    }
    snprintf(json, sizeof json, "{\"ps\": [\"127.0.0.1:%u\", \"127.0.0.1:%u\"], \"worker\": [\"w:1\"]}",
             ports[0], ports[1]);
    const cluster_source source = {.daemon = ROLE_WORKER, .cluster = json, .task = "worker:0"};
    cluster_warning warning;
    if (cluster_parse(&source, &f->cluster, &warning, NULL, 0, &error) != PS_OK)
        fail_msg("%s", error.text);
}

static void close_two_ps(fixture *f)
{
    cluster_fini(&f->cluster);
    for (int i = 0; i < 2; i++)
        transport_close(&f->listening[i], 0);
    transport_destroy(&f->transport);
}

static const pulse_identity self = {.job = 77, .role = WIRE_WORKER, .index = 5, .incarnation = 9};

/* Waits for a heartbeat of that incarnation. */
static void expect_beat(fixture *f, int server, uint64_t incarnation)
{
    for (uint64_t end = clock_monotonic_ms() + LOOPBACK_PATIENCE_MS; clock_monotonic_ms() < end;) {
        wire_route from;
        wire_message *m;
        ps_error error;
        if (transport_await(f->listening[server], 100, &from, &m, &error) != TRANSPORT_MESSAGE)
            continue;
        assert_int_equal(m->type, WIRE_HEARTBEAT);
        assert_int_equal(m->job, self.job);
        assert_int_equal(m->role, self.role);
        assert_int_equal(m->index, self.index);
        const bool meant = m->incarnation == incarnation;
        wire_destroy(&m);
        if (meant)
            return;
    }
    fail_msg("no heartbeat came to ps/%d", server);
}

static void every_ps_hears_of_the_process_again_and_again(void **state)
{
    (void)state;
    fixture f;
    pulse *p;
    ps_error error;
    open_two_ps(&f);
    assert_int_equal(pulse_create(&f.cluster, 2, NULL, &p, &error), PS_OK);
    assert_int_equal(pulse_beat(p, &self, 20, &error), PS_OK);
    for (int i = 0; i < 3; i++)
        for (int server = 0; server < 2; server++)
            expect_beat(&f, server, self.incarnation);
    pulse_destroy(&p);
    assert_null(p);
    close_two_ps(&f);
}

static void further_beats_are_of_the_new_incarnation(void **state)
{
    (void)state;
    fixture f;
    pulse *p;
    ps_error error;
    open_two_ps(&f);
    assert_int_equal(pulse_create(&f.cluster, 2, NULL, &p, &error), PS_OK);
    assert_int_equal(pulse_beat(p, &self, 20, &error), PS_OK);
    expect_beat(&f, 0, 9);
    pulse_identity renewed = self;
    renewed.incarnation = 10;
    assert_int_equal(pulse_beat(p, &renewed, 20, &error), PS_OK);
    expect_beat(&f, 0, 10);
    pulse_destroy(&p);
    close_two_ps(&f);
}

static void shorter_interval_does_not_wait_for_the_longer_one(void **state)
{
    (void)state;
    fixture f;
    pulse *p;
    ps_error error;
    open_two_ps(&f);
    assert_int_equal(pulse_create(&f.cluster, 2, NULL, &p, &error), PS_OK);
    assert_int_equal(pulse_beat(p, &self, UINT32_MAX / 2, &error),
                     PS_OK); /* no second one within the test's patience */
    pulse_identity renewed = self;
    renewed.incarnation = 10;
    assert_int_equal(pulse_beat(p, &renewed, 20, &error), PS_OK);
    expect_beat(&f, 0, 10);
    pulse_destroy(&p);
    close_two_ps(&f);
}

static void tell(void *context, worker_figures *figures)
{
    *figures = (worker_figures){.step = ++*(uint64_t *)context};
}

/* Until a heartbeat tells of this step; each before it tells of one more than the last. */
static void expect_figures(fixture *f, int server, uint64_t step)
{
    uint64_t heard = 0;
    for (uint64_t end = clock_monotonic_ms() + LOOPBACK_PATIENCE_MS; heard < step;) {
        wire_route from;
        wire_message *m;
        ps_error error;
        assert_true(clock_monotonic_ms() < end);
        if (transport_await(f->listening[server], 100, &from, &m, &error) != TRANSPORT_MESSAGE)
            continue;
        worker_figures figures;
        assert_true(m->figures_bytes > 0);
        assert_true(figures_unpack(m->figures, m->figures_bytes, &figures));
        assert_true(figures.step > heard);
        heard = figures.step;
        wire_destroy(&m);
    }
}

static void beats_tell_what_they_are_given_to_tell(void **state)
{
    (void)state;
    fixture f;
    pulse *p;
    ps_error error;
    uint64_t told = 0; /* the pulse's thread's, while there is one */
    open_two_ps(&f);
    assert_int_equal(pulse_create(&f.cluster, 2, NULL, &p, &error), PS_OK);
    pulse_tell(p, tell, &told);
    assert_int_equal(pulse_beat(p, &self, 20, &error), PS_OK);
    expect_figures(&f, 1, 3);
    pulse_destroy(&p);
    assert_true(told >= 3);
    close_two_ps(&f);
}

static void pulse_that_never_beat_ends_at_once(void **state)
{
    (void)state;
    fixture f;
    pulse *p;
    ps_error error;
    open_two_ps(&f);
    assert_int_equal(pulse_create(&f.cluster, 2, NULL, &p, &error), PS_OK);
    pulse_destroy(&p);
    pulse_destroy(&p);
    close_two_ps(&f);
}

static void ps_without_an_address_is_named(void **state)
{
    (void)state;
    fixture f;
    pulse *p;
    ps_error error;
    open_two_ps(&f);
    assert_int_equal(pulse_create(&f.cluster, 3, NULL, &p, &error), PS_ECONFIG);
    assert_string_equal(error.text, "the cluster has no address for ps/2");
    assert_null(p);
    close_two_ps(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_ps_hears_of_the_process_again_and_again),
        cmocka_unit_test(further_beats_are_of_the_new_incarnation),
        cmocka_unit_test(shorter_interval_does_not_wait_for_the_longer_one),
        cmocka_unit_test(beats_tell_what_they_are_given_to_tell),
        cmocka_unit_test(pulse_that_never_beat_ends_at_once),
        cmocka_unit_test(ps_without_an_address_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
