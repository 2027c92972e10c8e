/* registry_command.h - what commands that use a registry have in common: two options, and that they open it,
 * do something, close it, and say what went wrong. */
#ifndef PENSTOCK_DEPLOY_REGISTRY_COMMAND_H
#define PENSTOCK_DEPLOY_REGISTRY_COMMAND_H

#include <argp.h>
#include <stdbool.h>

#include "deploy/registry/registry.h"

/* Rows of a command's table of options, whose own keys begin at REGISTRY_KEY_OTHERS. */
enum { REGISTRY_KEY_FOLDER = 256, REGISTRY_KEY_JSON, REGISTRY_KEY_OTHERS };
#define REGISTRY_OPTION                                                    \
    {                                                                      \
        "registry", REGISTRY_KEY_FOLDER, "DIR", 0, REGISTRY_OPTION_HELP, 0 \
    }
#define REGISTRY_OPTION_JSON                                \
    {                                                       \
        "json", REGISTRY_KEY_JSON, NULL, 0, "Print JSON", 0 \
    }
#define REGISTRY_OPTION_HELP "The folder of the registry ($PENSTOCK_HOME, else ~/.local/share/penstock)"

/* Start from zeros. */
typedef struct {
    const char *folder; /* the command line's own; NULL: was not given */
    bool json;
} registry_options;

/* Takes one of these two options; ARGP_ERR_UNKNOWN for anything else. */
error_t registry_options_take(int key, char *argument, struct argp_state *state, registry_options *options);

/* Opens the registry that the option --registry (NULL: not given) and the environment name. Waits are told of
 * on standard error in the name of `title`, borrowed until it is closed. As registry_find and registry_open.
 */
ps_status registry_command_open(const char *title, const char *wanted, registry_mode mode, registry *r,
                                ps_error *error);

/* What a command does with a registry; its options are in `context`. */
typedef ps_status registry_action(registry *r, void *context, ps_error *error);

/* Opens, does it, closes. The command's exit code; what went wrong is told as by command_end. */
int registry_command_run(const char *title, const registry_options *options, registry_mode mode,
                         registry_action *action, void *context);

#endif
