/* signals.h - the signals a launcher lives by, as something to poll. */
#ifndef PENSTOCK_DEPLOY_SIGNALS_H
#define PENSTOCK_DEPLOY_SIGNALS_H

#include "common/status.h"

/* Blocks SIGCHLD, SIGINT, SIGTERM, SIGHUP and SIGPIPE, and gives a non-blocking descriptor that is readable
 * when one is pending. SIGHUP is left alone if it is ignored, as nohup wants. PS_EIO. */
ps_status signals_open(int *fd, ps_error *error);

/* The next pending signal, or 0. */
int signals_next(int fd);

#endif
