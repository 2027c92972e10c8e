/* registry_command.h - what commands that use a registry have in common. */
#ifndef PENSTOCK_DEPLOY_REGISTRY_COMMAND_H
#define PENSTOCK_DEPLOY_REGISTRY_COMMAND_H

#include "deploy/registry/registry.h"

#define REGISTRY_OPTION_HELP "The folder of the registry ($PENSTOCK_HOME, else ~/.local/share/penstock)"

/* Opens the registry that the option --registry (NULL: not given) and the environment name. Waits are told of
 * on standard error in the name of `title`, borrowed until it is closed. As registry_find and registry_open.
 */
ps_status registry_command_open(const char *title, const char *wanted, registry_mode mode, registry *r,
                                ps_error *error);

#endif
