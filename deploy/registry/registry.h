/* registry.h - the folder in which runs and models are kept: its database, its files, and works in progress.
 *
 *   registry.db              rows: registry_schema.h says which
 *   files/ab/abcdef...       what models are made of, each file by the SHA-256 of its content
 *   incoming/NAME/           what a process brings in or takes out at the moment: a `work`
 *   incoming/NAME.lock       locked (flock) by that process: as long as it lives, nobody touches its work
 *   live/ID                  locked by the launcher of a run, as long as that lives
 *
 * Two rules keep database and files together:
 * - A file comes into files/, or goes, only in the hands of one who holds the database's lock of writers. It
 *   comes before the row that names it is committed, and goes after no row names it any more.
 * - Whoever writes has a work. If it is killed, its work is left without a lock: the next one who opens the
 *   registry then removes, under the lock of writers, every file that no row names, and then the work.
 * So a row's files are always there, and what a killed process has left is gone with the next command.
 *
 * Where it may lie, and what else hosts may do with it, is registry_place's. */
#ifndef PENSTOCK_DEPLOY_REGISTRY_H
#define PENSTOCK_DEPLOY_REGISTRY_H

#include "common/path.h"
#include "common/status.h"
#include "deploy/registry/content.h"
#include "deploy/registry/database.h"

enum {
    REGISTRY_NAME_MAX = 128, /* bytes of the name of a model or an experiment, with its terminator */
};

typedef struct {
    char folder[PATH_BYTES];
    database *db;
} registry;

typedef struct {
    char folder[PATH_BYTES]; /* empty as it begins */
    char lock_path[PATH_BYTES];
    int lock;
} registry_work;

typedef enum {
    REGISTRY_MUST_EXIST,
    REGISTRY_MAY_BE_NEW,
} registry_mode;

/* Where the registry is: `wanted` if that is not NULL, else $PENSTOCK_HOME, else penstock/ in $XDG_DATA_HOME
 * or
 * ~/.local/share. PS_ECONFIG if nobody says; PS_EIO if the path is too long. */
ps_status registry_find(const char *wanted, char folder[PATH_BYTES], ps_error *error);

/* Opens the registry in `folder`, which is made if need be and `mode` allows it, and clears away what killed
 * processes have left. `listener` (may be NULL) hears of long waits. PS_EINVAL: there is none; PS_ECONFIG: it
 * must not lie there; PS_EFORMAT: it is damaged, or another program's or version's; PS_ETIMEDOUT, PS_EIO,
 * PS_ENOMEM. On failure nothing is open. */
ps_status registry_open(const char *folder, registry_mode mode, const database_listener *listener,
                        registry *r, ps_error *error);

/* Does nothing on one that is not open. */
void registry_close(registry *r);

/* A name of a model or an experiment: [a-z0-9][a-z0-9._-]*, less than REGISTRY_NAME_MAX bytes. PS_EINVAL says
 * what is wrong with which; `what` is it: "model", "experiment", "tag". */
ps_status registry_check_name(const char *what, const char *name, ps_error *error);

/* ---- works ---- */

/* Begins a work, before anything is changed. PS_EIO. */
ps_status registry_work_begin(const registry *r, registry_work *w, ps_error *error);

/* It has come to its end: what is left in its folder is removed. */
void registry_work_end(registry_work *w);

/* It has failed: what it has brought in goes, now or with the next command that can. Not in a transaction. */
void registry_work_abandon(registry *r, registry_work *w);

/* ---- files: in a transaction, within a work ---- */

/* Moves a file of a work, whose content is `sha256` and on the disk, to its place, durably. One that is there
 * already is replaced: should it have been damaged, it is whole again. PS_EIO. */
ps_status registry_put(registry *r, const char *path, const char *sha256, ps_error *error);

/* Removes it unless a row names it. */
ps_status registry_drop(registry *r, const char *sha256, ps_error *error);

/* ---- files: at any time ---- */

/* Reads a file and, unless `to` is NULL, copies it to that new file. PS_EFORMAT: it is not there, or not what
 * it was; `to` is then gone. PS_EIO. */
ps_status registry_get(const registry *r, const char *sha256, const char *to, ps_error *error);

/* Hands out the names in files/ that no row names, and what else lies there. Call it in a transaction. */
ps_status registry_each_stray(registry *r,
                              ps_status (*found)(void *context, const char *path, ps_error *error),
                              void *context, ps_error *error);

/* ---- locks of those who live ---- */

/* Makes the file `path` and locks it: true while the descriptor, which is closed on exec, is open in this
 * process. PS_ESTATE: it is there already. PS_EIO. */
ps_status registry_lock(const char *path, int *fd, ps_error *error);

/* Takes over the lock of one that has died: PS_OK, and the lock is ours (close `*fd`); PS_ESTATE: it lives;
 * PS_ENOENT: there is no such file; PS_EIO. */
ps_status registry_inherit(const char *path, int *fd, ps_error *error);

#endif
