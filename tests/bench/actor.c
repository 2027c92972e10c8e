/* actor.c - see actor.h. */
#include "tests/bench/actor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/bench/options.h"

enum { PATIENCE_MS = 60000 };

/* ---- starting and ending ---- */

/* In the child: dies with its parent, runs where it should. */
static void settle(pid_t parent, int processor)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(PS_EXIT_FAILURE);
    if (processor == OPTIONS_ANYWHERE)
        return;
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET((size_t)processor, &only);
    if (sched_setaffinity(0, sizeof only, &only) != 0) {
        fprintf(stderr, "cannot run on processor %d: %s\n", processor, strerror(errno));
        _exit(PS_EXIT_FAILURE);
    }
}

ps_status actor_fork(actor *a, int processor, actor_body *body, void *argument, ps_error *error)
{
    int ends[2];
    *a = (actor){.channel = -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return ps_fail(error, PS_EIO, "no pair of sockets: %s", strerror(errno));
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        settle(parent, processor);
        close(ends[0]);
        body(ends[1], argument);
        _exit(PS_EXIT_DONE);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return ps_fail(error, PS_EIO, "cannot fork: %s", strerror(errno));
    }
    *a = (actor){.pid = pid, .channel = ends[0]};
    return PS_OK;
}

ps_status actor_exec(actor *a, int processor, int descriptor, const char *path, char *const *arguments,
                     char *variable, ps_error *error)
{
    *a = (actor){.channel = -1};
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        settle(parent, processor);
        fcntl(descriptor, F_SETFD, 0);
        int nowhere = open("/dev/null", O_RDWR);
        if (nowhere < 0 || dup2(nowhere, STDIN_FILENO) < 0 || dup2(nowhere, STDOUT_FILENO) < 0)
            _exit(PS_EXIT_FAILURE);
        putenv(variable);
        execv(path, arguments);
        fprintf(stderr, "cannot start %s: %s\n", path, strerror(errno));
        _exit(PS_EXIT_FAILURE);
    }
    if (pid < 0)
        return ps_fail(error, PS_EIO, "cannot fork: %s", strerror(errno));
    a->pid = pid;
    return PS_OK;
}

void actor_end(actor *a)
{
    if (a->pid > 0) {
        kill(a->pid, SIGKILL);
        while (waitpid(a->pid, NULL, 0) < 0 && errno == EINTR)
            ;
        if (a->channel >= 0)
            close(a->channel);
    }
    *a = (actor){.channel = -1};
}

/* ---- orders ---- */

ps_status actor_send_order(const actor *a, const actor_order *order, ps_error *error)
{
    if (send(a->channel, order, sizeof *order, MSG_NOSIGNAL) != sizeof *order)
        return ps_fail(error, PS_EPEER, "a process of the measurement has died");
    return PS_OK;
}

ps_status actor_receive_answer(const actor *a, double seconds, actor_answer *answer, ps_error *error)
{
    struct pollfd waited = {.fd = a->channel, .events = POLLIN};
    int ready;
    while ((ready = poll(&waited, 1, PATIENCE_MS + (int)(seconds * 1000))) < 0 && errno == EINTR)
        ;
    if (ready == 0)
        return ps_fail(error, PS_ETIMEDOUT, "a process of the measurement does not answer");
    if (recv(a->channel, answer, sizeof *answer, MSG_WAITALL) != sizeof *answer)
        return ps_fail(error, PS_EPEER, "a process of the measurement has died");
    if (answer->error.status != PS_OK)
        return ps_fail(error, answer->error.status, "%s", answer->error.text);
    return PS_OK;
}

bool actor_take_order(int channel, actor_order *order)
{
    return recv(channel, order, sizeof *order, MSG_WAITALL) == sizeof *order;
}

void actor_answer_order(int channel, const actor_answer *answer)
{
    if (send(channel, answer, sizeof *answer, MSG_NOSIGNAL) != sizeof *answer)
        _exit(PS_EXIT_FAILURE);
}

void actor_refuse(int channel, const ps_error *error)
{
    actor_order order;
    actor_answer answer = {.error = *error};
    while (actor_take_order(channel, &order))
        actor_answer_order(channel, &answer);
    _exit(PS_EXIT_FAILURE);
}

/* ---- what it uses ---- */

double actor_cpu_seconds(const actor *a)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(a->pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return 0;
    return (double)used.tv_sec + 1e-9 * (double)used.tv_nsec;
}

uint64_t actor_resident_bytes(const actor *a)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)a->pid);
    FILE *file = fopen(path, "r");
    unsigned long long whole = 0, resident = 0;
    if (file) {
        if (fscanf(file, "%llu %llu", &whole, &resident) != 2)
            resident = 0;
        fclose(file);
    }
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- pace ---- */

pace pace_start(const actor_order *order)
{
    double now = clock_monotonic_seconds();
    return (pace){.start = now, .end = now + order->seconds, .wanted = order->operations};
}

bool pace_begins(pace *p)
{
    bool more =
        p->wanted ? p->operations < p->wanted : p->operations == 0 || clock_monotonic_seconds() < p->end;
    p->operations += more;
    return more;
}
