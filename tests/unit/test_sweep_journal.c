/* How the trials of a sweep have ended, on the disk: deploy/sweep_journal. */
#include "deploy/sweep/sweep_journal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/folder.h"
#include "tests/unit/torture.h"
#include "tests/unit/unit.h"

enum { TRIALS = 3 };

static sweep_trial *trials;
static double elapsed;

static int begin(void **state)
{
    trials = sweep_trial_list_create(TRIALS);
    return trials ? folder_enter(state) : -1;
}

static int end(void **state)
{
    sweep_trial_list_destroy(&trials, TRIALS);
    return folder_leave(state);
}

static ps_status read_all(ps_error *error)
{
    sweep_journal j;
    sweep_trial_list_destroy(&trials, TRIALS);
    trials = sweep_trial_list_create(TRIALS);
    assert_non_null(trials);
    assert_int_equal(sweep_journal_open("s", &j, error), PS_OK);
    ps_status status = sweep_journal_read(&j, trials, TRIALS, &elapsed, error);
    sweep_journal_close(&j);
    return status;
}

static void append(size_t number, const sweep_trial *t, double at)
{
    sweep_journal j;
    ps_error error;
    assert_int_equal(sweep_journal_open("s", &j, &error), PS_OK);
    assert_int_equal(sweep_journal_append(&j, number, t, at, &error), PS_OK);
    sweep_journal_close(&j);
}

static void put(const char *text)
{
    FILE *file = fopen("s/trials.jsonl", "a");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static off_t size(void)
{
    struct stat info;
    assert_int_equal(stat("s/trials.jsonl", &info), 0);
    return info.st_size;
}

static void what_is_appended_is_read(void **state)
{
    (void)state;
    ps_error error;
    sweep_trial done = {.outcome = TRIAL_FINISHED, .seconds = 1.5, .accuracy = 0.971, .loss = 0.1};
    sweep_trial failed = {.outcome = TRIAL_FAILED,
                          .exit_code = 139,
                          .seconds = 0.25,
                          .accuracy = NAN,
                          .loss = NAN,
                          .why = "signal 11: \"quoted\", \xff and \x01"};
    assert_int_equal(sweep_curve_add(&done.curve, 1, 0.9, NAN), PS_OK);
    assert_int_equal(sweep_curve_add(&done.curve, 2, 0.971, 0.1), PS_OK);
    append(2, &done, 10.5);
    append(0, &failed, 20.25);
    sweep_curve_fini(&done.curve);
    assert_int_equal(read_all(&error), PS_OK);
    assert_true(elapsed == 20.25);
    assert_int_equal(trials[0].outcome, TRIAL_FAILED);
    assert_int_equal(trials[0].exit_code, 139);
    assert_true(isnan(trials[0].accuracy) && isnan(trials[0].loss));
    assert_string_equal(trials[0].why, "signal 11: \"quoted\", ? and \x01");
    assert_int_equal(trials[1].outcome, TRIAL_WAITS);
    assert_int_equal(trials[2].outcome, TRIAL_FINISHED);
    assert_true(trials[2].accuracy == 0.971 && trials[2].loss == 0.1 && trials[2].seconds == 1.5);
    assert_int_equal(trials[2].curve.count, 2);
    assert_true(isnan(trials[2].curve.list[0].loss));
    assert_int_equal(trials[2].curve.list[1].epoch, 2);
}

static void a_new_journal_is_empty(void **state)
{
    (void)state;
    ps_error error;
    assert_int_equal(read_all(&error), PS_OK);
    assert_true(elapsed == 0);
    for (size_t i = 0; i < TRIALS; i++)
        assert_int_equal(trials[i].outcome, TRIAL_WAITS);
}

static void the_last_line_of_a_trial_counts(void **state)
{
    (void)state;
    ps_error error;
    sweep_trial t = {.outcome = TRIAL_FAILED, .exit_code = 1, .accuracy = NAN, .loss = NAN, .why = "bad"};
    assert_int_equal(sweep_curve_add(&t.curve, 7, 0.1, 0.1), PS_OK);
    append(1, &t, 1);
    sweep_curve_fini(&t.curve);
    t = (sweep_trial){.outcome = TRIAL_FINISHED, .accuracy = 0.5, .loss = 1};
    append(1, &t, 2);
    assert_int_equal(read_all(&error), PS_OK);
    assert_int_equal(trials[1].outcome, TRIAL_FINISHED);
    assert_int_equal(trials[1].curve.count, 0);
    assert_string_equal(trials[1].why, "");
}

/* Cut behind every byte of the last line, the first is there and another can be added. */
static void a_line_cut_by_a_crash_is_taken_away(void **state)
{
    (void)state;
    ps_error error;
    const sweep_trial t = {.outcome = TRIAL_FINISHED, .accuracy = 0.5, .loss = 1};
    append(0, &t, 1);
    const off_t first = size();
    append(1, &t, 2);
    for (off_t cut = size() - 1; cut > first; cut--) {
        assert_int_equal(truncate("s/trials.jsonl", cut), 0);
        assert_int_equal(read_all(&error), PS_OK);
        assert_int_equal(size(), first);
        assert_int_equal(trials[0].outcome, TRIAL_FINISHED);
        assert_int_equal(trials[1].outcome, TRIAL_WAITS);
        append(1, &t, 2);
    }
}

#define LINE(trial, outcome, rest)                                                                          \
    "{\"trial\": " trial ", \"outcome\": " outcome ", \"seconds\": 1, \"elapsed\": 1, \"accuracy\": null, " \
    "\"loss\": null, \"why\": \"\"" rest "}\n"
#define REST ", \"exit_code\": 0, \"evaluations\": []"

static void damage_is_named_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *line, *why;
    } cases[] = {
        {"\n", "line 2"},
        {"[]\n", "must be an object"},
        {"{}\n", "trial is missing"},
        {LINE("0", "\"finished\"", REST), "trial must be a whole number from 1 to 3"},
        {LINE("4", "\"finished\"", REST), "trial must be a whole number from 1 to 3"},
        {LINE("1", "\"runs\"", REST), "there is no outcome 'runs'"},
        {LINE("1", "1", REST), "outcome must be a string"},
        {LINE("1", "\"failed\"", ", \"exit_code\": 256, \"evaluations\": []"), "exit_code must be"},
        {LINE("1", "\"failed\"", ", \"exit_code\": 1"), "evaluations is missing"},
        {LINE("1", "\"failed\"", ", \"exit_code\": 1, \"evaluations\": [1]"), "an evaluation is a list"},
        {LINE("1", "\"failed\"", ", \"exit_code\": 1, \"evaluations\": [[1, 2]]"), "an evaluation is a list"},
        {LINE("1", "\"failed\"", ", \"exit_code\": 1, \"evaluations\": [[1, \"x\", 2]]"), "must be a number"},
        {"{\"trial\": 1, \"trial\": 2}\n", "given twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ps_error error;
        unlink("s/trials.jsonl");
        assert_int_equal(read_all(&error), PS_OK);
        put(LINE("1", "\"finished\"", REST));
        put(cases[i].line);
        assert_int_equal(read_all(&error), PS_EFORMAT);
        if (!strstr(error.text, "trials.jsonl: line 2: ") || !strstr(error.text, cases[i].why))
            fail_msg("'%s' does not say '%s'", error.text, cases[i].why);
    }
}

static void two_cannot_hold_it(void **state)
{
    (void)state;
    sweep_journal one, other;
    ps_error error;
    assert_int_equal(sweep_journal_open("s", &one, &error), PS_OK);
    assert_int_equal(sweep_journal_open("s", &other, &error), PS_ESTATE);
    assert_non_null(strstr(error.text, "another process"));
    sweep_journal_close(&one);
    assert_int_equal(sweep_journal_open("s", &other, &error), PS_OK);
    sweep_journal_close(&other);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    sweep_trial t = {.outcome = TRIAL_FINISHED, .accuracy = 0.5, .loss = 1};
    assert_int_equal(sweep_curve_add(&t.curve, 1, 0.5, 1), PS_OK);
    bool done = false;
    for (long allowed = 0; !done; allowed++) {
        sweep_journal j = {.fd = -1};
        unlink("s/trials.jsonl"); /* else there is more to read each time */
        torture_begin(allowed);
        sweep_trial *list = sweep_trial_list_create(TRIALS);
        ps_status status = list ? sweep_journal_open("s", &j, NULL) : PS_ENOMEM;
        if (status == PS_OK)
            status = sweep_journal_append(&j, 0, &t, 1, NULL);
        if (status == PS_OK)
            status = sweep_journal_read(&j, list, TRIALS, &elapsed, NULL);
        torture_end();
        assert_true(status == PS_OK || status == PS_ENOMEM);
        done = status == PS_OK;
        sweep_journal_close(&j);
        sweep_trial_list_destroy(&list, TRIALS);
    }
    sweep_curve_fini(&t.curve);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_appended_is_read),        CASE(a_new_journal_is_empty),
        CASE(the_last_line_of_a_trial_counts), CASE(a_line_cut_by_a_crash_is_taken_away),
        CASE(damage_is_named_with_its_line),   CASE(two_cannot_hold_it),
        CASE(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
