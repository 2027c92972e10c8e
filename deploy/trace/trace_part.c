/* trace_part.c - see trace_part.h. */
#include "deploy/trace/trace_part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checksum.h"
#include "common/file.h"

enum { HEAD_CHECKED_FROM = offsetof(trace_head, incarnation) };
#define TIME_MAX_NS (UINT64_MAX / 8) /* since the host began: with room to be moved to another clock */

typedef struct {
    const uint8_t *bytes;
    size_t count, at;
    size_t entries_room, threads_room, marks_room;
} reader;

/* ---- what is damaged ---- */

static bool cut(const reader *r, trace_part *p, const char *why)
{
    snprintf(p->cut, sizeof p->cut, "%s at byte %zu of %zu; what follows is left out", why, r->at, r->count);
    return false;
}

static bool is_sound(const trace_event *e)
{
    return e->kind < TRACE_KIND_COUNT && e->begun_ns <= e->ended_ns && e->ended_ns <= TIME_MAX_NS;
}

/* ---- growing ---- */

/* Room for `more` elements of `size` bytes behind `count`. */
static bool make_room(void **array, size_t *room, size_t count, size_t more, size_t size)
{
    if (*room - count >= more)
        return true;
    const size_t wanted = (count + more) * 2;
    void *grown = realloc(*array, wanted * size);
    if (!grown)
        return false;
    *array = grown;
    *room = wanted;
    return true;
}

/* ---- blocks ---- */

static ps_status take_events(reader *r, trace_part *p, const trace_block *block, const uint8_t *bytes)
{
    const size_t count = block->bytes / sizeof(trace_event);
    void *grown = p->entries;
    if (!make_room(&grown, &r->entries_room, p->entry_count, count, sizeof *p->entries))
        return PS_ENOMEM;
    p->entries = grown;
    for (size_t i = 0; i < count; i++) {
        trace_entry *entry = &p->entries[p->entry_count];
        memcpy(&entry->event, bytes + i * sizeof entry->event, sizeof entry->event);
        entry->thread = block->thread;
        if (!is_sound(&entry->event))
            return PS_EFORMAT;
        p->entry_count++;
    }
    return PS_OK;
}

static ps_status take_thread(reader *r, trace_part *p, const trace_block *block, const uint8_t *bytes)
{
    void *grown = p->threads;
    if (p->thread_count == TRACE_PART_THREADS_MAX)
        return PS_EFORMAT;
    if (!make_room(&grown, &r->threads_room, p->thread_count, 1, sizeof *p->threads))
        return PS_ENOMEM;
    p->threads = grown;
    trace_part_thread *added = &p->threads[p->thread_count++];
    added->thread = block->thread;
    memcpy(added->name, bytes, sizeof added->name);
    added->name[sizeof added->name - 1] = '\0';
    return PS_OK;
}

static ps_status take_mark(reader *r, trace_part *p, const uint8_t *bytes)
{
    void *grown = p->marks;
    if (!make_room(&grown, &r->marks_room, p->mark_count, 1, sizeof *p->marks))
        return PS_ENOMEM;
    p->marks = grown;
    trace_mark_text *added = &p->marks[p->mark_count];
    memcpy(added, bytes, sizeof *added);
    if (added->at_ns > TIME_MAX_NS)
        return PS_EFORMAT;
    p->mark_count++;
    added->name[sizeof added->name - 1] = '\0';
    added->text[sizeof added->text - 1] = '\0';
    return PS_OK;
}

static ps_status take_end(trace_part *p, const uint8_t *bytes)
{
    trace_end end;
    memcpy(&end, bytes, sizeof end);
    if (end.events != p->entry_count)
        return PS_EFORMAT;
    p->lost = end.lost;
    p->ended = true;
    return PS_OK;
}

/* Has a block of this kind that many bytes, and a thread where it needs one? */
static bool fits(const trace_block *block)
{
    static const uint32_t sizes[TRACE_BLOCK_KIND_COUNT] = {
        [TRACE_BLOCK_THREAD] = sizeof(trace_thread_name),
        [TRACE_BLOCK_EVENTS] = sizeof(trace_event),
        [TRACE_BLOCK_MARK] = sizeof(trace_mark_text),
        [TRACE_BLOCK_LOST] = sizeof(uint64_t),
        [TRACE_BLOCK_END] = sizeof(trace_end),
    };
    if (block->magic != TRACE_BLOCK_MAGIC || block->kind >= TRACE_BLOCK_KIND_COUNT ||
        block->bytes > TRACE_BLOCK_BYTES_MAX)
        return false;
    const bool of_thread = block->kind == TRACE_BLOCK_THREAD || block->kind == TRACE_BLOCK_EVENTS;
    if (of_thread && (block->thread == 0 || block->thread > TRACE_PART_THREADS_MAX))
        return false;
    const uint32_t size = sizes[block->kind];
    return block->kind == TRACE_BLOCK_EVENTS ? block->bytes % size == 0 : block->bytes == size;
}

static ps_status take_block(reader *r, trace_part *p, const trace_block *block, const uint8_t *bytes)
{
    switch ((trace_block_kind)block->kind) {
    case TRACE_BLOCK_EVENTS:
        return take_events(r, p, block, bytes);
    case TRACE_BLOCK_THREAD:
        return take_thread(r, p, block, bytes);
    case TRACE_BLOCK_MARK:
        return take_mark(r, p, bytes);
    case TRACE_BLOCK_LOST:
        memcpy(&p->lost, bytes, sizeof p->lost);
        return PS_OK;
    case TRACE_BLOCK_END:
        return take_end(p, bytes);
    case TRACE_BLOCK_KIND_COUNT:
        break;
    }
    return PS_EFORMAT;
}

/* Takes the next block; false at the end, where the file is cut, or out of memory. */
static bool take_next(reader *r, trace_part *p, ps_status *status)
{
    trace_block block;
    if (r->at == r->count)
        return false;
    if (p->ended)
        return cut(r, p, "something stands behind the end,");
    if (r->count - r->at < sizeof block)
        return cut(r, p, "the file is torn");
    memcpy(&block, r->bytes + r->at, sizeof block);
    if (!fits(&block))
        return cut(r, p, "there is no block of a trace");
    if (r->count - r->at - sizeof block < block.bytes)
        return cut(r, p, "the file is torn");
    const uint8_t *bytes = r->bytes + r->at + sizeof block;
    if (checksum(bytes, block.bytes) != block.checksum)
        return cut(r, p, "a block is damaged");
    *status = take_block(r, p, &block, bytes);
    if (*status == PS_EFORMAT) {
        *status = PS_OK;
        return cut(r, p, "a block holds what no process writes");
    }
    r->at += sizeof block + block.bytes;
    return *status == PS_OK;
}

/* ---- the whole ---- */

static ps_status take_head(reader *r, trace_part *p, ps_error *error)
{
    trace_head *h = &p->head;
    if (r->count < sizeof *h || memcmp(r->bytes, TRACE_MAGIC, sizeof h->magic) != 0)
        return ps_fail(error, PS_EFORMAT, "this is no part of a trace");
    memcpy(h, r->bytes, sizeof *h);
    if (h->head_bytes != sizeof *h || h->role >= TRACE_ROLE_COUNT || h->index >= TRACE_MEMBERS_MAX ||
        h->monotonic_ns > TIME_MAX_NS ||
        checksum(r->bytes + HEAD_CHECKED_FROM, sizeof *h - HEAD_CHECKED_FROM) != h->checksum)
        return ps_fail(error, PS_EFORMAT,
                       "the head of this part of a trace is damaged, or of another version");
    h->who[sizeof h->who - 1] = h->host[sizeof h->host - 1] = h->clock[sizeof h->clock - 1] = '\0';
    r->at = sizeof *h;
    return PS_OK;
}

ps_status trace_part_parse(const void *bytes, size_t count, trace_part *out, ps_error *error)
{
    reader r = {.bytes = bytes, .count = count};
    *out = (trace_part){.lost = 0};
    ps_status status = take_head(&r, out, error);
    while (status == PS_OK && take_next(&r, out, &status))
        ;
    if (status == PS_ENOMEM)
        ps_fail(error, status, "out of memory for a part of a trace");
    if (status != PS_OK)
        trace_part_fini(out);
    return status;
}

ps_status trace_part_read(const char *path, trace_part *out, ps_error *error)
{
    const void *map;
    size_t bytes;
    ps_error why;
    *out = (trace_part){.lost = 0};
    ps_status status = file_map(path, &map, &bytes, error);
    if (status != PS_OK)
        return status;
    status = trace_part_parse(map, bytes, out, &why);
    file_unmap(map, bytes);
    return status == PS_OK ? PS_OK : ps_fail(error, status, "%.300s: %.200s", path, why.text);
}

void trace_part_fini(trace_part *p)
{
    free(p->entries);
    free(p->threads);
    free(p->marks);
    *p = (trace_part){.lost = 0};
}

const char *trace_part_thread_name(const trace_part *p, uint32_t thread, char text[TRACE_THREAD_NAME_BYTES])
{
    for (size_t i = p->thread_count; i-- > 0;)
        if (p->threads[i].thread == thread)
            return p->threads[i].name;
    snprintf(text, TRACE_THREAD_NAME_BYTES, "thread %u", thread);
    return text;
}
