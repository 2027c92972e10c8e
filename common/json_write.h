/* json_write.h - writing JSON: brackets, commas and escapes, so that no caller counts them.
 *
 *   json_writer w = {.out = out};
 *   json_open(&w, NULL, '{');
 *   json_put_count(&w, "step", 17);
 *   json_put_real(&w, "loss", NAN);     // null
 *   json_close(&w, '}');
 *
 * `key` is NULL in a list and for the root; keys are plain ASCII without quotes. Texts may be anything, and
 * are cut at JSON_TEXT_MAX bytes. */
#ifndef PENSTOCK_COMMON_JSON_WRITE_H
#define PENSTOCK_COMMON_JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { JSON_TEXT_MAX = 1023 };

typedef struct {
    FILE *out;
    bool follows; /* what comes next stands behind another entry */
} json_writer;

/* bracket: '{' or '[', and its counterpart. */
void json_open(json_writer *w, const char *key, char bracket);
void json_close(json_writer *w, char bracket);

void json_put_null(json_writer *w, const char *key);
void json_put_bool(json_writer *w, const char *key, bool truth);
void json_put_count(json_writer *w, const char *key, uint64_t number);

/* null if it is no finite number. */
void json_put_real(json_writer *w, const char *key, double number);

/* null if `text` is NULL. */
void json_put_text(json_writer *w, const char *key, const char *text);

/* What is JSON already. */
void json_put_raw(json_writer *w, const char *key, const char *text, size_t bytes);

/* A number beyond what a double holds, as a string of digits. */
void json_put_digits(json_writer *w, const char *key, uint64_t number);

#endif
