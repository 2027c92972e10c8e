/* driver.c - see driver.h. Processes and their places; what a worker does is in driver_worker.c. */
#include "tests/bench/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/path.h"
#include "deploy/launch/placement.h"
#include "deploy/launch/ports.h"
#include "deploy/launch/tf_config.h"
#include "ps/store.h"
#include "tests/bench/driver_worker.h"
#include "tests/bench/raw_zmq.h"

driver_setup driver_pair(driver_operation operation, uint64_t bytes, uint32_t slice_bytes)
{
    return (driver_setup){
        .operation = operation,
        .mode = CONSISTENCY_ASYNC,
        .servers = 1,
        .workers = 1,
        .model_bytes = bytes,
        .slice_bytes = slice_bytes,
        .outstanding = RAW_IN_FLIGHT,
    };
}

/* ---- the books ---- */

ps_status driver_describe(const driver_setup *setup, job_config *job, ps_error *error)
{
    job_init(job);
    job->servers = setup->servers;
    job->workers = setup->workers;
    job->mode = setup->mode;
    job->slice_bytes = setup->slice_bytes;
    tensor model = {.name = "model", .rank = 1, .shape = {setup->model_bytes / sizeof(float)}};
    return tensor_table_add(&job->tensors, &model, error);
}

uint64_t driver_stored_bytes(const driver_setup *setup)
{
    job_config job;
    partition p = {0};
    uint64_t bytes = 0;
    if (driver_describe(setup, &job, NULL) == PS_OK && partition_init(&p, &job, NULL) == PS_OK) {
        for (uint32_t server = 0; server < setup->servers; server++)
            bytes += store_bytes(&job, &p, server);
        partition_fini(&p);
    }
    job_fini(&job);
    return bytes;
}

uint64_t driver_resident_bytes(const stage *s)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < s->server_count; i++)
        bytes += actor_resident_bytes(&s->servers[i]);
    return bytes;
}

/* ---- places ---- */

static int place(const bench_options *o, const driver_setup *setup, bool server, uint32_t index)
{
    static int processors[PLACEMENT_PROCESSORS_MAX];
    if (o->client_processor == OPTIONS_ANYWHERE)
        return OPTIONS_ANYWHERE;
    if (setup->one_processor)
        return o->client_processor;
    if (setup->servers == 1 && setup->workers == 1)
        return server ? o->server_processor : o->client_processor;
    size_t count = placement_processors(processors);
    if (count == 0)
        return OPTIONS_ANYWHERE;
    return processors[server ? count - 1 - index % count : index % count];
}

/* ---- starting ---- */

static ps_status start_server(const bench_options *o, const driver_setup *setup, const local_cluster *cluster,
                              uint32_t index, int listen_fd, stage *out, ps_error *error)
{
    char variable[DRIVER_TF_CONFIG_MAX + 16] = "TF_CONFIG=", descriptor[32];
    size_t used = strlen(variable);
    ps_status status =
        tf_config_write(cluster, ROLE_PS, index, variable + used, sizeof variable - used, error);
    if (status != PS_OK)
        return status;
    snprintf(descriptor, sizeof descriptor, "--listen-fd=%d", listen_fd);
    char level[] = "--log-level=warning", keys[PATH_BYTES] = "";
    char *arguments[] = {(char[]){"penstock-ps"}, descriptor, level, NULL, NULL};
    if (setup->keys_folder) {
        status = path_make(keys, error, "--curve-keys=%s", setup->keys_folder);
        arguments[3] = keys;
    }
    if (status != PS_OK)
        return status;
    status = actor_exec(&out->servers[index], place(o, setup, true, index), listen_fd, o->server_program,
                        arguments, variable, error);
    if (status == PS_OK)
        out->server_count = index + 1;
    return status;
}

static ps_status start_worker(const bench_options *o, const driver_setup *setup, const local_cluster *cluster,
                              uint32_t index, stage *out, ps_error *error)
{
    driver_worker_plan plan = {.setup = *setup};
    ps_status status =
        tf_config_write(cluster, ROLE_WORKER, index, plan.tf_config, sizeof plan.tf_config, error);
    if (status == PS_OK)
        status =
            actor_fork(&out->clients[index], place(o, setup, false, index), driver_worker_body, &plan, error);
    if (status == PS_OK)
        out->client_count = index + 1;
    return status;
}

ps_status driver_open(const bench_options *o, const driver_setup *setup, stage *out, ps_error *error)
{
    uint16_t server_ports[STAGE_SERVERS_MAX], worker_ports[STAGE_CLIENTS_MAX];
    int sockets[STAGE_SERVERS_MAX];
    uint32_t opened = 0;
    ps_status status = PS_OK;
    *out = (stage){0};
    for (; opened < setup->servers && status == PS_OK; opened += status == PS_OK)
        status = port_reserve(true, &sockets[opened], &server_ports[opened], error);
    for (uint32_t i = 0; i < setup->workers; i++)
        worker_ports[i] = (uint16_t)(1 + i); /* nobody connects to a worker */
    local_cluster cluster = {
        .ports = {[ROLE_PS] = server_ports, [ROLE_WORKER] = worker_ports},
        .counts = {[ROLE_PS] = setup->servers, [ROLE_WORKER] = setup->workers},
    };
    for (uint32_t i = 0; i < setup->servers && status == PS_OK; i++)
        status = start_server(o, setup, &cluster, i, sockets[i], out, error);
    for (uint32_t i = 0; i < setup->workers && status == PS_OK; i++)
        status = start_worker(o, setup, &cluster, i, out, error);
    while (opened > 0)
        close(sockets[--opened]);
    if (status != PS_OK)
        stage_end(out);
    return status;
}
