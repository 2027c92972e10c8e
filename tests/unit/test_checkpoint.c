/* Checkpoints in a folder, common/checkpoint: what was written comes back, into any cluster; damage is found,
 * and the newest cut that is whole is used. Which ones stay: test_checkpoint_keep.c. */
#include "common/checkpoint.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "common/checkpoint_cut.h"
#include "tests/unit/cut_files.h"
#include "tests/unit/torture.h"

/* ---- round trips ---- */

static void what_was_written_comes_back(void **state)
{
    (void)state;
    cut_sample c;
    cut_sample_open(&c, 2, 3, 4096);
    assert_int_equal(cut_sample_newest(&c, UINT64_MAX), 0);
    cut_sample_write(&c, 100);
    cut_sample_write(&c, 200);
    assert_int_equal(cut_sample_newest(&c, UINT64_MAX), 200);
    assert_int_equal(cut_sample_newest(&c, 200), 100);
    assert_int_equal(cut_sample_newest(&c, 100), 0);
    cut_sample_expect(&c, 200);
    cut_sample_expect(&c, 100);
    checkpoint_state s;
    assert_int_equal(cut_sample_load(&c, 1, 200, &s, NULL), PS_OK);
    assert_true(s.step == 200 && s.updates == 199 && s.examples == 10000 && s.epoch == 2 && !s.final);
    assert_int_equal(s.clock_count, 3);
    assert_true(s.clocks[2].pushed == 202 && s.clocks[1].finished && !s.clocks[2].finished);
    checkpoint_state_fini(&s);
    checkpoint_state_fini(&s);
    cut_sample_close(&c);
}

static void cut_is_read_into_any_number_of_ps_workers_and_slices(void **state)
{
    (void)state;
    for (uint32_t then = 1; then <= 4; then++) {
        cut_sample from;
        cut_sample_open(&from, then, 3, 4096);
        cut_sample_write(&from, 100 * then);
        for (uint32_t now = 1; now <= 5; now++) {
            cut_sample to;
            cut_sample_open(&to, now, 1 + now, now % 2 ? 8192 : 4096 + 400);
            assert_int_equal(cut_sample_newest(&to, UINT64_MAX), 100 * then);
            cut_sample_expect(&to, 100 * then);
            cut_sample_close(&to);
        }
        cut_sample_close(&from);
    }
}

static void state_of_other_ps_is_the_lowest_of_them(void **state)
{
    (void)state;
    cut_sample two, one;
    cut_sample_open(&two, 2, 2, 4096);
    cut_sample_open(&one, 1, 2, 4096);
    cut_sample_write(&two, 200);
    /* The shards of an asynchronous job have not seen the same. */
    checkpoint_clock clocks[2] = {{.pushed = 150}, {.pushed = 500, .finished = true}};
    checkpoint_state behind = {.step = 200, .updates = 180, .examples = 20000, .clock_count = 2};
    behind.clocks = clocks;
    checkpoint_target *targets = cut_sample_room(&two, 1);
    checkpoint_source sources[64] = {0};
    for (uint32_t i = 0; i < partition_server_count(&two.map, 1); i++)
        for (uint32_t k = 0; k <= CUT_SLOTS; k++)
            sources[i].arrays[k] = targets[i].arrays[k];
    assert_int_equal(checkpoint_write("cuts", &two.job, &two.map, 1, &behind, CUT_SLOTS, sources, NULL),
                     PS_OK);
    cut_sample_free(&two, 1, targets);

    checkpoint_state merged;
    targets = cut_sample_room(&one, 0);
    assert_int_equal(checkpoint_load("cuts", 200, &one.job, &one.map, 0, CUT_SLOTS, targets, &merged, NULL),
                     PS_OK);
    assert_true(merged.updates == 180 && merged.examples == 10000 && !merged.final);
    assert_true(merged.clocks[0].pushed == 150 && merged.clocks[1].pushed == 201);
    checkpoint_state_fini(&merged);
    cut_sample_free(&one, 0, targets);
    cut_sample_close(&one);
    cut_sample_close(&two);
}

static void ps_without_slices_is_not_missed(void **state)
{
    (void)state;
    cut_sample c;
    cut_sample_open(&c, 8, 1, JOB_SLICE_BYTES_DEFAULT);
    uint32_t with = 0;
    for (uint32_t i = 0; i < 8; i++)
        if (partition_server_count(&c.map, i) > 0) {
            cut_sample_write_shard(&c, i, 100);
            with++;
        }
    assert_in_range(with, 1, 7);
    assert_int_equal(cut_sample_newest(&c, UINT64_MAX), 100);
    cut_sample_close(&c);
}

static void writing_a_step_again_replaces_it(void **state)
{
    (void)state;
    cut_sample c;
    cut_sample_open(&c, 1, 2, 4096);
    cut_sample_write(&c, 100);
    assert_int_equal(cut_sample_try(&c, 0, 100, true, NULL), PS_OK);
    checkpoint_state s;
    assert_int_equal(cut_sample_load(&c, 0, 100, &s, NULL), PS_OK);
    assert_true(s.final);
    checkpoint_state_fini(&s);
    assert_int_equal(folder_count(CUT_100), 2);
    cut_sample_close(&c);
}

/* ---- damage ---- */

/* Reading fails, as a disk does now and then: it may be whole for all that. */
static void cut_that_cannot_be_read_now_is_not_passed_over(void **state)
{
    (void)state;
    ps_error error;
    cut_sample c;
    cut_file_open_two(&c);
    cut_file kept = cut_file_get(CUT_200 "/ps-1-of-2.json");
    unlink(CUT_200 "/ps-1-of-2.json");
    assert_int_equal(symlink("ps-1-of-2.json", CUT_200 "/ps-1-of-2.json"), 0);
    assert_int_equal(cut_sample_newest(&c, UINT64_MAX), 200);
    assert_int_equal(cut_sample_load(&c, 0, 200, NULL, &error), PS_EIO);
    unlink(CUT_200 "/ps-1-of-2.json");
    cut_file_put_back(CUT_200 "/ps-1-of-2.json", &kept);
    cut_sample_close(&c);
}

static void arrays_that_cannot_be_read_any_more_are_an_error(void **state)
{
    (void)state;
    ps_error error;
    cut_sample c;
    cut_file_open_two(&c);
    shard_file s;
    assert_int_equal(shard_file_open("cuts", 200, 1, 2, &s, &error), PS_OK);
    assert_int_equal(shard_file_check(&s, 0, &error), PS_OK);
    assert_int_equal(truncate(CUT_200 "/ps-1-of-2.safetensors", 1), 0);
    assert_int_equal(shard_file_check(&s, s.file.count - 1, &error), PS_EIO);
    assert_non_null(strstr(error.text, "the checkpoint of step 200, ps-1-of-2.safetensors: "));
    assert_non_null(strstr(error.text, "its disk cannot read it"));
    shard_file_close(&s);
    cut_sample_close(&c);
}

static void cut_that_lacks_a_file_is_passed_over(void **state)
{
    (void)state;
    const char *const files[] = {CUT_200 "/ps-0-of-2.json", CUT_200 "/ps-1-of-2.json",
                                 CUT_200 "/ps-0-of-2.safetensors", CUT_200 "/ps-1-of-2.safetensors"};
    cut_sample c;
    cut_file_open_two(&c);
    for (int i = 0; i < 4; i++) {
        cut_file kept = cut_file_get(files[i]);
        unlink(files[i]);
        cut_file_expect_passed_over(&c, i < 2 ? "only 1 of 2 shards are there" : "No such file");
        cut_file_put_back(files[i], &kept);
        assert_int_equal(cut_sample_newest(&c, UINT64_MAX), 200);
    }
    for (int i = 0; i < 4; i++)
        unlink(files[i]);
    cut_file_expect_passed_over(&c, "no manifest is there");
    cut_sample_close(&c);
}

static void file_cut_anywhere_is_found(void **state)
{
    (void)state;
    const char *const files[] = {CUT_200 "/ps-1-of-2.json", CUT_200 "/ps-1-of-2.safetensors"};
    cut_sample c;
    cut_file_open_two(&c);
    for (int i = 0; i < 2; i++) {
        cut_file whole = cut_file_get(files[i]);
        for (size_t size = 0; size < whole.size; size += size < 100 ? 1 : whole.size / 61) {
            folder_put(files[i], whole.bytes, size);
            cut_file_expect_passed_over(&c, files[i]);
        }
        cut_file_put_back(files[i], &whole);
        assert_int_equal(cut_sample_newest(&c, UINT64_MAX), 200);
    }
    cut_sample_close(&c);
}

static void every_flipped_bit_of_arrays_is_found(void **state)
{
    (void)state;
    const char *path = CUT_200 "/ps-1-of-2.safetensors";
    cut_sample c;
    cut_file_open_two(&c);
    cut_file whole = cut_file_get(path);
    uint64_t header;
    memcpy(&header, whole.bytes, sizeof header);
    const size_t data = sizeof header + header;
    unsigned loaded = 0;
    for (size_t bit = 0; bit < whole.size * 8; bit += bit < data * 8 ? 1 : 131) {
        whole.bytes[bit / 8] ^= (char)(1 << bit % 8);
        folder_put(path, whole.bytes, whole.size);
        ps_error error = {PS_OK, ""};
        ps_status status = cut_sample_load(&c, 1, 200, NULL, &error);
        /* A name in the header may change: arrays are known by their place. */
        loaded += status == PS_OK;
        assert_true(bit < data * 8 || (status == PS_EFORMAT && strstr(error.text, "is damaged")));
        assert_true(status == PS_OK || error.text[0] != '\0');
        whole.bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_true(loaded < data * 8);
    cut_file_put_back(path, &whole);
    cut_sample_expect(&c, 200);
    cut_sample_close(&c);
}

static void shard_of_another_step_place_or_job_does_not_belong(void **state)
{
    (void)state;
    cut_sample c, other;
    cut_file_open_two(&c);
    cut_file kept = cut_file_get(CUT_200 "/ps-1-of-2.json");
    cut_file_copy(CUT_100 "/ps-1-of-2.json", CUT_200 "/ps-1-of-2.json");
    cut_file_expect_passed_over(&c, "it is of step 100 and ps 1 of 2");
    cut_file_copy(CUT_200 "/ps-0-of-2.json", CUT_200 "/ps-1-of-2.json");
    cut_file_expect_passed_over(&c, "it is of step 200 and ps 0 of 2");
    cut_file_put_back(CUT_200 "/ps-1-of-2.json", &kept);

    rename(CUT_200, "kept");
    cut_sample_open(&other, 2, 2, 4096);
    other.job.seed = 9;
    cut_sample_write_shard(&other, 0, 200);
    cut_file_copy("kept/ps-1-of-2.json", CUT_200 "/ps-1-of-2.json");
    cut_file_copy("kept/ps-1-of-2.safetensors", CUT_200 "/ps-1-of-2.safetensors");
    cut_file_expect_passed_over(&c, "its shards are of different jobs: seed");
    cut_sample_close(&other);
    cut_sample_close(&c);
}

static void arrays_of_another_cut_are_found_when_they_are_read(void **state)
{
    (void)state;
    cut_sample c;
    cut_file_open_two(&c);
    cut_file_copy(CUT_100 "/ps-1-of-2.safetensors", CUT_200 "/ps-1-of-2.safetensors");
    ps_error error;
    assert_int_equal(cut_sample_load(&c, 1, 200, NULL, &error), PS_EFORMAT);
    assert_non_null(strstr(error.text, "the checkpoint of step 200, ps-1-of-2.safetensors: slice-"));
    cut_sample_close(&c);
}

static void what_is_no_checkpoint_is_left_alone(void **state)
{
    (void)state;
    cut_sample c;
    cut_file_open_two(&c);
    folder_put("cuts/step-000000000300", "x", 1);
    folder_put("cuts/step-400", "x", 1);
    folder_put("cuts/notes", "x", 1);
    mkdir("cuts/step-000000000500", 0777);
    mkdir("cuts/step-000000000500/ps-0-of-1.json", 0777);
    folder_put(CUT_200 "/README", "x", 1);
    const char *const names[] = {"ps-00-of-2.json",    "ps- 0-of-2.json", "ps-+0-of-2.json",
                                 "ps-2-of-2.json",     "ps-0-of-0.json",  "ps-0-of-1025.json",
                                 "ps-0-of-02.json",    "ps-0-of-3.json~", "ps--1-of-3.json",
                                 "ps-0-of-3.jsontmp-", "ps-0-of-3"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, CUT_200 "/%s", names[i]);
        folder_put(path, "x", 1);
    }
    assert_int_equal(cut_sample_newest(&c, UINT64_MAX), 200);
    unlink(CUT_200 "/ps-1-of-2.json"); /* no other name stands in for it */
    assert_int_equal(cut_sample_newest(&c, UINT64_MAX), 100);
    cut_sample_write_shard(&c, 1, 200);
    cut_sample_write(&c, 600);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(checkpoint_prune("cuts", 1, &c.map, i, 600, NULL), PS_OK);
    assert_true(cut_file_exists("cuts/step-000000000300") && cut_file_exists("cuts/step-400") &&
                cut_file_exists("cuts/notes"));
    assert_true(cut_file_exists("cuts/step-000000000500/ps-0-of-1.json"));
    assert_int_equal(folder_count(CUT_200), 1 + sizeof names / sizeof names[0]);
    assert_false(cut_file_exists(CUT_100));
    cut_sample_close(&c);
}

static void folder_that_is_none_is_an_error(void **state)
{
    (void)state;
    cut_sample c;
    cut_sample_open(&c, 1, 1, 4096);
    folder_put("cuts", "x", 1);
    uint64_t step;
    uint32_t count;
    checkpoint_cut cut;
    ps_error error;
    assert_int_equal(checkpoint_newest("cuts", &c.job, UINT64_MAX, &step, NULL, &error), PS_EIO);
    assert_string_equal(error.text, "cannot read cuts: Not a directory");
    assert_int_equal(checkpoint_list("cuts", false, &cut, 1, &count, &error), PS_EIO);
    assert_int_equal(checkpoint_prune("cuts", 2, &c.map, 0, 100, &error), PS_EIO);
    assert_int_equal(cut_sample_try(&c, 0, 100, false, &error), PS_EIO);
    assert_string_equal(error.text, "cannot make folder cuts: Not a directory");
    cut_sample_close(&c);
}

/* ---- which training ---- */

static void what_decides_the_weights_must_be_the_same(void **state)
{
    (void)state;
    cut_sample c, other;
    cut_file_open_two(&c);
    cut_sample_open(&other, 2, 2, 4096);
    other.job.optimizer.beta1 = 0.5;
    uint64_t step = 77;
    ps_error error;
    assert_int_equal(checkpoint_newest("cuts", &other.job, UINT64_MAX, &step, NULL, &error), PS_EMISMATCH);
    assert_int_equal(step, 0);
    assert_non_null(strstr(error.text, "the checkpoints in cuts are of another training: "));
    assert_non_null(strstr(error.text, "beta1"));
    assert_non_null(strstr(error.text, "; use another folder"));
    assert_int_equal(cut_sample_load(&other, 0, 200, NULL, &error), PS_EMISMATCH);
    cut_sample_close(&other);
    cut_sample_close(&c);
}

static void what_does_not_decide_the_weights_may_differ(void **state)
{
    (void)state;
    cut_sample c, other;
    cut_file_open_two(&c);
    cut_sample_open(&other, 3, 5, 8192);
    other.job.evaluators = 1;
    other.job.staleness = 7;
    other.job.guard = GUARD_STOP;
    other.job.push_codec = other.job.pull_codec = CODEC_BF16;
    other.job.topk_fraction = 0.5;
    other.job.tensors.tensors[1].push_codec = CODEC_INT8;
    assert_int_equal(cut_sample_newest(&other, UINT64_MAX), 200);
    cut_sample_expect(&other, 200);
    cut_sample_close(&other);
    cut_sample_close(&c);
}

static void other_number_of_slots_is_refused(void **state)
{
    (void)state;
    cut_sample c;
    cut_file_open_two(&c);
    checkpoint_target *targets = cut_sample_room(&c, 0);
    checkpoint_state s;
    ps_error error;
    assert_int_equal(checkpoint_load("cuts", 200, &c.job, &c.map, 0, 1, targets, &s, &error), PS_EFORMAT);
    assert_string_equal(error.text, "the checkpoint of step 200 has 2 optimizer slots; 1 are needed");
    assert_null(s.clocks);
    cut_sample_free(&c, 0, targets);
    cut_sample_close(&c);
}

/* ---- failing writes ---- */

static void failing_write_leaves_the_cut_of_before(void **state)
{
    (void)state;
    cut_sample c;
    cut_file_open_two(&c);
    ps_error error;
    /* In the way of the arrays of 200, which are there, and of the whole cut of 300. */
    cut_file kept = cut_file_get(CUT_200 "/ps-0-of-2.safetensors");
    folder_put("cuts/step-000000000300", "x", 1);
    assert_int_equal(cut_sample_try(&c, 0, 300, false, &error), PS_EIO);
    assert_string_equal(error.text, "cannot make folder cuts/step-000000000300: Not a directory");
    unlink(CUT_200 "/ps-0-of-2.safetensors");
    mkdir(CUT_200 "/ps-0-of-2.safetensors", 0777); /* cannot be renamed over */
    assert_int_equal(cut_sample_try(&c, 0, 200, true, &error), PS_EIO);
    assert_non_null(strstr(error.text, "cannot write cuts/step-000000000200/ps-0-of-2.safetensors: "));
    rmdir(CUT_200 "/ps-0-of-2.safetensors");
    cut_file_put_back(CUT_200 "/ps-0-of-2.safetensors", &kept);
    assert_int_equal(cut_sample_newest(&c, UINT64_MAX), 200);
    cut_sample_expect(&c, 200);
    assert_int_equal(folder_count(CUT_200), 4);
    cut_sample_close(&c);
}

static void more_arrays_than_a_file_holds_are_refused(void **state)
{
    (void)state;
    cut_sample c;
    job_sample(&c.job, 1, 1, (uint64_t)TENSOR_TABLE_MAX * 1024);
    assert_int_equal(partition_init(&c.map, &c.job, NULL), PS_OK);
    ps_error error;
    const checkpoint_state s = {.step = 1};
    assert_int_equal(checkpoint_write("cuts", &c.job, &c.map, 0, &s, 1, NULL, &error), PS_EINVAL);
    assert_non_null(strstr(error.text, "a shard of 131072 arrays does not go into one file; use larger"));
    cut_sample_close(&c);
}

/* ---- memory ---- */

typedef struct {
    cut_sample c;
    checkpoint_target *room;
    checkpoint_source *sources;
    checkpoint_state state;
    checkpoint_clock clocks[2];
} bench;

static ps_status find_newest(bench *b, ps_error *error)
{
    uint64_t step;
    ps_status status = checkpoint_newest("cuts", &b->c.job, UINT64_MAX, &step, cut_file_note_passed, error);
    assert_int_equal(step, status == PS_OK ? 200 : 0);
    return status;
}

static ps_status load(bench *b, ps_error *error)
{
    checkpoint_state s;
    ps_status status = checkpoint_load("cuts", 200, &b->c.job, &b->c.map, 0, CUT_SLOTS, b->room, &s, error);
    assert_true(status == PS_OK || !s.clocks);
    checkpoint_state_fini(&s);
    return status;
}

static ps_status list(bench *b, ps_error *error)
{
    checkpoint_cut cuts[4];
    uint32_t count;
    (void)b;
    ps_status status = checkpoint_list("cuts", true, cuts, 4, &count, error);
    assert_true(status != PS_OK || (count == 2 && cuts[0].whole && cuts[1].whole));
    return status;
}

static ps_status write_again(bench *b, ps_error *error)
{
    return checkpoint_write("cuts", &b->c.job, &b->c.map, 0, &b->state, CUT_SLOTS, b->sources, error);
}

static ps_status prune(bench *b, ps_error *error)
{
    return checkpoint_prune("cuts", 1, &b->c.map, 0, 200, error);
}

static void running_out_of_memory_is_said_and_damages_nothing(void **state)
{
    (void)state;
    ps_status (*const actions[])(bench *, ps_error *) = {find_newest, list, load, write_again, prune};
    bench b;
    cut_file_open_two(&b.c);
    b.room = cut_sample_room(&b.c, 0);
    b.sources = cut_sample_sources(&b.c, 0, 200, b.room);
    b.state = cut_sample_state(&b.c, 200, b.clocks);
    for (int i = 0; i < 5; i++) {
        ps_status status = PS_ENOMEM;
        for (long allocations = 0; status != PS_OK; allocations++) {
            ps_error error = {PS_OK, ""};
            torture_begin(allocations);
            status = actions[i](&b, &error);
            torture_end();
            if (status != PS_OK && (status != PS_ENOMEM || !error.text[0]))
                fail_msg("action %d, %ld allocations: %s", i, allocations, error.text);
        }
        cut_sample_expect(&b.c, 200);
    }
    free(b.sources);
    cut_sample_free(&b.c, 0, b.room);
    cut_sample_close(&b.c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(what_was_written_comes_back),
        FOLDER_TEST(cut_is_read_into_any_number_of_ps_workers_and_slices),
        FOLDER_TEST(state_of_other_ps_is_the_lowest_of_them),
        FOLDER_TEST(ps_without_slices_is_not_missed),
        FOLDER_TEST(writing_a_step_again_replaces_it),
        FOLDER_TEST(cut_that_cannot_be_read_now_is_not_passed_over),
        FOLDER_TEST(arrays_that_cannot_be_read_any_more_are_an_error),
        FOLDER_TEST(cut_that_lacks_a_file_is_passed_over),
        FOLDER_TEST(file_cut_anywhere_is_found),
        FOLDER_TEST(every_flipped_bit_of_arrays_is_found),
        FOLDER_TEST(shard_of_another_step_place_or_job_does_not_belong),
        FOLDER_TEST(arrays_of_another_cut_are_found_when_they_are_read),
        FOLDER_TEST(what_is_no_checkpoint_is_left_alone),
        FOLDER_TEST(folder_that_is_none_is_an_error),
        FOLDER_TEST(what_decides_the_weights_must_be_the_same),
        FOLDER_TEST(what_does_not_decide_the_weights_may_differ),
        FOLDER_TEST(other_number_of_slots_is_refused),
        FOLDER_TEST(failing_write_leaves_the_cut_of_before),
        FOLDER_TEST(more_arrays_than_a_file_holds_are_refused),
        FOLDER_TEST(running_out_of_memory_is_said_and_damages_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
