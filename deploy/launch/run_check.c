/* run_check.c - see run_check.h. */
#include "deploy/launch/run_check.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/status.h"
#include "deploy/launch/programs.h"
#include "deploy/launch/verdict.h"
#include "deploy/runs/run_folder.h"

extern char **environ;

enum { OWN_ARGUMENTS_MAX = 8 /* before and after those passed on, the final NULL included */ };

/* Any cluster will do: that of the run has no ports yet. */
static char cluster[] = "{\"ps\": [\"localhost:2222\"], \"worker\": [\"localhost:2223\"]}";

/* Runs the program to its end without its output. Leaves its exit code in `*code`. */
static ps_status run_silently(const char *path, char **arguments, int *code, ps_error *error)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    int cause = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (cause == 0)
        cause = posix_spawn(&pid, path, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (cause != 0)
        return ps_fail(error, PS_EIO, "cannot start %s: %s", path, strerror(cause));
    process_end end = {.ended = true};
    while (waitpid(pid, &end.wait_status, 0) < 0)
        if (errno != EINTR)
            return ps_fail(error, PS_EIO, "cannot wait for %s: %s", path, strerror(errno));
    *code = verdict_exit_code(&end);
    return PS_OK;
}

static ps_status ask(const char *name, const char *folder, const char *bin_dir, char *task,
                     char *const *passed, size_t passed_count, int *code, ps_error *error)
{
    char path[RUN_PATH_MAX];
    ps_status status = program_find(name, folder, bin_dir, path, sizeof path, error);
    if (status != PS_OK)
        return status;
    char **list = calloc(passed_count + OWN_ARGUMENTS_MAX, sizeof *list);
    if (!list)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    size_t used = 0;
    list[used++] = (char *)(uintptr_t)name;
    list[used++] = "--check-config";
    list[used++] = "--cluster";
    list[used++] = cluster;
    list[used++] = "--task";
    list[used++] = task;
    for (size_t i = 0; i < passed_count; i++)
        list[used++] = passed[i];
    status = run_silently(path, list, code, error);
    free(list);
    return status;
}

int run_check(const char *title, const run_options *o)
{
    ps_error error;
    int code = PS_EXIT_DONE;
    ps_status status = PS_OK;
    if (o->servers > 0)
        status = ask("penstock-ps", "ps", o->bin_dir, "ps:0", o->server_options, o->server_option_count,
                     &code, &error);
    if (status == PS_OK && code == PS_EXIT_DONE)
        status = ask("penstock-worker", "worker", o->bin_dir, "worker:0", o->training, o->training_count,
                     &code, &error);
    if (status != PS_OK) {
        fprintf(stderr, "%s: %s\n", title, error.text);
        return ps_status_exit_code(status);
    }
    return code;
}
