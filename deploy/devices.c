/* devices.c - `penstock devices`: asks the worker, which alone knows what it was built with and can see. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <argp.h>

#include "common/status.h"
#include "deploy/commands.h"
#include "deploy/launch/programs.h"

static error_t parse_one(int key, char *argument, struct argp_state *state)
{
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    argp_error(state, "'%s' is no option", argument);
    return 0;
}

int devices_main(int argc, char **argv)
{
    static const struct argp parser = {
        .parser = parse_one,
        .doc = "List where a worker on this host can compute (penstock-worker --device), and what is lacking "
               "where it has no CUDA. CUDA_VISIBLE_DEVICES chooses and numbers, as for the worker.\v"};
    argp_parse(&parser, argc, argv, 0, NULL, NULL);
    char path[PATH_MAX];
    ps_error error;
    if (program_find("penstock-worker", "worker", NULL, path, sizeof path, &error) != PS_OK) {
        fprintf(stderr, "%s: %s\n", argv[0], error.text);
        return PS_EXIT_USAGE;
    }
    execl(path, path, "--list-devices", (char *)NULL);
    fprintf(stderr, "%s: cannot start %s: %s\n", argv[0], path, strerror(errno));
    return PS_EXIT_FAILURE;
}
