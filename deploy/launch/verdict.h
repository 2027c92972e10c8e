/* verdict.h - several processes have ended, some badly: which one is to blame, and what is our exit code?
 *
 * Pure. When one process of a cluster fails, others follow: they lose a peer, or are asked to end. The
 * verdict names the failure that is not a mere consequence of another. */
#ifndef PENSTOCK_DEPLOY_VERDICT_H
#define PENSTOCK_DEPLOY_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

/* A signal n ends a program, for a shell, with this exit code + n. */
enum { SIGNAL_EXIT_BASE = 128 };

/* How one process ended, as wait(2) told. */
typedef struct {
    bool ended;
    int wait_status;
    unsigned order; /* 1 for the first that ended, 2 for the second, ... */
    bool asked;     /* a signal to end had been sent to it before it ended */
} process_end;

/* True if the process ended and did not end with exit code 0. */
bool verdict_failed(const process_end *end);

/* What a shell would report: the exit code, or 128 + the signal. */
int verdict_exit_code(const process_end *end);

/* "exit code 3", or "signal 11 (Segmentation fault)" */
void verdict_describe(const process_end *end, char *text, size_t bytes);

/* The index of the failure that likely caused the others, or `count` if none failed: a failure of its
 * own before a lost peer, a lost peer before one that only did as it was asked; among equals the first. */
size_t verdict_first_cause(const process_end *ends, size_t count);

#endif
