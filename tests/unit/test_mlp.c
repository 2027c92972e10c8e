/* worker/mlp: gradients against central differences of a forward pass in double that is written here. On cpu,
 * or where PENSTOCK_TEST_DEVICE says (tests/unit/on_device.h). */
#include "worker/mlp.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "tests/unit/mlp_problem.h"
#include "tests/unit/on_device.h"

/* Central differences in double err by O(h^2) = 1e-10; what is left is float32 rounding of the model under
 * test: some 50 operations of relative error 6e-8 on values below 4. */
static const double difference_step = 1e-5, tolerance = 2e-5;

typedef struct {
    double loss; /* summed */
    uint32_t correct;
    uint64_t negative; /* hash over all hidden units and rows of the sign of what goes into them */
} reference;

static double activate(activation_kind kind, double x)
{
    switch (kind) {
    case ACTIVATION_NONE:
        return x;
    case ACTIVATION_RELU:
        return x > 0.0 ? x : 0.0;
    case ACTIVATION_TANH:
        return tanh(x);
    case ACTIVATION_SIGMOID:
        return 1.0 / (1.0 + exp(-x));
    case ACTIVATION_ELU:
        return x > 0.0 ? x : expm1(x);
    }
    return NAN;
}

/* One row through all layers; `values` holds the features, then the logits. */
static void forward_row(const problem *p, const double *weights, double *values, uint64_t *negative)
{
    const double *kernel = weights;
    uint32_t inputs = p->config.inputs;
    for (uint32_t l = 0; l <= p->config.hidden_count; l++) {
        bool hidden = l < p->config.hidden_count;
        uint32_t outputs = hidden ? p->config.hidden[l] : p->config.classes;
        const double *bias = kernel + inputs * outputs;
        double next[WIDTH_MAX];
        for (uint32_t o = 0; o < outputs; o++) {
            next[o] = bias[o];
            for (uint32_t i = 0; i < inputs; i++)
                next[o] += values[i] * kernel[i * outputs + o];
            if (hidden) {
                *negative = (*negative ^ (next[o] <= 0.0)) * UINT64_C(0x100000001b3);
                next[o] = activate(p->config.activation, next[o]);
            }
        }
        memcpy(values, next, outputs * sizeof *next);
        kernel = bias + outputs;
        inputs = outputs;
    }
}

static reference forward(const problem *p, const double *weights)
{
    reference result = {.negative = UINT64_C(0xcbf29ce484222325)};
    for (uint32_t r = 0; r < p->rows; r++) {
        double values[WIDTH_MAX], sum = 0.0;
        uint32_t best = 0;
        for (uint32_t i = 0; i < p->config.inputs; i++)
            values[i] = (double)p->features[r * p->config.inputs + i];
        forward_row(p, weights, values, &result.negative);
        for (uint32_t c = 0; c < p->config.classes; c++) {
            sum += exp(values[c]);
            best = values[c] > values[best] ? c : best;
        }
        result.loss += log(sum) - values[p->labels[r]];
        result.correct += best == p->labels[r];
    }
    return result;
}

/* Asserts every element of `gradients`. Where the two differences lie on different sides of a kink (ReLU's,
 * or that of ELU's second derivative), they say nothing of the slope at the point: such a parameter is
 * skipped. Returns how many were compared. */
static uint64_t assert_gradients(const problem *p, const float *gradients)
{
    double weights[PARAMETERS_MAX];
    uint64_t compared = 0;
    for (uint64_t i = 0; i < p->parameters; i++)
        weights[i] = (double)p->weights[i];
    for (uint64_t i = 0; i < p->parameters; i++) {
        double at = weights[i];
        weights[i] = at + difference_step;
        reference up = forward(p, weights);
        weights[i] = at - difference_step;
        reference down = forward(p, weights);
        weights[i] = at;
        if (up.negative != down.negative)
            continue;
        double want = (up.loss - down.loss) / (2.0 * difference_step * p->rows);
        if (!(fabs((double)gradients[i] - want) <= tolerance))
            fail_msg("parameter %lu of %lu: gradient %.9g, by differences %.9g", (unsigned long)i,
                     (unsigned long)p->parameters, (double)gradients[i], want);
        compared++;
    }
    return compared;
}

static void check_problems(backend *b, activation_kind kind)
{
    numbers n = {(uint64_t)kind + 1};
    uint64_t parameters = 0, compared = 0;
    for (uint32_t round = 0; round < 16; round++) {
        problem p;
        mlp *m;
        float gradients[PARAMETERS_MAX];
        double loss, weights[PARAMETERS_MAX];
        uint32_t correct;
        fill_problem(&p, &n, kind, round % (HIDDEN_MAX + 1));
        for (uint64_t i = 0; i < p.parameters; i++)
            weights[i] = (double)p.weights[i];
        assert_int_equal(mlp_create(&p.config, b, ROWS_MAX, &m, NULL), PS_OK);
        assert_int_equal(
            mlp_gradient(m, p.weights, p.features, p.labels, p.rows, gradients, NULL, &loss, &correct),
            PS_OK);
        compared += assert_gradients(&p, gradients);
        parameters += p.parameters;
        reference want = forward(&p, weights);
        assert_true(fabs(loss - want.loss) <= tolerance * p.rows);
        assert_int_equal(correct, want.correct);
        double evaluated;
        uint32_t hits;
        assert_int_equal(mlp_evaluate(m, p.weights, p.features, p.labels, p.rows, &evaluated, &hits), PS_OK);
        assert_true(evaluated == loss);
        assert_int_equal(hits, correct);
        mlp_destroy(&m);
        assert_null(m);
    }
    /* Skipping is the exception. */
    assert_true(compared >= parameters - parameters / 100);
}

static void gradients_without_activation_are_those_of_the_reference(void **state)
{
    check_problems(*state, ACTIVATION_NONE);
}

static void gradients_of_relu_are_those_of_the_reference(void **state)
{
    check_problems(*state, ACTIVATION_RELU);
}

static void gradients_of_tanh_are_those_of_the_reference(void **state)
{
    check_problems(*state, ACTIVATION_TANH);
}

static void gradients_of_sigmoid_are_those_of_the_reference(void **state)
{
    check_problems(*state, ACTIVATION_SIGMOID);
}

static void gradients_of_elu_are_those_of_the_reference(void **state)
{
    check_problems(*state, ACTIVATION_ELU);
}

/* ---- The rest ---- */

static void the_same_input_twice_gives_the_same_bits(void **state)
{
    backend *b = *state;
    numbers n = {80};
    problem p;
    fill_problem(&p, &n, ACTIVATION_ELU, 3);
    mlp *m;
    float first[PARAMETERS_MAX], second[PARAMETERS_MAX], other[ROWS_MAX * WIDTH_MAX];
    double loss, loss_again;
    uint32_t correct;
    numbers_fill(&n, 1.0f, other, ROWS_MAX * WIDTH_MAX);
    assert_int_equal(mlp_create(&p.config, b, p.rows, &m, NULL), PS_OK);
    mlp_gradient(m, p.weights, p.features, p.labels, p.rows, first, NULL, &loss, &correct);
    mlp_gradient(m, p.weights, other, p.labels, p.rows, second, NULL, &loss_again, &correct);
    assert_memory_not_equal(first, second, p.parameters * sizeof *first);
    mlp_gradient(m, p.weights, p.features, p.labels, p.rows, second, NULL, &loss_again, &correct);
    assert_memory_equal(first, second, p.parameters * sizeof *first);
    assert_true(loss == loss_again);
    mlp_destroy(&m);
}

static void batches_out_of_range_are_refused(void **state)
{
    backend *b = *state;
    numbers n = {81};
    problem p;
    fill_problem(&p, &n, ACTIVATION_RELU, 1);
    mlp *m;
    ps_error error;
    float gradients[PARAMETERS_MAX];
    double loss;
    uint32_t correct;
    assert_int_equal(mlp_create(&p.config, b, 0, &m, &error), PS_EINVAL);
    assert_string_equal(error.text, "a batch of 0 rows is out of range; choose 1 to 16777216");
    assert_int_equal(mlp_create(&p.config, b, MLP_ROWS_MAX + 1, &m, &error), PS_EINVAL);
    assert_int_equal(mlp_create(&p.config, b, p.rows, &m, &error), PS_OK);
    assert_int_equal(mlp_gradient(m, p.weights, p.features, p.labels, 0, gradients, NULL, &loss, &correct),
                     PS_EINVAL);
    assert_int_equal(
        mlp_gradient(m, p.weights, p.features, p.labels, p.rows + 1, gradients, NULL, &loss, &correct),
        PS_EINVAL);
    assert_int_equal(mlp_evaluate(m, p.weights, p.features, p.labels, 0, &loss, &correct), PS_EINVAL);
    assert_int_equal(mlp_evaluate(m, p.weights, p.features, p.labels, p.rows, &loss, &correct), PS_OK);
    mlp_destroy(&m);
}

static void a_label_that_is_no_class_is_refused_before_any_gradient(void **state)
{
    backend *b = *state;
    numbers n = {82};
    problem p;
    fill_problem(&p, &n, ACTIVATION_RELU, 1);
    mlp *m;
    float gradients[PARAMETERS_MAX] = {0}, untouched[PARAMETERS_MAX] = {0};
    double loss;
    uint32_t correct;
    p.labels[p.rows - 1] = p.config.classes;
    assert_int_equal(mlp_create(&p.config, b, p.rows, &m, NULL), PS_OK);
    assert_int_equal(
        mlp_gradient(m, p.weights, p.features, p.labels, p.rows, gradients, NULL, &loss, &correct),
        PS_EINVAL);
    assert_memory_equal(gradients, untouched, sizeof gradients);
    mlp_destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_without_activation_are_those_of_the_reference),
        cmocka_unit_test(gradients_of_relu_are_those_of_the_reference),
        cmocka_unit_test(gradients_of_tanh_are_those_of_the_reference),
        cmocka_unit_test(gradients_of_sigmoid_are_those_of_the_reference),
        cmocka_unit_test(gradients_of_elu_are_those_of_the_reference),
        cmocka_unit_test(the_same_input_twice_gives_the_same_bits),
        cmocka_unit_test(batches_out_of_range_are_refused),
        cmocka_unit_test(a_label_that_is_no_class_is_refused_before_any_gradient),
    };
    return cmocka_run_group_tests(tests, on_device_create, on_device_destroy);
}
