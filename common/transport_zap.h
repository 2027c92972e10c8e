/* transport_zap.h - who is let in at a listening socket with CURVE: the handler of ZeroMQ's authentication
 * protocol (ZAP, ZeroMQ RFC 27). Private to common/transport*.c.
 *
 * A thread of its own answers ZeroMQ, which asks at each new connection, and reads the allow list again when
 * its file has changed: who is no longer on it has no rights from then on, connected or not. A changed list
 * that is wrong is not taken; the one before stays. */
#ifndef PENSTOCK_COMMON_TRANSPORT_ZAP_H
#define PENSTOCK_COMMON_TRANSPORT_ZAP_H

#include <stdbool.h>

#include "common/allow_list.h"
#include "common/status.h"

typedef struct zap zap;

/* To be called before anything listens in that context. PS_ECONFIG, PS_ENOENT, PS_EIO: as allow_list_read;
 * PS_ENOMEM. */
ps_status zap_start(void *context, const char *allow_path, zap **out, ps_error *error);

/* What that key may do now; false: nothing. Any thread. */
bool zap_find(zap *z, const char *key, allow_entry *entry);

/* After the context has been shut down or is about to be: waits for the thread to see it. Nulls the pointer.
 */
void zap_join(zap **z);

#endif
