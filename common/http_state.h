/* http_state.h - what http.c and http_request.c share. Private to them.
 *
 * Threads: the server's thread (`loop` in http.c) owns all, but for what `lock` guards and for `ending`,
 * which http_stop tells it of through a descriptor. Only that thread calls libmicrohttpd. */
#ifndef PENSTOCK_COMMON_HTTP_STATE_H
#define PENSTOCK_COMMON_HTTP_STATE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/http.h"

typedef struct served served;

struct http {
    http_config config;
    uint32_t patience_ms;
    uint16_t port;
    bool has_token, checks_names;
    char foreign_name[100], wants_token[100], beyond_host[100]; /* what is said of one */
    struct MHD_Daemon *daemon;
    int listener;
    int ending; /* an eventfd */
    pthread_t thread;
    bool has_thread;
    visitors guests;
    uint64_t closed_until_ms; /* nobody is let in; 0: whoever comes */
    size_t bodies_bytes;      /* what all bodies take */

    _Atomic uint32_t under_way;
    int replied; /* an eventfd: there is something in `finished` */
    pthread_mutex_t lock;
    served *finished; /* guarded by `lock`: replied to while they were suspended */
};

/* Destroys `r`, which may be NULL: then it fails. */
enum MHD_Result http_send(const http *h, struct MHD_Connection *c, const http_answer *answer,
                          struct MHD_Response *r);

/* Refuses a request of the service, which is not asked, by its head. Takes over the answer's body. */
enum MHD_Result http_request_refuse(http *h, struct MHD_Connection *c, const char *path, const char *method,
                                    const http_answer *answer, void **request);

/* As libmicrohttpd calls its handler. */
enum MHD_Result http_request_handle(http *h, struct MHD_Connection *c, const char *path, const char *method,
                                    const char *body, size_t *body_bytes, void **request);
void http_request_completed(void *context, struct MHD_Connection *c, void **request,
                            enum MHD_RequestTerminationCode why);

/* What was replied to goes on. */
void http_request_resume(http *h);

#endif
