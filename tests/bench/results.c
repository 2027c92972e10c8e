/* results.c - see results.h. */
#include "tests/bench/results.h"

#include <stdio.h>
#include <string.h>

void results_init(results *r)
{
    memset(r, 0, sizeof *r);
#define CONSTANT_UNKNOWN(name) r->constants.name = NAN;
    CONSTANT_LIST(CONSTANT_UNKNOWN)
#undef CONSTANT_UNKNOWN
}

result_row row_make(const char *name, uint64_t bytes, const char *unit)
{
    result_row row = {
        .bytes = bytes,
        .unit = unit,
        .penstock = NAN,
        .floor = NAN,
        .ratio = NAN,
        .wanted = NAN,
        .cpu_penstock = NAN,
        .cpu_floor = NAN,
        .cpu_ratio = NAN,
        .cpu_wanted = NAN,
        .resident_bytes = NAN,
        .stored_bytes = NAN,
    };
    snprintf(row.name, sizeof row.name, "%s", name);
    return row;
}

void row_take_rates(result_row *row, const comparison *c, double units, bool has_penstock, bool has_floor)
{
    double cpu_units = row->bytes ? units : 1;
    if (has_penstock) {
        row->penstock = c->penstock.rate * units;
        row->cpu_penstock = c->penstock.cpu_s / cpu_units;
    }
    if (has_floor) {
        row->floor = c->floor.rate * units;
        row->cpu_floor = c->floor.cpu_s / cpu_units;
    }
    if (has_penstock && has_floor) {
        row->ratio = c->ratio.rate;
        row->cpu_ratio = c->ratio.cpu_s;
    }
}

bool row_is_met(const result_row *row)
{
    bool met = true;
    if (!isnan(row->wanted))
        met = row->at_most ? row->ratio <= row->wanted : row->ratio >= row->wanted;
    if (!isnan(row->cpu_wanted))
        met = met && row->cpu_ratio <= row->cpu_wanted;
    return met;
}

void results_add(results *r, const result_row *row)
{
    table_print_row(row);
    if (r->row_count < RESULTS_ROWS_MAX)
        r->rows[r->row_count++] = *row;
}

void results_add_point(results *r, const result_point *point)
{
    if (r->point_count < RESULTS_POINTS_MAX)
        r->points[r->point_count++] = *point;
}

void results_fail(results *r, const char *name, const ps_error *error)
{
    printf("%-36s FAILED: %s\n", name, error->text);
    fflush(stdout);
    r->failures++;
}
