/* journal_batch.h - bytes from many places, written one behind the other by few system calls.
 *
 * Private to ps/journal_*.c. */
#ifndef PENSTOCK_PS_JOURNAL_BATCH_H
#define PENSTOCK_PS_JOURNAL_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum { BATCH_PARTS_MAX = 1024 }; /* of one writev */

/* {.fd = ...} is an empty one. */
typedef struct {
    int fd;
    uint64_t bytes; /* added so far */
    int count;
    struct iovec parts[BATCH_PARTS_MAX]; /* not written yet */
} journal_batch;

/* The bytes must stay until they are flushed. False: errno says why it could not be written. */
bool journal_batch_add(journal_batch *b, const void *bytes, size_t count);

/* Writes what has been added. False: errno says why; some of it may be there. */
bool journal_batch_flush(journal_batch *b);

#endif
