/* host_commands.c - see host_commands.h. */
#include "deploy/hosts/host_commands.h"

#include <stdlib.h>
#include <string.h>

#include "common/path.h"
#include "deploy/hosts/shell_quote.h"
#include "deploy/launch/tf_config.h"

/* What tf_config wants of a layout. */
typedef struct {
    uint16_t ports[TASKS_MAX];
    const char *names[TASKS_MAX];
    local_cluster cluster;
} described;

static void describe(const host_layout *layout, described *d)
{
    for (size_t i = 0; i < layout->count; i++) {
        d->ports[i] = layout->list[i].port;
        d->names[i] = layout->list[i].host->address;
    }
    d->cluster = (local_cluster){
        .ports = {[ROLE_PS] = d->ports, [ROLE_WORKER] = d->ports + layout->servers},
        .names = {[ROLE_PS] = d->names, [ROLE_WORKER] = d->names + layout->servers},
        .counts = {[ROLE_PS] = layout->servers, [ROLE_WORKER] = layout->workers},
    };
}

/* Of the task `of`, or of the cluster alone if it is NULL. */
static ps_status write_config(const host_layout *layout, const host_task *of, char **text, ps_error *error)
{
    described d;
    describe(layout, &d);
    *text = malloc(HOST_COMMAND_MAX);
    if (!*text)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    const ps_status status =
        of ? tf_config_write(&d.cluster, of->role, of->index, *text, HOST_COMMAND_MAX, error)
           : tf_config_write_cluster(&d.cluster, *text, HOST_COMMAND_MAX, error);
    if (status) {
        free(*text);
        *text = NULL;
    }
    return status;
}

ps_status host_cluster_text(const host_layout *layout, char **text, ps_error *error)
{
    return write_config(layout, NULL, text, error);
}

static void write_words(FILE *out, char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fputc(' ', out);
        shell_quote(out, words[i]);
    }
}

/* `exec`: "exec ", for a shell that has nothing else to do, or "". */
static void write_command(FILE *out, const host_job *job, const host_task *of, const char *tf_config,
                          const char *exec)
{
    char program[PATH_BYTES];
    snprintf(program, sizeof program, "%s%spenstock-%s", job->bin_dir ? job->bin_dir : "",
             job->bin_dir ? "/" : "", cluster_role_name(of->role));
    if (job->folder) {
        fputs("cd ", out);
        shell_quote(out, job->folder);
        fputs(" && ", out);
    }
    fprintf(out, "%senv TF_CONFIG=", exec);
    shell_quote(out, tf_config);
    fputc(' ', out);
    shell_quote(out, program);
    if (of->role == ROLE_PS)
        write_words(out, job->server_options, job->server_option_count);
    else
        write_words(out, job->training, job->training_count);
}

/* What runs on the other side. What comes in is on descriptor 3, and the task sees nothing of it. The second
 * shell gets no further than `read` as long as the connection stands; its output is away, so that nobody
 * waits for its end. */
static void write_watched(FILE *out, const char *command, unsigned grace_s)
{
    fprintf(out,
            "exec 3<&0; "
            "(%s) </dev/null 3<&- & p=$!; "
            "(while read -r s <&3; do kill -s \"$s\" $p; done; "
            "kill -s TERM $p; n=0; "
            "while [ $n -lt %u ] && kill -s 0 $p; do sleep 1; n=$((n + 1)); done; "
            "kill -s KILL $p) >/dev/null 2>&1 & w=$!; "
            "exec 3<&-; wait $p; c=$?; kill -s KILL $w 2>/dev/null; exit $c",
            command, grace_s);
}

/* Ends the writing of `*text`. */
static ps_status close_text(FILE *out, char **text, ps_error *error)
{
    if (fclose(out) == 0)
        return PS_OK;
    free(*text);
    *text = NULL;
    return ps_fail(error, PS_ENOMEM, "out of memory");
}

static ps_status make_command(const host_job *job, const host_task *of, const char *exec, char **command,
                              ps_error *error)
{
    char *config;
    size_t bytes;
    ps_status status = write_config(job->layout, of, &config, error);
    if (status)
        return status;
    FILE *out = open_memstream(command, &bytes);
    if (out) {
        write_command(out, job, of, config, exec);
        status = close_text(out, command, error);
    } else {
        status = ps_fail(error, PS_ENOMEM, "out of memory");
    }
    free(config);
    return status;
}

static ps_status check_length(const host_task *of, char **command, ps_error *error)
{
    const size_t bytes = strlen(*command);
    if (bytes <= HOST_COMMAND_MAX)
        return PS_OK;
    free(*command);
    *command = NULL;
    return ps_fail(error, PS_ELIMIT, "the command of %s %u has %zu bytes; at most %d can be given",
                   cluster_role_name(of->role), of->index, bytes, HOST_COMMAND_MAX);
}

ps_status host_command(const host_job *job, const host_task *of, char **command, ps_error *error)
{
    const ps_status status = make_command(job, of, "", command, error);
    return status ? status : check_length(of, command, error);
}

ps_status host_watched_command(const host_job *job, const host_task *of, unsigned grace_s, char **command,
                               ps_error *error)
{
    char *inner, *script = NULL;
    size_t bytes;
    ps_status status = make_command(job, of, "exec ", &inner, error);
    if (status)
        return status;
    FILE *out = open_memstream(&script, &bytes);
    if (out) {
        write_watched(out, inner, grace_s);
        status = close_text(out, &script, error);
    }
    free(inner);
    if (!status)
        out = out ? open_memstream(command, &bytes) : NULL;
    if (!status && !out)
        status = ps_fail(error, PS_ENOMEM, "out of memory");
    if (!status) {
        fputs("sh -c ", out);
        shell_quote(out, script);
        status = close_text(out, command, error);
    }
    free(script);
    return status ? status : check_length(of, command, error);
}
