/* options.c - see options.h. */
#include "tests/bench/options.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/options.h"
#include "deploy/launch/placement.h"
#include "deploy/launch/programs.h"

const char *argp_program_version = "penstock-bench " PENSTOCK_VERSION;

enum {
    KEY_CASES = 256,
    KEY_TURNS,
    KEY_SECONDS,
    KEY_FULL,
    KEY_PIN,
    KEY_JSON,
    KEY_SVG,
    KEY_MNIST,
    KEY_BIN_DIR
};

static const struct argp_option list[] = {
    {"cases", KEY_CASES, "LIST", 0, "Only these groups, separated by commas (see below; default: all)", 0},
    {"turns", KEY_TURNS, "N", 0, "Measure Penstock and its floor N times, by turns (default: 5)", 0},
    {"seconds", KEY_SECONDS, "S", 0, "Length of each single measurement (default: 0.3)", 0},
    {"full", KEY_FULL, 0, 0, "Large sizes too: messages of 16 and 64 MB, models up to 1 GB", 0},
    {"pin", KEY_PIN, "CLIENT,SERVER", 0,
     "The processors on which the two processes of a case run, or 'none' (default: the first two there are)",
     0},
    {"mnist", KEY_MNIST, "DIR", 0, "Folder of MNIST, for the group mnist, which is left out without it", 0},
    {"json", KEY_JSON, "FILE", 0, "Write all figures there too", 0},
    {"svg", KEY_SVG, "DIR", 0, "Draw goodput.svg and scaling.svg in this folder", 0},
    {"bin-dir", KEY_BIN_DIR, "DIR", 0,
     "Where penstock-ps and penstock lie (default: beside this program, in its build tree, or in PATH)", 0},
    {0},
};

typedef struct {
    bench_options *options;
    const char *const *names;
} parsing;

static bool is_listed(const char *cases, const char *name, size_t length)
{
    while (cases) {
        size_t this_length = strcspn(cases, ",");
        if (this_length == length && strncmp(cases, name, length) == 0)
            return true;
        cases = cases[this_length] ? cases + this_length + 1 : NULL;
    }
    return false;
}

static void check_cases(const parsing *p, const char *cases, struct argp_state *state)
{
    for (const char *at = cases; at;) {
        size_t length = strcspn(at, ",");
        bool known = false;
        for (const char *const *name = p->names; *name; name++)
            known |= strlen(*name) == length && strncmp(at, *name, length) == 0;
        if (!known)
            argp_error(state, "--cases: there is no group '%.*s'; --help lists them", (int)length, at);
        at = at[length] ? at + length + 1 : NULL;
    }
}

static ps_status parse_pin(bench_options *o, const char *text, ps_error *error)
{
    if (strcmp(text, "none") == 0) {
        o->client_processor = o->server_processor = OPTIONS_ANYWHERE;
        return PS_OK;
    }
    char first[32];
    const char *comma = strchr(text, ',');
    if (!comma || (size_t)(comma - text) >= sizeof first)
        return ps_fail(error, PS_EINVAL, "--pin: '%s' is neither two processors, as in 0,1, nor 'none'",
                       text);
    snprintf(first, sizeof first, "%.*s", (int)(comma - text), text);
    uint64_t client, server;
    ps_status status = option_unsigned("pin", first, 0, PLACEMENT_PROCESSORS_MAX - 1, &client, error);
    if (status == PS_OK)
        status = option_unsigned("pin", comma + 1, 0, PLACEMENT_PROCESSORS_MAX - 1, &server, error);
    if (status == PS_OK) {
        o->client_processor = (int)client;
        o->server_processor = (int)server;
    }
    return status;
}

static error_t parse_one(int key, char *argument, struct argp_state *state)
{
    const parsing *p = state->input;
    bench_options *o = p->options;
    ps_error error = {PS_OK, ""};
    switch (key) {
    case KEY_CASES:
        check_cases(p, argument, state);
        o->cases = argument;
        break;
    case KEY_TURNS:
        option_u32("turns", argument, 1, OPTIONS_TURNS_MAX, &o->turns, &error);
        break;
    case KEY_SECONDS:
        if (option_real("seconds", argument, &o->seconds, &error) == PS_OK &&
            !(o->seconds > 0 && o->seconds <= 60))
            ps_fail(&error, PS_EINVAL, "--seconds: '%s' is not above 0 and at most 60", argument);
        break;
    case KEY_FULL:
        o->full = true;
        break;
    case KEY_PIN:
        parse_pin(o, argument, &error);
        break;
    case KEY_JSON:
        o->json_file = argument;
        break;
    case KEY_SVG:
        o->svg_folder = argument;
        break;
    case KEY_MNIST:
        o->mnist_folder = argument;
        break;
    case KEY_BIN_DIR:
        o->bin_folder = argument;
        break;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is no option", argument);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (error.status != PS_OK)
        argp_error(state, "%s", error.text);
    return 0;
}

static void pin_by_default(bench_options *o)
{
    static int processors[PLACEMENT_PROCESSORS_MAX];
    size_t count = placement_processors(processors);
    o->client_processor = count >= 2 ? processors[0] : OPTIONS_ANYWHERE;
    o->server_processor = count >= 2 ? processors[1] : OPTIONS_ANYWHERE;
}

static void find_programs(bench_options *o, const char *title)
{
    ps_error error;
    ps_status status = program_find("penstock-ps", "../ps", o->bin_folder, o->server_program,
                                    sizeof o->server_program, &error);
    if (status == PS_OK && o->mnist_folder)
        status = program_find("penstock", "../deploy", o->bin_folder, o->launcher_program,
                              sizeof o->launcher_program, &error);
    if (status == PS_OK)
        return;
    fprintf(stderr, "%s: %s\n", title, error.text);
    exit(ps_status_exit_code(status));
}

void options_parse(int argc, char **argv, const char *const *names, bench_options *o)
{
    static const char doc[] = "Measure Penstock beside what this machine can do at best, by turns in one "
                              "run, and print the ratios.\v"
                              "Groups: ";
    static char text[2048];
    size_t used = (size_t)snprintf(text, sizeof text, "%s", doc);
    for (const char *const *name = names; *name; name++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", name == names ? "" : ", ", *name);
    snprintf(
        text + used, sizeof text - used,
        ".\n\nA ratio is the median over the turns of Penstock's figure divided by its floor's of the same "
        "turn; how each floor is made is in tests/bench/README.md. Only ratios within one run mean much, "
        "and only on a machine that does nothing else.\n\n"
        "Exit status: 0 everything was measured, whatever came out; 2 usage; 1 something could not be "
        "measured.");
    *o = (bench_options){.turns = 5, .seconds = 0.3};
    pin_by_default(o);
    parsing p = {.options = o, .names = names};
    const struct argp parser = {.options = list, .parser = parse_one, .doc = text};
    argp_err_exit_status = PS_EXIT_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &p);
    find_programs(o, argv[0]);
}

bool options_choose(const bench_options *o, const char *name)
{
    return !o->cases || is_listed(o->cases, name, strlen(name));
}
