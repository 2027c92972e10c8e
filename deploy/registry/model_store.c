/* model_store.c - registering and removing models; reading them is model_store_read.c's. See model_store.h.
 */
#include "deploy/registry/model_store.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "deploy/moment.h"
#include "deploy/registry/file_tree.h"

/* ---- what may be registered ---- */

static ps_status check_tag(const model_tag *tag, ps_error *error)
{
    ps_status status = registry_check_name("tag", tag->key, error);
    if (status != PS_OK)
        return status;
    if (strlen(tag->value) >= MODEL_TAG_VALUE_MAX)
        return ps_fail(error, PS_EINVAL, "the value of the tag %s exceeds %d bytes", tag->key,
                       MODEL_TAG_VALUE_MAX - 1);
    if (!file_tree_is_printable(tag->value))
        return ps_fail(error, PS_EINVAL, "the value of the tag %s is not UTF-8, or holds control characters",
                       tag->key);
    return PS_OK;
}

static ps_status check(const model_registration *m, ps_error *error)
{
    ps_status status = registry_check_name("model", m->name, error);
    if (status == PS_OK && m->tag_count > MODEL_TAGS_MAX)
        status = ps_fail(error, PS_EINVAL, "more than %d tags", MODEL_TAGS_MAX);
    for (size_t i = 0; i < m->tag_count && status == PS_OK; i++)
        status = check_tag(&m->tags[i], error);
    return status;
}

/* ---- registering ---- */

/* The files of a version, as they lie in the work's folder: by their number. */
typedef struct {
    file_tree tree;
    content *contents; /* one for each file of the tree */
} taken_in;

/* A tree of one file is that file itself. */
static ps_status source_of(const char *root, const char *name, bool is_folder, char path[PATH_BYTES],
                           ps_error *error)
{
    return is_folder ? path_make(path, error, "%s/%s", root, name) : path_make(path, error, "%s", root);
}

static ps_status take_in(const char *given, const registry_work *w, taken_in *t, ps_error *error)
{
    char from[PATH_BYTES], to[PATH_BYTES], root[PATH_MAX];
    struct stat about;
    ps_status status = file_tree_read(given, &t->tree, error);
    if (status == PS_OK && t->tree.count == 0)
        status = ps_fail(error, PS_EINVAL, "%s holds no file", given);
    /* What is given may be a link; what is below may not, and its path is not resolved again for each file.
     */
    if (status == PS_OK && (!realpath(given, root) || stat(root, &about) != 0))
        status = path_fail(error, "read", given);
    if (status == PS_OK && !(t->contents = calloc(t->tree.count, sizeof *t->contents)))
        status = ps_fail(error, PS_ENOMEM, "out of memory");
    for (size_t i = 0; i < t->tree.count && status == PS_OK; i++) {
        status = source_of(root, t->tree.files[i].path, S_ISDIR(about.st_mode), from, error);
        if (status == PS_OK)
            status = path_make(to, error, "%s/%zu", w->folder, i);
        if (status == PS_OK)
            status = content_copy(from, to, &t->contents[i], error);
    }
    return status;
}

static ps_status put_file(registry *r, const model_registration *m, int64_t version, const registry_work *w,
                          const taken_in *t, size_t i, ps_error *error)
{
    char from[PATH_BYTES];
    ps_status status = path_make(from, error, "%s/%zu", w->folder, i);
    if (status == PS_OK)
        status = registry_put(r, from, t->contents[i].sha256, error);
    if (status == PS_OK)
        status = database_run(r->db,
                              DATABASE_VALUES(DATABASE_TEXT(m->name), DATABASE_INTEGER(version),
                                              DATABASE_TEXT(t->tree.files[i].path),
                                              DATABASE_TEXT(t->contents[i].sha256),
                                              DATABASE_INTEGER((int64_t)t->contents[i].bytes)),
                              error, "INSERT INTO model_files VALUES (?, ?, ?, ?, ?)");
    return status;
}

static ps_status next_version(registry *r, const char *name, int64_t *version, ps_error *error)
{
    ps_status status = database_run(r->db, DATABASE_VALUES(DATABASE_TEXT(name)), error,
                                    "INSERT INTO model_versions VALUES (?, 1)"
                                    " ON CONFLICT DO UPDATE SET highest = highest + 1");
    if (status == PS_OK)
        status = database_number(r->db, DATABASE_VALUES(DATABASE_TEXT(name)), version, error,
                                 "SELECT highest FROM model_versions WHERE name = ?");
    return status;
}

static ps_status check_run(registry *r, const char *run, ps_error *error)
{
    int64_t there = 0;
    ps_status status = database_number(r->db, DATABASE_VALUES(DATABASE_TEXT(run)), &there, error,
                                       "SELECT count(*) FROM runs WHERE id = ?");
    return status == PS_OK && there == 0 ? ps_fail(error, PS_EINVAL, "there is no run %s", run) : status;
}

/* In a transaction. */
static ps_status insert(registry *r, const model_registration *m, const registry_work *w, const taken_in *t,
                        int64_t *version, ps_error *error)
{
    char source[PATH_MAX];
    ps_status status = m->run ? check_run(r, m->run, error) : PS_OK;
    if (status == PS_OK)
        status = next_version(r, m->name, version, error);
    if (status == PS_OK)
        status = database_run(
            r->db,
            DATABASE_VALUES(
                DATABASE_TEXT(m->name), DATABASE_INTEGER(*version), DATABASE_INTEGER(moment_now_ms()),
                DATABASE_TEXT(realpath(m->path, source) ? source : m->path), DATABASE_TEXT(m->run)),
            error, "INSERT INTO models VALUES (?, ?, ?, ?, ?5, (SELECT record FROM runs WHERE id = ?5))");
    for (size_t i = 0; i < m->tag_count && status == PS_OK; i++)
        status = database_run(r->db,
                              DATABASE_VALUES(DATABASE_TEXT(m->name), DATABASE_INTEGER(*version),
                                              DATABASE_TEXT(m->tags[i].key), DATABASE_TEXT(m->tags[i].value)),
                              error, "INSERT OR REPLACE INTO model_tags VALUES (?, ?, ?, ?)");
    for (size_t i = 0; i < t->tree.count && status == PS_OK; i++)
        status = put_file(r, m, *version, w, t, i, error);
    return status;
}

ps_status model_store_register(registry *r, const model_registration *m, int64_t *version, ps_error *error)
{
    registry_work w = {.lock = -1};
    taken_in t = {0};
    ps_status status = check(m, error);
    if (status == PS_OK)
        status = registry_work_begin(r, &w, error);
    if (status == PS_OK)
        status = take_in(m->path, &w, &t, error);
    if (status == PS_OK)
        status = database_begin(r->db, error);
    if (status == PS_OK)
        status = insert(r, m, &w, &t, version, error);
    if (status == PS_OK)
        status = database_commit(r->db, error);
    if (status == PS_OK)
        registry_work_end(&w);
    database_rollback(r->db);
    registry_work_abandon(r, &w);
    file_tree_free(&t.tree);
    free(t.contents);
    return status;
}

/* ---- removing ---- */

/* What has been removed is so, whatever becomes of its files. */
static ps_status drop_files(registry *r, const char *name, int64_t version, const model_files *files,
                            ps_error *error)
{
    ps_error cause;
    char number[24] = "";
    ps_status status = database_begin(r->db, &cause);
    for (size_t i = 0; i < files->count && status == PS_OK; i++)
        status = registry_drop(r, files->files[i].sha256, &cause);
    database_rollback(r->db);
    if (status == PS_OK)
        return PS_OK;
    if (version > 0)
        snprintf(number, sizeof number, ":%lld", (long long)version);
    return ps_fail(error, status,
                   "%s%s is removed, but not all of its files, which a later command will try again: %s",
                   name, number, cause.text);
}

/* In a transaction; `files` are those that may be of no use to anybody then. */
static ps_status delete (registry *r, const char *name, int64_t version, model_files *files, ps_error *error)
{
    ps_status status = model_store_files(r, name, version, files, error);
    if (status == PS_OK)
        status = database_run(r->db, DATABASE_VALUES(DATABASE_TEXT(name), DATABASE_INTEGER(version)), error,
                              "DELETE FROM models WHERE name = ?1 AND (?2 = 0 OR version = ?2)");
    return status;
}

ps_status model_store_remove(registry *r, const char *name, int64_t version, ps_error *error)
{
    registry_work w = {.lock = -1};
    model_files files = {0};
    int64_t found = version;
    ps_status status = registry_work_begin(r, &w, error);
    if (status == PS_OK)
        status = database_begin(r->db, error);
    if (status == PS_OK)
        status = model_store_resolve(r, name, &found, error);
    if (status == PS_OK)
        status = delete (r, name, version, &files, error);
    if (status == PS_OK)
        status = database_commit(r->db, error);
    database_rollback(r->db);
    if (status == PS_OK)
        status = drop_files(r, name, version, &files, error);
    if (status == PS_OK)
        registry_work_end(&w);
    registry_work_abandon(r, &w);
    model_files_free(&files);
    return status;
}
