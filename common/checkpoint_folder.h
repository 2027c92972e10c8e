/* checkpoint_folder.h - the folder of a job's checkpoints, by names alone: which cuts and files of shards
 * there are, and where they belong. What is in the files is left to others; private to common/checkpoint*.c.
 */
#ifndef PENSTOCK_COMMON_CHECKPOINT_FOLDER_H
#define PENSTOCK_COMMON_CHECKPOINT_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/path.h"
#include "common/status.h"

#define CHECKPOINT_DATA_SUFFIX   ".safetensors" /* the arrays of a shard */
#define CHECKPOINT_RECORD_SUFFIX ".json"        /* its manifest */

/* The folder of a cut, and a file of a shard in it. PS_EIO: the path is too long. */
ps_status checkpoint_cut_path(const char *folder, uint64_t step, char path[PATH_BYTES], ps_error *error);
ps_status checkpoint_shard_path(const char *folder, uint64_t step, uint32_t server, uint32_t servers,
                                const char *suffix, char path[PATH_BYTES], ps_error *error);

/* The steps of all cuts, whole or not, newest first; free them. A folder that is not there has none. PS_EIO,
 * PS_ENOMEM. */
ps_status checkpoint_list_steps(const char *folder, uint64_t **steps, uint32_t *count, ps_error *error);

/* What the name of a shard's file says. */
typedef struct {
    uint32_t server, servers;
    bool record;    /* the manifest; else the arrays */
    bool temporary; /* left behind by a crash, or being written */
} checkpoint_name;

/* Calls `visit` for every file of a shard in a cut. A cut that is gone has none. PS_EIO. */
typedef void checkpoint_visit(void *context, const char *path, const checkpoint_name *name);
ps_status checkpoint_visit_cut(const char *folder, uint64_t step, checkpoint_visit *visit, void *context,
                               ps_error *error);

#endif
