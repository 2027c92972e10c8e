/* Threads that share work, ps/crew. */
#include "ps/crew.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/unit/torture.h"
#include "tests/unit/unit.h"

/* ---- pthread_create, failed on demand (-Wl,--wrap) ---- */

static int creations_left = -1; /* -1: all succeed */

int __real_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument);
int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument);

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument)
{
    if (creations_left == 0)
        return EAGAIN;
    creations_left -= creations_left > 0;
    return __real_pthread_create(id, attributes, run, argument);
}

/* ---- work ---- */

enum { ROUNDS = 2000, THREADS_MAX = 8 };

typedef struct {
    uint32_t round;
    uint32_t seen[THREADS_MAX]; /* the last round that each thread has worked in */
    pthread_t by[THREADS_MAX];
} tally;

static void note_round(void *context, uint32_t thread)
{
    tally *t = context;
    assert_int_equal(t->seen[thread] + 1, t->round);
    t->seen[thread] = t->round;
    t->by[thread] = pthread_self();
}

static crew *make(uint32_t threads, const processor_list *processors)
{
    crew *c;
    ps_error error = {PS_OK, ""};
    if (crew_create(threads, processors, &c, &error) != PS_OK)
        fail_msg("%s", error.text);
    return c;
}

static void every_thread_does_its_part_once_a_round(void **state)
{
    (void)state;
    static const uint32_t threads[] = {1, 2, 3, THREADS_MAX};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        crew *c = make(threads[i], NULL);
        assert_int_equal(crew_threads(c), threads[i]);
        tally t = {0};
        for (t.round = 1; t.round <= ROUNDS; t.round++) {
            crew_run(c, note_round, &t);
            for (uint32_t k = 0; k < THREADS_MAX; k++)
                assert_int_equal(t.seen[k], k < threads[i] ? t.round : 0);
        }
        assert_true(pthread_equal(t.by[0], pthread_self()));
        for (uint32_t k = 1; k < threads[i]; k++)
            assert_false(pthread_equal(t.by[k], t.by[k - 1]));
        crew_destroy(&c);
        assert_null(c);
    }
}

static void no_crew_is_the_caller_alone(void **state)
{
    (void)state;
    crew *none = NULL;
    tally t = {.round = 1};
    assert_int_equal(crew_threads(none), 1);
    crew_run(none, note_round, &t);
    assert_int_equal(t.seen[0], 1);
    assert_int_equal(crew_pin_caller(none, NULL), PS_OK);
    crew_destroy(&none);
}

/* Longer than they stay awake for. */
static void threads_that_have_gone_to_sleep_wake_up(void **state)
{
    (void)state;
    crew *c = make(3, NULL);
    tally t = {0};
    for (t.round = 1; t.round <= 5; t.round++) {
        const struct timespec pause = {.tv_nsec = 20000000};
        nanosleep(&pause, NULL);
        crew_run(c, note_round, &t);
        assert_int_equal(t.seen[2], t.round);
    }
    crew_destroy(&c);
}

static void crew_that_never_worked_ends(void **state)
{
    (void)state;
    crew *c = make(THREADS_MAX, NULL);
    crew_destroy(&c);
}

static void note_signals(void *context, uint32_t thread)
{
    sigset_t *blocked = context;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked[thread]);
}

static void signals_are_left_to_the_owner(void **state)
{
    (void)state;
    crew *c = make(2, NULL);
    sigset_t blocked[2];
    crew_run(c, note_signals, blocked);
    assert_int_equal(sigismember(&blocked[0], SIGTERM), 0);
    assert_int_equal(sigismember(&blocked[1], SIGTERM), 1);
    crew_destroy(&c);
}

static void note_processor(void *context, uint32_t thread)
{
    cpu_set_t *sets = context;
    sched_getaffinity(0, sizeof sets[thread], &sets[thread]);
}

static void threads_run_on_the_processors_listed(void **state)
{
    (void)state;
    cpu_set_t allowed, sets[2];
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    processor_list list = {0};
    for (uint16_t i = 0; i < PROCESSORS_MAX && list.count < 2; i++)
        if (CPU_ISSET(i, &allowed))
            list.numbers[list.count++] = i;
    if (list.count < 2)
        list.numbers[list.count++] = list.numbers[0];
    crew *c = make(2, &list);
    crew_run(c, note_processor, sets);
    assert_true(CPU_EQUAL(&sets[0], &allowed)); /* the caller, until it says so */
    assert_int_equal(crew_pin_caller(c, NULL), PS_OK);
    crew_run(c, note_processor, sets);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(CPU_COUNT(&sets[k]), 1);
        assert_true(CPU_ISSET(list.numbers[k], &sets[k]));
    }
    crew_destroy(&c);
    assert_int_equal(sched_setaffinity(0, sizeof allowed, &allowed), 0);
}

/* ---- failures ---- */

static void thread_that_cannot_be_made_is_a_clean_error(void **state)
{
    (void)state;
    for (int left = 0; left < 3; left++) {
        crew *c;
        ps_error error;
        char expected[128];
        creations_left = left;
        assert_int_equal(crew_create(4, NULL, &c, &error), PS_ELIMIT);
        creations_left = -1;
        assert_null(c);
        snprintf(expected, sizeof expected, "cannot make thread %d of 4: %s", left + 2, strerror(EAGAIN));
        assert_string_equal(error.text, expected);
    }
}

static void processor_that_is_not_there_is_a_clean_error(void **state)
{
    (void)state;
    const processor_list list = {.count = 2, .numbers = {PROCESSORS_MAX - 1, PROCESSORS_MAX - 1}};
    crew *c;
    ps_error error;
    assert_int_equal(crew_create(2, &list, &c, &error), PS_EINVAL);
    assert_null(c);
    c = make(1, &list);
    assert_int_equal(crew_pin_caller(c, &error), PS_EINVAL);
    assert_string_equal(error.text, "cannot run on processor 1023: Invalid argument");
    crew_destroy(&c);
}

static void creation_without_memory_is_a_clean_error(void **state)
{
    (void)state;
    crew *c;
    ps_error error;
    torture_begin(0);
    ps_status status = crew_create(4, NULL, &c, &error);
    torture_end();
    assert_int_equal(status, PS_ENOMEM);
    assert_null(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_thread_does_its_part_once_a_round),
        cmocka_unit_test(no_crew_is_the_caller_alone),
        cmocka_unit_test(threads_that_have_gone_to_sleep_wake_up),
        cmocka_unit_test(crew_that_never_worked_ends),
        cmocka_unit_test(signals_are_left_to_the_owner),
        cmocka_unit_test(threads_run_on_the_processors_listed),
        cmocka_unit_test(thread_that_cannot_be_made_is_a_clean_error),
        cmocka_unit_test(processor_that_is_not_there_is_a_clean_error),
        cmocka_unit_test(creation_without_memory_is_a_clean_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
