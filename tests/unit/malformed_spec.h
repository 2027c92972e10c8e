/* malformed_spec.h - cluster specs that are refused, each with the exact line (and for JSON the caret) that a
 * person gets to see. A test is a table of one kind of mistake. */
#ifndef PENSTOCK_TESTS_MALFORMED_SPEC_H
#define PENSTOCK_TESTS_MALFORMED_SPEC_H

#include <string.h>

#include "common/cluster.h"
#include "tests/unit/unit.h"

/* JSON is written with ' for " so that it can be read, and with ` for '. Error lines are verbatim. */
typedef struct {
    const char *name;
    cluster_role daemon;
    bool strict;
    const char *cluster, *task, *tf_config;
    const char *error;
    const char *caret; /* NULL: none */
} malformed_spec;

/* Of the test that runs. */
static const malformed_spec *cases;
static size_t case_count;

/* The text with its quotes put right, in `buffer`; NULL stays NULL. */
static inline const char *unquoted(const char *text, char *buffer, size_t bytes)
{
    if (!text)
        return NULL;
    assert_true(strlen(text) < bytes);
    size_t i = 0;
    for (; text[i]; i++)
        buffer[i] = (char)(text[i] == '\'' ? '"' : text[i] == '`' ? '\'' : text[i]);
    buffer[i] = '\0';
    return buffer;
}

static void each_gets_its_own_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < case_count; i++) {
        char cluster[1024], task[1024], tf_config[1024], expected_caret[512];
        const cluster_source source = {
            .strict = cases[i].strict,
            .daemon = cases[i].daemon,
            .cluster = unquoted(cases[i].cluster, cluster, sizeof cluster),
            .task = unquoted(cases[i].task, task, sizeof task),
            .tf_config = unquoted(cases[i].tf_config, tf_config, sizeof tf_config),
        };
        cluster_spec spec;
        cluster_warning warning;
        ps_error error = {0};
        char caret[512] = "not touched";
        const ps_status status = cluster_parse(&source, &spec, &warning, caret, sizeof caret, &error);
        if (status != PS_ECONFIG || error.status != PS_ECONFIG)
            fail_msg("%s: %s: %s", cases[i].name, ps_status_name(status), error.text);
        if (strcmp(error.text, cases[i].error) != 0)
            fail_msg("%s:\n  expected %s\n  but got  %s", cases[i].name, cases[i].error, error.text);
        const char *wanted =
            unquoted(cases[i].caret ? cases[i].caret : "", expected_caret, sizeof expected_caret);
        if (strcmp(caret, wanted) != 0)
            fail_msg("%s:\nexpected\n%s\nbut got\n%s", cases[i].name, wanted, caret);
        for (size_t role = 0; role < CLUSTER_ROLES; role++)
            assert_null(spec.jobs[role].tasks);
    }
}

static void the_error_and_the_caret_may_be_unwanted(void **state)
{
    (void)state;
    for (size_t i = 0; i < case_count; i++) {
        char cluster[1024], task[1024], tf_config[1024];
        const cluster_source source = {
            .strict = cases[i].strict,
            .daemon = cases[i].daemon,
            .cluster = unquoted(cases[i].cluster, cluster, sizeof cluster),
            .task = unquoted(cases[i].task, task, sizeof task),
            .tf_config = unquoted(cases[i].tf_config, tf_config, sizeof tf_config),
        };
        cluster_spec spec;
        cluster_warning warning;
        assert_int_equal(cluster_parse(&source, &spec, &warning, NULL, 0, NULL), PS_ECONFIG);
    }
}

/* A test's main. */
static inline int malformed_spec_run(const malformed_spec *table, size_t count)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_gets_its_own_line),
        cmocka_unit_test(the_error_and_the_caret_may_be_unwanted),
    };
    cases = table;
    case_count = count;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
