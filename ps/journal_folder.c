/* journal_folder.c - see journal_folder.h. */
#include "ps/journal_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"

#define SEGMENT_SUFFIX ".log"
enum { LOCK_ATTEMPTS = 100 }; /* while others that let go remove the file */

/* ---- names ---- */

static uint64_t number_of_name(const char *name)
{
    return path_number(name, "", SEGMENT_SUFFIX);
}

static bool is_shard_name(const char *name, uint32_t *server, uint32_t *servers)
{
    const char *rest = path_of_shard(name, server, servers);
    return rest && *rest == '\0';
}

ps_status journal_folder_path(const journal_folder *f, uint64_t number, char path[PATH_BYTES],
                              ps_error *error)
{
    return path_make(path, error, "%s/%0*" PRIu64 SEGMENT_SUFFIX, f->path, PATH_DIGITS, number);
}

static bool holds_segments(const char *path)
{
    DIR *dir = opendir(path);
    bool found = false;
    for (const struct dirent *entry; dir && !found && (entry = readdir(dir));)
        found = number_of_name(entry->d_name) > 0;
    if (dir)
        closedir(dir);
    return found;
}

/* The first folder of a shard with segments in it that `wanted` likes. */
typedef bool shard_test(uint32_t server, uint32_t servers, const void *context);

static bool find_shard(const char *folder, shard_test *wanted, const void *context, char path[PATH_BYTES])
{
    DIR *dir = opendir(folder);
    bool found = false;
    for (const struct dirent *entry; dir && !found && (entry = readdir(dir));) {
        uint32_t server, servers;
        found = is_shard_name(entry->d_name, &server, &servers) && wanted(server, servers, context) &&
                path_make(path, NULL, "%s/%s", folder, entry->d_name) == PS_OK && holds_segments(path);
    }
    if (dir)
        closedir(dir);
    return found;
}

static bool has_index(uint32_t server, uint32_t servers, const void *context)
{
    (void)servers;
    return server == *(const uint32_t *)context;
}

static bool has_other_number(uint32_t server, uint32_t servers, const void *context)
{
    (void)server;
    return servers != *(const uint32_t *)context;
}

bool journal_folder_finds(const char *folder, uint32_t server, char path[PATH_BYTES])
{
    return find_shard(folder, has_index, &server, path);
}

/* ---- locking ---- */

static ps_status lock_path(const char *folder, uint32_t server, char path[PATH_BYTES], ps_error *error)
{
    return path_make(path, error, "%s/ps-%u.lock", folder, server);
}

/* Of a file that has been removed meanwhile a lock is of no use: others lock the one that stands there now.
 */
static bool is_there(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 && info.st_nlink > 0;
}

ps_status journal_folder_lock(const char *folder, uint32_t server, int *lock, ps_error *error)
{
    char path[PATH_BYTES];
    ps_status status = lock_path(folder, server, path, error);
    if (status == PS_OK)
        status = file_make_folder(folder, error);
    for (int attempt = 0; status == PS_OK && attempt < LOCK_ATTEMPTS; attempt++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0)
            return path_fail(error, "open", path);
        const bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (locked && is_there(fd)) {
            *lock = fd;
            return PS_OK;
        }
        if (!locked)
            status = errno == EWOULDBLOCK
                         ? ps_fail(error, PS_EIO, "%s is held by another process, which is ps %u too", path,
                                   server)
                         : path_fail(error, "lock", path);
        close(fd);
    }
    return status == PS_OK ? ps_fail(error, PS_EIO, "%s comes and goes", path) : status;
}

void journal_folder_unlock(const char *folder, uint32_t server, int lock)
{
    char path[PATH_BYTES];
    if (lock_path(folder, server, path, NULL) == PS_OK)
        unlink(path);
    close(lock);
}

/* ---- opening ---- */

static ps_status make_room(journal_folder *f, ps_error *error)
{
    if (f->count == JOURNAL_BASES_MAX)
        return ps_fail(error, PS_ELIMIT, "%s holds %u segments: no checkpoint could be written for too long",
                       f->path, f->count);
    if (f->count < f->room)
        return PS_OK;
    uint32_t room = f->room ? 2 * f->room : 16;
    journal_segment *grown = realloc(f->segments, room * sizeof *grown);
    if (!grown)
        return ps_fail(error, PS_ENOMEM, "out of memory for the log in %s", f->path);
    f->segments = grown;
    f->room = room;
    return PS_OK;
}

static int by_number(const void *a, const void *b)
{
    uint64_t left = ((const journal_segment *)a)->number, right = ((const journal_segment *)b)->number;
    return left < right ? -1 : left > right;
}

static ps_status list_segments(journal_folder *f, ps_error *error)
{
    DIR *dir = opendir(f->path);
    if (!dir)
        return errno == ENOENT ? PS_OK : path_fail(error, "read", f->path);
    ps_status status = PS_OK;
    for (const struct dirent *entry; status == PS_OK && (entry = readdir(dir));) {
        uint64_t number = number_of_name(entry->d_name);
        if (number == 0)
            continue;
        status = make_room(f, error);
        if (status == PS_OK)
            f->segments[f->count++] = (journal_segment){.number = number};
    }
    closedir(dir);
    qsort(f->segments, f->count, sizeof *f->segments, by_number);
    return status;
}

static ps_status read_head(const journal_folder *f, const journal_owner *owner, journal_segment *s,
                           ps_error *error)
{
    char path[PATH_BYTES];
    segment_head head;
    ps_error why = {PS_OK, ""};
    ps_status status = journal_folder_path(f, s->number, path, error);
    if (status != PS_OK)
        return status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return path_fail(error, "open", path);
    ssize_t got = pread(fd, &head, sizeof head, 0);
    status = got < 0 ? path_fail(error, "read", path) : PS_OK;
    close(fd);
    if (status != PS_OK)
        return status;
    if (got < (ssize_t)sizeof head)
        return ps_fail(error, PS_EFORMAT, "%s is too short for a log of updates", path);
    status = segment_head_judge(&head, owner, &why);
    if (status == PS_EMISMATCH)
        return ps_fail(error, status,
                       "%s: %s; remove it to go on from the newest checkpoint, without the updates in it",
                       path, why.text);
    if (status != PS_OK)
        return ps_fail(error, status, "%s: %s", path, why.text);
    s->sequence = head.sequence;
    s->base = segment_head_base(&head);
    s->usable = s->base.leap;
    return PS_OK;
}

ps_status journal_folder_open(const char *folder, const journal_owner *owner, journal_folder *f,
                              ps_error *error)
{
    *f = (journal_folder){.count = 0};
    if (find_shard(folder, has_other_number, &owner->servers, f->path))
        return ps_fail(error, PS_EMISMATCH,
                       "%s is a log of another number of ps than %u; start as many, or remove it to go on "
                       "from the newest checkpoint, without the updates in it",
                       f->path, owner->servers);
    ps_status status = path_make(f->path, error, "%s/ps-%u-of-%u", folder, owner->server, owner->servers);
    if (status == PS_OK)
        status = list_segments(f, error);
    for (uint32_t i = 0; i < f->count && status == PS_OK; i++)
        status = read_head(f, owner, &f->segments[i], error);
    if (status != PS_OK)
        journal_folder_fini(f);
    return status;
}

void journal_folder_fini(journal_folder *f)
{
    free(f->segments);
    *f = (journal_folder){.count = 0};
}

/* ---- changing ---- */

ps_status journal_folder_add(journal_folder *f, const journal_owner *owner, const journal_base *base,
                             uint64_t sequence, ps_error *error)
{
    char path[PATH_BYTES];
    segment_head head;
    journal_segment s = {
        .number = f->count > 0 ? f->segments[f->count - 1].number + 1 : 1,
        .sequence = sequence,
        .base = *base,
        .usable = base->leap,
    };
    segment_head_fill(&head, owner, base, sequence);
    ps_status status = make_room(f, error);
    if (status == PS_OK)
        status = file_make_folder(f->path, error);
    if (status == PS_OK)
        status = journal_folder_path(f, s.number, path, error);
    if (status != PS_OK)
        return status;
    status = file_write_atomic(path, &(struct iovec){&head, sizeof head}, 1, error);
    if (status == PS_OK)
        f->segments[f->count++] = s;
    else
        unlink(path); /* it may stand there, but not for good */
    return status;
}

void journal_folder_drop(journal_folder *f, uint32_t count)
{
    char path[PATH_BYTES];
    for (uint32_t i = 0; i < count; i++)
        if (journal_folder_path(f, f->segments[i].number, path, NULL) == PS_OK)
            unlink(path);
    f->count -= count;
    memmove(f->segments, f->segments + count, f->count * sizeof *f->segments);
    if (f->count == 0)
        rmdir(f->path);
}
