/* All files below a folder: deploy/file_tree. */
#include "deploy/registry/file_tree.h"

#include <string.h>
#include <sys/stat.h>

#include "tests/unit/folder.h"

static void make_some(void)
{
    assert_int_equal(mkdir("m", 0777), 0);
    assert_int_equal(mkdir("m/b", 0777), 0);
    folder_put("m/b/x", "12", 2);
    folder_put("m/a", "1", 1);
}

static void files_are_listed_by_their_path_below_the_root(void **state)
{
    (void)state;
    static const char *const roots[] = {"m", "m/", "./m//", "link"};
    make_some();
    assert_int_equal(symlink("m", "link"), 0);
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        file_tree tree;
        assert_int_equal(file_tree_read(roots[i], &tree, NULL), PS_OK);
        assert_int_equal(tree.count, 2);
        assert_string_equal(tree.files[0].path, "a");
        assert_string_equal(tree.files[1].path, "b/x");
        assert_int_equal(tree.files[1].bytes, 2);
        file_tree_free(&tree);
    }
}

static void a_file_alone_is_listed_by_its_name(void **state)
{
    (void)state;
    file_tree tree;
    make_some();
    assert_int_equal(file_tree_read("m/b/x", &tree, NULL), PS_OK);
    assert_int_equal(tree.count, 1);
    assert_string_equal(tree.files[0].path, "x");
    file_tree_free(&tree);
}

static void what_is_neither_file_nor_folder_is_refused_by_name(void **state)
{
    (void)state;
    file_tree tree;
    ps_error error;
    make_some();
    assert_int_equal(symlink("a", "m/link"), 0);
    assert_int_equal(file_tree_read("m", &tree, &error), PS_EINVAL);
    assert_string_equal(error.text, "m/link is a symbolic link");
    assert_int_equal(tree.count, 0);
    assert_int_equal(file_tree_read("absent", &tree, &error), PS_ENOENT);
}

static void paths_that_lead_elsewhere_are_not_safe(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     "/",    "/a",     "a/",    "a//b", ".",     "..",
                                      "../a", "a/..", "a/../b", "a/./b", "a\nb", "a\x7f", "\xff"};
    static const char *const good[] = {"a", "a/b", "..a", "a..", ".a", "a b", "\xc3\xa4"};
    char longest[FILE_TREE_PATH_MAX + 1];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(file_tree_path_is_safe(bad[i]));
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(file_tree_path_is_safe(good[i]));
    memset(longest, 'a', sizeof longest);
    longest[FILE_TREE_PATH_MAX] = '\0';
    assert_false(file_tree_path_is_safe(longest));
    longest[FILE_TREE_PATH_MAX - 1] = '\0';
    assert_true(file_tree_path_is_safe(longest));
}

static void removing_follows_no_link(void **state)
{
    (void)state;
    make_some();
    folder_put("kept", "1", 1);
    assert_int_equal(symlink("../kept", "m/link"), 0);
    assert_int_equal(file_tree_remove("m", NULL), PS_OK);
    assert_int_equal(access("m", F_OK), -1);
    assert_int_equal(access("kept", F_OK), 0);
    assert_int_equal(file_tree_remove("m", NULL), PS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(files_are_listed_by_their_path_below_the_root),
        FOLDER_TEST(a_file_alone_is_listed_by_its_name),
        FOLDER_TEST(what_is_neither_file_nor_folder_is_refused_by_name),
        cmocka_unit_test(paths_that_lead_elsewhere_are_not_safe),
        FOLDER_TEST(removing_follows_no_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
