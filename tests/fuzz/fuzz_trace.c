/* fuzz_trace.c - any bytes as a part of a trace: refused with a line, or cut where they make no sense; and
 * with a sound part beside it, it becomes JSON.
 *
 * The first byte says whether the checksums are put right, so that the fuzzer gets past them. */
#include <stddef.h>
#include <string.h>

#include "common/checksum.h"
#include "common/json.h"
#include "deploy/trace/trace_json.h"
#include "tests/fuzz/fuzz.h"

static void put_right(uint8_t *bytes, size_t count)
{
    trace_head head;
    const size_t from = offsetof(trace_head, incarnation);
    if (count < sizeof head)
        return;
    memcpy(&head, bytes, sizeof head);
    memcpy(head.magic, TRACE_MAGIC, sizeof head.magic);
    head.head_bytes = sizeof head;
    head.checksum = checksum(bytes + from, sizeof head - from);
    memcpy(bytes, &head, from);
    for (size_t at = sizeof head; count - at >= sizeof(trace_block);) {
        trace_block block;
        memcpy(&block, bytes + at, sizeof block);
        if (count - at - sizeof block < block.bytes)
            return;
        block.magic = TRACE_BLOCK_MAGIC;
        block.checksum = checksum(bytes + at + sizeof block, block.bytes);
        memcpy(bytes + at, &block, sizeof block);
        at += sizeof block + block.bytes;
    }
}

static void require_json(const trace_part *parts, size_t count, const trace_flows *flows,
                         const trace_clocks *clocks)
{
    char *text = NULL;
    size_t bytes = 0;
    json *root;
    ps_error error;
    trace_json_counts counts;
    const json_options strict = {.source = "trace", .max_bytes = 64 << 20};
    FILE *out = open_memstream(&text, &bytes);
    FUZZ_REQUIRE(out);
    FUZZ_REQUIRE(trace_json_write(out, parts, count, flows, clocks, &counts) == PS_OK);
    fclose(out);
    ps_status status = json_parse(text, bytes, &strict, &root, NULL, &error);
    if (status != PS_OK)
        fprintf(stderr, "%s\n", error.text);
    FUZZ_REQUIRE(status == PS_OK);
    json_free(&root);
    free(text);
}

/* The one that is fuzzed as the ps or worker that it says to be, and the same as another process on another
 * host. */
static void merge(trace_part parts[2])
{
    trace_clocks clocks;
    trace_flows flows;
    snprintf(parts[1].head.clock, sizeof parts[1].head.clock, "another");
    parts[1].head.role = parts[0].head.role == TRACE_OF_PS ? TRACE_OF_WORKER : TRACE_OF_PS;
    FUZZ_REQUIRE(trace_clock_align(parts, 2, &clocks) == PS_OK);
    FUZZ_REQUIRE(trace_flow_find(parts, 2, &flows) == PS_OK);
    require_json(parts, 2, &flows, &clocks);
    trace_flow_fini(&flows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    trace_part parts[2];
    ps_error error = {PS_OK, ""};
    if (bytes == 0)
        return 0;
    bytes--;
    uint8_t *copy = malloc(bytes ? bytes : 1); /* of exactly its size */
    FUZZ_REQUIRE(copy);
    memcpy(copy, data + 1, bytes);
    if (data[0] % 2)
        put_right(copy, bytes);
    ps_status status = trace_part_parse(copy, bytes, &parts[0], &error);
    if (status != PS_OK)
        FUZZ_REQUIRE(status == PS_EFORMAT && error.text[0] && !parts[0].entries && !parts[0].marks);
    if (status == PS_OK && trace_part_parse(copy, bytes, &parts[1], NULL) == PS_OK) {
        merge(parts);
        trace_part_fini(&parts[1]);
    }
    trace_part_fini(&parts[0]);
    free(copy);
    return 0;
}
