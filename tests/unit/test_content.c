/* SHA-256 of files on their way: deploy/content. */
#include "deploy/registry/content.h"

#include <string.h>
#include <sys/stat.h>

#include "tests/unit/folder.h"

/* FIPS 180-4, appendix B. */
#define SHA256_OF_ABC   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA256_OF_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void hashes_are_those_of_the_standard(void **state)
{
    (void)state;
    char hash[SHA256_HEX_BYTES];
    content_digest("abc", 3, hash);
    assert_string_equal(hash, SHA256_OF_ABC);
    content_digest("", 0, hash);
    assert_string_equal(hash, SHA256_OF_EMPTY);
    assert_true(content_is_sha256(hash));
    hash[0] = 'E';
    assert_false(content_is_sha256(hash));
    assert_false(content_is_sha256("e3b0"));
}

static void a_copy_is_the_file_and_its_hash(void **state)
{
    (void)state;
    content c;
    folder_put("from", "abc", 3);
    assert_int_equal(content_copy("from", "to", &c, NULL), PS_OK);
    assert_string_equal(c.sha256, SHA256_OF_ABC);
    assert_int_equal(c.bytes, 3);
    assert_int_equal(content_copy("to", NULL, &c, NULL), PS_OK);
    assert_string_equal(c.sha256, SHA256_OF_ABC);
    folder_put("empty", "", 0);
    assert_int_equal(content_copy("empty", "empty-to", &c, NULL), PS_OK);
    assert_string_equal(c.sha256, SHA256_OF_EMPTY);
}

static void what_is_no_regular_file_is_refused_by_name(void **state)
{
    (void)state;
    content c;
    ps_error error;
    assert_int_equal(content_copy("absent", "to", &c, &error), PS_ENOENT);
    assert_non_null(strstr(error.text, "absent"));
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(content_copy("pipe", "to", &c, &error), PS_EINVAL);
    assert_string_equal(error.text, "pipe is no regular file");
    assert_int_equal(symlink("pipe", "link"), 0);
    assert_int_equal(content_copy("link", "to", &c, &error), PS_EINVAL);
    assert_string_equal(error.text, "link is a symbolic link");
    assert_int_equal(access("to", F_OK), -1);
}

static void what_is_there_is_not_written_over(void **state)
{
    (void)state;
    content c;
    ps_error error;
    folder_put("from", "abc", 3);
    folder_put("to", "old", 3);
    assert_int_equal(content_copy("from", "to", &c, &error), PS_EIO);
    assert_int_equal(content_copy("to", NULL, &c, NULL), PS_OK);
    assert_int_equal(c.bytes, 3);
    assert_string_not_equal(c.sha256, SHA256_OF_ABC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_the_standard),
        FOLDER_TEST(a_copy_is_the_file_and_its_hash),
        FOLDER_TEST(what_is_no_regular_file_is_refused_by_name),
        FOLDER_TEST(what_is_there_is_not_written_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
