/* The table of penstock status, of pages that the test makes up: deploy/status_table. */
#include "deploy/status/status_table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define HEAD "\"schema\":1,\"kind\":\"ps\",\"state\":\"training\",\"uptime_ms\":61000,"

static json *parse(const char *text)
{
    const json_options options = {.source = "page", .max_bytes = 1 << 20};
    json *root = NULL;
    ps_error error;
    if (json_parse(text, strlen(text), &options, &root, NULL, &error) != PS_OK)
        fail_msg("%s", error.text);
    return root;
}

/* The table of up to three pages; the caller frees it. */
static char *table_of(const char *first, const char *second, const char *third)
{
    const char *texts[] = {first, second, third};
    status_page_of pages[3] = {0};
    status_pages all = {.pages = pages};
    for (; all.count < 3 && texts[all.count]; all.count++)
        pages[all.count].page = parse(texts[all.count]);
    char *table = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&table, &bytes);
    assert_non_null(out);
    status_table_print(&all, out);
    fclose(out);
    for (size_t i = 0; i < all.count; i++)
        json_free(&pages[i].page);
    return table;
}

static void expect_line(const char *table, const char *line)
{
    const char *at = strstr(table, line);
    if (!at || (at != table && at[-1] != '\n') || at[strlen(line)] != '\n')
        fail_msg("there is no line '%s' in\n%s", line, table);
}

static void expect_narrow(const char *table)
{
    for (const char *line = table; *line;) {
        const size_t length = strcspn(line, "\n");
        if (length > 80)
            fail_msg("%zu columns: %.*s", length, (int)length, line);
        line += length + (line[length] == '\n');
    }
}

static void what_a_page_says_is_shown(void **state)
{
    (void)state;
    char *table = table_of(
        "{" HEAD "\"index\":0,\"job\":{\"name\":\"digits\",\"mode\":\"sync\",\"optimizer\":\"sgd\","
        "\"servers\":1,\"workers\":2,\"parameters\":79510},"
        "\"progress\":{\"step\":3512,\"steps\":6000,\"epoch\":5.85,\"epochs\":10,\"loss\":0.345,"
        "\"examples_per_s\":72367.6,\"eta_s\":63,\"test\":{\"step\":2400,\"accuracy\":0.905,\"loss\":0.3}},"
        "\"workers\":[{\"index\":0,\"state\":\"training\",\"activity\":\"testing\",\"step\":3512,"
        "\"staleness\":0,\"step_ms\":1.297,\"compute_ms\":0.4114,\"push_ms\":0.26,\"wait_ms\":0.6254,"
        "\"pull_ms\":0.0007,\"examples_per_s\":36467.6,\"restarts\":1,\"device\":\"cpu\"},"
        "{\"index\":1,\"state\":\"absent\",\"step\":0,\"device\":null}],"
        "\"shard\":{\"version\":3512,\"bytes\":318040,\"apply_ms\":12.34,\"duplicates\":3,"
        "\"queue\":{\"requests\":1,\"answers\":0,\"unsent\":2},"
        "\"received\":{\"fp32\":1000000,\"int8\":500000},\"sent\":{\"bf16\":2000000000}},"
        "\"checkpoint\":{\"kept\":4,\"failed\":1,\"step\":3400,\"age_ms\":5000,\"duration_ms\":12},"
        "\"faults\":{\"workers_lost\":1,\"workers_returned\":0,\"workers_restarted\":1,\"restores\":2,"
        "\"recovered\":3},\"waits\":[]}",
        NULL, NULL);
    expect_line(table, "digits: sync, sgd, 1 ps, 2 workers, 79,510 parameters; training, up 1:01");
    expect_line(table, "step 3,512 of 6,000, epoch 5.85 of 10, ETA 1:03");
    expect_line(table, "loss 0.345, 72,368 examples/s, test accuracy 90.50 % at step 2,400");
    expect_line(table, "w0   testing     3512     0   1.30   0.41  0.26   0.63  0.00  36468   1  cpu");
    expect_line(table, "w1   absent         0     -      -      -     -      -     -      -   -  -");
    expect_line(table, "p0   training     3,512    318 kB     12.3      3      3      1.5 MB        2 GB");
    expect_line(table, "checkpoints: step 3,400, 0:05 ago, took 12 ms; 4 written, 1 failed");
    expect_line(table, "faults: 3 recovered (1 workers lost, 0 returned, 1 restarted; 2 restores)");
    expect_line(table, "waits: nobody");
    expect_narrow(table);
    free(table);
}

static void the_ps_that_is_behind_tells_of_progress(void **state)
{
    (void)state;
    char *table = table_of(
        "{" HEAD
        "\"index\":1,\"job\":{\"name\":\"j\"},\"progress\":{\"step\":18},\"shard\":{\"version\":18}}",
        "{" HEAD "\"index\":0,\"job\":{\"name\":\"j\"},\"progress\":{\"step\":17},\"shard\":{\"version\":17},"
        "\"waits\":[{\"worker\":0,\"since_ms\":2500,\"text\":\"step 18 waits for worker 2\"}]}",
        "{" HEAD "\"index\":2,\"job\":null,\"progress\":{\"step\":0}}");
    expect_line(table, "step 17, epoch -, ETA -");
    expect_line(table, "waits: w0 at p0, for 2.5 s: step 18 waits for worker 2");
    assert_true(strstr(table, "\np0 ") < strstr(table, "\np1 "));
    assert_true(strstr(table, "\np1 ") < strstr(table, "\np2 "));
    free(table);
}

static void a_worker_waits_once_where_it_waits_longest(void **state)
{
    (void)state;
    char *table = table_of("{" HEAD "\"index\":0,\"job\":{},\"progress\":{\"step\":17},"
                           "\"waits\":[{\"worker\":0,\"since_ms\":100,\"text\":\"short\"}]}",
                           "{" HEAD "\"index\":1,\"job\":{},\"progress\":{\"step\":17},"
                           "\"waits\":[{\"worker\":0,\"since_ms\":200,\"text\":\"long\"},"
                           "{\"worker\":1,\"since_ms\":0,\"text\":\"other\"}]}",
                           NULL);
    expect_line(table, "waits: w0 at p1, for 0.2 s: long");
    expect_line(table, "waits: w1 at p1, for 0.0 s: other");
    assert_null(strstr(table, "short"));
    free(table);
}

static void what_would_steer_a_terminal_is_not_shown(void **state)
{
    (void)state;
    char *table = table_of("{" HEAD "\"index\":0,\"job\":{\"name\":\"\\u001b[2J\",\"mode\":\"a\\nb\"},"
                           "\"progress\":{\"step\":1},"
                           "\"workers\":[{\"index\":0,\"state\":\"\\u009b31m\",\"device\":\"x\\u007f\"}]}",
                           NULL, NULL);
    assert_null(strchr(table, '\x1b'));
    assert_null(strchr(table, '\x7f'));
    assert_null(strchr(table, '\x9b'));
    assert_non_null(strstr(table, "?: ?, "));
    free(table);
}

static void long_things_are_cut(void **state)
{
    (void)state;
    char page[2048], text[600];
    memset(text, 'y', sizeof text);
    text[sizeof text - 1] = '\0';
    snprintf(page, sizeof page,
             "{" HEAD "\"index\":4000000,\"job\":{},\"progress\":{\"step\":1e300,\"loss\":1e-300},"
             "\"workers\":[{\"index\":1023,\"state\":\"%.60s\",\"device\":\"%.200s\",\"step\":1e14,"
             "\"wait_ms\":99999}],\"waits\":[{\"worker\":1023,\"since_ms\":1e9,\"text\":\"%s\"}]}",
             text, text, text);
    char *table = table_of(page, NULL, NULL);
    expect_narrow(table);
    assert_non_null(strstr(table, "yyy...\n"));
    free(table);
}

static void pages_of_another_shape_do_no_harm(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "{}",
        "[]",
        "7",
        "{\"kind\":\"ps\",\"job\":[],\"progress\":7,\"workers\":{\"a\":1},\"shard\":[],\"waits\":{}}",
        "{\"kind\":\"ps\",\"job\":{},\"progress\":{\"step\":\"x\"},\"workers\":[1,[],null],\"servers\":[3,{}]"
        ","
        "\"waits\":[null,{}],\"checkpoint\":{},\"faults\":{}}",
        "{\"kind\":\"worker\",\"worker\":[]}",
    };
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        char *table = table_of(odd[i], NULL, NULL);
        assert_non_null(table);
        free(table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_page_says_is_shown),
        cmocka_unit_test(the_ps_that_is_behind_tells_of_progress),
        cmocka_unit_test(a_worker_waits_once_where_it_waits_longest),
        cmocka_unit_test(what_would_steer_a_terminal_is_not_shown),
        cmocka_unit_test(long_things_are_cut),
        cmocka_unit_test(pages_of_another_shape_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
