/* log_tail.c - see log_tail.h. */
#include "deploy/log_tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/plain_text.h"

/* The end of the file from `from` on, at most `room` bytes; `*cut` if there was more before. */
static size_t read_end(const char *path, off_t from, char *data, size_t room, bool *cut)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat info;
    size_t used = 0;
    if (fd < 0)
        return 0;
    if (fstat(fd, &info) != 0)
        goto done;
    /* A log that a person has cut short meanwhile counts from its start again. */
    off_t start = from <= info.st_size ? from : 0;
    *cut = info.st_size - start > (off_t)room;
    if (*cut)
        start = info.st_size - (off_t)room;
    while (used < room) {
        ssize_t got = pread(fd, data + used, room - used, start + (off_t)used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        used += (size_t)got;
    }
done:
    close(fd);
    return used;
}

/* Where the line that ends before `end` begins. */
static size_t line_start(const char *data, size_t end)
{
    while (end > 0 && data[end - 1] != '\n')
        end--;
    return end;
}

size_t log_tail(const char *path, off_t from, size_t lines, const char *indent, char *text, size_t bytes)
{
    char data[LOG_TAIL_BYTES];
    bool cut = false;
    size_t used = read_end(path, from, data, sizeof data, &cut);
    plain_text(data, used, "\t\n");
    while (used > 0 && data[used - 1] == '\n')
        used--;

    /* Walk back over as many lines as are wanted and fit. */
    size_t found = 0;
    size_t needed = 1; /* the terminating zero */
    size_t start = used;
    while (found < lines && used > 0) {
        size_t end = found == 0 ? used : start - 1; /* without the newline */
        size_t begin = line_start(data, end);
        const size_t dots = begin == 0 && cut ? strlen("...") : 0;
        needed += strlen(indent) + dots + (end - begin) + 1;
        if (needed > bytes)
            break;
        start = begin;
        found++;
        if (begin == 0)
            break;
    }

    size_t written = 0;
    if (bytes > 0)
        text[0] = '\0';
    for (size_t i = 0; i < found; i++) {
        const char *newline = memchr(data + start, '\n', used - start);
        size_t end = newline ? (size_t)(newline - data) : used;
        written += (size_t)snprintf(text + written, bytes - written, "%s%s%.*s\n", indent,
                                    start == 0 && cut ? "..." : "", (int)(end - start), data + start);
        start = end + 1;
    }
    return found;
}
