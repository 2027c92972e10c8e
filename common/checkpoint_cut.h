/* checkpoint_cut.h - reading a cut: one shard's two files, and whether all its shards belong together.
 *
 * Private to common/checkpoint*.c. */
#ifndef PENSTOCK_COMMON_CHECKPOINT_CUT_H
#define PENSTOCK_COMMON_CHECKPOINT_CUT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/checkpoint_folder.h"
#include "common/checkpoint_manifest.h"
#include "common/safetensors.h"

/* A shard of a cut, its arrays mapped. */
typedef struct {
    manifest manifest;
    safetensors_file file;
    bool *checked; /* (arrays) against their CRC */
} shard_file;

/* PS_EFORMAT names the file and the damage, of arrays but that of their values; PS_ENOENT, PS_EIO, PS_ENOMEM;
 * `s` is then empty. */
ps_status shard_file_open(const char *folder, uint64_t step, uint32_t server, uint32_t servers, shard_file *s,
                          ps_error *error);

/* Does nothing on an empty one. */
void shard_file_close(shard_file *s);

/* Holds an array against its CRC, the first time that it is asked for. PS_EFORMAT. */
ps_status shard_file_check(shard_file *s, uint32_t index, ps_error *error);

/* The numbers of ps of which something is in a cut, and how much. All zero is the empty one. */
typedef struct {
    uint16_t records[JOB_SERVERS_MAX + 1]; /* by number of ps */
    uint16_t first[JOB_SERVERS_MAX + 1];   /* the lowest index among them */
} checkpoint_census;

/* Counts the manifests in a cut; for checkpoint_visit_cut, on a census. */
void checkpoint_census_count(void *context, const char *path, const checkpoint_name *name);

/* How many ps are in a whole cut. */
uint32_t checkpoint_servers(const partition *p);

/* By which number of ps is the cut whole? The one asked for first, if there are several. Its first manifest
 * is left in `first`, for manifest_fini. PS_ENOENT: by none that can be read, with what is wrong; PS_EIO: one
 * of them cannot be read now; PS_ENOMEM. */
ps_status checkpoint_find_whole(const char *folder, uint64_t step, uint32_t preferred, uint32_t *servers,
                                manifest *first, ps_error *error);

#endif
