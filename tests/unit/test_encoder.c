/* Gradients as payloads, worker/encoder: encoded once per push, with residuals that survive. */
#include "worker/encoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/job_sample.h"
#include "tests/unit/numbers.h"
#include "tests/unit/torture.h"

enum { ELEMENTS = 3000, PUSHES = 3 };

typedef struct {
    job_config job;
    partition map;
    pool *memory;
    encoder *encoder;
    float gradient[ELEMENTS];
} bench;

/* Tensor 0, "w" in topk, has three slices of 1000; tensor 1, "b", goes as it is. */
static void open_bench(bench *b)
{
    memset(b, 0, sizeof *b);
    job_sample(&b->job, 1, 1, ELEMENTS);
    job_sample_add(&b->job, "b", 10, (initializer){.kind = INITIALIZER_ZEROS});
    b->job.tensors.tensors[0].push_codec = CODEC_TOPK;
    b->job.topk_fraction = 0.1;
    numbers n = {5};
    numbers_fill(&n, 1, b->gradient, ELEMENTS);
    assert_int_equal(partition_init(&b->map, &b->job, NULL), PS_OK);
    assert_int_equal(b->map.count, 4);
    assert_int_equal(pool_create(false, &b->memory), PS_OK);
    assert_int_equal(encoder_create(&b->job, &b->map, b->memory, PUSHES, &b->encoder), PS_OK);
}

static void close_bench(bench *b)
{
    encoder_destroy(&b->encoder);
    assert_null(b->encoder);
    pool_destroy(&b->memory);
    partition_fini(&b->map);
    job_fini(&b->job);
}

static buffer *encode(bench *b, uint32_t push, uint32_t number, bool left_out)
{
    return encoder_payload(b->encoder, push, number, b->gradient + b->map.slices[number].offset, left_out);
}

static void assert_residual(bench *b, uint32_t number, const float *expected)
{
    const slice *cut = &b->map.slices[number];
    assert_memory_equal(encoder_residual(b->encoder, 0) + cut->offset, expected, cut->count * sizeof(float));
}

static void tensors_say_how_they_travel(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    assert_true(encoder_encodes(b.encoder, 0));
    assert_false(encoder_encodes(b.encoder, 1));
    assert_true(encoder_keeps_residuals(b.encoder));
    assert_non_null(encoder_residual(b.encoder, 0));
    assert_null(encoder_residual(b.encoder, 1));
    close_bench(&b);
}

static void a_slice_is_encoded_once_per_push(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    float expected[1000] = {0};
    uint32_t payload[200];
    const codec_config codec = job_push_codec(&b.job, 0);
    codec_encode(&codec, b.gradient + 1000, 1000, expected, payload);

    buffer *first = encode(&b, 0, 1, false), *again = encode(&b, 0, 1, false);
    assert_ptr_equal(first, again);
    assert_int_equal(buffer_size(first), sizeof payload);
    assert_memory_equal(buffer_bytes(first), payload, sizeof payload);
    assert_residual(&b, 1, expected);
    buffer_unref(&again);

    codec_encode(&codec, b.gradient + 1000, 1000, expected, payload);
    buffer *next = encode(&b, 2, 1, false);
    assert_ptr_not_equal(first, next);
    assert_memory_equal(buffer_bytes(next), payload, sizeof payload);
    assert_residual(&b, 1, expected);
    buffer_unref(&first);
    buffer_unref(&next);
    close_bench(&b);
}

static void memory_of_a_push_that_is_over_is_used_again(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    buffer *payload = encode(&b, 0, 0, false);
    const void *place = buffer_bytes(payload);
    buffer_unref(&payload);
    encoder_end(b.encoder, 0);
    for (uint32_t push = 0; push < 6; push++) {
        payload = encode(&b, push % PUSHES, 0, false);
        assert_ptr_equal(buffer_bytes(payload), place);
        buffer_unref(&payload);
        encoder_end(b.encoder, push % PUSHES);
    }
    close_bench(&b);
}

static void gradient_that_is_left_out_leaves_the_residual_alone(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    buffer *payload = encode(&b, 0, 0, false);
    buffer_unref(&payload);
    float before[1000];
    memcpy(before, encoder_residual(b.encoder, 0), sizeof before);
    b.gradient[17] = NAN;
    payload = encode(&b, 1, 0, true);
    const codec_config codec = job_push_codec(&b.job, 0);
    assert_int_equal(codec_check(&codec, buffer_bytes(payload), buffer_size(payload), 1000, NULL), PS_OK);
    const codec_topk_entry *entries = buffer_bytes(payload);
    for (int i = 0; i < 100; i++)
        assert_true(entries[i].value == 0);
    buffer_unref(&payload);
    assert_residual(&b, 0, before);
    close_bench(&b);
}

static void a_residual_put_back_continues_with_the_same_bits(void **state)
{
    (void)state;
    bench b, restored;
    open_bench(&b);
    open_bench(&restored);
    buffer *payload = encode(&b, 0, 2, false);
    buffer_unref(&payload);
    encoder_end(b.encoder, 0);
    memcpy(encoder_residual(restored.encoder, 0), encoder_residual(b.encoder, 0), ELEMENTS * sizeof(float));
    payload = encode(&b, 0, 2, false);
    buffer *same = encode(&restored, 0, 2, false);
    assert_memory_equal(buffer_bytes(payload), buffer_bytes(same), buffer_size(same));
    buffer_unref(&payload);
    buffer_unref(&same);
    close_bench(&b);
    close_bench(&restored);
}

static void lack_of_memory_changes_nothing(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    ps_status status = PS_ENOMEM;
    for (long allowed = 0; status != PS_OK; allowed++) {
        assert_true(allowed < 20);
        encoder *e;
        torture_begin(allowed);
        status = encoder_create(&b.job, &b.map, NULL, PUSHES, &e);
        torture_end();
        assert_true((status == PS_OK) == (e != NULL));
        encoder_destroy(&e);
    }
    static const float zeros[1000];
    buffer *payload = NULL;
    for (long allowed = 0; !payload; allowed++) {
        assert_true(allowed < 20);
        assert_residual(&b, 0, zeros);
        torture_begin(allowed);
        payload = encode(&b, 0, 0, false);
        torture_end();
    }
    buffer_unref(&payload);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_say_how_they_travel),
        cmocka_unit_test(a_slice_is_encoded_once_per_push),
        cmocka_unit_test(memory_of_a_push_that_is_over_is_used_again),
        cmocka_unit_test(gradient_that_is_left_out_leaves_the_residual_alone),
        cmocka_unit_test(a_residual_put_back_continues_with_the_same_bits),
        cmocka_unit_test(lack_of_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
