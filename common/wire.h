/* wire.h - what is on the wire: messages, and the judgement of bytes from strangers.
 *
 * A message is a protobuf header (proto/penstock.proto) and one raw payload frame per slice. This module
 * turns headers into bytes and back; it owns no socket. wire_decode is pure: bytes in, a checked
 * message or an error out. What needs the job to be judged (does the slice exist, has it that size) is
 * left to the shard and the session. */
#ifndef PENSTOCK_COMMON_WIRE_H
#define PENSTOCK_COMMON_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/figures.h"
#include "common/job.h"
#include "common/members.h"
#include "common/segment.h"
#include "common/status.h"

enum {
    WIRE_PROTOCOL = 2,            /* 1: before small messages shared frames (common/bundle.h) */
    WIRE_SLICES_MAX = 4096,       /* slices, and so payload frames, in one message */
    WIRE_HEADER_MAX = 4 << 20,    /* bytes; a HELLO with a full tensor table fits */
    WIRE_UNPACKED_MAX = 32 << 20, /* bytes that unpacking one header may allocate */
    WIRE_TEXT_MAX = 511,
    WIRE_SEGMENTS_MAX = 8,       /* in one message */
    WIRE_INLINED_MAX = 1024,     /* bytes of payloads that travel within the header */
    WIRE_GATHERED_MAX = 4 << 20, /* bytes of slices in one message, of several, that a member sends */
    WIRE_ROUTE_MAX = 32,
};
/* Bytes of a frame: the largest slice. */
#define WIRE_FRAME_MAX JOB_SLICE_BYTES_MAX

typedef enum {
    WIRE_HELLO = 1,
    WIRE_PUSH_PULL = 2,
    WIRE_PUSH = 3,
    WIRE_PULL = 4,
    WIRE_FINISH = 5,
    WIRE_QUERY = 6,
    WIRE_SETTLE = 7,
    WIRE_RESTORE = 8,
    WIRE_HEARTBEAT = 9,
    WIRE_LEAVE = 10,
    WIRE_ENTER = 11,
    WIRE_CHECKPOINT = 12,
    WIRE_STOP = 13,
    WIRE_WELCOME = 16,
    WIRE_WEIGHTS = 17,
    WIRE_ACK = 18,
    WIRE_PENDING = 19,
    WIRE_RESEND = 20,
    WIRE_ERROR = 21,
} wire_type;

typedef enum { WIRE_PS = 0, WIRE_WORKER = 1, WIRE_EVALUATOR = 2, WIRE_ADMINISTRATOR = 3 } wire_role;

const char *wire_type_name(wire_type type);
const char *wire_role_name(wire_role role);

/* Which connection of a listening socket a message came from, so that the answer can go back there. Opaque
 * to all but the transport. */
typedef struct {
    uint8_t bytes;
    uint8_t id[WIRE_ROUTE_MAX];
    int fd; /* of the connection, as long as there is one; 0, -1: not known. Not part of its identity */
} wire_route;

bool wire_is_same_route(const wire_route *a, const wire_route *b);

/* Where a payload lies. */
typedef struct {
    uint32_t segment; /* 0: in a frame of its own; else 1 + index into the message's segments */
    uint64_t offset;  /* bytes into that segment */
} wire_place;

/* Field meanings: proto/penstock.proto. */
typedef struct {
    wire_type type;
    uint64_t job;
    wire_role role;
    uint32_t index;
    uint64_t incarnation;
    uint64_t request;
    uint64_t step;
    uint32_t examples;
    float clip_factor;
    bool nonfinite;
    bool after_finish;
    uint32_t receiver;
    uint64_t examples_total;
    bool job_finished;
    ps_status status;
    uint64_t settled;
    bool reads_memory;
    uint64_t epoch;
    uint64_t oldest;
    bool exact;
    bool unfit;
    uint32_t heartbeat_ms;
    uint64_t held;
    uint64_t members_version;
    uint32_t lost_worker;
    uint64_t end_step;

    char *text;            /* owned, or NULL */
    job_config *hello;     /* owned; HELLO only */
    members_list *members; /* owned, or NULL: none is told; its version is members_version */
    uint8_t *figures;      /* owned, or NULL: (figures_bytes), packed (common/figures.h); HEARTBEAT, FINISH */
    uint32_t figures_bytes;

    uint32_t slice_count;
    bool has_payload;
    bool inlined;            /* payloads that lie in no segment travel within the header */
    uint32_t *slices;        /* (slice_count), rising */
    buffer **payloads;       /* (slice_count) references, NULL entries until attached */
    wire_place *places;      /* (slice_count) */
    uint32_t *payload_bytes; /* (slice_count) as the header tells them; only of received messages */

    /* Not on the wire, but between a core and the transport. */
    bool by_reference; /* to be sent: payloads in memory that the receiver can map need not be sent */
    bool readable;     /* received: it names segments, and all of them have been mapped */

    uint32_t segment_count;
    segment_name segments[WIRE_SEGMENTS_MAX];
} wire_message;

/* A message with room for `slice_count` slices (<= WIRE_SLICES_MAX), all else zero. One allocation, to which
 * a text and a job add theirs. NULL if out of memory. */
wire_message *wire_create(wire_type type, uint32_t slice_count);

/* Drops payload references and frees; nulls the pointer. Does nothing on NULL. */
void wire_destroy(wire_message **m);

/* Copies `text`, cut at WIRE_TEXT_MAX. Out of memory leaves the message without a text. */
void wire_set_text(wire_message *m, const char *text);

/* Has the message tell of this list. PS_ENOMEM: the message is to be given up. */
ps_status wire_set_members(wire_message *m, const members_list *list);

/* Has the message tell them. Out of memory leaves it without. */
void wire_set_figures(wire_message *m, const worker_figures *figures);

/* Has the payloads that lie in no segment travel within the header if they are small: a frame costs more than
 * its bytes then. To be called once their places are known. */
void wire_inline_small(wire_message *m);

/* Number of payloads that travel as frames. */
uint32_t wire_frames(const wire_message *m);

/* Gives `bytes` bytes for a header to be written to; NULL if out of memory. */
typedef void *wire_allocate(void *context, size_t bytes);

/* Writes the header frame of `m` to memory that `allocate`, called once, gives for just that. The payload
 * frames are those m->payloads that are in no segment, as they are. PS_ENOMEM. */
ps_status wire_encode_with(const wire_message *m, wire_allocate *allocate, void *context);

/* The header frame in a buffer. PS_ENOMEM, with a NULL header. */
ps_status wire_encode(const wire_message *m, buffer **header);

/* Judges a header and the sizes of the payload frames that came with it. On success `out` has
 * slice_count payloads if has_payload: those that travelled within the header are there; the others are NULL,
 * to be filled by the caller, where the place is no segment from the frames, in order. PS_EPROTOCOL names the
 * rule that is broken; PS_ELIMIT; PS_ENOMEM. A HELLO's job has passed job_check. */
ps_status wire_decode(const void *header, size_t header_bytes, const size_t *frame_bytes,
                      uint32_t frame_count, wire_message **out, ps_error *error);

/* A job's wire form, to be kept; free it. PS_ENOMEM. */
ps_status wire_job_pack(const job_config *job, uint8_t **bytes, size_t *count);

/* The reverse; the job has passed job_check. PS_EPROTOCOL, PS_ECONFIG; PS_ENOMEM. On failure `job` is empty.
 */
ps_status wire_job_unpack(const uint8_t *bytes, size_t count, job_config *job, ps_error *error);

/* Identifies a job in every message after HELLO: FNV-1a over its wire form. PS_ENOMEM. */
ps_status wire_job_fingerprint(const job_config *job, uint64_t *fingerprint);

#endif
