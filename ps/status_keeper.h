/* status_keeper.h - keeps what /status says in a file, for when the process is gone (`penstock ui`).
 *
 *   DIR/ps-0-1795923801831000.json     of ps 0 and its process of that incarnation
 *
 * Written anew every STATUS_KEEPER_MS and at the end, whole or not at all, by a thread of its own, which
 * training does not wait for. A disk that fails is complained of once. */
#ifndef PENSTOCK_PS_STATUS_KEEPER_H
#define PENSTOCK_PS_STATUS_KEEPER_H

#include <stdint.h>
#include <stdio.h>

#include "common/status.h"

enum { STATUS_KEEPER_MS = 10000 };

typedef struct status_keeper status_keeper;

/* Makes the folder; `print` is called by the thread. PS_EIO, PS_ENOMEM. */
ps_status status_keeper_start(const char *folder, uint32_t index, uint64_t incarnation,
                              void (*print)(void *context, FILE *out), void *context, status_keeper **out,
                              ps_error *error);

/* Writes once more; nulls the pointer; does nothing on NULL. */
void status_keeper_stop(status_keeper **keeper);

#endif
