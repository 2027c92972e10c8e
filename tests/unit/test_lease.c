/* Lent memory, counted across threads: worker/lease. */
#include "worker/lease.h"

#include <stdlib.h>

#include "tests/unit/torture.h"
#include "tests/unit/unit.h"

static void lease_is_idle_until_something_is_lent(void **state)
{
    (void)state;
    lease l;
    lease_init(&l);
    assert_true(lease_is_idle(&l));
    assert_true(lease_wait(&l, 0));
    lease_fini(&l);
}

static void buffer_shows_the_lent_memory_itself(void **state)
{
    (void)state;
    const float values[3] = {1, 2, 3};
    lease l;
    lease_init(&l);
    buffer *b = lease_lend(&l, values, sizeof values);
    assert_ptr_equal(buffer_bytes(b), values);
    assert_int_equal(buffer_size(b), sizeof values);
    buffer_unref(&b);
    lease_fini(&l);
}

static void memory_is_lent_until_the_last_reference_is_dropped(void **state)
{
    (void)state;
    const char memory[8] = "";
    lease l;
    lease_init(&l);
    buffer *first = lease_lend(&l, memory, 4);
    buffer *second = lease_lend(&l, memory + 4, 4);
    buffer *again = buffer_ref(first);
    buffer_unref(&first);
    buffer_unref(&second);
    assert_false(lease_is_idle(&l));
    assert_false(lease_wait(&l, 1));
    buffer_unref(&again);
    assert_true(lease_is_idle(&l));
    assert_true(lease_wait(&l, 1));
    lease_fini(&l);
}

static void failed_loan_is_not_counted(void **state)
{
    (void)state;
    lease l;
    lease_init(&l);
    torture_begin(0);
    buffer *b = lease_lend(&l, "x", 1);
    torture_end();
    assert_null(b);
    assert_true(lease_is_idle(&l));
    lease_fini(&l);
}

static void what_was_lent_is_lent_again_without_allocating(void **state)
{
    (void)state;
    enum { LOANS = 8, ROUNDS = 5 };
    buffer *lent[LOANS];
    lease l;
    lease_init(&l);
    for (int round = 0; round < ROUNDS; round++) {
        torture_begin(round == 0 ? LOANS : 0);
        for (int i = 0; i < LOANS; i++)
            lent[i] = lease_lend(&l, "x", 1);
        torture_end();
        for (int i = 0; i < LOANS; i++) {
            assert_non_null(lent[i]);
            buffer_unref(&lent[i]);
        }
    }
    lease_fini(&l);
}

static void *drop(void *argument)
{
    buffer *b = argument;
    buffer_unref(&b);
    return NULL;
}

/* Under ThreadSanitizer this also shows that what other threads read is ordered before the lender's write. */
static void *read_and_drop(void *argument)
{
    buffer *b = argument;
    const int *values = buffer_bytes(b);
    assert_int_equal(values[0] + values[1], 3);
    return drop(b);
}

static void lender_may_write_once_the_wait_is_over(void **state)
{
    (void)state;
    enum { ROUNDS = 50, THREADS = 4 };
    lease *l = malloc(sizeof *l); /* so that AddressSanitizer sees a use after lease_fini */
    assert_non_null(l);
    for (int round = 0; round < ROUNDS; round++) {
        int values[2] = {1, 2};
        pthread_t threads[THREADS];
        lease_init(l);
        for (int i = 0; i < THREADS; i++) {
            buffer *b = lease_lend(l, values, sizeof values);
            assert_int_equal(pthread_create(&threads[i], NULL, read_and_drop, b), 0);
        }
        while (!lease_wait(l, 10000))
            ;
        values[0] = values[1] = -1;
        lease_fini(l);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    free(l);
}

static void lender_that_gave_up_waiting_may_wait_again(void **state)
{
    (void)state;
    enum { ROUNDS = 200 };
    lease l;
    lease_init(&l);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t thread;
        buffer *b = lease_lend(&l, "x", 1), *again = buffer_ref(b);
        buffer_unref(&again);
        assert_int_equal(pthread_create(&thread, NULL, drop, b), 0);
        while (!lease_wait(&l, 0))
            ;
        assert_true(lease_is_idle(&l));
        pthread_join(thread, NULL);
    }
    lease_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lease_is_idle_until_something_is_lent),
        cmocka_unit_test(buffer_shows_the_lent_memory_itself),
        cmocka_unit_test(memory_is_lent_until_the_last_reference_is_dropped),
        cmocka_unit_test(failed_loan_is_not_counted),
        cmocka_unit_test(what_was_lent_is_lent_again_without_allocating),
        cmocka_unit_test(lender_that_gave_up_waiting_may_wait_again),
        cmocka_unit_test(lender_may_write_once_the_wait_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
