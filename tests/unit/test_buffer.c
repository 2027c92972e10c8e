/* Reference counts of common/buffer. */
#include "common/buffer.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "tests/unit/unit.h"

static void count_release(void *data, void *context)
{
    (void)data;
    ++*(int *)context;
}

static void last_unref_releases_once_and_nulls_the_handle(void **state)
{
    (void)state;
    int released = 0;
    char memory[8];
    buffer *first = buffer_wrap(memory, sizeof memory, count_release, &released);
    buffer *second = buffer_ref(first);
    assert_true(buffer_is_shared(first));
    buffer_unref(&first);
    assert_null(first);
    assert_int_equal(released, 0);
    assert_false(buffer_is_shared(second));
    buffer_unref(&second);
    assert_int_equal(released, 1);
    buffer_unref(&second);
    assert_int_equal(released, 1);
}

static void allocated_bytes_are_aligned_to_64(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes < 200; bytes += 7) {
        buffer *b = buffer_alloc(bytes);
        assert_non_null(b);
        assert_int_equal(buffer_size(b), bytes);
        assert_int_equal((uintptr_t)buffer_data(b) % 64, 0);
        memset(buffer_data(b), 0xff, bytes);
        assert_int_equal(buffer_size(b), bytes);
        assert_false(buffer_is_shared(b));
        buffer_unref(&b);
    }
}

static void impossible_size_is_refused(void **state)
{
    (void)state;
    assert_null(buffer_alloc(SIZE_MAX));
    assert_null(buffer_alloc(SIZE_MAX - 64));
}

/* Scribbles over the place, as whoever uses it again would. */
static void reuse_place(void *data, void *context)
{
    (void)data;
    memset(context, 0xff, sizeof(buffer_place));
}

static void buffer_in_a_place_is_the_callers_again_when_it_is_released(void **state)
{
    (void)state;
    buffer_place place;
    char memory[8];
    for (int i = 0; i < 2; i++) {
        buffer *b = buffer_wrap_at(&place, memory, sizeof memory, reuse_place, &place);
        assert_ptr_equal(buffer_data(b), memory);
        assert_int_equal(buffer_size(b), sizeof memory);
        buffer *again = buffer_ref(b);
        buffer_unref(&b);
        assert_false(buffer_is_shared(again));
        buffer_unref(&again);
        assert_int_equal(place.bytes[0], 0xff);
    }
}

static void *drop(void *argument)
{
    buffer *b = argument;
    buffer_unref(&b);
    return NULL;
}

static void references_may_be_dropped_on_any_thread(void **state)
{
    (void)state;
    int released = 0;
    char memory[8];
    buffer *b = buffer_wrap(memory, sizeof memory, count_release, &released);
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, drop, buffer_ref(b)), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_false(buffer_is_shared(b));
    buffer_unref(&b);
    assert_int_equal(released, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_unref_releases_once_and_nulls_the_handle),
        cmocka_unit_test(allocated_bytes_are_aligned_to_64),
        cmocka_unit_test(impossible_size_is_refused),
        cmocka_unit_test(buffer_in_a_place_is_the_callers_again_when_it_is_released),
        cmocka_unit_test(references_may_be_dropped_on_any_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
