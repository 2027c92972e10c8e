/* serving.h - one trained model behind HTTP: the v2 inference protocol of KServe and Triton, JSON tensors.
 *
 *   GET  /v2, /v2/health/live, /v2/health/ready
 *   GET  /v2/models/NAME[/versions/1], .../ready
 *   POST /v2/models/NAME[/versions/1]/infer
 *   GET  /metrics
 *
 * Who may ask for what is not health: as common/http.h says of pages. What is wrong with a request is said as
 * {"error": "..."}, with a status of 4xx if the client can mend it, and 503 with Retry-After if time can.
 *
 * Threads: the HTTP server's reads and checks requests, the batcher's computes and writes answers; whoever
 * called serving_start waits, and says when to end. */
#ifndef PENSTOCK_WORKER_SERVING_H
#define PENSTOCK_WORKER_SERVING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/http.h"
#include "common/status.h"
#include "worker/backend.h"
#include "worker/saved_model.h"

enum {
    SERVING_CONNECTIONS_MAX = HTTP_CONNECTIONS_MOST,
    SERVING_PATIENCE_MS = 30000,    /* with a client: for its request, and for it to take the answer */
    SERVING_RETRY_S = 1,            /* what Retry-After says */
    SERVING_ELEMENTS_MAX = 1 << 20, /* values of a request, or of its answer: bounds its rows */
    SERVING_BODIES_MAX = 256 << 20, /* bytes of all requests that are being read or computed */
};

typedef struct {
    const char *name; /* of the model: V2_NAME_MAX of letters, digits, '.', '_', '-' */
    /* As in http_config. */
    const char *address, *port_file;
    const http_hosts *hosts;
    const http_token *token;
    bool is_open;
    uint16_t port;
    uint32_t body_max_bytes;                /* of a request; at most SERVING_BODIES_MAX */
    uint32_t batch_max, wait_us, queue_max; /* as in batcher_config; batch_max: at most INFERENCE_ROWS */
} serving_config;

typedef struct serving serving;

/* All is borrowed until serving_stop. PS_ECONFIG: no such address, or the port is taken; PS_EINVAL: the name;
 * PS_EIO, PS_ENOMEM. */
ps_status serving_start(const serving_config *config, const saved_model *model, backend *on, serving **out,
                        ps_error *error);

uint16_t serving_port(const serving *s);

/* It is not ready any more, and goes on answering: so that whoever sends requests looks for another. */
void serving_turn_away(serving *s);

/* New inferences are refused with 503; those that have begun go on. */
void serving_close(serving *s);

/* Requests that have begun and are not answered yet. */
uint32_t serving_under_way(const serving *s);

/* Computes what is queued, ends all connections, nulls the pointer; does nothing on NULL. */
void serving_stop(serving **s);

#endif
