/* Where a registry may lie: deploy/registry_place. */
#include "deploy/registry/registry_place.h"

#include <string.h>

#include "tests/unit/folder.h"

enum {
    EXT4 = 0xef53,
    TMPFS = 0x01021994,
    OVERLAY = 0x794c7630,
    NFS = 0x6969,
    CIFS = (int)0xff534d42,
    FUSE = 0x65735546
};

static registry_place judge(long magic, const char *options)
{
    registry_place place;
    ps_error error;
    assert_int_equal(registry_place_judge("/r", magic, options, &place, &error), PS_OK);
    return place;
}

static void refused(long magic, const char *options, const char *reason)
{
    registry_place place;
    ps_error error;
    assert_int_equal(registry_place_judge("/r", magic, options, &place, &error), PS_ECONFIG);
    assert_non_null(strstr(error.text, "the registry /r lies on "));
    assert_non_null(strstr(error.text, reason));
}

static void a_local_disk_is_this_hosts_own(void **state)
{
    (void)state;
    assert_int_equal(judge(EXT4, "rw,relatime"), PLACE_OF_ONE_HOST);
    assert_int_equal(judge(TMPFS, ""), PLACE_OF_ONE_HOST);
    assert_int_equal(judge(OVERLAY, "rw"), PLACE_OF_ONE_HOST);
}

static void a_network_file_system_with_locks_is_for_many_hosts(void **state)
{
    (void)state;
    assert_int_equal(judge(NFS, "rw,vers=4.2,local_lock=none,addr=10.0.0.1"), PLACE_OF_MANY_HOSTS);
    assert_int_equal(judge(NFS, "rw,nolocks,xnolock"), PLACE_OF_MANY_HOSTS);
    assert_int_equal(judge(CIFS, "rw"), PLACE_OF_MANY_HOSTS);
    /* As a 32-bit system would tell it. */
    assert_int_equal(judge((long)(int32_t)CIFS, "rw"), PLACE_OF_MANY_HOSTS);
}

static void one_whose_locks_hold_on_one_host_alone_is_refused(void **state)
{
    (void)state;
    refused(NFS, "rw,vers=3,nolock", "NFS that is mounted with nolock");
    refused(NFS, "local_lock=all,rw", "mounted with local_lock=all");
    refused(NFS, "rw,local_lock=flock", "mounted with local_lock=flock");
    refused((long)0xff534d42, "rw,nobrl,hard", "CIFS that is mounted with nobrl");
}

static void one_whose_locks_nobody_vouches_for_is_refused(void **state)
{
    (void)state;
    refused(FUSE, "rw", "FUSE, whose locks cannot be relied on");
    refused(0x01021997, "rw", "9p, whose locks cannot be relied on");
}

static void a_folder_is_found_on_its_file_system(void **state)
{
    (void)state;
    registry_place place;
    ps_error error;
    assert_int_equal(registry_place_find(".", &place, &error), PS_OK);
    assert_int_equal(place, PLACE_OF_ONE_HOST);
    assert_int_equal(registry_place_find("absent", &place, &error), PS_EIO);
    assert_non_null(strstr(error.text, "absent"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_local_disk_is_this_hosts_own),
        cmocka_unit_test(a_network_file_system_with_locks_is_for_many_hosts),
        cmocka_unit_test(one_whose_locks_hold_on_one_host_alone_is_refused),
        cmocka_unit_test(one_whose_locks_nobody_vouches_for_is_refused),
        FOLDER_TEST(a_folder_is_found_on_its_file_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
