/* json_write.c - see json_write.h. */
#include "common/json_write.h"

#include <inttypes.h>
#include <math.h>

#include "common/json.h"

enum { ESCAPED_MAX = 6 }; /* bytes that one of a text becomes at most */

static void begin(json_writer *w, const char *key)
{
    if (w->follows)
        fputc(',', w->out);
    w->follows = true;
    if (key)
        fprintf(w->out, "\"%s\":", key);
}

void json_open(json_writer *w, const char *key, char bracket)
{
    begin(w, key);
    fputc(bracket, w->out);
    w->follows = false;
}

void json_close(json_writer *w, char bracket)
{
    fputc(bracket, w->out);
    w->follows = true;
}

void json_put_null(json_writer *w, const char *key)
{
    begin(w, key);
    fputs("null", w->out);
}

void json_put_bool(json_writer *w, const char *key, bool truth)
{
    begin(w, key);
    fputs(truth ? "true" : "false", w->out);
}

void json_put_count(json_writer *w, const char *key, uint64_t number)
{
    begin(w, key);
    fprintf(w->out, "%" PRIu64, number);
}

void json_put_real(json_writer *w, const char *key, double number)
{
    begin(w, key);
    if (isfinite(number))
        fprintf(w->out, "%.9g", number);
    else
        fputs("null", w->out);
}

void json_put_text(json_writer *w, const char *key, const char *text)
{
    char quoted[JSON_TEXT_MAX * ESCAPED_MAX + 3];
    begin(w, key);
    if (text)
        json_quote(text, quoted, sizeof quoted);
    fputs(text ? quoted : "null", w->out);
}

void json_put_raw(json_writer *w, const char *key, const char *text, size_t bytes)
{
    begin(w, key);
    fwrite(text, 1, bytes, w->out);
}

void json_put_digits(json_writer *w, const char *key, uint64_t number)
{
    begin(w, key);
    fprintf(w->out, "\"%" PRIu64 "\"", number);
}
