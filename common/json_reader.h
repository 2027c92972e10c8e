/* json_reader.h - reads JSON in one pass, without a tree: for texts that are long lists of numbers.
 *
 *   json_reader r;
 *   char key[32];
 *   json_reader_init(&r, text, bytes);
 *   if (json_read_enter(&r, '{'))
 *       while (json_read_next(&r, '}') && json_read_key(&r, key, sizeof key))
 *           if (strcmp(key, "rows") == 0)
 *               json_read_integer(&r, 100, &rows);
 *           else
 *               json_read_skip(&r);
 *   json_read_end(&r);
 *   if (r.failed)
 *       return json_reader_fail(&r, "the request", error);
 *
 * As strict as json.h, but for keys that are given twice: who knows the keys sees to that. All functions
 * return false, and do nothing, once one has failed. Allocates nothing. */
#ifndef PENSTOCK_COMMON_JSON_READER_H
#define PENSTOCK_COMMON_JSON_READER_H

#include "common/json_scan.h"
#include "common/status.h"

typedef struct {
    bool failed;
    /* private */
    bool fresh; /* a container was entered, and nothing of it read yet */
    json_scan scan;
} json_reader;

/* `text` is borrowed. */
void json_reader_init(json_reader *r, const char *text, size_t bytes);

/* PS_EFORMAT: "<source>: line 1, column 7: what is wrong there". */
ps_status json_reader_fail(const json_reader *r, const char *source, ps_error *error);

/* The first character of the value at the cursor; '\0' if there is none. */
char json_read_peek(json_reader *r);

/* Goes into a list or an object: '[' or '{'. */
bool json_read_enter(json_reader *r, char open);

/* Is there another entry? False at the end, which is passed then. ']' or '}'. */
bool json_read_next(json_reader *r, char close);

/* The key of the entry of an object; one that does not fit `bytes` is told as "". */
bool json_read_key(json_reader *r, char *key, size_t bytes);

/* A string, its escapes resolved; one that does not fit is a fault. */
bool json_read_string(json_reader *r, char *text, size_t bytes);

/* A string as it stands there, with its quotes. */
bool json_read_raw_string(json_reader *r, const char **text, size_t *bytes);

/* A whole number from 0 to `most`, written in digits alone. */
bool json_read_integer(json_reader *r, uint64_t most, uint64_t *value);

/* A number that is finite as float. */
bool json_read_float(json_reader *r, float *value);

bool json_read_bool(json_reader *r, bool *value);

/* Passes any value. */
bool json_read_skip(json_reader *r);

/* Nothing may follow. */
bool json_read_end(json_reader *r);

/* Where the cursor is, and back there: for what cannot be read before something behind it is known. */
size_t json_read_place(const json_reader *r);
void json_read_return(json_reader *r, size_t place);

#endif
