/* run_options.c - see run_options.h. */
#include "deploy/launch/run_options.h"

#include <string.h>

#include "common/options.h"
#include "deploy/launch/restarts.h"

enum {
    DEFAULT_SERVERS = 2,
    DEFAULT_WORKERS = 3,
    DEFAULT_GRACE_S = 10,
};

/* Keys of options without a short form. */
enum {
    KEY_CHIEF = RUN_KEY_OTHERS,
    KEY_EVALUATOR,
    KEY_GRACE,
    KEY_PIN,
    KEY_RESTARTS,
    KEY_SPARE_WORKERS,
    KEY_CHECKPOINT_KEEP,
    KEY_LOGDIR,
    KEY_TRACE,
    KEY_PROGRESS_FILE,
    KEY_CHECK,
    KEY_NO_HTTP,
    KEY_EXPERIMENT,
    KEY_REGISTRY,
    KEY_ID,
};

static const struct argp_option option_list[] = {
    {NULL, 0, NULL, 0, "Cluster", 1},
    {"ps", RUN_KEY_SERVERS, "N", 0,
     "Number of parameter servers (2); 0 with --workers 1 trains without a cluster", 1},
    {"workers", RUN_KEY_WORKERS, "N", 0, "Number of workers (3)", 1},
    {"chief", KEY_CHIEF, NULL, 0,
     "Add a chief: a worker that also evaluates and saves. Without it, worker 0 does", 1},
    {"evaluator", KEY_EVALUATOR, NULL, 0, "Add an evaluator, which tests the model while the others train",
     1},
    {"ps-option", RUN_KEY_PS_OPTION, "OPTION", 0,
     "Goes to every ps; may be repeated, also for the value of an option", 1},
    {NULL, 0, NULL, 0, "Faults", 2},
    {"restarts", KEY_RESTARTS, "N", 0,
     "How often in all a process is started again that dies by a signal or ends with a code of 128 or "
     "above (0: the first one ends the run)",
     2},
    {"spare-workers", KEY_SPARE_WORKERS, "N", 0,
     "How many workers, the one that saves excepted, may die so and not be started again, without ending the "
     "run (0); for training with --on-worker-loss shrink",
     2},
    {"checkpoint-steps", RUN_KEY_CHECKPOINT_STEPS, "N", 0,
     "Keep checkpoints in DIR/checkpoints, and so many steps between them (200 if there are --restarts, else "
     "none)",
     2},
    {"checkpoint-keep", KEY_CHECKPOINT_KEEP, "N", 0, "Checkpoints to keep, the newest ones (3)", 2},
    {NULL, 0, NULL, 0, "Run", 3},
    {"experiment", KEY_EXPERIMENT, "NAME", 0, "What the run belongs to, for penstock runs (default)", 3},
    {"registry", KEY_REGISTRY, "DIR", 0,
     "The registry that remembers the run ($PENSTOCK_HOME, else ~/.local/share/penstock)", 3},
    {"id", KEY_ID, "ID", OPTION_HIDDEN, NULL, 3}, /* of penstock submit */
    {"run-dir", RUN_KEY_RUN_DIR, "DIR", 0, "Where logs, configuration and outputs go (a new folder runs/ID)",
     3},
    {"bin-dir", RUN_KEY_BIN_DIR, "DIR", 0,
     "Where penstock-ps and penstock-worker lie (beside this program, or in PATH)", 3},
    {"grace", KEY_GRACE, "SECONDS", 0, "Time to end after a signal before processes are killed (10)", 3},
    {"pin", KEY_PIN, "WHEN", 0,
     "Keep each process on one processor: auto (where processors are too few and can have the same number of "
     "workers each), yes or no",
     3},
    {"logdir", KEY_LOGDIR, "DIR", 0, "Where the run writes event files for TensorBoard (none)", 3},
    {"trace", KEY_TRACE, "FILE", 0,
     "Write when each process did what, as JSON for ui.perfetto.dev or chrome://tracing (none)", 3},
    {"progress-file", KEY_PROGRESS_FILE, "FILE", 0,
     "Append to it what chief and evaluator report of start, evaluations and result, one JSON object a line "
     "(none)",
     3},
    {"check", KEY_CHECK, NULL, 0, "Only say whether ps and workers would take these options", 3},
    {"no-http", KEY_NO_HTTP, NULL, 0,
     "Let no process show over HTTP, on loopback, how it goes; penstock status and dashboards need that", 3},
    {"quiet", 'q', NULL, 0, "Show no progress, only the result and errors", 3},
    {0},
};

static const char documentation[] =
    "Train on this machine: start parameter servers and workers, show their progress, end them all."
    "\vEverything after -- goes to every worker; see penstock-worker --help. DIR holds logs/, outputs/ and "
    "tf_config/, the TF_CONFIG of each process, to start one by hand. A run in a DIR with checkpoints/ goes "
    "on "
    "from the newest one. DIR/run.json and DIR/metrics.jsonl say how the run goes; penstock runs shows all "
    "runs.\n\n"
    "Exit code: 0 if every process ended well; that of the process that failed first; 128 + the number of "
    "the signal that ended the run or the process; 2 for a mistake on the command line.\n\n"
    "Example:\n"
    "  penstock run --ps 2 --workers 3 -- --data-folder mnist --epochs 10";

/* argp_error ends the program. */
uint64_t run_options_number(struct argp_state *state, const char *option, const char *text, uint64_t least,
                            uint64_t most)
{
    uint64_t value = 0;
    ps_error error;
    if (option_unsigned(option, text, least, most, &value, &error) != PS_OK)
        argp_error(state, "%s", error.text);
    return value;
}

static unsigned parse_count(struct argp_state *state, const char *option, const char *text, unsigned most)
{
    return (unsigned)run_options_number(state, option, text, 0, most);
}

void run_options_name(struct argp_state *state, const char *option, const char *text, const char **value)
{
    ps_error error;
    if (option_name(option, text, value, &error) != PS_OK)
        argp_error(state, "%s", error.text);
}

error_t run_options_take(int key, char *argument, struct argp_state *state, const run_limits *limits,
                         run_options *options)
{
    switch (key) {
    case RUN_KEY_SERVERS:
        options->servers =
            (unsigned)run_options_number(state, "ps", argument, limits->servers_min, limits->servers_max);
        return 0;
    case RUN_KEY_WORKERS:
        options->workers = (unsigned)run_options_number(state, "workers", argument, limits->workers_min,
                                                        limits->workers_max);
        return 0;
    case RUN_KEY_CHECKPOINT_STEPS:
        options->checkpoint_steps = run_options_number(state, "checkpoint-steps", argument, 0, INT32_MAX);
        options->keeps_checkpoints = true;
        return 0;
    case RUN_KEY_PS_OPTION:
        if (options->server_option_count == limits->server_options_max)
            argp_error(state, "--ps-option: more than %zu", limits->server_options_max);
        options->server_options[options->server_option_count++] = argument;
        return 0;
    case RUN_KEY_RUN_DIR:
    case RUN_KEY_BIN_DIR:
        if (argument[0] == '\0')
            argp_error(state, "a folder with an empty name was given");
        *(key == RUN_KEY_RUN_DIR ? &options->run_dir : &options->bin_dir) = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void run_options_refuse_linger(struct argp_state *state, const run_options *options)
{
    enum { LEAST = sizeof "--lin" - 1 }; /* a ps takes what only one of its options begins with */
    for (size_t i = 0; i < options->server_option_count; i++) {
        const char *option = options->server_options[i];
        if (strlen(option) >= LEAST && strncmp(option, "--linger", strlen(option)) == 0)
            argp_error(state,
                       "--ps-option=%s: a ps that stays when the job has finished would be waited for "
                       "for ever; leave it out",
                       option);
    }
}

static void check_together(struct argp_state *state, const run_options *options)
{
    run_options_refuse_linger(state, options);
    if (options->workers == 0 && !options->chief)
        argp_error(state, "--workers 0 leaves nobody to train; give at least 1, or --chief");
    if (options->servers == 0 && (options->workers != 1 || options->chief || options->evaluator))
        argp_error(state, "--ps 0 is training alone: it needs --workers 1 and no --chief or --evaluator");
}

static error_t parse_one(int key, char *argument, struct argp_state *state)
{
    static const run_limits limits = {.servers_max = RUN_SERVERS_MAX,
                                      .workers_max = RUN_WORKERS_MAX,
                                      .server_options_max = RUN_SERVER_OPTIONS_MAX};
    run_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->log;
        return 0;
    case KEY_CHIEF:
        options->chief = true;
        return 0;
    case KEY_EVALUATOR:
        options->evaluator = true;
        return 0;
    case KEY_GRACE:
        options->grace_s = parse_count(state, "grace", argument, RUN_GRACE_MAX_S);
        return 0;
    case KEY_PIN: {
        ps_error error;
        if (pin_policy_parse(argument, &options->pin, &error))
            argp_error(state, "%s", error.text);
        return 0;
    }
    case KEY_RESTARTS:
        options->restarts = parse_count(state, "restarts", argument, RESTARTS_MAX);
        return 0;
    case KEY_SPARE_WORKERS:
        options->spare_workers = parse_count(state, "spare-workers", argument, RUN_WORKERS_MAX);
        return 0;
    case KEY_CHECKPOINT_KEEP:
        options->checkpoint_keep = parse_count(state, "checkpoint-keep", argument, INT32_MAX);
        options->keeps_checkpoints = true;
        return 0;
    case KEY_LOGDIR:
        run_options_name(state, "logdir", argument, &options->logdir);
        return 0;
    case KEY_TRACE:
        run_options_name(state, "trace", argument, &options->trace);
        return 0;
    case KEY_PROGRESS_FILE:
        options->progress_file = argument;
        return 0;
    case KEY_CHECK:
        options->check = true;
        return 0;
    case KEY_NO_HTTP:
        options->shows_http = false;
        return 0;
    case KEY_EXPERIMENT:
        options->experiment = argument;
        return 0;
    case KEY_REGISTRY:
        run_options_name(state, "registry", argument, &options->registry);
        return 0;
    case KEY_ID:
        if (strlen(argument) >= RUN_OPTIONS_ID_MAX)
            argp_error(state, "--id: '%.40s...' is too long", argument);
        options->id = argument;
        return 0;
    case 'q':
        options->quiet = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is no option; training options go after --", argument);
        return 0;
    case ARGP_KEY_END:
        check_together(state, options);
        return 0;
    default:
        return run_options_take(key, argument, state, &limits, options);
    }
}

/* argp could not tell what stood before the "--" from what stood after. */
int run_options_cut(int argc, char **argv, run_options *options)
{
    int own = 1;
    while (own < argc && strcmp(argv[own], "--") != 0)
        own++;
    if (own < argc) {
        options->training = argv + own + 1;
        options->training_count = (size_t)(argc - own - 1);
    }
    return own;
}

void run_options_parse(int argc, char **argv, run_options *options)
{
    static const struct argp_child children[] = {{&log_options_argp, 0, "Log of every process", 4}, {0}};
    static const struct argp parser = {.options = option_list,
                                       .parser = parse_one,
                                       .children = children,
                                       .args_doc = "[-- TRAINING OPTIONS]",
                                       .doc = documentation};
    *options = (run_options){.servers = DEFAULT_SERVERS,
                             .workers = DEFAULT_WORKERS,
                             .grace_s = DEFAULT_GRACE_S,
                             .shows_http = true,
                             .checkpoint_steps = RUN_CHECKPOINT_STEPS};
    argp_parse(&parser, run_options_cut(argc, argv, options), argv, ARGP_IN_ORDER, NULL, options);
}
