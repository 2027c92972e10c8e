/* Any bytes as a segment of a durability log: what is read lies within them, in order, and is what a shard
 * may be asked to judge.
 *
 * Input: one byte, its lowest bit says whether the segment is the last one, the next one whether checksums
 * are to be made to fit, which no mutation would hit; the rest is the segment. */
#include <string.h>

#include "common/checksum.h"
#include "ps/journal_format.h"
#include "tests/fuzz/fuzz.h"

static void check_message(const wire_message *m)
{
    FUZZ_REQUIRE(m->type == WIRE_HELLO || m->type == WIRE_PUSH || m->type == WIRE_FINISH ||
                 m->type == WIRE_RESTORE || m->type == WIRE_LEAVE);
    FUZZ_REQUIRE(m->role == WIRE_WORKER && !m->hello && !m->text);
    FUZZ_REQUIRE((m->type == WIRE_PUSH) == (m->slice_count > 0) && m->slice_count <= WIRE_SLICES_MAX);
    for (uint32_t i = 0; i < m->slice_count; i++)
        FUZZ_REQUIRE(m->has_payload == (m->payloads[i] != NULL));
}

static void read_all(segment_reader *r)
{
    for (;;) {
        const size_t before = r->at;
        const uint64_t sequence = r->sequence;
        wire_message *m;
        bool carried;
        ps_error error = {PS_OK, ""};
        const ps_status status = segment_read(r, &m, &carried, &error);
        FUZZ_REQUIRE(status == PS_OK || status == PS_EFORMAT || status == PS_ENOMEM);
        FUZZ_REQUIRE((status == PS_OK) == (error.text[0] == '\0'));
        if (!m) {
            FUZZ_REQUIRE(r->at == before && r->sequence == sequence);
            FUZZ_REQUIRE(status != PS_OK || r->last || r->at == r->count);
            return;
        }
        FUZZ_REQUIRE(r->at > before && r->at <= r->count && r->sequence == sequence + 1);
        check_message(m);
        wire_destroy(&m);
    }
}

/* As far as the lengths of records lead. */
static void mend(uint8_t *bytes, size_t count)
{
    segment_head head;
    memcpy(&head, bytes, sizeof head);
    const journal_owner owner = {.job = head.job, .server = head.server, .servers = head.servers};
    const journal_base base = segment_head_base(&head);
    segment_head_fill(&head, &owner, &base, head.sequence ? head.sequence : 1);
    memcpy(bytes, &head, sizeof head);
    record_head h;
    for (size_t at = sizeof head; count - at >= sizeof h;) {
        memcpy(&h, bytes + at, sizeof h);
        const size_t left = count - at - sizeof h;
        const uint64_t body = h.body_bytes + journal_padding(h.body_bytes);
        if (h.body_bytes > left || body > left)
            return;
        record_head_seal(&h, h.synced, checksum(bytes + at + sizeof h, (size_t)h.body_bytes));
        memcpy(bytes + at, &h, sizeof h);
        at += sizeof h + (size_t)body;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 1 + sizeof(segment_head))
        return 0;
    /* Of exactly its size, so that a sanitizer sees what is read beyond. */
    uint8_t *copy = malloc(bytes - 1);
    FUZZ_REQUIRE(copy);
    memcpy(copy, data + 1, bytes - 1);
    if (data[0] & 2)
        mend(copy, bytes - 1);
    segment_head head;
    memcpy(&head, copy, sizeof head);
    const journal_owner owner = {.job = head.job, .server = head.server, .servers = head.servers};
    if (segment_head_judge(&head, &owner, NULL) == PS_OK) {
        segment_reader r = {.bytes = copy,
                            .count = bytes - 1,
                            .at = sizeof head,
                            .sequence = head.sequence,
                            .last = data[0] & 1};
        read_all(&r);
    }
    free(copy);
    return 0;
}
