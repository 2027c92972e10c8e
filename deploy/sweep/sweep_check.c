/* sweep_check.c - see sweep_check.h. */
#include "deploy/sweep/sweep_check.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deploy/number_text.h"

extern char **environ;

enum {
    ANSWER_BYTES = 400,
    SHOWN_BYTES = 64 << 10 /* of an answer that are read; more would be no message */
};

/* How many combinations show every choice and both ends of every range. */
static size_t combinations(const sweep_space *space)
{
    size_t most = 1;
    for (size_t i = 0; i < space->parameter_count; i++) {
        const sweep_parameter *p = &space->parameters[i];
        const size_t own = p->range == RANGE_CHOICE ? p->choice_count : 2;
        most = own > most ? own : most;
    }
    return most;
}

static void pick(const sweep_space *space, size_t combination, sweep_value *values)
{
    for (size_t i = 0; i < space->parameter_count; i++) {
        const sweep_parameter *p = &space->parameters[i];
        const uint64_t count = sweep_parameter_count(p);
        if (p->range == RANGE_CHOICE)
            sweep_parameter_value(p, combination % count, values[i].text);
        else if (count > 0)
            sweep_parameter_value(p, combination % 2 == 0 ? 0 : count - 1, values[i].text);
        else
            number_text(combination % 2 == 0 ? p->low : p->high, values[i].text);
    }
}

/* Starts a program whose standard error can be read from `*answers`. */
static ps_status start(char **arguments, pid_t *pid, int *answers, ps_error *error)
{
    posix_spawn_file_actions_t actions;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return ps_fail(error, PS_EIO, "cannot create a pipe: %s", strerror(errno));
    int cause = posix_spawn_file_actions_init(&actions);
    if (cause == 0) {
        cause = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        if (cause == 0)
            cause = posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
        if (cause == 0)
            cause = posix_spawn(pid, SWEEP_OWN_PROGRAM, &actions, NULL, arguments, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    close(ends[1]);
    *answers = ends[0];
    if (cause == 0)
        return PS_OK;
    close(ends[0]);
    return ps_fail(error, PS_EIO, "cannot start penstock: %s", strerror(cause));
}

/* The first line of what is said. */
static void listen(int fd, char answer[ANSWER_BYTES])
{
    char text[4096];
    size_t used = 0, total = 0;
    for (ssize_t got; total < SHOWN_BYTES && (got = read(fd, text, sizeof text)) != 0;) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        total += (size_t)got;
        const size_t room = ANSWER_BYTES - 1 - used, taken = (size_t)got < room ? (size_t)got : room;
        memcpy(answer + used, text, taken);
        used += taken;
    }
    answer[used] = '\0';
    answer[strcspn(answer, "\n")] = '\0';
}

static ps_status ask(char **arguments, const char *options, ps_error *error)
{
    char answer[ANSWER_BYTES];
    pid_t pid = -1;
    int answers = -1, wait_status = 0;
    ps_status status = start(arguments, &pid, &answers, error);
    if (status != PS_OK)
        return status;
    listen(answers, answer);
    close(answers);
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
        ;
    if (wait_status == 0)
        return PS_OK;
    return ps_fail(error, PS_ECONFIG, "no run takes these options (%.80s): %s", options, answer);
}

ps_status sweep_check(const sweep_command *command, const sweep_space *space, ps_error *error)
{
    static char penstock[] = "penstock", run[] = "run", check[] = "--check";
    char *const own[] = {penstock, run, check};
    const size_t count = combinations(space);
    ps_status status = PS_OK;
    sweep_value *values = calloc(space->parameter_count, sizeof *values);
    if (!values)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    for (size_t i = 0; i < count && status == PS_OK; i++) {
        char options[SWEEP_DESCRIPTION_BYTES];
        pick(space, i, values);
        sweep_values_describe(space, values, options, sizeof options);
        char **arguments = sweep_command_line(command, space, values, own, sizeof own / sizeof own[0]);
        status = arguments ? ask(arguments, options, error) : ps_fail(error, PS_ENOMEM, "out of memory");
        free(arguments);
    }
    free(values);
    return status;
}
