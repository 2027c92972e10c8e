/* json_scan.c - see json_scan.h. Recursive descent, bounded by JSON_DEPTH_MAX. */
#include "common/json_scan.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

enum { CARET_WIDTH = 76 }; /* columns of source line shown */

static bool at_end(const json_scan *s)
{
    return s->at >= s->bytes;
}

/* The byte at the cursor, or -1 at the end. */
static int peek(const json_scan *s)
{
    return at_end(s) ? -1 : (unsigned char)s->text[s->at];
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(json_scan *s)
{
    while (is_blank(peek(s)))
        s->at++;
}

bool json_scan_fail(json_scan *s, size_t offset, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    s->fault = offset;
    vsnprintf(s->reason, sizeof s->reason, format, arguments);
    va_end(arguments);
    return false;
}

/* At the end of the text the place is right behind the last word. */
bool json_scan_expected(json_scan *s, const char *expected)
{
    const int c = peek(s);
    if (c < 0) {
        size_t end = s->bytes;
        while (end > 0 && is_blank((unsigned char)s->text[end - 1]))
            end--;
        return json_scan_fail(s, end, "expected %s, but the text ends", expected);
    }
    if (c == '/' || c == '#')
        return json_scan_fail(s, s->at, "JSON has no comments");
    if (c == '\'')
        return json_scan_fail(s, s->at, "text must be in double quotes, not single ones");
    if (s->bytes - s->at >= 3 && memcmp(s->text + s->at, "\xe2\x80", 2) == 0)
        return json_scan_fail(s, s->at, "text must be in plain double quotes, not typographic ones");
    if (c > 0x20 && c < 0x7f)
        return json_scan_fail(s, s->at, "expected %s, found '%c'", expected, c);
    return json_scan_fail(s, s->at, "expected %s, found byte 0x%02x", expected, (unsigned)c);
}

/* The value of the four hexadecimal digits at `offset`, or -1. */
static int hex4(const json_scan *s, size_t offset)
{
    int value = 0;
    for (size_t i = offset; i < offset + 4; i++) {
        const int c = i < s->bytes ? (unsigned char)s->text[i] : -1;
        if (is_digit(c))
            value = value * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            value = value * 16 + (c - 'A' + 10);
        else
            return -1;
    }
    return value;
}

/* \uXXXX at the cursor, or the pair of them that makes a character above U+FFFF. */
static bool scan_unicode_escape(json_scan *s)
{
    const size_t start = s->at;
    const int unit = hex4(s, start + 2);
    if (unit < 0)
        return json_scan_fail(s, start, "\\u needs four hexadecimal digits");
    if (unit == 0)
        return json_scan_fail(s, start, "\\u0000 is not accepted: it would cut the text short");
    s->at += 6;
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    const bool paired = s->bytes - s->at >= 6 && s->text[s->at] == '\\' && s->text[s->at + 1] == 'u';
    const int low = paired ? hex4(s, s->at + 2) : -1;
    if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return json_scan_fail(s, start, "half a surrogate pair is no character");
    s->at += 6;
    return true;
}

static bool scan_escape(json_scan *s)
{
    const int c = s->at + 1 < s->bytes ? (unsigned char)s->text[s->at + 1] : 0;
    if (c == 'u')
        return scan_unicode_escape(s);
    if (c == 0 || !strchr("\"\\/bfnrt", c))
        return json_scan_fail(s, s->at, "unknown escape after '\\'");
    s->at += 2;
    return true;
}

static bool scan_string(json_scan *s)
{
    const size_t start = s->at++;
    for (;;) {
        const int c = peek(s);
        if (c < 0)
            return json_scan_fail(s, start, "this string is never closed");
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c == '\n' || c == '\r')
            return json_scan_fail(s, start, "this string is not closed on its line");
        if (c < 0x20)
            return json_scan_fail(s, s->at, "control character 0x%02x in a string", (unsigned)c);
        if (c == '\\') {
            if (!scan_escape(s))
                return false;
            continue;
        }
        const size_t length = utf8_length(s->text + s->at, s->bytes - s->at);
        if (length == 0)
            return json_scan_fail(s, s->at, "byte 0x%02x is not UTF-8", (unsigned)c);
        s->at += length;
    }
}

static bool skip_digits(json_scan *s)
{
    const size_t start = s->at;
    while (is_digit(peek(s)))
        s->at++;
    return s->at > start;
}

static bool scan_number(json_scan *s)
{
    const size_t start = s->at;
    if (peek(s) == '-')
        s->at++;
    const bool zero = peek(s) == '0';
    const size_t digits = s->at;
    if (!skip_digits(s))
        return json_scan_expected(s, "a digit");
    if (zero && s->at > digits + 1)
        return json_scan_fail(s, start, "a number must not start with 0 and another digit");
    if (peek(s) == '.') {
        s->at++;
        if (!skip_digits(s))
            return json_scan_expected(s, "a digit after the point");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        if (!skip_digits(s))
            return json_scan_expected(s, "a digit of the exponent");
    }
    if (is_word(peek(s)))
        return json_scan_fail(s, start, "not a decimal number");
    char number[JSON_NUMBER_MAX + 1];
    const size_t length = s->at - start;
    if (length > JSON_NUMBER_MAX)
        return json_scan_fail(s, start, "a number of %zu characters; at most %d are accepted", length,
                              JSON_NUMBER_MAX);
    memcpy(number, s->text + start, length);
    number[length] = '\0';
    if (!isfinite(strtod(number, NULL)))
        return json_scan_fail(s, start, "number too large for a double");
    return true;
}

static bool scan_word(json_scan *s)
{
    static const struct {
        const char *word, *hint; /* no hint: a word of JSON */
    } words[] = {
        {"true", NULL},
        {"false", NULL},
        {"null", NULL},
        {"True", "JSON writes true"},
        {"False", "JSON writes false"},
        {"None", "JSON writes null"},
        {"NaN", "JSON has finite numbers only"},
        {"Infinity", "JSON has finite numbers only"},
    };
    const size_t start = s->at;
    while (is_word(peek(s)))
        s->at++;
    const size_t length = s->at - start;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i].word) != length || memcmp(words[i].word, s->text + start, length) != 0)
            continue;
        return words[i].hint ? json_scan_fail(s, start, "'%s' is not JSON: %s", words[i].word, words[i].hint)
                             : true;
    }
    return json_scan_fail(s, start, "a text value must be in double quotes");
}

/* Whether a comma at `comma`, directly before the closing character at the cursor, may pass. */
static bool take_trailing_comma(json_scan *s, size_t comma)
{
    if (!s->allow_trailing_commas)
        return json_scan_fail(s, comma, "a comma before the closing '%c'; remove it", peek(s));
    if (s->trailing_comma == JSON_SCAN_NOWHERE)
        s->trailing_comma = comma;
    if (s->clean)
        s->clean[comma] = ' ';
    return true;
}

static bool scan_key(json_scan *s)
{
    if (peek(s) != '"')
        return json_scan_expected(s, "a key in double quotes");
    if (s->keys++ == s->wanted_key)
        s->key_offset = s->at;
    if (!scan_string(s))
        return false;
    skip_blanks(s);
    if (peek(s) != ':')
        return json_scan_expected(s, "':' after the key");
    s->at++;
    skip_blanks(s);
    return true;
}

static bool scan_container(json_scan *s, char close, const char *separators)
{
    if (++s->depth > JSON_DEPTH_MAX)
        return json_scan_fail(s, s->at, "nested more than %d deep", JSON_DEPTH_MAX);
    s->at++;
    skip_blanks(s);
    if (peek(s) != close) {
        for (;;) {
            if (close == '}' && !scan_key(s))
                return false;
            if (!json_scan_value(s))
                return false;
            skip_blanks(s);
            if (peek(s) == close)
                break;
            if (peek(s) != ',')
                return json_scan_expected(s, separators);
            const size_t comma = s->at++;
            skip_blanks(s);
            if (peek(s) != close)
                continue;
            if (!take_trailing_comma(s, comma))
                return false;
            break;
        }
    }
    s->at++;
    s->depth--;
    return true;
}

bool json_scan_value(json_scan *s)
{
    const int c = peek(s);
    if (c == '{')
        return scan_container(s, '}', "',' or '}'");
    if (c == '[')
        return scan_container(s, ']', "',' or ']'");
    if (c == '"')
        return scan_string(s);
    if (c == '-' || is_digit(c))
        return scan_number(s);
    if (is_word(c))
        return scan_word(s);
    return json_scan_expected(s, "a value");
}

bool json_scan_begin(json_scan *s)
{
    s->key_offset = s->trailing_comma = s->fault = JSON_SCAN_NOWHERE;
    s->reason[0] = '\0';
    s->at = s->keys = 0;
    s->depth = 0;
    if (s->bytes >= 3 && memcmp(s->text, "\xef\xbb\xbf", 3) == 0)
        return json_scan_fail(s, 0, "the text starts with a byte order mark; save it without one");
    skip_blanks(s);
    if (at_end(s))
        return json_scan_fail(s, 0, "the text is empty");
    return true;
}

bool json_scan_end(json_scan *s)
{
    skip_blanks(s);
    return at_end(s) ? true : json_scan_fail(s, s->at, "more text after the end of the value");
}

bool json_scan_run(json_scan *s)
{
    return json_scan_begin(s) && json_scan_value(s) && json_scan_end(s);
}

static bool starts_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

static size_t line_start(const char *text, size_t offset)
{
    while (offset > 0 && text[offset - 1] != '\n')
        offset--;
    return offset;
}

/* Past the last byte of the line that starts at `start`, without its newline and carriage return. */
static size_t line_end(const char *text, size_t bytes, size_t start)
{
    const char *newline = start < bytes ? memchr(text + start, '\n', bytes - start) : NULL;
    const size_t end = newline ? (size_t)(newline - text) : bytes;
    return end > start && text[end - 1] == '\r' ? end - 1 : end;
}

json_place json_scan_place(const char *text, size_t offset)
{
    json_place place = {.line = 1, .column = 1};
    for (size_t i = 0; i < offset; i++)
        if (text[i] == '\n')
            place.line++;
    for (size_t i = line_start(text, offset); i < offset; i++)
        place.column += starts_character(text[i]);
    return place;
}

/* One column a character: see the header for what is shown. */
static char shown(char c)
{
    if (c == '\t')
        return ' ';
    return c >= 0x20 && c < 0x7f ? c : '?';
}

void json_scan_caret(const char *text, size_t bytes, size_t offset, char *caret, size_t caret_bytes)
{
    const size_t start = line_start(text, offset);
    const size_t end = line_end(text, bytes, start);
    const size_t column = json_scan_place(text, offset).column - 1;
    /* Columns first ... first + CARET_WIDTH - 1 are shown, with the place in the middle of a long line. */
    const size_t first = column > CARET_WIDTH / 2 ? column - CARET_WIDTH / 2 : 0;
    char line[CARET_WIDTH + 1];
    size_t width = 0;
    size_t at = 0;
    size_t i = start;
    for (; i < end; i++) {
        if (!starts_character(text[i]))
            continue;
        if (at >= first && width == CARET_WIDTH)
            break;
        if (at++ >= first)
            line[width++] = shown(text[i]);
    }
    line[width] = '\0';
    const int indent = (int)(column - first) + (first > 0 ? 3 : 0);
    snprintf(caret, caret_bytes, "%s%s%s\n%*s^", first > 0 ? "..." : "", line, i < end ? "..." : "", indent,
             "");
}
