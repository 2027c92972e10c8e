/* host_file.h - the hosts that processes may be put on, as a file lists them:
 *
 *     # a host a line, as MPI and DeepSpeed write it
 *     node-01 slots=4
 *     node-02 ps=1 worker=2      exactly so many of each
 *     me@192.168.1.7 ps=2 worker=0
 *     fd00::5
 *
 * `slots` says how many workers a host has room for, 1 without; `ps` and `worker` how many tasks of that kind
 * it gets, whatever it has room for. What stands before '@' is for ssh. Who gets what else is host_layout's.
 */
#ifndef PENSTOCK_DEPLOY_HOST_FILE_H
#define PENSTOCK_DEPLOY_HOST_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/address.h"
#include "common/status.h"

enum {
    HOSTS_MAX = 1024,
    HOST_NAME_BYTES = ADDRESS_TEXT_MAX + 1,
    HOST_TASKS_MAX = 1024,   /* of a kind on one host */
    HOST_FILE_MAX = 1 << 20, /* bytes */
    HOST_DEFAULT_SLOTS = 1,
};

typedef struct {
    char name[HOST_NAME_BYTES]; /* as ssh is told: perhaps user@host; IPv6 without brackets */
    const char *address;        /* in `name`: the host itself */
    unsigned slots;
    bool fixes_servers, fixes_workers;
    unsigned servers, workers; /* where they are fixed */
} host;

typedef struct {
    size_t count;
    host list[HOSTS_MAX];
} host_table;

/* Adds a host whose name[length] is, with the slots of one that says nothing. PS_ECONFIG names the rule,
 * without where the name stands; also if it is there already, or there are HOSTS_MAX. */
ps_status host_table_add(host_table *table, const char *name, size_t length, ps_error *error);

/* Reads `text`; `source` names it in errors. PS_ECONFIG: source, line and rule; also if no host is in it. */
ps_status host_file_parse(const char *text, size_t bytes, const char *source, host_table *table,
                          ps_error *error);

/* The same of a file. PS_ECONFIG also if it cannot be read; PS_ENOMEM. */
ps_status host_file_read(const char *path, host_table *table, ps_error *error);

#endif
