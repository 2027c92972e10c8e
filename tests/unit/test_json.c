/* Strictness, places and typed access of common/json. */
#include "common/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static ps_status parse(const char *text, bool lenient, json **root, json_report *report, ps_error *error)
{
    const json_options options = {.source = "text", .max_bytes = 1 << 20, .allow_trailing_commas = lenient};
    return json_parse(text, strlen(text), &options, root, report, error);
}

static json *parsed(const char *text)
{
    json *root = NULL;
    ps_error error = {0};
    if (parse(text, false, &root, NULL, &error))
        fail_msg("%s", error.text);
    return root;
}

static void every_form_of_rfc_8259_is_read(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "-1.5e+3",
        "1E5",
        "\"\"",
        "true",
        "false",
        "null",
        "[]",
        "{}",
        " \t\r\n[ 1 , 2 ] \n",
        "{\"a\":{\"b\":[[],{}]},\"c\":\"\\u00e9\\uD83D\\uDE00\\/\\b\\f\\n\\r\\t\\\"\\\\\"}",
        "\"\xc3\xa9\xf0\x9f\x98\x80\"",
        "123456789012345678901234567890123456789012345678901234567890123",
        ("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
         "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json *root = parsed(texts[i]);
        assert_non_null(root);
        json_free(&root);
        assert_null(root);
    }
}

static void every_other_form_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error, *caret;
    } cases[] = {
        {"", "text: line 1, column 1: the text is empty", "\n^"},
        {" \n ", "text: line 1, column 1: the text is empty", " \n^"},
        {"\xef\xbb\xbf{}",
         "text: line 1, column 1: the text starts with a byte order mark; save it without one", "?{}\n^"},
        {"{} x", "text: line 1, column 4: more text after the end of the value", "{} x\n   ^"},
        {"01", "text: line 1, column 1: a number must not start with 0 and another digit", "01\n^"},
        {"-", "text: line 1, column 2: expected a digit, but the text ends", "-\n ^"},
        {"+1", "text: line 1, column 1: expected a value, found '+'", "+1\n^"},
        {".5", "text: line 1, column 1: expected a value, found '.'", ".5\n^"},
        {"5.", "text: line 1, column 3: expected a digit after the point, but the text ends", "5.\n  ^"},
        {"1e", "text: line 1, column 3: expected a digit of the exponent, but the text ends", "1e\n  ^"},
        {"[0x10]", "text: line 1, column 2: not a decimal number", "[0x10]\n ^"},
        {"1e999", "text: line 1, column 1: number too large for a double", "1e999\n^"},
        {"1234567890123456789012345678901234567890123456789012345678901234",
         "text: line 1, column 1: a number of 64 characters; at most 63 are accepted",
         "1234567890123456789012345678901234567890123456789012345678901234\n^"},
        {"[NaN]", "text: line 1, column 2: 'NaN' is not JSON: JSON has finite numbers only", "[NaN]\n ^"},
        {"[None]", "text: line 1, column 2: 'None' is not JSON: JSON writes null", "[None]\n ^"},
        {"[nul]", "text: line 1, column 2: a text value must be in double quotes", "[nul]\n ^"},
        {"['a']", "text: line 1, column 2: text must be in double quotes, not single ones", "['a']\n ^"},
        {"[1, // one\n2]", "text: line 1, column 5: JSON has no comments", "[1, // one\n    ^"},
        {"{a: 1}", "text: line 1, column 2: expected a key in double quotes, found 'a'", "{a: 1}\n ^"},
        {"{\"a\" 1}", "text: line 1, column 6: expected ':' after the key, found '1'", "{\"a\" 1}\n     ^"},
        {"{\"a\": 1\n \"b\": 2}", "text: line 2, column 2: expected ',' or '}', found '\"'",
         " \"b\": 2}\n ^"},
        {"[1 2]", "text: line 1, column 4: expected ',' or ']', found '2'", "[1 2]\n   ^"},
        {"[1,,2]", "text: line 1, column 4: expected a value, found ','", "[1,,2]\n   ^"},
        {"[,]", "text: line 1, column 2: expected a value, found ','", "[,]\n ^"},
        {"[1,]", "text: line 1, column 3: a comma before the closing ']'; remove it", "[1,]\n  ^"},
        {"{\"a\": 1,\n}", "text: line 1, column 8: a comma before the closing '}'; remove it",
         "{\"a\": 1,\n       ^"},
        {"[1}", "text: line 1, column 3: expected ',' or ']', found '}'", "[1}\n  ^"},
        {"{\"a\": [1\n\n", "text: line 1, column 9: expected ',' or ']', but the text ends",
         "{\"a\": [1\n        ^"},
        {"[\"abc]", "text: line 1, column 2: this string is never closed", "[\"abc]\n ^"},
        {"[\"abc\n\"]", "text: line 1, column 2: this string is not closed on its line", "[\"abc\n ^"},
        {"[\"a\tb\"]", "text: line 1, column 4: control character 0x09 in a string", "[\"a b\"]\n   ^"},
        {"\"\\x\"", "text: line 1, column 2: unknown escape after '\\'", "\"\\x\"\n ^"},
        {"\"\\u12g4\"", "text: line 1, column 2: \\u needs four hexadecimal digits", "\"\\u12g4\"\n ^"},
        {"\"\\u0000\"", "text: line 1, column 2: \\u0000 is not accepted: it would cut the text short",
         "\"\\u0000\"\n ^"},
        {"\"\\ud800\"", "text: line 1, column 2: half a surrogate pair is no character", "\"\\ud800\"\n ^"},
        {"\"\\udc00\\ud800\"", "text: line 1, column 2: half a surrogate pair is no character",
         "\"\\udc00\\ud800\"\n ^"},
        {"\"\xc3\xa9\xff\"", "text: line 1, column 3: byte 0xff is not UTF-8", "\"??\"\n  ^"},
        {"\"\xc0\xaf\"", "text: line 1, column 2: byte 0xc0 is not UTF-8", "\"?\"\n ^"},
        {"\"\xed\xa0\x80\"", "text: line 1, column 2: byte 0xed is not UTF-8", "\"?\"\n ^"},
        {"\"\xe2\x28\xa1\"", "text: line 1, column 2: byte 0xe2 is not UTF-8", "\"?(\"\n ^"},
        {"\"\xe0\x80\x80\"", "text: line 1, column 2: byte 0xe0 is not UTF-8", "\"?\"\n ^"},
        {"\"\xf0\x80\x80\x80\"", "text: line 1, column 2: byte 0xf0 is not UTF-8", "\"?\"\n ^"},
        {"\"\xf4\x90\x80\x80\"", "text: line 1, column 2: byte 0xf4 is not UTF-8", "\"?\"\n ^"},
        {"{\"a\\q\": 1}", "text: line 1, column 4: unknown escape after '\\'", "{\"a\\q\": 1}\n   ^"},
        {"{\"b\": 1, \"a\": 1, \"b\": 2, \"a\": 2}", "text: line 1, column 18: the key \"b\" is given twice",
         "{\"b\": 1, \"a\": 1, \"b\": 2, \"a\": 2}\n                 ^"},
        {"[\x01]", "text: line 1, column 2: expected a value, found byte 0x01", "[?]\n ^"},
        {"[1 \r 2]\r\n", "text: line 1, column 6: expected ',' or ']', found '2'", "[1 ? 2]\n     ^"},
        {"\t[1 2]", "text: line 1, column 5: expected ',' or ']', found '2'", " [1 2]\n    ^"},
        {"{\"a\": 1, \"b\": {\"c\": 1}, \"a\": 2}", "text: line 1, column 25: the key \"a\" is given twice",
         "{\"a\": 1, \"b\": {\"c\": 1}, \"a\": 2}\n                        ^"},
        {"[{\"x\": {\"a\": 1, \"\\u0061\": 2}}]", "text: line 1, column 17: the key \"a\" is given twice",
         "[{\"x\": {\"a\": 1, \"\\u0061\": 2}}]\n                ^"},
        {"[\"one\", \"two\", \"three\", \"four\", \"five\", \"six\", \"seven\", \"eight\", \"nine\" \"ten\", "
         "\"eleven\", \"twelve\", \"thirteen\", \"fourteen\"]",
         "text: line 1, column 73: expected ',' or ']', found '\"'",
         "...ive\", \"six\", \"seven\", \"eight\", \"nine\" \"ten\", \"eleven\", \"twelve\", "
         "\"thirteen\",...\n"
         "                                         ^"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json *root = NULL;
        json_report report;
        ps_error error = {0};
        assert_int_equal(parse(cases[i].text, false, &root, &report, &error), PS_EFORMAT);
        assert_null(root);
        assert_string_equal(error.text, cases[i].error);
        assert_string_equal(report.caret, cases[i].caret);
    }
}

static void nesting_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    char text[2 * 65 + 1] = {0};
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    json *root = NULL;
    ps_error error = {0};
    assert_int_equal(parse(text, false, &root, NULL, &error), PS_EFORMAT);
    assert_string_equal(error.text, "text: line 1, column 65: nested more than 64 deep");
}

static void a_zero_byte_in_the_text_is_refused(void **state)
{
    (void)state;
    const json_options options = {.source = "text", .max_bytes = 100};
    json *root = NULL;
    ps_error error = {0};
    assert_int_equal(json_parse("{}\0{}", 5, &options, &root, NULL, &error), PS_EFORMAT);
    assert_string_equal(error.text, "text: line 1, column 3: more text after the end of the value");
    assert_int_equal(json_parse("[\"a\0b\"]", 7, &options, &root, NULL, &error), PS_EFORMAT);
    assert_string_equal(error.text, "text: line 1, column 4: control character 0x00 in a string");
}

static void only_the_given_length_is_read(void **state)
{
    (void)state;
    const json_options options = {.source = "text", .max_bytes = 2};
    json *root = NULL;
    ps_error error = {0};
    assert_int_equal(json_parse("12345", 2, &options, &root, NULL, &error), PS_OK);
    double number = 0;
    assert_int_equal(json_as_number(root, "root", &number, NULL), PS_OK);
    assert_true(number == 12);
    json_free(&root);
    assert_int_equal(json_parse("12345", 3, &options, &root, NULL, &error), PS_ELIMIT);
    assert_string_equal(error.text, "text: JSON of 3 bytes; at most 2 are accepted");
}

static void trailing_commas_pass_only_when_allowed_and_are_reported(void **state)
{
    (void)state;
    json *root = NULL;
    json_report report;
    ps_error error = {0};
    assert_int_equal(parse("{\"a\": [1, 2 , ],\n \"b\": \",]\",\n}", true, &root, &report, &error), PS_OK);
    assert_int_equal(report.trailing_comma.line, 1);
    assert_int_equal(report.trailing_comma.column, 13);
    assert_string_equal(report.caret, "");
    assert_int_equal(json_count(json_find(root, "a")), 2);
    const char *text = NULL;
    assert_int_equal(json_as_string(json_find(root, "b"), "b", &text, NULL), PS_OK);
    assert_string_equal(text, ",]");
    json_free(&root);
    assert_int_equal(parse("[1]", true, &root, &report, &error), PS_OK);
    assert_int_equal(report.trailing_comma.line, 0);
    json_free(&root);
    assert_int_equal(parse("[,]", true, &root, &report, &error), PS_EFORMAT);
    assert_int_equal(parse("[1,,]", true, &root, &report, &error), PS_EFORMAT);
    assert_int_equal(parse("{,}", true, &root, &report, &error), PS_EFORMAT);
}

static void many_keys_are_compared_in_reasonable_time(void **state)
{
    (void)state;
    enum { KEYS = 60000 };
    char *text = malloc(KEYS * 16);
    size_t bytes = 0;
    text[bytes++] = '{';
    for (int i = 0; i < KEYS; i++)
        bytes += (size_t)sprintf(text + bytes, "\"k%d\":%d,", i, i);
    memcpy(text + bytes - 1, "}", 2);
    json *root = NULL;
    const json_options options = {.source = "text", .max_bytes = KEYS * 16};
    assert_int_equal(json_parse(text, bytes, &options, &root, NULL, NULL), PS_OK);
    assert_int_equal(json_count(root), KEYS);
    json_free(&root);
    free(text);
}

static void look_up_minds_case(void **state)
{
    (void)state;
    json *root = parsed("{\"Key\": 1}");
    assert_null(json_find(root, "key"));
    assert_non_null(json_find(root, "Key"));
    assert_null(json_find(json_find(root, "Key"), "Key"));
    json_free(&root);
}

static void values_are_walked_in_the_order_of_the_text(void **state)
{
    (void)state;
    json *root = parsed("{\"b\": 1, \"a\": []}");
    const json *value = json_first(root);
    assert_string_equal(json_key(value), "b");
    assert_null(json_first(value));
    value = json_next(value);
    assert_string_equal(json_key(value), "a");
    assert_null(json_next(value));
    assert_null(json_key(root));
    json_free(&root);
}

static void a_wrong_type_is_named(void **state)
{
    (void)state;
    json *root = parsed("{\"n\": null, \"b\": true, \"s\": \"x\", \"l\": [], \"o\": {}}");
    const char *text = NULL;
    double number = 0;
    ps_error error = {0};
    assert_int_equal(json_as_string(json_find(root, "n"), "n", &text, &error), PS_EFORMAT);
    assert_string_equal(error.text, "n must be a string, not null");
    assert_int_equal(json_as_string(json_find(root, "z"), "z", &text, &error), PS_EFORMAT);
    assert_string_equal(error.text, "z is missing; it must be a string");
    assert_int_equal(json_as_number(json_find(root, "b"), "b", &number, &error), PS_EFORMAT);
    assert_string_equal(error.text, "b must be a number, not true or false");
    assert_int_equal(json_as_list(json_find(root, "o"), "o", &error), PS_EFORMAT);
    assert_string_equal(error.text, "o must be a list, not an object");
    assert_int_equal(json_as_object(json_find(root, "l"), "l", &error), PS_EFORMAT);
    assert_string_equal(error.text, "l must be an object, not a list");
    assert_int_equal(json_as_list(json_find(root, "l"), "l", &error), PS_OK);
    assert_int_equal(json_as_object(json_find(root, "o"), "o", &error), PS_OK);
    json_free(&root);
}

static void whole_numbers_are_exact_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t integer;
        const char *error; /* NULL: accepted */
    } cases[] = {
        {"0", 0, NULL},
        {"-3", -3, NULL},
        {"2e3", 2000, NULL},
        {"9007199254740991", JSON_INTEGER_MAX, NULL},
        {"9007199254740993", 0,
         "x must be a whole number from -9007199254740991 to 9007199254740991, not 9007199254740992"},
        {"1.5", 0, "x must be a whole number from -9007199254740991 to 9007199254740991, not 1.5"},
        {"1e300", 0,
         "x must be a whole number from -9007199254740991 to 9007199254740991, not 1.0000000000000001e+300"},
        {"\"1\"", 0, "x must be a whole number from -9007199254740991 to 9007199254740991, not a string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json *root = parsed(cases[i].text);
        int64_t integer = 0;
        ps_error error = {0};
        const ps_status status =
            json_as_integer(root, "x", -JSON_INTEGER_MAX, JSON_INTEGER_MAX, &integer, &error);
        assert_int_equal(status, cases[i].error ? PS_EFORMAT : PS_OK);
        assert_true(integer == cases[i].integer);
        assert_string_equal(error.text, cases[i].error ? cases[i].error : "");
        json_free(&root);
    }
}

static void what_is_only_shown_may_be_missing(void **state)
{
    (void)state;
    json *root = parsed("{\"x\": 2.5, \"t\": \"text\", \"l\": []}");
    assert_true(json_number(json_find(root, "x")) == 2.5);
    assert_true(isnan(json_number(json_find(root, "t"))));
    assert_true(isnan(json_number(json_find(root, "no"))));
    assert_string_equal(json_string_or(json_find(root, "t"), "-"), "text");
    assert_string_equal(json_string_or(json_find(root, "l"), "-"), "-");
    assert_string_equal(json_string_or(NULL, ""), "");
    json_free(&root);
}

static void text_is_quoted_and_cut_between_characters(void **state)
{
    (void)state;
    char quoted[64];
    assert_int_equal(json_quote("a\"\\\n\xc3\xa4\xff\x7f", quoted, sizeof quoted), 17);
    assert_string_equal(quoted, "\"a\\\"\\\\\\u000a\xc3\xa4\?\?\"");
    static const char *const cut[] = {"\"\"", "\"\"", "\"\xc3\xa4\"", "\"\xc3\xa4\"", "\"\xc3\xa4\\\"\""};
    for (size_t bytes = 3; bytes < 8; bytes++) {
        assert_int_equal(json_quote("\xc3\xa4\"", quoted, bytes), strlen(cut[bytes - 3]));
        assert_string_equal(quoted, cut[bytes - 3]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_rfc_8259_is_read),
        cmocka_unit_test(every_other_form_is_refused_with_its_place),
        cmocka_unit_test(nesting_beyond_the_limit_is_refused),
        cmocka_unit_test(a_zero_byte_in_the_text_is_refused),
        cmocka_unit_test(only_the_given_length_is_read),
        cmocka_unit_test(trailing_commas_pass_only_when_allowed_and_are_reported),
        cmocka_unit_test(many_keys_are_compared_in_reasonable_time),
        cmocka_unit_test(look_up_minds_case),
        cmocka_unit_test(values_are_walked_in_the_order_of_the_text),
        cmocka_unit_test(a_wrong_type_is_named),
        cmocka_unit_test(whole_numbers_are_exact_or_refused),
        cmocka_unit_test(what_is_only_shown_may_be_missing),
        cmocka_unit_test(text_is_quoted_and_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
