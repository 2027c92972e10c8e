/* segment.c - see segment.h. */
#include "common/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEMORY_NAME "penstock"
/* How the kernel shows such a file. */
#define LINK_PREFIX "/memfd:" MEMORY_NAME

static const char magic[8] = "PNSTSEG1";

/* The first bytes of every segment. */
typedef struct {
    char magic[8];
    uint64_t token[2];
} segment_head;

_Static_assert(sizeof(segment_head) <= SEGMENT_HEAD_BYTES, "the head has its room");

struct segment {
    segment_name name;
    void *memory;
    int fd;    /* own: the memory file, which must stay open for others to find; attached: -1 */
    int owner; /* attached: a pidfd of the process that owns it; own: -1 */
};

static segment *new_segment(void)
{
    segment *s = calloc(1, sizeof *s);
    if (s) {
        s->memory = MAP_FAILED;
        s->fd = s->owner = -1;
    }
    return s;
}

void segment_destroy(segment **handle)
{
    segment *s = *handle;
    *handle = NULL;
    if (!s)
        return;
    if (s->memory != MAP_FAILED)
        munmap(s->memory, s->name.bytes);
    if (s->fd >= 0)
        close(s->fd);
    if (s->owner >= 0)
        close(s->owner);
    free(s);
}

static ps_status make_memory(segment *s)
{
    s->fd = memfd_create(MEMORY_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (s->fd < 0 || ftruncate(s->fd, (off_t)s->name.bytes) != 0 ||
        fcntl(s->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return PS_EIO;
    s->memory = mmap(NULL, s->name.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, s->fd, 0);
    return s->memory == MAP_FAILED ? PS_ENOMEM : PS_OK;
}

ps_status segment_create(size_t bytes, segment **out)
{
    *out = NULL;
    if (bytes > INT64_MAX - SEGMENT_HEAD_BYTES)
        return PS_ENOMEM;
    segment *s = new_segment();
    if (!s)
        return PS_ENOMEM;
    s->name.bytes = SEGMENT_HEAD_BYTES + bytes;
    ps_status status = make_memory(s);
    if (status == PS_OK && getrandom(s->name.token, sizeof s->name.token, 0) != sizeof s->name.token)
        status = PS_EIO;
    if (status != PS_OK) {
        segment_destroy(&s);
        return status;
    }
    s->name.pid = (uint32_t)getpid();
    s->name.fd = (uint32_t)s->fd;
    segment_head head;
    memcpy(head.magic, magic, sizeof head.magic);
    memcpy(head.token, s->name.token, sizeof head.token);
    memcpy(s->memory, &head, sizeof head);
    *out = s;
    return PS_OK;
}

/* Opens what the name says if it is a memory file of ours: anything else is better not opened at all. */
static int open_by_name(const segment_name *name)
{
    char path[64], target[64];
    snprintf(path, sizeof path, "/proc/%u/fd/%u", name->pid, name->fd);
    ssize_t length = readlink(path, target, sizeof target);
    if (length < (ssize_t)strlen(LINK_PREFIX) || memcmp(target, LINK_PREFIX, strlen(LINK_PREFIX)) != 0) {
        if (length >= 0)
            errno = EBADF;
        return -1;
    }
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* Not of huge pages, which may be lacking when they are first touched: that would be the reader's end. */
static bool has_ordinary_pages(int fd)
{
    struct statfs system;
    return fstatfs(fd, &system) == 0 && system.f_type == TMPFS_MAGIC;
}

/* Maps the file if it can never shrink and is as long as the name says. */
static ps_status map_for_reading(segment *s, int fd, ps_error *error)
{
    struct stat file;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || !has_ordinary_pages(fd) || fstat(fd, &file) != 0 ||
        (uint64_t)file.st_size != s->name.bytes || s->name.bytes < SEGMENT_HEAD_BYTES)
        return ps_fail(error, PS_EPROTOCOL, "memory of process %u is not as it was announced", s->name.pid);
    s->memory = mmap(NULL, s->name.bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (s->memory == MAP_FAILED)
        return ps_fail(error, PS_ENOMEM, "cannot map %llu bytes of process %u: %s",
                       (unsigned long long)s->name.bytes, s->name.pid, strerror(errno));
    segment_head head;
    memcpy(&head, s->memory, sizeof head);
    if (memcmp(head.magic, magic, sizeof head.magic) != 0 ||
        memcmp(head.token, s->name.token, sizeof head.token) != 0)
        return ps_fail(error, PS_EPROTOCOL, "memory of process %u is not as it was announced", s->name.pid);
    return PS_OK;
}

ps_status segment_attach(const segment_name *name, segment **out, ps_error *error)
{
    *out = NULL;
    segment *s = new_segment();
    if (!s)
        return ps_fail(error, PS_ENOMEM, "out of memory for a segment");
    s->name = *name;
    /* First the process, then its file: should its number be another's by then, the token tells. */
    s->owner = (int)syscall(SYS_pidfd_open, (pid_t)name->pid, 0);
    int fd = s->owner >= 0 ? open_by_name(name) : -1;
    ps_status status = PS_OK;
    if (fd < 0)
        status = ps_fail(error, PS_EIO, "cannot open memory of process %u: %s", name->pid, strerror(errno));
    else
        status = map_for_reading(s, fd, error);
    if (fd >= 0)
        close(fd);
    if (status != PS_OK)
        segment_destroy(&s);
    *out = s;
    return status;
}

const segment_name *segment_name_of(const segment *s)
{
    return &s->name;
}

void *segment_at(const segment *s, uint64_t offset)
{
    return (char *)s->memory + offset;
}

bool segment_is_orphan(const segment *s)
{
    struct pollfd owner = {.fd = s->owner, .events = POLLIN};
    return s->owner >= 0 && poll(&owner, 1, 0) == 1;
}
