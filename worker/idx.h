/* idx.h - the IDX format of MNIST and its relatives: bytes in memory, plain or gzipped, judged and described.
 *
 * Format: two zero bytes, a type (0x08: unsigned bytes), the rank, then a big-endian u32 per dimension, then
 * the elements, row-major (http://yann.lecun.com/exdb/mnist). Pure: no files, no state. */
#ifndef PENSTOCK_WORKER_IDX_H
#define PENSTOCK_WORKER_IDX_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum { IDX_RANK_MAX = 4 };

/* The most that a gzipped file may hold, 4 GiB less two bytes; larger sets are mapped unpacked. */
#define IDX_INFLATED_MAX (UINT32_MAX - 1)

/* A checked IDX file of unsigned bytes (type 0x08). */
typedef struct {
    uint32_t rank;
    uint32_t shape[IDX_RANK_MAX]; /* shape[0]: rows */
    uint64_t row_bytes;           /* product of the rest of the shape */
    const uint8_t *rows;          /* (shape[0] * row_bytes), inside the bytes that were parsed */
} idx_view;

/* Judges `size` bytes as an IDX file. PS_EFORMAT names the rule: magic, type, rank, empty or
 * overflowing shape, truncated ("holds n bytes, its header asks for m") or oversized. */
ps_status idx_parse(const void *bytes, size_t size, idx_view *view, ps_error *error);

/* Inflates a gzipped IDX file into memory that the caller frees; never more than its IDX header asks for, and
 * one byte to see that there is more. Of the contents only the header is checked: idx_parse is due next.
 * PS_EFORMAT: not gzip, damaged, truncated, something after its end, more or less than the header asks for;
 * PS_ELIMIT above IDX_INFLATED_MAX; PS_ENOMEM. */
ps_status idx_inflate(const void *gzip, size_t size, uint8_t **bytes, size_t *inflated, ps_error *error);

#endif
