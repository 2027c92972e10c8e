/* observer.h - what a ps shows of itself over HTTP: that its loop turns, that it serves, and its counts.
 *
 *   /         a page for people, which is made of /status (common/dashboard/)
 *   /livez    200 while the loop has turned within OBSERVER_LIVE_MS, or is at a long piece of work and has
 *             made headway with it (common/headway.h); else 503, and the process is best killed
 *   /readyz   200 once a worker has brought the job and the shard serves it, and when it is over; else 503
 *   /metrics  text for Prometheus; what each is, it says itself (ps/ps_metrics.h)
 *   /status   how it goes, as JSON (common/status_page.md)
 *
 * Threads: the loop's thread shows; it stores some numbers, and some times a second a view of the shard,
 * unless somebody reads that just now: it waits for nobody. The thread of the HTTP server (common/http.h)
 * reads what was shown last. */
#ifndef PENSTOCK_PS_OBSERVER_H
#define PENSTOCK_PS_OBSERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/http_options.h"
#include "common/metrics.h"
#include "common/status.h"
#include "common/transport.h"
#include "ps/archive_folder.h"
#include "ps/refusals.h"
#include "ps/shard.h"

enum {
    OBSERVER_LIVE_MS = 30000,  /* many times what the longest update takes */
    OBSERVER_SHOW_MS = 100,    /* numbers are no older than that while the loop is busy, */
    OBSERVER_LOOKED_MS = 6000, /* who looked so long ago may look again, */
    OBSERVER_PART_MS = 1500,   /* and is waited for so long at the end */
    OBSERVER_VIEW_MS = 200,    /* and what /status says no older than that */
};

typedef struct observer observer;

/* Which ps this is; outlives the observer. */
typedef struct {
    uint32_t index;
    uint64_t incarnation;
} server_identity;

/* What the loop shows. */
typedef struct {
    const shard *shard; /* borrowed for the call */
    bool has_archive;
    archive_counters images; /* none without an archive */
    uint32_t unsent;         /* answers that wait for room in the queue of their peer */
    refusal_counts refused;  /* messages that never came to the shard */
    uint64_t handshakes_failed[HANDSHAKE_FAILURES];
    bool is_over; /* the job has finished, in this process or before it */
} observation;

/* Counts from now on. NULL and PS_OK if HTTP is not wanted. PS_ENOMEM. */
ps_status observer_create(const http_options *options, const server_identity *self, observer **out,
                          ps_error *error);
void observer_destroy(observer **o);

/* What the shard is to count into; NULL on NULL. */
metrics *observer_metrics(observer *o);

/* Starts to serve, and to keep what /status says in `status_folder` (NULL: nowhere); as http_start and
 * status_keeper_start. Then observer_where says at which address and port. */
ps_status observer_serve(observer *o, const http_options *options, const char *status_folder,
                         ps_error *error);
const char *observer_where(const observer *o);

/* The end: whoever has looked at /status lately gets to see it, and is waited for a moment. `now` is the last
 * that there is. */
void observer_part(observer *o, const observation *now, uint64_t now_ms);

/* Serves no more: to be called before the shard ends, whose job is shown. */
void observer_close(observer *o);

/* After a message, which came at `begun_ns`: so many updates have been applied by now. */
void observer_note_updates(observer *o, uint64_t updates, uint64_t begun_ns);

/* The loop turns. True if it is time to show something. */
bool observer_tick(observer *o, uint64_t now_ms);

void observer_show(observer *o, const observation *now, uint64_t now_ms);

#endif
