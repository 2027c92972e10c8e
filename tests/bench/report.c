/* report.c - the figures as JSON. See results.h, and README.md for the schema. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "tests/bench/results.h"

/* JSON knows no NAN: null. */
static bool add_number(cJSON *object, const char *key, double value)
{
    return isnan(value) ? cJSON_AddNullToObject(object, key) : cJSON_AddNumberToObject(object, key, value);
}

static bool add_host(cJSON *root)
{
    char name[128];
    host_processor(name, sizeof name);
    cJSON *host = cJSON_AddObjectToObject(root, "host");
    return host && cJSON_AddStringToObject(host, "cpu", name) && add_number(host, "cores", host_cores());
}

static bool add_row(cJSON *list, const result_row *row)
{
    cJSON *o = cJSON_CreateObject();
    if (!o || !cJSON_AddItemToArray(list, o))
        return false;
    bool judged = !isnan(row->wanted) || !isnan(row->cpu_wanted);
    return cJSON_AddStringToObject(o, "case", row->name) && add_number(o, "bytes", (double)row->bytes) &&
           cJSON_AddStringToObject(o, "unit", row->unit) && add_number(o, "penstock", row->penstock) &&
           add_number(o, "floor", row->floor) && add_number(o, "ratio", row->ratio) &&
           add_number(o, "wanted", row->wanted) &&
           cJSON_AddStringToObject(o, "wanted_is", row->at_most ? "at most" : "at least") &&
           add_number(o, "cpu_penstock", row->cpu_penstock) && add_number(o, "cpu_floor", row->cpu_floor) &&
           add_number(o, "cpu_ratio", row->cpu_ratio) && add_number(o, "cpu_wanted", row->cpu_wanted) &&
           add_number(o, "resident_bytes", row->resident_bytes) &&
           add_number(o, "stored_bytes", row->stored_bytes) &&
           (judged ? cJSON_AddBoolToObject(o, "met", row_is_met(row)) : cJSON_AddNullToObject(o, "met"));
}

static bool add_constants(cJSON *root, const result_constants *c)
{
    cJSON *o = cJSON_AddObjectToObject(root, "constants");
    bool ok = o && add_number(o, "cores", host_cores());
#define CONSTANT_ADD(name) ok = ok && add_number(o, #name, c->name);
    CONSTANT_LIST(CONSTANT_ADD)
#undef CONSTANT_ADD
    return ok;
}

static bool add_point(cJSON *list, const result_point *p)
{
    cJSON *o = cJSON_CreateObject();
    return o && cJSON_AddItemToArray(list, o) &&
           cJSON_AddStringToObject(o, "transport", p->shared ? "shared" : "tcp") &&
           add_number(o, "servers", p->servers) && add_number(o, "workers", p->workers) &&
           add_number(o, "model_bytes", (double)p->model_bytes) &&
           add_number(o, "slice_bytes", p->slice_bytes) && add_number(o, "compute_s", p->compute_s) &&
           add_number(o, "step_s", p->step_s);
}

static bool build(const results *r, cJSON *root)
{
    if (!cJSON_AddStringToObject(root, "schema", "penstock-bench/1") || !add_host(root))
        return false;
    cJSON *rows = cJSON_AddArrayToObject(root, "rows");
    for (uint32_t i = 0; i < r->row_count; i++)
        if (!rows || !add_row(rows, &r->rows[i]))
            return false;
    if (!add_constants(root, &r->constants))
        return false;
    cJSON *points = cJSON_AddArrayToObject(root, "plan_points");
    for (uint32_t i = 0; i < r->point_count; i++)
        if (!points || !add_point(points, &r->points[i]))
            return false;
    return rows && points;
}

ps_status report_write(const results *r, const char *path, ps_error *error)
{
    ps_status status = PS_OK;
    cJSON *root = cJSON_CreateObject();
    char *text = root && build(r, root) ? cJSON_Print(root) : NULL;
    if (text) {
        const struct iovec parts[] = {{text, strlen(text)}, {(char[]){'\n'}, 1}};
        status = file_write_atomic(path, parts, 2, error);
    } else {
        status = ps_fail(error, PS_ENOMEM, "out of memory for %s", path);
    }
    cJSON_free(text);
    cJSON_Delete(root);
    return status;
}
