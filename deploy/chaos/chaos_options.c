/* chaos_options.c - see chaos_options.h. */
#include "deploy/chaos/chaos_options.h"

#include <string.h>

#include "common/options.h"
#include "deploy/chaos/chaos_plan.h"
#include "deploy/chaos/chaos_report.h"
#include "deploy/launch/restarts.h"
#include "deploy/quantity.h"

enum {
    KEY_SEED = RUN_KEY_OTHERS,
    KEY_FAULTS,
    KEY_NET,
    KEY_LATENCY_MS,
    KEY_BANDWIDTH,
    KEY_REPORT,
    KEY_EXPECT,
    KEY_WITHIN,
    KEY_DEADLINE,
};

enum {
    DEFAULT_SERVERS = 2,
    DEFAULT_WORKERS = 3,
    DEFAULT_FAULTS = 12,
    DEFAULT_DEADLINE_S = 300,
    DEFAULT_CHECKPOINT_STEPS = 20,
    DEADLINE_MAX_S = 1000000,
    GRACE_S = 5,
    LATENCY_MAX_MS = 10000,
};

/* In bit/s; more than that we cannot carry anyway. */
#define BANDWIDTH_MIN 1e4
#define BANDWIDTH_MAX 1e10

static const struct argp_option option_list[] = {
    {"seed", KEY_SEED, "S", 0, "Without PLAN.json: from which faults are drawn (1)", 1},
    {"faults", KEY_FAULTS, "N", 0, "... and how many at least; 0: none (12)", 1},
    {"ps", RUN_KEY_SERVERS, "N", 0, "Number of parameter servers (2)", 2},
    {"workers", RUN_KEY_WORKERS, "N", 0, "Number of workers (3)", 2},
    {"net", KEY_NET, "NET", 0,
     "Where links fail: in a proxy, or between namespaces, which takes root or user namespaces (proxy)", 2},
    {"latency-ms", KEY_LATENCY_MS, "MS", 0, "Between namespaces: of every packet, one way (0)", 2},
    {"bandwidth", KEY_BANDWIDTH, "RATE", 0,
     "... and the rate of each process, each way, in bit/s: 100M, 1G (as fast as we are)", 2},
    {"checkpoint-steps", RUN_KEY_CHECKPOINT_STEPS, "N", 0, "Steps between checkpoints (20)", 2},
    {"ps-option", RUN_KEY_PS_OPTION, "OPTION", 0,
     "Goes to every ps; may be repeated, also for the value of an option", 2},
    {"expect", KEY_EXPECT, "SHA256", 0,
     "The model there should be, instead of that of a training without faults before", 3},
    {"within", KEY_WITHIN, "POINTS", 0,
     "Not the same model, but a test accuracy so near to that without faults: for async and ssp", 3},
    {"deadline", KEY_DEADLINE, "SECONDS", 0, "A training that takes longer counts as hung (300)", 3},
    {"report", KEY_REPORT, "FILE", 0, "Also write the report as JSON", 3},
    {"run-dir", RUN_KEY_RUN_DIR, "DIR", 0, "Where both runs go (a new folder runs/YYYYMMDD-HHMMSS)", 3},
    {"bin-dir", RUN_KEY_BIN_DIR, "DIR", 0,
     "Where penstock-ps and penstock-worker lie (beside this program, or in PATH)", 3},
    {0},
};

static const char documentation[] =
    "Train on this machine while processes are killed and stopped, the network fails, and disks are "
    "full; then tell whether the model is the one that it would be without."
    "\vPLAN.json lists the faults; without it they are drawn from a seed. deploy/chaos/chaos_plan.h "
    "describes "
    "it, and DIR/plan.json is the one that was carried out. Everything after -- goes to every worker; see "
    "penstock-worker --help.\n\n"
    "With --net proxy workers reach the ps through a proxy on loopback, and nothing takes privileges. With "
    "--net "
    "namespaces every process is in a network namespace of its own, and their packets pass through this "
    "program, "
    "so that single ones can be lost or overtake each other, too; no memory is shared then. --latency-ms and "
    "--bandwidth make hosts far apart of them, and with --faults 0 they are nothing worse.\n\n"
    "Exit code: 0 if the model is the expected one and every process ended well; 1 if not; 2 for a "
    "mistake on the command line.\n\n"
    "Example:\n"
    "  penstock chaos --seed 7 -- --data-folder mnist --steps 400\n"
    "  penstock chaos --net namespaces --latency-ms 20 --bandwidth 100M --faults 0 -- --steps 400";

static const char *parse_hash(struct argp_state *state, const char *text)
{
    if (strspn(text, "0123456789abcdefABCDEF") != CHAOS_HASH_BYTES - 1 ||
        strlen(text) != CHAOS_HASH_BYTES - 1)
        argp_error(state, "--expect: '%s' is no SHA-256, which has 64 hexadecimal digits", text);
    return text;
}

static bool parse_net(struct argp_state *state, const char *text)
{
    bool namespaces = strcmp(text, "namespaces") == 0;
    if (!namespaces && strcmp(text, "proxy") != 0)
        argp_error(state, "--net: '%s' is none of proxy, namespaces", text);
    return namespaces;
}

static double parse_rate(struct argp_state *state, const char *text)
{
    double bytes_per_s = 0;
    ps_error error;
    if (quantity_rate("bandwidth", text, BANDWIDTH_MIN, BANDWIDTH_MAX, &bytes_per_s, &error) != PS_OK)
        argp_error(state, "%s", error.text);
    return bytes_per_s;
}

static double parse_points(struct argp_state *state, const char *text)
{
    double points = 0;
    ps_error error;
    if (option_real("within", text, &points, &error) != PS_OK)
        argp_error(state, "%s", error.text);
    if (points < 0 || points > 100)
        argp_error(state, "--within: '%s' is not from 0 to 100", text);
    return points;
}

static error_t parse_one(int key, char *argument, struct argp_state *state)
{
    static const run_limits limits = {.servers_min = 1,
                                      .servers_max = CHAOS_SERVERS_MAX,
                                      .workers_min = 1,
                                      .workers_max = CHAOS_WORKERS_MAX,
                                      .server_options_max =
                                          RUN_SERVER_OPTIONS_MAX - 1 /* one is for chaos.c */};
    chaos_options *o = state->input;
    switch (key) {
    case KEY_SEED:
        o->seed = run_options_number(state, "seed", argument, 0, UINT64_MAX);
        return 0;
    case KEY_FAULTS:
        o->faults = run_options_number(state, "faults", argument, 0, CHAOS_FAULTS_MAX);
        return 0;
    case KEY_EXPECT:
        o->expected = parse_hash(state, argument);
        return 0;
    case KEY_WITHIN:
        o->within = parse_points(state, argument);
        return 0;
    case KEY_DEADLINE:
        o->deadline_s = run_options_number(state, "deadline", argument, 1, DEADLINE_MAX_S);
        return 0;
    case KEY_NET:
        o->namespaces = parse_net(state, argument);
        return 0;
    case KEY_LATENCY_MS:
        o->line.latency_ms = (uint32_t)run_options_number(state, "latency-ms", argument, 0, LATENCY_MAX_MS);
        return 0;
    case KEY_BANDWIDTH:
        o->line.bytes_per_s = (uint64_t)parse_rate(state, argument);
        return 0;
    case KEY_REPORT:
        o->report = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (o->plan_file)
            argp_error(state, "one plan at a time, not '%s' and '%s'; training options go after --",
                       o->plan_file, argument);
        o->plan_file = argument;
        return 0;
    case ARGP_KEY_END:
        run_options_refuse_linger(state, &o->run);
        if (o->expected && o->within >= 0)
            argp_error(state, "--within needs the training without faults that --expect leaves out");
        if ((o->line.latency_ms || o->line.bytes_per_s) && !o->namespaces)
            argp_error(state, "--latency-ms and --bandwidth need --net namespaces");
        return 0;
    default:
        return run_options_take(key, argument, state, &limits, &o->run);
    }
}

void chaos_options_parse(int argc, char **argv, chaos_options *options)
{
    static const struct argp parser = {.options = option_list,
                                       .parser = parse_one,
                                       .args_doc = "[PLAN.json] -- TRAINING OPTIONS",
                                       .doc = documentation};
    *options = (chaos_options){
        .seed = 1,
        .faults = DEFAULT_FAULTS,
        .within = -1,
        .deadline_s = DEFAULT_DEADLINE_S,
        .run = {.servers = DEFAULT_SERVERS,
                .workers = DEFAULT_WORKERS,
                .grace_s = GRACE_S,
                .quiet = true,
                .restarts = RESTARTS_MAX,
                .checkpoint_steps = DEFAULT_CHECKPOINT_STEPS},
    };
    int own = run_options_cut(argc, argv, &options->run);
    argp_parse(&parser, own, argv, 0, NULL, options);
}
