/* file.c - see file.h. Knows nothing of what the files hold. */
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/checksum.h"
#include "common/headway.h"

enum {
    FETCH_BYTES = 16 << 20,  /* between two notes of headway; a multiple of any page */
    READ_FIRST_BYTES = 4096, /* first guess where the size is not known beforehand */
    TEMPORARY_NAMES_MAX = 1000,
    PIECE_BYTES = 256 << 10, /* summed up and written: less than a cache holds */
    NAME_BYTES = 256,        /* of one path component on every file system we meet */
};

static ps_status fail_errno(ps_error *error, const char *doing, const char *path, int cause)
{
    ps_status status = cause == ENOENT || cause == ENOTDIR ? PS_ENOENT
                       : cause == EISDIR                   ? PS_EFORMAT
                                                           : PS_EIO;
    return ps_fail(error, status, "cannot %s %s: %s", doing, path, strerror(cause));
}

/* ---- Reading ---- */

/* Reads until the end, or until `max_bytes` are exceeded by one. */
static ps_status read_all(int fd, const char *path, size_t guess, size_t max_bytes, char **text,
                          size_t *bytes, ps_error *error)
{
    /* One beyond the limit shows that it is exceeded; one more is for the terminator. */
    size_t most = max_bytes < SIZE_MAX - 2 ? max_bytes + 2 : SIZE_MAX;
    size_t capacity = guess < most - 2 ? guess + 2 : most;
    size_t used = 0;
    char *data = malloc(capacity);
    while (data) {
        ssize_t got = read(fd, data + used, capacity - used - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int cause = errno;
            free(data);
            return fail_errno(error, "read", path, cause);
        }
        used += (size_t)got;
        if (used > max_bytes) {
            free(data);
            return ps_fail(error, PS_ELIMIT, "%s holds more than the %zu bytes allowed", path, max_bytes);
        }
        if (got == 0) {
            data[used] = '\0';
            *text = data;
            *bytes = used;
            return PS_OK;
        }
        if (used + 1 == capacity) {
            capacity = capacity < most / 2 ? capacity * 2 : most;
            char *grown = realloc(data, capacity);
            if (!grown)
                free(data);
            data = grown;
        }
    }
    return ps_fail(error, PS_ENOMEM, "out of memory while reading %s", path);
}

static ps_status read_open(int fd, const char *path, const struct stat *about, size_t max_bytes, char **text,
                           size_t *bytes, ps_error *error)
{
    if (S_ISREG(about->st_mode) && (uintmax_t)about->st_size > max_bytes)
        return ps_fail(error, PS_ELIMIT, "%s holds %jd bytes, more than the %zu allowed", path,
                       (intmax_t)about->st_size, max_bytes);
    return read_all(fd, path, about->st_size > 0 ? (size_t)about->st_size : READ_FIRST_BYTES, max_bytes, text,
                    bytes, error);
}

ps_status file_read(const char *path, size_t max_bytes, char **text, size_t *bytes, ps_error *error)
{
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(error, "open", path, errno);
    ps_status status = fstat(fd, &about) == 0 ? read_open(fd, path, &about, max_bytes, text, bytes, error)
                                              : fail_errno(error, "read", path, errno);
    close(fd);
    return status;
}

ps_status file_read_regular(const char *path, size_t max_bytes, char **text, size_t *bytes,
                            struct stat *about, ps_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail_errno(error, "open", path, errno);
    ps_status status;
    if (fstat(fd, about) != 0)
        status = fail_errno(error, "read", path, errno);
    else if (!S_ISREG(about->st_mode))
        status = ps_fail(error, PS_EFORMAT, "%s is not a regular file", path);
    else
        status = read_open(fd, path, about, max_bytes, text, bytes, error);
    close(fd);
    return status;
}

bool file_is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool file_is_read_by_others(const struct stat *about)
{
    const mode_t allowed =
        about->st_uid == 0 && geteuid() != 0 ? S_IRUSR | S_IWUSR | S_IRGRP : S_IRUSR | S_IWUSR;
    return (about->st_mode & 07777 & ~allowed) != 0;
}

ps_status file_map(const char *path, const void **map, size_t *bytes, ps_error *error)
{
    /* Without O_NONBLOCK a pipe would hang us before we could refuse it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail_errno(error, "open", path, errno);
    ps_status status = PS_OK;
    struct stat info;
    void *mapped;
    if (fstat(fd, &info) != 0)
        status = fail_errno(error, "read", path, errno);
    else if (!S_ISREG(info.st_mode))
        status = ps_fail(error, PS_EFORMAT, "%s is not a regular file", path);
    else if (info.st_size == 0)
        status = ps_fail(error, PS_EFORMAT, "%s is empty", path);
    else if ((mapped = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED)
        status = fail_errno(error, "map", path, errno);
    else {
        *map = mapped;
        *bytes = (size_t)info.st_size;
    }
    close(fd);
    return status;
}

ps_status file_fetch(const void *from, size_t bytes, ps_error *error)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)from / page * page, end = (uintptr_t)from + bytes;
    int result = 0;
    while (begin < end && result == 0) {
        const uintptr_t most = end - begin < FETCH_BYTES ? end - begin : FETCH_BYTES;
        do
            result = madvise((void *)begin, most, MADV_POPULATE_READ);
        while (result != 0 && (errno == EINTR || errno == EAGAIN));
        begin += most;
        headway_note();
    }
    if (result == 0 || errno == EINVAL) /* a kernel that does not know it */
        return PS_OK;
    if (errno == ENOMEM)
        return ps_fail(error, PS_ENOMEM, "out of memory while reading a file");
    return ps_fail(error, PS_EIO, "the file was cut, or its disk cannot read it");
}

void file_unmap(const void *map, size_t bytes)
{
    /* munmap takes the address only; nothing is written through it. */
    if (map)
        munmap((void *)(uintptr_t)map, bytes);
}

/* ---- Writing ---- */

/* Splits "a/b" into the open folder "a" and the name "b". Opening the folder first means that a failure to
 * do so leaves everything as it was, and that a folder moved meanwhile is still the one written to. */
static int open_parent(const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    char *folder = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    if (!folder)
        return -1;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int cause = errno;
    free(folder);
    errno = cause;
    return fd;
}

/* Some file systems know no fsync of a folder; they have no better to offer. */
static bool sync_folder(int fd)
{
    return fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP;
}

/* A new file beside `name`, whose own name is left in `temporary`. A name that a crashed process has left
 * behind (the number of a process comes back, in containers at once) is passed over. */
static int create_temporary(int folder, const char *name, char temporary[NAME_BYTES])
{
    static atomic_uint counter;
    for (int attempt = 0; attempt < TEMPORARY_NAMES_MAX; attempt++) {
        int length = snprintf(temporary, NAME_BYTES, "%s" FILE_TEMPORARY_MARK "%ld-%u", name, (long)getpid(),
                              atomic_fetch_add(&counter, 1));
        if (length >= NAME_BYTES) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

static bool write_all(int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t put = write(fd, data, bytes);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        data += put;
        bytes -= (size_t)put;
    }
    return true;
}

/* Piece by piece, so that what is summed up is still in a cache when it is written. */
static bool write_summed(int fd, const char *data, size_t bytes, uint32_t *sum)
{
    *sum = checksum(NULL, 0);
    while (bytes > 0) {
        const size_t piece = bytes < PIECE_BYTES ? bytes : PIECE_BYTES;
        *sum = checksum_more(*sum, data, piece);
        if (!write_all(fd, data, piece))
            return false;
        data += piece;
        bytes -= piece;
    }
    return true;
}

static ps_status cannot_write(const char *path, int cause, ps_error *error)
{
    return ps_fail(error, PS_EIO, "cannot write %s: %s", path, strerror(cause));
}

/* Puts what belongs into the file at `path` into `fd`. */
typedef ps_status filler(int fd, const char *path, void *context, ps_error *error);

typedef struct {
    const struct iovec *parts;
    size_t count;
    uint32_t *checksums; /* NULL: nobody wants them */
} memory;

static ps_status fill_from_memory(int fd, const char *path, void *context, ps_error *error)
{
    const memory *m = context;
    for (size_t i = 0; i < m->count; i++) {
        const struct iovec *part = &m->parts[i];
        if (m->checksums ? !write_summed(fd, part->iov_base, part->iov_len, &m->checksums[i])
                         : !write_all(fd, part->iov_base, part->iov_len))
            return cannot_write(path, errno, error);
    }
    return PS_OK;
}

typedef struct {
    file_writer *write;
    void *context;
} stream;

/* A stream does not keep why it failed; trying again what is still in its buffer tells. */
static ps_status flush(FILE *out, const char *path, ps_error *error)
{
    errno = EIO;
    return fflush(out) == 0 && !ferror(out) ? PS_OK : cannot_write(path, errno, error);
}

static ps_status fill_by_stream(int fd, const char *path, void *context, ps_error *error)
{
    const stream *s = context;
    const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    FILE *out = own < 0 ? NULL : fdopen(own, "w");
    if (!out) {
        const int cause = errno;
        if (own >= 0)
            close(own);
        return cause == ENOMEM ? ps_fail(error, PS_ENOMEM, "out of memory while writing %s", path)
                               : cannot_write(path, cause, error);
    }
    ps_status status = s->write(out, s->context, error);
    if (status == PS_OK)
        status = flush(out, path, error);
    if (fclose(out) != 0 && status == PS_OK)
        status = cannot_write(path, errno, error);
    return status;
}

static ps_status write_and_rename(int folder, const char *name, const char *path, filler *fill, void *context,
                                  ps_error *error)
{
    char temporary[NAME_BYTES];
    int fd = create_temporary(folder, name, temporary);
    if (fd < 0)
        return ps_fail(error, PS_EIO, "cannot create a temporary file for %s: %s", path, strerror(errno));
    ps_status status = fill(fd, path, context, error);
    if (status == PS_OK && fsync(fd) != 0)
        status = cannot_write(path, errno, error);
    if (close(fd) != 0 && status == PS_OK)
        status = cannot_write(path, errno, error);
    if (status == PS_OK && renameat(folder, temporary, folder, name) != 0)
        status = cannot_write(path, errno, error);
    if (status != PS_OK)
        unlinkat(folder, temporary, 0);
    return status;
}

static ps_status write_atomic(const char *path, filler *fill, void *context, ps_error *error)
{
    const char *name;
    int folder = open_parent(path, &name);
    if (folder < 0)
        return ps_fail(error, errno == ENOMEM ? PS_ENOMEM : PS_EIO, "cannot open the folder of %s: %s", path,
                       strerror(errno));
    ps_status status = write_and_rename(folder, name, path, fill, context, error);
    if (status == PS_OK && !sync_folder(folder))
        status =
            ps_fail(error, PS_EIO, "%s is written, but may not survive a power cut: fsync of its folder: %s",
                    path, strerror(errno));
    close(folder);
    return status;
}

ps_status file_write_atomic(const char *path, const struct iovec *parts, size_t part_count, ps_error *error)
{
    return file_write_atomic_summed(path, parts, part_count, NULL, error);
}

ps_status file_write_atomic_summed(const char *path, const struct iovec *parts, size_t part_count,
                                   uint32_t *checksums, ps_error *error)
{
    memory m = {parts, part_count, checksums};
    return write_atomic(path, fill_from_memory, &m, error);
}

ps_status file_write_atomic_stream(const char *path, file_writer *write, void *context, ps_error *error)
{
    stream s = {write, context};
    return write_atomic(path, fill_by_stream, &s, error);
}

ps_status file_remove(const char *path, ps_error *error)
{
    const char *name;
    int folder = open_parent(path, &name);
    if (folder < 0)
        return errno == ENOMEM ? ps_fail(error, PS_ENOMEM, "out of memory while removing %s", path)
                               : fail_errno(error, "open the folder of", path, errno);
    const bool gone = unlinkat(folder, name, 0) == 0 || errno == ENOENT;
    ps_status status = gone && sync_folder(folder)
                           ? PS_OK
                           : ps_fail(error, PS_EIO, "cannot remove %s: %s", path, strerror(errno));
    close(folder);
    return status;
}

/* ---- Folders ---- */

ps_status file_sync_folder(const char *path, ps_error *error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(error, "open", path, errno);
    ps_status status = sync_folder(fd) ? PS_OK : fail_errno(error, "sync", path, errno);
    close(fd);
    return status;
}

static bool make_one(const char *path)
{
    if (mkdir(path, 0777) != 0) {
        struct stat info;
        int cause = errno;
        /* Whatever mkdir dislikes ("/", read-only parents) is no matter where the folder exists. */
        bool exists = stat(path, &info) == 0;
        errno = exists ? ENOTDIR : cause;
        return exists && S_ISDIR(info.st_mode);
    }
    const char *name;
    int parent = open_parent(path, &name);
    if (parent < 0)
        return true; /* writable but not readable: cannot be synced, and need not stop us */
    bool durable = sync_folder(parent);
    int cause = errno;
    close(parent);
    errno = cause;
    return durable;
}

ps_status file_make_folder(const char *path, ps_error *error)
{
    char *prefix = strdup(path);
    if (!prefix)
        return ps_fail(error, PS_ENOMEM, "out of memory while making folder %s", path);
    ps_status status = PS_OK;
    size_t length = strlen(prefix);
    while (length > 1 && prefix[length - 1] == '/')
        prefix[--length] = '\0';
    for (size_t end = 1; end <= length && status == PS_OK; end++) {
        if (prefix[end] != '/' && prefix[end] != '\0')
            continue;
        char kept = prefix[end];
        prefix[end] = '\0';
        if (!make_one(prefix))
            status = ps_fail(error, PS_EIO, "cannot make folder %s: %s", prefix, strerror(errno));
        prefix[end] = kept;
    }
    if (length == 0)
        status = ps_fail(error, PS_EIO, "cannot make a folder with an empty name");
    free(prefix);
    return status;
}
