/* registry_command.c - see registry_command.h. */
#include "deploy/registry/registry_command.h"

#include <stdint.h>
#include <stdio.h>

#include "common/options.h"
#include "deploy/command_end.h"

error_t registry_options_take(int key, char *argument, struct argp_state *state, registry_options *options)
{
    ps_error error;
    switch (key) {
    case REGISTRY_KEY_FOLDER:
        if (option_name("registry", argument, &options->folder, &error) != PS_OK)
            argp_error(state, "%s", error.text);
        return 0;
    case REGISTRY_KEY_JSON:
        options->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

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

int registry_command_run(const char *title, const registry_options *options, registry_mode mode,
                         registry_action *action, void *context)
{
    registry r;
    ps_error error;
    ps_status status = registry_command_open(title, options->folder, mode, &r, &error);
    if (status == PS_OK)
        status = action(&r, context, &error);
    registry_close(&r);
    return command_end(title, status, &error);
}
