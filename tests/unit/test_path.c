/* Names of files, common/path: what we would write is read, and nothing else. */
#include "common/path.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

static void a_number_is_read_from_the_very_name_that_it_makes(void **state)
{
    (void)state;
    assert_int_equal(path_number("000000000042.log", "", ".log"), 42);
    assert_int_equal(path_number("step-000000000200", "step-", ""), 200);
    assert_int_equal(path_number("step-1000000000000", "step-", ""), UINT64_C(1000000000000));
    static const char *const others[] = {
        "",
        "step-",
        "step-200",
        "step-000000000000",
        "step-000000000200.old",
        "step-+00000000200",
        "step- 00000000200",
        "step-0000000000200",
        "STEP-000000000200",
        "step-99999999999999999999",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (path_number(others[i], "step-", "") != 0)
            fail_msg("'%s' is taken for a number", others[i]);
}

static void a_shard_is_read_with_what_follows(void **state)
{
    (void)state;
    uint32_t server, servers;
    assert_string_equal(path_of_shard("ps-3-of-12.json", &server, &servers), ".json");
    assert_int_equal(server, 3);
    assert_int_equal(servers, 12);
    assert_string_equal(path_of_shard("ps-0-of-1", &server, &servers), "");
    static const char *const others[] = {"",           "ps-",        "ps-1",      "ps-01-of-2",
                                         "ps-1-of-02", "ps--1-of-2", "xps-1-of-2"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (path_of_shard(others[i], &server, &servers))
            fail_msg("'%s' is taken for a shard's", others[i]);
}

static void a_path_that_is_too_long_is_an_error(void **state)
{
    (void)state;
    char path[PATH_BYTES];
    ps_error error;
    assert_int_equal(path_make(path, &error, "%s/%d", "a", 7), PS_OK);
    assert_string_equal(path, "a/7");
    assert_int_equal(path_make(path, &error, "%0*d", PATH_BYTES - 1, 0), PS_OK);
    assert_int_equal(path_make(path, &error, "%0*d", PATH_BYTES, 0), PS_EIO);
    assert_non_null(strstr(error.text, "... is too long"));
    errno = ENOSPC;
    assert_int_equal(path_fail(&error, "write", "a/7"), PS_EIO);
    assert_string_equal(error.text, "cannot write a/7: No space left on device");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_read_from_the_very_name_that_it_makes),
        cmocka_unit_test(a_shard_is_read_with_what_follows),
        cmocka_unit_test(a_path_that_is_too_long_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
