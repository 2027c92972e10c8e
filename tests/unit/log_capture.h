/* log_capture.h - reads back what the code under test logs: one write, one packet. */
#ifndef PENSTOCK_TESTS_LOG_CAPTURE_H
#define PENSTOCK_TESTS_LOG_CAPTURE_H

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

typedef struct {
    int kept_stderr, reading;
} log_capture;

/* Standard error goes into a packet socket from now on, so that each write stays apart. */
static inline void log_capture_begin(log_capture *c)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    c->kept_stderr = dup(STDERR_FILENO);
    c->reading = ends[0];
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
}

/* Gives standard error back; what was logged can still be read. */
static inline void log_capture_pause(log_capture *c)
{
    if (c->kept_stderr >= 0) {
        dup2(c->kept_stderr, STDERR_FILENO);
        close(c->kept_stderr);
    }
    c->kept_stderr = -1;
}

/* The next write's bytes, as a string; its length, 0 if there was none. */
static inline size_t log_capture_next(const log_capture *c, char *line, size_t bytes)
{
    ssize_t got = recv(c->reading, line, bytes - 1, MSG_DONTWAIT);
    line[got > 0 ? got : 0] = '\0';
    return got > 0 ? (size_t)got : 0;
}

/* Is `text` in one of the lines that are still unread? Reads up to and with that line. */
static inline int log_capture_has(const log_capture *c, const char *text)
{
    char line[2048];
    while (log_capture_next(c, line, sizeof line))
        if (strstr(line, text))
            return 1;
    return 0;
}

static inline void log_capture_end(log_capture *c)
{
    log_capture_pause(c);
    close(c->reading);
}

#endif
