/* transport.h - wire messages over ZeroMQ, tensor bytes uncopied. The only module that knows ZeroMQ.
 *
 * A ps listens on one ROUTER; a worker has one DEALER to each ps. Nothing here blocks but
 * transport_poll: a send either takes the message or says PS_ESTATE and leaves it to the caller. That
 * a message was taken says nothing about its arrival; sessions ask until they are answered.
 *
 * Payload frames of a message, but for the smallest, are handed to ZeroMQ by reference: its I/O thread drops
 * the references.
 * Received frames become buffers that own the ZeroMQ message, all but small ones that are not aligned.
 *
 * Between processes on one host, payloads need not be sent at all: once transport_share has been called, and
 * where a message allows it (wire_message.by_reference), a payload that lies in shared memory travels as its
 * place there, and arrives as a buffer over the sender's memory. Such a buffer is what the sender makes of
 * it: whoever lends it must leave it alone until the receiver is known to be done with it.
 *
 * A message costs a frame on its way, however small it is; so those that are sent together and have no
 * payload frames share one (common/bundle.h), and arrive as if they had come one by one.
 *
 * Sockets belong to the thread that uses them. ZMTP heartbeats stay off: libzmq 4.3.4 aborts when they
 * meet a stalled peer. */
#ifndef PENSTOCK_COMMON_TRANSPORT_H
#define PENSTOCK_COMMON_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/curve_keys.h"
#include "common/pool.h"
#include "common/status.h"
#include "common/wire.h"

enum {
    TRANSPORT_ENDPOINT_MAX = 320,
    TRANSPORT_ADDRESSES_MAX = 8, /* that one name may stand for on this host */
    TRANSPORT_QUEUE_MAX = 256,   /* messages queued per peer and direction; but for who listens, */
    TRANSPORT_INBOX_MAX = 6,     /* that a peer has sent; what it sends then waits at its end */
    TRANSPORT_TOGETHER_MAX = 32,
    TRANSPORT_HANDSHAKE_MS = 10000, /* for who connects to say who it is */
    TRANSPORT_LOOK_MS = 5,
    TRANSPORT_PEERS_FIRST = 8,
    TRANSPORT_OUTBOX_BYTES = 32 << 20, /* on their way to a peer of who listens, and one message more */
};

typedef struct transport transport; /* a context and its I/O threads; shared by sockets */
typedef struct transport_socket transport_socket;

/* `io_threads`: of ZeroMQ, 1 or more; each connection is served by one of them. PS_ENOMEM; PS_EIO if the
 * process may open no more files. Also tunes malloc so that large frames are not mapped and unmapped for
 * every message. */
ps_status transport_create(int io_threads, transport **out, ps_error *error);

/* From now on HELLO and WELCOME bring a segment of `own` (borrowed) for the receiver to try, messages that
 * allow it refer to payloads in it by place, and those that come may refer to memory of others. PS_ENOMEM. */
ps_status transport_share(transport *t, pool *own);

/* Makes a new pair of keys. PS_EIO: this ZeroMQ was built without CURVE. */
ps_status transport_make_keys(key_pair *pair, ps_error *error);

/* From now on sockets that are opened speak with these keys, and only with who has the right ones. With an
 * allow list (allow_path) those that listen let in who stands on it, and messages from others than it allows
 * are TRANSPORT_REFUSED; changes of that file are noticed. PS_EIO: no CURVE; as zap_start. */
ps_status transport_secure(transport *t, const curve_keys *keys, ps_error *error);

typedef enum {
    TRANSPORT_WELCOME,       /* the last handshake did not fail, or there was none */
    TRANSPORT_UNSURE,        /* the other end hung up: it may have other keys, or be ending */
    TRANSPORT_WRONG_KEY,     /* the end that listens does not let the other's key in */
    TRANSPORT_WRONG_MANNERS, /* one end speaks CURVE and the other does not, or not to this key */
} transport_outcome;

/* Why handshakes fail. X(constant, name) */
#define HANDSHAKE_FAILURE_LIST(X)                                                                  \
    X(HANDSHAKE_KEY_NOT_ALLOWED, "key_not_allowed") /* the client's is not on the list */          \
    X(HANDSHAKE_WRONG_PS_KEY, "wrong_ps_key")       /* the client takes another key for a ps's */  \
    X(HANDSHAKE_OTHER_MECHANISM, "other_mechanism") /* one end speaks CURVE, the other does not */ \
    X(HANDSHAKE_MALFORMED, "malformed")             /* what came is no handshake */                \
    X(HANDSHAKE_HUNG_UP, "hung_up")                 /* in the middle of it */                      \
    X(HANDSHAKE_TURNED_AWAY, "turned_away")         /* by common/transport_door, before or after it */

#define HANDSHAKE_FAILURE_ENUM(constant, name) constant,
typedef enum { HANDSHAKE_FAILURE_LIST(HANDSHAKE_FAILURE_ENUM) HANDSHAKE_FAILURES } handshake_failure;
#undef HANDSHAKE_FAILURE_ENUM

/* How the handshakes of a socket's connections have gone. */
typedef struct {
    transport_outcome last;
    uint32_t failed_in_a_row;
    uint64_t failing_since_ms;           /* when the first of those did (common/clock.h) */
    uint64_t failed[HANDSHAKE_FAILURES]; /* so far */
    uint64_t
        beyond_inbox; /* connections that were cut because more was on its way than transport_bound lets */
} transport_handshakes;

/* Borrowed; as of now. Of a socket that connects, what has come since the last call waits in memory: do so
 * now and then. */
const transport_handshakes *transport_look_at_handshakes(transport_socket *s);

/* Bytes that who keeps to `message_bytes` a message has on its way to a socket that listens, at most: as many
 * messages as wait there, and what comes before their place is found free. */
uint64_t transport_inbox_bytes(uint64_t message_bytes);

/* Of a socket that listens: a connection that has more than `each_bytes` on its way, come but not taken yet,
 * is cut; where all together have more than `all_bytes`, the one with the most. What has come is looked at
 * every TRANSPORT_LOOK_MS. Before the first call: as transport_inbox_bytes(WIRE_GATHERED_MAX), and
 * TRANSPORT_PEERS_FIRST times that. */
void transport_bound(transport_socket *s, uint64_t each_bytes, uint64_t all_bytes);

/* Lets go of the memory of processes that have ended. To be called now and then, by the thread that receives.
 */
void transport_sweep(transport *t);

/* All sockets must be closed, and the buffers of received messages given back. Nulls the pointer. */
void transport_destroy(transport **t);

/* Listens on `host`:`port`; host NULL: all interfaces, IPv6 and IPv4. Of a name, every address that is this
 * host's is listened on. With `listen_fd` >= 0 uses that bound and listening socket instead and takes it
 * over; `host` then says nothing. May block for as long as the system's resolver does. PS_ENOENT if the name
 * does not resolve (yet); PS_EIO names address and cause; PS_ENOMEM. No more than so many strangers stay
 * connected (common/transport_door.h). */
ps_status transport_listen(transport *t, const char *host, uint16_t port, int listen_fd,
                           transport_socket **out, ps_error *error);

/* Starts to connect, and keeps trying, unresolvable names included. PS_EINVAL, PS_EIO. */
ps_status transport_connect(transport *t, const char *host, uint16_t port, transport_socket **out,
                            ps_error *error);

/* Does the name resolve at present? Numeric addresses always do. May block for as long as the system's
 * resolver does. */
bool transport_resolves(const char *host);

/* Closes after at most `drain_ms` spent on sending what is queued. Nulls the pointer. */
void transport_close(transport_socket **s, int drain_ms);

/* Sends and consumes `message` (nulling the pointer). `to` is for listening sockets. PS_ESTATE if it cannot
 * be taken now (queue full, not connected): the message stays the caller's. PS_EPEER if that connection is
 * gone, PS_ENOMEM: the message is consumed. */
ps_status transport_send(transport_socket *s, const wire_route *to, wire_message **message);

/* Sends `count` messages (at most TRANSPORT_TOGETHER_MAX) to one peer, in order; those without payload frames
 * share a frame with their neighbours. Returns how many have been consumed, as by transport_send, and nulled:
 * the rest cannot be taken now. */
uint32_t transport_send_together(transport_socket *s, const wire_route *to, wire_message **messages,
                                 uint32_t count);

typedef enum {
    TRANSPORT_NOTHING, /* no message waits */
    TRANSPORT_MESSAGE, /* `message` is there; payloads in memory that cannot be mapped are NULL */
    TRANSPORT_REFUSED, /* one came that does not decode; `error` says why */
} transport_event;

/* Is a message at hand that came together with the last one? Costs nothing. */
bool transport_has_more(const transport_socket *s);

/* Takes one message if there is one. `from` (may be NULL for connected sockets) tells where it came from. */
transport_event transport_receive(transport_socket *s, wire_route *from, wire_message **message,
                                  ps_error *error);

/* The same, but waits for one, at most `timeout_ms`, or a signal: the quickest way to wait for one socket. */
transport_event transport_await(transport_socket *s, int timeout_ms, wire_route *from, wire_message **message,
                                ps_error *error);

/* Was the last message refused for its sender's key: not let in any more (PS_EPEER), or not for that role and
 * index (PS_ECONFIG)? */
bool transport_refused_a_key(const transport_socket *s);

/* Of a socket that listens: speaks with another pair of keys from now on. Its connections end, and come again
 * to those who know the new one. PS_ESTATE: its address is not free yet, try again soon; PS_EIO: it is not,
 * or is not to be had. */
ps_status transport_change_key(transport_socket *s, const key_pair *own, ps_error *error);

/* Of a connected one that is monitored: where handshakes fail, and the file that the key of its ps came from
 * holds another, connects anew, with that. True: it has. To be called now and then. */
bool transport_follow_key(transport_socket *s);

/* From now on transport_await comes back, with nothing, also as soon as `fd` (borrowed) is readable. */
void transport_watch(transport_socket *s, int fd);

/* Waits until one of the sockets has a message, at most `timeout_ms`, or a signal. */
void transport_poll(transport_socket *const *sockets, uint32_t count, int timeout_ms);

#endif
