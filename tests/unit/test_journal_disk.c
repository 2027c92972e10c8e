/* A durability log whose disk is full or fails, or that gets no memory: nothing counts as durable that is
 * not, and people are told. */
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/log.h"
#include "tests/unit/journal_disk.h"
#include "tests/unit/journal_sample.h"
#include "tests/unit/torture.h"

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void where_the_disk_is_full_nothing_more_becomes_durable(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = sample_create();
    sample_open(j, bases);
    sample_await(j, j->ops->begin(j, &(journal_base){.leap = true}, 0));
    uint64_t good = sample_append(j, sample_message(WIRE_PUSH, 0, 1, 1, 100), false);
    sample_await(j, good);
    limit_files(1000);
    uint64_t bad = sample_append(j, sample_message(WIRE_PUSH, 0, 2, 1, 5000), false);
    sample_await(j, bad);
    limit_files(RLIM_INFINITY);
    ps_error error;
    assert_int_equal(journal_file_failure(j, &error), PS_ELOG);
    assert_string_equal(error.text, "no update can be acknowledged any more: cannot write to ./" SAMPLE_FIRST
                                    ": File too large");
    sample_append(j, sample_message(WIRE_PUSH, 0, 3, 1, 10), false); /* not even when there is room again */
    journal_file_finish(j);
    assert_int_equal(j->ops->durable(j), good);
    sample_destroy(&j);

    /* The next process finds what was durable, and goes on behind it. */
    sample_taken out = {0};
    assert_int_equal(sample_replay(&out, &error), PS_OK);
    assert_int_equal(out.count, 1);
    sample_drop(&out);
}

/* The system may read back what it could not write, and may take it for written. */
static void what_could_not_be_synced_is_not_taken_back(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = sample_create();
    sample_open(j, bases);
    j->ops->begin(j, &(journal_base){.leap = true}, 0);
    sample_await(j, sample_append(j, sample_message(WIRE_PUSH, 0, 1, 1, 100), false));
    disk_refuses.data_sync = true;
    sample_await(j, sample_append(j, sample_message(WIRE_PUSH, 0, 2, 1, 5000), false));
    disk_refuses.data_sync = false;
    ps_error error;
    assert_int_equal(journal_file_failure(j, &error), PS_ELOG);
    assert_string_equal(error.text, "no update can be acknowledged any more: cannot sync ./" SAMPLE_FIRST
                                    ": Input/output error");
    sample_destroy(&j);
    sample_taken out = {0};
    assert_int_equal(sample_replay(&out, &error), PS_OK);
    assert_int_equal(out.count, 1);
    sample_drop(&out);
    struct stat info;
    assert_int_equal(stat(SAMPLE_FIRST, &info), 0);
    assert_int_equal(info.st_size, 64 + 72 + 8 + 100 + 4);
}

static void where_it_cannot_be_cut_off_either_somebody_is_told_to(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = sample_create();
    sample_open(j, bases);
    sample_await(j, j->ops->begin(j, &(journal_base){.leap = true}, 0));
    disk_refuses.data_sync = disk_refuses.cut = true;
    sample_await(j, sample_append(j, sample_message(WIRE_PUSH, 0, 1, 1, 100), false));
    disk_refuses.data_sync = disk_refuses.cut = false;
    ps_error error;
    assert_int_equal(journal_file_failure(j, &error), PS_ELOG);
    assert_string_equal(error.text, "no update can be acknowledged any more: cannot sync ./" SAMPLE_FIRST
                                    ": Input/output error; nor can its end be cut off (Input/output error): "
                                    "cut it to 64 bytes before this ps starts again");
    sample_destroy(&j);
}

static void a_segment_that_may_not_stay_is_not_begun_from(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = sample_create();
    sample_open(j, bases);
    sample_await(j, j->ops->begin(j, &(journal_base){.leap = true}, 0));
    disk_refuses.folder_sync = true;
    sample_await(j, j->ops->begin(j, &(journal_base){.step = 10}, 0));
    disk_refuses.folder_sync = false;
    assert_int_equal(journal_file_failure(j, NULL), PS_ELOG);
    sample_destroy(&j);
    assert_int_equal(folder_count("log/ps-1-of-2"), 1);
}

static void what_was_read_is_synced_before_it_counts_as_durable(void **state)
{
    (void)state;
    sample_write();
    sample_taken out = {0};
    ps_error error;
    disk_refuses.sync = true;
    assert_int_equal(sample_replay(&out, &error), PS_EIO);
    disk_refuses.sync = false;
    assert_string_equal(error.text, "cannot sync ./" SAMPLE_FIRST ": Input/output error");
    disk_refuses.folder_sync = true;
    assert_int_equal(sample_replay(&out, &error), PS_EIO);
    disk_refuses.folder_sync = false;
    assert_string_equal(error.text, "cannot sync ./log/ps-1-of-2: Input/output error");
    sample_drop(&out);
}

static void without_a_segment_nothing_is_appended(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = sample_create();
    assert_int_equal(sample_append(j, sample_message(WIRE_HELLO, 0, 0, 0, 0), false), 0);
    sample_open(j, bases);
    assert_int_equal(sample_append(j, sample_message(WIRE_HELLO, 0, 0, 0, 0), false), 0);
    torture_begin(0);
    assert_int_equal(j->ops->begin(j, &(journal_base){.leap = true}, 0), 0);
    torture_end();
    assert_int_equal(sample_append(j, sample_message(WIRE_HELLO, 0, 0, 0, 0), false), 0);
    sample_await(j, j->ops->begin(j, &(journal_base){.leap = true}, 0));
    sample_await(j, sample_append(j, sample_message(WIRE_HELLO, 0, 0, 0, 0), false));

    /* What stood in another segment than the shard believes would be wrong. */
    torture_begin(0);
    assert_int_equal(j->ops->begin(j, &(journal_base){.step = 10, .leap = true}, 0), 0);
    torture_end();
    assert_int_equal(sample_append(j, sample_message(WIRE_HELLO, 0, 0, 0, 0), false), 0);
    assert_int_equal(journal_file_failure(j, NULL), PS_OK);
    sample_destroy(&j);
    sample_taken out = {0};
    ps_error error;
    assert_int_equal(sample_replay(&out, &error), PS_OK);
    assert_int_equal(out.count, 1);
    sample_drop(&out);
}

static void a_segment_that_cannot_be_made_ends_it_too(void **state)
{
    (void)state;
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = sample_create();
    sample_open(j, bases);
    folder_put("log/ps-1-of-2", "", 0);
    sample_await(j, j->ops->begin(j, &(journal_base){.leap = true}, 0));
    ps_error error;
    assert_int_equal(journal_file_failure(j, &error), PS_ELOG);
    assert_string_equal(error.text,
                        "no update can be acknowledged any more: cannot make folder ./log/ps-1-of-2: Not a "
                        "directory");
    sample_destroy(&j);
}

int main(void)
{
    log_setup("test", LOG_OFF);
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(where_the_disk_is_full_nothing_more_becomes_durable),
        FOLDER_TEST(what_could_not_be_synced_is_not_taken_back),
        FOLDER_TEST(where_it_cannot_be_cut_off_either_somebody_is_told_to),
        FOLDER_TEST(a_segment_that_may_not_stay_is_not_begun_from),
        FOLDER_TEST(what_was_read_is_synced_before_it_counts_as_durable),
        FOLDER_TEST(without_a_segment_nothing_is_appended),
        FOLDER_TEST(a_segment_that_cannot_be_made_ends_it_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
