/* database.h - the only door to SQLite: statements with values, transactions, and what failures mean.
 *
 *   database *db = NULL;
 *   ps_status status = database_open("registry.db", DATABASE_CREATE, NULL, &db, error);
 *   if (status == PS_OK)
 *       status = database_begin(db, error);
 *   if (status == PS_OK)
 *       status = database_run(db, DATABASE_VALUES(DATABASE_TEXT(name), DATABASE_INTEGER(7)), error,
 *                             "INSERT INTO names VALUES (?, ?)");
 *   if (status == PS_OK)
 *       status = database_commit(db, error);
 *   database_close(&db);   // what is not committed is undone
 *
 * Several processes may write: a transaction takes the lock of writers as it begins, so that it cannot fail
 * for them later. Whoever finds it taken waits up to DATABASE_PATIENCE_MS, and both the wait and giving up
 * name the process that holds it, where this host can tell. What is committed is on the disk.
 *
 * A database belongs to one thread, and must be closed before a fork that goes on in this program. */
#ifndef PENSTOCK_DEPLOY_DATABASE_H
#define PENSTOCK_DEPLOY_DATABASE_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum {
    DATABASE_PATIENCE_MS = 30000,
    DATABASE_SILENCE_MS = 3000, /* of a wait, before it is told of */
    DATABASE_VALUES_MAX = 32,   /* of one statement */
};

typedef struct database database;
typedef struct database_row database_row;

/* A value of a statement: a text, borrowed, NULL for SQL's null; or if `is_integer` a number. */
typedef struct {
    const char *text;
    int64_t integer;
    int is_integer;
} database_value;

#define DATABASE_TEXT(t)    ((database_value){.text = (t)})
#define DATABASE_INTEGER(i) ((database_value){.integer = (i), .is_integer = 1})
#define DATABASE_VALUES(...)               \
    (const database_value[]){__VA_ARGS__}, \
        sizeof(const database_value[]){__VA_ARGS__} / sizeof(const database_value)
#define DATABASE_NO_VALUES NULL, 0

typedef enum { DATABASE_OPEN, DATABASE_CREATE } database_mode;

/* Told once of a wait that has become long, with a line for a person. */
typedef struct {
    void (*tell)(void *context, const char *line);
    void *context;
} database_listener;

/* Opens the file; with DATABASE_CREATE it may be missing. `listener`, which may be NULL, is copied. PS_EIO,
 * PS_ENOMEM; PS_EFORMAT if it is no database or damaged; path and reason are named. */
ps_status database_open(const char *path, database_mode mode, const database_listener *listener,
                        database **db, ps_error *error);

/* How changes are kept until they are in the file: "wal" or "delete" (a rollback journal). PS_ESTATE if
 * SQLite keeps to another. */
ps_status database_set_journal(database *db, const char *journal, ps_error *error);

/* Transactions; everything between a begin that succeeded and a commit that did happens, or nothing. They do
 * not nest. PS_ETIMEDOUT: another process writes. */
ps_status database_begin(database *db, ps_error *error);
ps_status database_commit(database *db, ps_error *error);
/* Does nothing outside a transaction. */
void database_rollback(database *db);

/* Runs one statement that gives no rows. PS_ESTATE: a constraint of the schema forbids it. */
ps_status database_run(database *db, const database_value *values, size_t count, ps_error *error,
                       const char *sql);

/* Runs one that does, and hands out its rows until the handler fails, whose status is then returned. Within a
 * handler, other statements see the same state of the database. */
typedef ps_status database_handler(void *context, const database_row *row, ps_error *error);
ps_status database_query(database *db, const database_value *values, size_t count, database_handler *handler,
                         void *context, ps_error *error, const char *sql);

/* A column of a row, counted from 0, until the handler returns; NULL (0) for SQL's null. Texts hold no zero
 * byte. */
const char *database_row_text(const database_row *row, int column);
int64_t database_row_integer(const database_row *row, int column);

/* The first column of the first row as a number; `*number` stays as it was if there is no row. */
ps_status database_number(database *db, const database_value *values, size_t count, int64_t *number,
                          ps_error *error, const char *sql);

/* Whether the file hangs together, page for page, and every row refers to one that is there: PS_EFORMAT with
 * the first fault if not. */
ps_status database_check(database *db, ps_error *error);

/* Nulls the handle; does nothing on NULL. */
void database_close(database **db);

#endif
