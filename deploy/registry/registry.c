/* registry.c - see registry.h. */
#include "deploy/registry/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "deploy/registry/registry_place.h"
#include "deploy/registry/registry_schema.h"
#include "deploy/registry/registry_works.h"

/* Where SQLite says in a file's header how its journal is kept: file format, sections 1.3.3. */
enum { HEADER_BYTES = 100, HEADER_WRITE_VERSION = 18, WRITES_AHEAD = 2 };

static const char *const folders[] = {"incoming", "files", "live"};

/* ---- where it is ---- */

ps_status registry_find(const char *wanted, char folder[PATH_BYTES], ps_error *error)
{
    const char *own = getenv("PENSTOCK_HOME"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (wanted)
        return path_make(folder, error, "%s", wanted);
    if (own && own[0])
        return path_make(folder, error, "%s", own);
    if (data && data[0] == '/')
        return path_make(folder, error, "%s/penstock", data);
    if (home && home[0] == '/')
        return path_make(folder, error, "%s/.local/share/penstock", home);
    return ps_fail(error, PS_ECONFIG, "no registry: give --registry DIR, or set PENSTOCK_HOME or HOME");
}

/* ---- names ---- */

ps_status registry_check_name(const char *what, const char *name, ps_error *error)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    const size_t length = strlen(name), good = strspn(name, allowed);
    if (length == 0)
        return ps_fail(error, PS_EINVAL, "the name of a %s is empty", what);
    if (length >= REGISTRY_NAME_MAX)
        return ps_fail(error, PS_EINVAL, "the %s name %.24s... exceeds %d bytes", what, name,
                       REGISTRY_NAME_MAX - 1);
    if (good < length)
        return ps_fail(error, PS_EINVAL,
                       "the %s name '%s' holds '%c'; names are made of a-z, 0-9, '.', '_' and '-'", what,
                       name, name[good]);
    if (strchr("._-", name[0]))
        return ps_fail(error, PS_EINVAL, "the %s name '%s' begins with '%c'; names begin with a-z or 0-9",
                       what, name, name[0]);
    return PS_OK;
}

/* ---- the database ---- */

/* A database that writes ahead is used by processes of one host; it stays so, wherever it is seen from. */
static bool writes_ahead(const char *path)
{
    unsigned char header[HEADER_BYTES] = {0};
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t got = fread(header, 1, sizeof header, file);
    fclose(file);
    return got == sizeof header && header[HEADER_WRITE_VERSION] == WRITES_AHEAD;
}

static ps_status check_version(registry *r, int64_t *version, ps_error *error)
{
    int64_t application = 0;
    ps_status status = database_number(r->db, DATABASE_NO_VALUES, version, error, "PRAGMA user_version");
    if (status == PS_OK)
        status = database_number(r->db, DATABASE_NO_VALUES, &application, error, "PRAGMA application_id");
    if (status != PS_OK || (*version == 0 && application == 0) ||
        (*version == REGISTRY_SCHEMA_VERSION && application == REGISTRY_APPLICATION))
        return status;
    if (application == REGISTRY_APPLICATION)
        return ps_fail(error, PS_EFORMAT, "%s/registry.db has schema %lld; this penstock knows %d", r->folder,
                       (long long)*version, REGISTRY_SCHEMA_VERSION);
    return ps_fail(error, PS_EFORMAT, "%s/registry.db is another program's", r->folder);
}

static ps_status make_tables(registry *r, ps_error *error)
{
    char sql[64];
    int64_t version = 0, tables = 0;
    ps_status status = database_begin(r->db, error);
    if (status == PS_OK)
        status = check_version(r, &version, error);
    if (status == PS_OK)
        status =
            database_number(r->db, DATABASE_NO_VALUES, &tables, error, "SELECT count(*) FROM sqlite_schema");
    if (status == PS_OK && version == 0 && tables > 0)
        status = ps_fail(error, PS_EFORMAT, "%s/registry.db is another program's", r->folder);
    for (size_t i = 0;
         i < sizeof registry_schema / sizeof registry_schema[0] && status == PS_OK && version == 0; i++)
        status = database_run(r->db, DATABASE_NO_VALUES, error, registry_schema[i]);
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d", REGISTRY_APPLICATION);
    if (status == PS_OK && version == 0)
        status = database_run(r->db, DATABASE_NO_VALUES, error, sql);
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", REGISTRY_SCHEMA_VERSION);
    if (status == PS_OK && version == 0)
        status = database_run(r->db, DATABASE_NO_VALUES, error, sql);
    if (status == PS_OK)
        status = database_commit(r->db, error);
    database_rollback(r->db);
    return status;
}

/* One process at a time makes the database: SQLite changes the journal only while nobody else looks. */
static ps_status make_database(registry *r, registry_place place, ps_error *error)
{
    char path[PATH_BYTES];
    int64_t version = 0;
    ps_status status = path_make(path, error, "%s/registry.lock", r->folder);
    int lock = status == PS_OK ? open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666) : -1;
    if (status == PS_OK && (lock < 0 || flock(lock, LOCK_EX) != 0))
        status = path_fail(error, "lock", path);
    if (status == PS_OK)
        status = check_version(r, &version, error);
    if (status == PS_OK && version == 0)
        status = database_set_journal(r->db, place == PLACE_OF_ONE_HOST ? "wal" : "delete", error);
    if (status == PS_OK && version == 0)
        status = make_tables(r, error);
    if (lock >= 0)
        close(lock);
    return status;
}

static ps_status open_database(registry *r, registry_mode mode, registry_place place,
                               const database_listener *listener, ps_error *error)
{
    char path[PATH_BYTES];
    int64_t version = 0;
    ps_status status = path_make(path, error, "%s/registry.db", r->folder);
    if (status == PS_OK && mode == REGISTRY_MUST_EXIST && access(path, F_OK) != 0 && errno == ENOENT)
        status = ps_fail(error, PS_EINVAL,
                         "there is no registry in %s; registering a model or a run makes one", r->folder);
    if (status == PS_OK && place == PLACE_OF_MANY_HOSTS && writes_ahead(path))
        status = ps_fail(
            error, PS_ECONFIG,
            "%s is for processes of the host that sees it as a local disk: its database writes ahead. "
            "A registry for several hosts is made from one that sees it as a network file system",
            r->folder);
    if (status == PS_OK)
        status = database_open(path, mode == REGISTRY_MAY_BE_NEW ? DATABASE_CREATE : DATABASE_OPEN, listener,
                               &r->db, error);
    if (status == PS_OK)
        status = check_version(r, &version, error);
    if (status == PS_OK && version == 0)
        status = make_database(r, place, error);
    return status;
}

/* ---- opening ---- */

static ps_status make_folders(const registry *r, ps_error *error)
{
    char path[PATH_BYTES];
    ps_status status = PS_OK;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0] && status == PS_OK; i++) {
        status = path_make(path, error, "%s/%s", r->folder, folders[i]);
        if (status == PS_OK)
            status = file_make_folder(path, error);
    }
    return status;
}

ps_status registry_open(const char *folder, registry_mode mode, const database_listener *listener,
                        registry *r, ps_error *error)
{
    registry_place place = PLACE_OF_ONE_HOST;
    struct stat about;
    *r = (registry){0};
    ps_status status = path_make(r->folder, error, "%s", folder);
    if (status == PS_OK && mode == REGISTRY_MAY_BE_NEW)
        status = file_make_folder(folder, error);
    if (status == PS_OK && stat(folder, &about) != 0)
        status = ps_fail(error, errno == ENOENT ? PS_EINVAL : PS_EIO, "there is no registry in %s: %s",
                         folder, strerror(errno));
    if (status == PS_OK && !S_ISDIR(about.st_mode))
        status = ps_fail(error, PS_EINVAL, "there is no registry in %s: it is no folder", folder);
    if (status == PS_OK)
        status = registry_place_find(folder, &place, error);
    /* Before the database, by which others know that there is a registry. */
    if (status == PS_OK && mode == REGISTRY_MAY_BE_NEW)
        status = make_folders(r, error);
    if (status == PS_OK)
        status = open_database(r, mode, place, listener, error);
    /* Who only reads can do without it. */
    if (status == PS_OK)
        registry_works_clear(r, NULL);
    if (status != PS_OK)
        registry_close(r);
    return status;
}

void registry_close(registry *r)
{
    database_close(&r->db);
}

/* ---- files ---- */

static ps_status place_of(const registry *r, const char *sha256, char shelf[PATH_BYTES],
                          char path[PATH_BYTES], ps_error *error)
{
    if (!content_is_sha256(sha256))
        return ps_fail(error, PS_EFORMAT, "%s/registry.db is damaged: '%.70s' is no SHA-256", r->folder,
                       sha256);
    ps_status status = path_make(shelf, error, "%s/files/%.2s", r->folder, sha256);
    return status == PS_OK ? path_make(path, error, "%s/%s", shelf, sha256) : status;
}

ps_status registry_put(registry *r, const char *from, const char *sha256, ps_error *error)
{
    char shelf[PATH_BYTES], path[PATH_BYTES];
    ps_status status = place_of(r, sha256, shelf, path, error);
    if (status == PS_OK)
        status = file_make_folder(shelf, error);
    if (status == PS_OK && (chmod(from, 0444) != 0 || rename(from, path) != 0))
        status = path_fail(error, "write", path);
    return status == PS_OK ? file_sync_folder(shelf, error) : status;
}

ps_status registry_drop(registry *r, const char *sha256, ps_error *error)
{
    char shelf[PATH_BYTES], path[PATH_BYTES];
    int64_t users = 0;
    ps_status status = place_of(r, sha256, shelf, path, error);
    if (status == PS_OK)
        status = database_number(r->db, DATABASE_VALUES(DATABASE_TEXT(sha256)), &users, error,
                                 "SELECT count(*) FROM model_files WHERE sha256 = ?");
    if (status != PS_OK || users > 0)
        return status;
    return unlink(path) == 0 || errno == ENOENT ? PS_OK : path_fail(error, "remove", path);
}

ps_status registry_get(const registry *r, const char *sha256, const char *to, ps_error *error)
{
    char shelf[PATH_BYTES], path[PATH_BYTES];
    content found;
    ps_status status = place_of(r, sha256, shelf, path, error);
    if (status == PS_OK)
        status = content_copy(path, to, &found, error);
    if (status == PS_ENOENT || status == PS_EINVAL)
        return ps_fail(error, PS_EFORMAT, "%s is not there any more", path);
    if (status == PS_OK && strcmp(found.sha256, sha256) != 0) {
        if (to)
            unlink(to);
        status = ps_fail(error, PS_EFORMAT, "%s is damaged: its %llu bytes have the SHA-256 %s", path,
                         (unsigned long long)found.bytes, found.sha256);
    }
    return status;
}
