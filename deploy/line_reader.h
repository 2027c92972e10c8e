/* line_reader.h - cuts what arrives on a non-blocking descriptor into lines, within a fixed room.
 *
 * A line longer than LINE_MAX_BYTES is dropped whole and counted; the next one is read as usual. */
#ifndef PENSTOCK_DEPLOY_LINE_READER_H
#define PENSTOCK_DEPLOY_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>

enum { LINE_MAX_BYTES = 4096 };

typedef struct {
    char data[LINE_MAX_BYTES];
    size_t used;
    bool skipping;   /* inside a line that is too long */
    size_t too_long; /* lines dropped so far */
} line_reader;

/* Called with each line, zero-terminated and without its newline. */
typedef void line_handler(void *context, char *line, size_t bytes);

/* Reads all there is at the moment and hands out the lines that are complete. False at the end of the
 * input or on an error: nothing will follow, and a line without its newline is dropped. */
bool line_reader_drain(line_reader *reader, int fd, line_handler *handler, void *context);

#endif
