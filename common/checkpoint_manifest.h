/* checkpoint_manifest.h - what a shard's file in a checkpoint is: its step, its job, and a CRC of every
 * array.
 *
 * One JSON object, whose last member is the CRC-32 of all bytes before it; other members than these are
 * tolerated.
 *
 *   {"penstock_checkpoint":1,"step":200,"server":0,"servers":2,"updates":200,"examples":30000,"epoch":0,"final":false,
 *    "clocks":[[200,0],[200,0],[200,0]],"slots":1,"data_bytes":534128,"crc":[3422423,...],
 *    "job":"0a0870656e73746f636b...","checksum":"4f7c1a02"}
 *
 * `clocks`: per worker, the last step pushed and applied, and 1 if it has finished. `crc`: per slice of the
 * server, in the order of the ordinals, that of its weights and then of its slots. `job`: the protobuf form
 * of the Job (proto/penstock.proto), from which follows where the slices were cut. Where the
 * members have changed (common/members.h) there is "members":["<version, 16 hexadecimal digits>",[step,
 * worker, 1 if it enters],...] behind `clocks`. */
#ifndef PENSTOCK_COMMON_CHECKPOINT_MANIFEST_H
#define PENSTOCK_COMMON_CHECKPOINT_MANIFEST_H

#include "common/checkpoint.h"
#include "common/job.h"

enum {
    MANIFEST_FORMAT = 1,
    MANIFEST_BYTES_MAX = 16 << 20,
};

typedef struct {
    uint32_t server, servers, slots;
    checkpoint_state state; /* owned */
    uint64_t data_bytes;    /* of the file of arrays */
    uint32_t crc_count;
    uint32_t *crc;       /* (slices of the server x (1 + slots)), owned */
    job_config job;      /* owned, as is the partition */
    partition partition; /* of that job */
} manifest;

/* The text of a manifest; free it. `m->partition` is not read. PS_ENOMEM; PS_ELIMIT above MANIFEST_BYTES_MAX.
 */
ps_status manifest_print(const manifest *m, char **text, size_t *bytes, ps_error *error);

/* Judges every byte. PS_EFORMAT says what is wrong; PS_ENOMEM. On failure `m` is empty. */
ps_status manifest_parse(const char *text, size_t bytes, manifest *m, ps_error *error);

/* Does nothing on an empty one. */
void manifest_fini(manifest *m);

#endif
