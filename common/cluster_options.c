/* cluster_options.c - see cluster_options.h. */
#include "common/cluster_options.h"

#include <stdlib.h>

/* Above every character: these options have no short form. */
enum { KEY_CLUSTER = 256, KEY_TASK, KEY_STRICT, KEY_CHECK_CONFIG };

static const struct argp_option option_table[] = {
    {"cluster", KEY_CLUSTER, "TEXT|FILE", 0,
     "The cluster as JSON text or a file of it, instead of that of TF_CONFIG: {\"ps\": [...], \"worker\": "
     "[...]}, "
     "or a whole TF_CONFIG",
     0},
    {"task", KEY_TASK, "TYPE:INDEX", 0,
     "Which task this process is, e.g. worker:0, instead of that of TF_CONFIG", 0},
    {"strict", KEY_STRICT, NULL, 0, "Refuse commas before a closing bracket instead of warning", 0},
    {"check-config", KEY_CHECK_CONFIG, NULL, 0, "Print the cluster as understood, and exit", 0},
    {0},
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    cluster_options *options = state->input;
    switch (key) {
    case KEY_CLUSTER:
        options->cluster = value;
        return 0;
    case KEY_TASK:
        options->task = value;
        return 0;
    case KEY_STRICT:
        options->strict = true;
        return 0;
    case KEY_CHECK_CONFIG:
        options->check_config = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp cluster_options_argp = {.options = option_table, .parser = parse_option};

ps_status cluster_options_resolve(const cluster_options *options, cluster_role daemon, cluster_spec *spec,
                                  cluster_warning *warning, char *caret, size_t caret_bytes, ps_error *error)
{
    const cluster_source source = {
        .strict = options->strict,
        .daemon = daemon,
        .cluster = options->cluster,
        .task = options->task,
        .tf_config = getenv("TF_CONFIG"),
    };
    return cluster_parse(&source, spec, warning, caret, caret_bytes, error);
}
