/* moment.h - when something happened: milliseconds since 1970, and how people read them. Thread-safe. */
#ifndef PENSTOCK_DEPLOY_MOMENT_H
#define PENSTOCK_DEPLOY_MOMENT_H

#include <stdint.h>

enum { MOMENT_BYTES = 32 };

int64_t moment_now_ms(void);

/* "2026-11-22T19:47:49Z"; returns `text`. */
const char *moment_format(int64_t ms, char text[MOMENT_BYTES]);

/* "20261122-194749", for names. */
const char *moment_format_name(int64_t ms, char text[MOMENT_BYTES]);

#endif
