/* sim.c - `penstock sim`: the simulator, which is a part of the tests. */
#include "deploy/commands.h"
#include "deploy/launch/programs.h"

int sim_main(int argc, char **argv)
{
    (void)argc;
    return program_become("penstock-sim", "tests/sim", PROGRAMS_OF_TESTS, argv);
}
