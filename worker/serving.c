/* serving.c - see serving.h: which path is what, and how an inference gets from the HTTP server's thread to
 * the batcher's and back. */
#include "worker/serving.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/metrics.h"
#include "worker/batcher.h"
#include "worker/inference.h"
#include "worker/v2_answer.h"
#include "worker/v2_request.h"

enum { MEMORY_BYTES = 64 << 10 /* of a connection, beside its body */ };

/* ---- what is counted ---- */

enum { COUNTED_BUILD, COUNTED_READY, COUNTED_QUEUE, COUNTED_REQUESTS, COUNTED_SECONDS, COUNTED };

static const unsigned statuses[] = {200, 400, 404, 405, 413, 415, 500, 503};
enum { STATUSES = sizeof statuses / sizeof statuses[0] };
static const char *const build_labels[] = {"version=\"" PENSTOCK_VERSION "\"", NULL};
static const char *const status_labels[STATUSES + 1] = {
    "code=\"200\"", "code=\"400\"", "code=\"404\"", "code=\"405\"",
    "code=\"413\"", "code=\"415\"", "code=\"500\"", "code=\"503\"",
};

static const metric table[COUNTED] = {
    [COUNTED_BUILD] = {METRIC_GAUGE, METRIC_ONE, "penstock_serve_build_info", "1; which build it is.",
                       build_labels, NULL},
    [COUNTED_READY] = {METRIC_GAUGE, METRIC_ONE, "penstock_serve_ready", "1 while it is ready, else 0.", NULL,
                       NULL},
    [COUNTED_QUEUE] = {METRIC_GAUGE, METRIC_ONE, "penstock_serve_queue_depth",
                       "Inferences that wait to be computed.", NULL, NULL},
    [COUNTED_REQUESTS] = {METRIC_COUNTER, METRIC_ONE, "penstock_serve_requests_total",
                          "Requests of the v2 protocol, by the status of their answer.", status_labels, NULL},
    [COUNTED_SECONDS] = {METRIC_HISTOGRAM, METRIC_NS, "penstock_serve_inference_seconds",
                         "From the head of a request for an inference to its answer, of those that got one.",
                         NULL, &metric_buckets_ns},
};

struct serving {
    serving_config config;
    v2_model model;
    inference *inference;
    batcher *batcher;
    http *server;
    http_service service;
    metrics *counted; /* the HTTP server's thread's */
    http_refusals refused;
    _Atomic bool turns_away, closed;
};

/* An inference on its way. */
typedef struct {
    batch_job job; /* first: the batcher gives it back */
    serving *serving;
    http_request *http;
    v2_request request;
} errand;

/* ---- answers ---- */

/* Takes over `body`. */
static void reply(const serving *s, http_request *r, unsigned status, char *body, size_t bytes)
{
    const http_answer answer = {
        .status = body ? status : 500,
        .type = "application/json",
        .body = body,
        .bytes = body ? bytes : 0,
        .retry_after_s = status == 503 ? SERVING_RETRY_S : 0,
        .close = atomic_load(&s->closed),
    };
    http_reply(r, &answer);
}

static void refuse(const serving *s, http_request *r, unsigned status, const char *reason)
{
    size_t bytes = 0;
    char *body = v2_answer_error(reason, &bytes);
    reply(s, r, status, body, bytes);
}

static void refuse_method(const serving *s, http_request *r, const char *allowed)
{
    char reason[80];
    size_t bytes = 0;
    snprintf(reason, sizeof reason, "%.16s is not for this path; %s is", r->method, allowed);
    char *body = v2_answer_error(reason, &bytes);
    const http_answer answer = {.status = 405,
                                .type = "application/json",
                                .body = body,
                                .bytes = bytes,
                                .allow = allowed,
                                .close = atomic_load(&s->closed)};
    http_reply(r, &answer);
}

/* ---- paths ---- */

typedef enum {
    ROUTE_NONE,
    ROUTE_SERVER,
    ROUTE_LIVE,
    ROUTE_READY,
    ROUTE_MODEL,
    ROUTE_MODEL_READY,
    ROUTE_INFER,
} route;

/* Passes `text` and then a '/' or the end. */
static bool pass(const char **path, const char *text)
{
    const size_t length = strlen(text);
    if (strncmp(*path, text, length) != 0 || ((*path)[length] != '\0' && (*path)[length] != '/'))
        return false;
    *path += length;
    return true;
}

/* For ROUTE_NONE `why` (bytes) says what is not there. */
static route find_route(const v2_model *model, const char *path, char *why, size_t bytes)
{
    static const struct {
        const char *path;
        route to;
    } fixed[] = {{"/v2", ROUTE_SERVER},
                 {"/v2/", ROUTE_SERVER},
                 {"/v2/health/live", ROUTE_LIVE},
                 {"/v2/health/ready", ROUTE_READY}},
      ends[] = {{"", ROUTE_MODEL}, {"/ready", ROUTE_MODEL_READY}, {"/infer", ROUTE_INFER}};
    const char *rest = path;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (strcmp(path, fixed[i].path) == 0)
            return fixed[i].to;
    snprintf(why, bytes, "there is no '%.200s'; the protocol's paths begin with /v2", path);
    if (!pass(&rest, "/v2") || !pass(&rest, "/models") || *rest++ != '/')
        return ROUTE_NONE;
    if (!pass(&rest, model->name)) {
        const size_t length = strcspn(rest, "/");
        snprintf(why, bytes, "there is no model '%.*s'; here is '%s'", length < 200 ? (int)length : 200, rest,
                 model->name);
        return ROUTE_NONE;
    }
    if (pass(&rest, "/versions") && (*rest++ != '/' || !pass(&rest, V2_VERSION))) {
        snprintf(why, bytes, "there is no such version of model '%s'; there is " V2_VERSION, model->name);
        return ROUTE_NONE;
    }
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (strcmp(rest, ends[i].path) == 0)
            return ends[i].to;
    return ROUTE_NONE;
}

/* ---- requests, on the HTTP server's thread ---- */

static const char ending[] = "this server is ending; ask another";

/* Why the body of an inference is none that is read here, or NULL. */
static const char *foreign_body(const http_request *r)
{
    const char *type = http_header(r, "Content-Type"), *coding = http_header(r, "Content-Encoding");
    if (coding && strcasecmp(coding, "identity") != 0)
        return "a body with a Content-Encoding is not read here; send it as it is";
    if (http_header(r, "Inference-Header-Content-Length") ||
        (type && strncasecmp(type, "application/octet-stream", 24) == 0))
        return "binary tensors are not read here; send JSON";
    return NULL;
}

static void take_head(void *context, http_request *r)
{
    const serving *s = context;
    char why[320] = "";
    const route to = find_route(&s->model, r->path, why, sizeof why);
    const bool infers = to == ROUTE_INFER;
    const char *foreign = infers ? foreign_body(r) : NULL;
    if (to == ROUTE_NONE)
        refuse(s, r, 404, why);
    else if (infers && strcmp(r->method, "POST") != 0)
        refuse_method(s, r, "POST");
    else if (!infers && strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0)
        refuse_method(s, r, "GET, HEAD");
    else if (foreign)
        refuse(s, r, 415, foreign);
    else if (infers && atomic_load(&s->closed))
        refuse(s, r, 503, ending);
    else
        r->body_max = infers ? s->config.body_max_bytes : 0;
}

/* On the batcher's thread. */
static void finish(batch_job *job, ps_status status, const float *logits)
{
    errand *e = (errand *)job;
    char *text = NULL;
    size_t bytes = 0;
    ps_error error;
    if (status == PS_OK)
        status = v2_answer_inference(&e->serving->model, &e->request, logits, &text, &bytes, &error);
    else
        ps_fail(&error, status, "%s", ps_status_text(status));
    if (status == PS_OK)
        reply(e->serving, e->http, 200, text, bytes);
    else
        refuse(e->serving, e->http, status == PS_ENONFINITE ? 400 : 500, error.text);
    v2_request_fini(&e->request);
    free(e);
}

static void infer(serving *s, http_request *r)
{
    ps_error error;
    char full[80];
    errand *e = calloc(1, sizeof *e);
    ps_status status = e ? v2_request_parse(&s->model, r->body, r->body_bytes, &e->request, &error)
                         : ps_fail(&error, PS_ENOMEM, "out of memory");
    if (status != PS_OK) {
        refuse(s, r, status == PS_ENOMEM ? 500 : 400, error.text);
        free(e);
        return;
    }
    e->serving = s;
    e->http = r;
    e->job = (batch_job){.features = e->request.features, .rows = e->request.rows, .done = finish};
    status = batcher_submit(s->batcher, &e->job);
    if (status == PS_OK)
        return;
    snprintf(full, sizeof full, "%u inferences wait already; try again", s->config.queue_max);
    refuse(s, r, 503, status == PS_ELIMIT ? full : ending);
    v2_request_fini(&e->request);
    free(e);
}

static void refuse_body(const serving *s, http_request *r)
{
    char reason[120];
    if (r->body_is == HTTP_BODY_NO_MEMORY) {
        refuse(s, r, 503, "there are too many bytes of requests here at the moment; try again");
        return;
    }
    if (r->body_max == 0)
        snprintf(reason, sizeof reason, "a request to this path has no body");
    else
        snprintf(reason, sizeof reason, "the body is longer than %zu bytes (--max-body-mib); send fewer rows",
                 r->body_max);
    refuse(s, r, 413, reason);
}

static void take_whole(void *context, http_request *r)
{
    serving *s = context;
    char why[320] = "", *body = NULL;
    size_t bytes = 0;
    const bool ready = !atomic_load(&s->turns_away);
    unsigned status = 200;
    if (r->body_is != HTTP_BODY_WHOLE) {
        refuse_body(s, r);
        return;
    }
    switch (find_route(&s->model, r->path, why, sizeof why)) {
    case ROUTE_NONE: /* refused by its head */
        break;
    case ROUTE_INFER:
        infer(s, r);
        return;
    case ROUTE_SERVER:
        body = v2_answer_server(&bytes);
        break;
    case ROUTE_LIVE:
        body = v2_answer_state("live", true, &bytes);
        break;
    case ROUTE_READY:
    case ROUTE_MODEL_READY:
        status = ready ? 200 : 503;
        body = v2_answer_state("ready", ready, &bytes);
        break;
    case ROUTE_MODEL:
        body = v2_answer_model(&s->model, &bytes);
        break;
    }
    reply(s, r, status, body, bytes);
}

static void note_answered(void *context, const http_request *r, unsigned status)
{
    serving *s = context;
    for (uint32_t i = 0; i < STATUSES; i++)
        if (statuses[i] == status)
            metrics_add(s->counted, COUNTED_REQUESTS, i, 1);
    if (status == 200 && r->body_max > 0)
        metrics_observe(s->counted, COUNTED_SECONDS, 0, clock_monotonic_ns() - r->begun_ns);
}

static unsigned show_metrics(void *context, FILE *body)
{
    serving *s = context;
    metrics_set(s->counted, COUNTED_READY, 0, !atomic_load(&s->turns_away));
    metrics_set(s->counted, COUNTED_QUEUE, 0, batcher_depth(s->batcher));
    metrics_print(s->counted, body);
    batcher_print(s->batcher, body);
    http_refusals_print(&s->refused, "penstock_serve_refused_http_requests_total", body);
    return 200;
}

static const http_page pages[] = {
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", show_metrics, false},
};

/* Probes bring no token. */
static const char *const for_all[] = {"/v2/health/live", "/v2/health/ready", NULL};

/* ---- start and end ---- */

static ps_status compute(void *context, const float *features, uint32_t rows, float *logits)
{
    return inference_logits(context, features, rows, logits);
}

/* The first product of OpenBLAS takes longer than others: before anybody waits for it. */
static ps_status warm_up(const serving *s, ps_error *error)
{
    float *features = calloc(s->model.inputs, sizeof *features);
    float *logits = malloc(s->model.classes * sizeof *logits);
    ps_status status = features && logits ? inference_logits(s->inference, features, 1, logits) : PS_ENOMEM;
    free(features);
    free(logits);
    return status == PS_OK ? PS_OK
                           : ps_fail(error, status, "the model does not compute: %s", ps_status_text(status));
}

static ps_status start_batcher(serving *s, ps_error *error)
{
    const batcher_config config = {
        .inputs = s->model.inputs,
        .classes = s->model.classes,
        .rows_max = s->model.rows_max,
        .batch_max = s->config.batch_max < s->model.rows_max ? s->config.batch_max : s->model.rows_max,
        .wait_us = s->config.wait_us,
        .queue_max = s->config.queue_max,
        .compute = compute,
        .context = s->inference,
    };
    return batcher_create(&config, &s->batcher, error);
}

static ps_status start_server(serving *s, ps_error *error)
{
    s->service = (http_service){
        .connections_max = SERVING_CONNECTIONS_MAX,
        .patience_ms = SERVING_PATIENCE_MS,
        .memory_bytes = MEMORY_BYTES,
        .bodies_max_bytes = SERVING_BODIES_MAX,
        .for_all = for_all,
        .head = take_head,
        .whole = take_whole,
        .answered = note_answered,
    };
    const http_config config = {
        .address = s->config.address,
        .port = s->config.port,
        .port_file = s->config.port_file,
        .hosts = s->config.hosts,
        .token = s->config.token,
        .is_open = s->config.is_open,
        .pages = pages,
        .page_count = sizeof pages / sizeof pages[0],
        .refused = &s->refused,
        .service = &s->service,
        .context = s,
        .options = "",
    };
    return http_start(&config, &s->server, error);
}

static ps_status check_name(const char *name, ps_error *error)
{
    const size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (name[0] == '\0' || name[length] != '\0' || length > V2_NAME_MAX)
        return ps_fail(error, PS_EINVAL,
                       "--model-name: '%.80s' is no name for a model: 1 to %d letters, digits, '.', '_', '-'",
                       name, V2_NAME_MAX);
    return PS_OK;
}

static uint32_t rows_max(const mlp_config *c)
{
    const uint32_t widest = c->inputs > c->classes ? c->inputs : c->classes;
    const uint32_t rows = SERVING_ELEMENTS_MAX / widest;
    return rows < INFERENCE_ROWS ? rows : INFERENCE_ROWS;
}

ps_status serving_start(const serving_config *config, const saved_model *model, backend *on, serving **out,
                        ps_error *error)
{
    *out = NULL;
    ps_status status = check_name(config->name, error);
    if (status != PS_OK)
        return status;
    serving *s = calloc(1, sizeof *s);
    if (!s)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    s->config = *config;
    s->model = (v2_model){.name = config->name,
                          .inputs = model->config.inputs,
                          .classes = model->config.classes,
                          .rows_max = rows_max(&model->config)};
    s->counted = metrics_create(table, COUNTED);
    metrics_set(s->counted, COUNTED_BUILD, 0, 1);
    status = s->counted ? inference_create(model, on, &s->inference, error)
                        : ps_fail(error, PS_ENOMEM, "out of memory for metrics");
    if (status == PS_OK)
        status = warm_up(s, error);
    if (status == PS_OK)
        status = start_batcher(s, error);
    if (status == PS_OK)
        status = start_server(s, error);
    if (status != PS_OK)
        serving_stop(&s);
    *out = s;
    return status;
}

uint16_t serving_port(const serving *s)
{
    return http_port(s->server);
}

void serving_turn_away(serving *s)
{
    atomic_store(&s->turns_away, true);
}

void serving_close(serving *s)
{
    atomic_store(&s->turns_away, true);
    atomic_store(&s->closed, true);
}

uint32_t serving_under_way(const serving *s)
{
    return http_under_way(s->server);
}

void serving_stop(serving **handle)
{
    serving *s = *handle;
    *handle = NULL;
    if (!s)
        return;
    serving_close(s);
    batcher_close(s->batcher); /* so that all that was taken is replied to, as http_stop wants it */
    http_stop(&s->server);
    batcher_destroy(&s->batcher);
    inference_destroy(&s->inference);
    metrics_destroy(&s->counted);
    free(s);
}
