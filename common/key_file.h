/* key_file.h - CURVE keys in files.
 *
 * A key is 32 bytes, written as 40 characters (Z85, ZeroMQ RFC 32). A secret key's file is for its owner
 * alone:
 *
 *   # Penstock: the secret key of a ps
 *   public Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID
 *   secret D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs
 *
 * and a public key's has the line `public` alone. Lines that begin with '#' and empty ones say nothing.
 * Making keys is the transport's business (transport_make_keys). */
#ifndef PENSTOCK_COMMON_KEY_FILE_H
#define PENSTOCK_COMMON_KEY_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"

enum {
    KEY_TEXT = 40,            /* characters of a key */
    KEY_FILE_BYTES_MAX = 4096 /* of a file */
};

typedef struct {
    char public_key[KEY_TEXT + 1];
    char secret_key[KEY_TEXT + 1]; /* "": not known */
} key_pair;

/* Are these `length` characters a key? */
bool key_is_valid(const char *text, size_t length);

/* Reads a secret key and its public one. PS_ENOENT; PS_EIO; PS_ECONFIG: others than its owner may read it
 * (but for the group of a file of root's, which is how Kubernetes mounts a secret), or it is no such file.
 * The path is named, never a key. */
ps_status key_file_read_pair(const char *path, key_pair *pair, ps_error *error);

/* Reads a public key; of a secret key's file too. `key`: KEY_TEXT + 1. As above, whoever may read it. */
ps_status key_file_read_public(const char *path, char *key, ps_error *error);

/* Writes a new file; syncing its folder is the caller's. With the secret key for the owner alone (0600), or
 * the public key alone (0644). `whose`: a word or two for people. PS_ESTATE: there is a file already, which
 * is left alone; PS_EIO. */
ps_status key_file_write_pair(const char *path, const key_pair *pair, const char *whose, ps_error *error);
ps_status key_file_write_public(const char *path, const key_pair *pair, const char *whose, ps_error *error);

/* Overwrites the secret key, also where a compiler sees no reason to. */
void key_pair_wipe(key_pair *pair);

#endif
