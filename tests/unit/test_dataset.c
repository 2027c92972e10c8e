/* The IDX format (worker/idx) and the pair of files that makes a data set (worker/dataset). */
#include "worker/dataset.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/folder.h"
#include "tests/unit/unit.h"
#include "worker/idx.h"

/* ---- Making IDX ---- */

enum { ROWS = 5, HEIGHT = 2, WIDTH = 3, PIXELS = HEIGHT * WIDTH };

typedef struct {
    uint8_t bytes[256];
    size_t size;
} blob;

static void append(blob *b, const void *bytes, size_t size)
{
    assert_true(b->size + size <= sizeof b->bytes);
    memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
}

static blob idx_header(uint8_t rank, const uint32_t *shape)
{
    blob b = {.bytes = {0, 0, 0x08, rank}, .size = 4};
    for (uint8_t i = 0; i < rank; i++) {
        const uint8_t big_endian[4] = {(uint8_t)(shape[i] >> 24), (uint8_t)(shape[i] >> 16),
                                       (uint8_t)(shape[i] >> 8), (uint8_t)shape[i]};
        append(&b, big_endian, 4);
    }
    return b;
}

/* ROWS images; pixel p of row r is 10 r + p, but the last is 255. */
static blob make_images(void)
{
    blob b = idx_header(3, (const uint32_t[]){ROWS, HEIGHT, WIDTH});
    for (int row = 0; row < ROWS; row++)
        for (int p = 0; p < PIXELS; p++)
            append(&b, &(uint8_t){(uint8_t)(10 * row + p)}, 1);
    b.bytes[b.size - 1] = 255;
    return b;
}

static const uint8_t sample_labels[ROWS] = {3, 0, 7, 7, 1};

static blob make_labels(void)
{
    blob b = idx_header(1, (const uint32_t[]){ROWS});
    append(&b, sample_labels, ROWS);
    return b;
}

static void put(const char *path, blob b)
{
    folder_put(path, b.bytes, b.size);
}

static void put_train_pair(void)
{
    put("train-images-idx3-ubyte", make_images());
    put("train-labels-idx1-ubyte", make_labels());
}

static void run(const char *command)
{
    assert_int_equal(system(command), 0);
}

/* ---- idx_parse ---- */

static void parse_fails(blob b, const char *reason)
{
    idx_view view;
    ps_error error;
    assert_int_equal(idx_parse(b.bytes, b.size, &view, &error), PS_EFORMAT);
    assert_string_equal(error.text, reason);
}

static void a_view_has_shape_row_size_and_rows(void **state)
{
    (void)state;
    blob b = make_images();
    idx_view view;
    assert_int_equal(idx_parse(b.bytes, b.size, &view, NULL), PS_OK);
    assert_int_equal(view.rank, 3);
    assert_int_equal(view.shape[0], ROWS);
    assert_int_equal(view.shape[1], HEIGHT);
    assert_int_equal(view.shape[2], WIDTH);
    assert_int_equal(view.row_bytes, PIXELS);
    assert_ptr_equal(view.rows, b.bytes + 16);
    b = make_labels();
    assert_int_equal(idx_parse(b.bytes, b.size, &view, NULL), PS_OK);
    assert_int_equal(view.row_bytes, 1);
}

static void a_wrong_magic_type_or_rank_is_refused(void **state)
{
    (void)state;
    blob b = make_images();
    b.bytes[1] = 0x8b;
    parse_fails(b, "not an IDX file: it begins with 0x008b, not with two zero bytes");
    b = make_images();
    b.bytes[2] = 0x0d;
    parse_fails(b, "IDX type 0x0d; only 0x08, unsigned bytes, is supported");
    b = make_images();
    b.bytes[3] = 0;
    parse_fails(b, "IDX rank 0 is not within 1 ... 4");
    b.bytes[3] = 5;
    parse_fails(b, "IDX rank 5 is not within 1 ... 4");
}

static void every_wrong_size_is_refused_with_both_sizes(void **state)
{
    (void)state;
    blob whole = make_images();
    for (size_t size = 0; size < whole.size; size++) {
        /* On the heap, so that a sanitizer sees a read beyond the end. */
        uint8_t *cut = malloc(size ? size : 1);
        memcpy(cut, whole.bytes, size);
        idx_view view;
        assert_int_equal(idx_parse(cut, size, &view, NULL), PS_EFORMAT);
        free(cut);
    }
    blob b = whole;
    b.size = 3;
    parse_fails(b, "3 bytes are too few for an IDX header");
    b.size = 15;
    parse_fails(b, "truncated: holds 15 bytes, its IDX header alone takes 16");
    b.size = whole.size - 1;
    parse_fails(b, "truncated: holds 45 bytes, its header asks for 46");
    b.size = whole.size + 1;
    parse_fails(b, "too long: holds 47 bytes, its header asks for 46");
}

static void an_empty_or_overflowing_shape_is_refused(void **state)
{
    (void)state;
    parse_fails(idx_header(3, (const uint32_t[]){0, 28, 28}), "empty: dimension 0 of 3 is zero");
    parse_fails(idx_header(3, (const uint32_t[]){60000, 28, 0}), "empty: dimension 2 of 3 is zero");
    const uint32_t most = UINT32_MAX;
    parse_fails(idx_header(4, (const uint32_t[]){most, most, most, most}),
                "the product of its dimensions is beyond 64 bits");
    parse_fails(idx_header(4, (const uint32_t[]){1U << 31, 1U << 31, 4, 1}),
                "the product of its dimensions is beyond 64 bits");
}

/* ---- idx_inflate ---- */

/* What `gzip` makes of the blob, with `options`. */
static blob gzip(blob plain, const char *options)
{
    char command[100];
    put("plain", plain);
    snprintf(command, sizeof command, "gzip -n %s < plain > packed", options);
    run(command);
    blob packed;
    FILE *file = fopen("packed", "rb");
    assert_non_null(file);
    packed.size = fread(packed.bytes, 1, sizeof packed.bytes, file);
    fclose(file);
    assert_true(packed.size < sizeof packed.bytes);
    return packed;
}

static ps_status inflate_blob(blob packed, ps_error *error)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    uint8_t *exact = malloc(packed.size ? packed.size : 1);
    memcpy(exact, packed.bytes, packed.size);
    ps_status status = idx_inflate(exact, packed.size, &bytes, &size, error);
    free(exact);
    free(bytes);
    return status;
}

static void inflate_fails(blob packed, ps_status expected, const char *reason)
{
    ps_error error;
    assert_int_equal(inflate_blob(packed, &error), expected);
    assert_string_equal(error.text, reason);
}

static void gzip_of_any_level_inflates_to_the_same_bytes(void **state)
{
    (void)state;
    const char *levels[] = {"-1", "-6", "-9"};
    blob plain = make_images();
    for (int i = 0; i < 3; i++) {
        blob packed = gzip(plain, levels[i]);
        uint8_t *bytes = NULL;
        size_t size = 0;
        assert_int_equal(idx_inflate(packed.bytes, packed.size, &bytes, &size, NULL), PS_OK);
        assert_int_equal(size, plain.size);
        assert_memory_equal(bytes, plain.bytes, size);
        free(bytes);
    }
}

static void gzip_cut_anywhere_is_refused(void **state)
{
    (void)state;
    blob packed = gzip(make_images(), "");
    for (size_t size = packed.size; size-- > 0;) {
        packed.size = size;
        inflate_fails(packed, PS_EFORMAT, "truncated: its gzip stream ends early");
    }
}

static void gzip_damage_is_refused(void **state)
{
    (void)state;
    blob packed = gzip(make_images(), "");
    blob b = packed;
    b.bytes[b.size - 8] ^= 1; /* the checksum */
    inflate_fails(b, PS_EFORMAT, "damaged gzip data: incorrect data check");
    b = packed;
    b.bytes[b.size - 1] ^= 1; /* the length */
    inflate_fails(b, PS_EFORMAT, "damaged gzip data: incorrect length check");
    inflate_fails(make_images(), PS_EFORMAT, "damaged gzip data: incorrect header check");
    /* Any byte of the compressed data; the last may hold unused bits. */
    for (size_t i = 10; i + 9 < packed.size; i++) {
        b = packed;
        b.bytes[i] ^= 0x10;
        assert_int_not_equal(inflate_blob(b, NULL), PS_OK);
    }
}

static void gzip_with_something_after_its_end_is_refused(void **state)
{
    (void)state;
    blob packed = gzip(make_images(), "");
    append(&packed, "xyz", 3);
    inflate_fails(packed, PS_EFORMAT, "3 bytes follow the end of its gzip stream");
}

static void gzip_that_differs_from_its_header_is_refused(void **state)
{
    (void)state;
    blob plain = make_images();
    plain.size--;
    inflate_fails(gzip(plain, ""), PS_EFORMAT, "truncated: inflates to 45 bytes, its header asks for 46");
    plain.size = 16;
    inflate_fails(gzip(plain, ""), PS_EFORMAT, "truncated: inflates to 16 bytes, its header asks for 46");
    plain.size = 9;
    inflate_fails(gzip(plain, ""), PS_EFORMAT, "truncated: holds 9 bytes, its IDX header alone takes 16");
    plain.size = 2;
    inflate_fails(gzip(plain, ""), PS_EFORMAT, "2 bytes are too few for an IDX header");
    plain.size = 47; /* one more is seen to its end, many more are not */
    inflate_fails(gzip(plain, ""), PS_EFORMAT,
                  "too long: inflates to more than the 46 bytes that its header asks for");
    plain.size = 200;
    inflate_fails(gzip(plain, ""), PS_EFORMAT,
                  "too long: inflates to more than the 46 bytes that its header asks for");
}

static void a_header_that_asks_for_too_much_is_refused_before_memory_is_taken(void **state)
{
    (void)state;
    blob huge = idx_header(3, (const uint32_t[]){UINT32_MAX, 28, 28});
    inflate_fails(gzip(huge, ""), PS_ELIMIT,
                  "its header asks for 3367254359296 bytes, more than the 4294967294 that are inflated into "
                  "memory; unpack it with gunzip");
    blob large = idx_header(3, (const uint32_t[]){60000, 28, 28});
    ps_error error;
    assert_int_equal(inflate_blob(gzip(large, ""), &error), PS_EFORMAT);
    assert_non_null(strstr(error.text, "truncated: its header asks for 47040016 bytes, which "));
}

/* ---- dataset ---- */

static void check_sample(const dataset *d)
{
    assert_int_equal(dataset_rows(d), ROWS);
    assert_int_equal(dataset_features(d), PIXELS);
    const uint64_t rows[] = {4, 0, 4};
    float features[3 * PIXELS];
    uint32_t labels[3];
    dataset_gather(d, rows, 3, features, labels);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(labels[i], sample_labels[rows[i]]);
        for (uint64_t p = 0; p < PIXELS; p++) {
            uint64_t pixel = rows[i] == 4 && p == PIXELS - 1 ? 255 : 10 * rows[i] + p;
            assert_true(features[(uint64_t)i * PIXELS + p] == (float)pixel / 255.0F);
        }
    }
    assert_true(features[PIXELS - 1] == 1.0F);
    assert_true(features[PIXELS] == 0.0F);
}

static void open_and_check(dataset_part part)
{
    dataset *d = NULL;
    ps_error error = {.text = ""};
    ps_status status = dataset_open(".", part, 0, &d, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(status, PS_OK);
    check_sample(d);
    assert_int_equal(dataset_classes(d), 8);
    dataset_close(&d);
    assert_null(d);
    dataset_close(&d);
}

static void every_spelling_of_the_names_is_found(void **state)
{
    (void)state;
    put_train_pair();
    open_and_check(DATASET_TRAIN);
    run("gzip train-images-idx3-ubyte");
    open_and_check(DATASET_TRAIN);
    run("gzip train-labels-idx1-ubyte");
    open_and_check(DATASET_TRAIN);
    run("mv train-images-idx3-ubyte.gz t10k-images.idx3-ubyte.gz");
    run("mv train-labels-idx1-ubyte.gz t10k-labels.idx1-ubyte.gz");
    open_and_check(DATASET_TEST);
    run("gunzip t10k-images.idx3-ubyte.gz t10k-labels.idx1-ubyte.gz");
    open_and_check(DATASET_TEST);
}

static void absent_files_are_named_with_all_their_spellings(void **state)
{
    (void)state;
    dataset *d;
    ps_error error;
    assert_int_equal(dataset_open("nowhere", DATASET_TEST, 0, &d, &error), PS_ENOENT);
    assert_string_equal(error.text,
                        "no t10k-images-idx3-ubyte in nowhere (tried also t10k-images.idx3-ubyte, "
                        "and either with .gz)");
    assert_null(d);
    put("train-images-idx3-ubyte", make_images());
    assert_int_equal(dataset_open(".", DATASET_TRAIN, 0, &d, &error), PS_ENOENT);
    assert_non_null(strstr(error.text, "no train-labels-idx1-ubyte in ."));
    assert_null(d);
}

static void train_fails(uint32_t classes, ps_status expected, const char *reason)
{
    dataset *d;
    ps_error error;
    assert_int_equal(dataset_open(".", DATASET_TRAIN, classes, &d, &error), expected);
    assert_string_equal(error.text, reason);
    assert_null(d);
}

static void labels_must_match_images_and_classes(void **state)
{
    (void)state;
    put_train_pair();
    dataset *d;
    assert_int_equal(dataset_open(".", DATASET_TRAIN, 8, &d, NULL), PS_OK);
    assert_int_equal(dataset_classes(d), 8);
    dataset_close(&d);
    assert_int_equal(dataset_open(".", DATASET_TRAIN, 10, &d, NULL), PS_OK);
    assert_int_equal(dataset_classes(d), 10);
    dataset_close(&d);
    train_fails(7, PS_EFORMAT, "./train-labels-idx1-ubyte: label 7 of row 2 is not below the 7 classes");

    blob fewer = idx_header(1, (const uint32_t[]){ROWS - 1});
    append(&fewer, sample_labels, ROWS - 1);
    put("train-labels-idx1-ubyte", fewer);
    train_fails(0, PS_EFORMAT,
                "./train-labels-idx1-ubyte holds 4 labels, but ./train-images-idx3-ubyte holds 5 images");
}

static void images_and_labels_may_not_be_swapped(void **state)
{
    (void)state;
    put("train-images-idx3-ubyte", make_labels());
    put("train-labels-idx1-ubyte", make_images());
    train_fails(0, PS_EFORMAT, "./train-images-idx3-ubyte: images need at least 2 dimensions, these have 1");
    put("train-images-idx3-ubyte", make_images());
    train_fails(0, PS_EFORMAT, "./train-labels-idx1-ubyte: labels need 1 dimension, these have 3");
}

static void damaged_files_are_refused_by_name(void **state)
{
    (void)state;
    put_train_pair();
    blob cut = make_images();
    cut.size = 20;
    put("train-images-idx3-ubyte", cut);
    train_fails(0, PS_EFORMAT,
                "./train-images-idx3-ubyte: truncated: holds 20 bytes, its header asks for 46");
    put("train-images-idx3-ubyte", (blob){.size = 0});
    train_fails(0, PS_EFORMAT, "./train-images-idx3-ubyte is empty");
    run("rm train-images-idx3-ubyte; mkdir train-images-idx3-ubyte");
    train_fails(0, PS_EFORMAT, "./train-images-idx3-ubyte is not a regular file");
    run("rmdir train-images-idx3-ubyte; echo text > train-images-idx3-ubyte.gz");
    train_fails(0, PS_EFORMAT, "./train-images-idx3-ubyte.gz: damaged gzip data: incorrect header check");
}

static void *gather_often(void *argument)
{
    for (int i = 0; i < 100; i++)
        check_sample(argument);
    return NULL;
}

static void threads_may_gather_at_once(void **state)
{
    (void)state;
    put_train_pair();
    dataset *d;
    assert_int_equal(dataset_open(".", DATASET_TRAIN, 0, &d, NULL), PS_OK);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, gather_often, d), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    dataset_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_has_shape_row_size_and_rows),
        cmocka_unit_test(a_wrong_magic_type_or_rank_is_refused),
        cmocka_unit_test(every_wrong_size_is_refused_with_both_sizes),
        cmocka_unit_test(an_empty_or_overflowing_shape_is_refused),
        FOLDER_TEST(gzip_of_any_level_inflates_to_the_same_bytes),
        FOLDER_TEST(gzip_cut_anywhere_is_refused),
        FOLDER_TEST(gzip_damage_is_refused),
        FOLDER_TEST(gzip_with_something_after_its_end_is_refused),
        FOLDER_TEST(gzip_that_differs_from_its_header_is_refused),
        FOLDER_TEST(a_header_that_asks_for_too_much_is_refused_before_memory_is_taken),
        FOLDER_TEST(every_spelling_of_the_names_is_found),
        FOLDER_TEST(absent_files_are_named_with_all_their_spellings),
        FOLDER_TEST(labels_must_match_images_and_classes),
        FOLDER_TEST(images_and_labels_may_not_be_swapped),
        FOLDER_TEST(damaged_files_are_refused_by_name),
        FOLDER_TEST(threads_may_gather_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
