/* registry_command.c - see registry_command.h. */
#include "deploy/registry/registry_command.h"

#include <stdint.h>
#include <stdio.h>

static void tell(void *context, const char *line)
{
    fprintf(stderr, "%s: %s\n", (const char *)context, line);
}

ps_status registry_command_open(const char *title, const char *wanted, registry_mode mode, registry *r,
                                ps_error *error)
{
    char folder[PATH_BYTES];
    const database_listener listener = {tell, (void *)(uintptr_t)title};
    *r = (registry){0};
    ps_status status = registry_find(wanted, folder, error);
    return status == PS_OK ? registry_open(folder, mode, &listener, r, error) : status;
}
