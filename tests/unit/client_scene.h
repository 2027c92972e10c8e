/* client_scene.h - what tests of worker/client share: servers on loopback, each on a thread of its own, and
 * clients of them, or of none, with two small tensors. */
#ifndef PENSTOCK_TESTS_CLIENT_SCENE_H
#define PENSTOCK_TESTS_CLIENT_SCENE_H

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "common/log.h"
#include "ps/server.h"
#include "tests/unit/loopback.h"
#include "worker/client.h"

typedef struct {
    pthread_t thread;
    server_config config;
    ps_status status;
    ps_error error;
} test_server;

/* Set by a signal on the server's own thread, as in the daemon. */
static _Thread_local volatile sig_atomic_t server_stop;

static inline void client_scene_request_stop(int signal_number)
{
    (void)signal_number;
    server_stop = 1;
}

static inline void *client_scene_run_server(void *argument)
{
    test_server *s = argument;
    s->config.stop = &server_stop;
    s->status = server_run(&s->config, &s->error);
    return NULL;
}

/* Listens at once, so that a client need not wait for the thread. */
static inline void client_scene_start(test_server *s, uint32_t index, cluster_task *task)
{
    *s = (test_server){.config = {.shard = {.index = index, .incarnation = 1}}};
    *task = (cluster_task){.index = index, .host = "127.0.0.1"};
    s->config.listen_fd = loopback_listen(&task->port);
    s->config.io_threads = 1;
    s->config.port = task->port;
    assert_int_equal(pthread_create(&s->thread, NULL, client_scene_run_server, s), 0);
}

static inline ps_status client_scene_end(test_server *s)
{
    pthread_join(s->thread, NULL);
    return s->status;
}

static inline ps_status client_scene_interrupt(test_server *s)
{
    pthread_kill(s->thread, SIGUSR1);
    return client_scene_end(s);
}

static inline cluster_spec client_scene_cluster(cluster_task *servers, uint32_t server_count,
                                                uint32_t workers, uint32_t rank)
{
    static cluster_task worker_tasks[8];
    cluster_spec cluster = {.present = true, .role = ROLE_WORKER, .index = rank, .rank = rank};
    cluster.jobs[ROLE_PS] = (cluster_job){.tasks = servers, .count = server_count, .dense = true};
    cluster.jobs[ROLE_WORKER] = (cluster_job){.tasks = worker_tasks, .count = workers, .dense = true};
    return cluster;
}

/* ---- clients ---- */

enum { ELEMENTS = 3000 }; /* in slices of 4 KiB: three */

static inline ps_status client_scene_declare(ps_client *client, const char *name, uint64_t elements,
                                             ps_error *error)
{
    tensor t = {.rank = 1, .shape = {elements}};
    snprintf(t.name, sizeof t.name, "%s", name);
    return ps_declare(client, &t, error);
}

/* Takes the options. */
static inline ps_client *client_scene_connect_with(const cluster_spec *cluster, ps_client_options *options)
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
    assert_int_equal(client_scene_declare(client, "w", ELEMENTS, NULL), PS_OK);
    assert_int_equal(client_scene_declare(client, "bias", 1, NULL), PS_OK);
    return client;
}

static inline ps_client *client_scene_connect(const cluster_spec *cluster, double rate,
                                              const volatile sig_atomic_t *stop)
{
    ps_client_options options;
    ps_client_options_init(&options);
    options.job.schedule.learning_rate = rate;
    options.stop = stop;
    return client_scene_connect_with(cluster, &options);
}

static inline void client_scene_expect(ps_status status, ps_status expected, const ps_error *error,
                                       const char *text)
{
    assert_int_equal(status, expected);
    assert_string_equal(error->text, text);
}

static inline int client_scene_prepare(void **state)
{
    (void)state;
    log_setup("test", LOG_OFF);
    const struct sigaction action = {.sa_handler = client_scene_request_stop};
    return sigaction(SIGUSR1, &action, NULL);
}

#endif
