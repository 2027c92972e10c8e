/* content.c - see content.h. */
#include "deploy/registry/content.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/path.h"

enum {
    PIECE_BYTES = 256 << 10 /* less than a cache holds: what is summed up is still there when it is written */
};

static void to_hex(struct sha256_ctx *state, char hex[SHA256_HEX_BYTES])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(state, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static ps_status write_all(int fd, const char *path, const uint8_t *data, size_t bytes, ps_error *error)
{
    while (bytes > 0) {
        ssize_t put = write(fd, data, bytes);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return path_fail(error, "write", path);
        data += put;
        bytes -= (size_t)put;
    }
    return PS_OK;
}

static ps_status pump(int in, const char *from, int out, const char *to, content *c, ps_error *error)
{
    struct sha256_ctx state;
    ps_status status = PS_OK;
    uint8_t *piece = malloc(PIECE_BYTES);
    if (!piece)
        return ps_fail(error, PS_ENOMEM, "out of memory while reading %s", from);
    sha256_init(&state);
    c->bytes = 0;
    while (status == PS_OK) {
        ssize_t got = read(in, piece, PIECE_BYTES);
        if (got == 0)
            break;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = path_fail(error, "read", from);
            break;
        }
        sha256_update(&state, (size_t)got, piece);
        c->bytes += (uint64_t)got;
        if (out >= 0)
            status = write_all(out, to, piece, (size_t)got, error);
    }
    free(piece);
    to_hex(&state, c->sha256);
    return status;
}

static ps_status open_source(const char *path, int *fd, ps_error *error)
{
    struct stat about;
    /* Without O_NONBLOCK a pipe would hang us before we could refuse it. */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (*fd < 0)
        return errno == ELOOP ? ps_fail(error, PS_EINVAL, "%s is a symbolic link", path)
                              : ps_fail(error, errno == ENOENT ? PS_ENOENT : PS_EIO, "cannot open %s: %s",
                                        path, strerror(errno));
    if (fstat(*fd, &about) != 0)
        return path_fail(error, "read", path);
    return S_ISREG(about.st_mode) ? PS_OK : ps_fail(error, PS_EINVAL, "%s is no regular file", path);
}

ps_status content_copy(const char *from, const char *to, content *c, ps_error *error)
{
    int in = -1, out = -1;
    ps_status status = open_source(from, &in, error);
    if (status == PS_OK && to) {
        out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (out < 0)
            status = path_fail(error, "create", to);
    }
    if (status == PS_OK)
        status = pump(in, from, out, to, c, error);
    if (status == PS_OK && out >= 0 && fsync(out) != 0)
        status = path_fail(error, "write", to);
    if (out >= 0 && close(out) != 0 && status == PS_OK)
        status = path_fail(error, "write", to);
    if (out >= 0 && status != PS_OK)
        unlink(to);
    if (in >= 0)
        close(in);
    return status;
}

void content_digest(const void *bytes, size_t count, char sha256[SHA256_HEX_BYTES])
{
    struct sha256_ctx state;
    sha256_init(&state);
    sha256_update(&state, count, bytes);
    to_hex(&state, sha256);
}

bool content_is_sha256(const char *text)
{
    return strlen(text) == SHA256_HEX_BYTES - 1 && strspn(text, "0123456789abcdef") == SHA256_HEX_BYTES - 1;
}
