/* terminal.c - see terminal.h. */
#include "deploy/terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    DEFAULT_COLUMNS = 80,
    PRINT_BYTES = 4096,
    PRINT_PATIENCE_MS = 1000,
};

#define ERASE_LINE "\r\x1b[K"

void terminal_init(terminal *t, int fd)
{
    const char *kind = getenv("TERM");
    *t = (terminal){.fd = fd, .interactive = isatty(fd) && kind && strcmp(kind, "dumb") != 0};
}

size_t terminal_width(const terminal *t)
{
    struct winsize window;
    if (ioctl(t->fd, TIOCGWINSZ, &window) != 0 || window.ws_col == 0)
        return DEFAULT_COLUMNS - 1;
    return window.ws_col - 1U;
}

/* A single write, so that a line is shown whole or not at all. False if it was dropped. */
static bool put(const terminal *t, const char *text, size_t bytes, int patience_ms)
{
    struct pollfd writable = {.fd = t->fd, .events = POLLOUT};
    if (poll(&writable, 1, patience_ms) != 1)
        return false;
    ssize_t written;
    do
        written = write(t->fd, text, bytes);
    while (written < 0 && errno == EINTR);
    return written == (ssize_t)bytes;
}

void terminal_draw(terminal *t, const char *line)
{
    char text[TERMINAL_LINE_MAX + sizeof ERASE_LINE];
    if (!t->interactive)
        return;
    /* Overwrite first and erase the rest after: erasing first would flicker. */
    int length = snprintf(text, sizeof text, "\r%.*s\x1b[K", TERMINAL_LINE_MAX, line);
    if (put(t, text, (size_t)length, 0))
        t->drawn = true;
}

void terminal_clear(terminal *t)
{
    if (t->drawn)
        put(t, ERASE_LINE, strlen(ERASE_LINE), PRINT_PATIENCE_MS);
    t->drawn = false;
}

void terminal_print(terminal *t, const char *format, ...)
{
    char text[PRINT_BYTES];
    size_t used = 0;
    if (t->drawn)
        used = (size_t)snprintf(text, sizeof text, ERASE_LINE);
    t->drawn = false;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text + used, sizeof text - used - 1, format, arguments);
    va_end(arguments);
    size_t room = sizeof text - used - 2;
    used += length < 0 ? 0 : (size_t)length < room ? (size_t)length : room;
    text[used++] = '\n';
    put(t, text, used, PRINT_PATIENCE_MS);
}
