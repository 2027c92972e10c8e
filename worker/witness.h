/* witness.h - who looks on while a client works: not part of the client's public interface.
 *
 * The client calls `turned` and `saw_server` on its caller's thread, and `tell` on the one that sends
 * heartbeats, and on the caller's when it finishes. All may be NULL. */
#ifndef PENSTOCK_WORKER_WITNESS_H
#define PENSTOCK_WORKER_WITNESS_H

#include "common/figures.h"
#include "worker/client.h"

typedef struct {
    void *context;
    /* Time for a heartbeat, or for the end: what shall it tell? */
    void (*tell)(void *context, worker_figures *figures);
    /* A call that waits has looked around. */
    void (*turned)(void *context, uint64_t now_ns);
    /* This ps has said where it shows itself over HTTP, "address:port". */
    void (*saw_server)(void *context, uint32_t server, const char *http);
} client_witness;

/* Before ps_join. `w` is copied. */
void client_set_witness(ps_client *c, const client_witness *w);

/* As which process the ps know this one; 0 before ps_join. */
uint64_t client_incarnation(const ps_client *c);

#endif
