/* guard.c - see guard.h. */
#include "deploy/launch/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* One message: the number of a group to watch, or its negative to forget it. */
typedef int32_t announcement;

static void remember(pid_t *groups, size_t *count, pid_t group)
{
    if (*count < GUARD_GROUPS_MAX)
        groups[(*count)++] = group;
}

static void drop(pid_t *groups, size_t *count, pid_t group)
{
    for (size_t i = 0; i < *count; i++) {
        if (groups[i] == group) {
            groups[i] = groups[--*count];
            return;
        }
    }
}

static _Noreturn void keep_guard(int socket)
{
    pid_t groups[GUARD_GROUPS_MAX];
    size_t count = 0;
    for (;;) {
        announcement message;
        ssize_t got = recv(socket, &message, sizeof message, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got != (ssize_t)sizeof message)
            break;
        if (message > 0)
            remember(groups, &count, message);
        else
            drop(groups, &count, -message);
    }
    for (size_t i = 0; i < count; i++)
        kill(-groups[i], SIGKILL);
    _exit(0);
}

/* Lets go of everything inherited: a pipe that someone reads to its end must not stay open through us. */
static void detach(int socket)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid();
    prctl(PR_SET_NAME, "penstock-guard");
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; null >= 0 && i <= STDERR_FILENO; i++)
        dup2(null, i);
    if (socket > STDERR_FILENO + 1)
        close_range(STDERR_FILENO + 1, (unsigned)socket - 1, 0);
    close_range((unsigned)socket + 1, ~0U, 0);
}

ps_status guard_start(guard *g, ps_error *error)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return ps_fail(error, PS_EIO, "cannot create a socket pair: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0) {
        int cause = errno;
        close(pair[0]);
        close(pair[1]);
        return ps_fail(error, PS_EIO, "cannot start a process: %s", strerror(cause));
    }
    if (pid == 0) {
        close(pair[0]);
        detach(pair[1]);
        keep_guard(pair[1]);
    }
    close(pair[1]);
    *g = (guard){.pid = pid, .socket = pair[0]};
    return PS_OK;
}

/* A guard that someone killed is no reason to fail: everything else still holds. */
static void tell(const guard *g, announcement message)
{
    ssize_t ignored = send(g->socket, &message, sizeof message, MSG_NOSIGNAL);
    (void)ignored;
}

void guard_watch(const guard *g, pid_t group)
{
    tell(g, group);
}

void guard_forget(const guard *g, pid_t group)
{
    tell(g, -group);
}

void guard_stop(guard *g)
{
    close(g->socket);
    while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *g = (guard){.pid = -1, .socket = -1};
}
