/* predict.c - `penstock predict`: finds the program that computes (worker/predict.c), and becomes it. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/status.h"
#include "deploy/commands.h"
#include "deploy/programs.h"

int predict_main(int argc, char **argv)
{
    char path[PATH_MAX];
    ps_error error;
    (void)argc;
    ps_status status = program_find("penstock-predict", "worker", NULL, path, sizeof path, &error);
    if (status != PS_OK) {
        fprintf(stderr,
                "%s: there is no penstock-predict beside this program, in its build tree or in PATH\n",
                argv[0]);
        return ps_status_exit_code(status);
    }
    execv(path, argv);
    fprintf(stderr, "%s: cannot start %s: %s\n", argv[0], path, strerror(errno));
    return PS_EXIT_FAILURE;
}
