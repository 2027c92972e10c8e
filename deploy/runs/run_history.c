/* run_history.c - see run_history.h. */
#include "deploy/runs/run_history.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "deploy/growing.h"
#include "deploy/moment.h"

#define LOST "its launcher was killed, or its host went down"

void run_history_host(char host[RUN_HOST_BYTES])
{
    host[0] = '\0';
    gethostname(host, RUN_HOST_BYTES - 1);
    host[RUN_HOST_BYTES - 1] = '\0';
}

/* ---- locks ---- */

static ps_status lock_path(const char *folder, const char *id, char path[PATH_BYTES], ps_error *error)
{
    return path_make(path, error, "%s/live/%s", folder, id);
}

ps_status run_history_begin(const registry *r, const char *id, int *lock, ps_error *error)
{
    char path[PATH_BYTES];
    *lock = -1;
    ps_status status = lock_path(r->folder, id, path, error);
    return status == PS_OK ? registry_lock(path, lock, error) : status;
}

void run_history_end(const char *registry_folder, const char *id, int *lock)
{
    char path[PATH_BYTES];
    if (*lock < 0)
        return;
    if (lock_path(registry_folder, id, path, NULL) == PS_OK)
        unlink(path);
    close(*lock);
    *lock = -1;
}

/* ---- rows ---- */

ps_status run_history_write(registry *r, const run_record *record, const char *text, ps_error *error)
{
    return database_run(r->db,
                        DATABASE_VALUES(DATABASE_TEXT(record->id), DATABASE_TEXT(record->experiment),
                                        DATABASE_TEXT(record->folder), DATABASE_TEXT(record->host),
                                        DATABASE_TEXT(run_phase_name(record->phase)),
                                        DATABASE_INTEGER(record->phase_ms[RUN_PREPARING]),
                                        DATABASE_TEXT(text)),
                        error,
                        "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)"
                        " ON CONFLICT DO UPDATE SET phase = excluded.phase, record = excluded.record");
}

static ps_status take_row(void *context, const database_row *row, ps_error *error)
{
    run_rows *rows = context;
    run_row *grown = growing_room(rows->rows, rows->count, sizeof *grown);
    if (!grown)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    rows->rows = grown;
    run_row *taken = &rows->rows[rows->count++];
    *taken = (run_row){.id = strdup(database_row_text(row, 0)),
                       .experiment = strdup(database_row_text(row, 1)),
                       .folder = strdup(database_row_text(row, 2)),
                       .host = strdup(database_row_text(row, 3)),
                       .record = strdup(database_row_text(row, 5))};
    if (!taken->id || !taken->experiment || !taken->folder || !taken->host || !taken->record)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    return run_phase_parse(database_row_text(row, 4), &taken->phase, error);
}

ps_status run_history_list(registry *r, const char *experiment, const char *id, run_rows *rows,
                           ps_error *error)
{
    *rows = (run_rows){0};
    ps_status status = database_query(
        r->db, DATABASE_VALUES(DATABASE_TEXT(experiment), DATABASE_TEXT(id)), take_row, rows, error,
        "SELECT id, experiment, folder, host, phase, record FROM runs"
        " WHERE (?1 IS NULL OR experiment = ?1) AND (?2 IS NULL OR id = ?2) ORDER BY started_ms, id");
    if (status != PS_OK)
        run_rows_free(rows);
    return status;
}

void run_rows_free(run_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        run_row *row = &rows->rows[i];
        free(row->id);
        free(row->experiment);
        free(row->folder);
        free(row->host);
        free(row->record);
    }
    free(rows->rows);
    *rows = (run_rows){0};
}

ps_status run_history_find(registry *r, const char *id, run_rows *rows, ps_error *error)
{
    ps_status status = registry_check_name("run", id, error);
    if (status == PS_OK)
        status = run_history_list(r, NULL, id, rows, error);
    return status == PS_OK && rows->count == 0 ? ps_fail(error, PS_EINVAL, "there is no run %s", id) : status;
}

ps_status run_history_remove(registry *r, const char *id, ps_error *error)
{
    run_rows rows = {0};
    ps_status status = database_begin(r->db, error);
    if (status == PS_OK)
        status = run_history_find(r, id, &rows, error);
    if (status == PS_OK && !run_phase_is_over(rows.rows[0].phase))
        status =
            ps_fail(error, PS_ESTATE, "the run %s is not over: it is %s on %s; penstock runs cancel ends it",
                    id, run_phase_name(rows.rows[0].phase), rows.rows[0].host);
    if (status == PS_OK)
        status =
            database_run(r->db, DATABASE_VALUES(DATABASE_TEXT(id)), error, "DELETE FROM runs WHERE id = ?");
    if (status == PS_OK)
        status = database_commit(r->db, error);
    database_rollback(r->db);
    run_rows_free(&rows);
    return status;
}

/* ---- those that have ended without a word ---- */

/* What the folder says of this run, if that is how it ended; else NULL. The caller frees. */
static char *read_ending(const run_row *row, char phase_name[32])
{
    char path[PATH_BYTES], *text = NULL;
    const char *id = "", *name = "";
    size_t bytes;
    run_phase phase;
    json *root = NULL;
    const json_options options = {.source = RUN_RECORD_FILE, .max_bytes = RUN_RECORD_MAX};
    ps_status status = path_make(path, NULL, "%s/" RUN_RECORD_FILE, row->folder);
    if (status == PS_OK)
        status = file_read(path, RUN_RECORD_MAX, &text, &bytes, NULL);
    if (status == PS_OK)
        status = json_parse(text, bytes, &options, &root, NULL, NULL);
    if (status == PS_OK)
        status = json_as_string(json_find(root, "id"), "id", &id, NULL);
    if (status == PS_OK)
        status = json_as_string(json_find(root, "phase"), "phase", &name, NULL);
    if (status == PS_OK)
        status = run_phase_parse(name, &phase, NULL);
    const bool ended = status == PS_OK && strcmp(id, row->id) == 0 && run_phase_is_over(phase);
    snprintf(phase_name, 32, "%s", name);
    json_free(&root);
    if (ended)
        return text;
    free(text);
    return NULL;
}

/* The folder says the same as the registry, if it is still this run's. */
static void write_back(registry *r, const run_row *row)
{
    char path[PATH_BYTES];
    run_rows now = {0};
    if (path_make(path, NULL, "%s/" RUN_RECORD_FILE, row->folder) == PS_OK && access(path, F_OK) == 0 &&
        run_history_list(r, NULL, row->id, &now, NULL) == PS_OK && now.count > 0) {
        const struct iovec part = {now.rows[0].record, strlen(now.rows[0].record)};
        file_write_atomic(path, &part, 1, NULL);
    }
    run_rows_free(&now);
}

static ps_status bury(registry *r, const run_row *row, ps_error *error)
{
    char phase[32], time[MOMENT_BYTES];
    const int64_t now_ms = moment_now_ms();
    char *ending = read_ending(row, phase);
    if (ending) {
        ps_status status = database_run(
            r->db, DATABASE_VALUES(DATABASE_TEXT(row->id), DATABASE_TEXT(phase), DATABASE_TEXT(ending)),
            error, "UPDATE runs SET phase = ?2, record = ?3 WHERE id = ?1");
        free(ending);
        return status;
    }
    ps_status status = database_run(
        r->db,
        DATABASE_VALUES(DATABASE_TEXT(row->id), DATABASE_TEXT(run_phase_name(RUN_FAILED)),
                        DATABASE_TEXT(LOST), DATABASE_TEXT(moment_format(now_ms, time)),
                        DATABASE_INTEGER(now_ms)),
        error,
        "UPDATE runs SET phase = ?2, record = json_set(record, '$.phase', ?2, '$.reason', ?3, '$.phases[#]',"
        " json_object('phase', ?2, 'time', ?4, 'ms', ?5))"
        " WHERE id = ?1 AND phase IN ('Preparing', 'Running', 'Finalizing')");
    if (status == PS_OK)
        write_back(r, row);
    return status;
}

static ps_status look_after(registry *r, const run_row *row, ps_error *error)
{
    char path[PATH_BYTES];
    int lock = -1;
    ps_status status = lock_path(r->folder, row->id, path, error);
    if (status != PS_OK)
        return status;
    /* Of a lock that cannot be opened it is not known whether somebody holds it. */
    status = registry_inherit(path, &lock, NULL);
    if (status != PS_OK && status != PS_ENOENT)
        return PS_OK;
    /* It may have ended, and said how, since its row was read. */
    run_rows now = {0};
    status = run_history_list(r, NULL, row->id, &now, error);
    if (status == PS_OK && now.count > 0 && !run_phase_is_over(now.rows[0].phase))
        status = bury(r, row, error);
    run_rows_free(&now);
    if (lock >= 0 && status == PS_OK)
        unlink(path);
    if (lock >= 0)
        close(lock);
    return status;
}

/* Locks of launchers that were killed before their row was there, or after it had said how it ended. */
static void remove_dead_locks(const registry *r)
{
    char path[PATH_BYTES];
    if (path_make(path, NULL, "%s/live", r->folder) != PS_OK)
        return;
    DIR *folder = opendir(path);
    if (!folder)
        return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        int lock = -1;
        if (entry->d_name[0] == '.' || lock_path(r->folder, entry->d_name, path, NULL) != PS_OK ||
            registry_inherit(path, &lock, NULL) != PS_OK)
            continue;
        unlink(path);
        close(lock);
    }
    closedir(folder);
}

ps_status run_history_refresh(registry *r, ps_error *error)
{
    char host[RUN_HOST_BYTES];
    run_rows rows = {0};
    run_history_host(host);
    ps_status status = database_query(r->db, DATABASE_VALUES(DATABASE_TEXT(host)), take_row, &rows, error,
                                      "SELECT id, experiment, folder, host, phase, record FROM runs"
                                      " WHERE host = ? AND phase IN ('Preparing', 'Running', 'Finalizing')");
    for (size_t i = 0; i < rows.count && status == PS_OK; i++)
        status = look_after(r, &rows.rows[i], error);
    run_rows_free(&rows);
    if (status == PS_OK)
        remove_dead_locks(r);
    return status;
}
