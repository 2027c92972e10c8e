#include "tests/unit/journal_disk.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

struct disk_refusals disk_refuses;

int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __real_ftruncate(int fd, off_t bytes);
int __wrap_ftruncate(int fd, off_t bytes);

static bool refuse(bool refuses)
{
    if (refuses)
        errno = EIO;
    return refuses;
}

int __wrap_fdatasync(int fd)
{
    (void)fd;
    return refuse(disk_refuses.data_sync) ? -1 : 0;
}

int __wrap_fsync(int fd)
{
    struct stat info;
    const bool of_folder = fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
    return refuse(of_folder ? disk_refuses.folder_sync : disk_refuses.sync) ? -1 : 0;
}

int __wrap_ftruncate(int fd, off_t bytes)
{
    return refuse(disk_refuses.cut) ? -1 : __real_ftruncate(fd, bytes);
}
