/* serve.c - `penstock serve`: the program that computes (worker/serve.c), as predict.c. */
#include "deploy/commands.h"
#include "deploy/launch/programs.h"

int serve_main(int argc, char **argv)
{
    (void)argc;
    return program_become("penstock-serve", "worker", NULL, argv);
}
