/* Every operation of worker/backend against plain loops in double: on cpu, or where PENSTOCK_TEST_DEVICE says
 * (tests/unit/on_device.h). */
#include "worker/backend.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/gradient.h"
#include "tests/unit/numbers.h"
#include "tests/unit/on_device.h"
#include "tests/unit/unit.h"
#include "worker/backend_cpu.h"

enum { ROUNDS = 60, DIMENSION_MAX = 70, ELEMENTS_MAX = DIMENSION_MAX * DIMENSION_MAX };

static const activation_kind all_kinds[] = {
#define KIND(name, text) name,
    ACTIVATION_LIST(KIND)
#undef KIND
};
enum { KINDS = sizeof all_kinds / sizeof *all_kinds };

/* Shapes of a round: 1 x 1 first, then random ones. */
static uint32_t dimension(numbers *n, int round)
{
    return round == 0 ? 1 : numbers_between(n, 1, DIMENSION_MAX);
}

static double reference_activate(activation_kind kind, double x)
{
    switch (kind) {
    case ACTIVATION_NONE:
        return x;
    case ACTIVATION_RELU:
        return fmax(x, 0.0);
    case ACTIVATION_TANH:
        return tanh(x);
    case ACTIVATION_SIGMOID:
        return 1.0 / (1.0 + exp(-x));
    case ACTIVATION_ELU:
        return x > 0.0 ? x : exp(x) - 1.0;
    }
    return NAN;
}

/* By the input, whereas the backend goes by the output. */
static double reference_slope(activation_kind kind, double x)
{
    switch (kind) {
    case ACTIVATION_NONE:
        return 1.0;
    case ACTIVATION_RELU:
        return x > 0.0 ? 1.0 : 0.0;
    case ACTIVATION_TANH:
        return 1.0 / (cosh(x) * cosh(x));
    case ACTIVATION_SIGMOID:
        return exp(-x) / ((1.0 + exp(-x)) * (1.0 + exp(-x)));
    case ACTIVATION_ELU:
        return x > 0.0 ? 1.0 : exp(x);
    }
    return NAN;
}

static void assert_near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%.9g is not within %.3g of %.9g", got, tolerance, want);
}

static void every_name_parses_to_its_kind(void **state)
{
    (void)state;
    for (int i = 0; i < KINDS; i++) {
        activation_kind kind;
        assert_int_equal(activation_parse(activation_name(all_kinds[i]), &kind, NULL), PS_OK);
        assert_int_equal(kind, all_kinds[i]);
    }
    assert_string_equal(activation_name(ACTIVATION_ELU), "elu");
    assert_string_equal(activation_name((activation_kind)99), "?");
}

static void unknown_activation_is_refused_with_the_known_names(void **state)
{
    (void)state;
    activation_kind kind;
    ps_error error;
    assert_int_equal(activation_parse("swish", &kind, &error), PS_EINVAL);
    assert_string_equal(error.text,
                        "activation 'swish' is unknown: choose one of none, relu, tanh, sigmoid, elu");
}

static void thread_counts_out_of_range_are_refused(void **state)
{
    (void)state;
    backend *b;
    ps_error error;
    assert_int_equal(backend_cpu_create(0, &b, &error), PS_EINVAL);
    assert_null(b);
    assert_string_equal(error.text, "0 threads for OpenBLAS are out of range; ask for 1 or more");
    assert_int_equal(backend_cpu_create(UINT32_MAX, &b, &error), PS_EINVAL);
    assert_int_equal(backend_cpu_create(100000, &b, &error), PS_EINVAL);
    assert_non_null(strstr(error.text, "100000 threads are more than this OpenBLAS can use"));
    assert_int_equal(backend_cpu_create(1, &b, &error), PS_OK);
    assert_int_equal(backend_cpu_threads(), 1);
    b->ops->destroy(b);
}

static void memory_is_aligned_and_copies_arrive(void **state)
{
    backend *b = *state;
    for (size_t bytes = 0; bytes < 300; bytes += 13) {
        unsigned char from[300], to[300];
        memset(from, (int)bytes, sizeof from);
        void *memory = b->ops->allocate(b, bytes);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 64, 0);
        assert_int_equal(b->ops->upload(b, memory, from, bytes), PS_OK);
        assert_int_equal(b->ops->synchronize(b), PS_OK);
        assert_int_equal(b->ops->download(b, to, memory, bytes), PS_OK);
        assert_int_equal(b->ops->synchronize(b), PS_OK);
        assert_memory_equal(from, to, bytes);
        b->ops->release(b, memory);
    }
    assert_null(b->ops->allocate(b, SIZE_MAX));
}

static void products_of_all_transpositions_are_right(void **state)
{
    backend *b = *state;
    static float a[ELEMENTS_MAX], other[ELEMENTS_MAX], c[ELEMENTS_MAX];
    numbers n = {1};
    for (int round = 0; round < ROUNDS; round++) {
        int ta = round & 1, tb = round >> 1 & 1;
        uint32_t rows = dimension(&n, round), columns = dimension(&n, round), depth = dimension(&n, round);
        numbers_fill(&n, 1.0f, a, rows * depth);
        numbers_fill(&n, 1.0f, other, depth * columns);
        numbers_fill(&n, 1.0f, c, rows * columns);
        assert_int_equal(on_device_gemm(b, ta, tb, rows, columns, depth, a, other, c), PS_OK);
        for (uint32_t i = 0; i < rows; i++)
            for (uint32_t j = 0; j < columns; j++) {
                double sum = 0.0;
                for (uint32_t k = 0; k < depth; k++)
                    sum += (double)a[ta ? k * rows + i : i * depth + k] *
                           (double)other[tb ? j * depth + k : k * columns + j];
                assert_near((double)c[i * columns + j], sum, depth * (double)FLT_EPSILON * depth);
            }
    }
}

static void empty_or_oversized_products_are_refused(void **state)
{
    backend *b = *state;
    float x = 7.0f;
    assert_int_equal(b->ops->gemm(b, 0, 0, 0, 1, 1, &x, &x, &x), PS_EINVAL);
    assert_int_equal(b->ops->gemm(b, 0, 0, 1, 0, 1, &x, &x, &x), PS_EINVAL);
    assert_int_equal(b->ops->gemm(b, 0, 0, 1, 1, 0, &x, &x, &x), PS_EINVAL);
    assert_int_equal(b->ops->gemm(b, 0, 0, UINT32_C(1) << 31, 1, 1, &x, &x, &x), PS_EINVAL);
    assert_true(x == 7.0f);
}

static void activations_forward_match_their_formulas(void **state)
{
    backend *b = *state;
    static float before[ELEMENTS_MAX], y[ELEMENTS_MAX];
    float bias[DIMENSION_MAX];
    numbers n = {2};
    for (int round = 0; round < ROUNDS; round++) {
        activation_kind kind = all_kinds[round % KINDS];
        uint32_t rows = dimension(&n, round / KINDS), columns = dimension(&n, round / KINDS);
        numbers_fill(&n, 6.0f, before, rows * columns);
        numbers_fill(&n, 2.0f, bias, columns);
        memcpy(y, before, sizeof y);
        assert_int_equal(on_device_bias_activate(b, kind, rows, columns, bias, y), PS_OK);
        for (uint32_t i = 0; i < rows * columns; i++) {
            double x = (double)before[i] + (double)bias[i % columns];
            assert_near((double)y[i], reference_activate(kind, x), 8.0 * 4.0 * (double)FLT_EPSILON);
        }
    }
}

static void activations_backward_match_their_derivatives(void **state)
{
    backend *b = *state;
    static float x[ELEMENTS_MAX], y[ELEMENTS_MAX], before[ELEMENTS_MAX], dy[ELEMENTS_MAX];
    float dbias[DIMENSION_MAX];
    static const float no_bias[DIMENSION_MAX];
    numbers n = {3};
    for (int round = 0; round < ROUNDS; round++) {
        activation_kind kind = all_kinds[round % KINDS];
        uint32_t rows = dimension(&n, round / KINDS), columns = dimension(&n, round / KINDS);
        numbers_fill(&n, 4.0f, x, rows * columns);
        numbers_fill(&n, 1.0f, before, rows * columns);
        memcpy(y, x, sizeof y);
        memcpy(dy, before, sizeof dy);
        assert_int_equal(on_device_bias_activate(b, kind, rows, columns, no_bias, y), PS_OK);
        assert_int_equal(on_device_activate_backward(b, kind, rows, columns, y, dy, dbias), PS_OK);
        for (uint32_t c = 0; c < columns; c++) {
            double sum = 0.0;
            for (uint32_t r = 0; r < rows; r++) {
                uint32_t i = r * columns + c;
                double want = (double)before[i] * reference_slope(kind, (double)x[i]);
                assert_near((double)dy[i], want, 4.0 * (double)FLT_EPSILON);
                sum += want;
            }
            assert_near((double)dbias[c], sum, rows * 8.0 * (double)FLT_EPSILON);
        }
    }
}

static void unknown_activation_number_is_refused(void **state)
{
    backend *b = *state;
    float x = 1.0f, bias = 2.0f;
    assert_int_equal(on_device_bias_activate(b, (activation_kind)99, 1, 1, &bias, &x), PS_EINVAL);
    assert_int_equal(on_device_activate_backward(b, (activation_kind)99, 1, 1, &x, &x, &bias), PS_EINVAL);
}

static void activations_let_nan_through(void **state)
{
    backend *b = *state;
    for (int i = 0; i < KINDS; i++) {
        float y = NAN, bias = 0.0f, dy = 1.0f, dbias;
        assert_int_equal(on_device_bias_activate(b, all_kinds[i], 1, 1, &bias, &y), PS_OK);
        assert_true(isnan(y));
        y = 0.5f;
        dy = NAN;
        assert_int_equal(on_device_activate_backward(b, all_kinds[i], 1, 1, &y, &dy, &dbias), PS_OK);
        assert_true(isnan(dy) && isnan(dbias));
    }
}

static void softmax_loss_and_gradient_match_the_formula(void **state)
{
    backend *b = *state;
    static float before[ELEMENTS_MAX], logits[ELEMENTS_MAX];
    numbers n = {4};
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t rows = dimension(&n, round), classes = dimension(&n, round);
        uint32_t labels[DIMENSION_MAX], want_correct = 0;
        backend_score score;
        double want_loss = 0.0;
        numbers_fill(&n, round % 2 ? 3.0f : 80.0f, before, rows * classes);
        for (uint32_t r = 0; r < rows; r++)
            labels[r] = numbers_between(&n, 0, classes - 1);
        memcpy(logits, before, sizeof logits);
        assert_int_equal(on_device_softmax(b, rows, classes, labels, logits, &score), PS_OK);
        for (uint32_t r = 0; r < rows; r++) {
            const float *row = before + r * classes;
            double sum = 0.0;
            uint32_t best = 0;
            for (uint32_t c = 0; c < classes; c++) {
                sum += exp((double)row[c]);
                best = row[c] > row[best] ? c : best;
            }
            want_loss += log(sum) - (double)row[labels[r]];
            want_correct += best == labels[r];
            for (uint32_t c = 0; c < classes; c++) {
                double want = (exp((double)row[c]) / sum - (c == labels[r])) / rows;
                assert_near((double)logits[r * classes + c], want, 16.0 * (double)FLT_EPSILON / rows);
            }
        }
        assert_near(score.loss_sum, want_loss, rows * 16.0 * (double)FLT_EPSILON);
        assert_int_equal(score.correct, want_correct);
    }
}

static void softmax_survives_huge_logits(void **state)
{
    backend *b = *state;
    float logits[] = {3e38f, -3e38f, 0.0f, 1000.0f, 1001.0f, 999.0f};
    const uint32_t labels[] = {1, 1};
    backend_score score;
    assert_int_equal(on_device_softmax(b, 2, 3, labels, logits, &score), PS_OK);
    double second = log(exp(-1.0) + 1.0 + exp(-2.0));
    assert_near(score.loss_sum / 6e38, 1.0, 1e-6);
    assert_near((double)logits[4], (1.0 / exp(second) - 1.0) / 2.0, 1e-6);
    assert_near((double)logits[0], 0.5, 1e-7);
    assert_near((double)logits[1], -0.5, 1e-7);
    assert_int_equal(score.correct, 1);
}

static void ties_count_for_the_lowest_index(void **state)
{
    backend *b = *state;
    float logits[] = {1.0f, 2.0f, 2.0f, 1.0f, 2.0f, 2.0f};
    const uint32_t labels[] = {1, 2};
    backend_score score;
    assert_int_equal(on_device_softmax(b, 2, 3, labels, logits, &score), PS_OK);
    assert_int_equal(score.correct, 1);
}

static void logits_that_are_not_numbers_give_nan_and_no_hit(void **state)
{
    backend *b = *state;
    float logits[] = {NAN, 0.0f, INFINITY, 0.0f};
    const uint32_t labels[] = {0, 0};
    backend_score score;
    assert_int_equal(on_device_softmax(b, 2, 2, labels, logits, &score), PS_OK);
    assert_true(isnan(score.loss_sum));
    assert_int_equal(score.correct, 0);
    for (int i = 0; i < 3; i++)
        assert_true(isnan(logits[i]));
}

static void label_out_of_range_is_refused_and_changes_nothing(void **state)
{
    backend *b = *state;
    float logits[] = {1.0f, 2.0f, 3.0f, 4.0f};
    if (!b->ops->host_memory)
        skip();
    const float before[] = {1.0f, 2.0f, 3.0f, 4.0f};
    const uint32_t labels[] = {0, 2};
    backend_score score = {5.0, 6};
    assert_int_equal(on_device_softmax(b, 2, 2, labels, logits, &score), PS_EINVAL);
    assert_memory_equal(logits, before, sizeof logits);
    assert_true(score.loss_sum == 5.0);
    assert_int_equal(score.correct, 6);
}

static void label_out_of_range_makes_nan_of_its_row_where_the_host_cannot_look(void **state)
{
    backend *b = *state;
    float logits[] = {1.0f, 2.0f, 3.0f, 4.0f};
    const uint32_t labels[] = {0, 2};
    backend_score score;
    if (b->ops->host_memory)
        skip();
    assert_int_equal(on_device_softmax(b, 2, 2, labels, logits, &score), PS_OK);
    assert_true(!isnan(logits[0]) && !isnan(logits[1]));
    assert_true(isnan(logits[2]) && isnan(logits[3]) && isnan(score.loss_sum));
    assert_int_equal(score.correct, 0);
}

/* Whether it is fused or not, a layer is its product, its bias and its activation. */
static void layers_are_products_with_bias_and_activation(void **state)
{
    backend *b = *state;
    numbers n = {31};
    static const uint32_t sizes[] = {1, 2, 3, 8, 17, 64, 100};
    enum { SIZES = sizeof sizes / sizeof *sizes, LARGEST = 100 * 100 };
    static float x[LARGEST], kernel[LARGEST], y[LARGEST];
    float bias[100];
    for (unsigned round = 0; round < 60; round++) {
        const activation_kind kind = round % 5;
        const uint32_t rows = sizes[numbers_between(&n, 0, SIZES - 1)],
                       inputs = sizes[numbers_between(&n, 0, SIZES - 1)],
                       outputs = sizes[numbers_between(&n, 0, SIZES - 1)];
        numbers_fill(&n, 1.0f, x, rows * inputs);
        numbers_fill(&n, 1.0f, kernel, inputs * outputs);
        numbers_fill(&n, 1.0f, bias, outputs);
        assert_int_equal(on_device_layer(b, kind, rows, inputs, outputs, x, kernel, bias, y), PS_OK);
        for (uint32_t r = 0; r < rows; r++)
            for (uint32_t o = 0; o < outputs; o++) {
                double sum = (double)bias[o];
                for (uint32_t i = 0; i < inputs; i++)
                    sum += (double)x[r * inputs + i] * (double)kernel[i * outputs + o];
                assert_near((double)y[r * outputs + o], reference_activate(kind, sum),
                            (inputs + 4.0) * (double)FLT_EPSILON * (inputs + 4.0));
            }
    }
    assert_int_equal(on_device_layer(b, ACTIVATION_RELU, 1, 1, 1, x, kernel, bias, y), PS_OK);
}

static void layers_let_nan_through(void **state)
{
    backend *b = *state;
    static const uint32_t sizes[] = {1, 5, 64, 96};
    static float x[96 * 96], kernel[96 * 96], y[96 * 96], bias[96];
    bias[0] = NAN;
    for (int kind = 0; kind < 5; kind++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            const uint32_t size = sizes[i];
            assert_int_equal(on_device_layer(b, (activation_kind)kind, size, size, size, x, kernel, bias, y),
                             PS_OK);
            for (uint32_t r = 0; r < size; r++)
                assert_true(y[r * size] != y[r * size]);
        }
}

/* The bits of common/gradient.h, around the edges of blocks, lanes and partial sums of blocks. */
static void sums_of_squares_have_the_bits_of_the_hosts(void **state)
{
    backend *b = *state;
    static const uint64_t sizes[] = {1, 2, 31, 32, 33, 4095, 4096, 4097, 9000, 33 * GRADIENT_BLOCK + 77};
    enum { SIZES = sizeof sizes / sizeof *sizes, LARGEST = 2 * (33 * GRADIENT_BLOCK + 77) };
    if (!b->ops->measure)
        skip();
    numbers n = {21};
    float *values = malloc(LARGEST * sizeof *values);
    assert_non_null(values);
    numbers_fill(&n, 3.0f, values, LARGEST);
    for (size_t i = 0; i < SIZES; i++) {
        const uint64_t counts[] = {sizes[i], sizes[SIZES - 1 - i], 1, 40};
        for (uint32_t tensors = 1; tensors <= BACKEND_MEASURED_MAX; tensors++) {
            double squares[BACKEND_MEASURED_MAX];
            assert_int_equal(on_device_measure(b, tensors, counts, values, squares), PS_OK);
            const float *at = values;
            for (uint32_t t = 0; t < tensors; at += counts[t], t++)
                assert_true(squares[t] == gradient_norm_squared(at, counts[t]));
        }
    }
    free(values);
}

static void sums_of_squares_show_what_is_not_finite(void **state)
{
    backend *b = *state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    enum { COUNT = 5000, OTHER = 7 };
    static const uint64_t counts[] = {COUNT, OTHER};
    if (!b->ops->measure)
        skip();
    static float values[COUNT + OTHER];
    for (uint64_t at = 0; at < COUNT; at += 331)
        for (size_t i = 0; i < 3; i++) {
            double squares[2];
            values[at] = bad[i];
            assert_int_equal(on_device_measure(b, 2, counts, values, squares), PS_OK);
            assert_true(!isfinite(squares[0]));
            assert_true(squares[1] == 0);
            values[at] = FLT_MAX;
            assert_int_equal(on_device_measure(b, 2, counts, values, squares), PS_OK);
            assert_true(isfinite(squares[0]));
        }
    assert_int_equal(b->ops->measure(b, BACKEND_MEASURED_MAX + 1, counts, values, NULL), PS_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_parses_to_its_kind),
        cmocka_unit_test(unknown_activation_is_refused_with_the_known_names),
        cmocka_unit_test(thread_counts_out_of_range_are_refused),
        cmocka_unit_test(memory_is_aligned_and_copies_arrive),
        cmocka_unit_test(products_of_all_transpositions_are_right),
        cmocka_unit_test(empty_or_oversized_products_are_refused),
        cmocka_unit_test(activations_forward_match_their_formulas),
        cmocka_unit_test(activations_backward_match_their_derivatives),
        cmocka_unit_test(unknown_activation_number_is_refused),
        cmocka_unit_test(activations_let_nan_through),
        cmocka_unit_test(softmax_loss_and_gradient_match_the_formula),
        cmocka_unit_test(softmax_survives_huge_logits),
        cmocka_unit_test(ties_count_for_the_lowest_index),
        cmocka_unit_test(logits_that_are_not_numbers_give_nan_and_no_hit),
        cmocka_unit_test(label_out_of_range_is_refused_and_changes_nothing),
        cmocka_unit_test(label_out_of_range_makes_nan_of_its_row_where_the_host_cannot_look),
        cmocka_unit_test(layers_are_products_with_bias_and_activation),
        cmocka_unit_test(layers_let_nan_through),
        cmocka_unit_test(sums_of_squares_have_the_bits_of_the_hosts),
        cmocka_unit_test(sums_of_squares_show_what_is_not_finite),
    };
    return cmocka_run_group_tests(tests, on_device_create, on_device_destroy);
}
