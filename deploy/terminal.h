/* terminal.h - one line that is redrawn in place, and lines that stay.
 *
 * On anything but a terminal only the lines that stay are written. Nothing here waits long for a
 * terminal that is held up (Ctrl-S) or a pipe that nobody reads: what cannot be written is dropped, so
 * that signals are still heard. */
#ifndef PENSTOCK_DEPLOY_TERMINAL_H
#define PENSTOCK_DEPLOY_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

enum { TERMINAL_LINE_MAX = 512 }; /* bytes of a status line */

typedef struct {
    int fd;
    bool interactive;
    bool drawn; /* a status line is on the screen */
} terminal;

/* Interactive if `fd` is a terminal that understands control sequences. */
void terminal_init(terminal *t, int fd);

/* Columns to fill at most: one less than the window has now, so that nothing wraps. */
size_t terminal_width(const terminal *t);

/* Draws `line` in place of the one drawn before. The caller has fitted it to terminal_width. */
void terminal_draw(terminal *t, const char *line);

/* Removes the drawn line; due before anything else writes to the same terminal, and at exit. */
void terminal_clear(terminal *t);

/* Writes a line that stays, and its newline. A status line drawn before is gone until the next draw. */
void terminal_print(terminal *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
