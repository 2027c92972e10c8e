/* registry_works.c - works in progress, their locks, and clearing away after those that were killed: see
 * registry.h and registry_works.h. */
#include "deploy/registry/registry_works.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "deploy/registry/file_tree.h"

enum {
    CLEARED_MAX = 64, /* works at a time; each takes a descriptor */
    ATTEMPTS_MAX = 100,
};

/* ---- locks ---- */

/* Is what is open there still what has that name? By name and not by count of links: NFS keeps a file that is
 * open under another name. */
static bool is_still(int fd, const char *path)
{
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && stat(path, &named) == 0 && opened.st_ino == named.st_ino &&
           opened.st_dev == named.st_dev;
}

ps_status registry_lock(const char *path, int *fd, ps_error *error)
{
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (*fd < 0)
            return errno == EEXIST ? ps_fail(error, PS_ESTATE, "%s is there already", path)
                                   : path_fail(error, "create", path);
        /* Between the two, others may have taken it for one that a killed process has left. */
        if (flock(*fd, LOCK_EX) == 0 && is_still(*fd, path))
            return PS_OK;
        int cause = errno;
        close(*fd);
        errno = cause;
    }
    *fd = -1;
    return path_fail(error, "lock", path);
}

ps_status registry_inherit(const char *path, int *fd, ps_error *error)
{
    *fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0)
        return errno == ENOENT ? ps_fail(error, PS_ENOENT, "there is no %s", path)
                               : path_fail(error, "open", path);
    ps_status status = PS_OK;
    if (flock(*fd, LOCK_EX | LOCK_NB) != 0)
        status = errno == EWOULDBLOCK ? ps_fail(error, PS_ESTATE, "%s is locked", path)
                                      : path_fail(error, "lock", path);
    else if (!is_still(*fd, path))
        status = ps_fail(error, PS_ENOENT, "there is no %s", path);
    if (status != PS_OK) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

/* ---- works ---- */

ps_status registry_work_begin(const registry *r, registry_work *w, ps_error *error)
{
    uint32_t number = 0;
    *w = (registry_work){.lock = -1};
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return ps_fail(error, PS_EIO, "no random number: %s", strerror(errno));
    ps_status status = path_make(w->folder, error, "%s/incoming/%ld-%08x", r->folder, (long)getpid(), number);
    if (status == PS_OK)
        status = path_make(w->lock_path, error, "%s.lock", w->folder);
    if (status == PS_OK)
        status = registry_lock(w->lock_path, &w->lock, error);
    if (status == PS_OK && mkdir(w->folder, 0777) != 0)
        status = path_fail(error, "make the folder", w->folder);
    if (status != PS_OK)
        registry_work_end(w);
    return status;
}

/* The lock goes last: a work without one does not exist. */
static ps_status remove_work(const char *folder, const char *lock_path, ps_error *error)
{
    ps_status status = file_tree_remove(folder, error);
    if (status == PS_OK && unlink(lock_path) != 0 && errno != ENOENT)
        status = path_fail(error, "remove", lock_path);
    return status;
}

void registry_work_end(registry_work *w)
{
    if (w->lock < 0)
        return;
    /* What cannot be removed is left without a lock, for the next one. */
    remove_work(w->folder, w->lock_path, NULL);
    close(w->lock);
    w->lock = -1;
}

void registry_work_abandon(registry *r, registry_work *w)
{
    if (w->lock < 0)
        return;
    close(w->lock);
    w->lock = -1;
    registry_works_clear(r, NULL);
}

/* ---- files that nothing names ---- */

static ps_status look_at_shelf(registry *r, const char *shelf,
                               ps_status (*found)(void *context, const char *path, ps_error *error),
                               void *context, ps_error *error)
{
    char path[PATH_BYTES];
    ps_status status = PS_OK;
    DIR *folder = opendir(shelf);
    if (!folder)
        return errno == ENOENT    ? PS_OK
               : errno == ENOTDIR ? found(context, shelf, error)
                                  : path_fail(error, "read", shelf);
    for (struct dirent *entry; status == PS_OK && (entry = readdir(folder));) {
        int64_t users = 0;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        status = database_number(r->db, DATABASE_VALUES(DATABASE_TEXT(entry->d_name)), &users, error,
                                 "SELECT count(*) FROM model_files WHERE sha256 = ?");
        if (status == PS_OK)
            status = path_make(path, error, "%s/%s", shelf, entry->d_name);
        if (status == PS_OK && users == 0)
            status = found(context, path, error);
    }
    closedir(folder);
    return status;
}

ps_status registry_each_stray(registry *r,
                              ps_status (*found)(void *context, const char *path, ps_error *error),
                              void *context, ps_error *error)
{
    char root[PATH_BYTES], shelf[PATH_BYTES];
    ps_status status = path_make(root, error, "%s/files", r->folder);
    DIR *folder = status == PS_OK ? opendir(root) : NULL;
    if (!folder)
        return status != PS_OK || errno == ENOENT ? status : path_fail(error, "read", root);
    for (struct dirent *entry; status == PS_OK && (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        status = path_make(shelf, error, "%s/%s", root, entry->d_name);
        if (status == PS_OK)
            status = look_at_shelf(r, shelf, found, context, error);
    }
    closedir(folder);
    return status;
}

/* What is not named as we name files is not ours to remove. */
static ps_status remove_stray(void *context, const char *path, ps_error *error)
{
    (void)context;
    if (!content_is_sha256(strrchr(path, '/') + 1))
        return PS_OK;
    return unlink(path) == 0 || errno == ENOENT ? PS_OK : path_fail(error, "remove", path);
}

static ps_status remove_strays(registry *r, ps_error *error)
{
    ps_status status = database_begin(r->db, error);
    if (status == PS_OK)
        status = registry_each_stray(r, remove_stray, NULL, error);
    database_rollback(r->db);
    return status;
}

/* ---- clearing away ---- */

typedef struct {
    char name[NAME_MAX + 1];
    int lock;
} left_work;

/* Works whose locks could be taken over, and were. */
static size_t find_left(const registry *r, left_work left[CLEARED_MAX])
{
    char path[PATH_BYTES];
    size_t count = 0;
    if (path_make(path, NULL, "%s/incoming", r->folder) != PS_OK)
        return 0;
    DIR *folder = opendir(path);
    if (!folder)
        return 0;
    for (struct dirent *entry; count < CLEARED_MAX && (entry = readdir(folder));) {
        const size_t length = strlen(entry->d_name), ending = strlen(".lock");
        if (length <= ending || strcmp(entry->d_name + length - ending, ".lock") != 0 ||
            path_make(path, NULL, "%s/incoming/%s", r->folder, entry->d_name) != PS_OK ||
            registry_inherit(path, &left[count].lock, NULL) != PS_OK)
            continue;
        snprintf(left[count].name, sizeof left[count].name, "%.*s", (int)(length - ending), entry->d_name);
        count++;
    }
    closedir(folder);
    return count;
}

ps_status registry_works_clear(registry *r, ps_error *error)
{
    left_work left[CLEARED_MAX];
    const size_t count = find_left(r, left);
    if (count == 0)
        return PS_OK;
    ps_status status = remove_strays(r, error);
    for (size_t i = 0; i < count; i++) {
        char folder[PATH_BYTES], lock_path[PATH_BYTES];
        if (status == PS_OK)
            status = path_make(folder, error, "%s/incoming/%s", r->folder, left[i].name);
        if (status == PS_OK)
            status = path_make(lock_path, error, "%s.lock", folder);
        if (status == PS_OK)
            status = remove_work(folder, lock_path, error);
        close(left[i].lock);
    }
    return status;
}
