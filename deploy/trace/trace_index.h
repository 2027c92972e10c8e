/* trace_index.h - the points of a trace (common/trace_kinds.h), by which message or gradient they are of. */
#ifndef PENSTOCK_DEPLOY_TRACE_INDEX_H
#define PENSTOCK_DEPLOY_TRACE_INDEX_H

#include "deploy/trace/trace_part.h"

/* What a key is made of. */
typedef enum {
    TRACE_INDEX_SENT, /* (ps, member), incarnation, request: pushes and pulls that a worker has sent */
    TRACE_INDEX_SENT_BY_STEP, /* (ps, member), incarnation, step: its pushes */
    TRACE_INDEX_RECEIVED,     /* as SENT: what a ps has received */
    TRACE_INDEX_APPLIED,      /* (part, member), incarnation, step: gradients that a ps has applied */
    TRACE_INDEX_ANSWERED,     /* part, connection, request: what it has answered */
    TRACE_INDEX_TAKEN,        /* as SENT: answers that the worker has taken in */
} trace_index_kind;

enum { TRACE_KEY_WORDS = 3 };

typedef struct {
    uint64_t key[TRACE_KEY_WORDS];
    size_t part;
    const trace_entry *entry; /* borrowed of the part */
} trace_spot;

typedef struct {
    trace_spot *spots; /* by key, those of one key by time */
    size_t count;
} trace_index;

/* PS_ENOMEM. */
ps_status trace_index_make(const trace_part *parts, size_t count, trace_index_kind kind, trace_index *out);
void trace_index_fini(trace_index *index);

/* (ps, member) or (part, member), as a word of a key. */
uint64_t trace_key_pair(size_t first, uint16_t member);

/* The ps whose shard a part tells of: a worker without a cluster holds shard 0 itself. */
uint32_t trace_part_server(const trace_part *p);

/* The first spot of that key from `from_ns` on; NULL: there is none. */
const trace_spot *trace_index_first(const trace_index *index, const uint64_t key[TRACE_KEY_WORDS],
                                    uint64_t from_ns);

/* The last one up to `until_ns`. */
const trace_spot *trace_index_last(const trace_index *index, const uint64_t key[TRACE_KEY_WORDS],
                                   uint64_t until_ns);

/* The only one of that key. */
const trace_spot *trace_index_only(const trace_index *index, const uint64_t key[TRACE_KEY_WORDS]);

#endif
