/* cluster_sample.h - cluster specs that are accepted, and what is understood of them. */
#ifndef PENSTOCK_TESTS_CLUSTER_SAMPLE_H
#define PENSTOCK_TESTS_CLUSTER_SAMPLE_H

#include "common/cluster.h"
#include "tests/unit/unit.h"

static cluster_warning warning; /* of the last one */

static inline cluster_spec parse(const cluster_source *source)
{
    cluster_spec spec;
    ps_error error = {0};
    char caret[256];
    if (cluster_parse(source, &spec, &warning, caret, sizeof caret, &error))
        fail_msg("%s\n%s", error.text, caret);
    assert_string_equal(caret, "");
    return spec;
}

static inline cluster_spec parse_env(cluster_role daemon, const char *tf_config)
{
    const cluster_source source = {.daemon = daemon, .tf_config = tf_config};
    return parse(&source);
}

static inline void assert_task(const cluster_spec *spec, cluster_role role, uint32_t index, const char *host,
                               uint16_t port)
{
    const cluster_task *task = cluster_find(spec, role, index);
    assert_non_null(task);
    assert_int_equal(task->index, index);
    assert_string_equal(task->host, host);
    assert_int_equal(task->port, port);
}

static inline void assert_self(const cluster_spec *spec, cluster_role role, uint32_t index, bool is_chief,
                               uint32_t rank)
{
    assert_true(spec->present);
    assert_int_equal(spec->role, role);
    assert_int_equal(spec->index, index);
    assert_int_equal(spec->is_chief, is_chief);
    assert_int_equal(spec->rank, rank);
}

#endif
