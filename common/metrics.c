/* metrics.c - see metrics.h. */
#include "common/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_LINE_BYTES = 64 };

#define MS UINT64_C(1000000)
static const uint64_t limits_ns[] = {MS / 10,    MS / 4,     MS / 2,     MS,         5 * MS / 2,
                                     5 * MS,     10 * MS,    25 * MS,    50 * MS,    100 * MS,
                                     250 * MS,   500 * MS,   1000 * MS,  2500 * MS,  5000 * MS,
                                     10000 * MS, 25000 * MS, 50000 * MS, 100000 * MS};
static const uint64_t limits_ms[] = {1,   2,    5,    10,   25,    50,    100,   250,
                                     500, 1000, 2500, 5000, 10000, 25000, 50000, 100000};
const metric_buckets metric_buckets_ns = {sizeof limits_ns / sizeof limits_ns[0], limits_ns};
const metric_buckets metric_buckets_ms = {sizeof limits_ms / sizeof limits_ms[0], limits_ms};

const char *const metric_build_labels[] = {"version=\"" PENSTOCK_VERSION "\"", NULL};

static uint32_t series_of(const metric *of)
{
    uint32_t count = 0;
    if (!of->labels)
        return 1;
    while (of->labels[count])
        count++;
    return count;
}

/* Beside its buckets a histogram has one without a limit, and the sum. */
static uint32_t cells_per_series(const metric *of)
{
    return of->kind == METRIC_HISTOGRAM ? of->buckets->count + 2 : 1;
}

metrics *metrics_create(const metric *table, uint32_t count)
{
    metrics *m = calloc(1, sizeof *m);
    uint32_t *first = calloc(count, sizeof *first);
    uint32_t cells = 0;
    for (uint32_t i = 0; first && i < count; i++) {
        first[i] = cells;
        cells += series_of(&table[i]) * cells_per_series(&table[i]);
    }
    const size_t bytes = (cells * sizeof(uint64_t) / CACHE_LINE_BYTES + 1) * CACHE_LINE_BYTES;
    void *memory = aligned_alloc(CACHE_LINE_BYTES, bytes);
    if (!m || !first || !memory) {
        free(m);
        free(first);
        free(memory);
        return NULL;
    }
    memset(memory, 0, bytes);
    *m = (metrics){.table = table, .count = count, .cell_count = cells, .first = first, .cells = memory};
    return m;
}

void metrics_destroy(metrics **handle)
{
    metrics *m = *handle;
    *handle = NULL;
    if (!m)
        return;
    free(m->first);
    free(m->cells);
    free(m);
}

void metrics_set_real(metrics *m, uint32_t id, uint32_t series, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    metrics_set(m, id, series, bits);
}

void metrics_observe(metrics *m, uint32_t id, uint32_t series, uint64_t value)
{
    if (!m)
        return;
    const metric_buckets *b = m->table[id].buckets;
    const uint32_t first = m->first[id] + series * cells_per_series(&m->table[id]);
    uint32_t bucket = 0;
    while (bucket < b->count && value > b->limits[bucket])
        bucket++;
    metrics_add_to_cell(m, first + bucket, 1);
    metrics_add_to_cell(m, first + b->count + 1, value);
}

static uint64_t cell(const metrics *m, uint32_t number)
{
    return atomic_load_explicit(&m->cells[number], memory_order_relaxed);
}

uint64_t metrics_value(const metrics *m, uint32_t id, uint32_t series)
{
    return m ? cell(m, m->first[id] + series) : 0;
}

double metrics_real(const metrics *m, uint32_t id, uint32_t series)
{
    const uint64_t bits = metrics_value(m, id, series);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint64_t metrics_observed(const metrics *m, uint32_t id, uint32_t series, uint64_t *sum)
{
    uint64_t count = 0;
    *sum = 0;
    if (!m)
        return 0;
    const uint32_t buckets = m->table[id].buckets->count;
    const uint32_t first = m->first[id] + series * cells_per_series(&m->table[id]);
    for (uint32_t i = 0; i <= buckets; i++)
        count += cell(m, first + i);
    *sum = cell(m, first + buckets + 1);
    return count;
}

/* ---- text ---- */

/* Whole thousandths, millionths, ... exactly: no digit is lost however long a daemon runs. */
static void print_fraction(FILE *out, uint64_t value, uint64_t per_one)
{
    char digits[24];
    fprintf(out, "%llu", (unsigned long long)(value / per_one));
    if (value % per_one == 0)
        return;
    /* The leading 1 keeps the zeros after the point. */
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)(per_one + value % per_one));
    while (length > 1 && digits[length - 1] == '0')
        digits[--length] = '\0';
    fprintf(out, ".%s", digits + 1);
}

static void print_real(FILE *out, uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    if (isnan(value))
        fputs("NaN", out);
    else if (isinf(value))
        fputs(value > 0 ? "+Inf" : "-Inf", out);
    else
        fprintf(out, "%.15g", value);
}

static void print_value(FILE *out, metric_unit unit, uint64_t value)
{
    switch (unit) {
    case METRIC_ONE:
        fprintf(out, "%llu", (unsigned long long)value);
        break;
    case METRIC_MS:
        print_fraction(out, value, 1000);
        break;
    case METRIC_NS:
        print_fraction(out, value, UINT64_C(1000000000));
        break;
    case METRIC_REAL:
        print_real(out, value);
        break;
    }
}

/* name_ending{label} value */
static void print_sample(FILE *out, const metric *of, const char *ending, const char *label, metric_unit unit,
                         uint64_t value)
{
    fprintf(out, "%s%s", of->name, ending);
    if (label)
        fprintf(out, "{%s}", label);
    fputc(' ', out);
    print_value(out, unit, value);
    fputc('\n', out);
}

static void print_histogram(const metrics *m, uint32_t id, uint32_t series, const char *label, FILE *out)
{
    const metric *of = &m->table[id];
    const uint32_t buckets = of->buckets->count;
    const uint32_t first = m->first[id] + series * cells_per_series(of);
    uint64_t count = 0;
    for (uint32_t i = 0; i <= buckets; i++) {
        count += cell(m, first + i);
        fprintf(out, "%s_bucket{%s%sle=\"", of->name, label ? label : "", label ? "," : "");
        if (i < buckets)
            print_value(out, of->unit, of->buckets->limits[i]);
        else
            fputs("+Inf", out);
        fprintf(out, "\"} %llu\n", (unsigned long long)count);
    }
    print_sample(out, of, "_sum", label, of->unit, cell(m, first + buckets + 1));
    print_sample(out, of, "_count", label, METRIC_ONE, count);
}

/* In a help text a line break and a backslash would be read otherwise. */
static void print_help(FILE *out, const metric *of)
{
    fprintf(out, "# HELP %s ", of->name);
    for (const char *c = of->help; *c; c++) {
        if (*c == '\n')
            fputs("\\n", out);
        else if (*c == '\\')
            fputs("\\\\", out);
        else
            fputc(*c, out);
    }
    fputc('\n', out);
}

void metrics_print(const metrics *m, FILE *out)
{
    static const char *const kinds[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
    for (uint32_t id = 0; m && id < m->count; id++) {
        const metric *of = &m->table[id];
        print_help(out, of);
        fprintf(out, "# TYPE %s %s\n", of->name, kinds[of->kind]);
        for (uint32_t s = 0; s < series_of(of); s++) {
            const char *label = of->labels ? of->labels[s] : NULL;
            if (of->kind == METRIC_HISTOGRAM)
                print_histogram(m, id, s, label, out);
            else
                print_sample(out, of, "", label, of->unit, cell(m, m->first[id] + s));
        }
    }
}
