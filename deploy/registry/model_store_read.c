/* model_store_read.c - listing, downloading and verifying models. See model_store.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "deploy/growing.h"
#include "deploy/registry/file_tree.h"
#include "deploy/registry/model_store.h"

/* ---- lists ---- */

/* NULL stays NULL, which is all right; a copy that fails is not. */
static char *copy(const char *text, bool *failed)
{
    char *copied = text ? strdup(text) : NULL;
    *failed = *failed || (text && !copied);
    return copied;
}

ps_status model_store_resolve(registry *r, const char *name, int64_t *version, ps_error *error)
{
    int64_t found = 0;
    ps_status status = registry_check_name("model", name, error);
    if (status == PS_OK)
        status = database_number(
            r->db, DATABASE_VALUES(DATABASE_TEXT(name), DATABASE_INTEGER(*version)), &found, error,
            "SELECT max(version) FROM models WHERE name = ?1 AND (?2 = 0 OR version = ?2)");
    if (status == PS_OK && found == 0)
        return *version == 0 ? ps_fail(error, PS_EINVAL, "there is no model %s", name)
                             : ps_fail(error, PS_EINVAL, "there is no version %lld of the model %s",
                                       (long long)*version, name);
    *version = found;
    return status;
}

static ps_status take_version(void *context, const database_row *row, ps_error *error)
{
    model_list *list = context;
    bool failed = false;
    model_version *grown = growing_room(list->versions, list->count, sizeof *grown);
    if (!grown)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    list->versions = grown;
    list->versions[list->count++] = (model_version){
        .name = copy(database_row_text(row, 0), &failed),
        .version = database_row_integer(row, 1),
        .created_ms = database_row_integer(row, 2),
        .source = copy(database_row_text(row, 3), &failed),
        .run = copy(database_row_text(row, 4), &failed),
        .lineage = copy(database_row_text(row, 5), &failed),
        .files = database_row_integer(row, 6),
        .bytes = database_row_integer(row, 7),
        .tags = copy(database_row_text(row, 8), &failed),
    };
    return failed ? ps_fail(error, PS_ENOMEM, "out of memory") : PS_OK;
}

ps_status model_store_list(registry *r, const char *name, int64_t version, model_list *list, ps_error *error)
{
    *list = (model_list){0};
    ps_status status = database_query(
        r->db, DATABASE_VALUES(DATABASE_TEXT(name), DATABASE_INTEGER(version)), take_version, list, error,
        "SELECT name, version, created_ms, source, run, lineage,"
        " (SELECT count(*) FROM model_files f WHERE f.name = m.name AND f.version = m.version),"
        " (SELECT coalesce(sum(bytes), 0) FROM model_files f WHERE f.name = m.name AND f.version = "
        "m.version),"
        " (SELECT json_group_object(key, value) FROM"
        "   (SELECT key, value FROM model_tags t WHERE t.name = m.name AND t.version = m.version ORDER BY "
        "key))"
        " FROM models m WHERE (?1 IS NULL OR name = ?1) AND (?2 = 0 OR version = ?2) ORDER BY name, version");
    if (status != PS_OK)
        model_list_free(list);
    return status;
}

void model_list_free(model_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        model_version *v = &list->versions[i];
        free(v->name);
        free(v->source);
        free(v->run);
        free(v->lineage);
        free(v->tags);
    }
    free(list->versions);
    *list = (model_list){0};
}

static ps_status take_file(void *context, const database_row *row, ps_error *error)
{
    model_files *list = context;
    bool failed = false;
    model_file *grown = growing_room(list->files, list->count, sizeof *grown);
    if (!grown)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    list->files = grown;
    model_file *file = &list->files[list->count++];
    *file = (model_file){.name = copy(database_row_text(row, 0), &failed),
                         .version = database_row_integer(row, 1),
                         .path = copy(database_row_text(row, 2), &failed),
                         .bytes = database_row_integer(row, 4)};
    snprintf(file->sha256, sizeof file->sha256, "%s", database_row_text(row, 3));
    return failed ? ps_fail(error, PS_ENOMEM, "out of memory") : PS_OK;
}

ps_status model_store_files(registry *r, const char *name, int64_t version, model_files *list,
                            ps_error *error)
{
    *list = (model_files){0};
    ps_status status = database_query(
        r->db, DATABASE_VALUES(DATABASE_TEXT(name), DATABASE_INTEGER(version)), take_file, list, error,
        "SELECT name, version, path, sha256, bytes FROM model_files"
        " WHERE (?1 IS NULL OR name = ?1) AND (?2 = 0 OR version = ?2) ORDER BY name, version, path");
    if (status != PS_OK)
        model_files_free(list);
    return status;
}

void model_files_free(model_files *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->files[i].name);
        free(list->files[i].path);
    }
    free(list->files);
    *list = (model_files){0};
}

/* ---- downloading ---- */

static ps_status write_file(const registry *r, const model_file *file, const char *folder, ps_error *error)
{
    char path[PATH_BYTES];
    /* The database may have been changed by others than us. */
    if (!file_tree_path_is_safe(file->path))
        return ps_fail(error, PS_EFORMAT, "%s/registry.db is damaged: %.200s is no path below a folder",
                       r->folder, file->path);
    ps_status status = path_make(path, error, "%s/%s", folder, file->path);
    if (status != PS_OK)
        return status;
    char *name = strrchr(path, '/');
    *name = '\0';
    status = file_make_folder(path, error);
    *name = '/';
    if (status == PS_OK)
        status = registry_get(r, file->sha256, path, error);
    if (status != PS_OK)
        return status;
    *name = '\0';
    return file_sync_folder(path, error);
}

/* Where the file system knows no rename that spares what is there, that is looked for just before. */
static ps_status move_to(const char *from, const char *to, ps_error *error)
{
    struct stat about;
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return PS_OK;
    if (errno == EINVAL)
        errno = lstat(to, &about) == 0 ? EEXIST : rename(from, to) == 0 ? 0 : errno;
    if (errno == 0)
        return PS_OK;
    return errno == EEXIST ? ps_fail(error, PS_EINVAL, "%s is there already", to)
                           : path_fail(error, "write", to);
}

static ps_status sync_parent(const char *path, ps_error *error)
{
    char parent[PATH_BYTES];
    ps_status status = path_make(parent, error, "%s/..", path);
    return status == PS_OK ? file_sync_folder(parent, error) : status;
}

ps_status model_store_download(registry *r, const char *name, int64_t version, const char *target,
                               ps_error *error)
{
    char work[PATH_BYTES];
    struct stat about;
    model_files files = {0};
    if (lstat(target, &about) == 0)
        return ps_fail(error, PS_EINVAL, "%s is there already", target);
    ps_status status = path_make(work, error, "%s" FILE_TEMPORARY_MARK "%ld", target, (long)getpid());
    if (status == PS_OK)
        status = model_store_files(r, name, version, &files, error);
    /* One with the number of this process is a dead one's. */
    if (status == PS_OK)
        status = file_tree_remove(work, error);
    if (status == PS_OK && mkdir(work, 0777) != 0)
        status = path_fail(error, "make the folder", work);
    for (size_t i = 0; i < files.count && status == PS_OK; i++)
        status = write_file(r, &files.files[i], work, error);
    if (status == PS_OK)
        status = file_sync_folder(work, error);
    if (status == PS_OK)
        status = move_to(work, target, error);
    if (status == PS_OK)
        status = sync_parent(target, error);
    else
        file_tree_remove(work, NULL);
    model_files_free(&files);
    return status;
}

/* ---- verifying ---- */

/* A file that is removed while it is looked at is not damaged. */
static bool is_kept(registry *r, const model_file *file)
{
    int64_t found = 1;
    database_number(r->db,
                    DATABASE_VALUES(DATABASE_TEXT(file->name), DATABASE_INTEGER(file->version),
                                    DATABASE_TEXT(file->path)),
                    &found, NULL,
                    "SELECT count(*) FROM model_files WHERE name = ? AND version = ? AND path = ?");
    return found > 0;
}

static int compare_contents(const void *left, const void *right)
{
    return strcmp(((const model_file *)left)->sha256, ((const model_file *)right)->sha256);
}

ps_status model_store_verify(registry *r, const char *name, int64_t version, model_verdict *found,
                             void *context, ps_error *error)
{
    model_files files = {0};
    ps_status status = model_store_files(r, name, version, &files, error);
    /* What several versions have in common is read once. */
    if (files.count > 0)
        qsort(files.files, files.count, sizeof *files.files, compare_contents);
    ps_error verdict = {.status = PS_OK};
    for (size_t i = 0; i < files.count; i++) {
        if (i == 0 || compare_contents(&files.files[i - 1], &files.files[i]) != 0)
            verdict.status = registry_get(r, files.files[i].sha256, NULL, &verdict);
        if (verdict.status == PS_OK || is_kept(r, &files.files[i]))
            found(context, &files.files[i], &verdict);
    }
    model_files_free(&files);
    return status;
}
