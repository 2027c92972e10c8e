/* The payloads of common/codec_topk, against sorting. */
#include <stdlib.h>

#include "tests/unit/codec_sample.h"

typedef struct {
    uint32_t magnitude, index;
} ranked;

static int compare_ranked(const void *left, const void *right)
{
    const ranked *a = left, *b = right;
    if (a->magnitude != b->magnitude)
        return a->magnitude > b->magnitude ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

static int compare_index(const void *left, const void *right)
{
    const ranked *a = left, *b = right;
    return a->index < b->index ? -1 : 1;
}

/* One step of topk by sorting. Returns the number of entries. */
static size_t send_by_sorting(const codec_config *config, const float *values, uint64_t count,
                              float *residual, codec_topk_entry *entries)
{
    static ranked order[LARGEST];
    size_t kept = codec_bytes(config, count) / sizeof *entries;
    for (uint64_t i = 0; i < count; i++) {
        residual[i] += values[i];
        order[i] = (ranked){codec_sample_bits_of(residual[i]) & UINT32_C(0x7fffffff), (uint32_t)i};
    }
    qsort(order, count, sizeof *order, compare_ranked);
    qsort(order, kept, sizeof *order, compare_index);
    for (size_t e = 0; e < kept; e++) {
        entries[e] = (codec_topk_entry){order[e].index, residual[order[e].index]};
        residual[order[e].index] = 0;
    }
    return kept;
}

static void topk_sends_what_sorting_would_for_many_steps(void **state)
{
    (void)state;
    static const double fractions[] = {1e-9, 0.001, 0.01, 0.1, 0.5};
    float values[LARGEST], residual[LARGEST], expected_residual[LARGEST];
    codec_topk_entry entries[LARGEST], expected[LARGEST];
    for (size_t f = 0; f < sizeof fractions / sizeof *fractions; f++)
        for (int k = 0; k < COUNTS; k++) {
            codec_config config = {CODEC_TOPK, fractions[f]};
            memset(residual, 0, sizeof residual);
            memset(expected_residual, 0, sizeof expected_residual);
            for (uint64_t step = 0; step < 10; step++) {
                codec_sample_fill(values, counts[k], step * 100 + f);
                size_t kept = send_by_sorting(&config, values, counts[k], expected_residual, expected);
                codec_encode(&config, values, counts[k], residual, entries);
                assert_memory_equal(entries, expected, kept * sizeof *entries);
                codec_sample_expect_same(residual, expected_residual, counts[k]);
            }
        }
}

static void equal_magnitudes_go_by_index(void **state)
{
    (void)state;
    static const codec_config tenth = {CODEC_TOPK, 0.1};
    static const float levels[] = {0, 1, 0x1.000002p0f, 1e-40f};
    float values[100], residual[100];
    codec_topk_entry entries[10];
    for (int level = 0; level < 4; level++) {
        for (int i = 0; i < 100; i++)
            values[i] = i % 2 ? levels[level] : -levels[level];
        memset(residual, 0, sizeof residual);
        codec_encode(&tenth, values, 100, residual, entries);
        for (uint32_t e = 0; e < 10; e++)
            assert_int_equal(entries[e].index, e);
    }
    values[99] = 2;
    memset(residual, 0, sizeof residual);
    codec_encode(&tenth, values, 100, residual, entries);
    for (uint32_t e = 0; e < 9; e++)
        assert_int_equal(entries[e].index, e);
    assert_int_equal(entries[9].index, 99);
}

static void sent_and_residual_are_exactly_residual_before_and_gradient(void **state)
{
    (void)state;
    static const codec_config config = {CODEC_TOPK, 0.01};
    float values[LARGEST], residual[LARGEST] = {0}, before[LARGEST], decoded[LARGEST];
    uint32_t payload[PAYLOAD_MAX / 4];
    for (uint64_t step = 0; step < 50; step++) {
        codec_sample_fill(values, LARGEST, step);
        for (int i = 0; i < LARGEST; i++)
            before[i] = residual[i] + values[i];
        codec_encode(&config, values, LARGEST, residual, payload);
        codec_sample_decode(&config, payload, LARGEST, decoded);
        for (int i = 0; i < LARGEST; i++) {
            assert_true(decoded[i] == 0 || residual[i] == 0);
            assert_true(decoded[i] + residual[i] == before[i]);
        }
    }
}

static void every_element_is_sent_in_the_end(void **state)
{
    (void)state;
    static const codec_config config = {CODEC_TOPK, 0.01};
    float values[1000], residual[1000] = {0}, arrived[1000] = {0};
    uint32_t payload[100];
    for (int i = 0; i < 1000; i++)
        values[i] = 1.0f + (float)(i % 7);
    for (int step = 0; step < 1000; step++) {
        codec_encode(&config, values, 1000, residual, payload);
        codec_add_scaled(&(codec_payload){CODEC_TOPK, payload, codec_bytes(&config, 1000)}, 0, 1000, 1,
                         arrived);
    }
    for (int i = 0; i < 1000; i++) {
        assert_true(arrived[i] + residual[i] == 1000 * values[i]); /* small integers: exact */
        assert_true(arrived[i] > 0);
    }
}

static void entries_out_of_order_or_range_are_refused(void **state)
{
    (void)state;
    static const codec_config config = {CODEC_TOPK, 0.3};
    const codec_topk_entry good[] = {{0, 1}, {5, 2}, {9, 3}};
    ps_error error;
    codec_topk_entry e[3];
    assert_int_equal(codec_check(&config, good, sizeof good, 10, NULL), PS_OK);

    memcpy(e, good, sizeof e);
    e[2].index = 10;
    assert_int_equal(codec_check(&config, e, sizeof e, 10, &error), PS_EFORMAT);
    assert_string_equal(error.text, "index 10 of its entry 2 is not in [6, 10)");
    e[2].index = 5;
    assert_int_equal(codec_check(&config, e, sizeof e, 10, &error), PS_EFORMAT);
    assert_string_equal(error.text, "index 5 of its entry 2 is not in [6, 10)");
    e[2].index = 0;
    assert_int_equal(codec_check(&config, e, sizeof e, 10, &error), PS_EFORMAT);
    e[2].index = UINT32_MAX;
    assert_int_equal(codec_check(&config, e, sizeof e, 10, &error), PS_EFORMAT);
}

/* As when the sender changes memory that it shares, after the payload has been judged. */
static void indices_that_change_after_the_judgement_do_no_harm(void **state)
{
    (void)state;
    numbers n = {31};
    for (int round = 0; round < 1000; round++) {
        codec_topk_entry e[8];
        for (int i = 0; i < 8; i++)
            e[i] = (codec_topk_entry){numbers_word(&n) >> (numbers_word(&n) % 32), 1};
        float *values = calloc(100, sizeof *values);
        const codec_payload p = {CODEC_TOPK, e, sizeof e};
        codec_decode(&p, 256, 100, values);
        codec_add_scaled(&p, 256, 100, 1, values);
        free(values);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topk_sends_what_sorting_would_for_many_steps),
        cmocka_unit_test(equal_magnitudes_go_by_index),
        cmocka_unit_test(sent_and_residual_are_exactly_residual_before_and_gradient),
        cmocka_unit_test(every_element_is_sent_in_the_end),
        cmocka_unit_test(entries_out_of_order_or_range_are_refused),
        cmocka_unit_test(indices_that_change_after_the_judgement_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
