/* Hosts and their tasks: files of hosts, lists of Slurm's, who gets which task, and what is typed there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/hosts/host_commands.h"
#include "deploy/hosts/host_file.h"
#include "deploy/hosts/host_layout.h"
#include "deploy/hosts/slurm_hosts.h"
#include "tests/unit/unit.h"

static host_table table;
static host_layout layout;

static void read_hosts(const char *text)
{
    ps_error error;
    if (host_file_parse(text, strlen(text), "nodes", &table, &error))
        fail_msg("%s", error.text);
}

/* "ps:0 a:2222, worker:0 a:2223" */
static void assert_layout(unsigned servers, unsigned workers, const char *expected)
{
    const host_wishes wishes = {.servers = servers, .workers = workers, .port = 2222};
    ps_error error;
    if (host_layout_make(&table, &wishes, &layout, &error))
        fail_msg("%s", error.text);
    char text[1024] = "";
    for (size_t i = 0; i < layout.count; i++) {
        const host_task *t = &layout.list[i];
        const size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s:%u %s:%u", i > 0 ? ", " : "",
                 cluster_role_name(t->role), t->index, t->host->address, t->port);
    }
    assert_string_equal(text, expected);
}

static void a_file_has_a_host_a_line_with_counts_and_comments(void **state)
{
    (void)state;
    read_hosts("# comment\n\n  \na slots=4\t# four\r\nme@b-1.example ps=1 worker=0#none\nfd00::5 slots=2 "
               "slots=3\n1.2.3.4");
    assert_int_equal(table.count, 4);
    assert_string_equal(table.list[0].name, "a");
    assert_int_equal(table.list[0].slots, 4);
    assert_false(table.list[0].fixes_servers || table.list[0].fixes_workers);
    assert_string_equal(table.list[1].name, "me@b-1.example");
    assert_string_equal(table.list[1].address, "b-1.example");
    assert_true(table.list[1].fixes_servers && table.list[1].fixes_workers);
    assert_int_equal(table.list[1].servers, 1);
    assert_int_equal(table.list[1].workers, 0);
    assert_string_equal(table.list[2].address, "fd00::5");
    assert_int_equal(table.list[2].slots, 3);
    assert_int_equal(table.list[3].slots, 1);
}

static void what_is_no_list_of_hosts_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "nodes: no host is in it"},
        {"# a\n", "nodes: no host is in it"},
        {"a\n-oProxyCommand=x",
         "nodes: line 2: \"-oProxyCommand=x\" is no host: address "
         "\"-oProxyCommand=x:1\": '=' is not allowed in a host; use letters, digits, '-', '_' "
         "and '.'"},
        {"-l",
         "nodes: line 1: \"-l\" is no host: address \"-l:1\": a part of the host starts or ends with '-'"},
        {"-x@a", "nodes: line 1: \"-x@a\": no login stands before the '@'"},
        {"a@b@c", "nodes: line 1: \"a@b@c\": no login stands before the '@'"},
        {"@a", "nodes: line 1: \"@a\": no login stands before the '@'"},
        {"a;reboot",
         "nodes: line 1: \"a;reboot\" is no host: address \"a;reboot:1\": ';' is not allowed in a host; "
         "use letters, digits, '-', '_' and '.'"},
        {"a\nb\nme@A", "nodes: line 3: host A is there twice; give it more slots instead"},
        {"fd00::5\nfd00:0::0005", "nodes: line 2: host fd00::5 is there twice; give it more slots instead"},
        {"a slots", "nodes: line 1: \"slots\" is none of slots=N, ps=N and worker=N"},
        {"a max-slots=3", "nodes: line 1: \"max-slots=...\" is none of slots=N, ps=N and worker=N"},
        {"a slots=0", "nodes: line 1: slots: '0' is not a whole number from 1 to 1024"},
        {"a ps=-1", "nodes: line 1: ps: '-1' is not a whole number from 0 to 1024"},
        {"a worker=", "nodes: line 1: worker: '' is not a whole number from 0 to 1024"},
        {"a worker=1025", "nodes: line 1: worker: '1025' is not a whole number from 0 to 1024"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_error error;
        assert_int_equal(host_file_parse(cases[i].text, strlen(cases[i].text), "nodes", &table, &error),
                         PS_ECONFIG);
        assert_string_equal(error.text, cases[i].error);
    }
}

static void tasks_are_dealt_out_in_turn_and_numbered_host_by_host(void **state)
{
    (void)state;
    read_hosts("a\nb");
    assert_layout(0, 0, "ps:0 a:2222, ps:1 b:2222, worker:0 a:2223, worker:1 b:2223");
    assert_layout(1, 0, "ps:0 a:2222, worker:0 a:2223, worker:1 b:2222");
    assert_layout(3, 1, "ps:0 a:2222, ps:1 a:2223, ps:2 b:2222, worker:0 a:2224");
    read_hosts("a slots=3\nb slots=1");
    assert_layout(1, 3, "ps:0 a:2222, worker:0 a:2223, worker:1 a:2224, worker:2 b:2222");
    assert_layout(1, 0, "ps:0 a:2222, worker:0 a:2223, worker:1 a:2224, worker:2 a:2225, worker:3 b:2222");
}

static void what_hosts_fix_is_kept(void **state)
{
    (void)state;
    read_hosts("a ps=2 worker=0\nb worker=2\nc");
    assert_layout(0, 0, "ps:0 a:2222, ps:1 a:2223, worker:0 b:2222, worker:1 b:2223, worker:2 c:2222");
    assert_layout(4, 2,
                  "ps:0 a:2222, ps:1 a:2223, ps:2 b:2222, ps:3 c:2222, worker:0 b:2223, worker:1 b:2224");
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *hosts;
        host_wishes wishes;
        const char *error;
    } cases[] = {
        {"a", {1, 2, 2222}, "2 workers, but these hosts have room for 1; give them slots=N"},
        {"a ps=1", {2, 1, 2222}, "2 ps, but these hosts have room for 1; give them ps=N"},
        {"a ps=2", {1, 1, 2222}, "--ps 1, but hosts fix 2"},
        {"a ps=0", {0, 1, 2222}, "the hosts get no ps; a cluster needs at least one"},
        {"a worker=0", {1, 0, 2222}, "the hosts get no workers; a cluster needs at least one"},
        {"a ps=65", {0, 1, 2222}, "65 ps on these hosts; at most 64 can be had, give --ps"},
        {"a slots=257", {1, 0, 2222}, "257 workers on these hosts; at most 256 can be had, give --workers"},
        {"a", {1, 1, 65535}, "--port 65535: host a has no ports above it for 2 tasks"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_error error;
        read_hosts(cases[i].hosts);
        assert_int_equal(host_layout_make(&table, &cases[i].wishes, &layout, &error), PS_ECONFIG);
        assert_string_equal(error.text, cases[i].error);
    }
    read_hosts("a");
    const host_wishes last = {1, 1, 65534};
    assert_int_equal(host_layout_make(&table, &last, &layout, NULL), PS_OK);
}

static void lists_of_slurm_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        slurm_job job;
        unsigned servers;
        const char *hosts; /* name:ps+worker */
    } cases[] = {
        {{"n1", "2", NULL}, 0, "n1:1+1 "},
        {{"node[01-03,7],gpu5", "2(x3),1,4", NULL},
         0,
         "node01:1+1 node02:1+1 node03:1+1 node7:0+1 gpu5:1+3 "},
        {{"r[0-1]n[8-10]-ib", "2(x6)", "9"},
         1,
         "r0n8-ib:1+1 r0n9-ib:0+2 r0n10-ib:0+2 r1n8-ib:0+2 r1n9-ib:0+2 r1n10-ib:0+2 "},
        {{"a,b,c", "1(x3)", NULL}, 0, "a:1+0 b:0+1 c:0+1 "},
        {{"a,b", "2,2", NULL}, 3, "a:2+0 b:1+1 "},
        {{"a,b", NULL, "5"}, 0, "a:1+2 b:1+1 "},
        {{"x[000-001]", "2(x2)", NULL}, 1, "x000:1+1 x001:0+2 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_error error;
        char text[512] = "";
        if (slurm_hosts(&cases[i].job, cases[i].servers, &table, &error))
            fail_msg("%s", error.text);
        for (size_t k = 0; k < table.count; k++)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s:%u+%u ", table.list[k].name,
                     table.list[k].servers, table.list[k].workers);
        assert_string_equal(text, cases[i].hosts);
    }
}

static void what_slurm_would_not_say_is_refused(void **state)
{
    (void)state;
#define NODES "SLURM_JOB_NODELIST: "
#define TASKS "SLURM_TASKS_PER_NODE: "
    static const struct {
        slurm_job job;
        const char *error;
    } cases[] = {
        {{NULL, "1", NULL}, "SLURM_JOB_NODELIST is not set: this is no job of Slurm"},
        {{"", "1", NULL}, "SLURM_JOB_NODELIST is not set: this is no job of Slurm"},
        {{"a[1", "1", NULL}, NODES "a ']' is missing"},
        {{"a[]", "1", NULL}, NODES "\"\" in brackets is no number or range such as 01-03"},
        {{"a[1,]", "1", NULL}, NODES "\"\" in brackets is no number or range such as 01-03"},
        {{"a[3-1]", "1", NULL}, NODES "\"3-1\" in brackets is no number or range such as 01-03"},
        {{"a[1-2-3]", "1", NULL}, NODES "\"1-2-3\" in brackets is no number or range such as 01-03"},
        {{"a[9999999999]", "1", NULL},
         NODES "\"9999999999\" in brackets is no number or range such as 01-03"},
        {{"a[0-999999999]", "1", NULL}, NODES "more than 1024 hosts"},
        {{"a[0-1023],b", "1", NULL}, NODES "more than 1024 hosts"},
        {{"a[0][0][0][0][0]", "1", NULL}, NODES "more than 4 brackets in a name"},
        {{"a,a", "1", NULL}, NODES "host a is there twice; give it more slots instead"},
        {{"a b", "1", NULL},
         NODES
         "\"a b\" is no host: address \"a b:1\": ' ' is not allowed in a host; use letters, digits, '-', "
         "'_' and '.'"},
        {{"a", "", NULL}, TASKS "\"\" is not such as 2(x3),1"},
        {{"a", "0", NULL}, TASKS "\"0\" is not such as 2(x3),1"},
        {{"a", "2(x1", NULL}, TASKS "\"2(x1\" is not such as 2(x3),1"},
        {{"a", "2,", NULL}, TASKS "\"2,\" is not such as 2(x3),1"},
        {{"a,b", "2", NULL}, TASKS "\"2\" is of 1 nodes, but SLURM_JOB_NODELIST has 2"},
        {{"a", "2(x2)", NULL}, TASKS "\"2(x2)\" is of more than the 1 nodes of SLURM_JOB_NODELIST"},
        {{"a,b", NULL, NULL}, "neither SLURM_TASKS_PER_NODE nor SLURM_NTASKS is set; give --ntasks"},
        {{"a,b", NULL, "1"}, "SLURM_NTASKS: '1' is not a whole number from 2 to 1024: one a node at least"},
        {{"a", "1", NULL}, "1 of the job's 1 tasks are to be ps, and none is left to train"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_error error;
        assert_int_equal(slurm_hosts(&cases[i].job, 0, &table, &error), PS_ECONFIG);
        assert_string_equal(error.text, cases[i].error);
    }
}

static char *const hostile[] = {"--a=it's",   "$HOME `date` \"x\"",          "",
                                "a\nb\\",     "!bang & ; | > < * ? [a] ~ #", "\xc3\xa4\x01'''",
                                "plain-1.0/x"};
enum { HOSTILE = sizeof hostile / sizeof *hostile };

static const host_job *hostile_job(void)
{
    static host_job job = {.layout = &layout,
                           .bin_dir = "/a b",
                           .folder = "/it's",
                           .training = hostile,
                           .training_count = HOSTILE};
    read_hosts("a\nfd00::5");
    const host_wishes wishes = {1, 2, 2222};
    assert_int_equal(host_layout_make(&table, &wishes, &layout, NULL), PS_OK);
    return &job;
}

static void a_command_is_what_a_shell_takes_for_that_task(void **state)
{
    (void)state;
    char *command;
    assert_int_equal(host_command(hostile_job(), &layout.list[0], &command, NULL), PS_OK);
    assert_string_equal(command,
                        "cd '/it'\\''s' && env TF_CONFIG='{\"cluster\": {\"ps\": [\"a:2222\"], \"worker\": "
                        "[\"a:2223\", \"[fd00::5]:2222\"]}, \"task\": {\"type\": \"ps\", \"index\": 0}}' "
                        "'/a b/penstock-ps'");
    free(command);
    char *cluster;
    assert_int_equal(host_cluster_text(&layout, &cluster, NULL), PS_OK);
    assert_string_equal(cluster, "{\"ps\": [\"a:2222\"], \"worker\": [\"a:2223\", \"[fd00::5]:2222\"]}");
    free(cluster);
}

/* A shell is asked for the words behind the program. */
static void words_come_through_a_shell_as_they_are(void **state)
{
    (void)state;
    char *command, script[4096], got[1024];
    assert_int_equal(host_command(hostile_job(), &layout.list[1], &command, NULL), PS_OK);
    const char *words = strstr(command, "penstock-worker' ");
    assert_non_null(words);
    snprintf(script, sizeof script, "printf '%%s\\001' %s", words + strlen("penstock-worker' "));
    free(command);
    FILE *shell = popen(script, "r");
    assert_non_null(shell);
    const size_t bytes = fread(got, 1, sizeof got, shell);
    assert_int_equal(pclose(shell), 0);
    char expected[1024];
    size_t used = 0;
    for (size_t i = 0; i < HOSTILE; i++)
        used += (size_t)snprintf(expected + used, sizeof expected - used, "%s\001", hostile[i]);
    assert_int_equal(bytes, used);
    assert_memory_equal(got, expected, used);
}

static void a_command_too_long_for_the_kernel_is_refused(void **state)
{
    (void)state;
    char *word = malloc(HOST_COMMAND_MAX + 1), *command;
    assert_non_null(word);
    memset(word, 'a', HOST_COMMAND_MAX);
    word[HOST_COMMAND_MAX] = '\0';
    host_job job = *hostile_job();
    job.training = &word;
    job.training_count = 1;
    ps_error error;
    assert_int_equal(host_watched_command(&job, &layout.list[1], 10, &command, &error), PS_ELIMIT);
    assert_non_null(strstr(error.text, "the command of worker 0 has"));
    assert_int_equal(host_command(&job, &layout.list[1], &command, &error), PS_ELIMIT);
    assert_null(command);
    free(word);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_has_a_host_a_line_with_counts_and_comments),
        cmocka_unit_test(what_is_no_list_of_hosts_is_refused_with_its_line),
        cmocka_unit_test(tasks_are_dealt_out_in_turn_and_numbered_host_by_host),
        cmocka_unit_test(what_hosts_fix_is_kept),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(lists_of_slurm_are_taken_apart),
        cmocka_unit_test(what_slurm_would_not_say_is_refused),
        cmocka_unit_test(a_command_is_what_a_shell_takes_for_that_task),
        cmocka_unit_test(words_come_through_a_shell_as_they_are),
        cmocka_unit_test(a_command_too_long_for_the_kernel_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
