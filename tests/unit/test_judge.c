/* The worker's judgement of its gradient, worker/judge. */
#include "worker/judge.h"

#include <math.h>
#include <stdio.h>

#include "common/gradient.h"
#include "tests/unit/torture.h"
#include "tests/unit/unit.h"

enum { TENSORS = 3, ELEMENTS = 1000 };

static tensor_table make_table(void)
{
    tensor_table table = {0};
    for (int i = 0; i < TENSORS; i++) {
        tensor t = {.rank = 1, .shape = {ELEMENTS}};
        snprintf(t.name, sizeof t.name, "t%d", i);
        assert_int_equal(tensor_table_add(&table, &t, NULL), PS_OK);
    }
    return table;
}

static float values[TENSORS][ELEMENTS];

static void fill_values(void)
{
    for (int t = 0; t < TENSORS; t++)
        for (int i = 0; i < ELEMENTS; i++)
            values[t][i] = (float)(t + 1) / (float)(i + 3);
}

static judgement judge_in_order(judge *j, const uint32_t *order)
{
    judge_begin(j);
    for (int i = 0; i < TENSORS; i++)
        judge_tensor(j, order[i], values[order[i]]);
    return judge_end(j);
}

static void bits_do_not_depend_on_the_order_of_the_tensors(void **state)
{
    (void)state;
    tensor_table table = make_table();
    judge j;
    assert_int_equal(judge_init(&j, &table, 0.25), PS_OK);
    fill_values();
    double squares = 0;
    for (int t = 0; t < TENSORS; t++)
        squares += gradient_norm_squared(values[t], ELEMENTS);
    const float expected = (float)(0.25 / sqrt(squares));
    const uint32_t orders[][TENSORS] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}};
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        judgement whole = judge_in_order(&j, orders[i]);
        assert_false(whole.nonfinite);
        assert_true(whole.clip_factor == expected);
    }
    judge_fini(&j);
    tensor_table_fini(&table);
}

static void sums_that_a_device_has_made_are_judged_alike(void **state)
{
    (void)state;
    tensor_table table = make_table();
    fill_values();
    judge j;
    assert_int_equal(judge_init(&j, &table, 0.25), PS_OK);
    const judgement want = judge_in_order(&j, (const uint32_t[]){0, 1, 2});
    judge_begin(&j);
    judge_tensor(&j, 1, values[1]);
    judge_squares(&j, 2, gradient_norm_squared(values[2], ELEMENTS));
    judge_squares(&j, 0, gradient_norm_squared(values[0], ELEMENTS));
    assert_true(judge_end(&j).clip_factor == want.clip_factor);
    judge_begin(&j);
    for (uint32_t t = 0; t < TENSORS; t++)
        judge_squares(&j, t, t == 1 ? (double)INFINITY : 1.0);
    assert_true(judge_end(&j).nonfinite);
    judge_fini(&j);
    tensor_table_fini(&table);
}

static void short_gradients_and_those_not_to_be_clipped_are_left_as_they_are(void **state)
{
    (void)state;
    tensor_table table = make_table();
    const double norms[] = {0, 1e6};
    fill_values();
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        judge j;
        assert_int_equal(judge_init(&j, &table, norms[i]), PS_OK);
        judgement whole = judge_in_order(&j, (const uint32_t[]){0, 1, 2});
        assert_false(whole.nonfinite);
        assert_true(whole.clip_factor == 1.0f);
        judge_fini(&j);
    }
    tensor_table_fini(&table);
}

static void one_value_that_is_not_finite_spoils_that_gradient_alone(void **state)
{
    (void)state;
    tensor_table table = make_table();
    judge j;
    assert_int_equal(judge_init(&j, &table, 0.25), PS_OK);
    for (uint32_t spoilt = 0; spoilt < TENSORS; spoilt++) {
        fill_values();
        values[spoilt][ELEMENTS - 1] = NAN;
        judgement whole = judge_in_order(&j, (const uint32_t[]){2, 0, 1});
        assert_true(whole.nonfinite);
        assert_true(whole.clip_factor == 1.0f);
        fill_values();
        assert_false(judge_in_order(&j, (const uint32_t[]){2, 0, 1}).nonfinite);
    }
    judge_fini(&j);
    tensor_table_fini(&table);
}

static void judge_without_memory_is_not_made(void **state)
{
    (void)state;
    tensor_table table = make_table();
    judge j;
    torture_begin(0);
    assert_int_equal(judge_init(&j, &table, 1), PS_ENOMEM);
    torture_end();
    judge_fini(&j);
    tensor_table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_do_not_depend_on_the_order_of_the_tensors),
        cmocka_unit_test(sums_that_a_device_has_made_are_judged_alike),
        cmocka_unit_test(short_gradients_and_those_not_to_be_clipped_are_left_as_they_are),
        cmocka_unit_test(one_value_that_is_not_finite_spoils_that_gradient_alone),
        cmocka_unit_test(judge_without_memory_is_not_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
