/* check_report.c - is a report of penstock-bench whole? Judges no figure.
 *
 *   check_report FILE ROWS POINTS CASE...
 *
 * There must be at least so many rows and points, with every field of the schema in README.md; every constant
 * a number; and rows of these cases, judged where something is wanted of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json.h"
#include "tests/bench/results.h"

enum { REPORT_BYTES_MAX = 1 << 20 };

static void require(bool held, const char *what, const char *where)
{
    if (held)
        return;
    fprintf(stderr, "check_report: %s: %s\n", where, what);
    exit(EXIT_FAILURE);
}

static void require_number(const json *object, const char *key, bool or_null)
{
    json_type type = json_type_of(json_find(object, key));
    require(json_find(object, key) && (type == JSON_NUMBER || (or_null && type == JSON_NULL)),
            "is missing or no number", key);
}

static void check_rows(const json *rows, size_t wanted)
{
    static const char *const figures[] = {"penstock",       "floor",       "ratio",     "wanted",
                                          "cpu_penstock",   "cpu_floor",   "cpu_ratio", "cpu_wanted",
                                          "resident_bytes", "stored_bytes"};
    require(json_count(rows) >= wanted, "there are too few", "rows");
    for (const json *row = json_first(rows); row; row = json_next(row)) {
        const json *met = json_find(row, "met");
        require(json_type_of(json_find(row, "case")) == JSON_STRING, "is missing", "case");
        require(json_type_of(json_find(row, "unit")) == JSON_STRING, "is missing", "unit");
        require_number(row, "bytes", false);
        for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
            require_number(row, figures[i], true);
        if (json_type_of(json_find(row, "wanted")) == JSON_NUMBER) {
            require_number(row, "ratio", false);
            require(json_type_of(met) == JSON_BOOL, "is missing where something is wanted", "met");
        }
    }
}

static void check_points(const json *points, size_t wanted)
{
    static const char *const figures[] = {"servers",     "workers",   "model_bytes",
                                          "slice_bytes", "compute_s", "step_s"};
    require(json_count(points) >= wanted, "there are too few", "plan_points");
    for (const json *point = json_first(points); point; point = json_next(point)) {
        require(json_type_of(json_find(point, "transport")) == JSON_STRING, "is missing", "transport");
        for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
            require_number(point, figures[i], false);
    }
}

static void check_case(const json *rows, const char *name)
{
    const char *text = "";
    for (const json *row = json_first(rows); row; row = json_next(row))
        if (json_as_string(json_find(row, "case"), "case", &text, NULL) == PS_OK && strcmp(text, name) == 0)
            return;
    require(false, "there is no row of this case", name);
}

int main(int argc, char **argv)
{
    char *text;
    size_t bytes;
    json *root;
    ps_error error;
    require(argc >= 4, "usage: check_report FILE ROWS POINTS CASE...", "arguments");
    require(file_read(argv[1], REPORT_BYTES_MAX, &text, &bytes, &error) == PS_OK, error.text, argv[1]);
    const json_options options = {.source = argv[1], .max_bytes = REPORT_BYTES_MAX};
    require(json_parse(text, bytes, &options, &root, NULL, &error) == PS_OK, error.text, argv[1]);
    const char *schema = "";
    json_as_string(json_find(root, "schema"), "schema", &schema, NULL);
    require(strcmp(schema, "penstock-bench/1") == 0, "is not penstock-bench/1", "schema");
    require_number(json_find(root, "host"), "cores", false);
    require_number(json_find(root, "constants"), "cores", false);
#define CONSTANT_CHECK(name) require_number(json_find(root, "constants"), #name, false);
    CONSTANT_LIST(CONSTANT_CHECK)
#undef CONSTANT_CHECK
    check_rows(json_find(root, "rows"), strtoul(argv[2], NULL, 10));
    check_points(json_find(root, "plan_points"), strtoul(argv[3], NULL, 10));
    for (int i = 4; i < argc; i++)
        check_case(json_find(root, "rows"), argv[i]);
    json_free(&root);
    free(text);
    return EXIT_SUCCESS;
}
