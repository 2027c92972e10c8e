/* What the public client, worker/client, refuses, and what it and real servers on loopback say when something
 * fails. */
#include "worker/client.h"

#include <math.h>
#include <string.h>

#include "common/transport.h"
#include "tests/unit/client_scene.h"

/* ---- misuse ---- */

static void calls_out_of_order_are_refused(void **state)
{
    (void)state;
    const cluster_spec none = {0};
    ps_client *client = client_scene_connect(&none, 1, NULL);
    static float values[ELEMENTS], bias[1];
    float *weights[] = {values, bias};
    const float *gradients[] = {values, bias};
    ps_update update = {.step = 1, .examples = 1, .gradients = gradients};
    ps_ticket ticket;
    ps_error error;
    static const char not_joined[] = "ps_join has not succeeded yet";
    client_scene_expect(ps_push(client, &update, &ticket, &error), PS_ESTATE, &error, not_joined);
    client_scene_expect(ps_pull(client, 0, weights, &ticket, &error), PS_ESTATE, &error, not_joined);
    client_scene_expect(ps_wait(client, 0, 0, NULL, &error), PS_ESTATE, &error, not_joined);
    client_scene_expect(ps_finish(client, 0, &error), PS_ESTATE, &error, not_joined);
    ps_progress(client);
    assert_int_equal(ps_join(client, LOOPBACK_PATIENCE_MS, NULL), PS_OK);
    client_scene_expect(client_scene_declare(client, "late", 1, &error), PS_ESTATE, &error,
                        "tensor 'late' is declared after ps_join");
    client_scene_expect(ps_join(client, LOOPBACK_PATIENCE_MS, &error), PS_ESTATE, &error,
                        "ps_join was called before");
    client_scene_expect(ps_wait(client, 0, 0, NULL, &error), PS_EINVAL, &error,
                        "ticket 0 names no outstanding request");
    client_scene_expect(ps_wait(client, UINT32_MAX, 0, NULL, &error), PS_EINVAL, &error,
                        "ticket 4294967295 names no outstanding request");
    static const char bad_push[] = "a push needs a step from 1 on, and gradients if it has examples";
    update.step = 0;
    client_scene_expect(ps_push(client, &update, &ticket, &error), PS_EINVAL, &error, bad_push);
    update = (ps_update){.step = 1, .examples = 1};
    client_scene_expect(ps_push(client, &update, &ticket, &error), PS_EINVAL, &error, bad_push);
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
    client_scene_expect(ps_join(client, LOOPBACK_PATIENCE_MS, &error), PS_ECONFIG, &error,
                        "the job has no tensors: declare the model before joining");
    assert_int_equal(client_scene_declare(client, "w", 1, NULL), PS_OK); /* it may still be mended */
    assert_int_equal(ps_join(client, LOOPBACK_PATIENCE_MS, NULL), PS_OK);
    ps_close(&client);
    ps_client_options_fini(&options);
}

static void numbers_that_nobody_knows_are_asked_for(void **state)
{
    (void)state;
    cluster_task task = {.host = "127.0.0.1", .port = loopback_silent_port()};
    cluster_spec cluster = client_scene_cluster(&task, 1, 0, 3);
    cluster.sparse = true;
    ps_client_options options;
    ps_client_options_init(&options);
    ps_client *client;
    ps_error error;
    client_scene_expect(ps_connect(&cluster, &options, &client, &error), PS_ECONFIG, &error,
                        "the cluster spec does not tell the number of workers; state it in the options");
    assert_null(client);
    options.job.workers = 3;
    client_scene_expect(ps_connect(&cluster, &options, &client, &error), PS_ECONFIG, &error,
                        "this is the worker of rank 3, but the job has 3 workers");
    ps_client_options_fini(&options);
}

static void gradient_that_is_not_finite_is_reported_to_its_worker(void **state)
{
    (void)state;
    const cluster_spec none = {0};
    ps_client *client = client_scene_connect(&none, 1, NULL);
    static float values[ELEMENTS], bad[1];
    static float received[ELEMENTS], received_bias[1];
    float *weights[] = {received, received_bias};
    bad[0] = INFINITY;
    const float *gradients[] = {values, bad};
    const ps_update update = {.step = 1, .examples = 1, .gradients = gradients};
    ps_ticket ticket;
    ps_result result;
    assert_int_equal(ps_join(client, LOOPBACK_PATIENCE_MS, NULL), PS_OK);
    assert_int_equal(ps_push_pull(client, &update, weights, &ticket, NULL), PS_OK);
    assert_int_equal(ps_wait(client, ticket, LOOPBACK_PATIENCE_MS, &result, NULL), PS_OK);
    assert_true(result.nonfinite);
    assert_int_equal(result.step, 1);
    assert_true(received_bias[0] == 0);
    ps_close(&client);
}

static void outstanding_requests_have_a_limit(void **state)
{
    (void)state;
    const cluster_spec none = {0};
    ps_client *client = client_scene_connect(&none, 1, NULL);
    static float values[ELEMENTS], bias[1];
    float *weights[] = {values, bias};
    ps_ticket ticket;
    ps_error error;
    assert_int_equal(ps_join(client, LOOPBACK_PATIENCE_MS, NULL), PS_OK);
    for (int i = 0; i < 64; i++)
        assert_int_equal(ps_pull(client, 1, weights, &ticket, NULL), PS_OK);
    client_scene_expect(ps_pull(client, 1, weights, &ticket, &error), PS_ELIMIT, &error,
                        "PULL: a limit is exceeded");
    ps_close(&client);
}

/* ---- peers that fail ---- */

static void joining_where_nobody_listens_times_out_and_names_the_ps(void **state)
{
    (void)state;
    test_server server;
    cluster_task tasks[2];
    client_scene_start(&server, 0, &tasks[0]);
    tasks[1] = (cluster_task){.index = 1, .host = "127.0.0.1", .port = loopback_silent_port()};
    const cluster_spec cluster = client_scene_cluster(tasks, 2, 1, 0);
    ps_client *client = client_scene_connect(&cluster, 1, NULL);
    char expected[128];
    ps_error error;
    /* Until ps/0 has answered it may be the one that is named. */
    do {
        assert_int_equal(ps_join(client, 100, &error), PS_ETIMEDOUT);
    } while (strncmp(error.text, "ps/0", 4) == 0);
    snprintf(expected, sizeof expected, "ps/1 at 127.0.0.1:%u: no answer within 100 ms", tasks[1].port);
    assert_string_equal(error.text, expected);
    ps_close(&client);
    assert_int_equal(client_scene_interrupt(&server), PS_EINTERRUPTED);
}

static void joining_says_that_a_name_does_not_resolve(void **state)
{
    (void)state;
    cluster_task task = {.port = 2222};
    memset(task.host, 'n', 70); /* too long a label for any name server */
    const cluster_spec cluster = client_scene_cluster(&task, 1, 1, 0);
    ps_client *client = client_scene_connect(&cluster, 1, NULL);
    ps_error error;
    assert_int_equal(ps_join(client, 1, &error), PS_ETIMEDOUT);
    assert_non_null(strstr(error.text, "nnn:2222, a name that does not resolve yet: no answer within 1 ms"));
    ps_close(&client);
}

static void stop_flag_interrupts_waiting(void **state)
{
    (void)state;
    static volatile sig_atomic_t stop;
    cluster_task task = {.host = "127.0.0.1", .port = loopback_silent_port()};
    const cluster_spec cluster = client_scene_cluster(&task, 1, 1, 0);
    ps_client *client = client_scene_connect(&cluster, 1, &stop);
    ps_error error;
    stop = 1;
    client_scene_expect(ps_join(client, PS_FOREVER, &error), PS_EINTERRUPTED, &error,
                        "interrupted by a signal");
    ps_close(&client);

    const cluster_spec none = {0};
    static float values[ELEMENTS], bias[1];
    float *weights[] = {values, bias};
    ps_ticket ticket;
    stop = 0;
    client = client_scene_connect(&none, 1, &stop);
    assert_int_equal(ps_join(client, LOOPBACK_PATIENCE_MS, NULL), PS_OK);
    assert_int_equal(ps_pull(client, 1, weights, &ticket, NULL), PS_OK); /* of a step that never comes */
    client_scene_expect(ps_wait(client, ticket, 1, NULL, &error), PS_ETIMEDOUT, &error,
                        "no answer within 1 ms");
    stop = 1;
    client_scene_expect(ps_wait(client, ticket, PS_FOREVER, NULL, &error), PS_EINTERRUPTED, &error,
                        "interrupted by a signal");
    ps_close(&client);
}

static void worker_with_another_job_is_told_what_differs(void **state)
{
    (void)state;
    test_server server;
    cluster_task task;
    client_scene_start(&server, 0, &task);
    const cluster_spec first = client_scene_cluster(&task, 1, 2, 0),
                       second = client_scene_cluster(&task, 1, 2, 1);
    ps_client *right = client_scene_connect(&first, 0.5, NULL),
              *wrong = client_scene_connect(&second, 0.25, NULL);
    ps_error error;
    assert_int_equal(ps_join(right, LOOPBACK_PATIENCE_MS, NULL), PS_OK);
    client_scene_expect(ps_join(wrong, LOOPBACK_PATIENCE_MS, &error), PS_EMISMATCH, &error,
                        "ps/0: schedule.learning_rate is 0.25 here, but 0.5 in the job");
    ps_close(&wrong);
    ps_close(&right);
    assert_int_equal(client_scene_interrupt(&server), PS_EINTERRUPTED);
}

static void who_is_older_does_not_take_the_place_of_a_newer_one(void **state)
{
    (void)state;
    test_server server;
    cluster_task task;
    client_scene_start(&server, 0, &task);
    const cluster_spec cluster = client_scene_cluster(&task, 1, 1, 0);
    ps_client *newer = client_scene_connect(&cluster, 1, NULL);
    ps_client_options options;
    ps_client_options_init(&options);
    options.job.schedule.learning_rate = 1;
    options.incarnation = 1;
    ps_client *older = client_scene_connect_with(&cluster, &options);
    ps_error error;
    assert_int_equal(ps_join(newer, LOOPBACK_PATIENCE_MS, NULL), PS_OK);
    client_scene_expect(ps_join(older, LOOPBACK_PATIENCE_MS, &error), PS_EPEER, &error,
                        "ps/0: worker 0 has been replaced by a newer process under the same index");
    ps_close(&older);
    ps_close(&newer);
    assert_int_equal(client_scene_interrupt(&server), PS_EINTERRUPTED);
}

static void finishing_with_a_ps_that_is_gone_times_out(void **state)
{
    (void)state;
    test_server server;
    cluster_task task;
    client_scene_start(&server, 0, &task);
    const cluster_spec cluster = client_scene_cluster(&task, 1, 1, 0);
    ps_client *client = client_scene_connect(&cluster, 1, NULL);
    ps_error error;
    assert_int_equal(ps_join(client, LOOPBACK_PATIENCE_MS, NULL), PS_OK);
    assert_int_equal(client_scene_interrupt(&server), PS_EINTERRUPTED);
    client_scene_expect(ps_finish(client, 20, &error), PS_ETIMEDOUT, &error, "no answer within 20 ms");
    ps_close(&client);
}

/* ---- the server's own failures ---- */

static void server_answers_what_it_cannot_read_under_its_own_index(void **state)
{
    (void)state;
    test_server server;
    cluster_task task;
    client_scene_start(&server, 3, &task);
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
    assert_int_equal(client_scene_interrupt(&server), PS_EINTERRUPTED);
}

static void server_that_gave_up_says_so_to_a_worker_that_pushes_later(void **state)
{
    (void)state;
    static float values[ELEMENTS], bias[1];
    const float *gradients[] = {values, bias};
    const ps_update update = {.step = 1, .examples = 1, .gradients = gradients};
    test_server server;
    cluster_task task;
    client_scene_start(&server, 0, &task);
    ps_client *clients[2];
    for (uint32_t i = 0; i < 2; i++) {
        const cluster_spec cluster = client_scene_cluster(&task, 1, 2, i);
        ps_client_options options;
        ps_client_options_init(&options);
        options.job.guard = GUARD_STOP;
        clients[i] = client_scene_connect_with(&cluster, &options);
        assert_int_equal(ps_join(clients[i], LOOPBACK_PATIENCE_MS, NULL), PS_OK);
    }
    for (uint32_t i = 0; i < 2; i++) {
        ps_ticket ticket;
        ps_error error;
        values[0] = i == 0 ? NAN : 0;
        assert_int_equal(ps_push(clients[i], &update, &ticket, NULL), PS_OK);
        client_scene_expect(ps_wait(clients[i], ticket, LOOPBACK_PATIENCE_MS, NULL, &error), PS_ENONFINITE,
                            &error, "ps/0: the gradient of worker 0 for step 1 holds NaN or Inf");
    }
    ps_close(&clients[0]);
    ps_close(&clients[1]);
    assert_int_equal(client_scene_end(&server), PS_ENONFINITE);
}

static void server_waits_for_its_name_until_it_is_stopped(void **state)
{
    (void)state;
    char name[71];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    test_server server = {.config = {.host = name, .port = 2222, .listen_fd = -1, .io_threads = 1}};
    assert_int_equal(pthread_create(&server.thread, NULL, client_scene_run_server, &server), 0);
    assert_int_equal(client_scene_interrupt(&server), PS_EINTERRUPTED);
    assert_string_equal(server.error.text, "interrupted by a signal");
}

static void server_that_cannot_listen_ends(void **state)
{
    (void)state;
    uint16_t port;
    int taken = loopback_listen(&port);
    test_server server = {.config = {.host = "127.0.0.1", .port = port, .listen_fd = -1, .io_threads = 1}};
    client_scene_run_server(&server);
    assert_int_equal(server.status, PS_EIO);
    assert_non_null(strstr(server.error.text, "Address already in use"));
    close(taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    return cmocka_run_group_tests(tests, client_scene_prepare, NULL);
}
