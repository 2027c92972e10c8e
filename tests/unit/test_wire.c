/* Messages of common/wire: what they carry survives, their jobs have fingerprints, and memory may run out. */
#include "common/wire.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire_job.h"
#include "tests/unit/torture.h"
#include "tests/unit/wire_sample.h"

/* ---- round trips ---- */

static void assert_survives(wire_message **message)
{
    buffer *header;
    wire_message *decoded;
    ps_error error = {PS_OK, ""};
    assert_int_equal(wire_encode(*message, &header), PS_OK);
    if (wire_sample_decode(header, *message, &decoded, &error) != PS_OK)
        fail_msg("%s", error.text);
    wire_sample_assert_same(*message, decoded);
    for (uint32_t i = 0; i < decoded->slice_count; i++)
        assert_null(decoded->payloads[i]);
    wire_destroy(&decoded);
    wire_destroy(message);
    assert_null(*message);
    buffer_unref(&header);
}

static void every_type_survives_the_wire_with_all_its_fields(void **state)
{
    (void)state;
    for (int i = 0; i < REQUESTS; i++) {
        wire_message *m = wire_sample_full(requests[i], WIRE_WORKER);
        assert_survives(&m);
        m = wire_sample_full(requests[i], WIRE_WORKER);
        m->role = WIRE_EVALUATOR;
        assert_survives(&m);
    }
    for (int i = 0; i < ANSWERS; i++) {
        wire_message *m = wire_sample_full(answers[i], WIRE_PS);
        assert_survives(&m);
    }
    for (int i = 0; i < ORDERS; i++) {
        wire_message *m = wire_sample_full(orders[i], WIRE_ADMINISTRATOR);
        assert_survives(&m);
    }
}

static void every_type_survives_the_wire_empty(void **state)
{
    (void)state;
    for (int i = 0; i < REQUESTS + ANSWERS; i++) {
        wire_message *m = wire_create(i < REQUESTS ? requests[i] : answers[i - REQUESTS], 0);
        m->role = i < REQUESTS ? WIRE_WORKER : WIRE_PS;
        if (m->type == WIRE_PUSH || m->type == WIRE_PUSH_PULL) {
            m->step = 1;
            m->clip_factor = 1;
        }
        if (m->type == WIRE_HELLO)
            m->hello = wire_sample_job();
        assert_survives(&m);
    }
}

static void push_without_examples_names_slices_but_has_no_frames(void **state)
{
    (void)state;
    wire_message *m = wire_create(WIRE_PUSH_PULL, 2);
    m->role = WIRE_WORKER;
    m->step = 9;
    m->clip_factor = 1;
    m->slices[1] = 5;
    assert_survives(&m);
}

static void message_takes_as_many_slices_as_the_limit(void **state)
{
    (void)state;
    wire_message *m = wire_create(WIRE_PULL, WIRE_SLICES_MAX), *decoded;
    m->role = WIRE_WORKER;
    for (uint32_t i = 0; i < WIRE_SLICES_MAX; i++)
        m->slices[i] = i;
    buffer *header;
    assert_int_equal(wire_encode(m, &header), PS_OK);
    assert_int_equal(wire_sample_decode(header, m, &decoded, NULL), PS_OK);
    wire_sample_assert_same(m, decoded);
    wire_destroy(&decoded);
    wire_destroy(&m);
    buffer_unref(&header);
}

static void text_is_cut_at_its_limit(void **state)
{
    (void)state;
    char text[2 * WIRE_TEXT_MAX];
    memset(text, 't', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    wire_message *m = wire_create(WIRE_ERROR, 0);
    wire_set_text(m, "short");
    wire_set_text(m, text);
    assert_int_equal(strlen(m->text), WIRE_TEXT_MAX);
    assert_survives(&m);
}

static void destroying_drops_payload_references(void **state)
{
    (void)state;
    buffer *b = buffer_alloc(4);
    wire_message *m = wire_create(WIRE_WEIGHTS, 2);
    m->payloads[1] = buffer_ref(b);
    assert_true(buffer_is_shared(b));
    wire_destroy(&m);
    wire_destroy(&m);
    assert_false(buffer_is_shared(b));
    buffer_unref(&b);
}

static void small_payloads_travel_within_the_header(void **state)
{
    (void)state;
    wire_message *m = wire_sample_full(WIRE_PUSH, WIRE_WORKER), *decoded;
    m->segment_count = 1;
    m->segments[0] = (segment_name){.bytes = 8192};
    m->places[1] = (wire_place){.segment = 1, .offset = 4096}; /* not this one */
    memcpy(buffer_data(m->payloads[0]), "fout", 4);
    memcpy(buffer_data(m->payloads[2]), "twelve bytes", 12);
    wire_inline_small(m);
    assert_int_equal(wire_frames(m), 0);
    buffer *header;
    assert_int_equal(wire_encode(m, &header), PS_OK);
    ps_error error = {PS_OK, ""};
    if (wire_decode(buffer_bytes(header), buffer_size(header), NULL, 0, &decoded, &error) != PS_OK)
        fail_msg("%s", error.text);
    wire_sample_assert_same(m, decoded);
    assert_int_equal(wire_frames(decoded), 0);
    assert_memory_equal(buffer_bytes(decoded->payloads[0]), "fout", 4);
    assert_null(decoded->payloads[1]);
    assert_memory_equal(buffer_bytes(decoded->payloads[2]), "twelve bytes", 12);
    buffer_unref(&header);
    wire_destroy(&decoded);
    wire_destroy(&m);
}

static void payloads_that_are_not_small_travel_as_frames(void **state)
{
    (void)state;
    wire_message *m = wire_sample_full(WIRE_PUSH, WIRE_WORKER);
    for (int more = 0; more < 2; more++) {
        buffer_unref(&m->payloads[2]);
        m->payloads[2] = buffer_alloc((size_t)(WIRE_INLINED_MAX - 12 + 4 * more)); /* beside 4 and 8 bytes */
        wire_inline_small(m);
        assert_int_equal(wire_frames(m), more ? 3 : 0);
    }
    wire_destroy(&m);
}

static void payloads_in_segments_travel_as_their_places(void **state)
{
    (void)state;
    wire_message *m = wire_sample_full(WIRE_PUSH, WIRE_WORKER), *decoded;
    m->segment_count = 2;
    m->segments[0] = (segment_name){.pid = 17, .fd = 3, .bytes = 8192, .token = {1, UINT64_MAX}};
    m->segments[1] = (segment_name){.pid = 17, .fd = 4, .bytes = 1 << 20, .token = {2, 3}};
    m->places[0] = (wire_place){.segment = 2, .offset = (1 << 20) - 4}; /* its last 4 bytes */
    m->places[2] = (wire_place){.segment = 1, .offset = 4096};
    assert_int_equal(wire_frames(m), 1);
    buffer *header;
    assert_int_equal(wire_encode(m, &header), PS_OK);
    const size_t frame_bytes[] = {8}; /* of the second slice, which lies in no segment */
    ps_error error = {PS_OK, ""};
    if (wire_decode(buffer_bytes(header), buffer_size(header), frame_bytes, 1, &decoded, &error) != PS_OK)
        fail_msg("%s", error.text);
    wire_sample_assert_same(m, decoded);
    assert_int_equal(decoded->segment_count, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(decoded->segments[i].pid, 17);
        assert_int_equal(decoded->segments[i].fd, 3 + i);
        assert_true(decoded->segments[i].bytes == m->segments[i].bytes);
        assert_memory_equal(decoded->segments[i].token, m->segments[i].token, sizeof m->segments[i].token);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(decoded->places[i].segment, m->places[i].segment);
        assert_true(decoded->places[i].offset == m->places[i].offset);
        assert_int_equal(decoded->payload_bytes[i], 4 * (i + 1));
    }
    assert_int_equal(wire_frames(decoded), 1);
    buffer_unref(&header);
    wire_destroy(&decoded);
    wire_destroy(&m);
}

static void a_list_of_members_survives_the_wire(void **state)
{
    (void)state;
    members_list list = {.version = 77};
    const members_change leaves = {.from = 5, .worker = 1}, enters = {.from = 9, .worker = 1, .enters = true};
    assert_int_equal(members_add(&list, &leaves, NULL), PS_OK);
    assert_int_equal(members_add(&list, &enters, NULL), PS_OK);
    wire_message *m = wire_create(WIRE_WELCOME, 0), *decoded;
    assert_non_null(m);
    m->lost_worker = 3;
    assert_int_equal(wire_set_members(m, &list), PS_OK);
    buffer *header;
    assert_int_equal(wire_encode(m, &header), PS_OK);
    assert_int_equal(wire_decode(buffer_bytes(header), buffer_size(header), NULL, 0, &decoded, NULL), PS_OK);
    assert_int_equal(decoded->members_version, 77);
    assert_int_equal(decoded->lost_worker, 3);
    assert_int_equal(decoded->members->version, 77);
    assert_int_equal(members_first_difference(decoded->members, &list, 2), MEMBERS_NEVER);
    wire_destroy(&decoded);
    wire_destroy(&m);
    buffer_unref(&header);
    members_fini(&list);
}

static void types_and_roles_have_names(void **state)
{
    (void)state;
    assert_string_equal(wire_type_name(WIRE_PUSH_PULL), "PUSH_PULL");
    assert_string_equal(wire_type_name(WIRE_ERROR), "ERROR");
    assert_string_equal(wire_type_name((wire_type)14), "?");
    assert_string_equal(wire_role_name(WIRE_PS), "ps");
    assert_string_equal(wire_role_name(WIRE_WORKER), "worker");
    assert_string_equal(wire_role_name(WIRE_EVALUATOR), "evaluator");
    assert_string_equal(wire_role_name(WIRE_ADMINISTRATOR), "administrator");
    assert_string_equal(wire_role_name((wire_role)9), "?");
}

static void codecs_of_a_job_survive_the_wire(void **state)
{
    (void)state;
    wire_message *m = wire_sample_full(WIRE_HELLO, WIRE_WORKER), *received;
    m->hello->push_codec = CODEC_TOPK;
    m->hello->pull_codec = CODEC_FP16;
    m->hello->topk_fraction = 0.125;
    m->hello->tensors.tensors[1].push_codec = CODEC_INT8;
    buffer *header;
    assert_int_equal(wire_encode(m, &header), PS_OK);
    assert_int_equal(wire_sample_decode(header, m, &received, NULL), PS_OK);
    assert_int_equal(job_difference(m->hello, received->hello, NULL), PS_OK);
    assert_int_equal(received->hello->tensors.tensors[1].push_codec, CODEC_INT8);
    wire_destroy(&received);
    buffer_unref(&header);

    m->hello->pull_codec = CODEC_TOPK;
    assert_int_equal(wire_encode(m, &header), PS_OK);
    ps_error error;
    assert_int_equal(wire_sample_decode(header, m, &received, &error), PS_ECONFIG);
    assert_non_null(strstr(error.text, "pull_codec is topk"));
    buffer_unref(&header);
    wire_destroy(&m);
}

/* ---- fingerprints ---- */

static uint64_t fingerprint(const job_config *job)
{
    uint64_t value = 0;
    assert_int_equal(wire_job_fingerprint(job, &value), PS_OK);
    return value;
}

static void equal_jobs_have_one_fingerprint(void **state)
{
    (void)state;
    job_config *a = wire_sample_job(), *b = wire_sample_job();
    assert_true(fingerprint(a) == fingerprint(b));
    job_fini(a);
    job_fini(b);
    free(a);
    free(b);
}

static void every_field_of_a_job_is_in_its_fingerprint(void **state)
{
    (void)state;
    job_config *job = wire_sample_job();
    const uint64_t whole = fingerprint(job);
#define CHANGES(member, value)                       \
    do {                                             \
        job_config changed = *job;                   \
        changed.member = (value);                    \
        assert_true(fingerprint(&changed) != whole); \
    } while (0)
    CHANGES(name[0], 'q');
    CHANGES(servers, 4);
    CHANGES(workers, 4);
    CHANGES(evaluators, 4);
    CHANGES(mode, CONSISTENCY_SSP);
    CHANGES(staleness, 4);
    CHANGES(backup_workers, 4);
    CHANGES(guard, GUARD_STOP);
    CHANGES(on_worker_loss, LOSS_FAIL);
    CHANGES(grace_ms, 4);
    CHANGES(seed, 4);
    CHANGES(slice_bytes, 8192);
    CHANGES(push_codec, CODEC_INT8);
    CHANGES(pull_codec, CODEC_BF16);
    CHANGES(topk_fraction, 0.5);
    CHANGES(optimizer.kind, OPTIMIZER_FTRL);
    CHANGES(optimizer.momentum, 0.5);
    CHANGES(optimizer.beta1, 0.5);
    CHANGES(optimizer.beta2, 0.5);
    CHANGES(optimizer.decay, 0.5);
    CHANGES(optimizer.epsilon, 0.5);
    CHANGES(optimizer.initial_accumulator, 0.5);
    CHANGES(optimizer.l1, 0.5);
    CHANGES(optimizer.l2, 0.5);
    CHANGES(optimizer.learning_rate_power, -0.25);
    CHANGES(optimizer.weight_decay, 0.5);
    CHANGES(optimizer.clip_value, 0.5);
    CHANGES(optimizer.clip_norm, 0.5);
    CHANGES(schedule.kind, SCHEDULE_COSINE);
    CHANGES(schedule.learning_rate, 0.5);
    CHANGES(schedule.warmup_steps, 4);
    CHANGES(schedule.decay_steps, 4);
    CHANGES(schedule.decay_rate, 0.5);
    CHANGES(schedule.end_rate, 0.5);
    CHANGES(schedule.power, 0.5);
    CHANGES(tensors.count, 1);
#undef CHANGES
#define CHANGES_TENSOR(member, value)             \
    do {                                          \
        tensor kept = job->tensors.tensors[1];    \
        job->tensors.tensors[1].member = (value); \
        assert_true(fingerprint(job) != whole);   \
        job->tensors.tensors[1] = kept;           \
    } while (0)
    CHANGES_TENSOR(name[0], 'q');
    CHANGES_TENSOR(rank, 2);
    CHANGES_TENSOR(shape[0], 8);
    CHANGES_TENSOR(init.kind, INITIALIZER_UNIFORM);
    CHANGES_TENSOR(init.a, 1);
    CHANGES_TENSOR(init.b, 1);
    CHANGES_TENSOR(push_codec, CODEC_TOPK);
#undef CHANGES_TENSOR
    assert_true(fingerprint(job) == whole);
    job_fini(job);
    free(job);
}

/* ---- allocations ---- */

static void *allocate_counted(void *context, size_t bytes)
{
    size_t *asked = context;
    assert_int_equal(*asked, 0);
    *asked = bytes;
    return NULL;
}

static void encoding_asks_once_for_the_bytes_of_the_header(void **state)
{
    (void)state;
    wire_message *m = wire_sample_full(WIRE_HELLO, WIRE_WORKER);
    size_t asked = 0;
    buffer *header;
    assert_int_equal(wire_encode_with(m, allocate_counted, &asked), PS_ENOMEM);
    assert_int_equal(wire_encode(m, &header), PS_OK);
    assert_int_equal(asked, buffer_size(header));
    buffer_unref(&header);
    wire_destroy(&m);
}

static void encoding_survives_each_failing_allocation(void **state)
{
    (void)state;
    wire_message *m = wire_sample_full(WIRE_HELLO, WIRE_WORKER);
    ps_status status = PS_ENOMEM;
    for (long allowed = 0; status != PS_OK; allowed++) {
        assert_true(allowed < 100);
        buffer *header;
        torture_begin(allowed);
        status = wire_encode(m, &header);
        torture_end();
        assert_true(status == PS_OK || (status == PS_ENOMEM && !header));
        buffer_unref(&header);
    }
    status = PS_ENOMEM;
    for (long allowed = 0; status != PS_OK; allowed++) {
        assert_true(allowed < 100);
        uint64_t value;
        torture_begin(allowed);
        status = wire_job_fingerprint(m->hello, &value);
        torture_end();
        assert_true(status == PS_OK || status == PS_ENOMEM);
    }
    wire_destroy(&m);
}

static void decoding_survives_each_failing_allocation(void **state)
{
    (void)state;
    static const wire_type types[] = {WIRE_HELLO, WIRE_PUSH_PULL, WIRE_WEIGHTS};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        wire_message *m = wire_sample_full(types[i], types[i] != WIRE_WEIGHTS), *decoded;
        if (types[i] == WIRE_HELLO)
            wire_set_text(m, ""); /* a text that finds no memory is left out, without a failure */
        buffer *header;
        assert_int_equal(wire_encode(m, &header), PS_OK);
        ps_status status = PS_ENOMEM;
        for (long allowed = 0; status != PS_OK; allowed++) {
            assert_true(allowed < 100);
            ps_error error = {PS_OK, ""};
            torture_begin(allowed);
            status = wire_sample_decode(header, m, &decoded, &error);
            torture_end();
            assert_int_equal(status == PS_OK, decoded != NULL);
            if (status != PS_OK) {
                assert_int_equal(status, PS_ENOMEM);
                assert_true(error.text[0] != '\0');
            }
        }
        wire_destroy(&decoded);
        wire_destroy(&m);
        buffer_unref(&header);
    }
}

static void message_without_memory_is_none(void **state)
{
    (void)state;
    torture_begin(0);
    wire_message *m = wire_create(WIRE_PULL, 3);
    torture_end();
    assert_null(m);
    m = wire_create(WIRE_ERROR, 0);
    torture_begin(0);
    wire_set_text(m, "lost"); /* strndup lies in libc, beyond the torture; it must only not crash */
    torture_end();
    wire_destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_survives_the_wire_with_all_its_fields),
        cmocka_unit_test(every_type_survives_the_wire_empty),
        cmocka_unit_test(push_without_examples_names_slices_but_has_no_frames),
        cmocka_unit_test(message_takes_as_many_slices_as_the_limit),
        cmocka_unit_test(text_is_cut_at_its_limit),
        cmocka_unit_test(destroying_drops_payload_references),
        cmocka_unit_test(small_payloads_travel_within_the_header),
        cmocka_unit_test(payloads_that_are_not_small_travel_as_frames),
        cmocka_unit_test(payloads_in_segments_travel_as_their_places),
        cmocka_unit_test(a_list_of_members_survives_the_wire),
        cmocka_unit_test(types_and_roles_have_names),
        cmocka_unit_test(codecs_of_a_job_survive_the_wire),
        cmocka_unit_test(equal_jobs_have_one_fingerprint),
        cmocka_unit_test(every_field_of_a_job_is_in_its_fingerprint),
        cmocka_unit_test(encoding_asks_once_for_the_bytes_of_the_header),
        cmocka_unit_test(encoding_survives_each_failing_allocation),
        cmocka_unit_test(decoding_survives_each_failing_allocation),
        cmocka_unit_test(message_without_memory_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
