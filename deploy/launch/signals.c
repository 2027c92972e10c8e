/* signals.c - see signals.h. */
#include "deploy/launch/signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int handled[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGPIPE};

ps_status signals_open(int *fd, ps_error *error)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof handled / sizeof handled[0]; i++)
        sigaddset(&set, handled[i]);
    struct sigaction hangup;
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler == SIG_IGN)
        sigdelset(&set, SIGHUP);
    /* Where it is ignored, children vanish without telling how they ended. An ignored SIGINT, as shells give
     * it to background jobs, is heard all the same once it is blocked. */
    signal(SIGCHLD, SIG_DFL);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return ps_fail(error, PS_EIO, "cannot block signals: %s", strerror(errno));
    *fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (*fd < 0)
        return ps_fail(error, PS_EIO, "cannot open a descriptor for signals: %s", strerror(errno));
    return PS_OK;
}

int signals_next(int fd)
{
    struct signalfd_siginfo info;
    ssize_t got;
    do
        got = read(fd, &info, sizeof info);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}
