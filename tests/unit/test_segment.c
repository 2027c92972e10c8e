/* Memory shared between processes, common/segment: what is mapped, and what is refused. */
#include "common/segment.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static segment *make(size_t bytes)
{
    segment *s;
    assert_int_equal(segment_create(bytes, &s), PS_OK);
    return s;
}

static void what_the_owner_writes_a_reader_sees(void **state)
{
    (void)state;
    segment *own = make(10000), *seen;
    assert_true(segment_name_of(own)->bytes >= SEGMENT_HEAD_BYTES + 10000);
    strcpy(segment_at(own, SEGMENT_HEAD_BYTES), "before");
    assert_int_equal(segment_attach(segment_name_of(own), &seen, NULL), PS_OK);
    assert_ptr_not_equal(segment_at(own, 0), segment_at(seen, 0));
    assert_string_equal(segment_at(seen, SEGMENT_HEAD_BYTES), "before");
    strcpy(segment_at(own, SEGMENT_HEAD_BYTES), "after");
    assert_string_equal(segment_at(seen, SEGMENT_HEAD_BYTES), "after");
    segment_destroy(&own);
    assert_null(own);
    assert_string_equal(segment_at(seen, SEGMENT_HEAD_BYTES), "after"); /* its memory lives on */
    segment_destroy(&seen);
    segment_destroy(&seen);
}

static void assert_refused(const segment_name *name, ps_status expected)
{
    segment *s;
    ps_error error = {PS_OK, ""};
    assert_int_equal(segment_attach(name, &s, &error), expected);
    assert_null(s);
    assert_int_equal(error.status, expected);
    assert_true(strstr(error.text, "process") != NULL);
}

static void name_that_is_not_quite_right_is_refused(void **state)
{
    (void)state;
    segment *own = make(10000);
    segment_name name = *segment_name_of(own);
    name.token[1] ^= 1;
    assert_refused(&name, PS_EPROTOCOL);
    name = *segment_name_of(own);
    name.bytes--;
    assert_refused(&name, PS_EPROTOCOL);
    name.bytes = 0;
    assert_refused(&name, PS_EPROTOCOL);
    name = *segment_name_of(own);
    name.fd = 9999;
    assert_refused(&name, PS_EIO);
    name = *segment_name_of(own);
    name.pid = 0;
    assert_refused(&name, PS_EIO);
    name.pid = UINT32_MAX;
    assert_refused(&name, PS_EIO);
    segment_destroy(&own);
}

/* A name for a descriptor of this process, which is no segment. */
static segment_name name_of(int fd, uint64_t bytes)
{
    assert_true(fd >= 0);
    return (segment_name){.pid = (uint32_t)getpid(), .fd = (uint32_t)fd, .bytes = bytes};
}

static void what_is_no_memory_file_is_not_opened(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    segment_name name = name_of(ends[0], 4096); /* to open the end of a pipe could block */
    assert_refused(&name, PS_EIO);
    close(ends[0]);
    close(ends[1]);
    int file = open("/proc/self/exe", O_RDONLY);
    name = name_of(file, 4096);
    assert_refused(&name, PS_EIO);
    close(file);
}

/* Its owner could cut it while it is read. */
static void memory_file_that_can_shrink_is_refused(void **state)
{
    (void)state;
    int fd = memfd_create("penstock", MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, 8192), 0);
    segment_name name = name_of(fd, 8192);
    assert_refused(&name, PS_EPROTOCOL);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    assert_refused(&name, PS_EPROTOCOL); /* now for its missing head */
    close(fd);
}

/* To touch a huge page that is not to be had kills the reader. */
static void memory_of_huge_pages_is_refused(void **state)
{
    (void)state;
    enum { HUGE_PAGE = 2 << 20 };
    int fd = memfd_create("penstock", MFD_ALLOW_SEALING | MFD_HUGETLB);
    if (fd < 0)
        skip(); /* this kernel has none */
    assert_int_equal(ftruncate(fd, HUGE_PAGE), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    segment_name name = name_of(fd, HUGE_PAGE);
    assert_refused(&name, PS_EPROTOCOL);
    close(fd);
}

static void size_is_sealed(void **state)
{
    (void)state;
    segment *own = make(10000);
    int fd = (int)segment_name_of(own)->fd;
    assert_int_not_equal(ftruncate(fd, 0), 0);
    assert_int_not_equal(ftruncate(fd, 1 << 20), 0);
    assert_int_not_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
    segment_destroy(&own);
}

static void reader_cannot_write(void **state)
{
    (void)state;
    segment *own = make(100), *seen;
    assert_int_equal(segment_attach(segment_name_of(own), &seen, NULL), PS_OK);
    /* A system call tells without a signal. */
    int zero = open("/dev/zero", O_RDONLY);
    assert_true(read(zero, segment_at(own, SEGMENT_HEAD_BYTES), 1) == 1);
    assert_true(read(zero, segment_at(seen, SEGMENT_HEAD_BYTES), 1) == -1);
    close(zero);
    segment_destroy(&seen);
    segment_destroy(&own);
}

static void memory_of_a_killed_process_can_be_read_until_it_is_let_go(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        segment *own;
        if (segment_create(100, &own) != PS_OK)
            _exit(1);
        strcpy(segment_at(own, SEGMENT_HEAD_BYTES), "legacy");
        if (write(ends[1], segment_name_of(own), sizeof(segment_name)) != sizeof(segment_name))
            _exit(1);
        for (;;)
            pause();
    }
    segment_name name;
    segment *seen;
    assert_int_equal(read(ends[0], &name, sizeof name), sizeof name);
    assert_int_equal(segment_attach(&name, &seen, NULL), PS_OK);
    assert_false(segment_is_orphan(seen));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(segment_is_orphan(seen));
    assert_string_equal(segment_at(seen, SEGMENT_HEAD_BYTES), "legacy");
    segment_destroy(&seen);
    assert_refused(&name, PS_EIO);
    close(ends[0]);
    close(ends[1]);
}

static void more_than_there_can_be_is_refused(void **state)
{
    (void)state;
    segment *s;
    assert_int_equal(segment_create(SIZE_MAX, &s), PS_ENOMEM);
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_owner_writes_a_reader_sees),
        cmocka_unit_test(name_that_is_not_quite_right_is_refused),
        cmocka_unit_test(what_is_no_memory_file_is_not_opened),
        cmocka_unit_test(memory_file_that_can_shrink_is_refused),
        cmocka_unit_test(memory_of_huge_pages_is_refused),
        cmocka_unit_test(size_is_sealed),
        cmocka_unit_test(reader_cannot_write),
        cmocka_unit_test(memory_of_a_killed_process_can_be_read_until_it_is_let_go),
        cmocka_unit_test(more_than_there_can_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
