/* cluster_jobs.c - see cluster_jobs.h.
 *
 * Which jobs are known to be whole? A dense cluster is written as lists. Kubeflow's operator, with dynamic
 * workers, shows each pod only part of the cluster (under `cluster` or `sparseCluster`, by version):
 *
 *   worker i          {"worker": {"i": itself}, "ps": [every ps]}
 *   ps i              {"worker": {}, "ps": [itself]}          the one entry stands for index i, not 0
 *   chief, evaluator  {"worker": {}, "ps": []}                of no use; cluster_parse.c refuses it
 *
 * So the cluster is taken to be partial if it is called sparseCluster, or if `worker` or `ps` is a
 * dictionary that is empty or has gaps, or that could be such a view of one task: a single entry in `worker`,
 * or in the `ps` that a ps reads. A fuller dictionary with every index from 0 on is as good as a list. In a
 * partial cluster
 *   - `worker` and `ps` may be empty; elsewhere an empty job is an error, for somebody forgot something;
 *   - a ps that finds exactly one entry in a *list* of ps takes it for itself, whatever its index;
 *   - nobody claims to know the number of workers. */
#include "common/cluster_jobs.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/address.h"

static_assert(sizeof((address *)0)->host <= sizeof((cluster_task *)0)->host, "any accepted host fits a task");

enum { PATH_BYTES = 64 };

static const struct {
    const char *name;
    cluster_role role;
} job_names[] = {
    {"ps", ROLE_PS},        {"worker", ROLE_WORKER},       {"chief", ROLE_CHIEF},
    {"master", ROLE_CHIEF}, {"evaluator", ROLE_EVALUATOR},
};
enum { JOB_NAMES = sizeof job_names / sizeof *job_names };

bool cluster_role_parse(const char *name, cluster_role *role)
{
    for (size_t i = 0; i < JOB_NAMES; i++)
        if (strcmp(name, job_names[i].name) == 0) {
            *role = job_names[i].role;
            return true;
        }
    return false;
}

bool cluster_index_parse(const char *digits, uint32_t *index)
{
    uint32_t value = 0;
    if (!*digits || (digits[0] == '0' && digits[1]))
        return false;
    for (const char *c = digits; *c; c++) {
        if (*c < '0' || *c > '9')
            return false;
        value = value * 10 + (uint32_t)(*c - '0');
        if (value >= CLUSTER_TASKS_MAX)
            return false;
    }
    *index = value;
    return true;
}

static int compare_tasks(const void *left, const void *right)
{
    const cluster_task *a = left;
    const cluster_task *b = right;
    return (a->index > b->index) - (a->index < b->index);
}

/* Whether every index from 0 on is there; the tasks are sorted and unique. */
static bool has_no_gaps(const cluster_job *job)
{
    return job->count > 0 && job->tasks[job->count - 1].index == job->count - 1;
}

static ps_status read_task(const cluster_text *text, const char *job, const json *value, uint32_t position,
                           cluster_task *task, ps_error *error)
{
    char path[PATH_BYTES];
    const char *key = json_key(value);
    if (key)
        snprintf(path, sizeof path, "%s%s[\"%.20s\"]", text->prefix, job, key);
    else
        snprintf(path, sizeof path, "%s%s[%u]", text->prefix, job, (unsigned)position);

    task->index = position;
    if (key && !cluster_index_parse(key, &task->index))
        return ps_fail(error, PS_ECONFIG, "%s: %s: the key must be an index from 0 to %d in plain digits",
                       text->source, path, CLUSTER_TASKS_MAX - 1);
    const char *written;
    ps_error cause;
    if (json_as_string(value, path, &written, &cause))
        return ps_fail(error, PS_ECONFIG, "%s: %s; write \"host:port\"", text->source, cause.text);
    address parsed;
    if (address_parse(written, &parsed, &cause))
        return ps_fail(error, PS_ECONFIG, "%s: %s: %s", text->source, path, cause.text);
    memcpy(task->host, parsed.host, sizeof parsed.host);
    task->port = parsed.port;
    return PS_OK;
}

/* The tasks of one job; an empty one passes here. */
static ps_status read_job(const cluster_text *text, const char *name, const json *value, cluster_job *job,
                          ps_error *error)
{
    const json_type type = json_type_of(value);
    if (type != JSON_LIST && type != JSON_OBJECT)
        return ps_fail(error, PS_ECONFIG,
                       "%s: %s%s must be a list of addresses or an object from index to address, not %s",
                       text->source, text->prefix, name, json_type_name(value));
    const size_t count = json_count(value);
    if (count > CLUSTER_TASKS_MAX)
        return ps_fail(error, PS_ECONFIG, "%s: %s%s has %zu tasks; at most %d are accepted", text->source,
                       text->prefix, name, count, CLUSTER_TASKS_MAX);
    if (count == 0)
        return PS_OK;
    job->tasks = calloc(count, sizeof *job->tasks);
    if (!job->tasks)
        return ps_fail(error, PS_ENOMEM, "%s: out of memory for %zu tasks", text->source, count);
    for (const json *entry = json_first(value); entry; entry = json_next(entry)) {
        const ps_status status = read_task(text, name, entry, job->count, &job->tasks[job->count], error);
        if (status)
            return status;
        job->count++;
    }
    qsort(job->tasks, job->count, sizeof *job->tasks, compare_tasks);
    job->dense = has_no_gaps(job);
    return PS_OK;
}

/* At most one chief, under one of its two names, with index 0. */
static ps_status check_chief(const cluster_text *text, const char *name, const cluster_job *chief,
                             ps_error *error)
{
    if (json_find(text->jobs, "chief") && json_find(text->jobs, "master"))
        return ps_fail(error, PS_ECONFIG, "%s: %schief and %smaster are the same job; keep one of them",
                       text->source, text->prefix, text->prefix);
    if (chief->count > 1)
        return ps_fail(error, PS_ECONFIG, "%s: %s%s has %u tasks; a cluster has at most one chief",
                       text->source, text->prefix, name, (unsigned)chief->count);
    if (chief->count == 1 && chief->tasks[0].index != 0)
        return ps_fail(error, PS_ECONFIG, "%s: %s%s has index %u; the one chief has index 0", text->source,
                       text->prefix, name, (unsigned)chief->tasks[0].index);
    return PS_OK;
}

/* Whether a dictionary of `worker` or `ps` may show less than there is; see the top of this file. */
static bool may_hide_tasks(const cluster_text *text, const cluster_spec *spec, cluster_role role)
{
    const json *value = json_find(text->jobs, cluster_role_name(role));
    if (!value || json_type_of(value) != JSON_OBJECT)
        return false;
    const cluster_job *job = &spec->jobs[role];
    const bool lone = job->count == 1 && (role == ROLE_WORKER || spec->role == ROLE_PS);
    return !job->dense || lone;
}

static void judge_wholeness(const cluster_text *text, cluster_spec *spec)
{
    cluster_job *ps = &spec->jobs[ROLE_PS];
    cluster_job *workers = &spec->jobs[ROLE_WORKER];
    const bool workers_hidden = may_hide_tasks(text, spec, ROLE_WORKER);
    const bool ps_hidden = may_hide_tasks(text, spec, ROLE_PS);
    spec->sparse = text->sparse || workers_hidden || ps_hidden;
    if (!spec->sparse) {
        for (size_t role = 0; role < CLUSTER_ROLES; role++)
            spec->jobs[role].dense |= spec->jobs[role].count == 0; /* not there, and known not to be */
        return;
    }
    workers->dense = false;
    ps->dense = ps->dense && !ps_hidden && spec->role != ROLE_PS;
    const json *listed = json_find(text->jobs, "ps");
    if (spec->role == ROLE_PS && ps->count == 1 && json_type_of(listed) == JSON_LIST)
        ps->tasks[0].index = spec->index;
}

static ps_status refuse_empty_jobs(const cluster_text *text, const cluster_spec *spec, ps_error *error)
{
    for (size_t i = 0; i < JOB_NAMES; i++) {
        const cluster_role role = job_names[i].role;
        const json *value = json_find(text->jobs, job_names[i].name);
        if (!value || json_first(value) || (spec->sparse && (role == ROLE_PS || role == ROLE_WORKER)))
            continue;
        return ps_fail(error, PS_ECONFIG, "%s: %s%s is empty; name its tasks or remove the key", text->source,
                       text->prefix, job_names[i].name);
    }
    return PS_OK;
}

static const cluster_task *next_task(const cluster_spec *spec, cluster_role *role, uint32_t *place)
{
    while (*place >= spec->jobs[*role].count) {
        if (*role == ROLE_EVALUATOR)
            return NULL;
        ++*role;
        *place = 0;
    }
    return &spec->jobs[*role].tasks[(*place)++];
}

/* Compares all pairs: at most a few thousand tasks, once. */
static ps_status refuse_shared_addresses(const cluster_text *text, const cluster_spec *spec, ps_error *error)
{
    cluster_role role = ROLE_PS;
    uint32_t place = 0;
    for (const cluster_task *task; (task = next_task(spec, &role, &place));) {
        cluster_role other_role = role;
        uint32_t other_place = place;
        for (const cluster_task *other; (other = next_task(spec, &other_role, &other_place));) {
            if (task->port != other->port || strcasecmp(task->host, other->host) != 0)
                continue;
            char shared[ADDRESS_TEXT_MAX + 16];
            address_format(task->host, task->port, shared, sizeof shared);
            return ps_fail(error, PS_ECONFIG, "%s: %s %u and %s %u have the same address, \"%s\"",
                           text->source, cluster_role_name(role), (unsigned)task->index,
                           cluster_role_name(other_role), (unsigned)other->index, shared);
        }
    }
    return PS_OK;
}

ps_status cluster_jobs_read(const cluster_text *text, cluster_spec *spec, ps_error *error)
{
    for (size_t i = 0; i < JOB_NAMES; i++) {
        const char *name = job_names[i].name;
        const json *value = json_find(text->jobs, name);
        cluster_job *job = &spec->jobs[job_names[i].role];
        if (!value || job->count > 0)
            continue; /* a second name of the chief is left to check_chief */
        ps_status status = read_job(text, name, value, job, error);
        if (!status && job_names[i].role == ROLE_CHIEF)
            status = check_chief(text, name, job, error);
        if (status)
            return status;
    }
    judge_wholeness(text, spec);
    const ps_status status = refuse_empty_jobs(text, spec, error);
    return status ? status : refuse_shared_addresses(text, spec, error);
}
