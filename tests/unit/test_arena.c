/* The bounded memory of common/arena. */
#include "common/arena.h"

#include <string.h>

#include "tests/unit/torture.h"
#include "tests/unit/unit.h"

static void *take(arena *a, size_t bytes)
{
    return a->allocator.alloc(a->allocator.allocator_data, bytes);
}

static void pieces_are_aligned_and_do_not_overlap(void **state)
{
    (void)state;
    enum { PIECES = 3000 };
    static unsigned char *pieces[PIECES];
    arena a;
    arena_init(&a, 1 << 24);
    for (size_t i = 0; i < PIECES; i++) {
        size_t bytes = 1 + i * 7 % 500;
        pieces[i] = take(&a, bytes);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)(i % 251), bytes);
    }
    for (size_t i = 0; i < PIECES; i++) {
        size_t bytes = 1 + i * 7 % 500;
        for (size_t k = 0; k < bytes; k++)
            assert_int_equal(pieces[i][k], i % 251);
    }
    arena_fini(&a);
}

static void first_bytes_come_without_the_heap(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 1 << 20);
    torture_begin(0);
    void *fits = take(&a, ARENA_FIRST_BYTES);
    void *does_not = take(&a, 1);
    torture_end();
    assert_ptr_equal(fits, a.first);
    assert_null(does_not);
    assert_non_null(take(&a, 1)); /* a failed allocation leaves the arena usable */
    arena_fini(&a);
}

static void piece_larger_than_a_chunk_gets_its_own(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 8 << 20);
    unsigned char *large = take(&a, 5 << 20);
    assert_non_null(large);
    memset(large, 1, 5 << 20);
    assert_non_null(take(&a, 1 << 20));
    arena_fini(&a);
}

static void nothing_is_given_beyond_the_limit(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 1 << 20);
    assert_null(take(&a, (1 << 20) + 1));
    assert_null(take(&a, SIZE_MAX));
    assert_non_null(take(&a, 1 << 19));
    assert_null(take(&a, (1 << 19) + 1));
    assert_non_null(take(&a, 1 << 19));
    assert_null(take(&a, 1));
    arena_fini(&a);
}

static void tiny_pieces_count_as_what_they_take(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 1 << 20);
    size_t given = 0;
    while (take(&a, 1))
        given++;
    assert_int_equal(given, (1 << 20) / 16);
    arena_fini(&a);
}

static void freeing_a_piece_is_nothing(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 1 << 10);
    unsigned char *piece = take(&a, 16);
    a.allocator.free(a.allocator.allocator_data, piece);
    assert_ptr_not_equal(take(&a, 16), piece);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_do_not_overlap),
        cmocka_unit_test(first_bytes_come_without_the_heap),
        cmocka_unit_test(piece_larger_than_a_chunk_gets_its_own),
        cmocka_unit_test(nothing_is_given_beyond_the_limit),
        cmocka_unit_test(tiny_pieces_count_as_what_they_take),
        cmocka_unit_test(freeing_a_piece_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
