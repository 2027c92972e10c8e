/* job_file.c - see job_file.h. */
#include "deploy/runs/job_file.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json.h"
#include "deploy/launch/run_options.h"
#include "deploy/number_text.h"
#include "deploy/registry/registry.h"

enum { KEY_MAX = 64 };

static ps_status add(job_texts *texts, ps_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static ps_status add(job_texts *texts, ps_error *error, const char *format, ...)
{
    char *text;
    if (texts->count == JOB_ARGUMENTS_MAX)
        return ps_fail(error, PS_ELIMIT, "more than %d options", JOB_ARGUMENTS_MAX);
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    texts->list[texts->count++] = text;
    return PS_OK;
}

/* ---- options ---- */

static ps_status check_key(const char *where, const char *key, const char *allowed, ps_error *error)
{
    if (key[0] && strlen(key) < KEY_MAX && key[0] != '-' && key[strspn(key, allowed)] == '\0')
        return PS_OK;
    return ps_fail(error, PS_EINVAL, "%s: '%.80s' is no name of an option", where, key);
}

/* "--key=value": a value may begin with a dash. */
static ps_status add_option(job_texts *texts, const char *where, const json *value, ps_error *error)
{
    const char *key = json_key(value), *text;
    char number[NUMBER_TEXT_BYTES];
    double parsed;
    bool truth;
    ps_status status = check_key(where, key, "abcdefghijklmnopqrstuvwxyz0123456789-", error);
    if (status != PS_OK)
        return status;
    switch (json_type_of(value)) {
    case JSON_STRING:
        status = json_as_string(value, key, &text, error);
        return status == PS_OK ? add(texts, error, "--%s=%s", key, text) : status;
    case JSON_NUMBER:
        status = json_as_number(value, key, &parsed, error);
        number_text(parsed, number);
        return status == PS_OK ? add(texts, error, "--%s=%s", key, number) : status;
    case JSON_BOOL:
        status = json_as_bool(value, key, &truth, error);
        if (status == PS_OK && !truth)
            return ps_fail(error, PS_EINVAL, "%s: '%s' is false; leave it out instead", where, key);
        return status == PS_OK ? add(texts, error, "--%s", key) : status;
    default:
        return ps_fail(error, PS_EINVAL, "%s: '%s' is %s; it has to be a text, a number or true", where, key,
                       json_type_name(value));
    }
}

static ps_status take_options(job_texts *texts, const char *where, const json *object, ps_error *error)
{
    ps_status status = json_as_object(object, where, error);
    for (const json *each = status == PS_OK ? json_first(object) : NULL; each && status == PS_OK;
         each = json_next(each))
        status = add_option(texts, where, each, error);
    return status;
}

/* ---- keys ---- */

static ps_status take_experiment(job_file *job, const json *value, const char *folder, ps_error *error)
{
    (void)folder;
    const char *text;
    ps_status status = json_as_string(value, "experiment", &text, error);
    if (status == PS_OK)
        status = registry_check_name("experiment", text, error);
    if (status == PS_OK)
        snprintf(job->experiment, sizeof job->experiment, "%s", text);
    return status;
}

static ps_status take_schema(job_file *job, const json *value, const char *folder, ps_error *error)
{
    (void)job;
    (void)folder;
    const char *text;
    ps_status status = json_as_string(value, "schema", &text, error);
    if (status == PS_OK && strcmp(text, "penstock-job/1") != 0)
        return ps_fail(error, PS_EINVAL, "schema: '%.40s' is not known; there is: penstock-job/1", text);
    return status;
}

static ps_status take_target(job_file *job, const json *value, const char *folder, ps_error *error)
{
    (void)job;
    (void)folder;
    const char *text;
    ps_status status = json_as_string(value, "target", &text, error);
    if (status == PS_OK && strcmp(text, "local") != 0)
        return ps_fail(error, PS_EINVAL, "target: '%.40s' is not known; there is: local", text);
    return status;
}

static ps_status take_data(job_file *job, const json *value, const char *folder, ps_error *error)
{
    char path[PATH_BYTES], real[PATH_MAX];
    const char *text;
    ps_status status = json_as_string(value, "data", &text, error);
    if (status == PS_OK && text[0] == '\0')
        return ps_fail(error, PS_EINVAL, "data: the name is empty");
    if (status == PS_OK)
        status = text[0] == '/' ? path_make(path, error, "%s", text)
                                : path_make(path, error, "%s/%s", folder, text);
    if (status == PS_OK && !realpath(path, real))
        return ps_fail(error, PS_EINVAL, "data: cannot find %s: %s", path, strerror(errno));
    return status == PS_OK ? path_make(job->data, error, "%s", real) : status;
}

static ps_status take_count(job_file *job, const json *value, const char *folder, ps_error *error)
{
    (void)folder;
    const char *key = json_key(value);
    int64_t count;
    ps_status status = json_as_integer(
        value, key, 0, strcmp(key, "ps") == 0 ? RUN_SERVERS_MAX : RUN_WORKERS_MAX, &count, error);
    return status == PS_OK ? add(&job->launcher, error, "--%s=%d", key, (int)count) : status;
}

static ps_status take_flag(job_file *job, const json *value, const char *folder, ps_error *error)
{
    (void)folder;
    bool truth;
    ps_status status = json_as_bool(value, json_key(value), &truth, error);
    return status == PS_OK && truth ? add(&job->launcher, error, "--%s", json_key(value)) : status;
}

static ps_status take_training(job_file *job, const json *value, const char *folder, ps_error *error)
{
    (void)folder;
    return take_options(&job->training, "options", value, error);
}

static ps_status take_launcher(job_file *job, const json *value, const char *folder, ps_error *error)
{
    (void)folder;
    return take_options(&job->launcher, "launcher", value, error);
}

static ps_status take_server_options(job_file *job, const json *value, const char *folder, ps_error *error)
{
    (void)folder;
    const char *text;
    ps_status status = json_as_list(value, "ps_options", error);
    for (const json *each = status == PS_OK ? json_first(value) : NULL; each && status == PS_OK;
         each = json_next(each)) {
        status = json_as_string(each, "ps_options", &text, error);
        if (status == PS_OK)
            status = add(&job->launcher, error, "--ps-option=%s", text);
    }
    return status;
}

static ps_status take_environment(job_file *job, const json *value, const char *folder, ps_error *error)
{
    (void)folder;
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    const char *text;
    ps_status status = json_as_object(value, "environment", error);
    for (const json *each = status == PS_OK ? json_first(value) : NULL; each && status == PS_OK;
         each = json_next(each)) {
        const char *key = json_key(each);
        status = check_key("environment", key, allowed, error);
        if (status == PS_OK && strcmp(key, "TF_CONFIG") == 0)
            status = ps_fail(error, PS_EINVAL, "environment: TF_CONFIG is the launcher's to set");
        if (status == PS_OK)
            status = json_as_string(each, key, &text, error);
        if (status == PS_OK)
            status = add(&job->environment, error, "%s=%s", key, text);
    }
    return status;
}

static const struct {
    const char *key;
    ps_status (*take)(job_file *job, const json *value, const char *folder, ps_error *error);
} keys[] = {
    {"schema", take_schema},
    {"experiment", take_experiment},
    {"target", take_target},
    {"data", take_data},
    {"ps", take_count},
    {"workers", take_count},
    {"chief", take_flag},
    {"evaluator", take_flag},
    {"options", take_training},
    {"launcher", take_launcher},
    {"ps_options", take_server_options},
    {"environment", take_environment},
};

static ps_status take(job_file *job, const json *value, const char *folder, ps_error *error)
{
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i].key, json_key(value)) == 0)
            return keys[i].take(job, value, folder, error);
    return ps_fail(
        error, PS_EINVAL,
        "'%.40s' is not known; there is: schema, experiment, target, data, ps, workers, chief, evaluator, "
        "options, launcher, ps_options, environment",
        json_key(value));
}

/* ---- the file ---- */

ps_status job_file_parse(const char *text, size_t bytes, const char *source, const char *folder,
                         job_file *job, ps_error *error)
{
    const json_options options = {.source = source, .max_bytes = JOB_FILE_MAX};
    json *root = NULL;
    ps_error cause;
    memset(job, 0, sizeof *job);
    ps_status status = json_parse(text, bytes, &options, &root, NULL, &cause);
    if (status == PS_OK)
        status = json_as_object(root, source, &cause);
    if (status != PS_OK) {
        json_free(&root);
        return ps_fail(error, status, "%s", cause.text);
    }
    if (!json_find(root, "schema"))
        status = ps_fail(&cause, PS_EINVAL, "\"schema\": \"penstock-job/1\" is missing");
    for (const json *each = json_first(root); each && status == PS_OK; each = json_next(each))
        status = take(job, each, folder, &cause);
    json_free(&root);
    if (status == PS_OK)
        return PS_OK;
    job_file_free(job);
    /* What is wrong in a job is for the person who wrote it to put right. */
    return ps_fail(error, status == PS_EFORMAT ? PS_EINVAL : status, "%s: %s", source, cause.text);
}

ps_status job_file_read(const char *path, job_file *job, ps_error *error)
{
    char folder[PATH_BYTES], *text = NULL;
    size_t bytes;
    memset(job, 0, sizeof *job);
    const char *slash = strrchr(path, '/');
    ps_status status = slash ? path_make(folder, error, "%.*s", (int)(slash - path) + 1, path)
                             : path_make(folder, error, ".");
    if (status == PS_OK)
        status = file_read(path, JOB_FILE_MAX, &text, &bytes, error);
    if (status == PS_OK)
        status = job_file_parse(text, bytes, path, folder, job, error);
    free(text);
    return status;
}

static void free_texts(job_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->list[i]);
    texts->count = 0;
}

void job_file_free(job_file *job)
{
    free_texts(&job->launcher);
    free_texts(&job->training);
    free_texts(&job->environment);
    memset(job, 0, sizeof *job);
}
