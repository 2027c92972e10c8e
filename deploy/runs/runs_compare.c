/* runs_compare.c - what is different between runs: a line for each thing, a column for each run. See
 * runs_print.h. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/runs/run_view.h"
#include "deploy/runs/runs_print.h"

enum {
    OPTIONS_MAX = 64,   /* different ones that are compared */
    VALUE_BYTES = 128,  /* of an option, as it is compared */
    HASH_DIGITS = 12,   /* of data, for a person */
    COLUMN_WIDTH = 22,  /* that of an id */
    HEADING_WIDTH = 24, /* of the first column */
};

typedef struct {
    char key[VALUE_BYTES];
    char values[RUNS_COMPARED_MAX][VALUE_BYTES]; /* "": the run does not have it */
} option_line;

typedef struct {
    const run_rows *rows;
    run_view views[RUNS_COMPARED_MAX];
    option_line options[OPTIONS_MAX];
    size_t option_count;
} comparison;

const char *runs_cell(double number, int digits, char text[RUN_CELL_BYTES])
{
    if (isnan(number))
        snprintf(text, RUN_CELL_BYTES, "-");
    else
        snprintf(text, RUN_CELL_BYTES, "%.*f", digits, fmin(number, 1e15));
    return text;
}

/* ---- options ---- */

static option_line *line_of(comparison *c, const char *key, size_t length)
{
    for (size_t i = 0; i < c->option_count; i++)
        if (strlen(c->options[i].key) == length && strncmp(c->options[i].key, key, length) == 0)
            return &c->options[i];
    if (c->option_count == OPTIONS_MAX || length >= VALUE_BYTES)
        return NULL;
    option_line *added = &c->options[c->option_count++];
    snprintf(added->key, sizeof added->key, "%.*s", (int)length, key);
    return added;
}

/* "--epochs 20" and "--epochs=20" are the same; one without a value reads "yes". */
static void take_options(comparison *c, size_t run)
{
    const char *option, *next;
    const json *each = json_first(json_find(c->views[run].record, "options"));
    for (; each; each = json_next(each)) {
        if (json_as_string(each, "option", &option, NULL) != PS_OK || strncmp(option, "--", 2) != 0)
            continue;
        const size_t length = strcspn(option, "=");
        const json *following = json_next(each);
        const bool has_next = following && json_as_string(following, "option", &next, NULL) == PS_OK &&
                              strncmp(next, "--", 2) != 0;
        option_line *line = line_of(c, option, length);
        if (line)
            snprintf(line->values[run], VALUE_BYTES, "%s",
                     option[length] ? option + length + 1
                     : has_next     ? next
                                    : "yes");
    }
}

static bool differs(const option_line *line, size_t runs)
{
    for (size_t i = 1; i < runs; i++)
        if (strcmp(line->values[0], line->values[i]) != 0)
            return true;
    return false;
}

/* ---- lines ---- */

static void begin_line(const char *heading)
{
    printf("%-*s", HEADING_WIDTH, heading);
}

static void print_value(const char *value)
{
    printf("  %-*s", COLUMN_WIDTH, value[0] ? value : "-");
}

static void print_numbers(const comparison *c, const char *heading, size_t offset, int digits)
{
    char text[RUN_CELL_BYTES];
    begin_line(heading);
    for (size_t i = 0; i < c->rows->count; i++) {
        double number;
        memcpy(&number, (const char *)&c->views[i] + offset, sizeof number);
        print_value(runs_cell(number, digits, text));
    }
    printf("\n");
}

static void print_heads(const comparison *c)
{
    char hash[HASH_DIGITS + 1];
    begin_line("run");
    for (size_t i = 0; i < c->rows->count; i++)
        print_value(c->rows->rows[i].id);
    printf("\n");
    begin_line("experiment");
    for (size_t i = 0; i < c->rows->count; i++)
        print_value(c->rows->rows[i].experiment);
    printf("\n");
    begin_line("phase");
    for (size_t i = 0; i < c->rows->count; i++)
        print_value(run_phase_name(c->rows->rows[i].phase));
    printf("\n");
    begin_line("data");
    for (size_t i = 0; i < c->rows->count; i++) {
        snprintf(hash, sizeof hash, "%s", c->views[i].data_sha256);
        print_value(hash);
    }
    printf("\n");
}

static void print_comparison(const comparison *c)
{
    static const struct {
        const char *heading;
        size_t offset;
        int digits;
    } numbers[] = {
        {"ps", offsetof(run_view, servers), 0},
        {"workers", offsetof(run_view, workers), 0},
        {"step", offsetof(run_view, step), 0},
        {"accuracy", offsetof(run_view, accuracy), 4},
        {"loss", offsetof(run_view, loss), 4},
        {"training seconds", offsetof(run_view, train_seconds), 1},
        {"images/s", offsetof(run_view, images_per_s), 0},
    };
    print_heads(c);
    for (size_t i = 0; i < c->option_count; i++) {
        if (!differs(&c->options[i], c->rows->count))
            continue;
        begin_line(c->options[i].key);
        for (size_t run = 0; run < c->rows->count; run++)
            print_value(c->options[i].values[run]);
        printf("\n");
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        print_numbers(c, numbers[i].heading, numbers[i].offset, numbers[i].digits);
}

ps_status runs_print_comparison(const run_rows *rows, ps_error *error)
{
    comparison *c = calloc(1, sizeof *c);
    ps_status status = c ? PS_OK : ps_fail(error, PS_ENOMEM, "out of memory");
    if (!c)
        return status;
    c->rows = rows;
    for (size_t i = 0; i < rows->count && status == PS_OK; i++) {
        status = run_view_open(rows->rows[i].record, &c->views[i], error);
        if (status != PS_OK)
            continue;
        run_view_catch_up(&c->views[i]);
        take_options(c, i);
    }
    if (status == PS_OK)
        print_comparison(c);
    for (size_t i = 0; i < rows->count; i++)
        run_view_close(&c->views[i]);
    free(c);
    return status;
}
