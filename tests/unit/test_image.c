/* Images of a shard, ps/image.c: they stay as they were taken while the shard goes on. */
#include "ps/archive.h"

#include <string.h>

#include "tests/unit/cut_sample.h"
#include "tests/unit/torture.h"

typedef struct {
    cut_sample c;
    pool *memory;
    store *store;
} bench;

static void open_bench(bench *b)
{
    cut_sample_open(&b->c, 1, 2, 4096);
    assert_int_equal(pool_create(false, &b->memory), PS_OK);
    assert_int_equal(store_create(&b->c.job, &b->c.map, 0, b->memory, NULL, &b->store), PS_OK);
    store_initialize(b->store);
}

static void close_bench(bench *b)
{
    store_destroy(&b->store);
    pool_destroy(&b->memory);
    cut_sample_close(&b->c);
}

static checkpoint_state make_state(const bench *b)
{
    checkpoint_state s = {.step = 100, .examples = 7, .clock_count = b->c.job.workers};
    s.clocks = calloc(s.clock_count, sizeof *s.clocks);
    return s;
}

static image *take(const bench *b)
{
    checkpoint_state s = make_state(b);
    image *i = image_take(&b->c.job, &b->c.map, 0, b->store, &s);
    assert_non_null(i);
    assert_null(s.clocks); /* is the image's now */
    return i;
}

static void update(bench *b)
{
    buffer *slices[8];
    uint32_t count = partition_server_count(&b->c.map, 0);
    assert_true(count <= 8);
    for (uint32_t i = 0; i < count; i++) {
        slices[i] = buffer_alloc(buffer_size(store_weights(b->store, i)));
        memset(buffer_data(slices[i]), 0x3f, buffer_size(slices[i])); /* 0.747 */
    }
    store_gradient gradient = {.slices = slices, .weight = 1};
    bool finite;
    assert_int_equal(store_apply(b->store, &gradient, 1, 1, &finite), PS_OK);
    for (uint32_t i = 0; i < count; i++)
        buffer_unref(&slices[i]);
}

static void image_holds_weights_and_slots_in_the_order_of_ordinals(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    image *i = take(&b);
    assert_int_equal(i->slices, partition_server_count(&b.c.map, 0));
    assert_int_equal(i->slots, CUT_SLOTS);
    assert_true(i->state.step == 100 && i->state.examples == 7 && i->state.clock_count == 2);
    for (uint32_t ordinal = 0; ordinal < i->slices; ordinal++) {
        buffer **arrays = &i->arrays[ordinal * (1 + CUT_SLOTS)];
        assert_ptr_equal(arrays[0], store_weights(b.store, ordinal));
        assert_ptr_equal(arrays[1], store_slot(b.store, ordinal, 0));
        assert_ptr_equal(arrays[2], store_slot(b.store, ordinal, 1));
    }
    image_destroy(&i);
    assert_null(i);
    image_destroy(&i);
    close_bench(&b);
}

static void updates_do_not_reach_an_image(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    update(&b);
    image *i = take(&b);
    uint32_t count = i->slices * (1 + i->slots);
    char *before[3 * 8] = {NULL};
    for (uint32_t k = 0; k < count; k++) {
        before[k] = malloc(buffer_size(i->arrays[k]));
        memcpy(before[k], buffer_bytes(i->arrays[k]), buffer_size(i->arrays[k]));
    }
    for (int round = 0; round < 4; round++)
        update(&b);
    for (uint32_t k = 0; k < count; k++)
        assert_memory_equal(before[k], buffer_bytes(i->arrays[k]), buffer_size(i->arrays[k]));
    assert_memory_not_equal(before[0], buffer_bytes(store_weights(b.store, 0)), 4);
    assert_memory_not_equal(before[1], buffer_bytes(store_slot(b.store, 0, 0)), 4);
    for (uint32_t k = 0; k < count; k++)
        free(before[k]);
    image_destroy(&i);
    close_bench(&b);
}

static void image_outlives_the_store(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    image *i = take(&b);
    store_destroy(&b.store);
    pool_destroy(&b.memory);
    const float *values = buffer_bytes(i->arrays[0]);
    assert_true(values[0] == 0);
    assert_false(buffer_is_shared(i->arrays[0]));
    image_destroy(&i);
    close_bench(&b);
}

static void without_memory_the_state_stays_the_callers(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    checkpoint_state s = make_state(&b);
    torture_begin(0);
    image *i = image_take(&b.c.job, &b.c.map, 0, b.store, &s);
    torture_end();
    assert_null(i);
    assert_non_null(s.clocks);
    checkpoint_state_fini(&s);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_holds_weights_and_slots_in_the_order_of_ordinals),
        cmocka_unit_test(updates_do_not_reach_an_image),
        cmocka_unit_test(image_outlives_the_store),
        cmocka_unit_test(without_memory_the_state_stays_the_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
