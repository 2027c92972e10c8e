/* What a step costs: deploy/cost_model, against sums done by hand and in its limits. */
#include "deploy/plan/cost_model.h"

#include <math.h>

#include "common/partition.h"
#include "ps/optimizer.h"
#include "tests/unit/unit.h"

/* Round figures, so that the sums below can be followed. */
static const cost_constants ROUND = {
    .cores = 2,
    .request_s = 100e-6,
    .request_cpu_s = 40e-6,
    .message_cpu_s = 2e-6,
    .socket_bytes_per_s = 10e9,
    .socket_cpu_s_per_byte = 0.1e-9,
    .update_bytes_per_s = 5e9,
    .reduce_s_per_byte = 0.1e-9,
    .judge_s_per_byte = 0.02e-9,
    .copy_bytes_per_s = 10e9,
    .shared_cpu_s_per_byte = 0.02e-9,
};

/* 100 MB over 100 Gbit/s, 4 workers, 2 ps. */
static const cost_input SAMPLE = {
    .model_bytes = 100e6,
    .compute_s = 0.1,
    .bandwidth = 12.5e9,
    .latency_s = 10e-6,
    .slice_bytes = 1e6,
    .workers = 4,
    .servers = 2,
    .pipelined = true,
    .push = {.ratio = 1},
    .pull = {.ratio = 1},
};

static cost_prediction predict(cost_input input)
{
    cost_prediction prediction;
    cost_predict(&input, &ROUND, &prediction);
    return prediction;
}

static void assert_near(double value, double expected)
{
    if (fabs(value - expected) > 1e-9 * fabs(expected))
        fail_msg("%.12g, not %.12g", value, expected);
}

static void every_part_of_a_step_is_as_computed_by_hand(void **state)
{
    (void)state;
    cost_prediction p = predict(SAMPLE);
    assert_int_equal(p.slices, 50);
    assert_near(p.share_bytes, 50e6);
    assert_near(p.encode_s, 2e-3);
    /* NICs take 8 and 16 ms, the ps's I/O thread 200 MB at 10 GB/s. */
    assert_near(p.push_s, 20e-3);
    /* A pair of worker and ps costs 40 + 49 * 2 = 138 us, half of it on the ps. */
    assert_near(p.message_s, 4 * 69e-6);
    assert_near(p.update_s, 10e-3 + 3 * 5e-3 + 276e-6);
    assert_near(p.pull_s, 20e-3);
    assert_near(p.place_s, 10e-3 + 2 * 69e-6);
    assert_near(p.latency_s, 120e-6);
    /* The update is slowest; the other stages add a fiftieth each. */
    assert_near(p.exposed_s, 120e-6 + 25.276e-3 + (2e-3 + 20e-3 + 20e-3 + 10.138e-3) / 50);
    assert_near(p.step_s, 0.12643876);
    assert_near(p.efficiency, 0.1 / 0.12643876);
    assert_int_equal(p.bottleneck, COST_UPDATE);
    assert_near(p.busy_s[COST_WORKER_OUT], 8e-3);
    assert_near(p.busy_s[COST_SERVER_IN], 16e-3);
    assert_near(p.busy_s[COST_SERVER_IO], 20e-3);
}

static void ps_that_wait_for_whole_shards_make_stages_add_up(void **state)
{
    (void)state;
    cost_input in = SAMPLE;
    in.pipelined = false;
    assert_near(predict(in).exposed_s, 120e-6 + 2e-3 + 20e-3 + 25.276e-3 + 20e-3 + 10.138e-3);
}

static void bytes_and_memory_are_counted_for_the_fullest_ps(void **state)
{
    (void)state;
    cost_input in = SAMPLE;
    in.push.ratio = 0.5;
    in.optimizer = OPTIMIZER_ADAM;
    cost_prediction p = predict(in);
    assert_near(p.server_in_bytes, 4 * 25e6);
    assert_near(p.server_out_bytes, 4 * 50e6);
    assert_near(p.worker_out_bytes, 50e6);
    assert_near(p.worker_in_bytes, 100e6);
    /* Three versions, two slots, four gradients of half the size. */
    assert_near(p.memory_bytes, 50e6 * 5 + 100e6);
    /* 100 slices on 3 ps: one has 34. */
    in.servers = 3;
    p = predict(in);
    assert_int_equal(p.slices, 34);
    assert_near(p.share_bytes, 34e6);
}

static void small_models_are_cut_as_the_partition_cuts_them(void **state)
{
    (void)state;
    cost_input in = SAMPLE;
    in.model_bytes = 400e3;
    in.servers = 4;
    cost_prediction p = predict(in);
    assert_int_equal(p.slices, 1);
    assert_near(p.share_bytes, 100e3);
    in.servers = 16; /* a fair share would be below the floor: 7 slices */
    p = predict(in);
    assert_int_equal(p.slices, 1);
    assert_near(p.share_bytes, 400e3 / ceil(400e3 / PARTITION_BALANCED_BYTES_MIN));
}

static void an_infinite_network_and_free_code_leave_compute_alone(void **state)
{
    (void)state;
    const cost_constants free_code = {.cores = 1,
                                      .socket_bytes_per_s = INFINITY,
                                      .update_bytes_per_s = INFINITY,
                                      .copy_bytes_per_s = INFINITY};
    cost_input in = SAMPLE;
    in.bandwidth = INFINITY;
    in.latency_s = 0;
    cost_prediction p;
    cost_predict(&in, &free_code, &p);
    assert_near(p.step_s, 0.1);
    assert_near(p.efficiency, 1);
    assert_int_equal(p.bottleneck, COST_COMPUTE);
}

static void a_slow_network_binds_one_ps_by_what_comes_in(void **state)
{
    (void)state;
    cost_input in = SAMPLE;
    in.bandwidth = 125e6;
    in.servers = 1;
    in.workers = 64;
    cost_prediction p = predict(in);
    assert_int_equal(p.bottleneck, COST_SERVER_IN);
    assert_near(p.push_s, 64 * 100e6 / 125e6);
    in.push.ratio = 0.5; /* now weights take longer than gradients */
    assert_int_equal(predict(in).bottleneck, COST_SERVER_OUT);
}

static void one_worker_of_many_ps_is_bound_by_its_own_network(void **state)
{
    (void)state;
    cost_input in = SAMPLE;
    in.bandwidth = 125e6;
    in.servers = 8;
    in.workers = 1;
    assert_int_equal(predict(in).bottleneck, COST_WORKER_OUT);
}

static void latency_binds_tiny_models(void **state)
{
    (void)state;
    cost_input in = SAMPLE;
    in.model_bytes = 4096;
    in.compute_s = 1e-6;
    in.latency_s = 1e-3;
    in.workers = 1;
    in.servers = 1;
    cost_prediction p = predict(in);
    assert_int_equal(p.bottleneck, COST_LATENCY);
    assert_near(p.latency_s, 2.1e-3);
}

static void more_bandwidth_never_slows_a_step(void **state)
{
    (void)state;
    cost_input in = SAMPLE;
    double last = INFINITY;
    for (in.bandwidth = 1e6; in.bandwidth < 1e12; in.bandwidth *= 1.7) {
        double step = predict(in).step_s;
        assert_true(step <= last);
        last = step;
    }
}

static void more_workers_never_speed_a_step_up(void **state)
{
    (void)state;
    cost_input in = SAMPLE;
    for (int one_host = 0; one_host < 2; one_host++) {
        in.cores = one_host ? 2 : 0;
        double last = 0;
        for (in.workers = 1; in.workers <= 1024; in.workers++) {
            double step = predict(in).step_s;
            assert_true(step >= last);
            last = step;
        }
    }
}

static void more_ps_never_lengthen_the_wire(void **state)
{
    (void)state;
    const double models[] = {4, 50e3, 1e6, 33.7e6, 4e9};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        cost_input in = SAMPLE;
        in.model_bytes = models[i];
        double last = INFINITY;
        for (in.servers = 1; in.servers <= 1024; in.servers++) {
            cost_prediction p = predict(in);
            assert_true(p.push_s <= last);
            assert_true(p.share_bytes * in.servers >= in.model_bytes * (1 - 1e-12));
            last = p.push_s;
        }
    }
}

static void backward_hides_what_it_can_but_not_the_last_slices(void **state)
{
    (void)state;
    cost_input in = SAMPLE;
    double alone = predict(in).exposed_s;
    double last = alone;
    for (in.overlap = 0.1; in.overlap < 0.95; in.overlap += 0.1) {
        double exposed = predict(in).exposed_s;
        assert_true(exposed <= last);
        last = exposed;
    }
    /* Compute is long: only the slices of the first layer remain, and the pipeline's fill. */
    in.overlap = 0.9;
    assert_near(predict(in).exposed_s, 120e-6 + 0.1 * 25.276e-3 + 52.138e-3 / 50);
    /* Compute is short: the exchange takes what it takes, less the window. */
    in.compute_s = 3e-3;
    assert_near(predict(in).exposed_s, alone - 0.9 * 2e-3);
    /* Waiting for whole shards, only the push hides. */
    in.compute_s = 0.1;
    in.pipelined = false;
    assert_near(predict(in).exposed_s, 120e-6 + 0.1 * 22e-3 + 25.276e-3 + 20e-3 + 10.138e-3);
}

static void no_thread_is_in_two_stages_at_a_time(void **state)
{
    (void)state;
    /* 2 ms of encoding and 10 ms of decoding and copying per 10 MB are one thread's, pipelined or not. */
    cost_input in = SAMPLE;
    in.bandwidth = INFINITY;
    in.workers = 1;
    in.servers = 8;
    in.push.encode_s_per_byte = 0.4e-9;
    in.pull.decode_s_per_byte = 0.4e-9;
    cost_prediction p = predict(in);
    assert_near(p.exposed_s, p.latency_s + p.encode_s + p.place_s);
    assert_int_equal(p.bottleneck, COST_TRAINER);
}

static void processes_of_one_host_share_its_cores(void **state)
{
    (void)state;
    cost_input in = SAMPLE;
    in.cores = 2;
    in.bandwidth = 1; /* not read, as the latency */
    in.latency_s = 1e9;
    cost_prediction p = predict(in);
    assert_near(p.compute_s, 0.2);
    /* Judging 4 x 2 ms, copying 4 x 10 ms, updating 20 + 3 x 10 ms, the wire 4 x 200 MB at 0.1 ns, 8 pairs of
     * 138 us. */
    double cpu = 8e-3 + 40e-3 + 50e-3 + 80e-3 + 8 * 138e-6;
    assert_near(p.busy_s[COST_CORES], cpu / 2);
    assert_near(p.step_s, 0.2 + 100e-6 + cpu / 2);
    assert_int_equal(p.bottleneck, COST_CORES);
    /* With cores to spare the path is what counts. */
    in.cores = 64;
    assert_near(predict(in).step_s, 0.1 + 100e-6 + 25.276e-3 + 52.138e-3 / 50);
}

static void overlap_hides_nothing_where_workers_keep_all_cores_busy(void **state)
{
    (void)state;
    cost_input in = SAMPLE;
    in.cores = 2;
    in.overlap = 0.9;
    cost_prediction p = predict(in);
    assert_true(p.step_s >= 0.2 + p.busy_s[COST_CORES]);
}

static void shared_memory_costs_less_than_tcp(void **state)
{
    (void)state;
    cost_input in = SAMPLE;
    in.cores = 2;
    double tcp = predict(in).busy_s[COST_CORES];
    in.transport = COST_SHARED;
    assert_near(predict(in).busy_s[COST_CORES], tcp - 4 * 200e6 * (0.1e-9 - 0.02e-9) / 2);
}

static void codecs_trade_bytes_for_work(void **state)
{
    (void)state;
    cost_input in = SAMPLE;
    in.push = (cost_codec){.ratio = 0.5, .encode_s_per_byte = 0.05e-9, .decode_s_per_byte = 0.05e-9};
    cost_prediction p = predict(in);
    assert_near(p.push_s, 10e-3);
    assert_near(p.encode_s, 2e-3 + 5e-3);
    assert_near(p.update_s, 25.276e-3 + 4 * 50e6 * 0.05e-9);
    assert_near(p.pull_s, 20e-3);
}

static void slots_and_traffic_are_those_of_the_optimizers(void **state)
{
    (void)state;
    for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_FTRL; kind++) {
        const optimizer_config config = {.kind = (optimizer_kind)kind};
        const optimizer_config plain = {.kind = OPTIMIZER_SGD};
        assert_int_equal(cost_optimizer_slots(config.kind), optimizer_slots(&config));
        cost_input in = SAMPLE;
        in.workers = 1;
        double sgd = predict(in).update_s - predict(in).message_s;
        in.optimizer = config.kind;
        double touched = optimizer_bytes_touched(&config, 1), least = optimizer_bytes_touched(&plain, 1);
        assert_near(predict(in).update_s - predict(in).message_s, sgd * touched / least);
    }
}

static void resources_have_names(void **state)
{
    (void)state;
    assert_string_equal(cost_resource_name(COST_COMPUTE), "compute");
    assert_string_equal(cost_resource_name(COST_CORES), "cores of the host");
    assert_string_equal(cost_resource_name(COST_RESOURCES), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_of_a_step_is_as_computed_by_hand),
        cmocka_unit_test(ps_that_wait_for_whole_shards_make_stages_add_up),
        cmocka_unit_test(bytes_and_memory_are_counted_for_the_fullest_ps),
        cmocka_unit_test(small_models_are_cut_as_the_partition_cuts_them),
        cmocka_unit_test(an_infinite_network_and_free_code_leave_compute_alone),
        cmocka_unit_test(a_slow_network_binds_one_ps_by_what_comes_in),
        cmocka_unit_test(one_worker_of_many_ps_is_bound_by_its_own_network),
        cmocka_unit_test(latency_binds_tiny_models),
        cmocka_unit_test(more_bandwidth_never_slows_a_step),
        cmocka_unit_test(more_workers_never_speed_a_step_up),
        cmocka_unit_test(more_ps_never_lengthen_the_wire),
        cmocka_unit_test(backward_hides_what_it_can_but_not_the_last_slices),
        cmocka_unit_test(no_thread_is_in_two_stages_at_a_time),
        cmocka_unit_test(processes_of_one_host_share_its_cores),
        cmocka_unit_test(overlap_hides_nothing_where_workers_keep_all_cores_busy),
        cmocka_unit_test(shared_memory_costs_less_than_tcp),
        cmocka_unit_test(codecs_trade_bytes_for_work),
        cmocka_unit_test(slots_and_traffic_are_those_of_the_optimizers),
        cmocka_unit_test(resources_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
