/* observer.h - what a ps shows of itself over HTTP: that its loop turns, that it serves, and its counts.
 *
 *   /livez    200 while the loop has turned within OBSERVER_LIVE_MS; else 503, and the process is best killed
 *   /readyz   200 once a worker has brought the job and the shard serves it; until then 503
 *   /metrics  text for Prometheus; what each is, it says itself
 *
 * Threads: the loop's thread shows; it stores some numbers, takes no lock and waits for nobody. The thread of
 * the HTTP server (common/http.h) reads what was shown last. */
#ifndef PENSTOCK_PS_OBSERVER_H
#define PENSTOCK_PS_OBSERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/http_options.h"
#include "common/status.h"
#include "ps/archive_folder.h"
#include "ps/shard.h"

enum {
    OBSERVER_LIVE_MS = 30000, /* many times what the longest update takes */
    OBSERVER_SHOW_MS = 100,   /* numbers are no older than that while the loop is busy */
};

typedef struct observer observer;

/* What the loop shows. */
typedef struct {
    bool has_job;
    uint64_t version; /* as shard_version */
    shard_counters shard;
    archive_counters images; /* none without an archive */
    uint32_t unsent;         /* answers that wait for room in the queue of their peer */
} observation;

/* Starts to serve. NULL and PS_OK if that is not wanted. As http_start. */
ps_status observer_start(const http_options *options, observer **out, ps_error *error);
void observer_stop(observer **o);

/* The loop turns. True if it is time to show something. */
bool observer_tick(observer *o, uint64_t now_ms);

void observer_show(observer *o, const observation *now);

#endif
