/* line_reader.c - see line_reader.h. */
#include "deploy/line_reader.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Hands out the complete lines among the bytes held, and moves the rest to the front. */
static void hand_out(line_reader *reader, line_handler *handler, void *context)
{
    size_t start = 0;
    for (;;) {
        char *newline = memchr(reader->data + start, '\n', reader->used - start);
        if (!newline)
            break;
        *newline = '\0';
        size_t end = (size_t)(newline - reader->data);
        if (reader->skipping)
            reader->skipping = false;
        else
            handler(context, reader->data + start, end - start);
        start = end + 1;
    }
    reader->used -= start;
    memmove(reader->data, reader->data + start, reader->used);
}

bool line_reader_drain(line_reader *reader, int fd, line_handler *handler, void *context)
{
    for (;;) {
        ssize_t got = read(fd, reader->data + reader->used, sizeof reader->data - reader->used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno == EAGAIN;
        if (got == 0)
            return false;
        reader->used += (size_t)got;
        hand_out(reader, handler, context);
        if (reader->used == sizeof reader->data) {
            reader->too_long += !reader->skipping;
            reader->skipping = true;
            reader->used = 0;
        }
    }
}
