/* partition.h - where does a slice live?
 *
 * Every tensor is cut into slices of at most job.slice_bytes; slices are numbered through the table
 * (tensor by tensor, front to back) and each is assigned to a ps by a rule that depends only on the
 * table, the slice size and the number of ps. So every process computes the same map and asks no one.
 *
 * A model that is small beside its ps is cut finer, so that its one big tensor does not make one ps the
 * bottleneck: into slices of at most a ps's fair share, though not below PARTITION_BALANCED_BYTES_MIN. Where
 * a tensor is cut does not change what is computed.
 *
 * The rule: slices by size, largest first (ties: lower number first), each to the ps that holds the
 * fewest elements so far (ties: lower index): longest-processing-time-first, Graham 1969, whose fullest
 * ps exceeds the mean by at most one slice. */
#ifndef PENSTOCK_COMMON_PARTITION_H
#define PENSTOCK_COMMON_PARTITION_H

#include <stdint.h>

#include "common/job.h"
#include "common/status.h"

#define PARTITION_SLICES_MAX (UINT32_C(1) << 22)

/* Slices smaller than this are not worth their messages, however uneven the load. */
#define PARTITION_BALANCED_BYTES_MIN (UINT32_C(64) << 10)

typedef struct {
    uint32_t tensor;  /* index into the table */
    uint32_t server;  /* the ps that holds it */
    uint64_t offset;  /* first element, within the tensor */
    uint32_t count;   /* elements; slices of a tensor differ by at most one element */
    uint32_t ordinal; /* position among its server's slices: server_slices[server][ordinal] */
} slice;

typedef struct {
    slice *slices;
    uint32_t count;
    uint32_t servers;
    uint32_t *tensor_first;  /* tensors + 1: slices of tensor t are [tensor_first[t], tensor_first[t+1]) */
    uint32_t *server_first;  /* servers + 1: offsets into server_slices */
    uint32_t *server_slices; /* slice numbers, grouped by server, ascending in each group */
} partition;

/* Of a checked job. PS_ELIMIT if there would be more than PARTITION_SLICES_MAX slices; PS_ENOMEM.
 * On failure `p` is empty and safe to fini. */
ps_status partition_init(partition *p, const job_config *job, ps_error *error);
void partition_fini(partition *p);

/* Number of slices, and of elements, that `server` holds. */
uint32_t partition_server_count(const partition *p, uint32_t server);
uint64_t partition_server_elements(const partition *p, uint32_t server);

#endif
