/* The payloads of common/codec_int8, against their formula in double. */
#include <float.h>

#include "tests/unit/codec_sample.h"

static const codec_config int8 = {CODEC_INT8, 0};

static void blocks_of_bytes_follow_their_formula(void **state)
{
    (void)state;
    float values[LARGEST];
    for (int k = 0; k < COUNTS; k++) {
        uint64_t count = counts[k];
        uint32_t payload[PAYLOAD_MAX / 4];
        codec_sample_fill(values, count, 40 + count);
        codec_sample_encode(&int8, values, count, payload);
        const uint8_t *at = (const uint8_t *)payload;
        for (uint64_t first = 0; first < count; first += CODEC_BLOCK) {
            uint64_t end = first + CODEC_BLOCK < count ? first + CODEC_BLOCK : count;
            float largest = 0, scale;
            for (uint64_t i = first; i < end; i++)
                largest = fmaxf(largest, fabsf(values[i]));
            memcpy(&scale, at, sizeof scale);
            assert_true(scale == largest / 127);
            at += sizeof scale;
            for (uint64_t i = first; i < end; i++, at++) {
                int8_t expected = largest > 0 ? (int8_t)nearbyintf(values[i] * (127 / largest)) : 0;
                assert_int_equal((int8_t)*at, expected);
                assert_true(fabsf((float)expected * scale - values[i]) <= scale * 0.5001f);
            }
        }
    }
}

static void blocks_of_zeros_are_exact_and_those_near_zero_become_zeros(void **state)
{
    (void)state;
    float values[300] = {0}, decoded[300];
    uint32_t payload[100];
    for (int tiny = 0; tiny < 2; tiny++) {
        for (int i = 0; i < 256; i++)
            values[i] = tiny ? FLT_MIN * (float)(i % 127) : 0;
        codec_sample_encode(&int8, values, 300, payload);
        codec_sample_decode(&int8, payload, 300, decoded);
        for (int i = 0; i < 300; i++)
            assert_int_equal(codec_sample_bits_of(decoded[i]), 0);
    }
    values[7] = FLT_MIN * 127;
    codec_sample_encode(&int8, values, 300, payload);
    codec_sample_decode(&int8, payload, 300, decoded);
    assert_true(decoded[7] == values[7]);
}

static void ties_of_bytes_go_to_even(void **state)
{
    (void)state;
    static const float values[] = {127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f, -126.5f, -127};
    static const int8_t expected[] = {127, 0, 2, 2, 0, -2, -2, 126, -126, -127};
    uint32_t payload[4];
    codec_sample_encode(&int8, values, 10, payload);
    assert_memory_equal((const uint8_t *)payload + 4, expected, 10);
}

static void scales_that_no_encoder_makes_are_refused(void **state)
{
    (void)state;
    static const float bad[] = {-1, -0.0f, 0x1p122f, FLT_MAX, FLT_MIN / 2, -FLT_MIN / 2};
    uint32_t payload[PAYLOAD_MAX / 4];
    float values[600] = {0};
    ps_error error;
    for (size_t b = 0; b < sizeof bad / sizeof *bad; b++)
        for (int block = 0; block < 3; block++) {
            codec_sample_encode(&int8, values, 600, payload);
            memcpy((uint8_t *)payload + 260 * block, &bad[b], sizeof bad[b]);
            size_t bytes = codec_bytes(&int8, 600);
            assert_int_equal(codec_check(&int8, payload, bytes, 600, &error), PS_EFORMAT);
        }
    assert_string_equal(error.text, "the scale of its block 2, -5.87747e-39, is not 0 or in [1.17549e-38, "
                                    "2.65846e+36]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_bytes_follow_their_formula),
        cmocka_unit_test(blocks_of_zeros_are_exact_and_those_near_zero_become_zeros),
        cmocka_unit_test(ties_of_bytes_go_to_even),
        cmocka_unit_test(scales_that_no_encoder_makes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
