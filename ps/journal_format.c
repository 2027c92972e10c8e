/* journal_format.c - see journal_format.h. */
#include "ps/journal_format.h"

#include <string.h>

#include "common/checksum.h"

static const uint8_t segment_magic[8] = {'P', 'S', 'L', 'O', 'G', '\r', '\n', 0};
enum {
    RECORD_MAGIC = 0x4c525350, /* "PSRL" */
    BASE_LEAPS = 1,
    FLAG_NONFINITE = 1,
    FLAG_PAYLOAD = 2,
    FLAG_CARRIED = 4,
    FLAG_AFTER_FINISH = 8,
    FLAGS_KNOWN = 15,
};

/* ---- segments ---- */

static uint32_t segment_crc(const segment_head *h)
{
    const size_t from = offsetof(segment_head, sequence);
    return checksum((const uint8_t *)h + from, sizeof *h - from);
}

void segment_head_fill(segment_head *h, const journal_owner *owner, const journal_base *base,
                       uint64_t sequence)
{
    *h = (segment_head){
        .version = JOURNAL_VERSION,
        .sequence = sequence,
        .job = owner->job,
        .server = (uint16_t)owner->server,
        .servers = (uint16_t)owner->servers,
        .flags = base->leap ? BASE_LEAPS : 0,
        .step = base->step,
        .epoch = base->epoch,
        .carried = base->carried,
    };
    memcpy(h->magic, segment_magic, sizeof h->magic);
    h->crc = segment_crc(h);
}

ps_status segment_head_judge(const segment_head *h, const journal_owner *owner, ps_error *error)
{
    if (memcmp(h->magic, segment_magic, sizeof h->magic) != 0)
        return ps_fail(error, PS_EFORMAT, "it does not begin as a log of updates does");
    if (h->version != JOURNAL_VERSION)
        return ps_fail(error, PS_EFORMAT, "it has version %u of the log's format; this program reads %d",
                       h->version, JOURNAL_VERSION);
    if (h->crc != segment_crc(h) || (h->flags & ~(uint32_t)BASE_LEAPS) || h->sequence == 0)
        return ps_fail(error, PS_EFORMAT, "its head is damaged");
    if (h->server != owner->server || h->servers != owner->servers)
        return ps_fail(error, PS_EMISMATCH, "it is the log of ps %u of %u", h->server, h->servers);
    if (h->job != owner->job)
        return ps_fail(error, PS_EMISMATCH, "it is the log of another job, or of one with other options");
    return PS_OK;
}

journal_base segment_head_base(const segment_head *h)
{
    return (journal_base){
        .step = h->step, .epoch = h->epoch, .leap = h->flags & BASE_LEAPS, .carried = h->carried};
}

/* ---- writing ---- */

static uint32_t head_crc(const record_head *h)
{
    const size_t from = offsetof(record_head, sequence);
    return checksum((const uint8_t *)h + from, sizeof *h - from);
}

static size_t members_bytes(const members_list *list)
{
    return sizeof list->version + list->count * sizeof(record_change);
}

buffer *record_pack_members(const members_list *list)
{
    buffer *body = buffer_alloc(members_bytes(list));
    if (!body)
        return NULL;
    uint8_t *at = buffer_data(body);
    memcpy(at, &list->version, sizeof list->version);
    at += sizeof list->version;
    for (uint32_t i = 0; i < list->count; i++, at += sizeof(record_change)) {
        const members_change *change = &list->changes[i];
        const record_change packed = {
            .from = change->from, .worker = change->worker, .enters = change->enters};
        memcpy(at, &packed, sizeof packed);
    }
    return body;
}

void record_head_fill(record_head *h, record_slice *slices, const wire_message *message, bool carried,
                      uint64_t sequence)
{
    const bool push = message->type == WIRE_PUSH || message->type == WIRE_PUSH_PULL;
    assert(message->slice_count <= WIRE_SLICES_MAX); /* the reader believes no more */
    *h = (record_head){
        .magic = RECORD_MAGIC,
        .sequence = sequence,
        .step = message->step,
        .incarnation = message->type == WIRE_RESTORE ? message->epoch : message->incarnation,
        .index = (uint16_t)message->index,
        .type = (uint8_t)(push ? WIRE_PUSH : message->type),
        .flags = carried ? FLAG_CARRIED : 0,
    };
    if (message->type == WIRE_FINISH && message->after_finish)
        h->flags |= FLAG_AFTER_FINISH;
    if (message->members)
        h->body_bytes = members_bytes(message->members);
    if (!push)
        return;
    h->examples = message->examples;
    h->clip_factor = message->clip_factor;
    h->slice_count = message->slice_count;
    h->flags |=
        (uint8_t)((message->nonfinite ? FLAG_NONFINITE : 0) | (message->has_payload ? FLAG_PAYLOAD : 0));
    h->body_bytes = (uint64_t)message->slice_count * sizeof *slices;
    for (uint32_t i = 0; i < message->slice_count; i++) {
        slices[i].number = message->slices[i];
        slices[i].bytes = message->has_payload ? (uint32_t)buffer_size(message->payloads[i]) : 0;
        h->body_bytes += slices[i].bytes;
    }
}

void record_head_seal(record_head *h, uint64_t synced, uint32_t body_crc)
{
    h->synced = synced;
    h->body_crc = body_crc;
    h->head_crc = head_crc(h);
}

/* ---- reading ---- */

/* Bytes of `from` on that a record with this head takes, padding included; 0 if it does not fit. */
static size_t record_bytes(const segment_reader *r, size_t from, const record_head *h)
{
    const size_t left = r->count - from;
    if (h->body_bytes > left - sizeof *h)
        return 0;
    const size_t bytes = sizeof *h + (size_t)h->body_bytes + journal_padding(h->body_bytes);
    return bytes <= left ? bytes : 0;
}

/* Is there a whole head of a record? */
static bool has_head(const segment_reader *r, size_t at, record_head *h)
{
    if (r->count - at < sizeof *h)
        return false;
    memcpy(h, r->bytes + at, sizeof *h);
    return h->magic == RECORD_MAGIC && h->head_crc == head_crc(h);
}

/* Does something behind `at` say that record number `sequence` had been durable? */
static bool is_vouched_for(const segment_reader *r, size_t at, uint64_t sequence)
{
    record_head h;
    for (at += JOURNAL_ALIGN; at < r->count; at += JOURNAL_ALIGN)
        if (has_head(r, at, &h) && h.sequence > sequence && h.synced >= sequence)
            return true;
    return false;
}

/* Only a message that the shard could have written: it judges the rest. */
static bool is_possible(const record_head *h)
{
    const bool push = h->type == WIRE_PUSH;
    const bool listed = h->type == WIRE_LEAVE || h->type == WIRE_RESTORE; /* as far as there is a list */
    const bool known = push || listed || h->type == WIRE_HELLO || h->type == WIRE_FINISH;
    const uint64_t table = (uint64_t)h->slice_count * sizeof(record_slice);
    return known && !(h->flags & ~FLAGS_KNOWN) && push == (h->slice_count > 0) &&
           h->slice_count <= WIRE_SLICES_MAX &&
           (push ? table <= h->body_bytes : listed || h->body_bytes == 0);
}

static ps_status take_slices(const record_head *h, const uint8_t *body, wire_message *m)
{
    size_t at = h->slice_count * sizeof(record_slice);
    for (uint32_t i = 0; i < h->slice_count; i++) {
        record_slice s;
        memcpy(&s, body + i * sizeof s, sizeof s);
        const bool fits = s.bytes <= h->body_bytes - at && m->has_payload == (s.bytes > 0);
        if (!fits)
            return PS_EFORMAT;
        m->slices[i] = s.number;
        if (!m->has_payload)
            continue;
        m->payloads[i] = buffer_alloc(s.bytes);
        if (!m->payloads[i])
            return PS_ENOMEM;
        memcpy(buffer_data(m->payloads[i]), body + at, s.bytes);
        at += s.bytes;
    }
    return at == h->body_bytes ? PS_OK : PS_EFORMAT;
}

static ps_status take_members(const record_head *h, const uint8_t *body, wire_message *m)
{
    members_list list = {.version = 0};
    const uint64_t left = h->body_bytes - sizeof list.version, count = left / sizeof(record_change);
    if (h->body_bytes == 0)
        return h->type == WIRE_RESTORE ? PS_OK : PS_EFORMAT;
    if (h->body_bytes < sizeof list.version || left % sizeof(record_change) != 0 || count == 0 ||
        count > MEMBERS_CHANGES_MAX)
        return PS_EFORMAT;
    memcpy(&list.version, body, sizeof list.version);
    ps_status status = PS_OK;
    for (uint64_t i = 0; i < count && status == PS_OK; i++) {
        record_change packed;
        memcpy(&packed, body + sizeof list.version + i * sizeof packed, sizeof packed);
        const members_change change = {
            .from = packed.from, .worker = packed.worker, .enters = packed.enters != 0};
        status = members_add(&list, &change, NULL);
    }
    if (status == PS_OK)
        status = wire_set_members(m, &list);
    members_fini(&list);
    return status;
}

static ps_status make_message(const record_head *h, const uint8_t *body, wire_message **out)
{
    wire_message *m = wire_create((wire_type)h->type, h->slice_count);
    *out = m;
    if (!m)
        return PS_ENOMEM;
    m->role = WIRE_WORKER;
    m->index = h->index;
    *(h->type == WIRE_RESTORE ? &m->epoch : &m->incarnation) = h->incarnation;
    m->step = h->step;
    m->examples = h->examples;
    m->clip_factor = h->clip_factor;
    m->nonfinite = h->flags & FLAG_NONFINITE;
    m->has_payload = h->flags & FLAG_PAYLOAD;
    m->after_finish = h->flags & FLAG_AFTER_FINISH;
    const bool listed = m->type == WIRE_LEAVE || m->type == WIRE_RESTORE;
    ps_status status = listed ? take_members(h, body, m) : take_slices(h, body, m);
    if (status != PS_OK)
        wire_destroy(out);
    return status;
}

ps_status segment_read(segment_reader *r, wire_message **message, bool *carried, ps_error *error)
{
    const uint64_t sequence = r->sequence + 1;
    record_head h;
    *message = NULL;
    if (r->at >= r->count)
        return PS_OK;
    const char *wrong = NULL;
    size_t bytes = 0;
    if (!has_head(r, r->at, &h))
        wrong = "its head is damaged";
    else if (!(bytes = record_bytes(r, r->at, &h)))
        wrong = "its end is missing";
    else if (checksum(r->bytes + r->at + sizeof h, (size_t)h.body_bytes) != h.body_crc)
        wrong = "its contents are damaged";
    if (wrong && r->last && !is_vouched_for(r, r->at, sequence))
        return PS_OK; /* torn */
    if (!wrong && h.sequence != sequence)
        wrong = "it is out of order";
    else if (!wrong && !is_possible(&h))
        wrong = "it holds no message of a log";
    ps_status status = wrong ? PS_EFORMAT : make_message(&h, r->bytes + r->at + sizeof h, message);
    if (status == PS_ENOMEM)
        return ps_fail(error, status, "out of memory for a record of %llu bytes",
                       (unsigned long long)h.body_bytes);
    if (status != PS_OK)
        return ps_fail(error, status, "record %llu at offset %zu: %s", (unsigned long long)sequence, r->at,
                       wrong ? wrong : "what it lists does not fit its length");
    *carried = h.flags & FLAG_CARRIED;
    r->at += bytes;
    r->sequence = sequence;
    return PS_OK;
}
