/* host_options.c - see host_options.h. */
#include "deploy/hosts/host_options.h"

#include <string.h>

#include "common/path.h"
#include "deploy/launch/restarts.h"

enum { DEFAULT_PORT = 2222, DEFAULT_GRACE_S = 10 };

/* Keys of options without a short form. */
enum {
    KEY_PORT = RUN_KEY_OTHERS,
    KEY_SSH,
    KEY_SLURM,
    KEY_PRINT,
    KEY_CHDIR,
    KEY_GRACE,
    KEY_RESTARTS,
};

static const struct argp_option option_list[] = {
    {NULL, 0, NULL, 0, "Cluster", 1},
    {"ps", RUN_KEY_SERVERS, "N", 0, "Number of parameter servers (what hosts fix, else one a host)", 1},
    {"workers", RUN_KEY_WORKERS, "N", 0, "Number of workers (what hosts fix, and all slots of the others)",
     1},
    {"port", KEY_PORT, "N", 0, "The first port on every host (2222); a task more, a port more", 1},
    {"slurm", KEY_SLURM, NULL, 0,
     "In place of HOSTFILE: the nodes and tasks of the Slurm job that this runs in", 1},
    {"ps-option", RUN_KEY_PS_OPTION, "OPTION", 0,
     "Goes to every ps; may be repeated, also for the value of an option", 1},
    {NULL, 0, NULL, 0, "On the hosts", 2},
    {"bin-dir", RUN_KEY_BIN_DIR, "DIR", 0, "Where penstock-ps and penstock-worker lie there (in PATH)", 2},
    {"chdir", KEY_CHDIR, "DIR", 0, "The folder to be in there (where one comes in)", 2},
    {NULL, 0, NULL, 0, "What to do", 3},
    {"print", KEY_PRINT, "WHAT", 0,
     "Only print: commands, which start each task (the default); cluster, for --cluster; or ranks, the host "
     "of "
     "its host, ps first",
     3},
    {"ssh", KEY_SSH, "COMMAND", OPTION_ARG_OPTIONAL,
     "Start the tasks, show what they say, and end them all: by `COMMAND HOST LINE', split at blanks (ssh)",
     3},
    {"grace", KEY_GRACE, "SECONDS", 0, "With --ssh: time to end after a signal before tasks are killed (10)",
     3},
    {"restarts", KEY_RESTARTS, "N", 0,
     "With --ssh: how often in all a task is started again that dies by a signal or ends with a code of 128 "
     "or "
     "above (0)",
     3},
    {0},
};

static const char documentation[] =
    "Put a cluster on hosts: say what to type on each, or start it by ssh."
    "\vHOSTFILE has a host a line, and perhaps slots=N, how many workers it has room for (1), or ps=N, "
    "worker=N, "
    "exactly so many; # begins a comment. Everything after -- goes to every worker. Where a ps is reached by "
    "others than its own host it needs keys, or --ps-option=--insecure.\n\n"
    "Exit code: as of penstock run; 255 may be ssh's own.\n\n"
    "Example:\n"
    "  penstock hosts nodes --ps 2 --ssh --ps-option=--insecure -- --data-folder /srv/mnist --epochs 10";

static unsigned number(struct argp_state *state, const char *option, const char *text, uint64_t least,
                       uint64_t most)
{
    return (unsigned)run_options_number(state, option, text, least, most);
}

static host_print parse_print(struct argp_state *state, const char *text)
{
    static const char *const names[] = {"commands", "cluster", "tasks"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0)
            return (host_print)i;
    argp_error(state, "--print '%s' is none of: commands, cluster, tasks", text);
    return PRINT_COMMANDS;
}

static void check_together(struct argp_state *state, const host_options *o)
{
    if (!o->host_file && !o->slurm)
        argp_error(state, "HOSTFILE is missing (or --slurm)");
    if (o->host_file && o->slurm)
        argp_error(state, "HOSTFILE and --slurm both name hosts; give one of them");
    if (o->slurm && o->run.workers > 0)
        argp_error(state, "--workers: of a Slurm job every task that is no ps is a worker");
    if (o->starts && o->print != PRINT_COMMANDS)
        argp_error(state, "--print only prints, and --ssh starts; give one of them");
    if (!o->starts && o->run.restarts > 0)
        argp_error(state, "--restarts needs --ssh");
    if (o->starts)
        run_options_refuse_linger(state, &o->run);
    if (o->run.bin_dir && strlen(o->run.bin_dir) > PATH_BYTES / 2)
        argp_error(state, "--bin-dir is longer than a path can be");
}

static error_t parse_one(int key, char *argument, struct argp_state *state)
{
    static const run_limits limits = {.servers_min = 1,
                                      .servers_max = RUN_SERVERS_MAX,
                                      .workers_min = 1,
                                      .workers_max = RUN_WORKERS_MAX,
                                      .server_options_max = RUN_SERVER_OPTIONS_MAX};
    host_options *o = state->input;
    switch (key) {
    case KEY_PORT:
        o->port = (uint16_t)number(state, "port", argument, 1, UINT16_MAX);
        return 0;
    case KEY_SSH:
        if (argument && argument[strspn(argument, " ")] == '\0')
            argp_error(state, "--ssh has an empty command");
        o->starts = true;
        o->ssh = argument;
        return 0;
    case KEY_SLURM:
        o->slurm = true;
        return 0;
    case KEY_PRINT:
        o->print = parse_print(state, argument);
        return 0;
    case KEY_CHDIR:
        run_options_name(state, "chdir", argument, &o->folder);
        return 0;
    case KEY_GRACE:
        o->run.grace_s = number(state, "grace", argument, 0, RUN_GRACE_MAX_S);
        return 0;
    case KEY_RESTARTS:
        o->run.restarts = number(state, "restarts", argument, 0, RESTARTS_MAX);
        return 0;
    case ARGP_KEY_ARG:
        if (o->host_file)
            argp_error(state, "'%s' is one HOSTFILE too many; training options go after --", argument);
        o->host_file = argument;
        return 0;
    case ARGP_KEY_END:
        check_together(state, o);
        return 0;
    default:
        return run_options_take(key, argument, state, &limits, &o->run);
    }
}

void host_options_parse(int argc, char **argv, host_options *options)
{
    static const struct argp parser = {.options = option_list,
                                       .parser = parse_one,
                                       .args_doc = "[HOSTFILE] [-- TRAINING OPTIONS]",
                                       .doc = documentation};
    *options = (host_options){.port = DEFAULT_PORT, .run = {.grace_s = DEFAULT_GRACE_S}};
    argp_parse(&parser, run_options_cut(argc, argv, &options->run), argv, 0, NULL, options);
}
