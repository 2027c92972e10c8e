/* What `penstock plan` recommends: deploy/plan_search. */
#include "deploy/plan/plan_search.h"

#include <string.h>

#include "common/partition.h"
#include "deploy/plan/cost_constants.h"
#include "tests/unit/unit.h"

/* 400 MB on 100 Gbit/s. */
static plan_request sample(void)
{
    return (plan_request){
        .job = {.model_bytes = 400e6,
                .compute_s = 0.12,
                .bandwidth = 12.5e9,
                .latency_s = 10e-6,
                .workers = 64,
                .pull = {.ratio = 1}},
        .servers_least = 1,
        .servers_most = 64,
        .search_codec = true,
    };
}

static plan_result search(const plan_request *request, const cost_constants *constants)
{
    plan_result result;
    assert_int_equal(plan_search(request, constants, &result, NULL), PS_OK);
    return result;
}

/* The step of `servers` ps with the recommended slices and codec. */
static double step_of(const plan_request *request, const plan_result *result, uint32_t servers)
{
    cost_input in = request->job;
    cost_prediction p;
    in.servers = servers;
    in.slice_bytes = result->recommended.slice_bytes;
    in.push = plan_codec_cost(result->recommended.codec, &COST_CONSTANTS_DEFAULT);
    cost_predict(&in, &COST_CONSTANTS_DEFAULT, &p);
    return p.step_s;
}

static void the_fewest_ps_near_the_best_are_recommended(void **state)
{
    (void)state;
    plan_request request = sample();
    request.slice_bytes = 1 << 20;
    request.job.compute_s = 10;
    plan_result result = search(&request, &COST_CONSTANTS_DEFAULT);
    double best = result.fastest.cost.step_s;
    assert_true(result.recommended.servers < result.fastest.servers);
    assert_true(result.recommended.cost.step_s <= best * (1 + PLAN_NEAR));
    for (uint32_t servers = 1; servers <= 64; servers++) {
        assert_true(step_of(&request, &result, servers) >= best);
        if (servers < result.recommended.servers)
            assert_true(step_of(&request, &result, servers) > best * (1 + PLAN_NEAR));
    }
}

static void one_ps_is_enough_where_compute_dominates(void **state)
{
    (void)state;
    plan_request request = sample();
    request.job.model_bytes = 1e6;
    request.job.workers = 2;
    request.job.compute_s = 10;
    plan_result result = search(&request, &COST_CONSTANTS_DEFAULT);
    assert_int_equal(result.recommended.servers, 1);
    assert_int_equal(result.recommended.codec, PLAN_FP32);
    assert_int_equal(result.recommended.cost.bottleneck, COST_COMPUTE);
    assert_true(result.recommended.slice_bytes == JOB_SLICE_BYTES_DEFAULT);
}

static void a_codec_is_recommended_only_where_the_network_is_slow(void **state)
{
    (void)state;
    plan_request request = sample();
    request.job.bandwidth = 125e6;
    request.servers_most = 16;
    plan_result result = search(&request, &COST_CONSTANTS_DEFAULT);
    assert_int_equal(result.recommended.codec, PLAN_INT8);
    assert_int_equal(result.codec_count, 3);
    assert_true(result.codecs[1].cost.step_s < result.codecs[0].cost.step_s * (1 - PLAN_CODEC_GAIN));
    assert_true(result.codecs[2].cost.step_s < result.codecs[1].cost.step_s * (1 - PLAN_CODEC_GAIN));
    request.job.bandwidth = 12.5e9;
    request.job.compute_s = 100;
    assert_int_equal(search(&request, &COST_CONSTANTS_DEFAULT).recommended.codec, PLAN_FP32);
}

static void what_is_fixed_is_not_searched(void **state)
{
    (void)state;
    plan_request request = sample();
    request.servers_least = request.servers_most = 7;
    request.slice_bytes = 123456;
    request.search_codec = false;
    request.push_codec = PLAN_FP16;
    plan_result result = search(&request, &COST_CONSTANTS_DEFAULT);
    assert_int_equal(result.row_count, 1);
    assert_int_equal(result.codec_count, 1);
    assert_int_equal(result.recommended.servers, 7);
    assert_int_equal(result.recommended.codec, PLAN_FP16);
    assert_true(result.recommended.slice_bytes == 123456);
}

static void rows_rise_and_hold_both_ends_and_the_recommendation(void **state)
{
    (void)state;
    plan_request request = sample();
    request.job.workers = JOB_WORKERS_MAX;
    for (request.servers_most = 1; request.servers_most <= JOB_SERVERS_MAX; request.servers_most *= 2) {
        plan_result result = search(&request, &COST_CONSTANTS_DEFAULT);
        bool found = false;
        for (size_t i = 0; i < result.row_count; i++) {
            found |= result.rows[i].servers == result.recommended.servers;
            assert_true(i == 0 || result.rows[i].servers > result.rows[i - 1].servers);
        }
        assert_true(found);
        assert_int_equal(result.rows[0].servers, 1);
        assert_int_equal(result.rows[result.row_count - 1].servers, request.servers_most);
    }
}

static void models_are_cut_into_no_more_slices_than_a_job_may_have(void **state)
{
    (void)state;
    plan_request request = sample();
    request.servers_most = 2;
    request.job.model_bytes = (double)PARTITION_SLICES_MAX * JOB_SLICE_BYTES_DEFAULT * 2;
    plan_result result = search(&request, &COST_CONSTANTS_DEFAULT);
    assert_true(result.recommended.slice_bytes > JOB_SLICE_BYTES_DEFAULT);
    ps_error error = {0};
    request.slice_bytes = JOB_SLICE_BYTES_DEFAULT;
    assert_int_equal(plan_search(&request, &COST_CONSTANTS_DEFAULT, &result, &error), PS_ELIMIT);
    assert_string_equal(error.text,
                        "the model would be cut into more than 4194304 slices: larger ones are needed");
}

static void codecs_are_known_by_name(void **state)
{
    (void)state;
    plan_codec codec;
    ps_error error;
    for (plan_codec c = 0; c < PLAN_CODECS; c++) {
        assert_int_equal(plan_codec_parse("push-codec", plan_codec_name(c), &codec, &error), PS_OK);
        assert_int_equal(codec, c);
    }
    assert_string_equal(plan_codec_name(PLAN_CODECS), "?");
    assert_int_equal(plan_codec_parse("push-codec", "zip", &codec, &error), PS_EINVAL);
    assert_string_equal(error.text, "--push-codec: 'zip' is none of fp32, bf16, fp16, int8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fewest_ps_near_the_best_are_recommended),
        cmocka_unit_test(one_ps_is_enough_where_compute_dominates),
        cmocka_unit_test(a_codec_is_recommended_only_where_the_network_is_slow),
        cmocka_unit_test(what_is_fixed_is_not_searched),
        cmocka_unit_test(rows_rise_and_hold_both_ends_and_the_recommendation),
        cmocka_unit_test(models_are_cut_into_no_more_slices_than_a_job_may_have),
        cmocka_unit_test(codecs_are_known_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
