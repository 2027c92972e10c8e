/* stop.h - SIGTERM and SIGINT ask the process to end; loops look at a flag. */
#ifndef PENSTOCK_COMMON_STOP_H
#define PENSTOCK_COMMON_STOP_H

#include <signal.h>

/* Catches both signals from now on and ignores SIGPIPE. The flag is 0 until one has come, and counts them;
 * blocking system calls are interrupted. Call once, from main. */
const volatile sig_atomic_t *stop_on_signals(void);

#endif
