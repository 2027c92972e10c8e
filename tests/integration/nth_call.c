/* nth_call.c - a library that is preloaded into a command and, at its Nth call that changes a disk, kills it
 * or fails that call and all after it: so every point between two changes can be tried, one after the other.
 *
 * NTH_CALL=N, counted from 1; NTH_ERROR=ENOSPC or EIO: the call fails so; without it, SIGKILL. Writing to
 * standard output and error is not counted, and removing fails of no full disk. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static long calls_left;
static int cause;

__attribute__((constructor)) static void begin(void)
{
    const char *number = getenv("NTH_CALL"), *error = getenv("NTH_ERROR");
    calls_left = number ? atol(number) : 0;
    cause = !error ? 0 : strcmp(error, "ENOSPC") == 0 ? ENOSPC : EIO;
}

/* To be asked before each change. */
static bool fails(bool removes)
{
    if (calls_left == 0 || --calls_left > 0)
        return false;
    if (cause == 0)
        kill(getpid(), SIGKILL);
    calls_left = 1; /* from now on */
    if (removes && cause == ENOSPC)
        return false;
    errno = cause;
    return true;
}

static mode_t mode_of(int flags, va_list rest)
{
    return flags & O_CREAT ? va_arg(rest, mode_t) : 0;
}

static int open_file(int folder, const char *path, int flags, mode_t mode)
{
    const bool creates = (flags & O_CREAT) && syscall(SYS_faccessat, folder, path, F_OK) != 0;
    if (creates && fails(false))
        return -1;
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

#define CHANGES(type, name, parameters, removes, ...) \
    type name parameters                              \
    {                                                 \
        if (fails(removes))                           \
            return -1;                                \
        return (type)syscall(__VA_ARGS__);            \
    }

#define OPENS(name)                                    \
    int name(const char *path, int flags, ...)         \
    {                                                  \
        va_list rest;                                  \
        va_start(rest, flags);                         \
        const mode_t mode = mode_of(flags, rest);      \
        va_end(rest);                                  \
        return open_file(AT_FDCWD, path, flags, mode); \
    }

OPENS(open)
OPENS(open64)

int openat(int folder, const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_file(folder, path, flags, mode);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    if (fd > STDERR_FILENO && fails(false))
        return -1;
    return syscall(SYS_write, fd, data, bytes);
}

CHANGES(ssize_t, pwrite, (int fd, const void *data, size_t bytes, off_t at), false, SYS_pwrite64, fd, data,
        bytes, at)
CHANGES(ssize_t, pwrite64, (int fd, const void *data, size_t bytes, off_t at), false, SYS_pwrite64, fd, data,
        bytes, at)
CHANGES(int, fsync, (int fd), false, SYS_fsync, fd)
CHANGES(int, fdatasync, (int fd), false, SYS_fdatasync, fd)
CHANGES(int, ftruncate, (int fd, off_t bytes), false, SYS_ftruncate, fd, bytes)
CHANGES(int, ftruncate64, (int fd, off_t bytes), false, SYS_ftruncate, fd, bytes)
CHANGES(int, chmod, (const char *path, mode_t mode), false, SYS_fchmodat, AT_FDCWD, path, mode)
CHANGES(int, mkdir, (const char *path, mode_t mode), false, SYS_mkdirat, AT_FDCWD, path, mode)
CHANGES(int, rename, (const char *from, const char *to), false, SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to,
        0)
CHANGES(int, renameat, (int from_folder, const char *from, int to_folder, const char *to), false,
        SYS_renameat2, from_folder, from, to_folder, to, 0)
CHANGES(int, renameat2, (int from_folder, const char *from, int to_folder, const char *to, unsigned flags),
        false, SYS_renameat2, from_folder, from, to_folder, to, flags)
CHANGES(int, unlink, (const char *path), true, SYS_unlinkat, AT_FDCWD, path, 0)
CHANGES(int, unlinkat, (int folder, const char *path, int flags), true, SYS_unlinkat, folder, path, flags)
CHANGES(int, rmdir, (const char *path), true, SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR)

int remove(const char *path)
{
    if (fails(true))
        return -1;
    int done = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    return done != 0 && errno == EISDIR ? (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR) : done;
}
