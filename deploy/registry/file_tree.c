/* file_tree.c - see file_tree.h. */
#include "deploy/registry/file_tree.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/plain_text.h"
#include "common/utf8.h"
#include "deploy/growing.h"

static int compare_files(const void *left, const void *right)
{
    return strcmp(((const file_tree_file *)left)->path, ((const file_tree_file *)right)->path);
}

bool file_tree_is_printable(const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        size_t length = utf8_length(text, left);
        if (length == 0 || is_control_character(*text))
            return false;
        text += length;
        left -= length;
    }
    return true;
}

bool file_tree_path_is_safe(const char *path)
{
    if (strlen(path) >= FILE_TREE_PATH_MAX || !file_tree_is_printable(path))
        return false;
    for (const char *part = path;; part++) {
        size_t length = strcspn(part, "/");
        if (length == 0 || (length == 1 && part[0] == '.') ||
            (length == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        part += length;
        if (*part == '\0')
            return true;
    }
}

/* ---- listing ---- */

static ps_status add(file_tree *tree, const char *path, const char *full, uint64_t bytes, ps_error *error)
{
    if (!file_tree_path_is_safe(path))
        return ps_fail(error, PS_EINVAL,
                       "the name %s is not UTF-8, holds control characters or exceeds %d bytes", full,
                       FILE_TREE_PATH_MAX - 1);
    if (tree->count == FILE_TREE_FILES_MAX)
        return ps_fail(error, PS_ELIMIT, "more than %d files, as of %s", FILE_TREE_FILES_MAX, full);
    file_tree_file *grown = growing_room(tree->files, tree->count, sizeof *tree->files);
    if (!grown)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    tree->files = grown;
    char *copy = strdup(path);
    if (!copy)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    tree->files[tree->count++] = (file_tree_file){copy, bytes};
    return PS_OK;
}

static const char *kind_of(const FTSENT *entry)
{
    if (entry->fts_info == FTS_SL || entry->fts_info == FTS_SLNONE)
        return "a symbolic link";
    return entry->fts_info == FTS_DC ? "a folder that holds itself" : "no regular file";
}

static ps_status take(file_tree *tree, const FTSENT *entry, size_t root_length, ps_error *error)
{
    const char *full = entry->fts_path;
    switch (entry->fts_info) {
    case FTS_D:
    case FTS_DP:
        return PS_OK;
    case FTS_F:
        return add(tree, entry->fts_level == 0 ? entry->fts_name : full + root_length + 1, full,
                   (uint64_t)entry->fts_statp->st_size, error);
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return ps_fail(error, entry->fts_errno == ENOENT ? PS_ENOENT : PS_EIO, "cannot read %s: %s", full,
                       strerror(entry->fts_errno));
    default:
        return ps_fail(error, PS_EINVAL, "%s is %s", full, kind_of(entry));
    }
}

/* fts takes "a/" for a folder named "". */
static char *without_slashes(const char *root)
{
    size_t length = strlen(root);
    while (length > 1 && root[length - 1] == '/')
        length--;
    return strndup(root, length);
}

ps_status file_tree_read(const char *root, file_tree *tree, ps_error *error)
{
    *tree = (file_tree){0};
    char *clean = without_slashes(root);
    char *roots[] = {clean, NULL};
    FTS *walk = clean ? fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL) : NULL;
    ps_status status = walk ? PS_OK : ps_fail(error, PS_EIO, "cannot read %s: %s", root, strerror(errno));
    FTSENT *entry;
    while (status == PS_OK && (errno = 0, entry = fts_read(walk)))
        status = take(tree, entry, strlen(clean), error);
    if (status == PS_OK && errno != 0)
        status = ps_fail(error, PS_EIO, "cannot read %s: %s", root, strerror(errno));
    if (walk)
        fts_close(walk);
    free(clean);
    if (status != PS_OK)
        file_tree_free(tree);
    else if (tree->count > 0)
        qsort(tree->files, tree->count, sizeof *tree->files, compare_files);
    return status;
}

void file_tree_free(file_tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        free(tree->files[i].path);
    free(tree->files);
    *tree = (file_tree){0};
}

/* ---- removing ---- */

static ps_status remove_entry(const FTSENT *entry, ps_error *error)
{
    int cause = 0;
    if (entry->fts_info == FTS_D)
        return PS_OK;
    if (entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR)
        cause = entry->fts_errno;
    else if (remove(entry->fts_path) != 0)
        cause = errno;
    /* Others may be removing the same. */
    if (cause == 0 || cause == ENOENT)
        return PS_OK;
    return ps_fail(error, PS_EIO, "cannot remove %s: %s", entry->fts_path, strerror(cause));
}

ps_status file_tree_remove(const char *root, ps_error *error)
{
    char *roots[] = {(char *)(uintptr_t)root, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    ps_status status = walk ? PS_OK : ps_fail(error, PS_EIO, "cannot read %s: %s", root, strerror(errno));
    FTSENT *entry;
    while (status == PS_OK && (entry = fts_read(walk)))
        status = remove_entry(entry, error);
    if (walk)
        fts_close(walk);
    return status;
}
