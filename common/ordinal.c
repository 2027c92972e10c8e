/* ordinal.c - see ordinal.h. */
#include "common/ordinal.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/cluster_jobs.h"
#include "common/json_write.h"
#include "common/options.h"

#define OPTION  "--from-ordinal"
#define EXAMPLE "ps=2@trainer-ps-{}.trainer:2222,worker=3"

enum {
    JOB_TEXT_MAX = 16 + 1 + 16 + 1 + ADDRESS_TEXT_MAX, /* bytes of name=count@pattern */
    QUOTED_MAX = 100,                                  /* of a name in an error */
    WRITTEN_MAX = 2 * ADDRESS_TEXT_MAX, /* of a pattern of nothing but {}, with 1023 for each */
};
static_assert((int)WRITTEN_MAX <= (int)JSON_TEXT_MAX, "an address goes whole into JSON");

typedef struct {
    uint32_t count; /* 0: the job is not there */
    char pattern[ADDRESS_TEXT_MAX + 1];
} pattern_job;

typedef struct {
    pattern_job of[CLUSTER_ROLES];
} pattern_cluster;

static ps_status take_pattern(const char *name, cluster_role role, const char *pattern, pattern_job *job,
                              ps_error *error)
{
    if (!pattern && role == ROLE_PS)
        return ps_fail(error, PS_ECONFIG,
                       OPTION ": ps has no addresses, by which workers find them; give e.g. " EXAMPLE);
    if (pattern && job->count > 1 && !strstr(pattern, "{}"))
        return ps_fail(error, PS_ECONFIG,
                       OPTION ": %s: \"%.100s\" is the same for all %u; write {} where the index is to stand",
                       name, pattern, (unsigned)job->count);
    const int length = pattern ? snprintf(job->pattern, sizeof job->pattern, "%s", pattern)
                               : snprintf(job->pattern, sizeof job->pattern, "%s-{}:2222", name);
    if ((size_t)length >= sizeof job->pattern)
        return ps_fail(error, PS_ECONFIG,
                       OPTION ": %s: \"%.100s\"... has %d characters; at most %d are allowed", name, pattern,
                       length, ADDRESS_TEXT_MAX);
    return PS_OK;
}

/* name=count[@pattern]; `text` is written to. */
static ps_status take_job(char *text, pattern_cluster *cluster, ps_error *error)
{
    cluster_role role;
    uint64_t count;
    char *pattern = strchr(text, '@');
    char *number = strchr(text, '=');
    if (!number || (pattern && pattern < number))
        return ps_fail(error, PS_ECONFIG,
                       OPTION ": \"%.100s\" is not JOB=COUNT@HOST:PORT; give e.g. " EXAMPLE, text);
    *number++ = '\0';
    if (pattern)
        *pattern++ = '\0';
    if (!cluster_role_parse(text, &role))
        return ps_fail(error, PS_ECONFIG,
                       OPTION ": there is no job \"%.60s\", only ps, worker, chief or master, and evaluator",
                       text);
    pattern_job *job = &cluster->of[role];
    char name[32];
    snprintf(name, sizeof name, "from-ordinal: %.10s", text);
    if (job->count > 0)
        return ps_fail(error, PS_ECONFIG, OPTION ": %s is there twice", text);
    if (option_unsigned(name, number, 1, CLUSTER_TASKS_MAX, &count, error) != PS_OK)
        return PS_ECONFIG;
    job->count = (uint32_t)count;
    return take_pattern(text, role, pattern, job, error);
}

static ps_status take_jobs(const char *spec, pattern_cluster *cluster, ps_error *error)
{
    if (!*spec)
        return ps_fail(error, PS_ECONFIG, OPTION " is empty; give e.g. " EXAMPLE);
    for (const char *at = spec;;) {
        char text[JOB_TEXT_MAX + 1];
        const size_t length = strcspn(at, ",");
        if (length > JOB_TEXT_MAX)
            return ps_fail(error, PS_ECONFIG,
                           OPTION ": \"%.60s\"... has %zu characters; at most %d are allowed", at, length,
                           JOB_TEXT_MAX);
        snprintf(text, sizeof text, "%.*s", (int)length, at);
        const ps_status status = take_job(text, cluster, error);
        if (status)
            return status;
        if (!at[length])
            return PS_OK;
        at += length + 1;
    }
}

/* The digits behind the last '-' of name[length]. */
static ps_status index_from_name(const char *what, const char *name, size_t length, uint32_t *index,
                                 ps_error *error)
{
    const char *dash = memrchr(name, '-', length);
    char digits[8];
    const size_t count = dash ? (size_t)(name + length - dash) - 1 : sizeof digits;
    if (count < sizeof digits) {
        memcpy(digits, dash + 1, count);
        digits[count] = '\0';
        if (cluster_index_parse(digits, index))
            return PS_OK;
    }
    return ps_fail(error, PS_ECONFIG,
                   "%s is \"%.*s\", which does not end in '-' and an index from 0 to %d, such as "
                   "trainer-ps-0: " OPTION " takes the index of this task from there; or give --task",
                   what, (int)(length < QUOTED_MAX ? length : QUOTED_MAX), name, CLUSTER_TASKS_MAX - 1);
}

static ps_status find_index(const ordinal_names *names, const pattern_cluster *cluster, cluster_role daemon,
                            uint32_t *index, ps_error *error)
{
    const char *type = cluster_role_name(daemon);
    const uint32_t count = cluster->of[daemon].count;
    const char *what = "JOB_COMPLETION_INDEX", *name = names->completion_index;
    ps_status status = PS_OK;
    if (name && !cluster_index_parse(name, index))
        return ps_fail(error, PS_ECONFIG, "%s must be an index from 0 to %d, not \"%.60s\"", what,
                       CLUSTER_TASKS_MAX - 1, name);
    if (!name && names->pod_name) {
        what = "POD_NAME";
        name = names->pod_name;
        status = index_from_name(what, name, strlen(name), index, error);
    } else if (!name) {
        what = "the name of this host";
        name = names->host_name ? names->host_name : "";
        status = index_from_name(what, name, strcspn(name, "."), index, error);
    }
    if (status || *index < count)
        return status;
    if (count == 0)
        return ps_fail(error, PS_ECONFIG, OPTION ": this is penstock-%s, but there is no job %s", type, type);
    return ps_fail(error, PS_ECONFIG,
                   "%s is \"%.100s\", which makes this %s %u; but " OPTION " has %s 0 to %u", what, name,
                   type, (unsigned)*index, type, (unsigned)count - 1);
}

/* The pattern with `index` for every {}. */
static void fill_in(const char *pattern, uint32_t index, char text[WRITTEN_MAX + 1])
{
    size_t used = 0;
    while (*pattern) {
        const bool here = strncmp(pattern, "{}", 2) == 0;
        if (here)
            used += (size_t)snprintf(text + used, WRITTEN_MAX + 1 - used, "%u", (unsigned)index);
        else
            text[used++] = *pattern;
        pattern += here ? 2 : 1;
    }
    text[used] = '\0';
}

static void write_cluster(const pattern_cluster *cluster, json_writer *w)
{
    json_open(w, "cluster", '{');
    for (int role = ROLE_PS; role < CLUSTER_ROLES; role++) {
        const pattern_job *job = &cluster->of[role];
        if (job->count == 0)
            continue;
        json_open(w, cluster_role_name((cluster_role)role), '[');
        for (uint32_t i = 0; i < job->count; i++) {
            char text[WRITTEN_MAX + 1];
            fill_in(job->pattern, i, text);
            json_put_text(w, NULL, text);
        }
        json_close(w, ']');
    }
    json_close(w, '}');
}

ps_status ordinal_tf_config(const char *spec, cluster_role daemon, const ordinal_names *names,
                            char **tf_config, ps_error *error)
{
    pattern_cluster cluster = {0};
    uint32_t index = 0;
    *tf_config = NULL;
    ps_status status = take_jobs(spec, &cluster, error);
    if (!status && names)
        status = find_index(names, &cluster, daemon, &index, error);
    if (status)
        return status;

    size_t bytes = 0;
    json_writer w = {.out = open_memstream(tf_config, &bytes)};
    if (!w.out)
        return ps_fail(error, PS_ENOMEM, OPTION ": out of memory");
    json_open(&w, NULL, '{');
    write_cluster(&cluster, &w);
    if (names) {
        json_open(&w, "task", '{');
        json_put_text(&w, "type", cluster_role_name(daemon));
        json_put_count(&w, "index", index);
        json_close(&w, '}');
    }
    json_close(&w, '}');
    if (fclose(w.out) == 0)
        return PS_OK;
    free(*tf_config);
    *tf_config = NULL;
    return ps_fail(error, PS_ENOMEM, OPTION ": out of memory");
}
