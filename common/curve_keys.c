/* curve_keys.c - see curve_keys.h. */
#include "common/curve_keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/allow_list.h"

/* A file that is not there, or is none, is a mistake in the configuration like any other. */
static ps_status settle(ps_status status, curve_keys *keys, ps_error *error)
{
    keys->wanted = status == PS_OK;
    if (status != PS_OK)
        curve_keys_wipe(keys);
    if (status != PS_ENOENT && status != PS_EFORMAT)
        return status;
    if (error)
        error->status = PS_ECONFIG;
    return PS_ECONFIG;
}

/* May others put files of theirs in the place of those? They may not where the folder is on a read-only
 * mount, as Kubernetes has it of a secret, or sticky. */
static ps_status check_folder(const char *folder, ps_error *error)
{
    struct stat about;
    struct statvfs mount;
    if (stat(folder, &about) != 0)
        return ps_fail(error, errno == ENOENT || errno == ENOTDIR ? PS_ECONFIG : PS_EIO,
                       "cannot read the folder of keys %s: %s", folder, strerror(errno));
    if (!(about.st_mode & (S_IWGRP | S_IWOTH)) || about.st_mode & S_ISVTX ||
        (statvfs(folder, &mount) == 0 && mount.f_flag & ST_RDONLY))
        return PS_OK;
    return ps_fail(error, PS_ECONFIG, "%s: others may write to this folder of keys (mode %04o): chmod go-w",
                   folder, (unsigned)about.st_mode & 07777);
}

ps_status curve_keys_read_server(const char *folder, curve_keys *keys, ps_error *error)
{
    allow_list list;
    memset(keys, 0, sizeof *keys);
    ps_status status = check_folder(folder, error);
    if (status == PS_OK)
        status = path_make(keys->ps_path, error, "%s/" CURVE_PS_KEY, folder);
    if (status == PS_OK)
        status = key_file_read_pair(keys->ps_path, &keys->own, error);
    if (status == PS_OK)
        status = path_make(keys->allow_path, error, "%s/" CURVE_ALLOW, folder);
    if (status == PS_OK && (status = allow_list_read(keys->allow_path, &list, error)) == PS_OK)
        allow_list_fini(&list); /* read for its errors: who listens reads it again whenever it changes */
    return settle(status, keys, error);
}

/* The first of the files that is there, or else the last. */
static ps_status find_own(const char *folder, wire_role role, uint32_t index, char path[PATH_BYTES],
                          ps_error *error)
{
    const char *kind = role == WIRE_EVALUATOR ? "evaluator" : "worker";
    ps_status status = PS_OK;
    if (role == WIRE_ADMINISTRATOR)
        return path_make(path, error, "%s/" CURVE_ADMIN_KEY, folder);
    if (role == WIRE_WORKER && index == 0) {
        status = path_make(path, error, "%s/chief.key", folder);
        if (status != PS_OK || access(path, F_OK) == 0)
            return status;
    }
    status = path_make(path, error, "%s/%s-%u.key", folder, kind, index);
    if (status != PS_OK || access(path, F_OK) == 0)
        return status;
    return path_make(path, error, "%s/%s.key", folder, kind);
}

ps_status curve_keys_read_client(const char *folder, wire_role role, uint32_t index, curve_keys *keys,
                                 ps_error *error)
{
    char path[PATH_BYTES];
    memset(keys, 0, sizeof *keys);
    ps_status status = check_folder(folder, error);
    if (status == PS_OK)
        status = find_own(folder, role, index, path, error);
    if (status == PS_OK)
        status = key_file_read_pair(path, &keys->own, error);
    if (status == PS_OK)
        status = path_make(keys->ps_path, error, "%s/" CURVE_PS_PUBLIC, folder);
    if (status == PS_OK)
        status = key_file_read_public(keys->ps_path, keys->server_key, error);
    return settle(status, keys, error);
}

void curve_keys_wipe(curve_keys *keys)
{
    key_pair_wipe(&keys->own);
}
