/* setup.c - see setup.h. */
#include "worker/setup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/evaluation.h"

enum { FINISH_MS = 30000 };

static ps_status open_data(setup *s, const worker_options *o, bool needs_test, ps_error *error)
{
    if (!o->data_folder)
        return ps_fail(
            error, PS_EINVAL,
            "--data-folder is missing: the folder of the IDX files (penstock fetch-mnist prints one)");
    ps_status status = dataset_open(o->data_folder, DATASET_TRAIN, 0, &s->train, error);
    if (status == PS_OK && needs_test)
        status = dataset_open(o->data_folder, DATASET_TEST, 0, &s->test, error);
    if (status != PS_OK)
        return status;
    if (s->test && dataset_features(s->train) != dataset_features(s->test))
        return ps_fail(error, PS_EFORMAT, "%s: training images have %u pixels, test images %u",
                       o->data_folder, dataset_features(s->train), dataset_features(s->test));
    if (s->test && dataset_classes(s->test) > dataset_classes(s->train))
        return ps_fail(error, PS_EFORMAT, "%s: the test set has labels up to %u, the training set up to %u",
                       o->data_folder, dataset_classes(s->test) - 1, dataset_classes(s->train) - 1);
    return PS_OK;
}

static ps_status make_model(setup *s, const worker_options *o, const cluster_spec *cluster, performance *p,
                            ps_error *error)
{
    device_choice chosen;
    s->config = o->model;
    s->config.inputs = dataset_features(s->train);
    s->config.classes = dataset_classes(s->train);
    uint32_t rows = o->batch_size > EVALUATION_BATCH ? o->batch_size : EVALUATION_BATCH;
    ps_status status = device_open(&o->device, cluster->rank, o->threads, &s->backend, &chosen, error);
    if (status != PS_OK)
        return status;
    log_info("computing on %s%s%s", chosen.name, chosen.why[0] ? ": " : "", chosen.why);
    performance_set_device(p, chosen.name);
    return mlp_create(&s->config, s->backend, rows, &s->model, error);
}

static ps_status declare_model(setup *s, ps_error *error)
{
    tensor_table table = {0};
    ps_status status = mlp_declare(&s->config, &table, error);
    for (uint32_t i = 0; i < table.count && status == PS_OK; i++)
        status = ps_declare(s->client, &table.tensors[i], error);
    s->parameters = status == PS_OK ? tensor_table_elements(&table) : 0;
    tensor_table_fini(&table);
    return status;
}

static ps_status join(setup *s, const worker_options *o, const cluster_spec *cluster,
                      const setup_wishes *wishes, ps_error *error)
{
    ps_client_options options;
    ps_client_options_init(&options);
    ps_status status = job_copy(&o->job, &options.job);
    if (status != PS_OK)
        return ps_fail(error, status, "out of memory for the job");
    options.stop = wishes->stop;
    options.worker_lost = wishes->worker_lost;
    options.context = wishes->context;
    options.incarnation = wishes->incarnation;
    options.share_memory = o->share_memory;
    options.deadline_ms = o->deadline_ms;
    options.keys_folder = o->curve.folder;
    status = ps_connect(cluster, &options, &s->client, error);
    ps_client_options_fini(&options);
    if (status == PS_OK)
        status = declare_model(s, error);
    if (status != PS_OK)
        return status;
    performance_watch(wishes->performance, s->client);
    status = ps_join(s->client, o->join_timeout_ms, error);
    if (status == PS_OK)
        performance_joined(wishes->performance, s->client);
    return status;
}

float **setup_tensor_pointers(const setup *s, float *flat)
{
    const tensor_table *tensors = &ps_job(s->client)->tensors;
    float **pointers = calloc(tensors->count, sizeof *pointers);
    for (uint32_t i = 0; pointers && i < tensors->count; i++) {
        pointers[i] = flat;
        flat += tensor_elements(&tensors->tensors[i]);
    }
    return pointers;
}

/* Locks pages, and a page can be locked only once: so the array gets pages of its own. */
static float *allocate_locked(setup *s, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t whole = (bytes + page - 1) / page * page;
    char *memory = ps_allocate(s->client, whole + page);
    if (!memory)
        return NULL;
    memory += (page - (uintptr_t)memory % page) % page;
    ps_status status = backend_register_host(s->backend, memory, whole);
    if (status == PS_OK)
        s->locked[s->locked_count++] = memory;
    else
        log_warning("copies to and from the device will be slow, for memory cannot be locked: %s",
                    backend_failure(s->backend, status));
    return (float *)memory;
}

float *setup_allocate(setup *s)
{
    const size_t bytes = s->parameters * sizeof(float);
    if (s->backend->ops->host_memory || s->locked_count == SETUP_ARRAYS_MAX)
        return ps_allocate(s->client, bytes);
    return allocate_locked(s, bytes);
}

ps_status setup_init(setup *s, const worker_options *options, const cluster_spec *cluster,
                     const setup_wishes *wishes, ps_error *error)
{
    memset(s, 0, sizeof *s);
    ps_status status = open_data(s, options, wishes->needs_test, error);
    if (status == PS_OK)
        status = make_model(s, options, cluster, wishes->performance, error);
    if (status == PS_OK)
        status = join(s, options, cluster, wishes, error);
    if (status != PS_OK)
        return status;
    s->weights = setup_allocate(s);
    s->tensor_weights = s->weights ? setup_tensor_pointers(s, s->weights) : NULL;
    if (!s->tensor_weights)
        return ps_fail(error, PS_ENOMEM, "out of memory for %llu parameters",
                       (unsigned long long)s->parameters);
    return PS_OK;
}

ps_status setup_pull(setup *s, uint64_t step, ps_result *result, ps_error *error)
{
    ps_ticket ticket;
    ps_status status = ps_pull(s->client, step, s->tensor_weights, &ticket, error);
    return status == PS_OK ? ps_wait(s->client, ticket, PS_FOREVER, result, error) : status;
}

ps_status setup_pull_final(setup *s, ps_result *result, ps_error *error)
{
    ps_ticket ticket;
    ps_status status = ps_pull_final(s->client, s->tensor_weights, &ticket, error);
    return status == PS_OK ? ps_wait(s->client, ticket, PS_FOREVER, result, error) : status;
}

ps_status setup_finish(setup *s, ps_error *error)
{
    ps_status status = ps_finish(s->client, FINISH_MS, error);
    if (status != PS_ETIMEDOUT)
        return status;
    log_warning("a ps did not answer within %d s that this process has finished", FINISH_MS / 1000);
    return PS_OK;
}

void setup_fini(setup *s)
{
    mlp_destroy(&s->model); /* first: the device may still be copying to and from the client's memory */
    for (uint32_t i = 0; i < s->locked_count; i++)
        backend_unregister_host(s->backend, s->locked[i]);
    ps_close(&s->client);
    if (s->backend)
        s->backend->ops->destroy(s->backend);
    dataset_close(&s->train);
    dataset_close(&s->test);
    free(s->tensor_weights);
    memset(s, 0, sizeof *s);
}
