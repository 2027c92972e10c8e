/* What all payloads of common/codec have in common. Each codec of its own: test_codec_half.c and the others.
 */
#include <float.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/fpmode.h"
#include "tests/unit/codec_sample.h"

static const codec_config configs[] = {
    {CODEC_FP32, 0}, {CODEC_BF16, 0},    {CODEC_FP16, 0},
    {CODEC_INT8, 0}, {CODEC_TOPK, 0.01}, {CODEC_TOPK, CODEC_TOPK_FRACTION_MAX},
};
enum { CONFIGS = sizeof configs / sizeof *configs };

static void names_are_found_again_and_unknown_ones_refused_with_the_list(void **state)
{
    (void)state;
    for (codec_kind kind = CODEC_FP32; kind <= CODEC_TOPK; kind++) {
        codec_kind found = CODEC_DEFAULT;
        assert_int_equal(codec_kind_parse(codec_kind_name(kind), &found, NULL), PS_OK);
        assert_int_equal(found, kind);
        assert_true(codec_is_known(kind));
    }
    assert_false(codec_is_known(CODEC_DEFAULT));
    assert_false(codec_is_known((codec_kind)(CODEC_TOPK + 1)));
    assert_false(codec_is_known((codec_kind)-1));
    assert_string_equal(codec_kind_name(CODEC_DEFAULT), "default");
    assert_string_equal(codec_kind_name((codec_kind)-1), "?");
    assert_int_equal(codec_kind_parse("default", &(codec_kind){CODEC_FP32}, NULL), PS_EINVAL);
    ps_error error;
    codec_kind kind = CODEC_INT8;
    assert_int_equal(codec_kind_parse("zip", &kind, &error), PS_EINVAL);
    assert_string_equal(error.text, "codec 'zip' is unknown: choose one of fp32, bf16, fp16, int8, topk");
    assert_int_equal(kind, CODEC_INT8);
}

static void sizes_are_as_documented(void **state)
{
    (void)state;
    static const struct {
        codec_config config;
        uint64_t count;
        size_t bytes;
    } cases[] = {
        {{CODEC_FP32, 0}, 10, 40},
        {{CODEC_BF16, 0}, 11, 22},
        {{CODEC_FP16, 0}, 1, 2},
        {{CODEC_INT8, 0}, 1, 5},
        {{CODEC_INT8, 0}, 256, 260},
        {{CODEC_INT8, 0}, 257, 265},
        {{CODEC_INT8, 0}, 512, 520},
        {{CODEC_TOPK, 0.01}, 1, 8},
        {{CODEC_TOPK, 0.01}, 100, 8},
        {{CODEC_TOPK, 0.01}, 101, 16},
        {{CODEC_TOPK, 1e-300}, 99, 8},
        {{CODEC_TOPK, 0.5}, 4, 16},
        {{CODEC_TOPK, 0.5}, 1 << 24, 64 << 20},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(codec_bytes(&cases[i].config, cases[i].count), cases[i].bytes);
}

static void only_codecs_that_merely_round_suit_weights_and_only_topk_keeps_a_residual(void **state)
{
    (void)state;
    assert_true(codec_suits_weights(CODEC_FP32));
    assert_true(codec_suits_weights(CODEC_BF16));
    assert_true(codec_suits_weights(CODEC_FP16));
    assert_false(codec_suits_weights(CODEC_INT8));
    assert_false(codec_suits_weights(CODEC_TOPK));
    for (codec_kind kind = CODEC_FP32; kind <= CODEC_TOPK; kind++)
        assert_true(codec_keeps_residual(kind) == (kind == CODEC_TOPK));
}

static void fp32_changes_nothing(void **state)
{
    (void)state;
    float values[LARGEST], payload[LARGEST], decoded[LARGEST];
    numbers n = {3};
    for (int i = 0; i < LARGEST; i++)
        values[i] = codec_sample_from_bits(numbers_word(&n));
    codec_sample_encode(&configs[0], values, LARGEST, payload);
    codec_sample_decode(&configs[0], payload, LARGEST, decoded);
    codec_sample_expect_same(decoded, values, LARGEST);
}

/* Payloads of exactly their size, so that a sanitizer sees a step beyond. */
static void every_length_is_encoded_checked_and_summed_within_its_bytes(void **state)
{
    (void)state;
    for (int c = 0; c < CONFIGS; c++)
        for (int k = 0; k < COUNTS; k++) {
            uint64_t count = counts[k];
            size_t bytes = codec_bytes(&configs[c], count);
            float *values = malloc(count * sizeof *values), *decoded = malloc(count * sizeof *decoded);
            float *sum = malloc(count * sizeof *sum);
            void *payload = malloc(bytes);
            codec_sample_fill(values, count, count);
            codec_sample_encode(&configs[c], values, count, payload);
            assert_int_equal(codec_check(&configs[c], payload, bytes, count, NULL), PS_OK);
            codec_sample_decode(&configs[c], payload, count, decoded);
            codec_sample_fill(sum, count, 5);
            codec_add_scaled(&(codec_payload){configs[c].kind, payload, bytes}, 0, (size_t)count, 0.3f, sum);
            float expected[LARGEST];
            codec_sample_fill(expected, count, 5);
            for (uint64_t i = 0; i < count; i++)
                if (configs[c].kind != CODEC_TOPK || decoded[i] != 0)
                    expected[i] += decoded[i] * 0.3f;
            codec_sample_expect_same(sum, expected, count);
            free(values);
            free(decoded);
            free(sum);
            free(payload);
        }
}

static void a_range_is_decoded_and_summed_like_the_whole(void **state)
{
    (void)state;
    float values[LARGEST], whole[LARGEST], sum[LARGEST], piece[LARGEST], piece_sum[LARGEST];
    uint32_t payload[PAYLOAD_MAX / 4];
    codec_sample_fill(values, LARGEST, 8);
    for (int c = 0; c < CONFIGS; c++) {
        codec_sample_encode(&configs[c], values, LARGEST, payload);
        codec_payload p = {configs[c].kind, payload, codec_bytes(&configs[c], LARGEST)};
        codec_decode(&p, 0, LARGEST, whole);
        memset(sum, 0, sizeof sum);
        codec_add_scaled(&p, 0, LARGEST, -1.5f, sum);
        memset(piece_sum, 0, sizeof piece_sum);
        static const uint64_t cuts[] = {0, 256, 1024, 1536, 4096, LARGEST};
        for (size_t i = 0; i + 1 < sizeof cuts / sizeof *cuts; i++) {
            size_t count = (size_t)(cuts[i + 1] - cuts[i]);
            codec_decode(&p, cuts[i], count, piece + cuts[i]);
            codec_add_scaled(&p, cuts[i], count, -1.5f, piece_sum + cuts[i]);
        }
        codec_sample_expect_same(piece, whole, LARGEST);
        codec_sample_expect_same(piece_sum, sum, LARGEST);
    }
}

static void wrong_sizes_are_refused(void **state)
{
    (void)state;
    uint32_t payload[PAYLOAD_MAX / 4] = {0};
    ps_error error;
    for (int c = 0; c < CONFIGS; c++) {
        size_t bytes = codec_bytes(&configs[c], 1000);
        assert_int_equal(codec_check(&configs[c], payload, bytes - 1, 1000, &error), PS_EMISMATCH);
        assert_int_equal(codec_check(&configs[c], payload, bytes + 8, 1000, &error), PS_EMISMATCH);
        assert_int_equal(codec_check(&configs[c], payload, 0, 1000, &error), PS_EMISMATCH);
    }
    assert_int_equal(codec_check(&configs[1], payload, 7, 3, &error), PS_EMISMATCH);
    assert_string_equal(error.text, "it has 7 bytes; 3 elements in bf16 have 6");
}

static bool is_finite(const codec_config *config, const void *payload, uint64_t count)
{
    return codec_is_finite(&(codec_payload){config->kind, payload, codec_bytes(config, count)}, count);
}

static void nan_and_infinity_are_found_in_every_payload(void **state)
{
    (void)state;
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    uint32_t payload[PAYLOAD_MAX / 4];
    float values[LARGEST];
    for (int c = 0; c < CONFIGS; c++)
        for (int b = 0; b < 4; b++)
            for (int k = 0; k < COUNTS; k++) {
                codec_sample_fill(values, counts[k], 77);
                codec_sample_encode(&configs[c], values, counts[k], payload);
                assert_true(is_finite(&configs[c], payload, counts[k]));
                values[counts[k] * 2 / 3] = bad[b];
                codec_sample_encode(&configs[c], values, counts[k], payload);
                size_t bytes = codec_bytes(&configs[c], counts[k]);
                assert_int_equal(codec_check(&configs[c], payload, bytes, counts[k], NULL), PS_OK);
                assert_false(is_finite(&configs[c], payload, counts[k]));
            }
}

static void any_float_is_encoded_and_finite_ones_stay_finite(void **state)
{
    (void)state;
    uint32_t payload[PAYLOAD_MAX / 4];
    float values[LARGEST], decoded[LARGEST];
    numbers n = {11};
    for (int round = 0; round < 20; round++)
        for (int c = 0; c < CONFIGS; c++) {
            for (int i = 0; i < LARGEST; i++)
                values[i] = codec_sample_from_bits(numbers_word(&n));
            codec_sample_encode(&configs[c], values, LARGEST, payload); /* NaN and Inf among them */
            for (int i = 0; i < LARGEST; i++)
                if (!isfinite(values[i]))
                    values[i] = copysignf(FLT_MAX, values[i]);
            codec_sample_encode(&configs[c], values, LARGEST, payload);
            size_t bytes = codec_bytes(&configs[c], LARGEST);
            assert_int_equal(codec_check(&configs[c], payload, bytes, LARGEST, NULL), PS_OK);
            assert_true(is_finite(&configs[c], payload, LARGEST));
            codec_sample_decode(&configs[c], payload, LARGEST, decoded);
            for (int i = 0; i < LARGEST; i++)
                assert_true(isfinite(decoded[i]));
        }
}

typedef struct {
    const codec_config *config;
    const float *values;
    uint32_t payload[PAYLOAD_MAX / 4];
    float decoded[LARGEST];
} flushing_job;

static void *encode_flushing(void *argument)
{
    flushing_job *job = argument;
    fpmode_flush_denormals();
    codec_sample_encode(job->config, job->values, LARGEST, job->payload);
    codec_sample_decode(job->config, job->payload, LARGEST, job->decoded);
    return NULL;
}

/* But topk, whose residual is a sum. */
static void bits_do_not_depend_on_how_the_thread_treats_denormals(void **state)
{
    (void)state;
    static flushing_job job;
    static float values[LARGEST], decoded[LARGEST];
    uint32_t payload[PAYLOAD_MAX / 4];
    numbers n = {12};
    for (int i = 0; i < LARGEST; i++)
        values[i] = i < 1024 ? codec_sample_from_bits(numbers_word(&n) & UINT32_C(0x807fffff)) /* denormals */
                             : ldexpf(numbers_float(&n, 1), (int)numbers_between(&n, 0, 60) - i / 30);
    for (int c = 0; c < CONFIGS && configs[c].kind != CODEC_TOPK; c++) {
        size_t bytes = codec_bytes(&configs[c], LARGEST);
        codec_sample_encode(&configs[c], values, LARGEST, payload);
        codec_sample_decode(&configs[c], payload, LARGEST, decoded);
        job.config = &configs[c];
        job.values = values;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, encode_flushing, &job), 0);
        pthread_join(thread, NULL);
        assert_memory_equal(job.payload, payload, bytes);
        codec_sample_expect_same(job.decoded, decoded, LARGEST);
    }
}

/* A build for other vectors, a sanitizer's or another compiler's must come to the very same payloads. */
static void payloads_are_the_same_on_every_machine(void **state)
{
    (void)state;
    static const uint64_t expected[CONFIGS] = {
        UINT64_C(0x15c9023e26760a69), UINT64_C(0xbb241a7425d02506), UINT64_C(0xcc4257af69df0e08),
        UINT64_C(0xd078c05f1ff6228f), UINT64_C(0xb4de2775463905e9), UINT64_C(0x705504b553e40c08),
    };
    float values[LARGEST], sum[LARGEST];
    uint32_t payload[PAYLOAD_MAX / 4];
    int differences = 0;
    for (int c = 0; c < CONFIGS; c++) {
        size_t bytes = codec_bytes(&configs[c], LARGEST);
        codec_sample_fill(values, LARGEST, 21);
        memset(payload, 0, sizeof payload);
        codec_sample_encode(&configs[c], values, LARGEST, payload);
        codec_sample_fill(sum, LARGEST, 22);
        codec_add_scaled(&(codec_payload){configs[c].kind, payload, bytes}, 0, LARGEST, 0.7f, sum);
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        for (size_t i = 0; i < bytes; i++)
            hash = (hash ^ ((const uint8_t *)payload)[i]) * UINT64_C(0x100000001b3);
        for (int i = 0; i < LARGEST; i++)
            hash = (hash ^ codec_sample_bits_of(sum[i])) * UINT64_C(0x100000001b3);
        if (hash != expected[c])
            print_error("%s: hashes to 0x%016llx\n", codec_kind_name(configs[c].kind),
                        (unsigned long long)hash);
        differences += hash != expected[c];
    }
    assert_int_equal(differences, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_again_and_unknown_ones_refused_with_the_list),
        cmocka_unit_test(sizes_are_as_documented),
        cmocka_unit_test(only_codecs_that_merely_round_suit_weights_and_only_topk_keeps_a_residual),
        cmocka_unit_test(fp32_changes_nothing),
        cmocka_unit_test(every_length_is_encoded_checked_and_summed_within_its_bytes),
        cmocka_unit_test(a_range_is_decoded_and_summed_like_the_whole),
        cmocka_unit_test(wrong_sizes_are_refused),
        cmocka_unit_test(nan_and_infinity_are_found_in_every_payload),
        cmocka_unit_test(any_float_is_encoded_and_finite_ones_stay_finite),
        cmocka_unit_test(bits_do_not_depend_on_how_the_thread_treats_denormals),
        cmocka_unit_test(payloads_are_the_same_on_every_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
