/* The command line of logs: common/log_options. */
#include "common/log_options.h"

#include "tests/unit/unit.h"

static error_t parse_parent(int key, char *value, struct argp_state *state)
{
    (void)value;
    if (key != ARGP_KEY_INIT)
        return ARGP_ERR_UNKNOWN;
    state->child_inputs[0] = state->input;
    return 0;
}

/* As a program has them: as a child. */
static error_t parse(char **argv, int argc, log_options *options)
{
    static const struct argp_child children[] = {{&log_options_argp, 0, "Log", 1}, {0}};
    static const struct argp parser = {.parser = parse_parent, .children = children};
    return argp_parse(&parser, argc, argv, ARGP_NO_EXIT | ARGP_NO_ERRS | ARGP_NO_HELP, NULL, options);
}

static void without_options_it_is_info_and_text(void **state)
{
    (void)state;
    log_options options;
    char *argv[] = {"program", NULL};
    assert_int_equal(parse(argv, 1, &options), 0);
    assert_int_equal(options.level, LOG_INFO);
    assert_int_equal(options.format, LOG_TEXT);
    assert_null(options.level_given);
    assert_null(options.format_given);
}

static void what_is_given_counts_and_can_be_passed_on(void **state)
{
    (void)state;
    log_options options;
    char *argv[] = {"program", "--log-level=off", "--log-format", "json", NULL};
    assert_int_equal(parse(argv, 4, &options), 0);
    assert_int_equal(options.level, LOG_OFF);
    assert_int_equal(options.format, LOG_JSON);
    assert_string_equal(options.level_given, "off");
    assert_string_equal(options.format_given, "json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_options_it_is_info_and_text),
        cmocka_unit_test(what_is_given_counts_and_can_be_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
