/* trace_sample.h - parts of traces made by hand, byte by byte as common/trace.c writes them. */
#ifndef PENSTOCK_TESTS_TRACE_SAMPLE_H
#define PENSTOCK_TESTS_TRACE_SAMPLE_H

#include <stddef.h>
#include <string.h>

#include "common/checksum.h"
#include "common/trace_format.h"
#include "tests/unit/unit.h"

enum { SAMPLE_BYTES = 1 << 20 };

typedef struct {
    size_t count;
    uint64_t events;
    uint8_t bytes[SAMPLE_BYTES];
} sample;

static inline void sample_append(sample *s, const void *bytes, size_t count)
{
    assert_true(s->count + count <= sizeof s->bytes);
    memcpy(s->bytes + s->count, bytes, count);
    s->count += count;
}

static inline void sample_begin(sample *s, trace_role role, uint32_t index, uint64_t incarnation,
                                const char *clock)
{
    trace_head head = {.head_bytes = sizeof head,
                       .incarnation = incarnation,
                       .monotonic_ns = 1000,
                       .role = role,
                       .index = index,
                       .pid = 7};
    memcpy(head.magic, TRACE_MAGIC, sizeof head.magic);
    snprintf(head.who, sizeof head.who, "%s/%u", role == TRACE_OF_PS ? "ps" : "worker", index);
    snprintf(head.host, sizeof head.host, "host-%s", clock);
    snprintf(head.clock, sizeof head.clock, "%s", clock);
    const size_t from = offsetof(trace_head, incarnation);
    head.checksum = checksum((const char *)&head + from, sizeof head - from);
    s->count = s->events = 0;
    sample_append(s, &head, sizeof head);
}

static inline void sample_block(sample *s, uint32_t kind, uint32_t thread, const void *bytes, size_t count)
{
    const trace_block block = {.magic = TRACE_BLOCK_MAGIC,
                               .kind = kind,
                               .thread = thread,
                               .bytes = (uint32_t)count,
                               .checksum = checksum(bytes, count)};
    sample_append(s, &block, sizeof block);
    sample_append(s, bytes, count);
}

static inline void sample_thread(sample *s, uint32_t thread, const char *name)
{
    trace_thread_name named = {""};
    snprintf(named.name, sizeof named.name, "%s", name);
    sample_block(s, TRACE_BLOCK_THREAD, thread, &named, sizeof named);
}

static inline void sample_event(sample *s, trace_event e)
{
    sample_block(s, TRACE_BLOCK_EVENTS, 1, &e, sizeof e);
    s->events++;
}

static inline void sample_end(sample *s)
{
    const trace_end end = {.events = s->events, .lost = 0};
    sample_block(s, TRACE_BLOCK_END, 0, &end, sizeof end);
}

#endif
