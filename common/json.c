/* json.c - see json.h. The scanner judges the text, cJSON builds the tree, and one walk over the tree finds
 * repeated keys, because only there are escapes resolved ("a" and "\u0061" are the same key). */
#include "common/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_scan.h"
#include "common/utf8.h"

typedef struct {
    const char *key;
    size_t ordinal; /* of all keys of the text, as the scanner counts them */
} key_entry;

static int compare_keys(const void *left, const void *right)
{
    const key_entry *a = left;
    const key_entry *b = right;
    const int order = strcmp(a->key, b->key);
    return order ? order : (a->ordinal > b->ordinal) - (a->ordinal < b->ordinal);
}

/* The entry that repeats an earlier one and comes first in the text, or NULL. Sorts the entries. */
static const key_entry *first_repeat(key_entry *entries, size_t count)
{
    qsort(entries, count, sizeof *entries, compare_keys);
    const key_entry *repeat = NULL;
    for (size_t i = 1; i < count; i++)
        if (strcmp(entries[i - 1].key, entries[i].key) == 0 &&
            (!repeat || entries[i].ordinal < repeat->ordinal))
            repeat = &entries[i];
    return repeat;
}

/* Looks for a repeated key in `value` and all below it; recursion is bounded by JSON_DEPTH_MAX. `ordinal`
 * counts the keys passed. PS_EFORMAT leaves the repeat in `found`. */
static ps_status find_repeated_key(const cJSON *value, size_t *ordinal, key_entry *found)
{
    ps_status status = PS_OK;
    const size_t count = cJSON_IsObject(value) ? json_count(value) : 0;
    key_entry *entries = NULL;
    if (count > 0 && !(entries = malloc(count * sizeof *entries)))
        return PS_ENOMEM;
    size_t used = 0;
    for (const cJSON *child = json_first(value); child && !status; child = child->next) {
        if (entries)
            entries[used++] = (key_entry){child->string, (*ordinal)++};
        status = find_repeated_key(child, ordinal, found);
    }
    const key_entry *repeat = entries && !status ? first_repeat(entries, used) : NULL;
    if (repeat) {
        *found = *repeat;
        status = PS_EFORMAT;
    }
    free(entries);
    return status;
}

static ps_status fail_at(const json_scan *scan, size_t offset, const json_options *options,
                         const char *reason, json_report *report, ps_error *error)
{
    report->fault = json_scan_place(scan->text, offset);
    json_scan_caret(scan->text, scan->bytes, offset, report->caret, sizeof report->caret);
    return ps_fail(error, PS_EFORMAT, "%s: line %zu, column %zu: %s", options->source, report->fault.line,
                   report->fault.column, reason);
}

static ps_status refuse_repeated_key(json_scan *scan, const json *root, const json_options *options,
                                     json_report *report, ps_error *error)
{
    size_t ordinal = 0;
    key_entry repeat;
    const ps_status status = find_repeated_key(root, &ordinal, &repeat);
    if (status == PS_ENOMEM)
        return ps_fail(error, PS_ENOMEM, "%s: out of memory while parsing", options->source);
    if (!status)
        return PS_OK;
    scan->wanted_key = repeat.ordinal;
    json_scan_run(scan); /* passed before, so only tells where that key stands */
    char reason[160];
    snprintf(reason, sizeof reason, "the key \"%.100s\" is given twice", repeat.key);
    return fail_at(scan, scan->key_offset, options, reason, report, error);
}

ps_status json_parse(const char *text, size_t bytes, const json_options *options, json **root,
                     json_report *report, ps_error *error)
{
    json_report unasked;
    if (!report)
        report = &unasked;
    memset(report, 0, sizeof *report);
    *root = NULL;
    if (bytes > options->max_bytes)
        return ps_fail(error, PS_ELIMIT, "%s: JSON of %zu bytes; at most %zu are accepted", options->source,
                       bytes, options->max_bytes);
    ps_status status;
    char *clean = malloc(bytes + 1);
    if (!clean) {
        status = ps_fail(error, PS_ENOMEM, "%s: out of memory while parsing", options->source);
        goto out;
    }
    memcpy(clean, text, bytes);
    clean[bytes] = '\0';

    json_scan scan = {.text = text,
                      .bytes = bytes,
                      .allow_trailing_commas = options->allow_trailing_commas,
                      .clean = clean,
                      .wanted_key = JSON_SCAN_NOWHERE};
    if (!json_scan_run(&scan)) {
        status = fail_at(&scan, scan.fault, options, scan.reason, report, error);
        goto out;
    }
    if (scan.trailing_comma != JSON_SCAN_NOWHERE)
        report->trailing_comma = json_scan_place(text, scan.trailing_comma);

    /* The scanner accepts nothing that cJSON refuses, so what is left to fail is memory. */
    *root = cJSON_ParseWithLength(clean, bytes + 1);
    status = *root ? refuse_repeated_key(&scan, *root, options, report, error)
                   : ps_fail(error, PS_ENOMEM, "%s: out of memory while parsing", options->source);
out:
    if (status)
        json_free(root);
    free(clean);
    return status;
}

void json_free(json **root)
{
    cJSON_Delete(*root);
    *root = NULL;
}

json_type json_type_of(const json *value)
{
    if (cJSON_IsBool(value))
        return JSON_BOOL;
    if (cJSON_IsNumber(value))
        return JSON_NUMBER;
    if (cJSON_IsString(value))
        return JSON_STRING;
    if (cJSON_IsArray(value))
        return JSON_LIST;
    return cJSON_IsObject(value) ? JSON_OBJECT : JSON_NULL;
}

const char *json_type_name(const json *value)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",       [JSON_BOOL] = "true or false", [JSON_NUMBER] = "a number",
        [JSON_STRING] = "a string", [JSON_LIST] = "a list",        [JSON_OBJECT] = "an object",
    };
    return value ? names[json_type_of(value)] : "missing";
}

const json *json_first(const json *container)
{
    return cJSON_IsArray(container) || cJSON_IsObject(container) ? container->child : NULL;
}

const json *json_next(const json *value)
{
    return value->next;
}

const char *json_key(const json *value)
{
    return value->string;
}

size_t json_count(const json *container)
{
    size_t count = 0;
    for (const json *value = json_first(container); value; value = json_next(value))
        count++;
    return count;
}

const json *json_find(const json *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

bool json_equal(const json *left, const json *right)
{
    return cJSON_Compare(left, right, true);
}

static ps_status require_type(const json *value, const char *name, json_type type, const char *expected,
                              ps_error *error)
{
    if (value && json_type_of(value) == type)
        return PS_OK;
    if (!value)
        return ps_fail(error, PS_EFORMAT, "%s is missing; it must be %s", name, expected);
    return ps_fail(error, PS_EFORMAT, "%s must be %s, not %s", name, expected, json_type_name(value));
}

ps_status json_as_string(const json *value, const char *name, const char **text, ps_error *error)
{
    const ps_status status = require_type(value, name, JSON_STRING, "a string", error);
    if (!status)
        *text = value->valuestring;
    return status;
}

ps_status json_as_bool(const json *value, const char *name, bool *truth, ps_error *error)
{
    const ps_status status = require_type(value, name, JSON_BOOL, "true or false", error);
    *truth = status == PS_OK && cJSON_IsTrue(value);
    return status;
}

ps_status json_as_number(const json *value, const char *name, double *number, ps_error *error)
{
    const ps_status status = require_type(value, name, JSON_NUMBER, "a number", error);
    if (!status)
        *number = value->valuedouble;
    return status;
}

double json_number(const json *value)
{
    return value && json_type_of(value) == JSON_NUMBER ? value->valuedouble : (double)NAN;
}

const char *json_string_or(const json *value, const char *otherwise)
{
    return value && json_type_of(value) == JSON_STRING ? value->valuestring : otherwise;
}

ps_status json_as_list(const json *value, const char *name, ps_error *error)
{
    return require_type(value, name, JSON_LIST, "a list", error);
}

ps_status json_as_object(const json *value, const char *name, ps_error *error)
{
    return require_type(value, name, JSON_OBJECT, "an object", error);
}

ps_status json_as_integer(const json *value, const char *name, int64_t min, int64_t max, int64_t *integer,
                          ps_error *error)
{
    char expected[80];
    snprintf(expected, sizeof expected, "a whole number from %lld to %lld", (long long)min, (long long)max);
    const ps_status status = require_type(value, name, JSON_NUMBER, expected, error);
    if (status)
        return status;
    const double number = value->valuedouble;
    if (!(number >= (double)min && number <= (double)max) || floor(number) != number)
        return ps_fail(error, PS_EFORMAT, "%s must be %s, not %.17g", name, expected, number);
    *integer = (int64_t)number;
    return PS_OK;
}

void json_print_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            fprintf(out, "\\u%04x", (unsigned)*c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

size_t json_quote(const char *text, char *quoted, size_t bytes)
{
    const size_t end = bytes - 2; /* the closing quote and the zero go behind it */
    size_t used = 0;
    size_t left = strlen(text);
    quoted[used++] = '"';
    while (left > 0) {
        char piece[8];
        const unsigned char c = (unsigned char)*text;
        size_t taken = utf8_length(text, left);
        size_t length = 1;
        if (c == '"' || c == '\\')
            length = (size_t)snprintf(piece, sizeof piece, "\\%c", c);
        else if (c < 0x20)
            length = (size_t)snprintf(piece, sizeof piece, "\\u%04x", c);
        else if (taken == 0 || c == 0x7f)
            piece[0] = '?';
        else
            memcpy(piece, text, length = taken);
        if (used + length > end)
            break;
        memcpy(quoted + used, piece, length);
        used += length;
        taken += taken == 0;
        text += taken;
        left -= taken;
    }
    quoted[used++] = '"';
    quoted[used] = '\0';
    return used;
}
