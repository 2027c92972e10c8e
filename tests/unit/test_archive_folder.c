/* An archive of files, ps/archive_folder: images are kept by a thread of its own, come back as they were, and
 * a disk that fails is complained about once. */
#include "ps/archive_folder.h"

#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/log.h"
#include "tests/unit/cut_sample.h"
#include "tests/unit/folder.h"
#include "tests/unit/log_capture.h"
#include "tests/unit/torture.h"

/* The disk: fsync waits while its gate is shut. */
int __real_fsync(int fd);
int __wrap_fsync(int fd);
static sem_t *gate;

int __wrap_fsync(int fd)
{
    if (gate) {
        sem_wait(gate);
        sem_post(gate);
    }
    return __real_fsync(fd);
}

typedef struct {
    cut_sample c;
    pool *memory;
    archive *archive;
} bench;

static void open_archive(bench *b, uint32_t keep)
{
    ps_error error;
    if (archive_folder_create("cuts", keep, &b->archive, &error) != PS_OK)
        fail_msg("%s", error.text);
}

static void close_archive(bench *b)
{
    b->archive->ops->destroy(b->archive);
    b->archive = NULL;
}

static void open_bench(bench *b)
{
    log_setup("test", LOG_INFO);
    cut_sample_open(&b->c, 1, 2, 4096);
    assert_int_equal(pool_create(false, &b->memory), PS_OK);
    open_archive(b, 2);
}

static void close_bench(bench *b)
{
    if (b->archive)
        close_archive(b);
    pool_destroy(&b->memory);
    cut_sample_close(&b->c);
}

static store *make_store(bench *b)
{
    store *s;
    assert_int_equal(store_create(&b->c.job, &b->c.map, 0, b->memory, NULL, &s), PS_OK);
    return s;
}

static void keep(bench *b, uint64_t step, bool final)
{
    store *s = make_store(b);
    checkpoint_target *room = cut_sample_room(&b->c, 0);
    checkpoint_source *values = cut_sample_sources(&b->c, 0, step, room);
    for (uint32_t i = 0; i < partition_server_count(&b->c.map, 0); i++)
        for (uint32_t k = 0; k <= CUT_SLOTS; k++)
            memcpy(store_array(s, i, k), values[i].arrays[k],
                   cut_sample_slice(&b->c, 0, i)->count * sizeof(float));
    checkpoint_clock clocks[2];
    checkpoint_state state = cut_sample_state(&b->c, step, clocks);
    state.final = final;
    state.clocks = calloc(2, sizeof *state.clocks);
    memcpy(state.clocks, clocks, sizeof clocks);
    image *i = image_take(&b->c.job, &b->c.map, 0, s, &state);
    assert_non_null(i);
    b->archive->ops->keep(b->archive, &i);
    assert_null(i);
    free(values);
    cut_sample_free(&b->c, 0, room);
    store_destroy(&s);
}

static void await_idle(const bench *b)
{
    while (!b->archive->ops->is_idle(b->archive))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void keep_now(bench *b, uint64_t step)
{
    keep(b, step, false);
    await_idle(b);
}

static uint64_t newest(bench *b, uint64_t below)
{
    uint64_t step;
    ps_error error;
    if (b->archive->ops->newest(b->archive, &b->c.job, below, &step, &error) != PS_OK)
        fail_msg("%s", error.text);
    return step;
}

static ps_status load(bench *b, uint64_t step, checkpoint_state *state)
{
    store *s = make_store(b);
    ps_error error;
    ps_status status = b->archive->ops->load(b->archive, step, &b->c.job, &b->c.map, 0, s, state, &error);
    for (uint32_t i = 0; i < partition_server_count(&b->c.map, 0) && status == PS_OK; i++)
        for (uint32_t k = 0; k <= CUT_SLOTS; k++)
            for (uint32_t e = 0; e < cut_sample_slice(&b->c, 0, i)->count; e++)
                assert_true(store_array(s, i, k)[e] ==
                            cut_sample_value(cut_sample_slice(&b->c, 0, i), e, k, step));
    store_destroy(&s);
    return status;
}

static ps_status load_own(bench *b, uint64_t step)
{
    store *s = make_store(b);
    checkpoint_state state;
    ps_status status = b->archive->ops->load_own(b->archive, step, &b->c.job, &b->c.map, 0, s, &state, NULL);
    checkpoint_state_fini(&state);
    store_destroy(&s);
    return status;
}

static void assert_loads(bench *b, uint64_t step)
{
    checkpoint_state state;
    assert_int_equal(load(b, step, &state), PS_OK);
    checkpoint_state_fini(&state);
}

static void damage(const char *path)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -1, SEEK_END), 0);
    fputc(0x55, file);
    assert_int_equal(fclose(file), 0);
}

static void what_was_kept_comes_back_in_another_process(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    assert_int_equal(newest(&b, UINT64_MAX), 0);
    keep(&b, 100, false);
    keep(&b, 200, false);
    close_archive(&b); /* waits for what it was given */
    open_archive(&b, 2);
    assert_int_equal(newest(&b, UINT64_MAX), 200);
    assert_int_equal(newest(&b, 200), 100);
    assert_loads(&b, 100);
    checkpoint_state s;
    assert_int_equal(load(&b, 200, &s), PS_OK);
    assert_true(s.step == 200 && s.updates == 199 && s.examples == 10000 && s.epoch == 2);
    assert_true(s.clocks[1].pushed == 201 && s.clocks[1].finished);
    checkpoint_state_fini(&s);
    close_bench(&b);
}

static void newest_are_kept_and_counted(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    for (uint64_t step = 100; step <= 500; step += 100)
        keep(&b, step, false);
    await_idle(&b);
    assert_int_equal(folder_count("cuts"), 2);
    assert_loads(&b, 400);
    assert_loads(&b, 500);
    const archive_counters c = archive_folder_count(b.archive);
    assert_true(c.kept == 5 && c.failed == 0 && c.dropped == 0);
    close_bench(&b);
}

static void *keep_third(void *context)
{
    keep(context, 300, false);
    return NULL;
}

static void slow_disk_is_waited_for(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    sem_t shut;
    sem_init(&shut, 0, 0);
    gate = &shut;
    keep(&b, 100, false);
    keep(&b, 200, false);
    assert_false(b.archive->ops->is_idle(b.archive));
    pthread_t third;
    assert_int_equal(pthread_create(&third, NULL, keep_third, &b), 0);
    sem_post(&shut);
    pthread_join(third, NULL);
    await_idle(&b);
    assert_true(archive_folder_count(b.archive).kept == 3);
    gate = NULL;
    sem_destroy(&shut);
    close_bench(&b);
}

static void folder_that_cannot_be_used_is_refused(void **state)
{
    (void)state;
    archive *a;
    ps_error error;
    folder_put("file", "x", 1);
    assert_int_equal(archive_folder_create("file/cuts", 2, &a, &error), PS_EIO);
    assert_null(a);
    assert_string_equal(error.text, "cannot make folder file: Not a directory");
    assert_int_equal(archive_folder_create("", 2, &a, &error), PS_EIO);
    assert_int_equal(archive_folder_create("new/folders", 2, &a, &error), PS_OK);
    a->ops->destroy(a);
    assert_int_equal(folder_count("new/folders"), 0);
}

static void failing_disk_is_complained_about_once_per_cause(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    log_capture log;
    keep_now(&b, 100);
    log_capture_begin(&log);
    /* In the way of the folders of cuts, and then of all of them. */
    for (unsigned step = 200; step <= 400; step += 100) {
        char path[64];
        snprintf(path, sizeof path, "cuts/step-%012u", step);
        folder_put(path, "x", 1);
        keep_now(&b, step);
    }
    rename("cuts", "kept");
    folder_put("cuts", "x", 1);
    keep_now(&b, 500);
    keep_now(&b, 600);
    unlink("cuts");
    rename("kept", "cuts");
    keep_now(&b, 400); /* in the way still: no news */
    keep_now(&b, 700);
    log_capture_pause(&log);
    char lines[3][2048] = {"", "", ""};
    for (int i = 0; i < 3; i++)
        log_capture_next(&log, lines[i], sizeof lines[i]);
    assert_non_null(strstr(lines[0], "the checkpoint of step 200 could not be written: cannot make folder "
                                     "cuts/step-000000000200: Not a directory; training goes on"));
    assert_non_null(strstr(lines[1], "step 500 could not be written: cannot make folder cuts: Not a dir"));
    assert_non_null(strstr(lines[2], "checkpoints can be written again, after 6 that could not"));
    assert_true(log_capture_has(&log, "checkpoint of step 700 written"));
    log_capture_end(&log);
    const archive_counters c = archive_folder_count(b.archive);
    assert_true(c.kept == 2 && c.failed == 6 && c.dropped == 0);
    for (uint64_t step = 200; step <= 600; step += 100)
        assert_int_equal(b.archive->ops->fate(b.archive, step), IMAGE_LOST);
    assert_int_equal(b.archive->ops->fate(b.archive, 100), IMAGE_KEPT);
    assert_int_equal(b.archive->ops->fate(b.archive, 700), IMAGE_KEPT);
    assert_int_equal(b.archive->ops->fate(b.archive, 800), IMAGE_UNKNOWN);
    assert_loads(&b, 700);
    assert_loads(&b, 100);
    close_bench(&b);
}

static void damaged_cut_is_not_offered_again_until_written_anew(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    keep_now(&b, 100);
    keep_now(&b, 200);
    damage("cuts/step-000000000200/ps-0-of-1.safetensors");
    assert_int_equal(newest(&b, UINT64_MAX), 200);
    checkpoint_state s;
    assert_int_equal(load(&b, 200, &s), PS_EFORMAT);
    assert_null(s.clocks);
    assert_int_equal(newest(&b, UINT64_MAX), 100);
    assert_int_equal(newest(&b, 100), 0);
    keep_now(&b, 200);
    assert_int_equal(newest(&b, UINT64_MAX), 200);
    assert_loads(&b, 200);
    close_bench(&b);
}

static void cuts_that_are_not_whole_are_passed_over_and_named(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    close_archive(&b);
    open_archive(&b, 3);
    for (uint64_t step = 100; step <= 300; step += 100)
        keep_now(&b, step);
    unlink("cuts/step-000000000200/ps-0-of-1.safetensors");
    unlink("cuts/step-000000000300/ps-0-of-1.json");
    log_capture log;
    log_capture_begin(&log);
    assert_int_equal(newest(&b, UINT64_MAX), 100);
    log_capture_pause(&log);
    char line[2048];
    assert_true(log_capture_next(&log, line, sizeof line) > 0);
    assert_non_null(strstr(line, "the checkpoint of step 300 cannot be used: no manifest is there"));
    assert_true(log_capture_next(&log, line, sizeof line) > 0);
    assert_non_null(strstr(line, "the checkpoint of step 200 cannot be used: cannot open cuts/step-0"));
    assert_int_equal(log_capture_next(&log, line, sizeof line), 0);
    log_capture_end(&log);
    close_bench(&b);
}

static void another_training_is_refused(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    keep_now(&b, 100);
    b.c.job.seed = 5;
    uint64_t step;
    ps_error error;
    assert_int_equal(b.archive->ops->newest(b.archive, &b.c.job, UINT64_MAX, &step, &error), PS_EMISMATCH);
    assert_non_null(strstr(error.text, "the checkpoints in cuts are of another training: seed"));
    close_bench(&b);
}

static void end_of_a_job_is_recognised(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    assert_false(archive_folder_is_final(b.archive));
    keep_now(&b, 100);
    assert_false(archive_folder_is_final(b.archive));
    keep(&b, 100, true);
    await_idle(&b);
    assert_true(archive_folder_is_final(b.archive));
    keep_now(&b, 200);
    assert_false(archive_folder_is_final(b.archive));
    close_bench(&b);
}

static void running_out_of_memory_is_said(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    keep_now(&b, 100);
    close_archive(&b);
    ps_status status = PS_ENOMEM;
    ps_error error;
    for (long allocations = 0; status != PS_OK; allocations++) {
        torture_begin(allocations);
        status = archive_folder_create("cuts", 2, &b.archive, &error);
        torture_end();
        assert_true(status == PS_OK || (status == PS_ENOMEM && !b.archive && error.text[0]));
    }
    store *s = make_store(&b);
    status = PS_ENOMEM;
    for (long allocations = 0; status != PS_OK; allocations++) {
        checkpoint_state loaded;
        torture_begin(allocations);
        status = b.archive->ops->load(b.archive, 100, &b.c.job, &b.c.map, 0, s, &loaded, &error);
        torture_end();
        assert_true(status == PS_OK || (status == PS_ENOMEM && !loaded.clocks));
        checkpoint_state_fini(&loaded);
        assert_int_equal(newest(&b, UINT64_MAX), 100); /* that is no damage */
    }
    store_destroy(&s);
    close_bench(&b);
}

/* Whether a shard's own images are there says nothing of the cuts that all have. */
static void own_images_come_back_alone_and_are_forgotten_for_good(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    keep_now(&b, 100);
    keep_now(&b, 200);
    assert_int_equal(load_own(&b, 200), PS_OK);
    assert_int_equal(load_own(&b, 300), PS_ENOENT);
    assert_int_equal(load_own(&b, 50), PS_ENOENT);
    assert_int_equal(newest(&b, UINT64_MAX), 200);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(b.archive->ops->forget_own(b.archive, 200, &b.c.job, 0, NULL), PS_OK);
        assert_int_equal(load_own(&b, 200), PS_ENOENT);
        assert_int_equal(newest(&b, UINT64_MAX), 100);
    }
    assert_int_equal(b.archive->ops->forget_own(b.archive, 300, &b.c.job, 0, NULL), PS_OK);
    keep_now(&b, 200);
    assert_int_equal(load_own(&b, 200), PS_OK);
    close_bench(&b);
}

static void images_beyond_a_step_are_forgotten_also_those_being_written(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    keep_now(&b, 100);
    keep(&b, 200, false);
    assert_int_equal(b.archive->ops->forget_beyond(b.archive, 100, &b.c.job, 0, NULL), PS_OK);
    assert_int_equal(load_own(&b, 100), PS_OK);
    assert_int_equal(load_own(&b, 200), PS_ENOENT);
    keep_now(&b, 200);
    assert_int_equal(load_own(&b, 200), PS_OK);
    close_bench(&b);
}

static void *open_gate(void *context)
{
    sem_post(context);
    return NULL;
}

static void an_image_that_waits_is_forgotten_only_beyond_the_step(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    sem_t shut;
    sem_init(&shut, 0, 0);
    gate = &shut;
    keep(&b, 100, false);
    keep(&b, 200, false); /* it waits for the one before */
    pthread_t opener;
    assert_int_equal(pthread_create(&opener, NULL, open_gate, &shut), 0);
    assert_int_equal(b.archive->ops->forget_beyond(b.archive, 200, &b.c.job, 0, NULL), PS_OK);
    pthread_join(opener, NULL);
    await_idle(&b);
    gate = NULL;
    sem_destroy(&shut);
    assert_int_equal(load_own(&b, 200), PS_OK);
    close_bench(&b);
}

/* ---- memory to be warmed ---- */

enum { COLD_BYTES = 3 * 4096 };

typedef struct {
    unsigned char memory[COLD_BYTES];
    sem_t let_go;
} cold;

static void note_let_go(void *data, void *context)
{
    (void)data;
    sem_post(context);
}

static void warm(bench *b, cold *c)
{
    buffer **list = malloc(sizeof *list);
    assert_non_null(list);
    memset(c->memory, 1, COLD_BYTES);
    sem_init(&c->let_go, 0, 0);
    *list = buffer_wrap(c->memory, COLD_BYTES, note_let_go, &c->let_go);
    assert_non_null(*list);
    b->archive->ops->warm(b->archive, list, 1);
}

static void every_page_of_cold_memory_is_written_to_and_it_is_let_go_of(void **state)
{
    (void)state;
    bench b;
    cold c;
    open_bench(&b);
    warm(&b, &c);
    sem_wait(&c.let_go);
    for (int page = 0; page < 3; page++)
        assert_true(memchr(c.memory + 4096 * page, 0, 4096));
    keep_now(&b, 100); /* it goes on with images */
    assert_int_equal(load_own(&b, 100), PS_OK);
    close_bench(&b);
}

static void cold_memory_is_let_go_of_whether_it_was_warmed_or_not(void **state)
{
    (void)state;
    bench b;
    cold first, second;
    open_bench(&b);
    sem_t shut;
    sem_init(&shut, 0, 0);
    gate = &shut;
    keep(&b, 100, false);
    warm(&b, &first);
    warm(&b, &second); /* of another store */
    sem_post(&shut);
    close_archive(&b);
    gate = NULL;
    sem_destroy(&shut);
    sem_wait(&first.let_go);
    sem_wait(&second.let_go);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(what_was_kept_comes_back_in_another_process),
        FOLDER_TEST(newest_are_kept_and_counted),
        FOLDER_TEST(slow_disk_is_waited_for),
        FOLDER_TEST(folder_that_cannot_be_used_is_refused),
        FOLDER_TEST(failing_disk_is_complained_about_once_per_cause),
        FOLDER_TEST(damaged_cut_is_not_offered_again_until_written_anew),
        FOLDER_TEST(cuts_that_are_not_whole_are_passed_over_and_named),
        FOLDER_TEST(another_training_is_refused),
        FOLDER_TEST(end_of_a_job_is_recognised),
        FOLDER_TEST(running_out_of_memory_is_said),
        FOLDER_TEST(own_images_come_back_alone_and_are_forgotten_for_good),
        FOLDER_TEST(images_beyond_a_step_are_forgotten_also_those_being_written),
        FOLDER_TEST(an_image_that_waits_is_forgotten_only_beyond_the_step),
        FOLDER_TEST(every_page_of_cold_memory_is_written_to_and_it_is_let_go_of),
        FOLDER_TEST(cold_memory_is_let_go_of_whether_it_was_warmed_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
