/* cost_constants.c - see cost_constants.h. */
#include "deploy/plan/cost_constants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json.h"

enum { CORES_MAX = 4096, NAME_BYTES_MAX = 96 };

static const char SCHEMA[] = "penstock-bench/1";

const cost_constants COST_CONSTANTS_DEFAULT = {
    .cores = 2,
    .request_s = 110e-6,
    .request_cpu_s = 8e-6,
    .message_cpu_s = 4e-6,
    .socket_bytes_per_s = 4e9,
    .socket_cpu_s_per_byte = 0.44e-9,
    .update_bytes_per_s = 6e9,
    .reduce_s_per_byte = 0.06e-9,
    .judge_s_per_byte = 0.1e-9,
    .copy_bytes_per_s = 10e9,
    .shared_cpu_s_per_byte = 0.11e-9,
};

/* A value of the object whose full name is `where`. */
typedef struct {
    const json *value;
    char name[NAME_BYTES_MAX];
} field;

static field field_of(const json *object, const char *where, const char *name)
{
    field f = {.value = json_find(object, name)};
    snprintf(f.name, sizeof f.name, "%s.%s", where, name);
    return f;
}

static ps_status read_positive(const json *object, const char *where, const char *name, double *value,
                               ps_error *error)
{
    field f = field_of(object, where, name);
    ps_status status = json_as_number(f.value, f.name, value, error);
    if (status == PS_OK && *value <= 0)
        status = ps_fail(error, PS_EFORMAT, "%s must be more than 0, not %g", f.name, *value);
    return status;
}

static ps_status read_count(const json *object, const char *where, const char *name, int64_t least,
                            int64_t most, int64_t *value, ps_error *error)
{
    field f = field_of(object, where, name);
    return json_as_integer(f.value, f.name, least, most, value, error);
}

static ps_status read_constants(const json *object, cost_constants *c, ps_error *error)
{
    static const char where[] = "constants";
    const struct {
        const char *name;
        double *value;
    } fields[] = {
        {"request_s", &c->request_s},
        {"request_cpu_s", &c->request_cpu_s},
        {"message_cpu_s", &c->message_cpu_s},
        {"socket_bytes_per_s", &c->socket_bytes_per_s},
        {"socket_cpu_s_per_byte", &c->socket_cpu_s_per_byte},
        {"update_bytes_per_s", &c->update_bytes_per_s},
        {"reduce_s_per_byte", &c->reduce_s_per_byte},
        {"judge_s_per_byte", &c->judge_s_per_byte},
        {"copy_bytes_per_s", &c->copy_bytes_per_s},
        {"shared_cpu_s_per_byte", &c->shared_cpu_s_per_byte},
    };
    int64_t cores = 0;
    ps_status status = json_as_object(object, where, error);
    if (status == PS_OK)
        status = read_count(object, where, "cores", 1, CORES_MAX, &cores, error);
    c->cores = (uint32_t)cores;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && status == PS_OK; i++)
        status = read_positive(object, where, fields[i].name, fields[i].value, error);
    return status;
}

static ps_status read_transport(const json *object, const char *where, cost_transport *transport,
                                ps_error *error)
{
    field f = field_of(object, where, "transport");
    const char *text = NULL;
    ps_status status = json_as_string(f.value, f.name, &text, error);
    if (status != PS_OK)
        return status;
    if (!cost_transport_parse(text, transport))
        return ps_fail(error, PS_EFORMAT, "%s must be \"tcp\" or \"shared\", not \"%s\"", f.name, text);
    return PS_OK;
}

/* Seconds that may be 0: a step may be an exchange alone. */
static ps_status read_compute(const json *object, const char *where, double *value, ps_error *error)
{
    field f = field_of(object, where, "compute_s");
    ps_status status = json_as_number(f.value, f.name, value, error);
    if (status == PS_OK && *value < 0)
        status = ps_fail(error, PS_EFORMAT, "%s must be at least 0, not %g", f.name, *value);
    return status;
}

static ps_status read_point(const json *object, size_t number, uint32_t cores, cost_point *point,
                            ps_error *error)
{
    char where[NAME_BYTES_MAX / 2];
    cost_input *in = &point->input;
    int64_t servers = 0, workers = 0, model_bytes = 0, slice_bytes = 0;
    snprintf(where, sizeof where, "plan_points[%zu]", number);
    ps_status status = json_as_object(object, where, error);
    if (status == PS_OK)
        status = read_transport(object, where, &in->transport, error);
    if (status == PS_OK)
        status = read_count(object, where, "servers", 1, JOB_SERVERS_MAX, &servers, error);
    if (status == PS_OK)
        status = read_count(object, where, "workers", 1, JOB_WORKERS_MAX, &workers, error);
    if (status == PS_OK)
        status = read_count(object, where, "model_bytes", 1, JSON_INTEGER_MAX, &model_bytes, error);
    if (status == PS_OK)
        status = read_count(object, where, "slice_bytes", JOB_SLICE_BYTES_MIN, JOB_SLICE_BYTES_MAX,
                            &slice_bytes, error);
    if (status == PS_OK)
        status = read_compute(object, where, &in->compute_s, error);
    if (status == PS_OK)
        status = read_positive(object, where, "step_s", &point->step_s, error);
    in->servers = (uint32_t)servers;
    in->workers = (uint32_t)workers;
    in->model_bytes = (double)model_bytes;
    in->slice_bytes = (double)slice_bytes;
    in->cores = cores;
    in->push.ratio = in->pull.ratio = 1;
    return status;
}

static ps_status read_points(const json *list, cost_measurement *m, ps_error *error)
{
    size_t count = json_count(list), i = 0;
    ps_status status = json_as_list(list, "plan_points", error);
    if (status != PS_OK || count == 0)
        return status;
    if (count > COST_POINTS_MAX)
        return ps_fail(error, PS_ELIMIT, "plan_points has %zu entries, more than the %d allowed", count,
                       COST_POINTS_MAX);
    m->points = calloc(count, sizeof *m->points);
    if (!m->points)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    m->point_count = count;
    for (const json *point = json_first(list); point && status == PS_OK; point = json_next(point), i++)
        status = read_point(point, i, m->constants.cores, &m->points[i], error);
    return status;
}

static ps_status read_measurement(const json *root, cost_measurement *m, ps_error *error)
{
    const char *schema = NULL;
    ps_status status = json_as_object(root, "the measurement", error);
    if (status == PS_OK)
        status = json_as_string(json_find(root, "schema"), "schema", &schema, error);
    if (status == PS_OK && strcmp(schema, SCHEMA) != 0)
        status = ps_fail(error, PS_EFORMAT, "schema must be \"%s\", not \"%s\"", SCHEMA, schema);
    if (status == PS_OK)
        status = read_constants(json_find(root, "constants"), &m->constants, error);
    if (status == PS_OK && json_find(root, "plan_points"))
        status = read_points(json_find(root, "plan_points"), m, error);
    return status;
}

ps_status cost_measurement_read(const char *path, cost_measurement *m, ps_error *error)
{
    char *text = NULL;
    size_t bytes = 0;
    json *root = NULL;
    ps_error cause = {0};
    const json_options options = {.source = path, .max_bytes = COST_FILE_BYTES_MAX};
    *m = (cost_measurement){0};
    ps_status status = file_read(path, COST_FILE_BYTES_MAX, &text, &bytes, error);
    if (status == PS_OK)
        status = json_parse(text, bytes, &options, &root, NULL, error);
    if (status == PS_OK) {
        status = read_measurement(root, m, &cause);
        if (status != PS_OK)
            ps_fail(error, status, "%s: %s", path, cause.text);
    }
    if (status != PS_OK)
        cost_measurement_fini(m);
    json_free(&root);
    free(text);
    return status;
}

void cost_measurement_fini(cost_measurement *m)
{
    free(m->points);
    *m = (cost_measurement){0};
}
