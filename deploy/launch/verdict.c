/* verdict.c - see verdict.h. */
#include "deploy/launch/verdict.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/status.h"

/* Lower is more to blame. */
typedef enum { OWN_FAULT, LOST_PEERS, DID_AS_ASKED } blame;

bool verdict_failed(const process_end *end)
{
    return end->ended && end->wait_status != 0;
}

int verdict_exit_code(const process_end *end)
{
    if (WIFSIGNALED(end->wait_status))
        return SIGNAL_EXIT_BASE + WTERMSIG(end->wait_status);
    return WEXITSTATUS(end->wait_status);
}

void verdict_describe(const process_end *end, char *text, size_t bytes)
{
    if (WIFSIGNALED(end->wait_status)) {
        int number = WTERMSIG(end->wait_status);
        snprintf(text, bytes, "signal %d (%s)", number, strsignal(number));
    } else {
        snprintf(text, bytes, "exit code %d", WEXITSTATUS(end->wait_status));
    }
}

/* Signals by which a program ends through a fault of its own, also while it is being asked to end. */
static bool is_crash(int code)
{
    static const int crashes[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP};
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
        if (code == SIGNAL_EXIT_BASE + crashes[i])
            return true;
    return false;
}

static blame judge(const process_end *end)
{
    /* Killed by the signal sent, or an exit code that says so: any code above 128 but that of lost peers. */
    int code = verdict_exit_code(end);
    if (code == PS_EXIT_PEER_LOST)
        return LOST_PEERS;
    return end->asked && code > SIGNAL_EXIT_BASE && !is_crash(code) ? DID_AS_ASKED : OWN_FAULT;
}

size_t verdict_first_cause(const process_end *ends, size_t count)
{
    size_t cause = count;
    for (size_t i = 0; i < count; i++) {
        if (!verdict_failed(&ends[i]))
            continue;
        if (cause == count || judge(&ends[i]) < judge(&ends[cause]) ||
            (judge(&ends[i]) == judge(&ends[cause]) && ends[i].order < ends[cause].order))
            cause = i;
    }
    return cause;
}
