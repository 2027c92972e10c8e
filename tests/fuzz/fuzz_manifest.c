/* fuzz_manifest.c - any bytes as a manifest: refused with a line, or one that holds together and is the same
 * when it is printed and read again.
 *
 * The first byte says whether the checksum at the end is put right, so that the fuzzer gets past it. */
#include <string.h>

#include "common/checkpoint_manifest.h"
#include "common/checksum.h"
#include "tests/fuzz/fuzz.h"

#define CHECKSUM_START ",\"checksum\":\""

static void require_same(const manifest *a, const manifest *b)
{
    FUZZ_REQUIRE(a->server == b->server && a->servers == b->servers && a->slots == b->slots);
    FUZZ_REQUIRE(a->data_bytes == b->data_bytes && a->crc_count == b->crc_count);
    FUZZ_REQUIRE(memcmp(a->crc, b->crc, a->crc_count * sizeof *a->crc) == 0);
    const checkpoint_state *s = &a->state, *t = &b->state;
    FUZZ_REQUIRE(s->step == t->step && s->updates == t->updates && s->examples == t->examples);
    FUZZ_REQUIRE(s->epoch == t->epoch && s->final == t->final && s->clock_count == t->clock_count);
    for (uint32_t i = 0; i < s->clock_count; i++)
        FUZZ_REQUIRE(s->clocks[i].pushed == t->clocks[i].pushed &&
                     s->clocks[i].finished == t->clocks[i].finished);
    FUZZ_REQUIRE(job_difference(&a->job, &b->job, NULL) == PS_OK);
}

static void require_sound(const manifest *m)
{
    FUZZ_REQUIRE(m->server < m->servers && m->servers == m->job.servers);
    FUZZ_REQUIRE(m->slots <= CHECKPOINT_SLOTS_MAX);
    FUZZ_REQUIRE(m->state.clock_count == m->job.workers);
    FUZZ_REQUIRE(m->crc_count == partition_server_count(&m->partition, m->server) * (1 + m->slots));
    FUZZ_REQUIRE(job_check(&m->job, NULL) == PS_OK);
    char *text;
    size_t bytes;
    manifest again;
    FUZZ_REQUIRE(manifest_print(m, &text, &bytes, NULL) == PS_OK);
    FUZZ_REQUIRE(manifest_parse(text, bytes, &again, NULL) == PS_OK);
    require_same(m, &again);
    manifest_fini(&again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    const size_t tail = strlen(CHECKSUM_START "01234567\"}\n");
    char *text = malloc(bytes); /* of exactly its size but for the first byte */
    FUZZ_REQUIRE(text);
    bytes--;
    memcpy(text, data + 1, bytes);
    if (data[0] % 2 && bytes >= tail) {
        char end[64];
        snprintf(end, sizeof end, CHECKSUM_START "%08x\"}\n", checksum(text, bytes - tail));
        memcpy(text + bytes - tail, end, tail);
    }
    manifest m;
    ps_error error = {PS_OK, ""};
    ps_status status = manifest_parse(text, bytes, &m, &error);
    if (status == PS_OK)
        require_sound(&m);
    else
        FUZZ_REQUIRE(error.status == status && error.text[0] && !m.crc);
    manifest_fini(&m);
    free(text);
    return 0;
}
