/* network.h - a network that a seed determines: virtual time, and messages that come late, twice, out of
 * order or not at all.
 *
 * A message leaves in three acts, as it does with ZeroMQ. network_send encodes its header and keeps
 * references to its payloads; at its departure, a little later, the payload bytes are read and the references
 * dropped; at its arrival the header is decoded and the receiver gets bytes of its own. So whatever the
 * encoding loses shows; and a sender that writes to what it has lent, before the departure, is found out by a
 * checksum.
 *
 * Addresses are small numbers that the caller gives out; a worker that restarts gets a new one, as it would
 * get a new connection. Each is on a host: that is what can be cut off, and paused. What nodes are and say is
 * the cluster's matter. */
#ifndef PENSTOCK_TESTS_SIM_NETWORK_H
#define PENSTOCK_TESTS_SIM_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"
#include "common/wire.h"
#include "tests/sim/trace.h"

enum {
    NETWORK_ADDRESSES_MAX = 512,
    NETWORK_HOSTS_MAX = 32, /* a set of hosts is a word */
    NETWORK_CUTS_MAX = 8,
    NETWORK_EVENTS_MAX = 1 << 16,  /* messages under way and wake-ups due */
    NETWORK_BYTES_MAX = 256 << 20, /* of payloads under way */
};

/* No message of these hosts gets through to those for a time; nor the other way, unless it is one way. */
typedef struct {
    uint32_t from, to; /* sets of hosts */
    bool one_way;
    uint64_t from_ms, until_ms;
} network_cut;

typedef struct {
    uint32_t departure_max_ms;              /* until the payloads have been read: 0 to this */
    uint32_t delay_max_ms;                  /* on the way: 1 to this */
    uint32_t stray_per_mille, stray_max_ms; /* these take longer: 1 to stray_max_ms */
    uint32_t loss_per_mille, repeat_per_mille;
    uint32_t cut_count;
    network_cut cuts[NETWORK_CUTS_MAX];
    uint64_t calm_at_ms;   /* from here on nothing strays, is lost, repeated or cut */
    uint64_t cut_every_ms; /* cuts come again after so long; 0: they do not */
} network_weather;

typedef struct {
    uint64_t sent, delivered, lost, repeated;
    uint64_t overtaken; /* delivered after a message that was sent later on the same way */
} network_counters;

typedef enum { NETWORK_SILENCE, NETWORK_MESSAGE, NETWORK_WAKE } network_event_kind;

typedef struct {
    network_event_kind kind;
    uint32_t to;
    uint32_t from;         /* NETWORK_MESSAGE */
    wire_message *message; /* NETWORK_MESSAGE; owned by the caller */
} network_event;

typedef struct network network;

/* The time starts at 1 ms. `weather` is copied; `t` is borrowed. PS_ENOMEM. */
ps_status network_create(uint64_t seed, const network_weather *weather, const trace *t, network **out);
void network_destroy(network **n);

/* `address` is on `host` from now on. The name is for the trace, and copied. */
void network_open(network *n, uint32_t address, uint32_t host, const char *name);
const char *network_name_of(const network *n, uint32_t address);

/* Consumes the message and nulls the pointer. PS_ELIMIT if NETWORK_EVENTS_MAX are under way; PS_ENOMEM. */
ps_status network_send(network *n, uint32_t from, uint32_t to, wire_message **message);

/* A NETWORK_WAKE for `address` at that time, or now if it is past. PS_ELIMIT. */
ps_status network_wake(network *n, uint32_t address, uint64_t at_ms);

/* The process at `address` is gone: what it had not sent yet and what is for it vanishes. */
void network_close(network *n, uint32_t address);

/* What `address` has sent, but what has not departed yet, vanishes. */
void network_drop_unsent(network *n, uint32_t address);

/* Until then nothing happens to that host, and nothing that it has sent departs: all that waits. */
void network_pause(network *n, uint32_t host, uint64_t until_ms);

/* Moves the time to the next event and takes it. PS_ESTATE if a sender has written to payloads that it had
 * lent; PS_EPROTOCOL if a message that was encoded cannot be decoded; PS_ENOMEM. */
ps_status network_next(network *n, network_event *event, ps_error *error);

uint64_t network_now(const network *n);

/* Messages on their way. */
uint32_t network_under_way(const network *n);

const network_counters *network_count(const network *n);

#endif
