/* worker/sampler: who gets which row when. */
#include "worker/sampler.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

enum { BATCH_MAX = 64 };

/* Draws a whole epoch over all workers and asserts that every row came once. Its order goes to `order`. */
static void draw_epoch(const sampler *s, uint64_t epoch, uint64_t *order)
{
    bool *seen = calloc(s->rows, sizeof *seen);
    uint64_t drawn = 0, steps = sampler_steps_per_epoch(s);
    for (uint64_t k = 1; k <= steps; k++)
        for (uint32_t rank = 0; rank < s->workers; rank++) {
            uint64_t rows[BATCH_MAX];
            uint32_t count = sampler_rows(s, epoch * steps + k, rank, rows);
            assert_true(count <= s->batch);
            assert_true(k == steps || count == s->batch);
            for (uint32_t i = 0; i < count; i++) {
                assert_true(rows[i] < s->rows);
                assert_false(seen[rows[i]]);
                seen[rows[i]] = true;
                order[drawn++] = rows[i];
            }
        }
    assert_int_equal(drawn, s->rows);
    free(seen);
}

static void every_row_is_drawn_once_an_epoch(void **state)
{
    (void)state;
    static const sampler cases[] = {
        {.seed = 1, .rows = 1, .workers = 1, .batch = 1},
        {.seed = 2, .rows = 1, .workers = 5, .batch = 7},
        {.seed = 3, .rows = 97, .workers = 3, .batch = 5},
        {.seed = 4, .rows = 1000, .workers = 7, .batch = 13},
        {.seed = 5, .rows = 60, .workers = 3, .batch = 20},
        {.seed = 6, .rows = 61, .workers = 3, .batch = 20},
        {.seed = 7, .rows = 4096, .workers = 2, .batch = 64},
        {.seed = 8, .rows = 50, .workers = 9, .batch = 31},
    };
    uint64_t order[4096];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (uint64_t epoch = 0; epoch < 3; epoch++)
            draw_epoch(&cases[i], epoch, order);
}

static void epochs_and_seeds_have_different_orders(void **state)
{
    (void)state;
    sampler s = {.seed = 1, .rows = 500, .workers = 2, .batch = 50};
    uint64_t first[500], second[500], other[500];
    draw_epoch(&s, 0, first);
    draw_epoch(&s, 1, second);
    s.seed = 2;
    draw_epoch(&s, 0, other);
    assert_memory_not_equal(first, second, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
}

static void the_order_of_an_epoch_does_not_depend_on_how_it_is_shared(void **state)
{
    (void)state;
    const sampler alone = {.seed = 9, .rows = 333, .workers = 1, .batch = 30};
    const sampler shared = {.seed = 9, .rows = 333, .workers = 3, .batch = 10};
    uint64_t one[333], three[333];
    draw_epoch(&alone, 4, one);
    draw_epoch(&shared, 4, three);
    assert_memory_equal(one, three, sizeof one);
}

/* Without worker 1 from step 3 on, without worker 2 in steps 5 to 15. */
static members_list changing_members(void)
{
    static const members_change changes[] = {
        {.from = 3, .worker = 1}, {.from = 5, .worker = 2}, {.from = 16, .worker = 2, .enters = true}};
    members_list m = {.version = 1};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        assert_int_equal(members_add(&m, &changes[i], NULL), PS_OK);
    return m;
}

static void every_row_is_drawn_once_an_epoch_also_when_members_change(void **state)
{
    (void)state;
    enum { ROWS = 101, EPOCHS = 3 };
    members_list m = changing_members();
    const sampler s = {.seed = 4, .rows = ROWS, .workers = 3, .batch = 7, .members = &m};
    uint32_t drawn[ROWS] = {0}, total = 0;
    uint64_t step = 0;
    for (uint32_t epoch = 1; epoch <= EPOCHS; epoch++) {
        while (total < epoch * ROWS) {
            step++;
            for (uint32_t rank = 0; rank < 3; rank++) {
                uint64_t rows[BATCH_MAX];
                const uint32_t count = sampler_rows(&s, step, rank, rows);
                assert_true(count == 0 || members_include(&m, rank, step));
                for (uint32_t i = 0; i < count; i++)
                    assert_int_equal(++drawn[rows[i]], epoch);
                total += count;
            }
            assert_true(total <= epoch * ROWS); /* no step reaches into the next epoch */
        }
        assert_int_equal(sampler_last_step(&s, epoch), step);
        assert_true(sampler_epochs_done(&s, step) == epoch);
    }
    assert_true(step > 16); /* all changes have come by */
    members_fini(&m);
}

static void a_change_to_come_leaves_the_steps_before_it_alone(void **state)
{
    (void)state;
    members_list m = changing_members();
    const sampler all = {.seed = 4, .rows = 101, .workers = 3, .batch = 7};
    sampler some = all;
    some.members = &m;
    for (uint64_t step = 1; step < 3; step++)
        for (uint32_t rank = 0; rank < 3; rank++) {
            uint64_t one[BATCH_MAX], other[BATCH_MAX];
            assert_int_equal(sampler_rows(&all, step, rank, one), 7);
            assert_int_equal(sampler_rows(&some, step, rank, other), 7);
            assert_memory_equal(one, other, 7 * sizeof *one);
        }
    members_fini(&m);
}

static void calls_in_any_order_give_the_same_rows(void **state)
{
    (void)state;
    const sampler s = {.seed = 3, .rows = 101, .workers = 3, .batch = 8};
    enum { STEPS = 12 };
    uint64_t forward[STEPS][3][BATCH_MAX], again[BATCH_MAX];
    uint32_t counts[STEPS][3];
    for (uint64_t step = 1; step <= STEPS; step++)
        for (uint32_t rank = 0; rank < 3; rank++)
            counts[step - 1][rank] = sampler_rows(&s, step, rank, forward[step - 1][rank]);
    for (uint64_t step = STEPS; step >= 1; step--)
        for (uint32_t rank = 3; rank-- > 0;) {
            uint32_t count = sampler_rows(&s, step, rank, again);
            assert_int_equal(count, counts[step - 1][rank]);
            assert_memory_equal(again, forward[step - 1][rank], count * sizeof *again);
        }
}

static void the_last_step_of_an_epoch_may_leave_workers_with_less(void **state)
{
    (void)state;
    const sampler s = {.seed = 1, .rows = 35, .workers = 3, .batch = 10};
    uint64_t rows[BATCH_MAX];
    assert_int_equal(sampler_steps_per_epoch(&s), 2);
    assert_int_equal(sampler_rows(&s, 1, 2, rows), 10);
    assert_int_equal(sampler_rows(&s, 2, 0, rows), 5);
    assert_int_equal(sampler_rows(&s, 2, 1, rows), 0);
    assert_int_equal(sampler_rows(&s, 2, 2, rows), 0);
    assert_int_equal(sampler_rows(&s, 3, 2, rows), 10);
}

static void the_largest_numbers_do_not_overflow(void **state)
{
    (void)state;
    const sampler s = {.seed = 1, .rows = UINT64_MAX, .workers = UINT32_MAX, .batch = BATCH_MAX};
    uint64_t global = (uint64_t)UINT32_MAX * BATCH_MAX;
    uint64_t steps = sampler_steps_per_epoch(&s);
    assert_int_equal(steps, UINT64_MAX / global + 1);
    uint64_t left = UINT64_MAX % global, rows[BATCH_MAX];
    assert_int_equal(sampler_rows(&s, steps, 0, rows), left < BATCH_MAX ? left : BATCH_MAX);
    assert_int_equal(sampler_rows(&s, steps, UINT32_MAX - 1, rows), 0);
    assert_int_equal(sampler_rows(&s, UINT64_MAX, 0, rows), BATCH_MAX);

    const sampler widest = {.seed = 1, .rows = UINT64_MAX, .workers = UINT32_MAX, .batch = UINT32_MAX};
    assert_int_equal(sampler_steps_per_epoch(&widest), 2);
}

static void zeros_are_refused_by_name(void **state)
{
    (void)state;
    ps_error error;
    sampler s = {.rows = 1, .workers = 1, .batch = 1};
    assert_int_equal(sampler_check(&s, &error), PS_OK);
    s.rows = 0;
    assert_int_equal(sampler_check(&s, &error), PS_EINVAL);
    assert_non_null(strstr(error.text, "no rows"));
    s = (sampler){.rows = 1, .workers = 0, .batch = 1};
    assert_int_equal(sampler_check(&s, &error), PS_EINVAL);
    assert_non_null(strstr(error.text, "0 workers"));
    s = (sampler){.rows = 1, .workers = 1, .batch = 0};
    assert_int_equal(sampler_check(&s, &error), PS_EINVAL);
    assert_non_null(strstr(error.text, "batch size is 0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_drawn_once_an_epoch),
        cmocka_unit_test(epochs_and_seeds_have_different_orders),
        cmocka_unit_test(the_order_of_an_epoch_does_not_depend_on_how_it_is_shared),
        cmocka_unit_test(every_row_is_drawn_once_an_epoch_also_when_members_change),
        cmocka_unit_test(a_change_to_come_leaves_the_steps_before_it_alone),
        cmocka_unit_test(calls_in_any_order_give_the_same_rows),
        cmocka_unit_test(the_last_step_of_an_epoch_may_leave_workers_with_less),
        cmocka_unit_test(the_largest_numbers_do_not_overflow),
        cmocka_unit_test(zeros_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
