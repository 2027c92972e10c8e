/* The public client, worker/client: alone, and against real servers on loopback. */
#include "worker/client.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/transport.h"
#include "ps/server.h"
#include "tests/unit/loopback.h"

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

/* ---- servers and clusters ---- */

enum { SERVERS_MAX = 2 };

typedef struct {
    pthread_t thread;
    server_config config;
    ps_status status;
    ps_error error;
} test_server;

/* Set by a signal on the server's own thread, as in the daemon. */
static _Thread_local volatile sig_atomic_t server_stop;

static void request_stop(int signal_number)
{
    (void)signal_number;
    server_stop = 1;
}

static void *run_server(void *argument)
{
    test_server *s = argument;
    s->config.stop = &server_stop;
    s->status = server_run(&s->config, &s->error);
    return NULL;
}

/* Listens at once, so that a client need not wait for the thread. */
static void start_server(test_server *s, uint32_t index, cluster_task *task)
{
    *s = (test_server){.config = {.shard = {.index = index, .incarnation = 1}}};
    *task = (cluster_task){.index = index, .host = "127.0.0.1"};
    s->config.listen_fd = loopback_listen(&task->port);
    s->config.io_threads = 1;
    s->config.port = task->port;
    assert_int_equal(pthread_create(&s->thread, NULL, run_server, s), 0);
}

static ps_status end_server(test_server *s)
{
    pthread_join(s->thread, NULL);
    return s->status;
}

static ps_status interrupt_server(test_server *s)
{
    pthread_kill(s->thread, SIGUSR1);
    return end_server(s);
}

static cluster_spec make_cluster(cluster_task *servers, uint32_t server_count, uint32_t workers,
                                 uint32_t rank)
{
    static cluster_task worker_tasks[8];
    cluster_spec cluster = {.present = true, .role = ROLE_WORKER, .index = rank, .rank = rank};
    cluster.jobs[ROLE_PS] = (cluster_job){.tasks = servers, .count = server_count, .dense = true};
    cluster.jobs[ROLE_WORKER] = (cluster_job){.tasks = worker_tasks, .count = workers, .dense = true};
    return cluster;
}

/* ---- clients ---- */

enum { ELEMENTS = 3000 }; /* in slices of 4 KiB: three */

static ps_status declare(ps_client *client, const char *name, uint64_t elements, ps_error *error)
{
    tensor t = {.rank = 1, .shape = {elements}};
    snprintf(t.name, sizeof t.name, "%s", name);
    return ps_declare(client, &t, error);
}

/* Takes the options. */
static ps_client *connect_with(const cluster_spec *cluster, ps_client_options *options)
{
    options->job.slice_bytes = JOB_SLICE_BYTES_MIN;
    options->query_first_ms = 50;
    options->message_bytes_min = JOB_SLICE_BYTES_MIN - 100; /* a slice of "w" is worth a message */
    options->message_bytes_max = 2 * JOB_SLICE_BYTES_MIN;
    ps_client *client;
    ps_error error = {PS_OK, ""};
    if (ps_connect(cluster, options, &client, &error) != PS_OK)
        fail_msg("%s", error.text);
    ps_client_options_fini(options);
    assert_int_equal(declare(client, "w", ELEMENTS, NULL), PS_OK);
    assert_int_equal(declare(client, "bias", 1, NULL), PS_OK);
    return client;
}

static ps_client *connect_client(const cluster_spec *cluster, double rate, const volatile sig_atomic_t *stop)
{
    ps_client_options options;
    ps_client_options_init(&options);
    options.job.schedule.learning_rate = rate;
    options.stop = stop;
    return connect_with(cluster, &options);
}

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
        start_server(&servers[i], i, &tasks[i]);
    for (uint32_t k = 0; k < WORKERS; k++) {
        cluster_spec cluster = make_cluster(tasks, SERVERS_MAX, WORKERS, k);
        workers[k] = (trainer){.client = connect_client(&cluster, 0.25, NULL),
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
        assert_int_equal(end_server(&servers[i]), PS_OK);
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
    alone = (trainer){.client = connect_client(&none, 0.3, NULL), .target = 2, .examples = 5, .steps = STEPS};
    train(&alone);
    assert_int_equal(alone.status, PS_OK);
    test_server server;
    cluster_task task;
    start_server(&server, 0, &task);
    const cluster_spec cluster = make_cluster(&task, 1, 1, 0);
    clustered =
        (trainer){.client = connect_client(&cluster, 0.3, NULL), .target = 2, .examples = 5, .steps = STEPS};
    train(&clustered);
    assert_int_equal(clustered.status, PS_OK);
    assert_int_equal(end_server(&server), PS_OK);
    assert_memory_equal(alone.weights, clustered.weights, sizeof alone.weights);
}

/* ---- steps in pieces ---- */

static void assert_says(ps_status status, ps_status expected, const ps_error *error, const char *text)
{
    assert_int_equal(status, expected);
    assert_string_equal(error->text, text);
}

static ps_client *connect_clipping(const cluster_spec *cluster)
{
    ps_client_options options;
    ps_client_options_init(&options);
    options.job.schedule.learning_rate = 0.3;
    options.job.optimizer.clip_norm = 1.5;
    return connect_with(cluster, &options);
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
    ps_client *client = connect_client(&none, 1, NULL);
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
    ps_client *client = connect_client(&none, 1, NULL);
    static float values[ELEMENTS], bias[1];
    float *weights[] = {values, bias};
    const float *gradients[] = {values, bias};
    ps_update update = {.step = 1, .examples = 1, .gradients = gradients};
    ps_ticket ticket, other;
    ps_error error;
    assert_says(ps_begin(client, &update, weights, &ticket, &error), PS_ESTATE, &error,
                "ps_join has not succeeded yet");
    assert_int_equal(ps_join(client, 1000, NULL), PS_OK);
    assert_int_equal(ps_begin(client, &update, weights, &ticket, NULL), PS_OK);
    assert_says(ps_push(client, &update, &other, &error), PS_ESTATE, &error,
                "the gradient of the push before is not complete yet");
    assert_says(ps_ready(client, ticket, 1, 2, &error), PS_EINVAL, &error,
                "of 2 tensors from number 1 on not all are awaited");
    assert_says(ps_ready(client, ticket + 1, 0, 1, &error), PS_EINVAL, &error,
                "ticket 1 names no push whose gradient is still coming");
    assert_int_equal(ps_ready(client, ticket, 1, 1, NULL), PS_OK);
    assert_says(ps_wait_weights(client, ticket, 0, 1, PS_FOREVER, &error), PS_ESTATE, &error,
                "1 tensors of the gradient of ticket 0 are not ready yet");
    assert_says(ps_wait(client, ticket, PS_FOREVER, NULL, &error), PS_ESTATE, &error,
                "1 tensors of the gradient of ticket 0 are not ready yet");
    assert_int_equal(ps_ready(client, ticket, 0, 1, NULL), PS_OK);
    assert_says(ps_ready(client, ticket, 0, 1, &error), PS_EINVAL, &error,
                "ticket 0 names no push whose gradient is still coming");
    assert_says(ps_wait_weights(client, ticket, 2, 1, PS_FOREVER, &error), PS_EINVAL, &error,
                "ticket 0 brings no weights of 1 tensors from number 2 on");
    assert_int_equal(ps_wait(client, ticket, 1000, NULL, NULL), PS_OK);
    assert_says(ps_wait_weights(client, ticket, 0, 1, PS_FOREVER, &error), PS_EINVAL, &error,
                "ticket 0 names no outstanding request");
    ps_close(&client);
}

static void step_in_pieces_without_examples_is_a_whole_one(void **state)
{
    (void)state;
    const cluster_spec none = {0};
    ps_client *client = connect_client(&none, 1, NULL);
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

static void each_step_copies_its_weights_once_and_its_gradient_never(void **state)
{
    (void)state;
    const cluster_spec none = {0};
    enum { STEPS = 3, BYTES = (ELEMENTS + 1) * sizeof(float) };
    ps_client *client = connect_client(&none, 1, NULL);
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

/* ---- misuse ---- */

static void calls_out_of_order_are_refused(void **state)
{
    (void)state;
    const cluster_spec none = {0};
    ps_client *client = connect_client(&none, 1, NULL);
    static float values[ELEMENTS], bias[1];
    float *weights[] = {values, bias};
    const float *gradients[] = {values, bias};
    ps_update update = {.step = 1, .examples = 1, .gradients = gradients};
    ps_ticket ticket;
    ps_error error;
    static const char not_joined[] = "ps_join has not succeeded yet";
    assert_says(ps_push(client, &update, &ticket, &error), PS_ESTATE, &error, not_joined);
    assert_says(ps_pull(client, 0, weights, &ticket, &error), PS_ESTATE, &error, not_joined);
    assert_says(ps_wait(client, 0, 0, NULL, &error), PS_ESTATE, &error, not_joined);
    assert_says(ps_finish(client, 0, &error), PS_ESTATE, &error, not_joined);
    ps_progress(client);
    assert_int_equal(ps_join(client, 1000, NULL), PS_OK);
    assert_says(declare(client, "late", 1, &error), PS_ESTATE, &error,
                "tensor 'late' is declared after ps_join");
    assert_says(ps_join(client, 1000, &error), PS_ESTATE, &error, "ps_join was called before");
    assert_says(ps_wait(client, 0, 0, NULL, &error), PS_EINVAL, &error,
                "ticket 0 names no outstanding request");
    assert_says(ps_wait(client, UINT32_MAX, 0, NULL, &error), PS_EINVAL, &error,
                "ticket 4294967295 names no outstanding request");
    static const char bad_push[] = "a push needs a step from 1 on, and gradients if it has examples";
    update.step = 0;
    assert_says(ps_push(client, &update, &ticket, &error), PS_EINVAL, &error, bad_push);
    update = (ps_update){.step = 1, .examples = 1};
    assert_says(ps_push(client, &update, &ticket, &error), PS_EINVAL, &error, bad_push);
    ps_close(&client);
    ps_close(&client);
}

static void job_without_tensors_is_not_joined(void **state)
{
    (void)state;
    const cluster_spec none = {0};
    ps_client_options options;
    ps_client_options_init(&options);
    ps_client *client;
    ps_error error;
    assert_int_equal(ps_connect(&none, &options, &client, NULL), PS_OK);
    assert_says(ps_join(client, 1000, &error), PS_ECONFIG, &error,
                "the job has no tensors: declare the model before joining");
    assert_int_equal(declare(client, "w", 1, NULL), PS_OK); /* it may still be mended */
    assert_int_equal(ps_join(client, 1000, NULL), PS_OK);
    ps_close(&client);
    ps_client_options_fini(&options);
}

static void numbers_that_nobody_knows_are_asked_for(void **state)
{
    (void)state;
    cluster_task task = {.host = "127.0.0.1", .port = loopback_unused_port()};
    cluster_spec cluster = make_cluster(&task, 1, 0, 3);
    cluster.sparse = true;
    ps_client_options options;
    ps_client_options_init(&options);
    ps_client *client;
    ps_error error;
    assert_says(ps_connect(&cluster, &options, &client, &error), PS_ECONFIG, &error,
                "the cluster spec does not tell the number of workers; state it in the options");
    assert_null(client);
    options.job.workers = 3;
    assert_says(ps_connect(&cluster, &options, &client, &error), PS_ECONFIG, &error,
                "this is the worker of rank 3, but the job has 3 workers");
    ps_client_options_fini(&options);
}

static void gradient_that_is_not_finite_is_reported_to_its_worker(void **state)
{
    (void)state;
    const cluster_spec none = {0};
    ps_client *client = connect_client(&none, 1, NULL);
    static float values[ELEMENTS], bad[1];
    static float received[ELEMENTS], received_bias[1];
    float *weights[] = {received, received_bias};
    bad[0] = INFINITY;
    const float *gradients[] = {values, bad};
    const ps_update update = {.step = 1, .examples = 1, .gradients = gradients};
    ps_ticket ticket;
    ps_result result;
    assert_int_equal(ps_join(client, 1000, NULL), PS_OK);
    assert_int_equal(ps_push_pull(client, &update, weights, &ticket, NULL), PS_OK);
    assert_int_equal(ps_wait(client, ticket, 1000, &result, NULL), PS_OK);
    assert_true(result.nonfinite);
    assert_int_equal(result.step, 1);
    assert_true(received_bias[0] == 0);
    ps_close(&client);
}

static void outstanding_requests_have_a_limit(void **state)
{
    (void)state;
    const cluster_spec none = {0};
    ps_client *client = connect_client(&none, 1, NULL);
    static float values[ELEMENTS], bias[1];
    float *weights[] = {values, bias};
    ps_ticket ticket;
    ps_error error;
    assert_int_equal(ps_join(client, 1000, NULL), PS_OK);
    for (int i = 0; i < 64; i++)
        assert_int_equal(ps_pull(client, 1, weights, &ticket, NULL), PS_OK);
    assert_says(ps_pull(client, 1, weights, &ticket, &error), PS_ELIMIT, &error, "PULL: a limit is exceeded");
    ps_close(&client);
}

/* ---- peers that fail ---- */

static void joining_where_nobody_listens_times_out_and_names_the_ps(void **state)
{
    (void)state;
    test_server server;
    cluster_task tasks[2];
    start_server(&server, 0, &tasks[0]);
    tasks[1] = (cluster_task){.index = 1, .host = "127.0.0.1", .port = loopback_unused_port()};
    const cluster_spec cluster = make_cluster(tasks, 2, 1, 0);
    ps_client *client = connect_client(&cluster, 1, NULL);
    char expected[128];
    ps_error error;
    /* Until ps/0 has answered it may be the one that is named. */
    do {
        assert_int_equal(ps_join(client, 100, &error), PS_ETIMEDOUT);
    } while (strncmp(error.text, "ps/0", 4) == 0);
    snprintf(expected, sizeof expected, "ps/1 at 127.0.0.1:%u: no answer within 100 ms", tasks[1].port);
    assert_string_equal(error.text, expected);
    ps_close(&client);
    assert_int_equal(interrupt_server(&server), PS_EINTERRUPTED);
}

static void joining_says_that_a_name_does_not_resolve(void **state)
{
    (void)state;
    cluster_task task = {.port = 2222};
    memset(task.host, 'n', 70); /* too long a label for any name server */
    const cluster_spec cluster = make_cluster(&task, 1, 1, 0);
    ps_client *client = connect_client(&cluster, 1, NULL);
    ps_error error;
    assert_int_equal(ps_join(client, 1, &error), PS_ETIMEDOUT);
    assert_non_null(strstr(error.text, "nnn:2222, a name that does not resolve yet: no answer within 1 ms"));
    ps_close(&client);
}

static void stop_flag_interrupts_waiting(void **state)
{
    (void)state;
    static volatile sig_atomic_t stop;
    cluster_task task = {.host = "127.0.0.1", .port = loopback_unused_port()};
    const cluster_spec cluster = make_cluster(&task, 1, 1, 0);
    ps_client *client = connect_client(&cluster, 1, &stop);
    ps_error error;
    stop = 1;
    assert_says(ps_join(client, PS_FOREVER, &error), PS_EINTERRUPTED, &error, "interrupted by a signal");
    ps_close(&client);

    const cluster_spec none = {0};
    static float values[ELEMENTS], bias[1];
    float *weights[] = {values, bias};
    ps_ticket ticket;
    stop = 0;
    client = connect_client(&none, 1, &stop);
    assert_int_equal(ps_join(client, 1000, NULL), PS_OK);
    assert_int_equal(ps_pull(client, 1, weights, &ticket, NULL), PS_OK); /* of a step that never comes */
    assert_says(ps_wait(client, ticket, 1, NULL, &error), PS_ETIMEDOUT, &error, "no answer within 1 ms");
    stop = 1;
    assert_says(ps_wait(client, ticket, PS_FOREVER, NULL, &error), PS_EINTERRUPTED, &error,
                "interrupted by a signal");
    ps_close(&client);
}

static void worker_with_another_job_is_told_what_differs(void **state)
{
    (void)state;
    test_server server;
    cluster_task task;
    start_server(&server, 0, &task);
    const cluster_spec first = make_cluster(&task, 1, 2, 0), second = make_cluster(&task, 1, 2, 1);
    ps_client *right = connect_client(&first, 0.5, NULL), *wrong = connect_client(&second, 0.25, NULL);
    ps_error error;
    assert_int_equal(ps_join(right, LOOPBACK_PATIENCE_MS, NULL), PS_OK);
    assert_says(ps_join(wrong, LOOPBACK_PATIENCE_MS, &error), PS_EMISMATCH, &error,
                "ps/0: schedule.learning_rate is 0.25 here, but 0.5 in the job");
    ps_close(&wrong);
    ps_close(&right);
    assert_int_equal(interrupt_server(&server), PS_EINTERRUPTED);
}

static void who_is_older_does_not_take_the_place_of_a_newer_one(void **state)
{
    (void)state;
    test_server server;
    cluster_task task;
    start_server(&server, 0, &task);
    const cluster_spec cluster = make_cluster(&task, 1, 1, 0);
    ps_client *newer = connect_client(&cluster, 1, NULL);
    ps_client_options options;
    ps_client_options_init(&options);
    options.job.schedule.learning_rate = 1;
    options.incarnation = 1;
    ps_client *older = connect_with(&cluster, &options);
    ps_error error;
    assert_int_equal(ps_join(newer, LOOPBACK_PATIENCE_MS, NULL), PS_OK);
    assert_says(ps_join(older, LOOPBACK_PATIENCE_MS, &error), PS_EPEER, &error,
                "ps/0: worker 0 has been replaced by a newer process under the same index");
    ps_close(&older);
    ps_close(&newer);
    assert_int_equal(interrupt_server(&server), PS_EINTERRUPTED);
}

static void finishing_with_a_ps_that_is_gone_times_out(void **state)
{
    (void)state;
    test_server server;
    cluster_task task;
    start_server(&server, 0, &task);
    const cluster_spec cluster = make_cluster(&task, 1, 1, 0);
    ps_client *client = connect_client(&cluster, 1, NULL);
    ps_error error;
    assert_int_equal(ps_join(client, LOOPBACK_PATIENCE_MS, NULL), PS_OK);
    assert_int_equal(interrupt_server(&server), PS_EINTERRUPTED);
    assert_says(ps_finish(client, 20, &error), PS_ETIMEDOUT, &error, "no answer within 20 ms");
    ps_close(&client);
}

/* ---- the server's own failures ---- */

static void server_answers_what_it_cannot_read_under_its_own_index(void **state)
{
    (void)state;
    test_server server;
    cluster_task task;
    start_server(&server, 3, &task);
    transport *t;
    transport_socket *s;
    assert_int_equal(transport_create(1, &t, NULL), PS_OK);
    assert_int_equal(transport_connect(t, task.host, task.port, &s, NULL), PS_OK);
    wire_message *m = wire_create(WIRE_PUSH, 0); /* of step 0 */
    m->role = WIRE_WORKER;
    m->clip_factor = 1;
    while (transport_send(s, NULL, &m) == PS_ESTATE)
        transport_poll(&s, 1, 5);
    while (transport_receive(s, NULL, &m, NULL) == TRANSPORT_NOTHING)
        transport_poll(&s, 1, 100);
    assert_int_equal(m->type, WIRE_ERROR);
    assert_int_equal(m->role, WIRE_PS);
    assert_int_equal(m->index, 3);
    assert_int_equal(m->status, PS_EPROTOCOL);
    assert_string_equal(m->text, "PUSH: steps count from 1");
    wire_destroy(&m);
    transport_close(&s, 0);
    transport_destroy(&t);
    assert_int_equal(interrupt_server(&server), PS_EINTERRUPTED);
}

static void server_that_gave_up_says_so_to_a_worker_that_pushes_later(void **state)
{
    (void)state;
    static float values[ELEMENTS], bias[1];
    const float *gradients[] = {values, bias};
    const ps_update update = {.step = 1, .examples = 1, .gradients = gradients};
    test_server server;
    cluster_task task;
    start_server(&server, 0, &task);
    ps_client *clients[2];
    for (uint32_t i = 0; i < 2; i++) {
        const cluster_spec cluster = make_cluster(&task, 1, 2, i);
        ps_client_options options;
        ps_client_options_init(&options);
        options.job.guard = GUARD_STOP;
        clients[i] = connect_with(&cluster, &options);
        assert_int_equal(ps_join(clients[i], LOOPBACK_PATIENCE_MS, NULL), PS_OK);
    }
    for (uint32_t i = 0; i < 2; i++) {
        ps_ticket ticket;
        ps_error error;
        values[0] = i == 0 ? NAN : 0;
        assert_int_equal(ps_push(clients[i], &update, &ticket, NULL), PS_OK);
        assert_says(ps_wait(clients[i], ticket, LOOPBACK_PATIENCE_MS, NULL, &error), PS_ENONFINITE, &error,
                    "ps/0: the gradient of worker 0 for step 1 holds NaN or Inf");
    }
    ps_close(&clients[0]);
    ps_close(&clients[1]);
    assert_int_equal(end_server(&server), PS_ENONFINITE);
}

static void server_waits_for_its_name_until_it_is_stopped(void **state)
{
    (void)state;
    char name[71];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    test_server server = {.config = {.host = name, .port = 2222, .listen_fd = -1, .io_threads = 1}};
    assert_int_equal(pthread_create(&server.thread, NULL, run_server, &server), 0);
    assert_int_equal(interrupt_server(&server), PS_EINTERRUPTED);
    assert_string_equal(server.error.text, "interrupted by a signal");
}

static void server_that_cannot_listen_ends(void **state)
{
    (void)state;
    uint16_t port;
    int taken = loopback_listen(&port);
    test_server server = {.config = {.host = "127.0.0.1", .port = port, .listen_fd = -1, .io_threads = 1}};
    run_server(&server);
    assert_int_equal(server.status, PS_EIO);
    assert_non_null(strstr(server.error.text, "Address already in use"));
    close(taken);
}

static int prepare(void **state)
{
    (void)state;
    log_setup("test", LOG_OFF);
    const struct sigaction action = {.sa_handler = request_stop};
    return sigaction(SIGUSR1, &action, NULL);
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
        cmocka_unit_test(each_step_copies_its_weights_once_and_its_gradient_never),
        cmocka_unit_test(calls_out_of_order_are_refused),
        cmocka_unit_test(job_without_tensors_is_not_joined),
        cmocka_unit_test(numbers_that_nobody_knows_are_asked_for),
        cmocka_unit_test(gradient_that_is_not_finite_is_reported_to_its_worker),
        cmocka_unit_test(outstanding_requests_have_a_limit),
        cmocka_unit_test(joining_where_nobody_listens_times_out_and_names_the_ps),
        cmocka_unit_test(joining_says_that_a_name_does_not_resolve),
        cmocka_unit_test(stop_flag_interrupts_waiting),
        cmocka_unit_test(worker_with_another_job_is_told_what_differs),
        cmocka_unit_test(who_is_older_does_not_take_the_place_of_a_newer_one),
        cmocka_unit_test(finishing_with_a_ps_that_is_gone_times_out),
        cmocka_unit_test(server_answers_what_it_cannot_read_under_its_own_index),
        cmocka_unit_test(server_that_gave_up_says_so_to_a_worker_that_pushes_later),
        cmocka_unit_test(server_waits_for_its_name_until_it_is_stopped),
        cmocka_unit_test(server_that_cannot_listen_ends),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
