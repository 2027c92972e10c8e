/* registry_works.h - what is left of works whose processes were killed, and of files that nothing names. */
#ifndef PENSTOCK_DEPLOY_REGISTRY_WORKS_H
#define PENSTOCK_DEPLOY_REGISTRY_WORKS_H

#include "deploy/registry/registry.h"

/* Removes works that nobody holds and, if there are any, files that no row names. Quick if there is nothing
 * to do. Not in a transaction. PS_EIO, PS_ETIMEDOUT: it is left to the next one. */
ps_status registry_works_clear(registry *r, ps_error *error);

#endif
