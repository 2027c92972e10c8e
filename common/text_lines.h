/* text_lines.h - the lines of a text that say something: not empty, and not beginning with '#'. */
#ifndef PENSTOCK_COMMON_TEXT_LINES_H
#define PENSTOCK_COMMON_TEXT_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Start from the beginning and the end of the text, which stays the caller's. */
typedef struct {
    const char *at, *end;
} text_lines;

/* The next one, without what ends it ("\n" or "\r\n"); false: there is none. */
static inline bool text_lines_next(text_lines *lines, const char **line, size_t *length)
{
    while (lines->at < lines->end) {
        const char *begin = lines->at;
        const char *stop = memchr(begin, '\n', (size_t)(lines->end - begin));
        const char *end = stop ? stop : lines->end;
        lines->at = stop ? stop + 1 : lines->end;
        end -= end > begin && end[-1] == '\r';
        if (end == begin || *begin == '#')
            continue;
        *line = begin;
        *length = (size_t)(end - begin);
        return true;
    }
    return false;
}

#endif
