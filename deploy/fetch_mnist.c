/* fetch_mnist.c - `penstock fetch-mnist`: the script deploy/fetch-mnist, as installed beside this program. */
#include "deploy/commands.h"
#include "deploy/launch/programs.h"

int fetch_mnist_main(int argc, char **argv)
{
    (void)argc;
    return program_become("penstock-fetch-mnist", "deploy", NULL, argv);
}
