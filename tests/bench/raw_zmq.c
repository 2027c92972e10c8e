/* raw_zmq.c - see raw_zmq.h: opens both ends. What they then do is in raw_bulk.c and raw_request.c. */
#include "tests/bench/raw_zmq.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fpmode.h"
#include "deploy/launch/ports.h"
#include "tests/bench/raw_link.h"

/* As common/transport.c tunes it, so that the allocator makes no difference. */
enum { MALLOC_MAP_BYTES = 32 << 20, MALLOC_KEEP_BYTES = 256 << 20 };

static void require(bool held, const char *what)
{
    if (held)
        return;
    fprintf(stderr, "penstock-bench: ZeroMQ: %s: %s\n", what, zmq_strerror(zmq_errno()));
    _exit(PS_EXIT_FAILURE);
}

static void set_int(raw_link *link, int option, int value)
{
    require(zmq_setsockopt(link->socket, option, &value, sizeof value) == 0, "an option");
}

static void set_key(raw_link *link, int option, const char *key)
{
    require(zmq_setsockopt(link->socket, option, key, strlen(key) + 1) == 0, "a key");
}

static void use_keys(raw_link *link, const raw_plan *plan, bool server)
{
    set_key(link, ZMQ_CURVE_SECRETKEY, server ? plan->server_key.secret_key : plan->client_key.secret_key);
    if (server) {
        set_int(link, ZMQ_CURVE_SERVER, 1);
        return;
    }
    set_key(link, ZMQ_CURVE_PUBLICKEY, plan->client_key.public_key);
    set_key(link, ZMQ_CURVE_SERVERKEY, plan->server_key.public_key);
}

void raw_link_open(raw_link *link, const raw_plan *plan, bool server, int socket_type)
{
    mallopt(M_MMAP_THRESHOLD, MALLOC_MAP_BYTES);
    mallopt(M_TRIM_THRESHOLD, MALLOC_KEEP_BYTES);
    fpmode_flush_denormals();
    link->setup = &plan->setup;
    link->context = zmq_ctx_new();
    require(link->context, "no context");
    link->socket = zmq_socket(link->context, socket_type);
    require(link->socket, "no socket");
    require(sem_init(&link->sendable, 0, RAW_IN_FLIGHT) == 0, "no semaphore");
    if (plan->setup.kind != RAW_REQUEST) {
        set_int(link, ZMQ_SNDHWM, RAW_IN_FLIGHT);
        set_int(link, ZMQ_RCVHWM, RAW_IN_FLIGHT);
    }
    if (plan->setup.curve)
        use_keys(link, plan, server);
    if (server && !plan->setup.ipc)
        set_int(link, ZMQ_USE_FD, plan->listen_fd);
    int rc = server ? zmq_bind(link->socket, plan->endpoint) : zmq_connect(link->socket, plan->endpoint);
    require(rc == 0, plan->endpoint);
}

static void serve(int channel, void *argument)
{
    const raw_plan *plan = argument;
    (void)channel;
    if (plan->setup.kind == RAW_REQUEST)
        raw_request_serve(plan);
    else
        raw_bulk_serve(plan);
}

static void run(int channel, void *argument)
{
    const raw_plan *plan = argument;
    if (plan->setup.kind == RAW_REQUEST)
        raw_request_ask(plan, channel);
    else
        raw_bulk_run(plan, channel);
}

ps_status raw_zmq_open(const bench_options *o, const raw_setup *setup, stage *out, ps_error *error)
{
    static uint32_t number;
    raw_plan plan = {.setup = *setup, .listen_fd = -1};
    *out = (stage){0};
    ps_status status = PS_OK;
    if (setup->ipc) { /* '@': a name that is no file */
        snprintf(plan.endpoint, sizeof plan.endpoint, "ipc://@penstock-bench-%d-%u", (int)getpid(), number++);
    } else {
        uint16_t port;
        status = port_reserve(true, &plan.listen_fd, &port, error);
        snprintf(plan.endpoint, sizeof plan.endpoint, "tcp://127.0.0.1:%u", port);
    }
    if (status == PS_OK && setup->curve &&
        (zmq_curve_keypair(plan.server_key.public_key, plan.server_key.secret_key) != 0 ||
         zmq_curve_keypair(plan.client_key.public_key, plan.client_key.secret_key) != 0))
        status = ps_fail(error, PS_EIO, "this ZeroMQ makes no keys");
    int server_processor = setup->one_processor ? o->client_processor : o->server_processor;
    if (status == PS_OK)
        status = actor_fork(&out->servers[0], server_processor, serve, &plan, error);
    if (status == PS_OK) {
        out->server_count = 1;
        status = actor_fork(&out->clients[0], o->client_processor, run, &plan, error);
    }
    if (status == PS_OK)
        out->client_count = 1;
    if (plan.listen_fd >= 0)
        close(plan.listen_fd);
    if (status != PS_OK)
        stage_end(out);
    return status;
}
