/* Reading, mapping and atomic writing of common/file, and what a failure leaves behind. */
#include "common/file.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/checksum.h"
#include "tests/unit/folder.h"
#include "tests/unit/unit.h"

static void put(const char *path, const char *text)
{
    folder_put(path, text, strlen(text));
}

static ps_status write_text(const char *path, const char *text, ps_error *error)
{
    char copy[64];
    snprintf(copy, sizeof copy, "%s", text);
    const struct iovec part = {.iov_base = copy, .iov_len = strlen(copy)};
    return file_write_atomic(path, &part, 1, error);
}

static void assert_file_holds(const char *path, const char *expected)
{
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(file_read(path, 1000, &text, &bytes, NULL), PS_OK);
    assert_string_equal(text, expected);
    assert_int_equal(bytes, strlen(expected));
    free(text);
}

/* ---- Reading ---- */

static void a_whole_file_is_read_with_a_terminator(void **state)
{
    (void)state;
    put("text", "hello");
    assert_file_holds("text", "hello");
    put("text", "");
    assert_file_holds("text", "");
}

static void the_limit_is_the_largest_size_allowed(void **state)
{
    (void)state;
    put("text", "hello");
    char *text;
    size_t bytes;
    ps_error error;
    assert_int_equal(file_read("text", 5, &text, &bytes, NULL), PS_OK);
    free(text);
    assert_int_equal(file_read("text", SIZE_MAX, &text, &bytes, NULL), PS_OK);
    free(text);
    assert_int_equal(file_read("text", 4, &text, &bytes, &error), PS_ELIMIT);
    assert_string_equal(error.text, "text holds 5 bytes, more than the 4 allowed");
}

/* Writes `bytes` letters into a pipe and reads them back by name, as `--cluster <(command)` would. */
static ps_status read_pipe(size_t bytes, size_t max_bytes, char **text, size_t *got, ps_error *error)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(write(ends[1], &"abcdefgh"[i % 8], 1), 1);
    close(ends[1]);
    char path[32];
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    ps_status status = file_read(path, max_bytes, text, got, error);
    close(ends[0]);
    return status;
}

static void a_pipe_is_read_to_its_end_within_the_limit(void **state)
{
    (void)state;
    enum { BYTES = 20000 };
    char *text;
    size_t bytes;
    ps_error error;
    assert_int_equal(read_pipe(BYTES, BYTES, &text, &bytes, NULL), PS_OK);
    assert_int_equal(bytes, BYTES);
    assert_int_equal(strlen(text), BYTES);
    for (size_t i = 0; i < BYTES; i++)
        assert_true(text[i] == "abcdefgh"[i % 8]);
    free(text);
    assert_int_equal(read_pipe(BYTES, BYTES - 1, &text, &bytes, &error), PS_ELIMIT);
    assert_non_null(strstr(error.text, "holds more than the 19999 bytes allowed"));
    assert_int_equal(read_pipe(1, 0, &text, &bytes, &error), PS_ELIMIT);
}

static void a_missing_file_and_a_folder_are_named(void **state)
{
    (void)state;
    char *text;
    const void *map;
    size_t bytes;
    ps_error error;
    assert_int_equal(file_read("absent", 10, &text, &bytes, &error), PS_ENOENT);
    assert_string_equal(error.text, "cannot open absent: No such file or directory");
    assert_int_equal(file_read(".", 10000, &text, &bytes, &error), PS_EFORMAT);
    assert_string_equal(error.text, "cannot read .: Is a directory");
    assert_int_equal(file_map("absent", &map, &bytes, &error), PS_ENOENT);
    assert_string_equal(error.text, "cannot open absent: No such file or directory");
}

static void a_mapped_file_shows_its_bytes(void **state)
{
    (void)state;
    put("text", "hello");
    const void *map = NULL;
    size_t bytes = 0;
    assert_int_equal(file_map("text", &map, &bytes, NULL), PS_OK);
    assert_int_equal(bytes, 5);
    assert_memory_equal(map, "hello", 5);
    file_unmap(map, bytes);
    file_unmap(NULL, 0);
}

static void what_a_map_cannot_read_is_an_error_and_no_signal(void **state)
{
    (void)state;
    enum { BYTES = 100000, LEFT = 50000 };
    char letters[BYTES + 1];
    memset(letters, 'x', BYTES);
    letters[BYTES] = '\0';
    put("text", letters);
    const char *map;
    const void *start = NULL;
    size_t bytes = 0;
    ps_error error;
    assert_int_equal(file_map("text", &start, &bytes, NULL), PS_OK);
    map = start;
    assert_int_equal(file_fetch(map + 1, BYTES - 1, &error), PS_OK);
    /* The kernel gives the same answer for a page behind the end as for one that the disk cannot read. */
    assert_int_equal(truncate("text", LEFT), 0);
    assert_int_equal(file_fetch(map, LEFT, &error), PS_OK);
    assert_int_equal(file_fetch(map + LEFT, LEFT, &error), PS_EIO);
    assert_string_equal(error.text, "the file was cut, or its disk cannot read it");
    file_unmap(map, bytes);
}

static void only_regular_files_with_contents_are_mapped(void **state)
{
    (void)state;
    const void *map;
    size_t bytes;
    ps_error error;
    put("empty", "");
    assert_int_equal(file_map("empty", &map, &bytes, &error), PS_EFORMAT);
    assert_string_equal(error.text, "empty is empty");
    assert_int_equal(file_map(".", &map, &bytes, &error), PS_EFORMAT);
    assert_string_equal(error.text, ". is not a regular file");
    /* A pipe that nobody writes to must be refused, not waited for. */
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(file_map("pipe", &map, &bytes, &error), PS_EFORMAT);
    assert_string_equal(error.text, "pipe is not a regular file");
}

/* ---- Writing ---- */

static void parts_are_written_one_after_the_other(void **state)
{
    (void)state;
    char one[] = "one ", two[] = "two";
    const struct iovec parts[] = {{one, 4}, {NULL, 0}, {two, 3}};
    assert_int_equal(file_write_atomic("target", parts, 3, NULL), PS_OK);
    assert_file_holds("target", "one two");
    assert_int_equal(file_write_atomic("./target", parts, 0, NULL), PS_OK);
    assert_file_holds("target", "");
    assert_int_equal(folder_count("."), 1);
}

static void parts_are_summed_up_as_they_are_written(void **state)
{
    (void)state;
    enum { LARGE = (1 << 20) + 7 }; /* several pieces */
    char *large = malloc(LARGE), small[] = "small";
    assert_non_null(large);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (char)(i * 7 + i / 256);
    const struct iovec parts[] = {{large, LARGE}, {NULL, 0}, {small, 5}};
    uint32_t sums[3] = {1, 1, 1};
    assert_int_equal(file_write_atomic_summed("target", parts, 3, sums, NULL), PS_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sums[i], checksum(parts[i].iov_base, parts[i].iov_len));
    char *text;
    size_t bytes;
    assert_int_equal(file_read("target", 2 * LARGE, &text, &bytes, NULL), PS_OK);
    assert_int_equal(bytes, LARGE + 5);
    assert_memory_equal(text, large, LARGE);
    assert_memory_equal(text + LARGE, small, 5);
    free(text);
    free(large);
}

static void an_older_file_is_replaced_and_its_reader_keeps_it(void **state)
{
    (void)state;
    put("target", "old");
    const void *map;
    size_t bytes;
    assert_int_equal(file_map("target", &map, &bytes, NULL), PS_OK);
    assert_int_equal(write_text("target", "new and longer", NULL), PS_OK);
    assert_file_holds("target", "new and longer");
    assert_memory_equal(map, "old", 3);
    file_unmap(map, bytes);
}

static void permissions_follow_the_umask(void **state)
{
    (void)state;
    mode_t before = umask(027);
    ps_status status = write_text("target", "x", NULL);
    umask(before);
    assert_int_equal(status, PS_OK);
    struct stat info;
    assert_int_equal(stat("target", &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

static void a_missing_folder_is_an_error(void **state)
{
    (void)state;
    ps_error error;
    assert_int_equal(write_text("absent/target", "x", &error), PS_EIO);
    assert_string_equal(error.text, "cannot open the folder of absent/target: No such file or directory");
}

static void a_target_that_is_a_folder_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(mkdir("target", 0700), 0);
    ps_error error;
    assert_int_equal(write_text("target", "x", &error), PS_EIO);
    assert_string_equal(error.text, "cannot write target: Is a directory");
    assert_int_equal(folder_count("."), 1);
    assert_int_equal(folder_count("target"), 0);
    assert_int_equal(write_text("target/", "x", &error), PS_EIO);
    assert_int_equal(folder_count("target"), 0);
}

static void an_unwritable_folder_is_an_error(void **state)
{
    (void)state;
    /* /proc refuses new files to everyone, root included. */
    ps_error error;
    assert_int_equal(write_text("/proc/target", "x", &error), PS_EIO);
    assert_non_null(strstr(error.text, "cannot create a temporary file for /proc/target: "));
}

static void a_full_disk_leaves_the_old_file_and_no_temporary(void **state)
{
    (void)state;
    put("target", "old");
    /* A limit on file size stands in for the disk: a short write first, then EFBIG. */
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 10;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    ps_error error;
    ps_status status = write_text("target", "more than ten bytes", &error);
    ps_status fits = write_text("other", "ten bytes.", NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(status, PS_EIO);
    assert_string_equal(error.text, "cannot write target: File too large");
    assert_int_equal(fits, PS_OK);
    assert_file_holds("target", "old");
    assert_file_holds("other", "ten bytes.");
    assert_int_equal(folder_count("."), 2);
}

/* `context`: how many lines. */
static ps_status write_lines(FILE *out, void *context, ps_error *error)
{
    (void)error;
    const int *lines = context;
    for (int i = 0; i < *lines; i++)
        fprintf(out, "line %d\n", i);
    return PS_OK;
}

static ps_status give_up(FILE *out, void *context, ps_error *error)
{
    (void)context;
    fputs("half", out);
    return ps_fail(error, PS_ENOMEM, "no memory for the other half");
}

static void what_is_written_into_a_stream_replaces_the_file_once_it_is_whole(void **state)
{
    (void)state;
    ps_error error;
    put("target", "old");
    assert_int_equal(file_write_atomic_stream("target", give_up, NULL, &error), PS_ENOMEM);
    assert_string_equal(error.text, "no memory for the other half");
    assert_file_holds("target", "old");
    assert_int_equal(file_write_atomic_stream("target", write_lines, &(int){2}, &error), PS_OK);
    assert_file_holds("target", "line 0\nline 1\n");
    assert_int_equal(folder_count("."), 1);
}

static void a_stream_that_fails_on_a_full_disk_says_why(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 10;
    ps_error few, many;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    /* One that fails as the last is flushed, and one that has failed long before. */
    const ps_status at_end = file_write_atomic_stream("target", write_lines, &(int){2}, &few);
    const ps_status early = file_write_atomic_stream("target", write_lines, &(int){10000}, &many);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(at_end, PS_EIO);
    assert_string_equal(few.text, "cannot write target: File too large");
    assert_int_equal(early, PS_EIO);
    assert_string_equal(many.text, "cannot write target: File too large");
    assert_int_equal(folder_count("."), 0);
}

static void temporaries_of_a_crashed_process_do_not_hinder(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        char name[64];
        snprintf(name, sizeof name, "target" FILE_TEMPORARY_MARK "%ld-%u", (long)getpid(), i);
        put(name, "left over");
    }
    assert_int_equal(write_text("target", "new", NULL), PS_OK);
    assert_file_holds("target", "new");
    assert_int_equal(folder_count("."), 101);
}

static void a_name_too_long_for_its_temporary_is_an_error(void **state)
{
    (void)state;
    char name[256];
    memset(name, 'n', sizeof name);
    name[250] = '\0';
    ps_error error;
    assert_int_equal(write_text(name, "x", &error), PS_EIO);
    assert_non_null(strstr(error.text, "File name too long"));
    assert_int_equal(folder_count("."), 0);
}

/* ---- Folders ---- */

static void a_file_is_removed_whether_or_not_it_is_there(void **state)
{
    (void)state;
    ps_error error;
    put("file", "x");
    assert_int_equal(file_remove("file", &error), PS_OK);
    assert_int_equal(access("file", F_OK), -1);
    assert_int_equal(file_remove("file", &error), PS_OK);
    assert_int_equal(file_remove("absent/file", &error), PS_ENOENT);
    assert_string_equal(error.text, "cannot open the folder of absent/file: No such file or directory");
    assert_int_equal(file_remove("/proc/self/status", &error), PS_EIO);
    assert_string_equal(error.text, "cannot remove /proc/self/status: Operation not permitted");
    assert_int_equal(file_sync_folder(".", &error), PS_OK);
    assert_int_equal(file_sync_folder("absent", &error), PS_ENOENT);
}

static void assert_is_folder(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISDIR(info.st_mode));
}

static void folders_are_made_with_their_parents_and_may_exist(void **state)
{
    (void)state;
    assert_int_equal(file_make_folder("a/b//c/", NULL), PS_OK);
    assert_is_folder("a/b/c");
    assert_int_equal(file_make_folder("a/b/c", NULL), PS_OK);
    assert_int_equal(file_make_folder("/", NULL), PS_OK);
    assert_int_equal(file_make_folder(".", NULL), PS_OK);
    char absolute[128];
    snprintf(absolute, sizeof absolute, "%s/d", folder);
    assert_int_equal(file_make_folder(absolute, NULL), PS_OK);
    assert_is_folder("d");
}

static void a_file_in_the_way_of_a_folder_is_named(void **state)
{
    (void)state;
    put("file", "x");
    ps_error error;
    assert_int_equal(file_make_folder("file", &error), PS_EIO);
    assert_string_equal(error.text, "cannot make folder file: Not a directory");
    assert_int_equal(file_make_folder("file/a", &error), PS_EIO);
    assert_string_equal(error.text, "cannot make folder file: Not a directory");
    assert_int_equal(file_make_folder("", &error), PS_EIO);
    assert_string_equal(error.text, "cannot make a folder with an empty name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(a_whole_file_is_read_with_a_terminator),
        FOLDER_TEST(the_limit_is_the_largest_size_allowed),
        FOLDER_TEST(a_pipe_is_read_to_its_end_within_the_limit),
        FOLDER_TEST(a_missing_file_and_a_folder_are_named),
        FOLDER_TEST(a_mapped_file_shows_its_bytes),
        FOLDER_TEST(what_a_map_cannot_read_is_an_error_and_no_signal),
        FOLDER_TEST(only_regular_files_with_contents_are_mapped),
        FOLDER_TEST(parts_are_written_one_after_the_other),
        FOLDER_TEST(parts_are_summed_up_as_they_are_written),
        FOLDER_TEST(an_older_file_is_replaced_and_its_reader_keeps_it),
        FOLDER_TEST(permissions_follow_the_umask),
        FOLDER_TEST(a_missing_folder_is_an_error),
        FOLDER_TEST(a_target_that_is_a_folder_is_left_alone),
        FOLDER_TEST(an_unwritable_folder_is_an_error),
        FOLDER_TEST(a_full_disk_leaves_the_old_file_and_no_temporary),
        FOLDER_TEST(what_is_written_into_a_stream_replaces_the_file_once_it_is_whole),
        FOLDER_TEST(a_stream_that_fails_on_a_full_disk_says_why),
        FOLDER_TEST(temporaries_of_a_crashed_process_do_not_hinder),
        FOLDER_TEST(a_name_too_long_for_its_temporary_is_an_error),
        FOLDER_TEST(a_file_is_removed_whether_or_not_it_is_there),
        FOLDER_TEST(folders_are_made_with_their_parents_and_may_exist),
        FOLDER_TEST(a_file_in_the_way_of_a_folder_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
