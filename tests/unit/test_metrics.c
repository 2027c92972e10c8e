/* Counters, gauges, histograms and their text: common/metrics. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/metrics.h"
#include "tests/unit/unit.h"

enum { PUSHES, LOSS, BYTES, WAIT, STALENESS, METRICS };

static const char *const codecs[] = {"codec=\"fp32\"", "codec=\"bf16\"", NULL};
static const uint64_t few[] = {0, 2};
static const metric_buckets few_buckets = {2, few};
static const uint64_t times[] = {250000, 1000000000};
static const metric_buckets time_buckets = {2, times};
static const metric table[METRICS] = {
    [PUSHES] = {METRIC_COUNTER, METRIC_ONE, "a_pushes_total", "Pushes, with a \\ and\nanother line.", NULL,
                NULL},
    [LOSS] = {METRIC_GAUGE, METRIC_REAL, "a_loss", "The loss.", NULL, NULL},
    [BYTES] = {METRIC_COUNTER, METRIC_ONE, "a_bytes_total", "Bytes.", codecs, NULL},
    [WAIT] = {METRIC_HISTOGRAM, METRIC_NS, "a_wait_seconds", "Waits.", NULL, &time_buckets},
    [STALENESS] = {METRIC_HISTOGRAM, METRIC_ONE, "a_staleness_steps", "Steps.", codecs, &few_buckets},
};

static char *text_of(const metrics *m)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    metrics_print(m, out);
    fclose(out);
    return text;
}

static void text_is_what_prometheus_reads(void **state)
{
    (void)state;
    metrics *m = metrics_create(table, METRICS);
    assert_non_null(m);
    metrics_add(m, PUSHES, 0, 40);
    metrics_add(m, PUSHES, 0, 2);
    metrics_set_real(m, LOSS, 0, 0.25);
    metrics_add(m, BYTES, 0, UINT64_C(1) << 60);
    metrics_add(m, BYTES, 1, 7);
    metrics_observe(m, WAIT, 0, 250000);
    metrics_observe(m, WAIT, 0, 250001);
    metrics_observe(m, WAIT, 0, UINT64_C(5000000000));
    metrics_observe(m, STALENESS, 1, 0);
    metrics_observe(m, STALENESS, 1, 3);
    char *text = text_of(m);
    assert_string_equal(text, "# HELP a_pushes_total Pushes, with a \\\\ and\\nanother line.\n"
                              "# TYPE a_pushes_total counter\n"
                              "a_pushes_total 42\n"
                              "# HELP a_loss The loss.\n"
                              "# TYPE a_loss gauge\n"
                              "a_loss 0.25\n"
                              "# HELP a_bytes_total Bytes.\n"
                              "# TYPE a_bytes_total counter\n"
                              "a_bytes_total{codec=\"fp32\"} 1152921504606846976\n"
                              "a_bytes_total{codec=\"bf16\"} 7\n"
                              "# HELP a_wait_seconds Waits.\n"
                              "# TYPE a_wait_seconds histogram\n"
                              "a_wait_seconds_bucket{le=\"0.00025\"} 1\n"
                              "a_wait_seconds_bucket{le=\"1\"} 2\n"
                              "a_wait_seconds_bucket{le=\"+Inf\"} 3\n"
                              "a_wait_seconds_sum 5.000500001\n"
                              "a_wait_seconds_count 3\n"
                              "# HELP a_staleness_steps Steps.\n"
                              "# TYPE a_staleness_steps histogram\n"
                              "a_staleness_steps_bucket{codec=\"fp32\",le=\"0\"} 0\n"
                              "a_staleness_steps_bucket{codec=\"fp32\",le=\"2\"} 0\n"
                              "a_staleness_steps_bucket{codec=\"fp32\",le=\"+Inf\"} 0\n"
                              "a_staleness_steps_sum{codec=\"fp32\"} 0\n"
                              "a_staleness_steps_count{codec=\"fp32\"} 0\n"
                              "a_staleness_steps_bucket{codec=\"bf16\",le=\"0\"} 1\n"
                              "a_staleness_steps_bucket{codec=\"bf16\",le=\"2\"} 1\n"
                              "a_staleness_steps_bucket{codec=\"bf16\",le=\"+Inf\"} 2\n"
                              "a_staleness_steps_sum{codec=\"bf16\"} 3\n"
                              "a_staleness_steps_count{codec=\"bf16\"} 2\n");
    free(text);
    uint64_t sum;
    assert_int_equal(metrics_observed(m, STALENESS, 1, &sum), 2);
    assert_int_equal(sum, 3);
    assert_int_equal(metrics_value(m, PUSHES, 0), 42);
    metrics_destroy(&m);
    assert_null(m);
}

static void what_is_no_number_has_its_own_words(void **state)
{
    (void)state;
    static const metric one[] = {{METRIC_GAUGE, METRIC_REAL, "x", "X.", NULL, NULL}};
    static const struct {
        double value;
        const char *text;
    } cases[] = {{NAN, "gauge\nx NaN\n"},
                 {INFINITY, "gauge\nx +Inf\n"},
                 {-INFINITY, "gauge\nx -Inf\n"},
                 {-1.5, "gauge\nx -1.5\n"}};
    metrics *m = metrics_create(one, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        metrics_set_real(m, 0, 0, cases[i].value);
        char *text = text_of(m);
        assert_non_null(strstr(text, cases[i].text));
        free(text);
    }
    metrics_destroy(&m);
}

static void nobody_needs_to_look(void **state)
{
    (void)state;
    uint64_t sum = 1;
    metrics_add(NULL, 0, 0, 1);
    metrics_set(NULL, 0, 0, 1);
    metrics_set_real(NULL, 0, 0, 1);
    metrics_observe(NULL, 0, 0, 1);
    assert_int_equal(metrics_value(NULL, 0, 0), 0);
    assert_int_equal(metrics_observed(NULL, 0, 0, &sum), 0);
    assert_int_equal(sum, 0);
}

enum { TURNS = 20000 };

static void *count_up(void *context)
{
    metrics *m = context;
    for (int i = 0; i < TURNS; i++) {
        metrics_add(m, PUSHES, 0, 1);
        metrics_observe(m, STALENESS, 0, (uint64_t)i % 4);
    }
    return NULL;
}

static void another_thread_reads_what_only_grows(void **state)
{
    (void)state;
    metrics *m = metrics_create(table, METRICS);
    pthread_t owner;
    assert_int_equal(pthread_create(&owner, NULL, count_up, m), 0);
    uint64_t before = 0, sum;
    while (before < TURNS) {
        const uint64_t now = metrics_value(m, PUSHES, 0);
        assert_true(now >= before && now <= TURNS);
        assert_true(metrics_observed(m, STALENESS, 0, &sum) <= TURNS);
        before = now;
    }
    pthread_join(owner, NULL);
    assert_int_equal(metrics_observed(m, STALENESS, 0, &sum), TURNS);
    assert_int_equal(sum, TURNS / 4 * (0 + 1 + 2 + 3));
    metrics_destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_what_prometheus_reads),
        cmocka_unit_test(what_is_no_number_has_its_own_words),
        cmocka_unit_test(nobody_needs_to_look),
        cmocka_unit_test(another_thread_reads_what_only_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
