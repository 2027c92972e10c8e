/* worker_observer.h - what a worker shows of itself over HTTP, on a thread of its own (common/http.h):
 *
 *   /livez    200 while it has ended a step or looked for a message within WORKER_LIVE_MS; else 503
 *   /readyz   200 once it has joined all ps; until then 503
 *   /metrics  text for Prometheus; what each is, it says itself (worker/worker_metrics.h)
 *   /status   how it fares, as JSON (common/status_page.md) */
#ifndef PENSTOCK_WORKER_WORKER_OBSERVER_H
#define PENSTOCK_WORKER_WORKER_OBSERVER_H

#include "common/http.h"
#include "common/http_options.h"
#include "worker/performance.h"

enum { WORKER_LIVE_MS = 300000 /* longer than any step, or test, should take */ };

/* Starts to serve what `shown`, which outlives it, says. NULL and PS_OK if that is not wanted. As http_start.
 */
ps_status worker_observer_start(const http_options *options, performance *shown, http **out, ps_error *error);

#endif
