/* Known answers, slicing independence, moments and permutations of common/random. */
#include "common/random.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

/* ---- The generator ---- */

static void philox_gives_the_published_known_answers(void **state)
{
    (void)state;
    /* kat_vectors of Random123, "philox4x32 10". */
    static const struct {
        uint32_t counter[4], key[2], answer[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint32_t out[4];
        random_philox(vectors[i].counter, vectors[i].key, out);
        assert_memory_equal(out, vectors[i].answer, sizeof out);
    }
}

static void keys_differ_by_seed_name_and_number(void **state)
{
    (void)state;
    uint64_t key = random_key(1, "shuffle", 2);
    assert_true(key == random_key(1, "shuffle", 2));
    assert_true(key != random_key(2, "shuffle", 2));
    assert_true(key != random_key(1, "shuffl", 2));
    assert_true(key != random_key(1, "shuffle", 3));
    assert_true(key != random_key(1, "shuffle", UINT64_C(2) << 32));
}

static void words_of_a_stream_are_balanced_in_every_bit(void **state)
{
    (void)state;
    enum { WORDS = 10000 };
    uint64_t key = random_key(7, "bits", 0);
    unsigned ones[64] = {0};
    for (uint64_t i = 0; i < WORDS; i++)
        for (int bit = 0; bit < 64; bit++)
            ones[bit] += (unsigned)(random_at(key, i) >> bit & 1);
    /* Deviation of a count: sqrt(10000) / 2 = 50; five of them. */
    for (int bit = 0; bit < 64; bit++)
        assert_in_range(ones[bit], WORDS / 2 - 250, WORDS / 2 + 250);
}

/* ---- Initial values ---- */

static tensor make_tensor(const char *name, initializer_kind kind, double a, double b, uint64_t in,
                          uint64_t out)
{
    tensor t = {.rank = 2, .shape = {in, out}, .init = {.kind = kind, .a = a, .b = b}};
    snprintf(t.name, sizeof t.name, "%s", name);
    return t;
}

static float *initialize(const tensor *t, uint64_t seed, uint64_t first, uint64_t count)
{
    float *values = malloc(count * sizeof *values);
    assert_non_null(values);
    random_initialize(t, seed, first, count, values);
    return values;
}

static const initializer every_kind[] = {
    {INITIALIZER_ZEROS, 0, 0},
    {INITIALIZER_CONSTANT, 0.25, 0},
    {INITIALIZER_UNIFORM, -1, 3},
    {INITIALIZER_NORMAL, 1, 2},
    {INITIALIZER_TRUNCATED_NORMAL, -1, 0.5},
    {INITIALIZER_GLOROT_UNIFORM, 0, 0},
    {INITIALIZER_GLOROT_NORMAL, 0, 0},
    {INITIALIZER_HE_UNIFORM, 0, 0},
    {INITIALIZER_HE_NORMAL, 0, 0},
};
enum { KINDS = sizeof every_kind / sizeof every_kind[0] };

static void values_do_not_depend_on_where_a_tensor_is_cut(void **state)
{
    (void)state;
    enum { ELEMENTS = 1001 };
    const uint64_t base = (UINT64_C(1) << 34) - 500; /* crosses 2^32 blocks */
    for (int k = 0; k < KINDS; k++) {
        tensor t = make_tensor("w", every_kind[k].kind, every_kind[k].a, every_kind[k].b, 30, 40);
        float *whole = initialize(&t, 42, base, ELEMENTS);
        for (uint64_t step = 1; step <= 9; step++) {
            for (uint64_t first = 0; first < ELEMENTS; first += step) {
                uint64_t count = step < ELEMENTS - first ? step : ELEMENTS - first;
                float *part = initialize(&t, 42, base + first, count);
                assert_memory_equal(part, whole + first, count * sizeof *part);
                free(part);
            }
        }
        free(whole);
    }
}

static void a_count_of_zero_writes_nothing(void **state)
{
    (void)state;
    tensor t = make_tensor("w", INITIALIZER_NORMAL, 0, 1, 30, 40);
    float value = 7;
    random_initialize(&t, 42, 3, 0, &value);
    assert_true(value == 7);
}

static void values_differ_by_seed_and_by_name(void **state)
{
    (void)state;
    enum { ELEMENTS = 64 };
    tensor t = make_tensor("a", INITIALIZER_NORMAL, 0, 1, 8, 8);
    tensor u = make_tensor("b", INITIALIZER_NORMAL, 0, 1, 8, 8);
    float *first = initialize(&t, 1, 0, ELEMENTS);
    float *other_seed = initialize(&t, 2, 0, ELEMENTS);
    float *other_name = initialize(&u, 1, 0, ELEMENTS);
    for (int i = 0; i < ELEMENTS; i++) {
        assert_true(first[i] != other_seed[i]);
        assert_true(first[i] != other_name[i]);
    }
    free(first);
    free(other_seed);
    free(other_name);
}

/* The values are part of the promise that a seed gives the same bits, from one release to the next. */
static void values_of_a_seed_stay_what_they_were(void **state)
{
    (void)state;
    tensor uniform = make_tensor("w", INITIALIZER_UNIFORM, 0, 1, 2, 2);
    tensor normal = make_tensor("w", INITIALIZER_NORMAL, 0, 1, 2, 2);
    float u[4], z[4];
    random_initialize(&uniform, 1, 0, 4, u);
    random_initialize(&normal, 1, 0, 4, z);
    static const float expected_u[4] = {0x1.017578p-3F, 0x1.ffbd68p-2F, 0x1.d2eb68p-3F, 0x1.911f94p-2F};
    static const float expected_z[4] = {-0x1.04ad7p+1F, 0x1.aa00b2p-9F, -0x1.563434p+0F, 0x1.14ea06p+0F};
    assert_memory_equal(u, expected_u, sizeof u);
    assert_memory_equal(z, expected_z, sizeof z);
}

typedef struct {
    double mean, deviation, least, most;
} moments;

static moments measure(const float *values, uint64_t count)
{
    moments m = {.least = INFINITY, .most = -INFINITY};
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += (double)values[i];
        squares += (double)values[i] * (double)values[i];
        m.least = fmin(m.least, (double)values[i]);
        m.most = fmax(m.most, (double)values[i]);
    }
    m.mean = sum / (double)count;
    m.deviation = sqrt(squares / (double)count - m.mean * m.mean);
    return m;
}

/* Tolerance: five standard errors of the mean; the deviation, whose relative error is below
 * 1 / sqrt(2 * 200000) = 0.16 % for all these, within 0.8 %. */
static void check_moments(const tensor *t, double mean, double deviation, double least, double most)
{
    enum { ELEMENTS = 200000 };
    float *values = initialize(t, 99, 0, ELEMENTS);
    moments m = measure(values, ELEMENTS);
    free(values);
    assert_true(fabs(m.mean - mean) <= 5 * deviation / sqrt(ELEMENTS));
    assert_true(fabs(m.deviation - deviation) <= 0.008 * deviation);
    assert_true(m.least >= least);
    assert_true(m.most <= most);
    /* And the range is used: at least 95 % of it, or three deviations where it has no bound. */
    double reach = isfinite(most) ? 0.95 * (most - mean) : 3 * deviation;
    assert_true(m.most >= mean + reach);
    assert_true(m.least <= mean - reach);
}

static void constants_are_constant(void **state)
{
    (void)state;
    tensor zeros = make_tensor("w", INITIALIZER_ZEROS, 0, 0, 3, 3);
    tensor constant = make_tensor("w", INITIALIZER_CONSTANT, 0.1, 0, 3, 3);
    float values[9];
    random_initialize(&zeros, 5, 0, 9, values);
    for (int i = 0; i < 9; i++)
        assert_true(values[i] == 0.0F && !signbit(values[i]));
    random_initialize(&constant, 5, 0, 9, values);
    for (int i = 0; i < 9; i++)
        assert_true(values[i] == 0.1F);
}

static void uniform_values_fill_their_interval_evenly(void **state)
{
    (void)state;
    tensor t = make_tensor("w", INITIALIZER_UNIFORM, -1, 3, 100, 100);
    check_moments(&t, 1, 4 / sqrt(12), -1, nextafterf(3, 0));
}

static void uniform_values_never_reach_the_open_end(void **state)
{
    (void)state;
    /* One float lies in [16777216, 16777218): naive rounding would give the upper end every other time. */
    tensor t = make_tensor("w", INITIALIZER_UNIFORM, 16777216, 16777218, 100, 100);
    float *values = initialize(&t, 3, 0, 1000);
    for (int i = 0; i < 1000; i++)
        assert_true(values[i] == 16777216.0F);
    free(values);
}

static void an_empty_uniform_interval_gives_its_end(void **state)
{
    (void)state;
    tensor t = make_tensor("w", INITIALIZER_UNIFORM, 2, 2, 4, 4);
    float values[4];
    random_initialize(&t, 3, 0, 4, values);
    for (int i = 0; i < 4; i++)
        assert_true(values[i] == 2.0F);
}

static void normal_values_have_mean_and_deviation(void **state)
{
    (void)state;
    tensor t = make_tensor("w", INITIALIZER_NORMAL, 10, 0.5, 100, 100);
    check_moments(&t, 10, 0.5, -INFINITY, INFINITY);
}

static void normal_values_follow_the_normal_distribution(void **state)
{
    (void)state;
    enum { ELEMENTS = 200000 };
    tensor t = make_tensor("w", INITIALIZER_NORMAL, 0, 1, 100, 100);
    float *values = initialize(&t, 11, 0, ELEMENTS);
    for (double at = -3; at <= 3; at += 0.5) {
        uint64_t below = 0;
        for (int i = 0; i < ELEMENTS; i++)
            below += (double)values[i] < at;
        double expected = 0.5 * erfc(-at / sqrt(2));
        /* Five standard errors of a share of 200,000. */
        double tolerance = 5 * sqrt(expected * (1 - expected) / ELEMENTS);
        assert_true(fabs((double)below / ELEMENTS - expected) <= tolerance);
    }
    free(values);
}

static void neighbours_are_not_correlated(void **state)
{
    (void)state;
    enum { ELEMENTS = 200000, LAG_MAX = 9 };
    tensor t = make_tensor("w", INITIALIZER_NORMAL, 0, 1, 100, 100);
    float *values = initialize(&t, 12, 0, ELEMENTS + LAG_MAX);
    for (int lag = 1; lag <= LAG_MAX; lag++) {
        double sum = 0;
        for (int i = 0; i < ELEMENTS; i++)
            sum += (double)values[i] * (double)values[i + lag];
        assert_true(fabs(sum / ELEMENTS) <= 5 / sqrt(ELEMENTS));
    }
    free(values);
}

static void truncated_normal_values_stay_within_two_deviations(void **state)
{
    (void)state;
    tensor t = make_tensor("w", INITIALIZER_TRUNCATED_NORMAL, -1, 0.5, 100, 100);
    /* Cut at two deviations, a normal keeps 0.87963 of its deviation. */
    check_moments(&t, -1, 0.5 * 0.8796257, -2, 0);
}

static void glorot_and_he_scale_with_the_fans(void **state)
{
    (void)state;
    tensor t = make_tensor("w", INITIALIZER_GLOROT_UNIFORM, 0, 0, 784, 300);
    double limit = sqrt(6.0 / 1084);
    check_moments(&t, 0, limit / sqrt(3), -limit, limit);
    t.init.kind = INITIALIZER_GLOROT_NORMAL;
    check_moments(&t, 0, sqrt(2.0 / 1084), -INFINITY, INFINITY);
    t.init.kind = INITIALIZER_HE_UNIFORM;
    limit = sqrt(6.0 / 784);
    check_moments(&t, 0, limit / sqrt(3), -limit, limit);
    t.init.kind = INITIALIZER_HE_NORMAL;
    check_moments(&t, 0, sqrt(2.0 / 784), -INFINITY, INFINITY);
}

static void fans_of_a_vector_are_its_length_and_of_a_scalar_one(void **state)
{
    (void)state;
    tensor vector = {.name = "v", .rank = 1, .shape = {600}, .init = {.kind = INITIALIZER_GLOROT_NORMAL}};
    check_moments(&vector, 0, sqrt(2.0 / 1200), -INFINITY, INFINITY);
    tensor scalar = {.name = "s", .rank = 0, .init = {.kind = INITIALIZER_HE_NORMAL}};
    check_moments(&scalar, 0, sqrt(2.0), -INFINITY, INFINITY);
}

/* ---- Shuffling ---- */

static void check_permutation(uint64_t seed, uint64_t epoch, uint64_t n)
{
    bool *seen = calloc(n, sizeof *seen);
    assert_non_null(seen);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = random_shuffle(seed, epoch, n, i);
        assert_true(at < n);
        assert_false(seen[at]);
        seen[at] = true;
    }
    free(seen);
}

static void shuffle_is_a_permutation_for_every_size(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 300; n++)
        check_permutation(n, 3, n);
    static const uint64_t sizes[] = {1000, 1023, 1024, 1025, 4096, 4097, 60000, 65536, 65537};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        check_permutation(5, i, sizes[i]);
}

static void shuffle_of_huge_sets_stays_below_their_size(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {UINT64_C(1) << 32, (UINT64_C(1) << 62) + 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (uint64_t position = 0; position < 100; position++)
            assert_true(random_shuffle(1, 1, sizes[i], position) < sizes[i]);
}

static uint64_t common_places(uint64_t seed, uint64_t epoch, uint64_t other_seed, uint64_t other_epoch)
{
    enum { N = 1000 };
    uint64_t same = 0;
    for (uint64_t i = 0; i < N; i++)
        same += random_shuffle(seed, epoch, N, i) == random_shuffle(other_seed, other_epoch, N, i);
    return same;
}

static void shuffle_differs_by_epoch_and_by_seed(void **state)
{
    (void)state;
    /* Two random permutations agree in one place on average; in more than ten once in 10^8. */
    assert_true(common_places(1, 0, 1, 1) <= 10);
    assert_true(common_places(1, 0, 2, 0) <= 10);
    assert_int_equal(common_places(1, 5, 1, 5), 1000);
}

static void every_order_of_three_is_equally_likely(void **state)
{
    (void)state;
    enum { EPOCHS = 6000 };
    unsigned counts[27] = {0};
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
        uint64_t code = 0;
        for (uint64_t i = 0; i < 3; i++)
            code = code * 3 + random_shuffle(8, epoch, 3, i);
        counts[code]++;
    }
    static const int orders[] = {0 * 9 + 1 * 3 + 2, 0 * 9 + 2 * 3 + 1, 1 * 9 + 0 * 3 + 2,
                                 1 * 9 + 2 * 3 + 0, 2 * 9 + 0 * 3 + 1, 2 * 9 + 1 * 3 + 0};
    /* Deviation of a count: sqrt(6000 / 6 * 5 / 6) = 29; five of them. */
    for (int i = 0; i < 6; i++)
        assert_in_range(counts[orders[i]], 1000 - 145, 1000 + 145);
}

static void every_place_is_equally_likely_for_every_position(void **state)
{
    (void)state;
    enum { N = 10, EPOCHS = 5000 };
    unsigned counts[N][N] = {{0}};
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++)
        for (uint64_t i = 0; i < N; i++)
            counts[i][random_shuffle(4, epoch, N, i)]++;
    /* Deviation of a count: sqrt(5000 / 10 * 9 / 10) = 21; five of them. */
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            assert_in_range(counts[i][j], 500 - 106, 500 + 106);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_known_answers),
        cmocka_unit_test(keys_differ_by_seed_name_and_number),
        cmocka_unit_test(words_of_a_stream_are_balanced_in_every_bit),
        cmocka_unit_test(values_do_not_depend_on_where_a_tensor_is_cut),
        cmocka_unit_test(a_count_of_zero_writes_nothing),
        cmocka_unit_test(values_differ_by_seed_and_by_name),
        cmocka_unit_test(values_of_a_seed_stay_what_they_were),
        cmocka_unit_test(constants_are_constant),
        cmocka_unit_test(uniform_values_fill_their_interval_evenly),
        cmocka_unit_test(uniform_values_never_reach_the_open_end),
        cmocka_unit_test(an_empty_uniform_interval_gives_its_end),
        cmocka_unit_test(normal_values_have_mean_and_deviation),
        cmocka_unit_test(normal_values_follow_the_normal_distribution),
        cmocka_unit_test(neighbours_are_not_correlated),
        cmocka_unit_test(truncated_normal_values_stay_within_two_deviations),
        cmocka_unit_test(glorot_and_he_scale_with_the_fans),
        cmocka_unit_test(fans_of_a_vector_are_its_length_and_of_a_scalar_one),
        cmocka_unit_test(shuffle_is_a_permutation_for_every_size),
        cmocka_unit_test(shuffle_of_huge_sets_stays_below_their_size),
        cmocka_unit_test(shuffle_differs_by_epoch_and_by_seed),
        cmocka_unit_test(every_order_of_three_is_equally_likely),
        cmocka_unit_test(every_place_is_equally_likely_for_every_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
