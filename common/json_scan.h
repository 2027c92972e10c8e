/* json_scan.h - is this text JSON as RFC 8259 has it, and if not, where exactly not?
 *
 * The grammar only: no tree, no allocation. Private to json.c, which leaves the tree to cJSON (cJSON alone
 * is too kind: 01, 0x10, 1e999, raw control characters; and says neither what nor exactly where), and to
 * json_reader.c, which needs none. */
#ifndef PENSTOCK_COMMON_JSON_SCAN_H
#define PENSTOCK_COMMON_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/json.h"

#define JSON_SCAN_NOWHERE SIZE_MAX

typedef struct {
    /* Set by the caller. */
    const char *text;
    size_t bytes;
    bool allow_trailing_commas;
    char *clean;       /* a copy of the text in which accepted trailing commas are blanked, or NULL */
    size_t wanted_key; /* the key, counted from 0 in the order of the text, whose offset is asked for */

    /* Answers; offsets are JSON_SCAN_NOWHERE where there is nothing to point at. */
    size_t key_offset;     /* of `wanted_key` */
    size_t trailing_comma; /* the first that was accepted */
    size_t fault;          /* of the error */
    char reason[160];      /* what is wrong there */

    /* Working state. */
    size_t at;
    size_t keys;
    unsigned depth;
} json_scan;

/* Scans the whole text; on false `fault` and `reason` say why. */
bool json_scan_run(json_scan *scan);

/* Its parts, for json_reader.c; false as there. The cursor is `at`. */
bool json_scan_begin(json_scan *scan); /* to the first value */
bool json_scan_value(json_scan *scan); /* past the value at the cursor */
bool json_scan_end(json_scan *scan);   /* nothing more may come */

/* Both are false. "expected X, found Y" at the cursor, or what people are known to write there. */
bool json_scan_expected(json_scan *scan, const char *expected);
bool json_scan_fail(json_scan *scan, size_t offset, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Line and column, counted from 1 in characters, of a byte of the text or of its end. */
json_place json_scan_place(const char *text, size_t offset);

/* The line around `offset`, shortened to a terminal's width, and below it a '^' under the place: two lines
 * without a final newline. Tabs become spaces; characters outside printable ASCII are shown as '?', so that
 * the caret stands right and hostile text cannot steer a terminal. */
void json_scan_caret(const char *text, size_t bytes, size_t offset, char *caret, size_t caret_bytes);

#endif
