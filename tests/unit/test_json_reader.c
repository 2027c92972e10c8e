/* JSON read without a tree: common/json_reader. */
#include "common/json_reader.h"

#include <string.h>

#include "common/json.h"
#include "tests/unit/unit.h"

static json_reader reader_of(const char *text)
{
    json_reader r;
    json_reader_init(&r, text, strlen(text));
    return r;
}

static void assert_failed(json_reader *r, const char *message)
{
    ps_error error;
    assert_true(r->failed);
    assert_int_equal(json_reader_fail(r, "it", &error), PS_EFORMAT);
    assert_string_equal(error.text, message);
}

static void an_object_is_walked_in_its_order(void **state)
{
    (void)state;
    json_reader r = reader_of(" {\"name\" : \"a\\u00e9\\ud83d\\ude00\\n\", \"numbers\":[1, -2.5e0 ,3],\n"
                              "\"none\":[], \"empty\":{}, \"yes\":true, \"skipped\":{\"a\":[{},\"]\"]},"
                              "\"raw\":\"\\u0041\", \"a key that is too long for us\": 1} ");
    char key[16], text[16];
    float value = 0, sum = 0;
    bool truth = false;
    const char *raw;
    size_t bytes;
    assert_int_equal(json_read_peek(&r), '{');
    assert_true(json_read_enter(&r, '{'));
    assert_true(json_read_next(&r, '}') && json_read_key(&r, key, sizeof key));
    assert_string_equal(key, "name");
    assert_true(json_read_string(&r, text, sizeof text));
    assert_string_equal(text, "a\xc3\xa9\xf0\x9f\x98\x80\n");
    assert_true(json_read_next(&r, '}') && json_read_key(&r, key, sizeof key));
    assert_true(json_read_enter(&r, '['));
    while (json_read_next(&r, ']') && json_read_float(&r, &value))
        sum += value;
    assert_true(sum == 1.5F);
    assert_true(json_read_next(&r, '}') && json_read_key(&r, key, sizeof key));
    assert_true(json_read_enter(&r, '[') && !json_read_next(&r, ']') && !r.failed);
    assert_true(json_read_next(&r, '}') && json_read_key(&r, key, sizeof key));
    assert_true(json_read_enter(&r, '{') && !json_read_next(&r, '}') && !r.failed);
    assert_true(json_read_next(&r, '}') && json_read_key(&r, key, sizeof key));
    assert_true(json_read_bool(&r, &truth) && truth);
    assert_true(json_read_next(&r, '}') && json_read_key(&r, key, sizeof key) && json_read_skip(&r));
    assert_true(json_read_next(&r, '}') && json_read_key(&r, key, sizeof key));
    assert_true(json_read_raw_string(&r, &raw, &bytes));
    assert_memory_equal(raw, "\"\\u0041\"", bytes);
    assert_true(json_read_next(&r, '}') && json_read_key(&r, key, sizeof key));
    assert_string_equal(key, "");
    assert_true(json_read_skip(&r));
    assert_false(json_read_next(&r, '}'));
    assert_true(json_read_end(&r) && !r.failed);
}

static void a_place_can_be_returned_to(void **state)
{
    (void)state;
    json_reader r = reader_of("[[1,2],3]");
    uint64_t number = 0;
    assert_true(json_read_enter(&r, '[') && json_read_next(&r, ']'));
    const size_t place = json_read_place(&r);
    assert_true(json_read_skip(&r) && json_read_next(&r, ']') && json_read_integer(&r, 9, &number));
    assert_int_equal(number, 3);
    const size_t behind = json_read_place(&r);
    json_read_return(&r, place);
    assert_true(json_read_enter(&r, '[') && json_read_next(&r, ']') && json_read_integer(&r, 9, &number));
    assert_int_equal(number, 1);
    assert_true(json_read_next(&r, ']') && json_read_skip(&r) && !json_read_next(&r, ']'));
    json_read_return(&r, behind);
    assert_false(json_read_next(&r, ']'));
    assert_true(json_read_end(&r));
}

/* Reads a list of floats that is to fail. */
static void assert_refused(const char *text, const char *message)
{
    json_reader r = reader_of(text);
    float value;
    if (json_read_enter(&r, '['))
        while (json_read_next(&r, ']') && json_read_float(&r, &value))
            continue;
    json_read_end(&r);
    assert_failed(&r, message);
    assert_false(json_read_enter(&r, '[') || json_read_next(&r, ']') || json_read_skip(&r) ||
                 json_read_end(&r));
}

static void what_is_wrong_is_named_with_its_place(void **state)
{
    (void)state;
    assert_refused("", "it: line 1, column 1: the text is empty");
    assert_refused("{", "it: line 1, column 1: expected a list, found '{'");
    assert_refused("[1,\n 2", "it: line 2, column 3: expected ',' or ']', but the text ends");
    assert_refused("[1 2]", "it: line 1, column 4: expected ',' or ']', found '2'");
    assert_refused("[1,]", "it: line 1, column 3: a comma before the closing ']'; remove it");
    assert_refused("[,1]", "it: line 1, column 2: expected a number, found ','");
    assert_refused("[1]]", "it: line 1, column 4: more text after the end of the value");
    assert_refused("[01]", "it: line 1, column 2: a number must not start with 0 and another digit");
    assert_refused("[0x1]", "it: line 1, column 2: not a decimal number");
    assert_refused("[1.]", "it: line 1, column 4: expected a digit after the point, found ']'");
    assert_refused("[NaN]", "it: line 1, column 2: expected a number, found 'N'");
    assert_refused("[\"1\"]", "it: line 1, column 2: expected a number, found '\"'");
    assert_refused("[1e39]", "it: line 1, column 2: number too large for FP32");
    assert_refused("[1e999]", "it: line 1, column 2: number too large for a double");
    assert_refused("[1", "it: line 1, column 3: expected ',' or ']', but the text ends");
}

static void whole_numbers_are_bounded_and_written_plainly(void **state)
{
    (void)state;
    uint64_t number = 0;
    json_reader r = reader_of("255 ");
    assert_true(json_read_integer(&r, 255, &number));
    assert_int_equal(number, 255);
    r = reader_of("18446744073709551615 ");
    assert_true(json_read_integer(&r, UINT64_MAX, &number) && number == UINT64_MAX);
    static const char *const wrong[] = {"256 ", "1.0 ", "1e1 ", "-1 ", "99999999999999999999 "};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        r = reader_of(wrong[i]);
        assert_false(json_read_integer(&r, 255, &number));
        assert_failed(&r, "it: line 1, column 1: expected a whole number from 0 to 255");
    }
    r = reader_of("5 ");
    assert_false(json_read_integer(&r, 4, &number));
    r = reader_of("18446744073709551616 ");
    assert_false(json_read_integer(&r, UINT64_MAX, &number));
    r = reader_of("007 ");
    assert_false(json_read_integer(&r, 255, &number));
    assert_failed(&r, "it: line 1, column 1: a number must not start with 0 and another digit");
}

static void nesting_and_long_strings_are_bounded(void **state)
{
    (void)state;
    char deep[2 * JSON_DEPTH_MAX + 2], text[4];
    memset(deep, '[', sizeof deep);
    json_reader r;
    json_reader_init(&r, deep, sizeof deep);
    int depth = 0;
    while (json_read_enter(&r, '['))
        depth++;
    assert_int_equal(depth, JSON_DEPTH_MAX);
    assert_failed(&r, "it: line 1, column 65: nested more than 64 deep");
    r = reader_of("\"abc\"");
    assert_true(json_read_string(&r, text, sizeof text));
    r = reader_of("\"ab\\u00e9\"");
    assert_false(json_read_string(&r, text, sizeof text));
    assert_failed(&r,
                  "it: line 1, column 1: a string of more than 3 bytes, which is none that is known here");
    r = reader_of("\"a");
    assert_false(json_read_string(&r, text, sizeof text));
    assert_failed(&r, "it: line 1, column 1: this string is never closed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_is_walked_in_its_order),
        cmocka_unit_test(a_place_can_be_returned_to),
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(whole_numbers_are_bounded_and_written_plainly),
        cmocka_unit_test(nesting_and_long_strings_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
