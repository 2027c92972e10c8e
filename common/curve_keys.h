/* curve_keys.h - the keys that one process speaks with (CURVE: every byte encrypted, both ends proven), and
 * the folder that they come from. `penstock keygen` makes it; each host needs its part of it only:
 *
 *   ps.key                     secret, of all ps                                on hosts of ps
 *   allow                      whom they let in (allow_list.h)                  on hosts of ps
 *   ps.pub                     by which workers know a ps                       on hosts of workers
 *   chief.key, worker-2.key, evaluator-0.key     secret, of one task            on its host
 *   worker.key, evaluator.key  secret, of all tasks of that kind that have none of their own
 *   admin.key                  secret, of who administers jobs                  where `penstock admin` is run
 */
#ifndef PENSTOCK_COMMON_CURVE_KEYS_H
#define PENSTOCK_COMMON_CURVE_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/key_file.h"
#include "common/path.h"
#include "common/status.h"
#include "common/wire.h"

#define CURVE_PS_KEY    "ps.key"
#define CURVE_PS_PUBLIC "ps.pub"
#define CURVE_ALLOW     "allow"
#define CURVE_ADMIN_KEY "admin.key"

/* Start from zeros: no keys, plain text. */
typedef struct {
    bool wanted;
    key_pair own;
    char server_key[KEY_TEXT + 1]; /* of a client: whom it takes for a ps */
    char allow_path[PATH_BYTES];   /* of a ps */
    char ps_path[PATH_BYTES]; /* of a ps its key, of a client that by which it knows a ps: may be replaced */
} curve_keys;

/* What a ps needs of a folder. PS_ECONFIG names the file and what is wrong with it, or that it is
 * not there, or that others may put files of theirs into that folder; PS_EIO. */
ps_status curve_keys_read_server(const char *folder, curve_keys *keys, ps_error *error);

/* What a worker (rank `index`, 0 the chief), evaluator or administrator needs of it. Likewise. */
ps_status curve_keys_read_client(const char *folder, wire_role role, uint32_t index, curve_keys *keys,
                                 ps_error *error);

/* Overwrites what is secret. */
void curve_keys_wipe(curve_keys *keys);

#endif
