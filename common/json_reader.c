/* json_reader.c - see json_reader.h. What is read in great numbers is read here; for the rest, and for what
 * is wrong, there is the scanner. */
#include "common/json_reader.h"

#include <math.h>
#include <string.h>

#include "common/decimal.h"

void json_reader_init(json_reader *r, const char *text, size_t bytes)
{
    *r = (json_reader){.scan = {.text = text, .bytes = bytes, .wanted_key = JSON_SCAN_NOWHERE}};
    r->failed = !json_scan_begin(&r->scan);
}

ps_status json_reader_fail(const json_reader *r, const char *source, ps_error *error)
{
    const json_place at = json_scan_place(r->scan.text, r->scan.fault);
    return ps_fail(error, PS_EFORMAT, "%s: line %zu, column %zu: %s", source, at.line, at.column,
                   r->scan.reason);
}

/* Takes note of a failure. */
static bool note(json_reader *r, bool well)
{
    r->failed = r->failed || !well;
    return well;
}

static bool expected(json_reader *r, const char *what)
{
    return note(r, json_scan_expected(&r->scan, what));
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

char json_read_peek(json_reader *r)
{
    json_scan *s = &r->scan;
    while (s->at < s->bytes && is_blank(s->text[s->at]))
        s->at++;
    return !r->failed && s->at < s->bytes ? s->text[s->at] : '\0';
}

/* The value at the cursor has been passed. */
static bool passed(json_reader *r)
{
    r->fresh = false;
    return true;
}

bool json_read_enter(json_reader *r, char open)
{
    json_scan *s = &r->scan;
    if (r->failed)
        return false;
    if (json_read_peek(r) != open)
        return expected(r, open == '{' ? "an object" : "a list");
    if (++s->depth > JSON_DEPTH_MAX)
        return note(r, json_scan_fail(s, s->at, "nested more than %d deep", JSON_DEPTH_MAX));
    s->at++;
    return r->fresh = true;
}

bool json_read_next(json_reader *r, char close)
{
    json_scan *s = &r->scan;
    if (r->failed)
        return false;
    const char first = json_read_peek(r);
    if (first == close) {
        s->at++;
        s->depth--;
        passed(r);
        return false;
    }
    if (r->fresh)
        return true;
    if (first != ',')
        return expected(r, close == '}' ? "',' or '}'" : "',' or ']'");
    const size_t comma = s->at++;
    if (json_read_peek(r) == close)
        return note(r, json_scan_fail(s, comma, "a comma before the closing '%c'; remove it", close));
    return true;
}

/* ---- strings ---- */

/* Four hexadecimal digits that the scanner has passed. */
static uint32_t hex4(const char *digits)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        const uint32_t c = (unsigned char)digits[i];
        value = value * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

static size_t print_utf8(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    const size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((0xf00 >> length & 0xff) | c);
    return length;
}

/* What the escape at `raw` stands for; `taken`: its length. */
static size_t resolve_escape(const char *raw, char out[4], size_t *taken)
{
    static const char plain[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    *taken = 2;
    if (raw[1] != 'u') {
        out[0] = means[strchr(plain, raw[1]) - plain];
        return 1;
    }
    uint32_t c = hex4(raw + 2);
    *taken = 6;
    if (c >= 0xd800 && c <= 0xdfff) {
        c = 0x10000 + ((c - 0xd800) << 10) + (hex4(raw + 8) - 0xdc00);
        *taken = 12;
    }
    return print_utf8(c, out);
}

/* The inside of a string that the scanner has passed; false if it does not fit. */
static bool resolve(const char *raw, size_t length, char *text, size_t bytes)
{
    size_t used = 0;
    for (size_t i = 0, taken; i < length; i += taken) {
        char piece[4] = {raw[i]};
        taken = 1;
        const size_t count = raw[i] == '\\' ? resolve_escape(raw + i, piece, &taken) : 1;
        if (used + count >= bytes)
            return false;
        memcpy(text + used, piece, count);
        used += count;
    }
    text[used] = '\0';
    return true;
}

bool json_read_raw_string(json_reader *r, const char **text, size_t *bytes)
{
    if (r->failed)
        return false;
    if (json_read_peek(r) != '"')
        return expected(r, "a string");
    const size_t start = r->scan.at;
    if (!note(r, json_scan_value(&r->scan)))
        return false;
    *text = r->scan.text + start;
    *bytes = r->scan.at - start;
    return passed(r);
}

bool json_read_string(json_reader *r, char *text, size_t bytes)
{
    const char *raw = NULL;
    size_t length = 0;
    if (!json_read_raw_string(r, &raw, &length))
        return false;
    if (resolve(raw + 1, length - 2, text, bytes))
        return true;
    return note(r, json_scan_fail(&r->scan, (size_t)(raw - r->scan.text),
                                  "a string of more than %zu bytes, which is none that is known here",
                                  bytes - 1));
}

bool json_read_key(json_reader *r, char *key, size_t bytes)
{
    const char *raw = NULL;
    size_t length = 0;
    if (r->failed)
        return false;
    if (json_read_peek(r) != '"')
        return expected(r, "a key in double quotes");
    if (!json_read_raw_string(r, &raw, &length))
        return false;
    if (!resolve(raw + 1, length - 2, key, bytes))
        key[0] = '\0';
    if (json_read_peek(r) != ':')
        return expected(r, "':' after the key");
    r->scan.at++;
    return true;
}

/* ---- numbers and the rest ---- */

/* The number at the cursor is none, or none that will do: what the scanner has against it, or `reason`. */
static bool refuse_number(json_reader *r, const char *reason)
{
    const size_t start = r->scan.at;
    const char first = json_read_peek(r);
    if (first != '-' && (first < '0' || first > '9'))
        return expected(r, "a number");
    return note(r, json_scan_value(&r->scan) && json_scan_fail(&r->scan, start, "%s", reason));
}

/* May a number end here? Where it may not, the scanner says why. */
static bool is_number_end(const json_scan *s, const char *behind)
{
    return behind == s->text + s->bytes || *behind == ',' || *behind == ']' || *behind == '}' ||
           is_blank(*behind);
}

bool json_read_integer(json_reader *r, uint64_t most, uint64_t *value)
{
    const char start = json_read_peek(r);
    json_scan *s = &r->scan;
    const char *at = s->text + s->at, *end = s->text + s->bytes;
    const uint64_t tenth = most / 10;
    uint64_t number = 0;
    if (r->failed)
        return false;
    bool fits =
        start >= '0' && start <= '9' && !(start == '0' && at + 1 < end && at[1] >= '0' && at[1] <= '9');
    for (; at < end && *at >= '0' && *at <= '9' && fits; at++) {
        const uint64_t digit = (uint64_t)(*at - '0');
        fits = number < tenth || (number == tenth && digit <= most % 10);
        number = 10 * number + digit;
    }
    if (!fits || !is_number_end(s, at)) {
        char reason[80];
        snprintf(reason, sizeof reason, "expected a whole number from 0 to %llu", (unsigned long long)most);
        return refuse_number(r, reason);
    }
    s->at = (size_t)(at - s->text);
    *value = number;
    return passed(r);
}

bool json_read_float(json_reader *r, float *value)
{
    json_read_peek(r);
    json_scan *s = &r->scan;
    if (r->failed)
        return false;
    const char *behind = decimal_read_float(s->text + s->at, s->text + s->bytes, value);
    if (!behind || !is_number_end(s, behind) || !isfinite(*value))
        return refuse_number(r, "number too large for FP32");
    s->at = (size_t)(behind - s->text);
    return passed(r);
}

bool json_read_bool(json_reader *r, bool *value)
{
    const char first = json_read_peek(r);
    if (r->failed)
        return false;
    if (first != 't' && first != 'f')
        return expected(r, "true or false");
    *value = first == 't';
    return json_read_skip(r);
}

bool json_read_skip(json_reader *r)
{
    json_read_peek(r);
    return !r->failed && note(r, json_scan_value(&r->scan)) && passed(r);
}

bool json_read_end(json_reader *r)
{
    return !r->failed && note(r, json_scan_end(&r->scan));
}

size_t json_read_place(const json_reader *r)
{
    return r->scan.at;
}

void json_read_return(json_reader *r, size_t place)
{
    r->scan.at = place;
}
