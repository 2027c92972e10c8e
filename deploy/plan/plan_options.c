/* plan_options.c - see plan_options.h. */
#include "deploy/plan/plan_options.h"

#include <argp.h>
#include <string.h>

#include "common/options.h"
#include "common/partition.h"
#include "deploy/plan/cost_constants.h"
#include "deploy/quantity.h"

/* Keys of options without a short form. */
enum {
    KEY_MODEL_BYTES = 256,
    KEY_COMPUTE_MS,
    KEY_WORKERS,
    KEY_OPTIMIZER,
    KEY_OVERLAP,
    KEY_BANDWIDTH,
    KEY_LATENCY_US,
    KEY_ONE_HOST,
    KEY_TRANSPORT,
    KEY_SERVERS,
    KEY_MAX_SERVERS,
    KEY_SLICE_BYTES,
    KEY_PUSH_CODEC,
    KEY_PULL_CODEC,
    KEY_SLICE_UPDATES,
    KEY_CONSTANTS,
    KEY_CHECK,
    KEY_JSON,
};

#define MODEL_BYTES_MAX    ((double)PARTITION_SLICES_MAX * JOB_SLICE_BYTES_MAX)
#define BANDWIDTH_BITS_MIN 1e3
#define BANDWIDTH_BITS_MAX 1e14
#define COMPUTE_MS_MAX     1e9
#define LATENCY_US_MAX     1e9
#define OVERLAP_MAX        0.999
#define LATENCY_DEFAULT_S  10e-6
enum { CORES_MAX = 4096 };

static const struct argp_option option_list[] = {
    {NULL, 0, NULL, 0, "Job", 1},
    {"model-bytes", KEY_MODEL_BYTES, "BYTES", 0, "All parameters as float32: 4 bytes each", 1},
    {"compute-ms", KEY_COMPUTE_MS, "MS", 0, "A worker's forward and backward of one step, undisturbed", 1},
    {"workers", KEY_WORKERS, "N", 0, "Number of workers", 1},
    {"optimizer", KEY_OPTIMIZER, "NAME", 0, "As of penstock-worker (sgd)", 1},
    {"overlap", KEY_OVERLAP, "SHARE", 0,
     "Share of the gradients pushed before backward ends: (layers - 1) / layers for a client that "
     "pushes each of so many equal layers when it is ready; 0 for one that pushes once per step, as "
     "penstock-worker does "
     "(0)",
     1},
    {NULL, 0, NULL, 0, "Hosts", 2},
    {"bandwidth", KEY_BANDWIDTH, "RATE", 0,
     "Of each host's network, in bit/s and each direction: 100G is 100 Gbit/s", 2},
    {"latency-us", KEY_LATENCY_US, "US", 0, "Of the network, one way (10)", 2},
    {"one-host", KEY_ONE_HOST, "CORES", 0, "All processes share one host of so many cores, and no network",
     2},
    {"transport", KEY_TRANSPORT, "NAME", 0, "tcp, or on one host shared memory: shared (tcp)", 2},
    {NULL, 0, NULL, 0, "What is searched unless given", 3},
    {"ps", KEY_SERVERS, "N", 0, "Number of parameter servers", 3},
    {"max-ps", KEY_MAX_SERVERS, "N", 0, "Search up to so many (as many as workers)", 3},
    {"slice-bytes", KEY_SLICE_BYTES, "BYTES", 0, "Largest slice", 3},
    {"push-codec", KEY_PUSH_CODEC, "NAME", 0, "Of gradients: fp32, bf16, fp16 or int8", 3},
    {NULL, 0, NULL, 0, "Assumptions", 4},
    {"pull-codec", KEY_PULL_CODEC, "NAME", 0, "Of weights, likewise (fp32)", 4},
    {"slice-updates", KEY_SLICE_UPDATES, NULL, 0,
     "As if ps updated each slice when its gradients are there. They wait for the whole step", 4},
    {"constants", KEY_CONSTANTS, "FILE", 0,
     "What the code costs on your machine, from `penstock bench --json' (built in: " COST_CONSTANTS_MACHINE
     ")",
     4},
    {NULL, 0, NULL, 0, "Output", 5},
    {"check", KEY_CHECK, "FILE", 0,
     "Predict the steps that `penstock bench --json' measured, from the constants it measured, and compare",
     5},
    {"json", KEY_JSON, NULL, 0, "Print JSON instead of tables", 5},
    {0},
};

static const char documentation[] =
    "Say how many parameter servers a job needs, how to cut its model, and how long a step will take."
    "\vBYTES and RATE take K, M, G, T (powers of 1000) or Ki, Mi, Gi, Ti (powers of 1024). --model-bytes, "
    "--compute-ms, --workers and either --bandwidth or --one-host must be given. The prediction is a "
    "model of undisturbed synchronous steps: deploy/plan/cost_model.h states its formulas and what it leaves "
    "out.\n\n"
    "Recommended is the smallest number of ps within 2 % of the shortest step; a coarser codec only if "
    "it takes more than 5 % off it.\n\n"
    "Example:\n"
    "  penstock plan --model-bytes 400M --compute-ms 120 --workers 64 --bandwidth 100G --optimizer adam";

/* argp_error ends the program. */
static void check(struct argp_state *state, ps_status status, const ps_error *error)
{
    if (status != PS_OK)
        argp_error(state, "%s", error->text);
}

static uint32_t parse_count(struct argp_state *state, const char *option, const char *text, uint32_t most)
{
    uint32_t value = 0;
    ps_error error;
    check(state, option_u32(option, text, 1, most, &value, &error), &error);
    return value;
}

static double parse_real(struct argp_state *state, const char *option, const char *text, double most)
{
    double value = 0;
    ps_error error;
    check(state, option_real(option, text, &value, &error), &error);
    if (value < 0 || value > most)
        argp_error(state, "--%s: '%s' is not a number from 0 to %.15g", option, text, most);
    return value;
}

static double parse_bytes(struct argp_state *state, const char *option, const char *text, double least,
                          double most)
{
    double value = 0;
    ps_error error;
    check(state, quantity_bytes(option, text, least, most, &value, &error), &error);
    return value;
}

static plan_codec parse_codec(struct argp_state *state, const char *option, const char *text)
{
    plan_codec codec = PLAN_FP32;
    ps_error error;
    check(state, plan_codec_parse(option, text, &codec, &error), &error);
    return codec;
}

static void check_together(struct argp_state *state, plan_options *options)
{
    plan_request *request = &options->request;
    const cost_input *job = &request->job;
    if (options->check_file) {
        if (options->constants_file)
            argp_error(state, "--check takes the constants from its own file: leave out --constants");
        return;
    }
    if (job->model_bytes == 0)
        argp_error(state, "--model-bytes is missing");
    if (job->compute_s == 0)
        argp_error(state, "--compute-ms is missing, or 0");
    if (job->workers == 0)
        argp_error(state, "--workers is missing");
    if (job->bandwidth == 0 && job->cores == 0)
        argp_error(state, "--bandwidth or --one-host is missing");
    if (job->bandwidth > 0 && job->cores > 0)
        argp_error(state, "--bandwidth and --one-host exclude each other: on one host there is no network");
    if (job->transport == COST_SHARED && job->cores == 0)
        argp_error(state, "--transport shared needs --one-host");
    if (request->servers_least > 0 && request->servers_most > 0)
        argp_error(state, "--ps and --max-ps exclude each other");
    if (request->servers_least > 0)
        request->servers_most = request->servers_least;
    else
        request->servers_least = 1;
    if (request->servers_most == 0)
        request->servers_most = job->workers < JOB_SERVERS_MAX ? job->workers : JOB_SERVERS_MAX;
}

static error_t parse_one(int key, char *argument, struct argp_state *state)
{
    plan_options *options = state->input;
    plan_request *request = &options->request;
    cost_input *job = &request->job;
    ps_error error;
    switch (key) {
    case KEY_MODEL_BYTES:
        job->model_bytes = parse_bytes(state, "model-bytes", argument, sizeof(float), MODEL_BYTES_MAX);
        return 0;
    case KEY_COMPUTE_MS:
        job->compute_s = parse_real(state, "compute-ms", argument, COMPUTE_MS_MAX) / 1e3;
        return 0;
    case KEY_WORKERS:
        job->workers = parse_count(state, "workers", argument, JOB_WORKERS_MAX);
        return 0;
    case KEY_OPTIMIZER:
        if (optimizer_kind_parse(argument, &job->optimizer, &error) != PS_OK)
            argp_error(state, "--optimizer: %s", error.text);
        return 0;
    case KEY_OVERLAP:
        job->overlap = parse_real(state, "overlap", argument, OVERLAP_MAX);
        return 0;
    case KEY_BANDWIDTH:
        check(state,
              quantity_rate("bandwidth", argument, BANDWIDTH_BITS_MIN, BANDWIDTH_BITS_MAX, &job->bandwidth,
                            &error),
              &error);
        return 0;
    case KEY_LATENCY_US:
        job->latency_s = parse_real(state, "latency-us", argument, LATENCY_US_MAX) / 1e6;
        return 0;
    case KEY_ONE_HOST:
        job->cores = parse_count(state, "one-host", argument, CORES_MAX);
        return 0;
    case KEY_TRANSPORT:
        if (!cost_transport_parse(argument, &job->transport))
            argp_error(state, "--transport: '%s' is none of tcp, shared", argument);
        return 0;
    case KEY_SERVERS:
        request->servers_least = parse_count(state, "ps", argument, JOB_SERVERS_MAX);
        return 0;
    case KEY_MAX_SERVERS:
        request->servers_most = parse_count(state, "max-ps", argument, JOB_SERVERS_MAX);
        return 0;
    case KEY_SLICE_BYTES:
        request->slice_bytes =
            parse_bytes(state, "slice-bytes", argument, JOB_SLICE_BYTES_MIN, JOB_SLICE_BYTES_MAX);
        return 0;
    case KEY_PUSH_CODEC:
        request->push_codec = parse_codec(state, "push-codec", argument);
        request->search_codec = false;
        return 0;
    case KEY_PULL_CODEC:
        options->pull_codec = parse_codec(state, "pull-codec", argument);
        return 0;
    case KEY_SLICE_UPDATES:
        job->pipelined = true;
        return 0;
    case KEY_CONSTANTS:
        options->constants_file = argument;
        return 0;
    case KEY_CHECK:
        options->check_file = argument;
        return 0;
    case KEY_JSON:
        options->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is no option", argument);
        return 0;
    case ARGP_KEY_END:
        check_together(state, options);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void plan_options_parse(int argc, char **argv, plan_options *options)
{
    static const struct argp parser = {.options = option_list, .parser = parse_one, .doc = documentation};
    *options = (plan_options){
        .request = {.job = {.latency_s = LATENCY_DEFAULT_S, .pipelined = COST_PIPELINED},
                    .search_codec = true},
    };
    argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, options);
}
