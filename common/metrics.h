/* metrics.h - counters, gauges and histograms, and their text for Prometheus.
 *
 *   static const metric table[] = {{METRIC_COUNTER, METRIC_ONE, "penstock_ps_updates_total", "Updates."}};
 *   metrics *m = metrics_create(table, 1);
 *   metrics_add(m, 0, 0, 1);           // by its owner: two plain moves of a register, no lock
 *   metrics_print(m, out);             // by any thread
 *
 * A daemon names all of its metrics in one table (ps/ps_metrics.h, worker/worker_metrics.h); a metric is
 * known by its place there. Of one with labels there is a series for each text in `labels`, known by its
 * place.
 *
 * Threads: a set belongs to one thread, which alone changes it, and has cache lines of its own. Others may
 * read it at any time: each number is whole, though those of one moment may be some nanoseconds apart.
 * Nothing is allocated after metrics_create. All functions do nothing on NULL, so that whoever counts need
 * not know whether anybody looks.
 *
 * Text format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ */
#ifndef PENSTOCK_COMMON_METRICS_H
#define PENSTOCK_COMMON_METRICS_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

typedef enum { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM } metric_kind;

/* What is kept, as whole numbers; times are shown in seconds, as the naming rules want it. METRIC_REAL: a
 * gauge set by metrics_set_real. */
typedef enum { METRIC_ONE, METRIC_MS, METRIC_NS, METRIC_REAL } metric_unit;

typedef struct {
    uint32_t count;
    const uint64_t *limits; /* rising; a value belongs to the first that is not below it, or to none */
} metric_buckets;

typedef struct {
    metric_kind kind;
    metric_unit unit;
    const char *name, *help;
    const char *const *labels; /* per series, such as "codec=\"fp32\""; ends with NULL. NULL: one series */
    const metric_buckets *buckets; /* of a histogram */
} metric;

/* Rows of such a table; BUILD_ROW is of the gauge by which Prometheus tells builds apart. */
#define COUNTER_ROW(name, help)                            \
    {                                                      \
        METRIC_COUNTER, METRIC_ONE, name, help, NULL, NULL \
    }
#define LABELLED_COUNTER_ROW(unit, labels, name, help) \
    {                                                  \
        METRIC_COUNTER, unit, name, help, labels, NULL \
    }
#define GAUGE_ROW(unit, name, help)                \
    {                                              \
        METRIC_GAUGE, unit, name, help, NULL, NULL \
    }
#define HISTOGRAM_ROW(unit, buckets, name, help)          \
    {                                                     \
        METRIC_HISTOGRAM, unit, name, help, NULL, buckets \
    }
#define BUILD_ROW(name)                                                                    \
    {                                                                                      \
        METRIC_GAUGE, METRIC_ONE, name, "1; which build it is.", metric_build_labels, NULL \
    }

/* The cells of a metric lie in a row, series by series: one each, or, of a histogram, one per bucket, one for
 * what is beyond them, and the sum. */
typedef struct {
    const metric *table;
    uint32_t count;
    uint32_t cell_count;
    uint32_t *first; /* (count) */
    _Atomic uint64_t *cells;
} metrics;

/* Buckets that suit most durations, 100 us to 100 s (METRIC_NS, METRIC_MS). */
extern const metric_buckets metric_buckets_ns, metric_buckets_ms;

/* The version, of BUILD_ROW. */
extern const char *const metric_build_labels[];

/* All zero. `table` is borrowed. NULL: out of memory. */
metrics *metrics_create(const metric *table, uint32_t count);
void metrics_destroy(metrics **m);

static inline void metrics_add_to_cell(metrics *m, uint32_t cell, uint64_t amount)
{
    const uint64_t before = atomic_load_explicit(&m->cells[cell], memory_order_relaxed);
    atomic_store_explicit(&m->cells[cell], before + amount, memory_order_relaxed);
}

/* Of a counter or gauge. */
static inline void metrics_add(metrics *m, uint32_t id, uint32_t series, uint64_t amount)
{
    if (m)
        metrics_add_to_cell(m, m->first[id] + series, amount);
}

static inline void metrics_set(metrics *m, uint32_t id, uint32_t series, uint64_t value)
{
    if (m)
        atomic_store_explicit(&m->cells[m->first[id] + series], value, memory_order_relaxed);
}

void metrics_set_real(metrics *m, uint32_t id, uint32_t series, double value);

/* A value goes into a histogram. */
void metrics_observe(metrics *m, uint32_t id, uint32_t series, uint64_t value);

/* What a counter or gauge, not METRIC_REAL, holds. 0 on NULL. */
uint64_t metrics_value(const metrics *m, uint32_t id, uint32_t series);

/* What a METRIC_REAL holds. */
double metrics_real(const metrics *m, uint32_t id, uint32_t series);

/* How many values a histogram has got, and their sum. */
uint64_t metrics_observed(const metrics *m, uint32_t id, uint32_t series, uint64_t *sum);

/* All of it as text. */
void metrics_print(const metrics *m, FILE *out);

#endif
