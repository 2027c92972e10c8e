/* Images as a model takes them: worker/image_set and its decoders. */
#include "worker/image_set.h"

#include <png.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/folder.h"
#include "worker/image_decode.h"

enum { PIXELS = 6 };

static void holds(const char *path, const float *expected)
{
    image_set set;
    ps_error error;
    float features[PIXELS];
    if (image_set_open(path, PIXELS, &set, &error) != PS_OK)
        fail_msg("%s", error.text);
    assert_int_equal(set.rows, 1);
    assert_false(set.many);
    image_set_gather(&set, 0, features);
    for (int i = 0; i < PIXELS; i++)
        assert_true(features[i] == expected[i]);
    image_set_close(&set);
    image_set_close(&set);
}

static void refused(const char *path, ps_status wanted, const char *text)
{
    image_set set;
    ps_error error;
    ps_status status = image_set_open(path, PIXELS, &set, &error);
    if (status != wanted || strcmp(error.text, text) != 0)
        fail_msg("%s '%s' in place of '%s'", ps_status_name(status), error.text, text);
    assert_null(set.decoded);
}

static void put(const char *text, size_t bytes)
{
    folder_put("image", text, bytes);
}

static const float steps[PIXELS] = {0, 51 / 255.0F, 102 / 255.0F, 153 / 255.0F, 204 / 255.0F, 1};
#define STEPS "\x00\x33\x66\x99\xcc\xff"

static void pgm_is_read_with_comments_and_with_16_bits(void **state)
{
    (void)state;
    put("P5\n3 2\n255\n" STEPS, 11 + PIXELS);
    holds("image", steps);
    put("P5 # a\r# 7 b\n3#\n2 \t 255\n" STEPS, 24 + PIXELS);
    holds("image", steps);
    put("P5 6 1 65535 \0\0\x33\x33\x66\x66\x99\x99\xcc\xcc\xff\xff", 13 + 2 * PIXELS);
    holds("image", steps);
    put("P5 1 6 5 \0\1\2\3\4\5", 9 + PIXELS);
    holds("image", (const float[PIXELS]){0, 1 / 5.0F, 2 / 5.0F, 3 / 5.0F, 4 / 5.0F, 1});
}

static void pgm_that_is_damaged_is_refused(void **state)
{
    (void)state;
    put("P5 3 2 255 " STEPS, 10 + PIXELS);
    refused("image", PS_EFORMAT, "image: truncated: 5 bytes of pixels follow its PGM header, not 6");
    put("P5 3 2 255 " STEPS "\n", 12 + PIXELS);
    refused("image", PS_EFORMAT, "image: too long: 7 bytes of pixels follow its PGM header, not 6");
    put("P5 3 2 9 " STEPS, 9 + PIXELS);
    refused("image", PS_EFORMAT, "image: pixel 1 is 51, above its largest value 9");
    put("P5 3 2 0 " STEPS, 9 + PIXELS);
    refused("image", PS_EFORMAT, "image: its PGM header gives no largest value from 1 to 65535");
    put("P5 99999999999999999999 2 255 ", 30);
    refused("image", PS_EFORMAT, "image: its PGM header gives no width from 1 to 16777216");
    put("P5 3", 4);
    refused("image", PS_EFORMAT, "image: its PGM header gives no height from 1 to 16777216");
    put("P5 3 2 255", 10);
    refused("image", PS_EFORMAT, "image: its PGM header does not end");
    put("P5 # for ever", 13);
    refused("image", PS_EFORMAT, "image: its PGM header gives no width from 1 to 16777216");
    put("P5 16777216 16777216 255 ", 25);
    refused("image", PS_EMISMATCH,
            "image: it has 16777216 x 16777216 = 281474976710656 pixels, the model takes 6");
}

static size_t make_png(uint32_t format, const void *pixels, uint8_t *png, size_t room)
{
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    image.width = 3;
    image.height = 2;
    image.format = format;
    png_alloc_size_t bytes = room;
    assert_true(png_image_write_to_memory(&image, png, &bytes, 0, pixels, 0, NULL));
    return bytes;
}

static void png_is_read_grey_coloured_and_transparent(void **state)
{
    (void)state;
    uint8_t png[1000];
    folder_put("image", png, make_png(PNG_FORMAT_GRAY, STEPS, png, sizeof png));
    holds("image", steps);
    uint8_t rgb[3 * PIXELS];
    for (int i = 0; i < 3 * PIXELS; i++)
        rgb[i] = (uint8_t)STEPS[i / 3];
    folder_put("image", png, make_png(PNG_FORMAT_RGB, rgb, png, sizeof png));
    holds("image", steps);
    static const uint8_t clear[2 * PIXELS] = {255, 0, 255, 255, 255, 0, 255, 255, 255, 0, 255, 255};
    folder_put("image", png, make_png(PNG_FORMAT_GA, clear, png, sizeof png));
    holds("image", (const float[PIXELS]){0, 1, 0, 1, 0, 1});
}

static void png_that_is_cut_anywhere_is_refused(void **state)
{
    (void)state;
    uint8_t png[1000];
    const size_t bytes = make_png(PNG_FORMAT_GRAY, STEPS, png, sizeof png);
    float features[PIXELS];
    ps_error error;
    /* The last chunk of 12 bytes says nothing but that there is no more; libpng does without. */
    for (size_t cut = 8; cut + 12 < bytes; cut++) {
        assert_int_equal(image_decode_png(png, cut, PIXELS, features, &error), PS_EFORMAT);
        assert_non_null(strstr(error.text, "damaged PNG: "));
    }
    assert_int_equal(image_decode_png(png, bytes, PIXELS + 1, features, &error), PS_EMISMATCH);
    assert_string_equal(error.text, "it has 3 x 2 = 6 pixels, the model takes 7");
}

static void idx_file_has_many_images(void **state)
{
    (void)state;
    put("\0\0\x08\x03\0\0\0\2\0\0\0\3\0\0\0\2" STEPS STEPS, 16 + 2 * PIXELS);
    image_set set;
    float features[PIXELS];
    assert_int_equal(image_set_open("image", PIXELS, &set, NULL), PS_OK);
    assert_int_equal(set.rows, 2);
    assert_true(set.many);
    image_set_gather(&set, 1, features);
    assert_memory_equal(features, steps, sizeof features);
    image_set_close(&set);
}

static void what_is_no_image_of_this_size_is_refused_by_name(void **state)
{
    (void)state;
    put("\0\0\x08\x01\0\0\0\1x", 9);
    refused("image", PS_EFORMAT, "image: images need at least 2 dimensions, these have 1");
    put("\0\0\x08\x02\0\0\0\1\0\0\0\2xx", 14);
    refused("image", PS_EMISMATCH, "image: its images have 2 pixels, the model takes 6");
    put("\0\0\x08\x02\0\0\0\1\0\0\0\6xx", 14);
    refused("image", PS_EFORMAT, "image: truncated: holds 14 bytes, its header asks for 18");
    put("\x1f\x8b?", 3);
    image_set set;
    ps_error error;
    assert_int_equal(image_set_open("image", PIXELS, &set, &error), PS_EFORMAT);
    put("GIF89a", 6);
    refused("image", PS_EFORMAT, "image is neither PNG, binary PGM (P5) nor IDX of unsigned bytes");
    put("", 0);
    refused("image", PS_EFORMAT, "image is empty");
    refused("absent", PS_ENOENT, "cannot open absent: No such file or directory");
    refused(".", PS_EFORMAT, ". is not a regular file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(pgm_is_read_with_comments_and_with_16_bits),
        FOLDER_TEST(pgm_that_is_damaged_is_refused),
        FOLDER_TEST(png_is_read_grey_coloured_and_transparent),
        FOLDER_TEST(png_that_is_cut_anywhere_is_refused),
        FOLDER_TEST(idx_file_has_many_images),
        FOLDER_TEST(what_is_no_image_of_this_size_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
