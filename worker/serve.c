/* serve.c - penstock-serve, which people call as `penstock serve`: options, and the process's life. */
#include <argp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/first_process.h"
#include "common/fpmode.h"
#include "common/log.h"
#include "common/options.h"
#include "common/stop.h"
#include "worker/blas_select.h"
#include "worker/inference.h"
#include "worker/serving.h"
#include "worker/v2_model.h"

enum { PORT_DEFAULT = 8080, THREADS_MAX = 256, WAIT_US_MAX = 1000000, QUEUE_MAX = 65536, LOOK_MS = 20 };

const char *argp_program_version = "penstock serve " PENSTOCK_VERSION;

typedef struct {
    const char *folder;
    char name[V2_NAME_MAX + 2]; /* one more, to be found too long */
    serving_config serving;
    http_hosts hosts;
    const char *token_file; /* NULL: the environment's, if there is one */
    http_token token;
    uint32_t threads;
    uint32_t linger_ms, stop_ms;
    log_level level;
    log_format format;
} serve_options;

/* ---- options ---- */

enum {
    KEY_ADDRESS = 256,
    KEY_PORT_FILE,
    KEY_HOST,
    KEY_TOKEN_FILE,
    KEY_OPEN,
    KEY_NAME,
    KEY_BATCH,
    KEY_WAIT,
    KEY_QUEUE,
    KEY_BODY,
    KEY_THREADS,
    KEY_LINGER,
    KEY_STOP,
    KEY_LOG_LEVEL,
    KEY_LOG_FORMAT,
};

static const struct argp_option option_list[] = {
    {"port", 'p', "N", 0, "Listen on this port; 0: on any that is free (8080)", 0},
    {"address", KEY_ADDRESS, "ADDRESS", 0, "Where to listen, a numeric address (127.0.0.1)", 0},
    {"port-file", KEY_PORT_FILE, "FILE", 0, "Write the address and port to FILE, once it listens", 0},
    {"host", KEY_HOST, "NAME", 0,
     "A name by which it may be asked, beside localhost and addresses; may be repeated (on loopback none, "
     "else "
     "any)",
     0},
    {"token-file", KEY_TOKEN_FILE, "FILE", 0,
     "A file of one line, for its owner alone, which is asked for (Authorization: Bearer ...), but not of "
     "probes of /v2/health/live and /v2/health/ready (the environment's " HTTP_TOKEN_VARIABLE ", or none)",
     0},
    {"open", KEY_OPEN, 0, 0,
     "Without a token, answer other hosts too more than /v2/health/live and /v2/health/ready", 0},
    {"model-name", KEY_NAME, "NAME", 0, "What the model is called in paths (the folder's last name)", 0},
    {"max-batch", KEY_BATCH, "ROWS", 0,
     "Compute up to so many rows of several requests together; 1: each request alone (64)", 0},
    {"max-wait-us", KEY_WAIT, "US", 0, "Wait so long for a batch to fill; 0: take what is there (0)", 0},
    {"max-queue", KEY_QUEUE, "N", 0, "Requests that may wait to be computed; more are refused with 503 (256)",
     0},
    {"max-body-mib", KEY_BODY, "MIB", 0, "Bytes of a request; more are refused with 413 (16)", 0},
    {"threads", KEY_THREADS, "N", 0, "Threads that share the products of a batch (1)", 0},
    {"linger-secs", KEY_LINGER, "N", 0,
     "After SIGTERM: seconds to go on answering, not ready any more, so that who sends requests notices (0)",
     0},
    {"stop-secs", KEY_STOP, "N", 0, "After that: seconds for requests that have begun (20)", 0},
    {"log-level", KEY_LOG_LEVEL, "LEVEL", 0, "debug, info (default), warning, error or off", 0},
    {"log-format", KEY_LOG_FORMAT, "FORMAT", 0, "text (default) or json", 0},
    {0}};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    serve_options *o = state->input;
    serving_config *s = &o->serving;
    ps_error error = {PS_OK, ""};
    uint64_t number = 0;
    switch (key) {
    case 'p':
        option_unsigned("port", argument, 0, UINT16_MAX, &number, &error);
        s->port = (uint16_t)number;
        break;
    case KEY_ADDRESS:
        s->address = argument;
        return 0;
    case KEY_PORT_FILE:
        s->port_file = argument;
        return 0;
    case KEY_HOST:
        if (http_hosts_add(&o->hosts, argument, NULL) != PS_OK)
            argp_error(state, "--host: '%s' is no host name, or one more than %d", argument, HTTP_HOSTS_MAX);
        return 0;
    case KEY_TOKEN_FILE:
        o->token_file = argument;
        return 0;
    case KEY_OPEN:
        s->is_open = true;
        return 0;
    case KEY_NAME:
        s->name = argument;
        return 0;
    case KEY_BATCH:
        option_unsigned("max-batch", argument, 1, INFERENCE_ROWS, &number, &error);
        s->batch_max = (uint32_t)number;
        break;
    case KEY_WAIT:
        option_unsigned("max-wait-us", argument, 0, WAIT_US_MAX, &number, &error);
        s->wait_us = (uint32_t)number;
        break;
    case KEY_QUEUE:
        option_unsigned("max-queue", argument, 1, QUEUE_MAX, &number, &error);
        s->queue_max = (uint32_t)number;
        break;
    case KEY_BODY:
        option_unsigned("max-body-mib", argument, 1, SERVING_BODIES_MAX >> 20, &number, &error);
        s->body_max_bytes = (uint32_t)number << 20;
        break;
    case KEY_THREADS:
        option_unsigned("threads", argument, 1, THREADS_MAX, &number, &error);
        o->threads = (uint32_t)number;
        break;
    case KEY_LINGER:
        option_unsigned("linger-secs", argument, 0, 1000000, &number, &error);
        o->linger_ms = (uint32_t)number * 1000;
        break;
    case KEY_STOP:
        option_unsigned("stop-secs", argument, 0, 1000000, &number, &error);
        o->stop_ms = (uint32_t)number * 1000;
        break;
    case KEY_LOG_LEVEL:
        log_level_parse(argument, &o->level, &error);
        break;
    case KEY_LOG_FORMAT:
        log_format_parse(argument, &o->format, &error);
        break;
    case ARGP_KEY_ARG:
        if (o->folder)
            argp_error(state, "one model at a time, not '%s' and '%s'", o->folder, argument);
        o->folder = argument;
        return 0;
    case ARGP_KEY_END:
        if (!o->folder)
            argp_error(state, "the model is missing: a folder such as outputs/model");
        http_token_find(o->token_file, "--token-file", &o->token, &error);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (error.text[0])
        argp_error(state, "%s", error.text);
    return 0;
}

static const struct argp parser = {
    .options = option_list,
    .parser = parse_option,
    .args_doc = "MODEL",
    .doc =
        "Answer over HTTP what a trained model makes of images, by the v2 inference protocol of KServe and "
        "Triton.\v"
        "MODEL is the folder that training has left, with model.json and model.safetensors.\n\n"
        "  penstock serve outputs/model\n"
        "  curl 127.0.0.1:8080/v2/models/model\n"
        "  curl 127.0.0.1:8080/v2/models/model/infer -d '{\"inputs\": [{\"name\": \"images\", \"datatype\": "
        "\"UINT8\", \"shape\": [1, 784], \"data\": [0, 255, ...]}]}'\n\n"
        "FP32 pixels are from 0 (black) to 1, UINT8 from 0 to 255. Outputs are `logits' and `probabilities'. "
        "/metrics is for Prometheus. Connections are not encrypted. Other hosts are answered where --address "
        "lets "
        "them reach it, and only with the token of --token-file, or with --open.\n\n"
        "SIGTERM and SIGINT: not ready any more; what has begun is finished. A second one does not wait.\n\n"
        "Exit status: 143 after SIGTERM or SIGINT; 2 usage, an address or port that cannot be had; 3 a model "
        "that is missing or damaged; 1 anything else.",
};

/* The last name of the model's path, as far as it fits. */
static void name_by_folder(serve_options *o)
{
    size_t end = strlen(o->folder);
    while (end > 1 && o->folder[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && o->folder[begin - 1] != '/')
        begin--;
    snprintf(o->name, sizeof o->name, "%.*s", (int)(end - begin), o->folder + begin);
    o->serving.name = o->name;
}

/* ---- the process ---- */

/* Until `ms` have passed, nothing is under way (if that is asked), or a further signal comes. */
static void wait_at_most(uint32_t ms, const serving *idle, const volatile sig_atomic_t *stop)
{
    const uint64_t end = clock_monotonic_ms() + ms;
    const sig_atomic_t before = *stop;
    while (clock_monotonic_ms() < end && *stop == before && !(idle && serving_under_way(idle) == 0))
        poll(NULL, 0, LOOK_MS);
}

static void wind_up(serving *s, const serve_options *o, const volatile sig_atomic_t *stop)
{
    log_info("told to end: not ready any more; %u requests are under way", serving_under_way(s));
    serving_turn_away(s);
    wait_at_most(o->linger_ms, NULL, stop);
    serving_close(s);
    if (*stop == 1)
        wait_at_most(o->stop_ms, s, stop);
    const uint32_t left = serving_under_way(s);
    if (left > 0)
        log_warning("%u requests had begun and are not answered", left);
}

static ps_status run(const serve_options *o, const saved_model *model, backend *on, ps_error *error)
{
    const volatile sig_atomic_t *stop = stop_on_signals();
    serving *s;
    ps_status status = serving_start(&o->serving, model, on, &s, error);
    if (status != PS_OK)
        return status;
    log_info("serving model '%s': %u inputs, %u classes, %llu parameters", o->serving.name,
             model->config.inputs, model->config.classes, (unsigned long long)model->parameters);
    while (*stop == 0)
        poll(NULL, 0, 1000);
    wind_up(s, o, stop);
    serving_stop(&s);
    return ps_fail(error, PS_EINTERRUPTED, "ended by a signal");
}

static ps_status serve(const serve_options *o, ps_error *error)
{
    saved_model model;
    backend *cpu = NULL;
    ps_status status = saved_model_open(o->folder, &model, error);
    if (status != PS_OK)
        return status;
    fpmode_flush_denormals();
    status = backend_cpu_create(o->threads, &cpu, error);
    if (status == PS_OK)
        status = run(o, &model, cpu, error);
    if (cpu)
        cpu->ops->destroy(cpu);
    saved_model_close(&model);
    return status;
}

int main(int argc, char **argv)
{
    serve_options o = {
        .serving = {.port = PORT_DEFAULT, .body_max_bytes = 16 << 20, .batch_max = 64, .queue_max = 256},
        .threads = 1,
        .stop_ms = 20000,
        .level = LOG_INFO,
        .format = LOG_TEXT};
    char blas[512];
    ps_error error = {PS_OK, ""};
    first_process_prepare(false);
    ps_status status = blas_select(argv, blas, sizeof blas, &error); /* may start this process anew */
    argp_err_exit_status = PS_EXIT_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    o.serving.hosts = &o.hosts;
    o.serving.token = &o.token;
    if (!o.serving.name)
        name_by_folder(&o);
    log_setup("serve", o.level);
    log_set_format(o.format);
    if (status == PS_OK) {
        log_info("%s", blas);
        status = serve(&o, &error);
    }
    if (status == PS_EINTERRUPTED)
        log_info("%s", error.text);
    else
        log_error("%s", error.text);
    return ps_status_exit_code(status);
}
