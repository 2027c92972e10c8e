/* command_end.c - see command_end.h. */
#include "deploy/command_end.h"

#include <stdbool.h>
#include <stdio.h>

int command_end(const char *title, ps_status status, const ps_error *error)
{
    /* The last part may have got out, and one before it not. */
    const bool written = fflush(stdout) == 0 && !ferror(stdout);
    if (status != PS_OK)
        fprintf(stderr, "%s: %s\n", title, error->text);
    else if (!written)
        fprintf(stderr, "%s: cannot write to standard output\n", title);
    return status == PS_OK && !written ? PS_EXIT_FAILURE : ps_status_exit_code(status);
}
