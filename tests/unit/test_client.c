/* The public client, worker/client, as it trains: alone, and against real servers on loopback. What it
 * refuses and what fails: test_client_failures.c. */
#include "worker/client.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/client_scene.h"

/* ---- the example of client.h ---- */

/* Half the squared distance to (1, -2): the gradient leads there. */
static void compute_gradient(const float *weights, float *gradient)
{
    gradient[0] = weights[0] - 1;
    gradient[1] = weights[1] + 2;
}

static const uint64_t steps = 500;

static void example_of_the_header_trains_alone(void **state)
{
    (void)state;
    /* clang-format off */
#include "client_example.inc"
    /* clang-format on */
    assert_null(client);
    assert_int_equal(result.step, steps);
    assert_int_equal(result.examples_total, 8 * steps);
    /* 0.99^500 of the way is left. */
    assert_true(line_weights[0] > 0.99f && line_weights[0] < 1);
    assert_true(line_weights[1] < -1.98f && line_weights[1] > -2);
}

/* ---- training ---- */

enum { SERVERS_MAX = 2 };

/* One worker of several; runs on a thread of its own, so it asserts nothing. */
typedef struct {
    pthread_t thread;
    ps_client *client;
    float target;
    uint32_t examples, steps;
    bool in_pieces;
    float weights[ELEMENTS], bias[1];
    ps_status status;
    ps_error error;
    ps_result result;
} trainer;

static _Thread_local float gradient[ELEMENTS], bias_gradient[1];

static void compute_weights_gradient(const trainer *t)
{
    for (int i = 0; i < ELEMENTS; i++)
        gradient[i] = t->weights[i] - t->target - (float)i;
}

/* Backward from the last tensor to the first, then forward. What is not ready yet is NaN. */
static ps_status step_in_pieces(trainer *t, const ps_update *update, float *const *weights, ps_ticket *ticket)
{
    for (int i = 0; i < ELEMENTS; i++)
        gradient[i] = NAN;
    bias_gradient[0] = NAN;
    ps_status status = ps_begin(t->client, update, weights, ticket, &t->error);
    bias_gradient[0] = t->bias[0] - t->target;
    if (status == PS_OK)
        status = ps_ready(t->client, *ticket, 1, 1, &t->error);
    compute_weights_gradient(t);
    if (status == PS_OK)
        status = ps_ready(t->client, *ticket, 0, 1, &t->error);
    for (uint32_t i = 0; i < 2 && status == PS_OK; i++)
        status = ps_wait_weights(t->client, *ticket, i, 1, LOOPBACK_PATIENCE_MS, &t->error);
    return status;
}

static ps_status whole_step(trainer *t, const ps_update *update, float *const *weights, ps_ticket *ticket)
{
    compute_weights_gradient(t);
    bias_gradient[0] = t->bias[0] - t->target;
    return ps_push_pull(t->client, update, weights, ticket, &t->error);
}

static void *train(void *argument)
{
    trainer *t = argument;
    float *weights[] = {t->weights, t->bias};
    const float *gradients[] = {gradient, bias_gradient};
    ps_ticket ticket;
    t->status = ps_join(t->client, LOOPBACK_PATIENCE_MS, &t->error);
    if (t->status == PS_OK)
        t->status = ps_pull(t->client, 0, weights, &ticket, &t->error);
    if (t->status == PS_OK)
        t->status = ps_wait(t->client, ticket, LOOPBACK_PATIENCE_MS, &t->result, &t->error);
    for (uint64_t step = 1; step <= t->steps && t->status == PS_OK; step++) {
        ps_update update = {.step = step, .examples = t->examples, .gradients = gradients};
        t->status = t->in_pieces ? step_in_pieces(t, &update, weights, &ticket)
                                 : whole_step(t, &update, weights, &ticket);
        if (t->status == PS_OK)
            t->status = ps_wait(t->client, ticket, LOOPBACK_PATIENCE_MS, &t->result, &t->error);
    }
    if (t->status == PS_OK)
        t->status = ps_finish(t->client, LOOPBACK_PATIENCE_MS, &t->error);
    ps_close(&t->client);
    return NULL;
}

/* What the shard computes, in its order of operations. */
static float expected_weight(float offset, const trainer *workers, uint32_t count, float rate,
                             uint32_t of_steps)
{
    uint32_t examples = 0;
    for (uint32_t k = 0; k < count; k++)
        examples += workers[k].examples;
    float w = 0;
    for (uint32_t step = 0; step < of_steps; step++) {
        float g = 0;
        for (uint32_t k = 0; k < count; k++) {
            float share = (float)((double)workers[k].examples / (double)examples);
            float part = (w - workers[k].target - offset) * share;
            g = k ? g + part : part;
        }
        w = w - rate * g;
    }
    return w;
}

static void two_synchronous_workers_and_two_ps_give_the_right_weights(void **state)
{
    (void)state;
    enum { WORKERS = 2, STEPS = 20 };
    static trainer workers[WORKERS];
    test_server servers[SERVERS_MAX];
    cluster_task tasks[SERVERS_MAX];
    for (uint32_t i = 0; i < SERVERS_MAX; i++)
        client_scene_start(&servers[i], i, &tasks[i]);
    for (uint32_t k = 0; k < WORKERS; k++) {
        cluster_spec cluster = client_scene_cluster(tasks, SERVERS_MAX, WORKERS, k);
        workers[k] = (trainer){.client = client_scene_connect(&cluster, 0.25, NULL),
                               .target = k ? 3.5f : -1.25f,
                               .examples = 10 + 20 * k,
                               .steps = STEPS,
                               .in_pieces = k == 1};
        assert_int_equal(pthread_create(&workers[k].thread, NULL, train, &workers[k]), 0);
    }
    for (uint32_t k = 0; k < WORKERS; k++) {
        pthread_join(workers[k].thread, NULL);
        if (workers[k].status != PS_OK)
            fail_msg("worker %u: %s", k, workers[k].error.text);
        assert_int_equal(workers[k].result.step, STEPS);
        assert_int_equal(workers[k].result.examples_total, 40 * STEPS);
    }
    for (uint32_t i = 0; i < SERVERS_MAX; i++)
        assert_int_equal(client_scene_end(&servers[i]), PS_OK);
    for (int i = 0; i < ELEMENTS; i++) {
        float expected = expected_weight((float)i, workers, WORKERS, 0.25f, STEPS);
        for (uint32_t k = 0; k < WORKERS; k++)
            assert_true(workers[k].weights[i] == expected);
    }
    assert_true(workers[0].bias[0] == expected_weight(0, workers, WORKERS, 0.25f, STEPS));
}

static void training_alone_gives_the_bits_of_a_cluster(void **state)
{
    (void)state;
    enum { STEPS = 7 };
    static trainer alone, clustered;
    const cluster_spec none = {0};
    alone = (trainer){
        .client = client_scene_connect(&none, 0.3, NULL), .target = 2, .examples = 5, .steps = STEPS};
    train(&alone);
    assert_int_equal(alone.status, PS_OK);
    test_server server;
    cluster_task task;
    client_scene_start(&server, 0, &task);
    const cluster_spec cluster = client_scene_cluster(&task, 1, 1, 0);
    clustered = (trainer){
        .client = client_scene_connect(&cluster, 0.3, NULL), .target = 2, .examples = 5, .steps = STEPS};
    train(&clustered);
    assert_int_equal(clustered.status, PS_OK);
    assert_int_equal(client_scene_end(&server), PS_OK);
    assert_memory_equal(alone.weights, clustered.weights, sizeof alone.weights);
}

/* ---- steps in pieces ---- */

static ps_client *connect_clipping(const cluster_spec *cluster)
{
    ps_client_options options;
    ps_client_options_init(&options);
    options.job.schedule.learning_rate = 0.3;
    options.job.optimizer.clip_norm = 1.5;
    return client_scene_connect_with(cluster, &options);
}

static void clipped_gradient_in_pieces_gives_the_bits_of_a_whole_one(void **state)
{
    (void)state;
    enum { STEPS = 5 };
    static trainer whole, pieces;
    const cluster_spec none = {0};
    whole = (trainer){.client = connect_clipping(&none), .target = 2, .examples = 5, .steps = STEPS};
    train(&whole);
    pieces = (trainer){
        .client = connect_clipping(&none), .target = 2, .examples = 5, .steps = STEPS, .in_pieces = true};
    train(&pieces);
    assert_int_equal(whole.status, PS_OK);
    assert_int_equal(pieces.status, PS_OK);
    assert_memory_equal(whole.weights, pieces.weights, sizeof whole.weights);
    assert_true(whole.bias[0] == pieces.bias[0]);
}

static void gradient_in_pieces_that_is_not_finite_is_left_out_as_a_whole(void **state)
{
    (void)state;
    const cluster_spec none = {0};
    ps_client *client = client_scene_connect(&none, 1, NULL);
    static float values[ELEMENTS], bad[1];
    static float received[ELEMENTS], received_bias[1];
    float *weights[] = {received, received_bias};
    values[0] = 1;
    bad[0] = NAN;
    const float *gradients[] = {values, bad};
    const ps_update update = {.step = 1, .examples = 1, .gradients = gradients};
    ps_ticket ticket;
    ps_result result;
    assert_int_equal(ps_join(client, 1000, NULL), PS_OK);
    assert_int_equal(ps_begin(client, &update, weights, &ticket, NULL), PS_OK);
    assert_int_equal(ps_ready(client, ticket, 0, 1, NULL), PS_OK); /* most of it leaves in good faith */
    assert_int_equal(ps_ready(client, ticket, 1, 1, NULL), PS_OK);
    assert_int_equal(ps_wait(client, ticket, 1000, &result, NULL), PS_OK);
    assert_true(result.nonfinite);
    assert_true(received[0] == 0 && received_bias[0] == 0);
    ps_close(&client);
}

static void steps_in_pieces_out_of_order_are_refused(void **state)
{
    (void)state;
    const cluster_spec none = {0};
    ps_client *client = client_scene_connect(&none, 1, NULL);
    static float values[ELEMENTS], bias[1];
    float *weights[] = {values, bias};
    const float *gradients[] = {values, bias};
    ps_update update = {.step = 1, .examples = 1, .gradients = gradients};
    ps_ticket ticket, other;
    ps_error error;
    client_scene_expect(ps_begin(client, &update, weights, &ticket, &error), PS_ESTATE, &error,
                        "ps_join has not succeeded yet");
    assert_int_equal(ps_join(client, 1000, NULL), PS_OK);
    assert_int_equal(ps_begin(client, &update, weights, &ticket, NULL), PS_OK);
    client_scene_expect(ps_push(client, &update, &other, &error), PS_ESTATE, &error,
                        "the gradient of the push before is not complete yet");
    client_scene_expect(ps_ready(client, ticket, 1, 2, &error), PS_EINVAL, &error,
                        "of 2 tensors from number 1 on not all are awaited");
    client_scene_expect(ps_ready(client, ticket + 1, 0, 1, &error), PS_EINVAL, &error,
                        "ticket 1 names no push whose gradient is still coming");
    assert_int_equal(ps_ready(client, ticket, 1, 1, NULL), PS_OK);
    client_scene_expect(ps_wait_weights(client, ticket, 0, 1, PS_FOREVER, &error), PS_ESTATE, &error,
                        "1 tensors of the gradient of ticket 0 are not ready yet");
    client_scene_expect(ps_wait(client, ticket, PS_FOREVER, NULL, &error), PS_ESTATE, &error,
                        "1 tensors of the gradient of ticket 0 are not ready yet");
    assert_int_equal(ps_ready(client, ticket, 0, 1, NULL), PS_OK);
    client_scene_expect(ps_ready(client, ticket, 0, 1, &error), PS_EINVAL, &error,
                        "ticket 0 names no push whose gradient is still coming");
    client_scene_expect(ps_wait_weights(client, ticket, 2, 1, PS_FOREVER, &error), PS_EINVAL, &error,
                        "ticket 0 brings no weights of 1 tensors from number 2 on");
    assert_int_equal(ps_wait(client, ticket, 1000, NULL, NULL), PS_OK);
    client_scene_expect(ps_wait_weights(client, ticket, 0, 1, PS_FOREVER, &error), PS_EINVAL, &error,
                        "ticket 0 names no outstanding request");
    ps_close(&client);
}

static void step_in_pieces_without_examples_is_a_whole_one(void **state)
{
    (void)state;
    const cluster_spec none = {0};
    ps_client *client = client_scene_connect(&none, 1, NULL);
    static float values[ELEMENTS], bias[1];
    float *weights[] = {values, bias};
    const ps_update update = {.step = 1};
    ps_ticket ticket;
    ps_result result;
    assert_int_equal(ps_join(client, 1000, NULL), PS_OK);
    assert_int_equal(ps_begin(client, &update, weights, &ticket, NULL), PS_OK);
    assert_int_equal(ps_wait(client, ticket, 1000, &result, NULL), PS_OK);
    assert_int_equal(result.step, 1);
    ps_close(&client);
}

/* ---- counters ---- */

/* Else a ps would take it for one that has too much on its way, and cut it off. */
static void no_message_is_longer_than_ps_take_whatever_is_wished(void **state)
{
    (void)state;
    enum { MIB = 1 << 20, TENSOR_MIB = 9 };
    const cluster_spec alone = {.present = false};
    static const uint64_t wishes[] = {0, 64 * MIB, UINT64_MAX};
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        ps_client_options options;
        ps_client *client;
        ps_ticket ticket;
        ps_result result;
        ps_counters before, after;
        ps_client_options_init(&options);
        options.message_bytes_max = wishes[i];
        assert_int_equal(ps_connect(&alone, &options, &client, NULL), PS_OK);
        ps_client_options_fini(&options);
        assert_int_equal(client_scene_declare(client, "w", TENSOR_MIB * MIB / sizeof(float), NULL), PS_OK);
        assert_int_equal(ps_join(client, PS_FOREVER, NULL), PS_OK);
        float *weights[] = {ps_allocate(client, TENSOR_MIB * MIB)};
        assert_non_null(weights[0]);
        ps_count(client, &before);
        assert_int_equal(ps_pull(client, 0, weights, &ticket, NULL), PS_OK);
        assert_int_equal(ps_wait(client, ticket, PS_FOREVER, &result, NULL), PS_OK);
        ps_count(client, &after);
        assert_int_equal(after.requests - before.requests, 3); /* of 4, 4 and 1 MiB */
        ps_close(&client);
    }
}

static void each_step_copies_its_weights_once_and_its_gradient_never(void **state)
{
    (void)state;
    const cluster_spec none = {0};
    enum { STEPS = 3, BYTES = (ELEMENTS + 1) * sizeof(float) };
    ps_client *client = client_scene_connect(&none, 1, NULL);
    static float values[ELEMENTS], bias[1];
    float *weights[] = {values, bias};
    const float *gradients[] = {gradient, bias_gradient};
    ps_counters counters;
    ps_count(client, &counters);
    assert_int_equal(counters.requests, 0);
    assert_int_equal(ps_join(client, 1000, NULL), PS_OK);
    assert_true(ps_hidden_share(&counters) == 0);
    for (uint64_t step = 1; step <= STEPS; step++) {
        const ps_update update = {.step = step, .examples = 1, .gradients = gradients};
        ps_ticket ticket;
        assert_int_equal(ps_push_pull(client, &update, weights, &ticket, NULL), PS_OK);
        assert_int_equal(ps_wait(client, ticket, 1000, NULL, NULL), PS_OK);
        ps_count(client, &counters);
        assert_int_equal(counters.bytes_pushed, step * BYTES);
        assert_int_equal(counters.bytes_pulled, step * BYTES);
        assert_int_equal(counters.bytes_copied,
                         step * BYTES);                /* the weights; nothing is left for gradients */
        assert_int_equal(counters.requests, 2 * step); /* 12 KB in messages of up to 8 KiB */
        assert_int_equal(counters.resent, 0);
    }
    assert_true(counters.communication_seconds > 0);
    assert_true(counters.blocked_seconds <= counters.communication_seconds);
    assert_true(ps_hidden_share(&counters) >= 0 && ps_hidden_share(&counters) < 1);
    ps_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(example_of_the_header_trains_alone),
        cmocka_unit_test(two_synchronous_workers_and_two_ps_give_the_right_weights),
        cmocka_unit_test(training_alone_gives_the_bits_of_a_cluster),
        cmocka_unit_test(clipped_gradient_in_pieces_gives_the_bits_of_a_whole_one),
        cmocka_unit_test(gradient_in_pieces_that_is_not_finite_is_left_out_as_a_whole),
        cmocka_unit_test(steps_in_pieces_out_of_order_are_refused),
        cmocka_unit_test(step_in_pieces_without_examples_is_a_whole_one),
        cmocka_unit_test(no_message_is_longer_than_ps_take_whatever_is_wished),
        cmocka_unit_test(each_step_copies_its_weights_once_and_its_gradient_never),
    };
    return cmocka_run_group_tests(tests, client_scene_prepare, NULL);
}
