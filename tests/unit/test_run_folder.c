/* Where the files of a run lie: deploy/run_folder. */
#include "deploy/runs/run_folder.h"

#include <string.h>

#include "tests/unit/folder.h"

static void wanted_folder_is_made_and_may_exist(void **state)
{
    (void)state;
    run_folder folder_made;
    ps_error error;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(run_folder_create(&folder_made, "a/b", &error), PS_OK);
        assert_string_equal(folder_made.path, "a/b");
        assert_int_equal(access("a/b/logs", F_OK), 0);
        assert_int_equal(access("a/b/outputs", F_OK), 0);
        assert_int_equal(access("a/b/tf_config", F_OK), 0);
    }
}

static void folders_without_a_name_never_meet(void **state)
{
    (void)state;
    run_folder one, two;
    ps_error error;
    assert_int_equal(run_folder_create(&one, NULL, &error), PS_OK);
    assert_int_equal(run_folder_create(&two, NULL, &error), PS_OK);
    assert_string_not_equal(one.path, two.path);
    assert_int_equal(folder_count("runs"), 2);
}

static void path_is_made_of_folder_kind_name_and_ending(void **state)
{
    (void)state;
    run_folder f = {.path = "runs/x"};
    char path[RUN_PATH_MAX];
    assert_int_equal(run_folder_path(&f, "logs", "ps-0", ".log", path, NULL), PS_OK);
    assert_string_equal(path, "runs/x/logs/ps-0.log");
    assert_int_equal(run_folder_path(&f, "outputs", "", "", path, NULL), PS_OK);
    assert_string_equal(path, "runs/x/outputs");
}

static void too_long_a_name_is_refused(void **state)
{
    (void)state;
    static char name[2 * RUN_PATH_MAX];
    memset(name, 'a', sizeof name - 1);
    run_folder f;
    ps_error error;
    assert_int_equal(run_folder_create(&f, name, &error), PS_ELIMIT);
    name[RUN_PATH_MAX - 2] = '\0';
    assert_int_equal(run_folder_create(&f, name, &error), PS_ELIMIT);
}

static void file_in_the_way_is_named(void **state)
{
    (void)state;
    run_folder f;
    ps_error error;
    folder_put("file", "x", 1);
    assert_int_equal(run_folder_create(&f, "file", &error), PS_EIO);
    assert_non_null(strstr(error.text, "file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(wanted_folder_is_made_and_may_exist),
        FOLDER_TEST(folders_without_a_name_never_meet),
        FOLDER_TEST(path_is_made_of_folder_kind_name_and_ending),
        FOLDER_TEST(too_long_a_name_is_refused),
        FOLDER_TEST(file_in_the_way_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
