/* Which checkpoints of a folder stay, which go, and what people are told of them: common/checkpoint. */
#include "common/checkpoint.h"

#include <string.h>
#include <sys/stat.h>

#include "common/checkpoint_cut.h"
#include "tests/unit/cut_files.h"

static void prune_all(const cut_sample *c, uint32_t keep, uint64_t newest)
{
    for (uint32_t i = 0; i < c->job.servers; i++)
        assert_int_equal(checkpoint_prune("cuts", keep, &c->map, i, newest, NULL), PS_OK);
}

static void newest_whole_cuts_are_kept(void **state)
{
    (void)state;
    cut_sample c;
    cut_sample_open(&c, 2, 1, 4096);
    for (uint64_t step = 100; step <= 500; step += 100)
        cut_sample_write(&c, step);
    prune_all(&c, 10, 500);
    assert_int_equal(folder_count("cuts"), 5);
    prune_all(&c, 2, 500);
    assert_int_equal(folder_count("cuts"), 2);
    cut_sample_expect(&c, 500);
    cut_sample_expect(&c, 400);
    cut_sample_close(&c);
}

static void one_ps_removes_only_what_it_has_written(void **state)
{
    (void)state;
    cut_sample c;
    cut_sample_open(&c, 2, 1, 4096);
    for (uint64_t step = 100; step <= 300; step += 100)
        cut_sample_write(&c, step);
    assert_int_equal(checkpoint_prune("cuts", 2, &c.map, 1, 300, NULL), PS_OK);
    assert_int_equal(folder_count(CUT_100), 2);
    assert_true(cut_file_exists(CUT_100 "/ps-0-of-2.json"));
    assert_int_equal(checkpoint_prune("cuts", 2, &c.map, 0, 300, NULL), PS_OK);
    assert_false(cut_file_exists(CUT_100));
    cut_sample_close(&c);
}

static void cuts_that_are_not_whole_do_not_count_and_do_not_pile_up(void **state)
{
    (void)state;
    cut_sample c;
    cut_sample_open(&c, 2, 1, 4096);
    cut_sample_write(&c, 100);
    cut_sample_write_shard(&c, 0, 150); /* ps 1 could not */
    cut_sample_write(&c, 200);
    for (uint64_t step = 300; step <= 900; step += 100)
        cut_sample_write_shard(&c, 0, step);
    prune_all(&c, 2, 900);
    assert_int_equal(cut_sample_newest(&c, UINT64_MAX), 200);
    cut_sample_expect(&c, 100);
    assert_false(cut_file_exists("cuts/step-000000000150"));
    assert_int_equal(folder_count("cuts"), 4); /* 100, 200, and the newest two */
    assert_true(cut_file_exists("cuts/step-000000000900") && cut_file_exists("cuts/step-000000000800"));
    cut_sample_close(&c);
}

static void cuts_beyond_the_one_just_written_take_nobodys_place(void **state)
{
    (void)state;
    cut_sample c;
    cut_sample_open(&c, 1, 1, 4096);
    cut_sample_write(&c, 800); /* damaged, in a way that shows only when they are read */
    cut_sample_write(&c, 900);
    cut_sample_write(&c, 100);
    cut_sample_write(&c, 200);
    prune_all(&c, 2, 200);
    assert_int_equal(folder_count("cuts"), 4);
    cut_sample_write(&c, 300);
    prune_all(&c, 2, 300);
    cut_sample_expect(&c, 300);
    cut_sample_expect(&c, 200);
    assert_false(cut_file_exists(CUT_100));
    cut_sample_close(&c);
}

static void cuts_of_another_number_of_ps_go_once_there_are_enough(void **state)
{
    (void)state;
    cut_sample two, three;
    cut_sample_open(&two, 2, 1, 4096);
    cut_sample_open(&three, 3, 1, 4096);
    cut_sample_write(&two, 100);
    cut_sample_write(&two, 200);
    cut_sample_write(&three, 300);
    prune_all(&three, 2, 300);
    assert_int_equal(folder_count("cuts"), 3);
    cut_sample_write(&three, 400);
    prune_all(&three, 2, 400);
    assert_int_equal(folder_count("cuts"), 2);
    assert_int_equal(cut_sample_newest(&two, UINT64_MAX), 400);
    cut_sample_close(&two);
    cut_sample_close(&three);
}

static void temporary_files_of_a_crash_are_not_read_and_are_removed(void **state)
{
    (void)state;
    cut_sample c;
    cut_file_open_two(&c);
    cut_file_copy(CUT_200 "/ps-0-of-2.json", CUT_200 "/ps-0-of-2.json.tmp-12-0");
    cut_file_copy(CUT_200 "/ps-1-of-2.json", CUT_200 "/ps-1-of-2.json.tmp-12-0");
    unlink(CUT_200 "/ps-1-of-2.json");
    cut_file_copy(CUT_100 "/ps-0-of-2.safetensors", CUT_100 "/ps-0-of-2.safetensors.tmp-12-1");
    cut_file_expect_passed_over(&c, "only 1 of 2 shards are there");
    cut_sample_write_shard(&c, 1, 200);
    assert_int_equal(checkpoint_prune("cuts", 2, &c.map, 0, 200, NULL), PS_OK);
    assert_int_equal(folder_count(CUT_100), 4);
    assert_int_equal(folder_count(CUT_200), 5); /* the other's may be being written */
    prune_all(&c, 1, 200);
    assert_int_equal(folder_count(CUT_200), 4);
    assert_false(cut_file_exists(CUT_100));
    cut_sample_close(&c);
}

/* ---- for people ---- */

static void cut_is_removed_and_nothing_else(void **state)
{
    (void)state;
    cut_sample c;
    ps_error error;
    cut_file_open_two(&c);
    cut_file_copy(CUT_200 "/ps-0-of-2.json", CUT_200 "/ps-0-of-2.json.tmp-1-1");
    assert_int_equal(checkpoint_remove("cuts", 200, &error), PS_OK);
    assert_false(cut_file_exists(CUT_200));
    cut_sample_expect(&c, 100);
    folder_put(CUT_100 "/notes", "x", 1);
    assert_int_equal(checkpoint_remove("cuts", 100, &error), PS_OK);
    assert_int_equal(folder_count(CUT_100), 1);
    for (uint64_t step = 100; step <= 200; step += 100) {
        assert_int_equal(checkpoint_remove("cuts", step, &error), PS_ENOENT);
        assert_non_null(strstr(error.text, "there is no checkpoint of step "));
    }
    cut_sample_close(&c);
}

static void list_says_what_is_there_and_what_is_wrong(void **state)
{
    (void)state;
    cut_sample c;
    cut_file_open_two(&c);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(cut_sample_try(&c, i, 300, true, NULL), PS_OK);
    cut_sample_write_shard(&c, 1, 400);
    cut_file_copy(CUT_100 "/ps-1-of-2.safetensors", CUT_200 "/ps-1-of-2.safetensors");
    checkpoint_cut cuts[8];
    uint32_t count = 77;
    assert_int_equal(checkpoint_list("cuts", false, cuts, 8, &count, NULL), PS_OK);
    assert_int_equal(count, 4);
    assert_true(cuts[0].step == 400 && !cuts[0].whole && cuts[0].servers == 2 && cuts[0].shards == 1);
    assert_string_equal(cuts[0].damage, "only 1 of 2 shards are there");
    assert_true(cuts[1].step == 300 && cuts[1].whole && cuts[1].final && cuts[1].shards == 2);
    assert_true(cuts[1].bytes == 3351 * sizeof(float) * 3);
    assert_true(cuts[2].step == 200 && cuts[2].whole && !cuts[2].final);
    assert_string_equal(cuts[2].damage, "");
    assert_int_equal(checkpoint_list("cuts", true, cuts, 8, &count, NULL), PS_OK);
    assert_true(cuts[1].whole && !cuts[2].whole && cuts[3].whole);
    assert_non_null(strstr(cuts[2].damage, "its checksum does not fit"));
    assert_int_equal(checkpoint_list("cuts", true, cuts, 2, &count, NULL), PS_OK);
    assert_int_equal(count, 2);
    assert_int_equal(checkpoint_list("absent", true, cuts, 8, &count, NULL), PS_OK);
    assert_int_equal(count, 0);
    cut_sample_close(&c);
}

static void newest_of_very_many_cuts_are_seen(void **state)
{
    (void)state;
    cut_sample c;
    cut_sample_open(&c, 1, 1, 4096);
    mkdir("cuts", 0777);
    for (unsigned step = 1; step <= CHECKPOINT_CUTS_MAX + 10; step++) {
        char path[64];
        snprintf(path, sizeof path, "cuts/step-%012u", step);
        assert_int_equal(mkdir(path, 0777), 0);
    }
    cut_sample_write(&c, CHECKPOINT_CUTS_MAX + 5);
    cut_sample_write(&c, 5);
    assert_int_equal(cut_sample_newest(&c, UINT64_MAX), CHECKPOINT_CUTS_MAX + 5);
    assert_int_equal(cut_sample_newest(&c, CHECKPOINT_CUTS_MAX), 0);
    cut_sample_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(newest_whole_cuts_are_kept),
        FOLDER_TEST(one_ps_removes_only_what_it_has_written),
        FOLDER_TEST(cuts_that_are_not_whole_do_not_count_and_do_not_pile_up),
        FOLDER_TEST(cuts_beyond_the_one_just_written_take_nobodys_place),
        FOLDER_TEST(cuts_of_another_number_of_ps_go_once_there_are_enough),
        FOLDER_TEST(temporary_files_of_a_crash_are_not_read_and_are_removed),
        FOLDER_TEST(cut_is_removed_and_nothing_else),
        FOLDER_TEST(list_says_what_is_there_and_what_is_wrong),
        FOLDER_TEST(newest_of_very_many_cuts_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
