/* Small messages in one frame: common/bundle. */
#include "common/bundle.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/numbers.h"
#include "tests/unit/unit.h"

/* Both sides of where a length gets a second byte. */
static const size_t sizes[] = {0, 1, 127, 128, 129, 1200, 8000};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void fill(bundle_writer *w)
{
    w->used = 0;
    for (size_t i = 0; i < SIZES; i++) {
        uint8_t *header = bundle_add(w, sizes[i]);
        assert_non_null(header);
        memset(header, (int)i, sizes[i]);
    }
}

static void headers_come_out_as_they_went_in(void **state)
{
    (void)state;
    bundle_writer w;
    fill(&w);
    bundle_reader r = {w.bytes, w.bytes + w.used};
    const uint8_t *header;
    size_t bytes;
    assert_true(bundle_is(w.bytes, w.used));
    for (size_t i = 0; i < SIZES; i++) {
        assert_int_equal(bundle_next(&r, &header, &bytes), BUNDLE_HEADER);
        assert_int_equal(bytes, sizes[i]);
        for (size_t k = 0; k < bytes; k++)
            assert_int_equal(header[k], i);
    }
    assert_int_equal(bundle_next(&r, &header, &bytes), BUNDLE_END);
}

static void what_is_too_much_is_left_out(void **state)
{
    (void)state;
    bundle_writer w = {.used = 0};
    assert_null(bundle_add(&w, BUNDLE_BYTES_MAX));
    assert_null(bundle_add(&w, SIZE_MAX));
    assert_int_equal(w.used, 0);
    assert_non_null(bundle_add(&w, BUNDLE_BYTES_MAX - 4));
    assert_int_equal(w.used, BUNDLE_BYTES_MAX);
    assert_null(bundle_add(&w, 0));
}

/* The bytes stand at the end of memory of just their size, for the sanitizer to see. */
static bundle_entry read_to_the_end(const uint8_t *from, size_t count)
{
    uint8_t *exact = malloc(count + 1);
    assert_non_null(exact);
    memcpy(exact, from, count);
    bundle_reader r = {exact, exact + count};
    const uint8_t *header;
    size_t bytes;
    bundle_entry entry;
    while ((entry = bundle_next(&r, &header, &bytes)) == BUNDLE_HEADER) {
        assert_true(header >= exact && header + bytes <= exact + count);
    }
    free(exact);
    return entry;
}

static void a_torn_bundle_is_broken(void **state)
{
    (void)state;
    bundle_writer w;
    fill(&w);
    size_t whole = 0, last = w.used - sizes[SIZES - 1] - 4;
    for (size_t count = 0; count <= w.used; count++)
        whole += read_to_the_end(w.bytes, count) == BUNDLE_END;
    assert_int_equal(whole, SIZES + 1); /* between two entries, or empty */
    assert_int_equal(read_to_the_end(w.bytes, last), BUNDLE_END);
    static const uint8_t long_length[] = {0xc2, 0x3e, 0x81, 0x80, 0x00}, other_tag[] = {0x08, 0x01};
    assert_int_equal(read_to_the_end(long_length, sizeof long_length), BUNDLE_BROKEN);
    assert_int_equal(read_to_the_end(other_tag, sizeof other_tag), BUNDLE_BROKEN);
    assert_false(bundle_is(other_tag, sizeof other_tag));
    assert_false(bundle_is(long_length, 1));
}

static void any_bytes_are_read_within_their_bounds(void **state)
{
    (void)state;
    numbers n = {7};
    for (int round = 0; round < 20000; round++) {
        bundle_writer w;
        fill(&w);
        for (int k = 0; k < 4; k++)
            w.bytes[numbers_between(&n, 0, 300)] = (uint8_t)numbers_word(&n);
        read_to_the_end(w.bytes, numbers_between(&n, 0, 400));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_come_out_as_they_went_in),
        cmocka_unit_test(what_is_too_much_is_left_out),
        cmocka_unit_test(a_torn_bundle_is_broken),
        cmocka_unit_test(any_bytes_are_read_within_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
