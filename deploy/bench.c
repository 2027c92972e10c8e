/* bench.c - `penstock bench`: finds the benchmark program, which is a part of the tests, and becomes it. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/status.h"
#include "deploy/commands.h"
#include "deploy/programs.h"

int bench_main(int argc, char **argv)
{
    char path[PATH_MAX];
    (void)argc;
    if (program_find("penstock-bench", "tests/bench", NULL, path, sizeof path, NULL) != PS_OK) {
        fprintf(
            stderr,
            "%s: there is no penstock-bench beside this program, in its build tree or in PATH; it is built "
            "and installed with the tests (cmake -DPENSTOCK_TESTS=ON)\n",
            argv[0]);
        return PS_EXIT_USAGE;
    }
    execv(path, argv);
    fprintf(stderr, "%s: cannot start %s: %s\n", argv[0], path, strerror(errno));
    return PS_EXIT_FAILURE;
}
