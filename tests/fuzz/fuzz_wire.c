/* fuzz_wire.c - any bytes as a message: refused, or a message that survives the wire and harms no shard. Our
 * codec and protobuf-c agree about all of them.
 *
 * Input: one byte, the number of payload frames (its low 3 bits) and whether the header is mended (its top
 * bit); two bytes per frame, the size of each; the rest is the header. Mended, a request is made to pass for
 * one of a worker that has joined the sample job, so that the fuzzer gets past the checks of the sender. */
#include <stdbool.h>
#include <string.h>

#include "common/log.h"
#include "common/partition.h"
#include "ps/shard_view.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/wire_reference.h"

enum { FRAMES_MAX = 7, MENDED = 0x80, ANSWERS_MAX = 1000 };
/* Jobs that need more are refused: the fuzzer finds large tensors quickly. */
#define MEMORY_MAX (UINT64_C(16) << 20)

/* Two workers, an evaluator, two slices of ten elements. */
static void make_job(job_config *job)
{
    job_init(job);
    job->workers = 2;
    job->evaluators = 1;
    job->slice_bytes = JOB_SLICE_BYTES_MIN;
    tensor t = {.name = "w", .rank = 1, .shape = {10}};
    tensor more = {.name = "v", .rank = 2, .shape = {5, 2}};
    FUZZ_REQUIRE(tensor_table_add(&job->tensors, &t, NULL) == PS_OK);
    FUZZ_REQUIRE(tensor_table_add(&job->tensors, &more, NULL) == PS_OK);
}

static void require_agreement(const char *difference)
{
    if (difference)
        fprintf(stderr, "protobuf-c disagrees: %s\n", difference);
    FUZZ_REQUIRE(!difference);
}

static wire_message *decode(const uint8_t *header, size_t bytes, const size_t *frame_bytes, uint32_t frames)
{
    ps_error error = {PS_OK, ""};
    wire_message *m = NULL;
    ps_status status = wire_decode(header, bytes, frame_bytes, frames, &m, &error);
    FUZZ_REQUIRE((status == PS_OK) == (m != NULL));
    if (status != PS_OK) {
        FUZZ_REQUIRE(error.status == status && error.text[0]);
        return NULL;
    }
    FUZZ_REQUIRE(wire_frames(m) == frames);
    for (uint32_t i = 0, frame = 0; m->has_payload && i < m->slice_count; i++) {
        if (m->places[i].segment || m->payloads[i]) /* could not be mapped; travelled within the header */
            continue;
        size_t size = frame_bytes[frame++];
        m->payloads[i] = buffer_alloc(size);
        FUZZ_REQUIRE(m->payloads[i]);
        memset(buffer_data(m->payloads[i]), size & 64 ? 0xff : 0, size); /* NaN or 0 */
    }
    return m;
}

static void require_same(const wire_message *a, const wire_message *b)
{
    FUZZ_REQUIRE(a->type == b->type && a->job == b->job && a->role == b->role && a->index == b->index);
    FUZZ_REQUIRE(a->incarnation == b->incarnation && a->request == b->request && a->step == b->step);
    FUZZ_REQUIRE(a->examples == b->examples && a->receiver == b->receiver);
    FUZZ_REQUIRE(memcmp(&a->clip_factor, &b->clip_factor, sizeof a->clip_factor) == 0 || a->clip_factor == 0);
    FUZZ_REQUIRE(a->nonfinite == b->nonfinite && a->after_finish == b->after_finish);
    FUZZ_REQUIRE(a->examples_total == b->examples_total && a->job_finished == b->job_finished);
    FUZZ_REQUIRE(a->status == b->status && a->end_step == b->end_step);
    FUZZ_REQUIRE(strcmp(a->text ? a->text : "", b->text ? b->text : "") == 0);
    FUZZ_REQUIRE(a->slice_count == b->slice_count && a->has_payload == b->has_payload);
    FUZZ_REQUIRE(a->slice_count == 0 ||
                 memcmp(a->slices, b->slices, a->slice_count * sizeof *a->slices) == 0);
    FUZZ_REQUIRE(!a->hello == !b->hello);
}

/* Encoded and decoded again it is the same message, and its job has one fingerprint. */
static void require_round_trip(const wire_message *m, const size_t *frame_bytes, uint32_t frames)
{
    buffer *header;
    require_agreement(wire_reference_judge_writing(m));
    FUZZ_REQUIRE(wire_encode(m, &header) == PS_OK);
    wire_message *again = decode(buffer_bytes(header), buffer_size(header), frame_bytes, frames);
    FUZZ_REQUIRE(again);
    require_same(m, again);
    if (m->hello) {
        uint64_t first, second;
        FUZZ_REQUIRE(wire_job_fingerprint(m->hello, &first) == PS_OK);
        FUZZ_REQUIRE(wire_job_fingerprint(again->hello, &second) == PS_OK);
        FUZZ_REQUIRE(first == second);
    }
    wire_destroy(&again);
    buffer_unref(&header);
}

/* Takes all answers; each must itself survive the wire. Returns how many answer `request`. */
static int drain(shard *s, uint64_t request)
{
    int answers = 0, total = 0;
    wire_route to;
    for (wire_message *m; (m = shard_next(s, &to)); wire_destroy(&m)) {
        size_t frame_bytes[WIRE_SLICES_MAX];
        uint32_t frames = m->has_payload ? m->slice_count : 0;
        for (uint32_t i = 0; i < frames; i++)
            frame_bytes[i] = buffer_size(m->payloads[i]);
        buffer *header;
        FUZZ_REQUIRE(wire_encode(m, &header) == PS_OK);
        wire_message *received = decode(buffer_bytes(header), buffer_size(header), frame_bytes, frames);
        FUZZ_REQUIRE(received);
        wire_destroy(&received);
        buffer_unref(&header);
        answers += m->request == request;
        FUZZ_REQUIRE(++total < ANSWERS_MAX);
    }
    return answers;
}

/* SETTLE and HEARTBEAT tell something and ask nothing. */
static bool asks(const wire_message *m)
{
    return m->type != WIRE_SETTLE && m->type != WIRE_HEARTBEAT;
}

/* Is there an answer to what asks, or else word that the request waits? */
static void require_answered(shard *s, wire_message *m)
{
    const wire_route from = {.bytes = 1};
    uint64_t request = m->request;
    const bool hello = m->type == WIRE_HELLO, asked = asks(m);
    wire_message *query = wire_create(WIRE_QUERY, 0);
    FUZZ_REQUIRE(query);
    query->job = m->job;
    query->role = m->role;
    query->index = m->index;
    query->incarnation = m->incarnation;
    query->request = request;
    shard_receive(s, &m, &from, 1);
    FUZZ_REQUIRE(!m);
    int answers = drain(s, request);
    if (answers == 0 && !hello && asked) {
        shard_receive(s, &query, &from, 2);
        wire_route to;
        wire_message *pending = shard_next(s, &to);
        FUZZ_REQUIRE(pending && pending->type == WIRE_PENDING && pending->text);
        wire_destroy(&pending);
    }
    FUZZ_REQUIRE(answers >= 1 || !hello);
    wire_destroy(&query);
    shard_tick(s, 1);
    shard_tick(s, 1 + SHARD_STALL_MS);
    shard_finished(s);
    shard_view view = {0};
    FUZZ_REQUIRE(shard_view_take(s, &view, 2 + SHARD_STALL_MS) == PS_OK);
    shard_view_fini(&view);
}

static shard *make_shard(void)
{
    const shard_config config = {.incarnation = 3, .memory_max_bytes = MEMORY_MAX};
    shard *s;
    FUZZ_REQUIRE(shard_create(&config, &s) == PS_OK);
    return s;
}

/* A shard whose worker 0 and evaluator 0 have joined, as incarnation 1. */
static shard *make_joined_shard(const job_config *job)
{
    shard *s = make_shard();
    const wire_route from = {.bytes = 1};
    for (int i = 0; i < 2; i++) {
        wire_message *hello = wire_create(WIRE_HELLO, 0);
        FUZZ_REQUIRE(hello && (hello->hello = malloc(sizeof *hello->hello)));
        FUZZ_REQUIRE(job_copy(job, hello->hello) == PS_OK);
        hello->role = i ? WIRE_EVALUATOR : WIRE_WORKER;
        hello->incarnation = 1;
        shard_receive(s, &hello, &from, 1);
        FUZZ_REQUIRE(drain(s, 0) == 1);
    }
    return s;
}

static void mend(wire_message *m, const job_config *job)
{
    FUZZ_REQUIRE(wire_job_fingerprint(job, &m->job) == PS_OK);
    m->index = 0;
    m->incarnation = 1;
    for (uint32_t i = 0; i < m->slice_count && i < 2; i++)
        m->slices[i] = i;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    log_setup("fuzz", LOG_OFF);
    if (bytes == 0)
        return 0;
    uint32_t frames = data[0] & FRAMES_MAX;
    if (bytes < 1 + 2 * (size_t)frames)
        return 0;
    size_t frame_bytes[FRAMES_MAX];
    for (uint32_t i = 0; i < frames; i++)
        frame_bytes[i] = (size_t)data[1 + 2 * i] << 8 | data[2 + 2 * i];
    const uint8_t *header = data + 1 + 2 * frames;
    const size_t header_bytes = bytes - 1 - 2 * frames;

    require_agreement(wire_reference_judge_reading(header, header_bytes));
    job_config job;
    make_job(&job);
    for (int joined = 0; joined < 2; joined++) {
        wire_message *m = decode(header, header_bytes, frame_bytes, frames);
        if (!m)
            break;
        require_round_trip(m, frame_bytes, frames);
        if (joined && data[0] & MENDED && !m->hello)
            mend(m, &job);
        shard *s = joined ? make_joined_shard(&job) : make_shard();
        require_answered(s, m);
        shard_destroy(&s);
    }
    job_fini(&job);
    return 0;
}
