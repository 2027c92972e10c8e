/* main.c - penstock-bench: what is asked for, one group after the other, and then the files. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/cases.h"
#include "worker/blas_select.h"

typedef struct {
    const char *name;
    cases_run *run;
} group;

static const group groups[] = {
    {"raw", cases_raw},         {"push", cases_push},
    {"pull", cases_pull},       {"push_pull", cases_push_pull},
    {"curve", cases_curve},     {"request", cases_request},
    {"shared", cases_shared},   {"kernels", cases_kernels},
    {"scaling", cases_scaling}, {"plan", cases_plan},
    {"mnist", cases_mnist},
};

enum { GROUPS = sizeof groups / sizeof groups[0] };

static void report(ps_status status, const ps_error *error, const char *title, int *code)
{
    if (status == PS_OK)
        return;
    fprintf(stderr, "%s: %s\n", title, error->text);
    *code = PS_EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static bench_options options;
    static results r;
    const char *names[GROUPS + 1] = {0};
    char line[512];
    ps_error error;
    for (size_t i = 0; i < GROUPS; i++)
        names[i] = groups[i].name;
    options_parse(argc, argv, names, &options);
    if (options_choose(&options, "mnist") && options.mnist_folder &&
        blas_select(argv, line, sizeof line, &error) != PS_OK) {
        fprintf(stderr, "%s: %s\n", argv[0], error.text);
        return PS_EXIT_FAILURE;
    }
    results_init(&r);
    table_print_title(&options);
    for (size_t i = 0; i < GROUPS; i++) {
        if (!options_choose(&options, groups[i].name))
            continue;
        table_print_group(groups[i].name);
        groups[i].run(&options, &r);
    }
    table_print_summary(&r);
    int code = r.failures ? PS_EXIT_FAILURE : PS_EXIT_DONE;
    if (options.json_file)
        report(report_write(&r, options.json_file, &error), &error, argv[0], &code);
    if (options.svg_folder)
        report(svg_write(&r, options.svg_folder, &error), &error, argv[0], &code);
    return code;
}
