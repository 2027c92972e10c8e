/* Event files for TensorBoard, worker/event_file: their bytes, and what becomes of them on a bad disk. */
#include "worker/event_file.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/log.h"
#include "tests/event_reader.h"
#include "tests/unit/folder.h"
#include "tests/unit/log_capture.h"

/* The only file of a folder, or that with the lowest or the highest name. */
static void find_file(const char *in, bool highest, char path[512])
{
    DIR *dir = opendir(in);
    char found[256] = "";
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        assert_true(strncmp(entry->d_name, "events.out.tfevents.", 20) == 0);
        const int order = strcmp(entry->d_name, found);
        if (!found[0] || (highest ? order > 0 : order < 0))
            snprintf(found, sizeof found, "%s", entry->d_name);
    }
    closedir(dir);
    snprintf(path, 512, "%s/%s", in, found);
}

static event_reader read_file(const char *in, char **bytes)
{
    char path[512];
    event_reader r = {.at = 0};
    find_file(in, false, path);
    assert_int_equal(file_read(path, 1 << 26, bytes, &r.size, NULL), PS_OK);
    r.bytes = (const uint8_t *)*bytes;
    return r;
}

static event_file *open_file(void)
{
    event_file *f;
    ps_error error;
    log_setup("test", LOG_WARNING);
    if (event_file_open("board/of/it", &f, &error) != PS_OK)
        fail_msg("%s", error.text);
    return f;
}

static void the_bytes_of_version_and_scalars_are_these(void **state)
{
    (void)state;
    event_file *f = open_file();
    const event_scalar scalar = {"loss", 0.5};
    event_file_scalars(f, 300, &scalar, 1);
    event_file_close(&f);
    assert_null(f);
    char *bytes;
    event_reader r = read_file("board/of/it", &bytes);

    /* length 24, its sum; wall_time, whose eight bytes are not known; file_version */
    static const uint8_t first[] = {24, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22, 0x09};
    static const char version[] = "\x1a\x0d"
                                  "brain.Event:2";
    assert_memory_equal(r.bytes, first, sizeof first);
    assert_memory_equal(r.bytes + sizeof first + 8, version, sizeof version - 1);
    /* wall_time; step 300; summary of one value: tag, simple_value */
    static const uint8_t second[] = {0x10, 0xac, 0x02, 0x2a, 0x0d, 0x0a, 0x0b, 0x0a, 0x04,
                                     'l',  'o',  's',  's',  0x15, 0,    0,    0,    0x3f};
    const size_t at = 12 + 24 + 4;
    assert_int_equal(r.bytes[at], 9 + sizeof second);
    assert_memory_equal(r.bytes + at + 12 + 9, second, sizeof second);
    assert_int_equal(r.size, at + 12 + 9 + sizeof second + 4);
    free(bytes);
}

static void all_kinds_are_read_back(void **state)
{
    (void)state;
    static const float values[] = {-1, 0.5f, 0.5f, 2};
    event_file *f = open_file();
    event_file_void_from(f, 7);
    event_file_text(f, 7, "options", "one\ntwo");
    event_file_histogram(f, 8, "weights/kernel", values, 4);
    event_file_close(&f);
    char *bytes;
    event_reader r = read_file("board/of/it", &bytes);

    Board__Event *e = event_reader_next(&r);
    assert_non_null(e);
    assert_string_equal(e->file_version, "brain.Event:2");
    assert_true(e->wall_time > 1e9);
    board__event__free_unpacked(e, NULL);

    e = event_reader_next(&r);
    assert_non_null(e);
    assert_true(e->what_case == BOARD__EVENT__WHAT_SESSION_LOG && e->step == 7);
    assert_int_equal(e->session_log->status, BOARD__SESSION_LOG__SESSION_STATUS__START);
    board__event__free_unpacked(e, NULL);

    e = event_reader_next(&r);
    assert_non_null(e);
    const Board__Value *v = e->summary->value[0];
    assert_string_equal(v->tag, "options");
    assert_string_equal(v->metadata->plugin_data->plugin_name, "text");
    assert_int_equal(v->tensor->string_val[0].len, 7);
    assert_memory_equal(v->tensor->string_val[0].data, "one\ntwo", 7);
    board__event__free_unpacked(e, NULL);

    e = event_reader_next(&r);
    assert_non_null(e);
    const Board__Histogram *h = e->summary->value[0]->histo;
    assert_true(h->min == -1 && h->max == 2 && h->num == 4 && h->sum == 2 && h->sum_squares == 5.5);
    assert_true(h->n_bucket == h->n_bucket_limit && h->n_bucket > 2);
    board__event__free_unpacked(e, NULL);
    assert_null(event_reader_next(&r));
    assert_int_equal(r.at, r.size);
    free(bytes);
}

static void more_than_the_buffer_holds_is_complete(void **state)
{
    (void)state;
    enum { EVENTS = 20000 };
    event_file *f = open_file();
    for (uint64_t step = 1; step <= EVENTS; step++) {
        const event_scalar scalar = {"loss", (double)step};
        event_file_scalars(f, step, &scalar, 1);
    }
    event_file_close(&f);
    char *bytes;
    event_reader r = read_file("board/of/it", &bytes);
    Board__Event *e = event_reader_next(&r);
    for (int64_t step = 1; step <= EVENTS; step++) {
        board__event__free_unpacked(e, NULL);
        e = event_reader_next(&r);
        assert_non_null(e);
        assert_true(e->step == step && e->summary->value[0]->simple_value == (float)step);
    }
    board__event__free_unpacked(e, NULL);
    assert_int_equal(r.at, r.size);
    free(bytes);
}

static void a_later_file_is_named_behind_the_earlier(void **state)
{
    (void)state;
    char before[512], path[512];
    event_file *f = open_file();
    event_file_close(&f);
    find_file("board/of/it", true, before);
    for (int i = 0; i < 3; i++) {
        f = open_file();
        event_file_close(&f);
        find_file("board/of/it", true, path);
        assert_true(strcmp(path, before) > 0);
        snprintf(before, sizeof before, "%s", path);
    }
    assert_int_equal(folder_count("board/of/it"), 4);
}

/* A limit on file size stands in for a full disk. */
static void a_full_disk_is_warned_of_once_and_leaves_whole_records(void **state)
{
    (void)state;
    struct rlimit before, small;
    log_capture log;
    event_file *f = open_file();
    event_file_flush(f);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 100;
    log_capture_begin(&log);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (uint64_t step = 1; step <= 10; step++) {
        const event_scalar scalar = {"loss", 1};
        event_file_scalars(f, step, &scalar, 1);
        if (step % 5 == 0)
            event_file_flush(f);
    }
    event_file_close(&f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    log_capture_pause(&log);
    assert_true(
        log_capture_has(&log, "File too large; TensorBoard gets no more of this process, training goes on"));
    char line[64];
    assert_int_equal(log_capture_next(&log, line, sizeof line), 0);
    log_capture_end(&log);
    char *bytes;
    event_reader r = read_file("board/of/it", &bytes);
    Board__Event *e;
    while ((e = event_reader_next(&r)))
        board__event__free_unpacked(e, NULL);
    assert_int_equal(r.at, r.size);
    free(bytes);
}

static void a_folder_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    event_file *f;
    ps_error error;
    folder_put("taken", "x", 1);
    assert_int_equal(event_file_open("taken/board", &f, &error), PS_EIO);
    assert_null(f);
    assert_non_null(strstr(error.text, "taken"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(the_bytes_of_version_and_scalars_are_these),
        FOLDER_TEST(all_kinds_are_read_back),
        FOLDER_TEST(more_than_the_buffer_holds_is_complete),
        FOLDER_TEST(a_later_file_is_named_behind_the_earlier),
        FOLDER_TEST(a_full_disk_is_warned_of_once_and_leaves_whole_records),
        FOLDER_TEST(a_folder_that_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
