/* trace_format.h - the file in which one process leaves its part of a trace; `penstock trace merge` makes one
 * trace of the parts of all (deploy/trace/trace_part.h reads them).
 *
 *   head | block | block | ...        all little-endian
 *
 * A block is written whole by one call and has a checksum: what a process that is killed leaves behind is a
 * file that ends with a whole block, or with a torn one, which is cut off. Times are CLOCK_MONOTONIC of the
 * process' host. */
#ifndef PENSTOCK_COMMON_TRACE_FORMAT_H
#define PENSTOCK_COMMON_TRACE_FORMAT_H

#include <assert.h>
#include <stdint.h>

#include "common/trace_kinds.h"

#define TRACE_MAGIC       "PSTRACE1"
#define TRACE_PART_ENDING ".part"

enum {
    TRACE_WHO_BYTES = 32, /* of "worker/1", with the zero */
    TRACE_HOST_BYTES = 64,
    TRACE_CLOCK_BYTES = 64,
    TRACE_THREAD_NAME_BYTES = 24,
    TRACE_MARK_NAME_BYTES = 32,
    TRACE_MARK_TEXT_BYTES = 216,
    TRACE_BLOCK_BYTES_MAX = 4 << 20,
    TRACE_MEMBERS_MAX = 1 << 15, /* workers; evaluators are numbered from here on, in `member` and `peer` */
    TRACE_BLOCK_MAGIC = 0x4b4c4250, /* "PBLK" */
};

typedef enum { TRACE_OF_PS, TRACE_OF_WORKER, TRACE_OF_EVALUATOR, TRACE_ROLE_COUNT } trace_role;

typedef struct {
    char magic[8];
    uint32_t head_bytes;   /* sizeof of this */
    uint32_t checksum;     /* of all that follows in the head */
    uint64_t incarnation;  /* nanoseconds since 1970 when it began */
    uint64_t monotonic_ns; /* at the same time */
    uint32_t role;         /* trace_role */
    uint32_t index;        /* among those of its role: ps index, worker rank, evaluator index */
    uint32_t pid;
    uint32_t reserved; /* 0 */
    char who[TRACE_WHO_BYTES];
    char host[TRACE_HOST_BYTES];
    char clock[TRACE_CLOCK_BYTES]; /* the kernel's boot id and the time namespace: who agrees in it shares a
                                      clock */
} trace_head;
static_assert(sizeof(trace_head) == 208, "layout of files");

typedef enum {
    TRACE_BLOCK_THREAD, /* trace_thread_name, before the first events of that thread */
    TRACE_BLOCK_EVENTS, /* trace_event[] */
    TRACE_BLOCK_MARK,   /* trace_mark_text */
    TRACE_BLOCK_LOST,   /* uint64_t: events that were dropped so far */
    TRACE_BLOCK_END,    /* trace_end: the process has ended in order */
    TRACE_BLOCK_KIND_COUNT,
} trace_block_kind;

typedef struct {
    uint32_t magic;
    uint32_t kind;     /* trace_block_kind */
    uint32_t thread;   /* number of the thread, 1, 2, ...; 0: of none */
    uint32_t bytes;    /* that follow */
    uint32_t checksum; /* of those */
    uint32_t reserved; /* 0 */
} trace_block;
static_assert(sizeof(trace_block) == 24, "layout of files");

typedef struct {
    uint64_t begun_ns, ended_ns; /* the same of points and marks */
    uint64_t step;
    uint64_t request, incarnation; /* of the message, and of the worker that it is from or to */
    uint64_t value;
    uint16_t kind; /* trace_kind */
    uint16_t member, peer;
    uint16_t reserved; /* 0 */
} trace_event;
static_assert(sizeof(trace_event) == 56, "layout of files");

typedef struct {
    char name[TRACE_THREAD_NAME_BYTES];
} trace_thread_name;

typedef struct {
    uint64_t at_ns;
    uint64_t step; /* UINT64_MAX: of none */
    char name[TRACE_MARK_NAME_BYTES];
    char text[TRACE_MARK_TEXT_BYTES];
} trace_mark_text;
static_assert(sizeof(trace_mark_text) == 264, "layout of files");

/* Of the whole file. */
typedef struct {
    uint64_t events; /* in it */
    uint64_t lost;   /* dropped, for want of room */
} trace_end;
static_assert(sizeof(trace_end) == 16, "layout of files");

#endif
