/* Runs in a registry, and those whose launchers were killed: deploy/run_history. */
#include "deploy/runs/run_history.h"

#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "deploy/moment.h"
#include "deploy/runs/run_view.h"
#include "tests/unit/folder.h"

static const run_options options = {.servers = 2, .workers = 3};

static registry open_registry(void)
{
    registry r;
    ps_error error;
    assert_int_equal(registry_open("registry", REGISTRY_MAY_BE_NEW, NULL, &r, &error), PS_OK);
    return r;
}

static run_record make_record(const char *id)
{
    run_record record = {.options = &options, .phase = RUN_RUNNING};
    snprintf(record.id, sizeof record.id, "%s", id);
    snprintf(record.experiment, sizeof record.experiment, "e");
    assert_non_null(getcwd(record.folder, sizeof record.folder));
    run_history_host(record.host);
    record.phase_ms[RUN_PREPARING] = moment_now_ms() - 2000;
    record.phase_ms[RUN_RUNNING] = moment_now_ms() - 1000;
    return record;
}

static void write_row(registry *r, const run_record *record)
{
    char *text;
    size_t bytes;
    assert_int_equal(run_record_format(record, &text, &bytes, NULL), PS_OK);
    assert_int_equal(run_history_write(r, record, text, NULL), PS_OK);
    free(text);
}

static void write_folder(const run_record *record)
{
    char *text;
    size_t bytes;
    assert_int_equal(run_record_format(record, &text, &bytes, NULL), PS_OK);
    folder_put(RUN_RECORD_FILE, text, bytes);
    free(text);
}

/* The phase in the row and in the record are the same; the reason of the latter. */
static run_phase phase_of(registry *r, const char *id, char reason[RUN_REASON_BYTES])
{
    run_rows rows;
    run_view view;
    assert_int_equal(run_history_find(r, id, &rows, NULL), PS_OK);
    assert_int_equal(run_view_open(rows.rows[0].record, &view, NULL), PS_OK);
    const run_phase phase = rows.rows[0].phase;
    assert_int_equal(view.phase, phase);
    assert_true(view.phase_ms[phase] > 0);
    snprintf(reason, RUN_REASON_BYTES, "%s", view.reason);
    run_view_close(&view);
    run_rows_free(&rows);
    return phase;
}

static void a_run_whose_lock_is_held_is_left_alone(void **state)
{
    (void)state;
    registry r = open_registry();
    run_record record = make_record("one");
    char reason[RUN_REASON_BYTES];
    int lock;
    assert_int_equal(run_history_begin(&r, "one", &lock, NULL), PS_OK);
    write_row(&r, &record);
    assert_int_equal(run_history_refresh(&r, NULL), PS_OK);
    assert_int_equal(phase_of(&r, "one", reason), RUN_RUNNING);
    ps_error error;
    assert_int_equal(run_history_remove(&r, "one", &error), PS_ESTATE);
    run_history_end("registry", "one", &lock);
    assert_int_equal(folder_count("registry/live"), 0);
    registry_close(&r);
}

/* Of a lock that cannot be looked at, nobody knows who holds it. */
static void a_run_whose_lock_cannot_be_opened_is_left_alone(void **state)
{
    (void)state;
    registry r = open_registry();
    run_record record = make_record("one");
    char reason[RUN_REASON_BYTES];
    write_row(&r, &record);
    assert_int_equal(mkdir("registry/live/one", 0777), 0);
    assert_int_equal(run_history_refresh(&r, NULL), PS_OK);
    assert_int_equal(phase_of(&r, "one", reason), RUN_RUNNING);
    registry_close(&r);
}

static void one_whose_launcher_is_gone_has_failed(void **state)
{
    (void)state;
    registry r = open_registry();
    run_record record = make_record("one");
    char reason[RUN_REASON_BYTES], *text;
    size_t bytes;
    int lock;
    write_folder(&record);
    assert_int_equal(run_history_begin(&r, "one", &lock, NULL), PS_OK);
    write_row(&r, &record);
    close(lock); /* as it is when the process is killed */
    assert_int_equal(run_history_refresh(&r, NULL), PS_OK);
    assert_int_equal(phase_of(&r, "one", reason), RUN_FAILED);
    assert_non_null(strstr(reason, "killed"));
    assert_int_equal(folder_count("registry/live"), 0);
    /* The folder says the same. */
    assert_int_equal(file_read(RUN_RECORD_FILE, RUN_RECORD_MAX, &text, &bytes, NULL), PS_OK);
    assert_non_null(strstr(text, "\"phase\":\"Failed\""));
    free(text);
    assert_int_equal(run_history_remove(&r, "one", NULL), PS_OK);
    registry_close(&r);
}

static void one_that_was_killed_just_after_it_ended_has_ended_so(void **state)
{
    (void)state;
    registry r = open_registry();
    run_record record = make_record("one");
    char reason[RUN_REASON_BYTES];
    write_row(&r, &record);
    record.phase = RUN_COMPLETED;
    record.phase_ms[RUN_COMPLETED] = moment_now_ms();
    write_folder(&record);
    assert_int_equal(run_history_refresh(&r, NULL), PS_OK);
    assert_int_equal(phase_of(&r, "one", reason), RUN_COMPLETED);
    registry_close(&r);
}

static void the_folder_of_a_later_run_says_nothing_of_an_earlier_one(void **state)
{
    (void)state;
    registry r = open_registry();
    run_record record = make_record("one"), later = make_record("two");
    char reason[RUN_REASON_BYTES];
    write_row(&r, &record);
    later.phase = RUN_COMPLETED;
    later.phase_ms[RUN_COMPLETED] = moment_now_ms();
    write_folder(&later);
    assert_int_equal(run_history_refresh(&r, NULL), PS_OK);
    assert_int_equal(phase_of(&r, "one", reason), RUN_FAILED);
    registry_close(&r);
}

static void a_run_on_another_host_is_that_hosts_to_judge(void **state)
{
    (void)state;
    registry r = open_registry();
    run_record record = make_record("one");
    char reason[RUN_REASON_BYTES];
    snprintf(record.host, sizeof record.host, "elsewhere.example");
    write_row(&r, &record);
    assert_int_equal(run_history_refresh(&r, NULL), PS_OK);
    assert_int_equal(phase_of(&r, "one", reason), RUN_RUNNING);
    registry_close(&r);
}

static void a_folder_that_holds_garbage_does_no_harm(void **state)
{
    (void)state;
    registry r = open_registry();
    run_record record = make_record("one");
    char reason[RUN_REASON_BYTES];
    write_row(&r, &record);
    folder_put(RUN_RECORD_FILE, "{\"id\": 7", 8);
    assert_int_equal(run_history_refresh(&r, NULL), PS_OK);
    assert_int_equal(phase_of(&r, "one", reason), RUN_FAILED);
    registry_close(&r);
}

static void ids_are_never_the_same(void **state)
{
    (void)state;
    char one[RUN_ID_BYTES], two[RUN_ID_BYTES];
    assert_int_equal(run_id_make(1795923900000, one, NULL), PS_OK);
    assert_int_equal(run_id_make(1795923900000, two, NULL), PS_OK);
    assert_memory_equal(one, "20261129-034500-", 16);
    assert_int_equal(strlen(one), 22);
    assert_string_not_equal(one, two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(a_run_whose_lock_is_held_is_left_alone),
        FOLDER_TEST(a_run_whose_lock_cannot_be_opened_is_left_alone),
        FOLDER_TEST(one_whose_launcher_is_gone_has_failed),
        FOLDER_TEST(one_that_was_killed_just_after_it_ended_has_ended_so),
        FOLDER_TEST(the_folder_of_a_later_run_says_nothing_of_an_earlier_one),
        FOLDER_TEST(a_run_on_another_host_is_that_hosts_to_judge),
        FOLDER_TEST(a_folder_that_holds_garbage_does_no_harm),
        cmocka_unit_test(ids_are_never_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
