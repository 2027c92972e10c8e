/* unsent.c - see unsent.h. */
#include "ps/unsent.h"

#include <stdlib.h>

#include "ps/shard.h"

struct unsent_message {
    unsent_message *next;
    wire_route to;
    wire_message *message;
};

static uint64_t payload_bytes(const wire_message *m)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; m->has_payload && i < m->slice_count; i++)
        bytes += m->payloads[i] ? buffer_size(m->payloads[i]) : 0;
    return bytes;
}

void unsent_keep(unsent *u, const wire_route *to, wire_message **message)
{
    uint32_t of_peer = 0;
    uint64_t bytes = 0;
    unsent_message **tail = &u->first;
    for (; *tail; tail = &(*tail)->next) {
        if (!wire_is_same_route(&(*tail)->to, to))
            continue;
        of_peer++;
        bytes += payload_bytes((*tail)->message);
    }
    /* More weights are on their way only to one that says that it has taken what it has not. */
    const bool fits = of_peer < UNSENT_MAX && (bytes < SHARD_WINDOW_BYTES || payload_bytes(*message) == 0);
    unsent_message *w = fits ? malloc(sizeof *w) : NULL;
    if (!w) {
        wire_destroy(message);
        return;
    }
    *w = (unsent_message){.to = *to, .message = *message};
    *message = NULL;
    *tail = w;
}

bool unsent_has(const unsent *u, const wire_route *to)
{
    const unsent_message *w = u->first;
    while (w && !wire_is_same_route(&w->to, to))
        w = w->next;
    return w != NULL;
}

uint32_t unsent_count(const unsent *u)
{
    uint32_t count = 0;
    for (const unsent_message *w = u->first; w; w = w->next)
        count++;
    return count;
}

void unsent_send(unsent *u, transport_socket *s)
{
    unsent_message **place = &u->first;
    while (*place) {
        unsent_message *w = *place;
        if (transport_send(s, &w->to, &w->message) == PS_ESTATE) {
            place = &w->next;
            continue;
        }
        *place = w->next;
        free(w);
    }
}

void unsent_drop(unsent *u)
{
    while (u->first) {
        unsent_message *w = u->first;
        u->first = w->next;
        wire_destroy(&w->message);
        free(w);
    }
}
