/* json.h - strict reading of JSON text, for every reader in the project; of writing, what is not plain
 * printf.
 *
 *   json *root = NULL;
 *   json_report report;
 *   const json_options options = {.source = path, .max_bytes = 1 << 20};
 *   ps_status status = json_parse(text, bytes, &options, &root, &report, error);
 *   ...
 *   int64_t step;
 *   status = json_as_integer(json_find(root, "step"), "step", 0, JSON_INTEGER_MAX, &step, error);
 *   ...
 *   json_free(&root);
 *
 * The tree is cJSON's; what cJSON lets pass is refused here: anything that is not RFC 8259, text after the
 * value, numbers beyond double, a key twice in one object, invalid UTF-8, "\u0000" (it would cut a C string),
 * a byte order mark, nesting beyond JSON_DEPTH_MAX. What keys mean is left to the reader.
 *
 * Values belong to the root and live until json_free. Not shared between threads. */
#ifndef PENSTOCK_COMMON_JSON_H
#define PENSTOCK_COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    JSON_DEPTH_MAX = 64,    /* lists and objects inside each other */
    JSON_NUMBER_MAX = 63,   /* characters of one number: cJSON cuts longer ones */
    JSON_CARET_BYTES = 256, /* holds any caret text */
};

/* The whole numbers that a double carries exactly are -JSON_INTEGER_MAX ... JSON_INTEGER_MAX. */
#define JSON_INTEGER_MAX INT64_C(9007199254740991)

typedef struct cJSON json;

typedef enum { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_LIST, JSON_OBJECT } json_type;

typedef struct {
    const char *source;         /* names the text in errors: "TF_CONFIG", the path of a file */
    size_t max_bytes;           /* longer texts are refused; memory used is up to some 40 times that */
    bool allow_trailing_commas; /* [1, 2,] and {"a": 1,} pass and are reported */
} json_options;

/* Counted from 1, columns in characters; line 0: no place. */
typedef struct {
    size_t line;
    size_t column;
} json_place;

typedef struct {
    json_place trailing_comma;    /* the first one accepted */
    json_place fault;             /* of a syntax error or a repeated key */
    char caret[JSON_CARET_BYTES]; /* the faulty line and below it a '^' under the place; else empty */
} json_report;

/* Parses `bytes` of `text` (which needs no terminating zero). PS_EFORMAT with line, column and reason;
 * PS_ELIMIT above max_bytes; PS_ENOMEM. `report` may be NULL. On failure `*root` is NULL. */
ps_status json_parse(const char *text, size_t bytes, const json_options *options, json **root,
                     json_report *report, ps_error *error);

/* Frees the document and nulls the handle; NULL is fine. */
void json_free(json **root);

json_type json_type_of(const json *value);

/* "null", "a number", "a list" ... for messages; "missing" for NULL. */
const char *json_type_name(const json *value);

/* Walks a list or an object in the order of the text: first, next ..., NULL at the end. */
const json *json_first(const json *container);
const json *json_next(const json *value);

/* The key under which `value` stands in its object; NULL in a list and for the root. */
const char *json_key(const json *value);

/* Entries of a list or an object; 0 for any other value. */
size_t json_count(const json *container);

/* The value under exactly this key (upper and lower case differ), or NULL; NULL too if `object` is none. */
const json *json_find(const json *object, const char *key);

/* Whether both values are the same, keys in any order. Costs the square of an object's keys. */
bool json_equal(const json *left, const json *right);

/* Typed access. `value` may be NULL, as json_find returns it: then it is reported missing. `name` is the
 * value's full name in messages, e.g. "task.index". All fail with PS_EFORMAT, naming value and rule. */
ps_status json_as_string(const json *value, const char *name, const char **text, ps_error *error);
ps_status json_as_bool(const json *value, const char *name, bool *truth, ps_error *error);
ps_status json_as_number(const json *value, const char *name, double *number, ps_error *error);
ps_status json_as_list(const json *value, const char *name, ps_error *error);
ps_status json_as_object(const json *value, const char *name, ps_error *error);

/* A whole number within min ... max, both within +-JSON_INTEGER_MAX; 2.0 and 2e3 are whole. */
ps_status json_as_integer(const json *value, const char *name, int64_t min, int64_t max, int64_t *integer,
                          ps_error *error);

/* For what may be missing, as it is only shown: the number, or NAN if `value` (NULL too) is none; the text,
 * or `otherwise`. */
double json_number(const json *value);
const char *json_string_or(const json *value, const char *otherwise);

/* Writes `text`, which is UTF-8, as a JSON string with its quotes. */
void json_print_string(FILE *out, const char *text);

/* Writes `text`, which may be anything, as a JSON string with its quotes and a terminating zero: bytes that
 * are no UTF-8, and DEL, become '?', and what does not fit `bytes`, which are 3 or more, is cut between two
 * characters. Returns the length. Allocates nothing. */
size_t json_quote(const char *text, char *quoted, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
