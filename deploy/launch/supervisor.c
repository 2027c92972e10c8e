/* supervisor.c - see supervisor.h. */
#include "deploy/launch/supervisor.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "deploy/launch/guard.h"

enum {
    SWEEP_ROUNDS_MAX = 100,
    SWEEP_ROUND_MS = 50,
    ORPHANS_TEXT_MAX = 4096, /* bytes of process numbers read per round */
};

static_assert((int)SUPERVISOR_PROCESSES_MAX <= (int)GUARD_GROUPS_MAX, "the guard must know every process");

struct supervisor {
    guard guard;
    size_t count;
    size_t running;
    unsigned ended; /* so far, those started again included */
    pid_t pids[SUPERVISOR_PROCESSES_MAX];
    process_end ends[SUPERVISOR_PROCESSES_MAX];
};

/* What a child that could not become the program tells its parent. */
typedef struct {
    int cause; /* errno */
    char step[32];
} start_failure;

ps_status supervisor_create(supervisor **s, ps_error *error)
{
    supervisor *created = calloc(1, sizeof *created);
    if (!created)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
        free(created);
        return ps_fail(error, PS_EIO, "cannot become the reaper of descendants: %s", strerror(errno));
    }
    ps_status status = guard_start(&created->guard, error);
    if (status) {
        free(created);
        return status;
    }
    *s = created;
    return PS_OK;
}

static _Noreturn void give_up(int failure_fd, const char *step)
{
    start_failure failure = {.cause = errno};
    strncpy(failure.step, step, sizeof failure.step - 1);
    ssize_t ignored = write(failure_fd, &failure, sizeof failure);
    (void)ignored;
    _exit(PS_EXIT_FAILURE);
}

/* Dispositions and mask as a program expects them; SIGHUP stays ignored under nohup. */
static void restore_signals(void)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) != 0)
            continue;
        if (action.sa_handler != SIG_DFL && !(number == SIGHUP && action.sa_handler == SIG_IGN))
            signal(number, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void pin_to(const int *processors, size_t count, int failure_fd)
{
    cpu_set_t only;
    CPU_ZERO(&only);
    for (size_t i = 0; i < count; i++)
        CPU_SET((size_t)processors[i], &only);
    if (sched_setaffinity(0, sizeof only, &only) != 0)
        give_up(failure_fd, "sched_setaffinity");
}

static _Noreturn void become(const process_spec *spec, const guard *g, pid_t parent, int failure_fd)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        give_up(failure_fd, "prctl");
    /* The parent may have died before the prctl, which then means some other parent. */
    if (getppid() != parent)
        _exit(PS_EXIT_FAILURE);
    if (setsid() < 0)
        give_up(failure_fd, "setsid");
    guard_watch(g, getpid());
    if (spec->processor_count > 0)
        pin_to(spec->processors, spec->processor_count, failure_fd);
    if (spec->network && setns(*spec->network, CLONE_NEWNET) != 0)
        give_up(failure_fd, "setns");

    const int input = spec->input ? *spec->input : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (input < 0 || dup2(input, STDIN_FILENO) < 0)
        give_up(failure_fd, "standard input");
    if (dup2(spec->log_fd, STDOUT_FILENO) < 0 || dup2(spec->log_fd, STDERR_FILENO) < 0)
        give_up(failure_fd, "dup2");
    /* What we opened is close-on-exec already; this is for what the launcher inherited. A kernel without
     * the call leaves that open, as any program would. */
    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    for (size_t i = 0; i < spec->passed_count; i++)
        if (fcntl(spec->passed[i], F_SETFD, 0) < 0)
            give_up(failure_fd, "fcntl");
    restore_signals();
    execve(spec->path, spec->arguments, spec->environment);
    give_up(failure_fd, "execve");
}

/* Blocks until the child has become the program, which closes its end, or has told why it could not. */
static ps_status await_exec(int failure_fd, const char *path, ps_error *error)
{
    start_failure failure;
    ssize_t got;
    do
        got = read(failure_fd, &failure, sizeof failure);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof failure)
        return PS_OK;
    return ps_fail(error, PS_EIO, "cannot start %s: %.*s: %s", path, (int)sizeof failure.step, failure.step,
                   strerror(failure.cause));
}

static ps_status start(supervisor *s, size_t number, const process_spec *spec, ps_error *error)
{
    int failure_pipe[2];
    if (pipe2(failure_pipe, O_CLOEXEC) != 0)
        return ps_fail(error, PS_EIO, "cannot create a pipe: %s", strerror(errno));
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(spec, &s->guard, parent, failure_pipe[1]);
    int cause = errno;
    close(failure_pipe[1]);
    ps_status status = PS_OK;
    if (pid < 0) {
        status = ps_fail(error, PS_EIO, "cannot start a process for %s: %s", spec->path, strerror(cause));
    } else {
        s->pids[number] = pid;
        s->ends[number] = (process_end){0};
        s->running++;
        status = await_exec(failure_pipe[0], spec->path, error);
    }
    close(failure_pipe[0]);
    return status;
}

ps_status supervisor_start(supervisor *s, const process_spec *spec, ps_error *error)
{
    if (s->count == SUPERVISOR_PROCESSES_MAX)
        return ps_fail(error, PS_ELIMIT, "more than %d processes", SUPERVISOR_PROCESSES_MAX);
    s->ends[s->count] = (process_end){.ended = true}; /* if not even a fork comes of it */
    s->count++;
    return start(s, s->count - 1, spec, error);
}

ps_status supervisor_start_again(supervisor *s, size_t number, const process_spec *spec, ps_error *error)
{
    assert(number < s->count && s->ends[number].ended);
    return start(s, number, spec, error);
}

void supervisor_disturb(supervisor *s, size_t number, int sent)
{
    if (!s->ends[number].ended)
        kill(-s->pids[number], sent);
}

void supervisor_signal(supervisor *s, int number)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->ends[i].ended)
            continue;
        s->ends[i].asked = true;
        kill(-s->pids[i], number);
        /* A stopped process would hear of it only when continued. */
        kill(-s->pids[i], SIGCONT);
    }
}

static void note_end(supervisor *s, pid_t pid, int wait_status)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->pids[i] != pid || s->ends[i].ended)
            continue;
        s->ends[i].ended = true;
        s->ends[i].wait_status = wait_status;
        s->ends[i].order = ++s->ended;
        s->running--;
        return;
    }
}

/* True if `pid` is one of ours and has not been reaped. */
static bool leads_group(const supervisor *s, pid_t pid)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->pids[i] == pid && !s->ends[i].ended)
            return true;
    return false;
}

void supervisor_reap(supervisor *s)
{
    for (;;) {
        /* Look before reaping: while the zombie is there, its number cannot name another group. */
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            return;
        if (leads_group(s, info.si_pid)) {
            kill(-info.si_pid, SIGKILL);
            guard_forget(&s->guard, info.si_pid);
        }
        int wait_status = 0;
        if (waitpid(info.si_pid, &wait_status, 0) == info.si_pid)
            note_end(s, info.si_pid, wait_status);
    }
}

size_t supervisor_running(const supervisor *s)
{
    return s->running;
}

const process_end *supervisor_ends(const supervisor *s, size_t *count)
{
    *count = s->count;
    return s->ends;
}

/* Sends `number`, if it is not 0, to our children but the guard. Returns how many there were. */
static size_t signal_children(const supervisor *s, int number)
{
    char path[64];
    char text[ORPHANS_TEXT_MAX];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    /* A number cut off by the end of the buffer has no space after it. */
    while (got > 0 && text[got - 1] != ' ')
        got--;
    text[got > 0 ? got : 0] = '\0';
    size_t found = 0;
    char *rest = text;
    for (char *word; (word = strtok_r(rest, " ", &rest));) {
        pid_t pid = (pid_t)strtol(word, NULL, 10);
        if (pid <= 0 || pid == s->guard.pid)
            continue;
        if (number)
            kill(pid, number);
        found++;
    }
    return found;
}

size_t supervisor_strays(const supervisor *s)
{
    return signal_children(s, 0);
}

void supervisor_destroy(supervisor **s)
{
    supervisor *ended = *s;
    *s = NULL;
    if (!ended)
        return;
    supervisor_signal(ended, SIGKILL);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    const struct timespec round = {.tv_nsec = SWEEP_ROUND_MS * 1000000L};
    for (int i = 0; i < SWEEP_ROUNDS_MAX; i++) {
        supervisor_reap(ended);
        /* The children of those killed become ours. */
        if (signal_children(ended, SIGKILL) == 0 && supervisor_running(ended) == 0)
            break;
        sigtimedwait(&child, NULL, &round);
    }
    guard_stop(&ended->guard);
    free(ended);
}
