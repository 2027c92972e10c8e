/* own_key.h - the key of this ps while it runs: a file that is replaced is taken in its place, and
 * connections begin anew with it. What is wrong with the new one is said once, and the old one stays. The
 * loop's thread. */
#ifndef PENSTOCK_PS_OWN_KEY_H
#define PENSTOCK_PS_OWN_KEY_H

#include <stdbool.h>
#include <sys/stat.h>

#include "common/curve_keys.h"
#include "common/transport.h"

typedef struct {
    const char *path; /* borrowed */
    struct stat seen; /* the file as it was when it was looked at last */
    key_pair own;
    bool is_due; /* ZeroMQ has not taken it yet */
} own_key;

/* The key is that of `keys`, which outlives it. */
void own_key_begin(own_key *k, const curve_keys *keys);

/* Looks, and if there is a new one has `socket` take it. True: to be called again soon. */
bool own_key_look(own_key *k, transport_socket *socket);

/* Overwrites what is secret. */
void own_key_end(own_key *k);

#endif
