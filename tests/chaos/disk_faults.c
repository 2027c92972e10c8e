/* disk_faults.c - a library that is preloaded into a ps, and lets the disk under its checkpoints fail on
 * demand.
 *
 * The file that PENSTOCK_DISK_FAULTS names holds one byte, which `penstock chaos` changes while the process
 * runs (deploy/chaos/chaos_faults.h): bit 0, nothing can be written any more (ENOSPC); bit 1, fsync fails
 * (EIO). Logs and all else that is not below a folder `checkpoints` are spared. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "deploy/chaos/chaos_faults.h"

static const volatile unsigned char *control;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("PENSTOCK_DISK_FAULTS");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
    control = mapped != MAP_FAILED ? mapped : NULL;
    close(fd);
}

static bool fails(int fd, unsigned char bit)
{
    char link[64], path[PATH_MAX];
    if (!control || !(*control & bit))
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    return strstr(path, "/checkpoints") != NULL;
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    if (fails(fd, DISK_FULL_BIT)) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_write, fd, data, bytes);
}

int fsync(int fd)
{
    if (fails(fd, DISK_FSYNC_BIT)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}
