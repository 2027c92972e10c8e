/* cluster_parse.c - from TF_CONFIG, --cluster and --task to a checked cluster_spec.
 *
 * Finds out which text counts, which task this process is, and whether the cluster serves that task. What
 * stands inside the jobs is read by cluster_jobs.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/cluster.h"
#include "common/cluster_jobs.h"
#include "common/file.h"
#include "common/json.h"

#define EXAMPLE_CLUSTER "\"cluster\": {\"ps\": [\"host1:2222\"], \"worker\": [\"host2:2222\"]}"
#define EXAMPLE_TASK    "\"task\": {\"type\": \"%s\", \"index\": 0}"
#define EXAMPLE         "TF_CONFIG='{" EXAMPLE_CLUSTER ", " EXAMPLE_TASK "}'"

#define BLANKS " \t\r\n"

/* One JSON text, parsed; `root` is NULL as long as nobody needed it. */
typedef struct {
    const char *name; /* in errors */
    json *root;
} document;

/* What one call of cluster_parse works with. */
typedef struct {
    const cluster_source *source;
    cluster_spec *spec;
    cluster_warning *warning;
    char *caret;
    size_t caret_bytes;
    ps_error *error;

    document cluster_option;
    document task_option;
    document tf_config;
} parse;

/* The task object and the text that it stands in. */
typedef struct {
    const char *source;
    const json *value;
} task_text;

static bool is_blank(const char *text)
{
    return text[strspn(text, BLANKS)] == '\0';
}

static bool is_object_text(const char *text)
{
    return text[strspn(text, BLANKS)] == '{';
}

static const char *daemon_name(const parse *p)
{
    return cluster_role_name(p->source->daemon);
}

static void warn(parse *p, const char *text)
{
    char *end = p->warning->text + strlen(p->warning->text);
    const size_t left = sizeof p->warning->text - (size_t)(end - p->warning->text);
    snprintf(end, left, "%s%s", end == p->warning->text ? "" : "; ", text);
}

static ps_status read_document(parse *p, document *d, const char *name, const char *text, size_t bytes)
{
    const json_options options = {
        .source = name, .max_bytes = CLUSTER_TEXT_MAX, .allow_trailing_commas = !p->source->strict};
    json_report report;
    ps_error cause;
    d->name = name;
    const ps_status status = json_parse(text, bytes, &options, &d->root, &report, &cause);
    if (status) {
        if (p->caret)
            snprintf(p->caret, p->caret_bytes, "%s", report.caret);
        return ps_fail(p->error, status == PS_ENOMEM ? PS_ENOMEM : PS_ECONFIG, "%s", cause.text);
    }
    if (json_type_of(d->root) != JSON_OBJECT)
        return ps_fail(p->error, PS_ECONFIG, "%s must be a JSON object, not %s", name,
                       json_type_name(d->root));
    if (report.trailing_comma.line > 0) {
        char text_of_warning[160];
        snprintf(text_of_warning, sizeof text_of_warning,
                 "%.60s: line %zu, column %zu: ignored a comma before a closing bracket", name,
                 report.trailing_comma.line, report.trailing_comma.column);
        warn(p, text_of_warning);
    }
    return PS_OK;
}

/* --cluster, which is JSON itself or names a file of it. */
static ps_status read_cluster_option(parse *p)
{
    const char *option = p->source->cluster;
    if (is_blank(option))
        return ps_fail(p->error, PS_ECONFIG, "--cluster is empty; give JSON text or the path of a file");
    if (is_object_text(option))
        return read_document(p, &p->cluster_option, "--cluster", option, strlen(option));
    char *text = NULL;
    size_t bytes = 0;
    ps_error cause;
    ps_status status = file_read(option, CLUSTER_TEXT_MAX, &text, &bytes, &cause);
    if (status)
        return ps_fail(p->error, status == PS_ENOMEM ? PS_ENOMEM : PS_ECONFIG, "--cluster: %s", cause.text);
    status = read_document(p, &p->cluster_option, option, text, bytes);
    free(text);
    return status;
}

static ps_status read_tf_config(parse *p)
{
    const char *text = p->source->tf_config;
    if (is_blank(text))
        return ps_fail(p->error, PS_ECONFIG, "TF_CONFIG is empty; %sset it, e.g. " EXAMPLE,
                       p->source->daemon == ROLE_PS ? "" : "unset it to train alone, or ", daemon_name(p));
    return read_document(p, &p->tf_config, p->source->origin ? p->source->origin : "TF_CONFIG", text,
                         strlen(text));
}

/* Reads the texts that are needed: TF_CONFIG only for what the options do not say. */
static ps_status read_sources(parse *p)
{
    const cluster_source *source = p->source;
    if (source->cluster) {
        const ps_status status = read_cluster_option(p);
        if (status)
            return status;
    }
    if (source->task && is_object_text(source->task)) {
        const ps_status status =
            read_document(p, &p->task_option, "--task", source->task, strlen(source->task));
        if (status)
            return status;
    }
    const bool task_known = source->task || json_find(p->cluster_option.root, "task");
    if (source->tf_config && source->cluster)
        warn(p, task_known ? "--cluster is given: TF_CONFIG is ignored"
                           : "--cluster is given: only the task is taken from TF_CONFIG");
    if (!source->tf_config || (source->cluster && task_known))
        return PS_OK;
    const ps_status status = read_tf_config(p);
    if (!status && source->task && json_find(p->tf_config.root, "task"))
        warn(p, "--task is given: the task of TF_CONFIG is ignored");
    return status;
}

/* No cluster at all: fine for a worker, which trains alone, and of no use for a ps. */
static ps_status accept_absence(parse *p, const char *what)
{
    if (p->source->daemon == ROLE_PS)
        return ps_fail(p->error, PS_ECONFIG, "TF_CONFIG %s; a ps needs it, e.g. " EXAMPLE, what, "ps");
    p->spec->role = ROLE_WORKER;
    p->spec->is_chief = true;
    return PS_OK;
}

/* The cluster of a whole TF_CONFIG, or of a --cluster that holds the jobs themselves. */
static ps_status locate_cluster(parse *p, cluster_text *text)
{
    const document *d = p->source->cluster ? &p->cluster_option : &p->tf_config;
    const json *plain = json_find(d->root, "cluster");
    const json *sparse = json_find(d->root, "sparseCluster");
    *text = (cluster_text){.source = d->name, .sparse = sparse != NULL};
    if (plain && sparse && !json_equal(plain, sparse))
        return ps_fail(p->error, PS_ECONFIG, "%s: cluster and sparseCluster differ; keep one of them",
                       d->name);
    text->prefix = plain ? "cluster." : "sparseCluster.";
    text->jobs = plain ? plain : sparse;
    if (!text->jobs && p->source->cluster && (json_find(d->root, "ps") || json_find(d->root, "worker"))) {
        text->prefix = "";
        text->jobs = d->root;
    }
    if (!text->jobs)
        return ps_fail(p->error, PS_ECONFIG,
                       "%s: cluster is missing; it names every task, e.g. " EXAMPLE_CLUSTER,
                       d->name ? d->name : "--task without TF_CONFIG or --cluster");
    if (json_type_of(text->jobs) != JSON_OBJECT)
        return ps_fail(p->error, PS_ECONFIG,
                       "%s: %s must be an object of jobs, e.g. " EXAMPLE_CLUSTER ", not %s", d->name,
                       plain ? "cluster" : "sparseCluster", json_type_name(text->jobs));
    return PS_OK;
}

static ps_status locate_task(parse *p, task_text *text)
{
    const document *owner = json_find(p->cluster_option.root, "task") ? &p->cluster_option : &p->tf_config;
    if (!owner->root)
        owner = &p->cluster_option;
    text->source = owner->name;
    text->value = json_find(owner->root, "task");
    if (!text->value)
        return ps_fail(p->error, PS_ECONFIG,
                       "%s: task is missing; it says which task this process is: add " EXAMPLE_TASK
                       " or give --task %s:0",
                       owner->name, daemon_name(p), daemon_name(p));
    if (json_type_of(text->value) != JSON_OBJECT)
        return ps_fail(p->error, PS_ECONFIG, "%s: task must be an object, e.g. " EXAMPLE_TASK ", not %s",
                       owner->name, daemon_name(p), json_type_name(text->value));
    return PS_OK;
}

/* A task type as written, which must suit the program that was started. */
static ps_status take_type(parse *p, const char *source, const char *what, const char *type)
{
    if (!cluster_role_parse(type, &p->spec->role))
        return ps_fail(
            p->error, PS_ECONFIG,
            "%s: %s must be \"ps\", \"worker\", \"chief\", \"master\" or \"evaluator\", not \"%.60s\"",
            source, what, type);
    const bool is_ps = p->spec->role == ROLE_PS;
    if (is_ps != (p->source->daemon == ROLE_PS))
        return ps_fail(p->error, PS_ECONFIG,
                       "%s: %s is \"%s\", but this is penstock-%s; start penstock-%s for it", source, what,
                       type, daemon_name(p), is_ps ? "ps" : "worker");
    return PS_OK;
}

/* task.index: a number, or digits in a string as some tools write it. */
static ps_status take_index(parse *p, const char *source, const char *what, const json *value)
{
    ps_error cause;
    if (value && json_type_of(value) == JSON_STRING) {
        const char *digits = NULL;
        json_as_string(value, what, &digits, NULL);
        if (!cluster_index_parse(digits, &p->spec->index))
            return ps_fail(p->error, PS_ECONFIG, "%s: %s must be a whole number from 0 to %d, not \"%.60s\"",
                           source, what, CLUSTER_TASKS_MAX - 1, digits);
        return PS_OK;
    }
    int64_t index = 0;
    if (json_as_integer(value, what, 0, CLUSTER_TASKS_MAX - 1, &index, &cause))
        return ps_fail(p->error, PS_ECONFIG, "%s: %s", source, cause.text);
    p->spec->index = (uint32_t)index;
    return PS_OK;
}

/* {"type": ..., "index": ...}, with `prefix` before the keys in messages. */
static ps_status take_task_object(parse *p, const char *source, const char *prefix, const json *value)
{
    char what[16];
    const char *type = NULL;
    ps_error cause;
    snprintf(what, sizeof what, "%stype", prefix);
    if (json_as_string(json_find(value, "type"), what, &type, &cause))
        return ps_fail(p->error, PS_ECONFIG, "%s: %s", source, cause.text);
    const ps_status status = take_type(p, source, what, type);
    if (status)
        return status;
    snprintf(what, sizeof what, "%sindex", prefix);
    return take_index(p, source, what, json_find(value, "index"));
}

/* --task TYPE:INDEX */
static ps_status take_task_pair(parse *p, const char *option)
{
    char type[16];
    const char *colon = strchr(option, ':');
    if (!colon || (size_t)(colon - option) >= sizeof type)
        return ps_fail(p->error, PS_ECONFIG, "--task must be TYPE:INDEX, e.g. %s:0, not \"%.60s\"",
                       daemon_name(p), option);
    snprintf(type, sizeof type, "%.*s", (int)(colon - option), option);
    const ps_status status = take_type(p, "--task", "the type", type);
    if (status)
        return status;
    if (!cluster_index_parse(colon + 1, &p->spec->index))
        return ps_fail(p->error, PS_ECONFIG,
                       "--task: the index must be a whole number from 0 to %d, not \"%.60s\"",
                       CLUSTER_TASKS_MAX - 1, colon + 1);
    return PS_OK;
}

static ps_status take_task(parse *p)
{
    if (p->task_option.root)
        return take_task_object(p, "--task", "", p->task_option.root);
    if (p->source->task)
        return take_task_pair(p, p->source->task);
    task_text text;
    const ps_status status = locate_task(p, &text);
    return status ? status : take_task_object(p, text.source, "task.", text.value);
}

/* This task must be one of the cluster. An evaluator may be missing where no evaluator is listed:
 * TensorFlow keeps it apart from the training cluster, and nobody connects to it. */
static ps_status check_own_task(const parse *p, const cluster_text *text)
{
    const cluster_spec *spec = p->spec;
    const cluster_job *job = &spec->jobs[spec->role];
    const char *type = cluster_role_name(spec->role);
    if (cluster_find(spec, spec->role, spec->index) || (spec->role == ROLE_EVALUATOR && job->count == 0))
        return PS_OK;
    if (job->count == 0)
        return ps_fail(p->error, PS_ECONFIG, "%s: this task is %s %u, but %s%s has no task", text->source,
                       type, (unsigned)spec->index, text->prefix, type);
    if (job->dense)
        return ps_fail(p->error, PS_ECONFIG, "%s: this task is %s %u, but %s%s ends at index %u",
                       text->source, type, (unsigned)spec->index, text->prefix, type,
                       (unsigned)job->count - 1);
    return ps_fail(p->error, PS_ECONFIG, "%s: this task is %s %u, but %s%s has no key \"%u\"", text->source,
                   type, (unsigned)spec->index, text->prefix, type, (unsigned)spec->index);
}

/* What Kubeflow's operator gives a chief or an evaluator when dynamic workers are on. */
static bool is_operator_bug(const cluster_spec *spec, const cluster_text *text)
{
    return (spec->role == ROLE_CHIEF || spec->role == ROLE_EVALUATOR) && json_find(text->jobs, "ps") &&
           json_find(text->jobs, "worker") && spec->sparse && spec->jobs[ROLE_PS].count == 0 &&
           spec->jobs[ROLE_WORKER].count == 0;
}

/* A cluster that is known to be whole must have somebody who trains; whoever trains or evaluates must know
 * every ps. */
static ps_status check_peers(const parse *p, const cluster_text *text)
{
    const cluster_spec *spec = p->spec;
    const cluster_job *ps = &spec->jobs[ROLE_PS];
    if (!spec->sparse && spec->jobs[ROLE_WORKER].count + spec->jobs[ROLE_CHIEF].count == 0)
        return ps_fail(p->error, PS_ECONFIG,
                       "%s: the cluster has no worker and no chief, so nobody would train", text->source);
    if (spec->role == ROLE_PS)
        return PS_OK;
    if (ps->count == 0)
        return ps_fail(p->error, PS_ECONFIG, "%s: the cluster has no ps; %s %u needs at least one",
                       text->source, cluster_role_name(spec->role), (unsigned)spec->index);
    if (!ps->dense)
        return ps_fail(p->error, PS_ECONFIG, "%s: %sps has gaps below index %u; %s %u needs every ps",
                       text->source, text->prefix, (unsigned)ps->tasks[ps->count - 1].index,
                       cluster_role_name(spec->role), (unsigned)spec->index);
    return PS_OK;
}

static ps_status read_cluster(parse *p, const cluster_text *text)
{
    ps_status status = cluster_jobs_read(text, p->spec, p->error);
    if (status)
        return status;
    if (is_operator_bug(p->spec, text))
        return ps_fail(
            p->error, PS_ECONFIG,
            "%s: worker and ps are empty: with enableDynamicWorker the Kubeflow operator tells chief and "
            "evaluator nothing (a known bug); turn that off, or run without them (worker 0 is chief then)",
            text->source);
    status = check_own_task(p, text);
    return status ? status : check_peers(p, text);
}

static void derive_chief_and_rank(cluster_spec *spec)
{
    const uint32_t chiefs = spec->jobs[ROLE_CHIEF].count;
    spec->is_chief =
        spec->role == ROLE_CHIEF || (spec->role == ROLE_WORKER && spec->index == 0 && chiefs == 0);
    if (spec->role == ROLE_WORKER)
        spec->rank = spec->index + chiefs;
}

static ps_status parse_all(parse *p)
{
    const cluster_source *source = p->source;
    if (!source->cluster && !source->task && !source->tf_config)
        return accept_absence(p, "is not set");
    ps_status status = read_sources(p);
    if (status)
        return status;
    const json *root = p->tf_config.root;
    if (!source->cluster && !source->task && !json_find(root, "cluster") &&
        !json_find(root, "sparseCluster") && !json_find(root, "task"))
        return accept_absence(p, "has neither cluster nor task");

    cluster_text text;
    status = locate_cluster(p, &text);
    if (!status)
        status = take_task(p);
    if (!status)
        status = read_cluster(p, &text);
    if (status)
        return status;
    p->spec->present = true;
    derive_chief_and_rank(p->spec);
    return PS_OK;
}

ps_status cluster_parse(const cluster_source *source, cluster_spec *spec, cluster_warning *warning,
                        char *caret, size_t caret_bytes, ps_error *error)
{
    parse p = {.source = source,
               .spec = spec,
               .warning = warning,
               .caret = caret,
               .caret_bytes = caret_bytes,
               .error = error};
    memset(spec, 0, sizeof *spec);
    warning->text[0] = '\0';
    if (caret && caret_bytes > 0)
        caret[0] = '\0';
    const ps_status status = parse_all(&p);
    json_free(&p.cluster_option.root);
    json_free(&p.task_option.root);
    json_free(&p.tf_config.root);
    if (status)
        cluster_fini(spec);
    return status;
}
