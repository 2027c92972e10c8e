/* The traces that processes leave, common/trace: rings, their bounds, and what is in the file in the end. */
#include "common/trace.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/log.h"
#include "deploy/trace/trace_part.h"
#include "tests/unit/folder.h"
#include "tests/unit/log_capture.h"

static const trace_identity self = {.who = "worker/3", .role = TRACE_OF_WORKER, .index = 3};

static void open_part(uint64_t limit_bytes)
{
    const trace_options options = {.folder = "parts", .limit_bytes = limit_bytes};
    ps_error error;
    if (trace_open(&options, &self, &error) != PS_OK)
        fail_msg("%s", error.text);
}

/* The only file in the folder. */
static void find_part(char path[300])
{
    DIR *dir = opendir("parts");
    assert_non_null(dir);
    path[0] = '\0';
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            snprintf(path, 300, "parts/%s", entry->d_name);
    closedir(dir);
    assert_int_equal(folder_count("parts"), 1);
}

static void read_part(trace_part *p)
{
    char path[300];
    ps_error error;
    find_part(path);
    if (trace_part_read(path, p, &error) != PS_OK)
        fail_msg("%s", error.text);
}

/* Until so many events are in the file, whose process may still be at work. */
static void await_entries(size_t count)
{
    for (size_t flushed = 0; flushed < count;) {
        trace_part p;
        usleep(1000);
        read_part(&p);
        flushed = p.entry_count;
        trace_part_fini(&p);
    }
}

static off_t part_bytes(void)
{
    char path[300];
    struct stat info;
    find_part(path);
    assert_int_equal(stat(path, &info), 0);
    return info.st_size;
}

static void record(uint64_t step)
{
    trace_point(TRACE_PUSH_SENT, trace_begin(), (trace_about){.step = step, .peer = 1});
}

static void nothing_is_recorded_where_nothing_is_traced(void **state)
{
    (void)state;
    const trace_options none = {.folder = NULL};
    assert_int_equal(trace_open(&none, &self, NULL), PS_OK);
    assert_int_equal(trace_begin(), 0);
    record(1);
    trace_name_thread("nobody");
    trace_close();
    assert_int_not_equal(access("parts", F_OK), 0);
}

static void what_is_recorded_is_in_the_part(void **state)
{
    (void)state;
    trace_part p;
    open_part(0);
    trace_name_thread("first");
    const uint64_t begun_ns = trace_begin();
    const trace_about about = {
        .step = 5, .request = 6, .incarnation = 7, .value = 8, .member = 9, .peer = 10};
    trace_span(TRACE_STEP, begun_ns, about);
    trace_close();
    assert_false(trace_is_on);
    read_part(&p);
    assert_string_equal(p.head.who, "worker/3");
    assert_int_equal(p.head.role, TRACE_OF_WORKER);
    assert_int_equal(p.head.index, 3);
    assert_int_equal(p.head.pid, getpid());
    assert_true(p.head.clock[0] && p.head.host[0] && p.head.incarnation > 0);
    assert_true(p.ended && !p.cut[0] && p.lost == 0);
    assert_int_equal(p.entry_count, 1);
    const trace_event *e = &p.entries[0].event;
    assert_int_equal(e->kind, TRACE_STEP);
    assert_int_equal(e->begun_ns, begun_ns);
    assert_true(e->ended_ns >= begun_ns && begun_ns >= p.head.monotonic_ns);
    assert_int_equal(e->step, 5);
    assert_int_equal(e->request, 6);
    assert_int_equal(e->incarnation, 7);
    assert_int_equal(e->value, 8);
    assert_int_equal(e->member, 9);
    assert_int_equal(e->peer, 10);
    char text[TRACE_THREAD_NAME_BYTES];
    assert_string_equal(trace_part_thread_name(&p, p.entries[0].thread, text), "first");
    trace_part_fini(&p);
}

static void a_second_part_begins_where_the_first_has_ended(void **state)
{
    (void)state;
    trace_part p;
    char path[300];
    open_part(0);
    record(1);
    trace_close();
    record(2); /* into none */
    find_part(path);
    assert_int_equal(unlink(path), 0);
    open_part(0);
    record(3);
    trace_close();
    read_part(&p);
    assert_int_equal(p.entry_count, 1);
    assert_int_equal(p.entries[0].event.step, 3);
    trace_part_fini(&p);
}

enum { MANY = 300000, THREADS = 3 };

static void *record_many(void *context)
{
    const uint64_t first = *(const uint64_t *)context;
    for (uint64_t i = 0; i < MANY; i++)
        record(first + i);
    return NULL;
}

static void threads_faster_than_the_file_lose_events_which_are_counted_and_no_others(void **state)
{
    (void)state;
    static uint64_t firsts[THREADS] = {0, 1000000000, 2000000000};
    pthread_t threads[THREADS];
    trace_part p;
    open_part(0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, record_many, &firsts[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    trace_close();
    read_part(&p);
    assert_true(p.ended && !p.cut[0]);
    assert_int_equal(p.entry_count + p.lost, (size_t)THREADS * MANY);
    assert_true(p.entry_count >= TRACE_RING_EVENTS);
    uint64_t last[THREADS + 1] = {0};
    for (size_t i = 0; i < p.entry_count; i++) {
        const uint32_t thread = p.entries[i].thread;
        const uint64_t step = p.entries[i].event.step + 1;
        assert_true(thread >= 1 && thread <= THREADS);
        assert_true(step > last[thread]);
        assert_true(last[thread] == 0 || step / 1000000000 == last[thread] / 1000000000);
        last[thread] = step;
    }
    trace_part_fini(&p);
}

static void *record_one(void *context)
{
    (void)context;
    record(1);
    return NULL;
}

static void a_thread_that_ends_leaves_its_ring_to_another(void **state)
{
    (void)state;
    enum { COUNT = 3 * TRACE_THREADS_MAX };
    trace_part p;
    pthread_t thread;
    open_part(0);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(pthread_create(&thread, NULL, record_one, NULL), 0);
        pthread_join(thread, NULL);
        if (i % (TRACE_THREADS_MAX / 2) == 0) /* the rings are empty then */
            await_entries((size_t)i + 1);
    }
    trace_close();
    read_part(&p);
    assert_int_equal(p.entry_count, COUNT);
    assert_int_equal(p.lost, 0);
    assert_int_equal(p.entries[COUNT - 1].thread, COUNT); /* rings are used again, numbers are not */
    trace_part_fini(&p);
}

static void the_log_leaves_marks_but_for_what_is_neither_event_nor_warning(void **state)
{
    (void)state;
    trace_part p;
    log_setup("test", LOG_OFF);
    open_part(0);
    log_info("chatter");
    log_event(LOG_INFO, "joined", 12, "joined ps/%d", 0);
    log_warning("something odd");
    trace_close();
    log_warning("after the end");
    read_part(&p);
    assert_int_equal(p.mark_count, 2);
    assert_string_equal(p.marks[0].name, "joined");
    assert_string_equal(p.marks[0].text, "joined ps/0");
    assert_int_equal(p.marks[0].step, 12);
    assert_string_equal(p.marks[1].name, "warning");
    assert_string_equal(p.marks[1].text, "something odd");
    assert_true(p.marks[1].step == LOG_NO_STEP && p.marks[1].at_ns >= p.marks[0].at_ns);
    trace_part_fini(&p);
}

static void more_marks_than_there_is_room_for_are_counted(void **state)
{
    (void)state;
    enum { COUNT = 50 * TRACE_MARKS_MAX };
    trace_part p;
    log_setup("test", LOG_OFF);
    open_part(0);
    for (int i = 0; i < COUNT; i++)
        log_warning("again");
    trace_close();
    read_part(&p);
    assert_int_equal(p.mark_count + p.lost, COUNT);
    assert_true(p.mark_count >= TRACE_MARKS_MAX);
    trace_part_fini(&p);
}

static void a_part_stays_below_its_limit_and_says_what_it_lacks(void **state)
{
    (void)state;
    enum { LIMIT = 64 << 10, COUNT = 5000 };
    trace_part p;
    log_setup("test", LOG_OFF);
    open_part(LIMIT);
    for (int block = 0; block < 10; block++) {
        for (uint64_t i = 0; i < COUNT / 10; i++)
            record(i);
        if (block == 0) { /* the first ones are in the file before it is full */
            while (part_bytes() < (off_t)(COUNT / 10 * sizeof(trace_event)))
                usleep(1000);
        }
    }
    trace_close();
    assert_true(part_bytes() <= LIMIT + (off_t)(sizeof(trace_block) + sizeof(trace_end)));
    read_part(&p);
    assert_true(p.ended && p.entry_count >= COUNT / 10 && p.lost > 0);
    assert_int_equal(p.entry_count + p.lost, COUNT);
    assert_int_equal(p.mark_count, 1);
    assert_non_null(strstr(p.marks[0].text, "the trace is full"));
    trace_part_fini(&p);
}

static void of_a_process_that_is_killed_what_had_been_flushed_is_there(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    trace_part p;
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        open_part(0);
        for (uint64_t i = 1; i <= COUNT; i++)
            record(i);
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        pause();
    }
    assert_true(child > 0);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    await_entries(COUNT);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(ready[0]);
    close(ready[1]);
    read_part(&p);
    assert_int_equal(p.entry_count, COUNT);
    assert_true(!p.ended && !p.cut[0]);
    trace_part_fini(&p);
}

static void a_disk_that_is_full_ends_the_trace_with_a_line_and_nothing_else(void **state)
{
    (void)state;
    struct rlimit before, low = {.rlim_cur = 8192};
    trace_part p;
    log_capture said;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low.rlim_max = before.rlim_max;
    log_setup("test", LOG_WARNING);
    log_capture_begin(&said);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    open_part(0);
    for (uint64_t i = 0; i < 5000; i++)
        record(i);
    trace_close();
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(
        log_capture_has(&said, "the trace ends here, for its file cannot be written: File too large"));
    log_capture_end(&said);
    read_part(&p);
    assert_true(!p.ended);
    trace_part_fini(&p);
}

static void a_folder_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    const trace_options options = {.folder = "parts"};
    ps_error error;
    folder_put("parts", "x", 1);
    assert_int_equal(trace_open(&options, &self, &error), PS_EIO);
    assert_non_null(strstr(error.text, "parts"));
    assert_false(trace_is_on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(nothing_is_recorded_where_nothing_is_traced),
        FOLDER_TEST(what_is_recorded_is_in_the_part),
        FOLDER_TEST(a_second_part_begins_where_the_first_has_ended),
        FOLDER_TEST(threads_faster_than_the_file_lose_events_which_are_counted_and_no_others),
        FOLDER_TEST(a_thread_that_ends_leaves_its_ring_to_another),
        FOLDER_TEST(the_log_leaves_marks_but_for_what_is_neither_event_nor_warning),
        FOLDER_TEST(more_marks_than_there_is_room_for_are_counted),
        FOLDER_TEST(a_part_stays_below_its_limit_and_says_what_it_lacks),
        FOLDER_TEST(of_a_process_that_is_killed_what_had_been_flushed_is_there),
        FOLDER_TEST(a_disk_that_is_full_ends_the_trace_with_a_line_and_nothing_else),
        FOLDER_TEST(a_folder_that_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
