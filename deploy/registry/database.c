/* database.c - see database.h. */
#include "deploy/registry/database.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/path.h"
#include "deploy/registry/lock_holder.h"

enum { PAUSE_MS = 5 /* between two looks at a lock */ };

struct database {
    sqlite3 *handle;
    char path[PATH_BYTES];
    uint64_t waiting_since_ms; /* of the statement under way */
    bool told;                 /* of this wait */
    database_listener listener;
};

struct database_row {
    sqlite3_stmt *statement;
};

/* ---- failures ---- */

static ps_status meaning(int code)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: /* the lock of a write-ahead log, after many attempts */
        return PS_ETIMEDOUT;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_MISMATCH:
        return PS_EFORMAT;
    case SQLITE_NOMEM:
        return PS_ENOMEM;
    case SQLITE_CONSTRAINT:
        return PS_ESTATE;
    case SQLITE_TOOBIG:
        return PS_ELIMIT;
    case SQLITE_ERROR:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_INTERNAL:
        return PS_EINTERNAL;
    default:
        return PS_EIO;
    }
}

/* "process 4711 (penstock)", or "another process" */
static void name_holder(const database *db, char *text, size_t bytes)
{
    char shared[PATH_BYTES + sizeof "-shm"];
    snprintf(shared, sizeof shared, "%s-shm", db->path);
    if (!lock_holder_name(shared, text, bytes) && !lock_holder_name(db->path, text, bytes))
        snprintf(text, bytes, "another process");
}

static ps_status fail(database *db, int code, ps_error *error)
{
    const ps_status status = meaning(code);
    if (status == PS_ETIMEDOUT) {
        char holder[128];
        name_holder(db, holder, sizeof holder);
        return ps_fail(error, status, "waited %d s in vain for %s, which writes to %s",
                       DATABASE_PATIENCE_MS / 1000, holder, db->path);
    }
    const char *reason = sqlite3_errmsg(db->handle);
    if (status == PS_EFORMAT)
        return ps_fail(error, status, "%s is damaged: %s", db->path, reason);
    /* SQLite's "disk I/O error" has a cause, a full disk for one. ENOENT is that of its second attempt, at a
     * file that could not be made. */
    const int cause = status == PS_EIO ? sqlite3_system_errno(db->handle) : 0;
    const bool telling = cause != 0 && cause != ENOENT;
    return ps_fail(error, status, "cannot use %s, or make a file beside it: %s%s%s", db->path, reason,
                   telling ? ": " : "", telling ? strerror(cause) : "");
}

/* ---- waiting for other processes ---- */

static void begin_patience(database *db)
{
    db->waiting_since_ms = clock_monotonic_ms();
    db->told = false;
}

/* SQLite's question, and ours where it does not ask: try again? */
static int wait_for_lock(void *context, int attempts)
{
    (void)attempts;
    database *db = context;
    const uint64_t waited_ms = clock_monotonic_ms() - db->waiting_since_ms;
    if (waited_ms >= DATABASE_PATIENCE_MS)
        return 0;
    if (waited_ms >= DATABASE_SILENCE_MS && !db->told && db->listener.tell) {
        char holder[128], line[PATH_BYTES + 256];
        name_holder(db, holder, sizeof holder);
        snprintf(line, sizeof line, "waiting for %s, which writes to %s", holder, db->path);
        db->told = true;
        db->listener.tell(db->listener.context, line);
    }
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
    return 1;
}

/* ---- statements ---- */

static int bind(sqlite3_stmt *statement, const database_value *values, size_t count)
{
    int code = SQLITE_OK;
    for (size_t i = 0; i < count && code == SQLITE_OK; i++)
        code = values[i].is_integer ? sqlite3_bind_int64(statement, (int)i + 1, values[i].integer)
                                    : sqlite3_bind_text(statement, (int)i + 1, values[i].text, -1, NULL);
    return code;
}

/* Outside a transaction SQLite does not always ask whether to wait (while another process recovers or closes
 * the log); nothing has been done then, and the statement may be run again. */
static int step(database *db, sqlite3_stmt *statement, bool first)
{
    const bool repeatable = first && sqlite3_get_autocommit(db->handle);
    int code = sqlite3_step(statement);
    while (repeatable && meaning(code) == PS_ETIMEDOUT && wait_for_lock(db, 0)) {
        sqlite3_reset(statement);
        code = sqlite3_step(statement);
    }
    return code;
}

static int prepare(database *db, const char *sql, sqlite3_stmt **statement)
{
    int code;
    do
        code = sqlite3_prepare_v2(db->handle, sql, -1, statement, NULL);
    while (code != SQLITE_OK && meaning(code) == PS_ETIMEDOUT && sqlite3_get_autocommit(db->handle) &&
           wait_for_lock(db, 0));
    return code;
}

ps_status database_query(database *db, const database_value *values, size_t count, database_handler *handler,
                         void *context, ps_error *error, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    ps_status status = PS_OK;
    bool first = true;
    begin_patience(db);
    int code = prepare(db, sql, &statement);
    if (code == SQLITE_OK)
        code = bind(statement, values, count);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = step(db, statement, first);
        first = false;
        const database_row row = {statement};
        if (code == SQLITE_ROW && handler && (status = handler(context, &row, error)) != PS_OK)
            break;
    }
    if (status == PS_OK && code != SQLITE_DONE)
        status = fail(db, code, error);
    sqlite3_finalize(statement);
    return status;
}

ps_status database_run(database *db, const database_value *values, size_t count, ps_error *error,
                       const char *sql)
{
    return database_query(db, values, count, NULL, NULL, error, sql);
}

const char *database_row_text(const database_row *row, int column)
{
    return (const char *)sqlite3_column_text(row->statement, column);
}

int64_t database_row_integer(const database_row *row, int column)
{
    return sqlite3_column_int64(row->statement, column);
}

static ps_status take_number(void *context, const database_row *row, ps_error *error)
{
    (void)error;
    *(int64_t *)context = database_row_integer(row, 0);
    return PS_OK;
}

ps_status database_number(database *db, const database_value *values, size_t count, int64_t *number,
                          ps_error *error, const char *sql)
{
    return database_query(db, values, count, take_number, number, error, sql);
}

/* ---- transactions ---- */

ps_status database_begin(database *db, ps_error *error)
{
    return database_run(db, DATABASE_NO_VALUES, error, "BEGIN IMMEDIATE");
}

ps_status database_commit(database *db, ps_error *error)
{
    return database_run(db, DATABASE_NO_VALUES, error, "COMMIT");
}

void database_rollback(database *db)
{
    if (!sqlite3_get_autocommit(db->handle))
        database_run(db, DATABASE_NO_VALUES, NULL, "ROLLBACK");
}

/* ---- the file ---- */

static ps_status set_up(database *db, ps_error *error)
{
    /* The file may come from elsewhere: what it says is data, and calls no functions of ours. */
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_busy_handler(db->handle, wait_for_lock, db);
    static const char *const pragmas[] = {"PRAGMA foreign_keys = ON", "PRAGMA synchronous = FULL",
                                          "PRAGMA cell_size_check = ON"};
    ps_status status = PS_OK;
    for (size_t i = 0; i < sizeof pragmas / sizeof pragmas[0] && status == PS_OK; i++)
        status = database_run(db, DATABASE_NO_VALUES, error, pragmas[i]);
    return status;
}

ps_status database_open(const char *path, database_mode mode, const database_listener *listener,
                        database **db, ps_error *error)
{
    database *d = calloc(1, sizeof *d);
    *db = NULL;
    if (!d)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    snprintf(d->path, sizeof d->path, "%s", path);
    if (listener)
        d->listener = *listener;
    begin_patience(d);
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW |
                      (mode == DATABASE_CREATE ? SQLITE_OPEN_CREATE : 0);
    int code = sqlite3_open_v2(path, &d->handle, flags, NULL);
    ps_status status = PS_OK;
    if (code != SQLITE_OK)
        status = d->handle ? fail(d, code, error) : ps_fail(error, PS_ENOMEM, "out of memory");
    if (status == PS_OK)
        status = set_up(d, error);
    if (status == PS_OK)
        *db = d;
    else
        database_close(&d);
    return status;
}

static ps_status expect_text(void *context, const database_row *row, ps_error *error)
{
    const char *wanted = context, *found = database_row_text(row, 0);
    return found && strcmp(wanted, found) == 0
               ? PS_OK
               : ps_fail(error, PS_ESTATE, "%s instead of %s", found ? found : "nothing", wanted);
}

ps_status database_set_journal(database *db, const char *journal, ps_error *error)
{
    char sql[64];
    ps_error cause;
    snprintf(sql, sizeof sql, "PRAGMA journal_mode = %s", journal);
    ps_status status =
        database_query(db, DATABASE_NO_VALUES, expect_text, (void *)(uintptr_t)journal, &cause, sql);
    if (status == PS_ESTATE)
        return ps_fail(error, status, "%s keeps to the journal mode %s", db->path, cause.text);
    return status == PS_OK ? status : ps_fail(error, status, "%s", cause.text);
}

static ps_status no_row(void *context, const database_row *row, ps_error *error)
{
    const database *db = context;
    return ps_fail(error, PS_EFORMAT, "%s is damaged: a row of %s refers to none", db->path,
                   database_row_text(row, 0));
}

ps_status database_check(database *db, ps_error *error)
{
    ps_error cause;
    ps_status status = database_query(db, DATABASE_NO_VALUES, expect_text, (void *)(uintptr_t) "ok", &cause,
                                      "PRAGMA integrity_check(1)");
    if (status == PS_ESTATE)
        return ps_fail(error, PS_EFORMAT, "%s is damaged: %s", db->path, cause.text);
    if (status != PS_OK)
        return ps_fail(error, status, "%s", cause.text);
    return database_query(db, DATABASE_NO_VALUES, no_row, db, error, "PRAGMA foreign_key_check");
}

void database_close(database **db)
{
    if (!*db)
        return;
    database_rollback(*db);
    sqlite3_close((*db)->handle);
    free(*db);
    *db = NULL;
}
