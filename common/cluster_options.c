/* cluster_options.c - see cluster_options.h. */
#include "common/cluster_options.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/ordinal.h"

/* Above every character: these options have no short form. */
enum { KEY_CLUSTER = 256, KEY_TASK, KEY_FROM_ORDINAL, KEY_STRICT, KEY_CHECK_CONFIG };

static const struct argp_option option_table[] = {
    {"cluster", KEY_CLUSTER, "TEXT|FILE", 0,
     "The cluster as JSON text or a file of it, instead of that of TF_CONFIG: {\"ps\": [...], \"worker\": "
     "[...]}, "
     "or a whole TF_CONFIG",
     0},
    {"task", KEY_TASK, "TYPE:INDEX", 0,
     "Which task this process is, e.g. worker:0, instead of that of TF_CONFIG", 0},
    {"from-ordinal", KEY_FROM_ORDINAL, "SPEC", 0,
     "The cluster as numbers and patterns, such as ps=2@trainer-ps-{}.trainer:2222,worker=3, for engines "
     "that "
     "number what they start: the index of this task is JOB_COMPLETION_INDEX, or stands at the end of "
     "POD_NAME "
     "or the host's name (the environment's " ORDINAL_VARIABLE ")",
     0},
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
    case KEY_FROM_ORDINAL:
        options->ordinal = value;
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

/* The TF_CONFIG that `spec` stands for, by the names that this process has; the caller frees it. */
static ps_status expand_ordinal(const char *spec, const cluster_options *options, cluster_role daemon,
                                char **tf_config, ps_error *error)
{
    char host[HOST_NAME_MAX + 1] = "";
    ordinal_names names = {.completion_index = getenv("JOB_COMPLETION_INDEX"),
                           .pod_name = getenv("POD_NAME"),
                           .host_name = getenv("HOSTNAME")};
    if (options->cluster || getenv("TF_CONFIG"))
        return ps_fail(error, PS_ECONFIG,
                       "%s and --from-ordinal (or " ORDINAL_VARIABLE ") both say what the cluster is; "
                       "take one of them away",
                       options->cluster ? "--cluster" : "TF_CONFIG");
    if (!names.host_name && gethostname(host, sizeof host - 1) == 0)
        names.host_name = host;
    return ordinal_tf_config(spec, daemon, options->task ? NULL : &names, tf_config, error);
}

ps_status cluster_options_resolve(const cluster_options *options, cluster_role daemon, cluster_spec *spec,
                                  cluster_warning *warning, char *caret, size_t caret_bytes, ps_error *error)
{
    const char *inherited = getenv(ORDINAL_VARIABLE);
    const bool ignored = inherited && !options->ordinal && options->cluster; /* as TF_CONFIG is */
    const char *ordinal = options->ordinal ? options->ordinal : ignored ? NULL : inherited;
    char *expanded = NULL;
    warning->text[0] = '\0';
    if (ordinal) {
        const ps_status status = expand_ordinal(ordinal, options, daemon, &expanded, error);
        if (status)
            return status;
    }
    const cluster_source source = {
        .strict = options->strict,
        .daemon = daemon,
        .cluster = options->cluster,
        .task = options->task,
        .tf_config = ordinal ? expanded : getenv("TF_CONFIG"),
        .origin = ordinal ? "--from-ordinal" : NULL,
    };
    const ps_status status = cluster_parse(&source, spec, warning, caret, caret_bytes, error);
    if (ignored && !warning->text[0])
        snprintf(warning->text, sizeof warning->text, "--cluster is given: " ORDINAL_VARIABLE " is ignored");
    free(expanded);
    return status;
}
