/* The door to SQLite: deploy/database. */
#include "deploy/registry/database.h"

#include <string.h>
#include <sys/wait.h>

#include "tests/unit/folder.h"

static database *open_new(void)
{
    database *db = NULL;
    assert_int_equal(database_open("d", DATABASE_CREATE, NULL, &db, NULL), PS_OK);
    assert_int_equal(database_set_journal(db, "wal", NULL), PS_OK);
    assert_int_equal(
        database_run(db, DATABASE_NO_VALUES, NULL, "CREATE TABLE IF NOT EXISTS t (name TEXT PRIMARY KEY, n)"),
        PS_OK);
    return db;
}

static int64_t count(database *db)
{
    int64_t number = -1;
    assert_int_equal(database_number(db, DATABASE_NO_VALUES, &number, NULL, "SELECT count(*) FROM t"), PS_OK);
    return number;
}

static ps_status add(database *db, const char *name, ps_error *error)
{
    return database_run(db, DATABASE_VALUES(DATABASE_TEXT(name), DATABASE_INTEGER(7)), error,
                        "INSERT INTO t VALUES (?, ?)");
}

static void a_transaction_happens_whole_or_not_at_all(void **state)
{
    (void)state;
    database *db = open_new();
    assert_int_equal(database_begin(db, NULL), PS_OK);
    assert_int_equal(add(db, "a", NULL), PS_OK);
    database_rollback(db);
    assert_int_equal(count(db), 0);
    assert_int_equal(database_begin(db, NULL), PS_OK);
    assert_int_equal(add(db, "a", NULL), PS_OK);
    assert_int_equal(database_commit(db, NULL), PS_OK);
    database_rollback(db);
    assert_int_equal(count(db), 1);
    assert_int_equal(database_begin(db, NULL), PS_OK);
    assert_int_equal(add(db, "b", NULL), PS_OK);
    database_close(&db);
    db = open_new();
    assert_int_equal(count(db), 1);
    database_close(&db);
}

static void what_the_schema_forbids_is_told_apart(void **state)
{
    (void)state;
    database *db = open_new();
    ps_error error;
    assert_int_equal(add(db, "a", NULL), PS_OK);
    assert_int_equal(add(db, "a", &error), PS_ESTATE);
    assert_non_null(strstr(error.text, "UNIQUE"));
    assert_int_equal(database_run(db, DATABASE_NO_VALUES, &error, "no SQL"), PS_EINTERNAL);
    database_close(&db);
}

static void what_is_no_database_is_refused_by_name(void **state)
{
    (void)state;
    database *db = NULL;
    ps_error error;
    int64_t number;
    static const char text[] =
        "this is some text and long enough to be looked at, as a header has a hundred bytes ....";
    assert_int_equal(database_open("absent", DATABASE_OPEN, NULL, &db, &error), PS_EIO);
    assert_non_null(strstr(error.text, "absent"));
    folder_put("text", text, sizeof text);
    ps_status status = database_open("text", DATABASE_OPEN, NULL, &db, &error);
    if (status == PS_OK)
        status = database_number(db, DATABASE_NO_VALUES, &number, &error, "PRAGMA user_version");
    assert_int_equal(status, PS_EFORMAT);
    assert_non_null(strstr(error.text, "text is damaged"));
    database_close(&db);
}

static ps_status stop_at_second(void *context, const database_row *row, ps_error *error)
{
    int *rows = context;
    assert_int_equal(database_row_integer(row, 1), 7);
    return ++*rows == 2 ? ps_fail(error, PS_EINTERRUPTED, "%s", database_row_text(row, 0)) : PS_OK;
}

static void a_handler_may_stop(void **state)
{
    (void)state;
    database *db = open_new();
    ps_error error;
    int rows = 0;
    static const char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++)
        assert_int_equal(add(db, names[i], NULL), PS_OK);
    assert_int_equal(database_query(db, DATABASE_NO_VALUES, stop_at_second, &rows, &error,
                                    "SELECT name, n FROM t ORDER BY name"),
                     PS_EINTERRUPTED);
    assert_string_equal(error.text, "b");
    assert_int_equal(database_check(db, NULL), PS_OK);
    database_close(&db);
}

typedef struct {
    char line[256];
    int release; /* a pipe: the other process lets go as it closes */
} waiter;

static void keep_line_and_release(void *context, const char *line)
{
    waiter *w = context;
    snprintf(w->line, sizeof w->line, "%s", line);
    close(w->release);
}

/* Writes until nobody holds the other end of `release` any more. */
static _Noreturn void hold(int locked, int release)
{
    database *db;
    char c = 0;
    if (database_open("d", DATABASE_OPEN, NULL, &db, NULL) != PS_OK || database_begin(db, NULL) != PS_OK ||
        write(locked, "l", 1) != 1 || read(release, &c, 1) != 0)
        _exit(1);
    database_close(&db);
    _exit(0);
}

static void who_waits_says_for_whom(void **state)
{
    (void)state;
    char wanted[64], c;
    int locked[2], release[2];
    database *db = open_new();
    database_close(&db);
    assert_int_equal(pipe(locked) | pipe(release), 0);
    pid_t other = fork();
    if (other == 0) {
        close(release[1]);
        hold(locked[1], release[0]);
    }
    waiter w = {.release = release[1]};
    const database_listener listener = {keep_line_and_release, &w};
    assert_int_equal(read(locked[0], &c, 1), 1);
    assert_int_equal(database_open("d", DATABASE_OPEN, &listener, &db, NULL), PS_OK);
    assert_int_equal(database_begin(db, NULL), PS_OK);
    snprintf(wanted, sizeof wanted, "waiting for process %d (", other);
    assert_non_null(strstr(w.line, wanted));
    assert_non_null(strstr(w.line, ", which writes to d"));
    database_close(&db);
    int status;
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(a_transaction_happens_whole_or_not_at_all),
        FOLDER_TEST(what_the_schema_forbids_is_told_apart),
        FOLDER_TEST(what_is_no_database_is_refused_by_name),
        FOLDER_TEST(a_handler_may_stop),
        FOLDER_TEST(who_waits_says_for_whom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
