/* log_tail.h - the last lines of a file, fit to be shown on a terminal. */
#ifndef PENSTOCK_DEPLOY_LOG_TAIL_H
#define PENSTOCK_DEPLOY_LOG_TAIL_H

#include <stddef.h>
#include <sys/types.h>

enum {
    LOG_TAIL_BYTES = 16 << 10, /* no more of the file is read, however long its lines */
};

/* Writes the last `lines` lines of `path` that lie at or after offset `from`, each preceded by `indent`
 * and ended by a newline, into `text`; control characters but tabs become '?'. The oldest go first if
 * `bytes` do not suffice, and a line cut at its start begins with "...". Returns the number of lines, 0
 * also when the file cannot be read. */
size_t log_tail(const char *path, off_t from, size_t lines, const char *indent, char *text, size_t bytes);

#endif
