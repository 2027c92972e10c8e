/* registry_place.h - may a registry lie on this file system, and how must its database keep its journal
 * there?
 *
 * A write-ahead log needs memory that all its users share, so it is for processes of one host. A rollback
 * journal needs locks that all users honour: on a network file system those of all hosts. Where they cannot
 * be relied on, a registry is refused. */
#ifndef PENSTOCK_DEPLOY_REGISTRY_PLACE_H
#define PENSTOCK_DEPLOY_REGISTRY_PLACE_H

#include <stdbool.h>

#include "common/status.h"

typedef enum { PLACE_OF_ONE_HOST, PLACE_OF_MANY_HOSTS } registry_place;

/* Judges by the file system's magic number (statfs) and the options that it is mounted with, "rw,vers=4.2".
 * Pure. PS_ECONFIG names file system and reason. */
ps_status registry_place_judge(const char *folder, long magic, const char *options, registry_place *place,
                               ps_error *error);

/* The same of a folder that exists. PS_EIO. */
ps_status registry_place_find(const char *folder, registry_place *place, ps_error *error);

#endif
