/* What a sweep was asked for, kept and compared, and the command lines of its runs: deploy/sweep_command. */
#include "deploy/sweep/sweep_command.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/folder.h"
#include "tests/unit/torture.h"
#include "tests/unit/unit.h"

#define SPACE                                                                                         \
    "{\"version\": 1, \"method\": \"grid\", \"seed\": 9, \"run\": {\"workers\": {\"choice\": [2]}}, " \
    "\"training\": {\"flag\": {\"choice\": [true, false]}, \"batch-size\": {\"choice\": [50]}}}"

static char *arguments[] = {"--ps", "2", "--", "--data-folder", "it's here", "--", "\xc3\xa9"};

enum { ARGUMENTS = sizeof arguments / sizeof arguments[0] };

static void make(const char *space_text, char *const *list, size_t count, sweep_command *c,
                 sweep_space **space)
{
    ps_error error = {PS_OK, ""};
    folder_put("space", space_text, strlen(space_text));
    if (sweep_command_make("space", list, count, c, space, &error) != PS_OK)
        fail_msg("%s", error.text);
}

static void arguments_are_split_at_the_first_dashes(void **state)
{
    (void)state;
    sweep_command c;
    sweep_space *space;
    make(SPACE, arguments, ARGUMENTS, &c, &space);
    assert_int_equal(c.seed, 9);
    assert_int_equal(c.run.count, 2);
    assert_int_equal(c.training.count, 4);
    assert_string_equal(c.training.list[2], "--");
    sweep_command_fini(&c);
    free(space);
}

static void a_run_is_given_fixed_options_first(void **state)
{
    (void)state;
    static char own[] = "own";
    char *const before[] = {own};
    sweep_command c;
    sweep_space *space;
    sweep_trials t;
    make(SPACE, arguments, 5, &c, &space);
    assert_int_equal(sweep_trials_make(space, 1, &t, NULL), PS_OK);
    static const char *const wanted[] = {"own",           "--ps",      "2",      "--workers=2",    "--",
                                         "--data-folder", "it's here", "--flag", "--batch-size=50"};
    char **line = sweep_command_line(&c, space, sweep_trials_values(&t, 0), before, 1);
    assert_non_null(line);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        assert_string_equal(line[i], wanted[i]);
    assert_null(line[sizeof wanted / sizeof wanted[0]]);
    free(line);
    char *text = sweep_command_text(&c, space, sweep_trials_values(&t, 1));
    assert_string_equal(text,
                        "penstock run --ps 2 --workers=2 -- --data-folder 'it'\\''s here' --batch-size=50");
    free(text);
    sweep_trials_fini(&t);
    sweep_command_fini(&c);
    free(space);
}

static void what_is_kept_is_read(void **state)
{
    (void)state;
    sweep_command c, kept;
    sweep_space *space, *again;
    ps_error error;
    make(SPACE, arguments, ARGUMENTS, &c, &space);
    c.seed = UINT64_C(9007199254740991);
    assert_int_equal(sweep_command_read(".", &kept, &again, &error), PS_ENOENT);
    assert_int_equal(sweep_command_write(&c, ".", &error), PS_OK);
    assert_int_equal(sweep_command_read(".", &kept, &again, &error), PS_OK);
    assert_true(kept.seed == c.seed);
    assert_string_equal(kept.directory, folder);
    assert_int_equal(sweep_command_compare(&kept, &c, "s", &error), PS_OK);
    sweep_command_fini(&c);
    sweep_command_fini(&kept);
    free(space);
    free(again);
}

static void expect_difference(const sweep_command *kept, const char *space_text, char *const *list,
                              size_t count, const char *what)
{
    sweep_command other;
    sweep_space *space;
    ps_error error = {PS_OK, ""};
    make(space_text, list, count, &other, &space);
    ps_status status = sweep_command_compare(kept, &other, "s", &error);
    assert_int_equal(status, what ? PS_ECONFIG : PS_OK);
    if (what && !strstr(error.text, what))
        fail_msg("'%s' does not say '%s'", error.text, what);
    sweep_command_fini(&other);
    free(space);
}

static void what_differs_is_named(void **state)
{
    (void)state;
    static char *other_run[] = {"--ps", "3", "--", "--data-folder", "it's here"};
    static char *other_training[] = {"--ps", "2", "--", "--data-folder", "there"};
    static const char same[] =
        "{\"method\": \"grid\",\n \"seed\": 9.0, \"version\": 1, \"training\": {\"batch-size\": {\"choice\": "
        "[50]}, "
        "\"flag\": {\"choice\": [true, false]}}, \"run\": {\"workers\": {\"choice\": [2]}}}";
    static const char other[] = "{\"version\": 1, \"method\": \"grid\", \"seed\": 9, \"training\": "
                                "{\"batch-size\": {\"choice\": [50]}}}";
    sweep_command c;
    sweep_space *space;
    make(SPACE, arguments, 5, &c, &space);
    expect_difference(&c, SPACE, arguments, 5, NULL);
    expect_difference(&c, same, arguments, 5, NULL);
    expect_difference(&c, other, arguments, 5, "another space");
    expect_difference(&c, SPACE, other_run, 5, "another options of penstock run");
    expect_difference(&c, SPACE, other_training, 5, "another training options");
    expect_difference(&c, SPACE, arguments, 4, "another training options");
    c.seed++;
    expect_difference(&c, SPACE, arguments, 5, "another seed");
    sweep_command_fini(&c);
    free(space);
}

static void arguments_of_the_sweep_itself_are_refused(void **state)
{
    (void)state;
    static char *cases[][2] = {{"--run-dir", "x"},     {"--run=x", "y"},   {"--check", "x"},   {"--help", ""},
                               {"--", "--output-dir"}, {"--", "--logdir"}, {"--", "--task=x"}, {"\xff", ""}};
    folder_put("space", SPACE, strlen(SPACE));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sweep_command c;
        sweep_space *space;
        ps_error error;
        assert_int_equal(sweep_command_make("space", cases[i], 2, &c, &space, &error), PS_ECONFIG);
        assert_null(space);
        sweep_command_fini(&c);
    }
}

static void damage_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "[]",
        "{\"version\": 1}",
        "{\"version\": 2, \"seed\": 1, \"directory\": \"/\", \"run\": [], \"training\": []}",
        "{\"version\": 1, \"seed\": -1, \"directory\": \"/\", \"run\": [], \"training\": []}",
        "{\"version\": 1, \"seed\": 1, \"directory\": 1, \"run\": [], \"training\": []}",
        "{\"version\": 1, \"seed\": 1, \"directory\": \"/\", \"run\": [1], \"training\": []}",
        "{\"version\": 1, \"seed\": 1, \"directory\": \"/\", \"run\": []}",
    };
    folder_put("space.json", SPACE, strlen(SPACE));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sweep_command c;
        sweep_space *space;
        ps_error error;
        folder_put("sweep.json", cases[i], strlen(cases[i]));
        assert_int_equal(sweep_command_read(".", &c, &space, &error), PS_EFORMAT);
        assert_non_null(strstr(error.text, "sweep.json"));
        assert_null(space);
        sweep_command_fini(&c);
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    folder_put("space", SPACE, strlen(SPACE));
    bool done = false;
    for (long allowed = 0; !done; allowed++) {
        sweep_command c, kept = {0};
        sweep_space *space = NULL, *again = NULL;
        char *text = NULL;
        const sweep_value values[3] = {{"2"}, {"true"}, {"50"}};
        torture_begin(allowed);
        ps_status status = sweep_command_make("space", arguments, ARGUMENTS, &c, &space, NULL);
        if (status == PS_OK)
            status = sweep_command_write(&c, ".", NULL);
        if (status == PS_OK)
            status = sweep_command_read(".", &kept, &again, NULL);
        if (status == PS_OK)
            status = sweep_command_compare(&kept, &c, ".", NULL);
        if (status == PS_OK && !(text = sweep_command_text(&c, space, values)))
            status = PS_ENOMEM;
        torture_end();
        assert_true(status == PS_OK || status == PS_ENOMEM);
        done = status == PS_OK;
        free(text);
        free(space);
        free(again);
        sweep_command_fini(&c);
        sweep_command_fini(&kept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(arguments_are_split_at_the_first_dashes),
        FOLDER_TEST(a_run_is_given_fixed_options_first),
        FOLDER_TEST(what_is_kept_is_read),
        FOLDER_TEST(what_differs_is_named),
        FOLDER_TEST(arguments_of_the_sweep_itself_are_refused),
        FOLDER_TEST(damage_is_refused),
        FOLDER_TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
