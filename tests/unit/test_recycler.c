/* Blocks that are used again: common/recycler. */
#include "common/recycler.h"

#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/torture.h"
#include "tests/unit/unit.h"

static void blocks_are_whole_and_aligned(void **state)
{
    (void)state;
    void *blocks[40];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 40; i++) {
            size_t bytes = i * i * i * 5; /* to beyond what is kept */
            blocks[i] = recycler_take(bytes);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
            memset(blocks[i], (int)i, bytes);
        }
        for (size_t i = 0; i < 40; i++) {
            for (size_t k = 0; k < i * i * i * 5; k++)
                assert_int_equal(((unsigned char *)blocks[i])[k], i);
            recycler_give(blocks[i]);
        }
    }
    recycler_give(NULL);
}

static void block_given_back_is_taken_for_a_similar_size(void **state)
{
    (void)state;
    if (!RECYCLER_KEEPS)
        return;
    void *first = recycler_take(1000);
    recycler_give(first);
    void *other = recycler_take(100), *again = recycler_take(1024);
    assert_ptr_equal(again, first);
    assert_ptr_not_equal(other, first);
    recycler_give(again);
    recycler_give(other);
}

/* How many of `count` blocks need no allocation when they are taken a second time? */
static long kept_of(int count, size_t bytes)
{
    static void *blocks[2 * RECYCLER_KEPT_MAX];
    for (int i = 0; i < count; i++)
        blocks[i] = recycler_take(bytes);
    for (int i = 0; i < count; i++)
        recycler_give(blocks[i]);
    torture_begin(LONG_MAX);
    for (int i = 0; i < count; i++)
        blocks[i] = recycler_take(bytes);
    torture_end();
    for (int i = 0; i < count; i++)
        recycler_give(blocks[i]);
    return count - torture_count();
}

static void what_is_kept_is_bounded_in_number_and_bytes(void **state)
{
    (void)state;
    assert_int_equal(kept_of(2 * RECYCLER_KEPT_MAX, 64), RECYCLER_KEEPS * RECYCLER_KEPT_MAX);
    assert_int_equal(kept_of(100, RECYCLER_BLOCK_BYTES_MAX),
                     RECYCLER_KEEPS * RECYCLER_KEPT_BYTES_MAX / RECYCLER_BLOCK_BYTES_MAX);
    assert_int_equal(kept_of(10, RECYCLER_BLOCK_BYTES_MAX + 1), 0);
}

static void lack_of_memory_is_told(void **state)
{
    (void)state;
    torture_begin(0);
    void *block = recycler_take(RECYCLER_BLOCK_BYTES_MAX + 1);
    torture_end();
    assert_null(block);
    assert_null(recycler_take(SIZE_MAX));
}

static void *take_and_give(void *given)
{
    recycler_give(given);
    for (int i = 0; i < 1000; i++) {
        void *a = recycler_take(200), *b = recycler_take(300);
        memset(a, 1, 200);
        memset(b, 2, 300);
        recycler_give(a);
        recycler_give(b);
    }
    return recycler_take(200);
}

static void blocks_may_pass_from_thread_to_thread(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, recycler_take(200)), 0);
    for (int i = 0; i < 4; i++) {
        void *block;
        pthread_join(threads[i], &block);
        memset(block, 3, 200);
        recycler_give(block);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_whole_and_aligned),
        cmocka_unit_test(block_given_back_is_taken_for_a_similar_size),
        cmocka_unit_test(what_is_kept_is_bounded_in_number_and_bytes),
        cmocka_unit_test(lack_of_memory_is_told),
        cmocka_unit_test(blocks_may_pass_from_thread_to_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
