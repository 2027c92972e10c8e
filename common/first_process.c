/* first_process.c - see first_process.h. */
#include "common/first_process.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "common/status.h"

static const int ending[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

static void end(int number)
{
    _exit(number == SIGTERM || number == SIGINT ? PS_EXIT_TERMINATED : 128 + number);
}

void first_process_prepare(bool has_children)
{
    if (getpid() != 1)
        return;
    struct sigaction action = {.sa_handler = end};
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++) {
        struct sigaction before;
        /* What was ignored on purpose, as nohup does, stays so. */
        if (sigaction(ending[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
            sigaction(ending[i], &action, NULL);
    }
    if (!has_children)
        signal(SIGCHLD, SIG_IGN);
}
