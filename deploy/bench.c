/* bench.c - `penstock bench`: the benchmark program, which is a part of the tests. */
#include "deploy/commands.h"
#include "deploy/launch/programs.h"

int bench_main(int argc, char **argv)
{
    (void)argc;
    return program_become("penstock-bench", "tests/bench", PROGRAMS_OF_TESTS, argv);
}
