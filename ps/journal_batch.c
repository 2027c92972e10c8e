/* journal_batch.c - see journal_batch.h. */
#include "ps/journal_batch.h"

#include <errno.h>

bool journal_batch_flush(journal_batch *b)
{
    struct iovec *next = b->parts;
    int left = b->count;
    while (left > 0) {
        ssize_t put = writev(b->fd, next, left);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        size_t done = (size_t)put;
        for (; left > 0 && done >= next->iov_len; next++, left--)
            done -= next->iov_len;
        if (left > 0) {
            next->iov_base = (char *)next->iov_base + done;
            next->iov_len -= done;
        }
    }
    b->count = 0;
    return true;
}

bool journal_batch_add(journal_batch *b, const void *bytes, size_t count)
{
    if (count == 0)
        return true;
    if (b->count == BATCH_PARTS_MAX && !journal_batch_flush(b))
        return false;
    b->parts[b->count++] = (struct iovec){(void *)(uintptr_t)bytes, count};
    b->bytes += count;
    return true;
}
