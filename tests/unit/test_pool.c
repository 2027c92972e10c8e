/* Buffers that are used again, common/pool, and the attachments of those who read them, common/attachments.
 */
#include "common/pool.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "common/attachments.h"
#include "tests/unit/torture.h"
#include "tests/unit/unit.h"

static pool *make(bool sharing)
{
    pool *p;
    assert_int_equal(pool_create(sharing, &p), PS_OK);
    return p;
}

static void buffers_are_aligned_and_apart(void **state)
{
    (void)state;
    for (int sharing = 0; sharing < 2; sharing++) {
        pool *p = make(sharing);
        buffer *taken[100];
        for (int i = 0; i < 100; i++) {
            taken[i] = pool_take(p, (size_t)i * 37);
            assert_non_null(taken[i]);
            assert_int_equal(buffer_size(taken[i]), i * 37);
            assert_int_equal((uintptr_t)buffer_data(taken[i]) % 64, 0);
            memset(buffer_data(taken[i]), i, (size_t)i * 37);
        }
        for (int i = 0; i < 100; i++) {
            const unsigned char *bytes = buffer_bytes(taken[i]);
            for (int k = 0; k < i * 37; k++)
                assert_int_equal(bytes[k], i);
            buffer_unref(&taken[i]);
        }
        pool_destroy(&p);
        assert_null(p);
    }
}

static void memory_given_back_is_used_again(void **state)
{
    (void)state;
    pool *p = make(true);
    buffer *a = pool_take(p, 1000), *b = pool_take(p, 5000);
    void *first = buffer_data(a), *second = buffer_data(b);
    buffer_unref(&a);
    buffer_unref(&b);
    b = pool_take(p, 5000);
    a = pool_take(p, 961); /* of as many lines as 1000 */
    assert_ptr_equal(buffer_data(a), first);
    assert_ptr_equal(buffer_data(b), second);
    buffer_unref(&a);
    buffer_unref(&b);
    pool_destroy(&p);
}

static void buffers_of_a_sharing_pool_can_be_located(void **state)
{
    (void)state;
    pool *p = make(true);
    buffer *b = pool_take(p, 1000);
    segment_name name, sample;
    uint64_t offset;
    assert_true(pool_locate(p, buffer_bytes(b), 1000, &name, &offset));
    assert_true(pool_sample(p, &sample));
    assert_int_equal(sample.fd, name.fd);
    assert_true(offset >= SEGMENT_HEAD_BYTES);
    assert_true(offset + 1000 <= name.bytes);
    uint64_t later;
    assert_true(pool_locate(p, (const char *)buffer_bytes(b) + 8, 4, &name, &later));
    assert_int_equal(later, offset + 8);
    int local;
    assert_false(pool_locate(p, &local, sizeof local, &name, &offset));
    assert_false(pool_locate(p, buffer_bytes(b), SIZE_MAX, &name, &offset));
    buffer_unref(&b);
    pool_destroy(&p);
}

static void buffers_of_an_ordinary_pool_can_not(void **state)
{
    (void)state;
    pool *p = make(false);
    buffer *b = pool_take(p, 1000);
    segment_name name;
    uint64_t offset;
    assert_false(pool_locate(p, buffer_bytes(b), 1000, &name, &offset));
    assert_false(pool_sample(p, &name));
    buffer_unref(&b);
    pool_destroy(&p);
}

static void pool_grows_by_segments(void **state)
{
    (void)state;
    pool *p = make(true);
    buffer *taken[8];
    uint32_t fds[8];
    for (int i = 0; i < 8; i++) { /* of 64 MiB segments and twice that: untouched, they cost nothing */
        segment_name name;
        uint64_t offset;
        taken[i] = pool_take(p, 40 << 20);
        assert_non_null(taken[i]);
        assert_true(pool_locate(p, buffer_bytes(taken[i]), 40 << 20, &name, &offset));
        fds[i] = name.fd;
    }
    assert_int_not_equal(fds[0], fds[1]);
    assert_int_equal(fds[1], fds[2]);
    for (int i = 0; i < 8; i++)
        buffer_unref(&taken[i]);
    pool_destroy(&p);
}

static void pool_waits_for_its_last_buffer(void **state)
{
    (void)state;
    pool *p = make(true);
    buffer *b = pool_take(p, 1000), *c = pool_take(p, 1000);
    pool_destroy(&p);
    assert_null(p);
    buffer_unref(&c);
    memset(buffer_data(b), 1, 1000);
    buffer_unref(&b);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    pool *p = make(true);
    assert_null(pool_take(p, SIZE_MAX));
    assert_null(pool_take(p, SIZE_MAX - 64));
    pool_destroy(&p);
}

static void pool_survives_each_failing_allocation(void **state)
{
    (void)state;
    bool done = false;
    for (long allowed = 0; !done; allowed++) {
        assert_true(allowed < 20);
        torture_begin(allowed);
        pool *p;
        buffer *b = NULL;
        if (pool_create(true, &p) == PS_OK)
            b = pool_take(p, 100);
        torture_end();
        done = b != NULL;
        buffer_unref(&b);
        pool_destroy(&p);
    }
}

static void *churn(void *context)
{
    for (int i = 0; i < 2000; i++) {
        buffer *b = pool_take(context, 64 + (size_t)(i % 7) * 64);
        memset(buffer_data(b), i, buffer_size(b));
        buffer_unref(&b);
    }
    return NULL;
}

static void threads_may_take_and_give_back_at_once(void **state)
{
    (void)state;
    pool *p = make(true);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, p), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    pool_destroy(&p);
}

/* ---- attachments ---- */

static void attached_buffers_are_the_owners_memory(void **state)
{
    (void)state;
    pool *p = make(true);
    attachments *a;
    assert_int_equal(attachments_create(&a), PS_OK);
    buffer *own = pool_take(p, 1000);
    segment_name name;
    uint64_t offset;
    assert_true(pool_locate(p, buffer_bytes(own), 1000, &name, &offset));
    assert_null(attachments_buffer(a, &name, offset, 1000)); /* not added yet */
    assert_int_equal(attachments_add(a, &name, NULL), PS_OK);
    assert_int_equal(attachments_add(a, &name, NULL), PS_OK);
    buffer *seen = attachments_buffer(a, &name, offset, 1000);
    assert_non_null(seen);
    strcpy(buffer_data(own), "written later");
    assert_string_equal(buffer_bytes(seen), "written later");
    attachments_sweep(a); /* its owner lives */
    assert_string_equal(buffer_bytes(seen), "written later");
    buffer_unref(&seen);
    buffer_unref(&own);
    attachments_destroy(&a);
    assert_null(a);
    pool_destroy(&p);
}

static void ranges_outside_a_segment_are_refused(void **state)
{
    (void)state;
    pool *p = make(true);
    attachments *a;
    segment_name name;
    assert_int_equal(attachments_create(&a), PS_OK);
    assert_true(pool_sample(p, &name));
    assert_int_equal(attachments_add(a, &name, NULL), PS_OK);
    assert_null(attachments_buffer(a, &name, 0, 8)); /* the head holds the token */
    assert_null(attachments_buffer(a, &name, name.bytes - 4, 8));
    assert_null(attachments_buffer(a, &name, name.bytes + 1, 0));
    assert_null(attachments_buffer(a, &name, UINT64_MAX, 8));
    attachments_destroy(&a);
    pool_destroy(&p);
}

static void segment_that_cannot_be_mapped_is_no_attachment(void **state)
{
    (void)state;
    attachments *a;
    assert_int_equal(attachments_create(&a), PS_OK);
    const segment_name name = {.pid = 1, .fd = 9999, .bytes = 8192};
    ps_error error;
    assert_int_equal(attachments_add(a, &name, &error), PS_EIO);
    assert_null(attachments_buffer(a, &name, 4096, 8));
    attachments_destroy(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_are_aligned_and_apart),
        cmocka_unit_test(memory_given_back_is_used_again),
        cmocka_unit_test(buffers_of_a_sharing_pool_can_be_located),
        cmocka_unit_test(buffers_of_an_ordinary_pool_can_not),
        cmocka_unit_test(pool_grows_by_segments),
        cmocka_unit_test(pool_waits_for_its_last_buffer),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(pool_survives_each_failing_allocation),
        cmocka_unit_test(threads_may_take_and_give_back_at_once),
        cmocka_unit_test(attached_buffers_are_the_owners_memory),
        cmocka_unit_test(ranges_outside_a_segment_are_refused),
        cmocka_unit_test(segment_that_cannot_be_mapped_is_no_attachment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
