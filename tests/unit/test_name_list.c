/* Names of values, told and chosen by: common/name_list. */
#include "common/name_list.h"

#include <string.h>

#include "tests/unit/unit.h"

typedef enum { COLOUR_RED, COLOUR_GREEN, COLOUR_BLUE } colour;
#define COLOUR_LIST(X)       \
    X(COLOUR_RED, "red")     \
    X(COLOUR_GREEN, "green") \
    X(COLOUR_BLUE, "blue")

const char *colour_name(colour value);
ps_status colour_parse(const char *text, colour *value, ps_error *error);
NAME_LIST_DEFINE(colour, colour, COLOUR_LIST, "colour")

static void each_value_is_told_and_found_by_its_name(void **state)
{
    (void)state;
    for (colour c = COLOUR_RED; c <= COLOUR_BLUE; c++) {
        colour found = COLOUR_RED;
        assert_int_equal(colour_parse(colour_name(c), &found, NULL), PS_OK);
        assert_int_equal(found, c);
    }
    assert_string_equal(colour_name((colour)3), "?");
}

static void what_is_no_name_is_refused_with_those_there_are(void **state)
{
    (void)state;
    static const char *const others[] = {"", "Red", "red ", "gree", "bluer"};
    ps_error error;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        colour found = COLOUR_GREEN;
        assert_int_equal(colour_parse(others[i], &found, &error), PS_EINVAL);
        assert_int_equal(found, COLOUR_GREEN);
    }
    assert_string_equal(error.text, "colour 'bluer' is unknown: choose one of red, green, blue");
}

static void a_value_without_a_name_cannot_be_chosen(void **state)
{
    (void)state;
    static const char *const names[] = {NULL, "one", NULL, "three"};
    const name_list list = {"number", names, 4};
    uint32_t value = 9;
    ps_error error;
    assert_string_equal(name_list_name(&list, 0), "?");
    assert_int_equal(name_list_find(&list, "three", &value, NULL), PS_OK);
    assert_int_equal(value, 3);
    assert_int_equal(name_list_find(&list, "two", &value, &error), PS_EINVAL);
    assert_string_equal(error.text, "number 'two' is unknown: choose one of one, three");
}

static void a_list_that_does_not_fit_is_cut(void **state)
{
    (void)state;
    char line[8];
    name_list_join(&colour_names, line, sizeof line);
    assert_string_equal(line, "red, gr");
    assert_int_equal(strlen(line), sizeof line - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_is_told_and_found_by_its_name),
        cmocka_unit_test(what_is_no_name_is_refused_with_those_there_are),
        cmocka_unit_test(a_value_without_a_name_cannot_be_chosen),
        cmocka_unit_test(a_list_that_does_not_fit_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
