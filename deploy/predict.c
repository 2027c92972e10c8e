/* predict.c - `penstock predict`: the program that computes (worker/predict.c). No other command loads what
 * it computes with. */
#include "deploy/commands.h"
#include "deploy/launch/programs.h"

int predict_main(int argc, char **argv)
{
    (void)argc;
    return program_become("penstock-predict", "worker", NULL, argv);
}
