/* own_key.c - see own_key.h. */
#include "ps/own_key.h"

#include <string.h>

#include "common/file.h"
#include "common/log.h"

void own_key_begin(own_key *k, const curve_keys *keys)
{
    /* Nothing is seen yet: the file may have been replaced since the key was read from it. */
    *k = (own_key){.path = keys->ps_path, .own = keys->own};
}

/* Where the file is gone, as for a moment it may be, nothing has changed. */
static void read_again(own_key *k)
{
    struct stat now;
    key_pair fresh;
    ps_error error;
    if (stat(k->path, &now) != 0 || file_is_same(&now, &k->seen))
        return;
    k->seen = now;
    if (key_file_read_pair(k->path, &fresh, &error) != PS_OK) {
        log_warning("the key stays as it was: %s", error.text);
        return;
    }
    if (strcmp(fresh.secret_key, k->own.secret_key) != 0) {
        k->own = fresh;
        k->is_due = true;
    }
    key_pair_wipe(&fresh);
}

bool own_key_look(own_key *k, transport_socket *socket)
{
    ps_error error;
    if (!k->path)
        return false;
    read_again(k);
    if (!k->is_due)
        return false;
    ps_status status = transport_change_key(socket, &k->own, &error);
    k->is_due = status == PS_ESTATE;
    if (status == PS_OK)
        log_event(LOG_INFO, "key_replaced", LOG_NO_STEP, "%s has changed: connections begin anew with it",
                  k->path);
    else if (status != PS_ESTATE)
        log_error("%s", error.text);
    return k->is_due;
}

void own_key_end(own_key *k)
{
    key_pair_wipe(&k->own);
}
