/* Who is to blame: deploy/verdict. */
#include "deploy/launch/verdict.h"

#include <signal.h>
#include <string.h>

#include "tests/unit/unit.h"

/* As wait(2) encodes them. */
#define EXITED(code)   ((code) << 8)
#define KILLED(number) (number)

static void exit_code_is_what_a_shell_reports(void **state)
{
    (void)state;
    const process_end exited = {.ended = true, .wait_status = EXITED(3)};
    const process_end killed = {.ended = true, .wait_status = KILLED(SIGKILL)};
    assert_int_equal(verdict_exit_code(&exited), 3);
    assert_int_equal(verdict_exit_code(&killed), 137);
}

static void signal_is_described_by_number_and_name(void **state)
{
    (void)state;
    char text[64];
    const process_end exited = {.ended = true, .wait_status = EXITED(3)};
    const process_end killed = {.ended = true, .wait_status = KILLED(SIGSEGV)};
    verdict_describe(&exited, text, sizeof text);
    assert_string_equal(text, "exit code 3");
    verdict_describe(&killed, text, sizeof text);
    assert_string_equal(text, "signal 11 (Segmentation fault)");
}

static void nobody_is_blamed_for_running_or_ending_well(void **state)
{
    (void)state;
    const process_end ends[] = {{.ended = false, .wait_status = EXITED(1)}, {.ended = true, .order = 1}};
    assert_int_equal(verdict_first_cause(ends, 2), 2);
    assert_int_equal(verdict_first_cause(NULL, 0), 0);
}

static void first_of_equal_failures_is_blamed(void **state)
{
    (void)state;
    const process_end ends[] = {
        {.ended = true, .wait_status = EXITED(1), .order = 2},
        {.ended = true, .wait_status = EXITED(3), .order = 1},
        {.ended = true, .wait_status = EXITED(1), .order = 3},
    };
    assert_int_equal(verdict_first_cause(ends, 3), 1);
}

static void lost_peers_are_a_consequence_even_if_noticed_first(void **state)
{
    (void)state;
    const process_end ends[] = {
        {.ended = true, .wait_status = EXITED(138), .order = 1},
        {.ended = true, .wait_status = KILLED(SIGSEGV), .order = 2},
    };
    assert_int_equal(verdict_first_cause(ends, 2), 1);
}

static void ending_as_asked_is_blamed_last(void **state)
{
    (void)state;
    const process_end ends[] = {
        {.ended = true, .wait_status = EXITED(143), .order = 1, .asked = true},
        {.ended = true, .wait_status = KILLED(SIGKILL), .order = 2, .asked = true},
        {.ended = true, .wait_status = EXITED(138), .order = 3},
    };
    assert_int_equal(verdict_first_cause(ends, 3), 2);
    assert_int_equal(verdict_first_cause(ends, 2), 0);
}

static void crash_is_a_fault_of_its_own_even_when_asked_to_end(void **state)
{
    (void)state;
    const process_end ends[] = {
        {.ended = true, .wait_status = EXITED(138), .order = 1, .asked = false},
        {.ended = true, .wait_status = EXITED(143), .order = 2, .asked = true},
        {.ended = true, .wait_status = KILLED(SIGSEGV), .order = 3, .asked = true},
    };
    assert_int_equal(verdict_first_cause(ends, 3), 2);
}

static void unasked_signal_is_a_fault_of_its_own(void **state)
{
    (void)state;
    const process_end ends[] = {
        {.ended = true, .wait_status = EXITED(138), .order = 1},
        {.ended = true, .wait_status = KILLED(SIGTERM), .order = 2, .asked = false},
    };
    assert_int_equal(verdict_first_cause(ends, 2), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_code_is_what_a_shell_reports),
        cmocka_unit_test(signal_is_described_by_number_and_name),
        cmocka_unit_test(nobody_is_blamed_for_running_or_ending_well),
        cmocka_unit_test(first_of_equal_failures_is_blamed),
        cmocka_unit_test(lost_peers_are_a_consequence_even_if_noticed_first),
        cmocka_unit_test(ending_as_asked_is_blamed_last),
        cmocka_unit_test(crash_is_a_fault_of_its_own_even_when_asked_to_end),
        cmocka_unit_test(unasked_signal_is_a_fault_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
