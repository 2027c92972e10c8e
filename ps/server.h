/* server.h - the daemon's loop: feeds a shard from ZeroMQ and the clock until the job has finished.
 *
 * One thread: it receives, lets the shard think, and sends; a crew (ps/crew.h) may help it to compute. */
#ifndef PENSTOCK_PS_SERVER_H
#define PENSTOCK_PS_SERVER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/curve_keys.h"
#include "common/http_options.h"
#include "common/status.h"
#include "ps/shard.h"

typedef struct {
    const char *host; /* to listen on; NULL: all interfaces */
    uint16_t port;
    int listen_fd;                    /* a bound, listening socket to use instead; -1: none */
    int io_threads;                   /* of ZeroMQ; 1 or more */
    bool share_memory;                /* with workers on this host */
    const char *checkpoint_folder;    /* NULL: what the shard holds ends with the process */
    uint32_t checkpoint_keep;         /* whole cuts */
    bool log_updates;                 /* beside the checkpoints: no acknowledged update is lost */
    bool lingers;                     /* after the job, until a signal */
    uint32_t threads;                 /* that share the arithmetic; 0 or 1: this one alone */
    const processor_list *processors; /* of the threads, this one first; NULL or none: as the system likes */
    shard_config shard;               /* its pool, threads, archive and journal are made here */
    const volatile sig_atomic_t
        *stop;        /* counts requests to end: after the first a checkpoint is kept, if there are any */
    uint32_t stop_ms; /* ... within this time */
    http_options http;
    const char *status_folder; /* where /status is kept for later; NULL: nowhere */
    const curve_keys *keys;    /* copied; NULL, or not wanted: everybody is let in */
} server_config;

/* Blocks until the job has finished (PS_OK; with `lingers` the stop flag must be set then, too), it cannot go
 * on (why is in `error`), or the stop flag is set before (PS_EINTERRUPTED). PS_ELOG: updates cannot be logged
 * any more; the workers, who are told nothing, wait for this ps to be started again. PS_ECONFIG: there is a
 * log, but none is wanted. While `host` does not resolve, as when a pod is younger than its name, it tries
 * again and says so. PS_EIO if it cannot listen; as crew_create and http_start. */
ps_status server_run(const server_config *config, ps_error *error);

#endif
