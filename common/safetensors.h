/* safetensors.h - model files: u64 header length, JSON header, row-major little-endian data.
 *
 * The format of huggingface/safetensors, F32 only. Reading maps the file and checks every offset before
 * any is used; writing goes to a temporary name in the same folder, is fsynced, renamed over the
 * target, and the folder is fsynced: a reader sees the old file or the whole new one. */
#ifndef PENSTOCK_COMMON_SAFETENSORS_H
#define PENSTOCK_COMMON_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "common/tensor.h"

enum {
    SAFETENSORS_HEADER_MAX = 16 << 20, /* bytes of JSON */
    SAFETENSORS_METADATA_MAX = 64,     /* entries */
};

typedef struct {
    char name[TENSOR_NAME_MAX + 1];
    uint32_t rank;
    uint64_t shape[TENSOR_RANK_MAX];
    uint64_t elements;
    const float *values; /* (elements) f32, row-major; borrowed by a writer, inside the map of a reader */
} safetensors_entry;

typedef struct {
    const char *key, *value;
} safetensors_metadata;

/* The tensors of a file, in the order of their data. */
typedef struct {
    safetensors_entry *entries;
    uint32_t count;
    void *map; /* private: the mapped file, or NULL when parsed from memory */
    size_t map_bytes;
} safetensors_file;

/* Parses a whole file held in memory; entries point into `bytes`, which must outlive the result and be
 * aligned to 8. Pure. PS_EFORMAT names what is wrong: header length, JSON, dtype, shape, overlap, hole,
 * end; PS_ENOMEM. */
ps_status safetensors_parse(const void *bytes, size_t size, safetensors_file *file, ps_error *error);

/* Maps and parses `path`. PS_ENOENT, PS_EIO, or as safetensors_parse, the path named. */
ps_status safetensors_open(const char *path, safetensors_file *file, ps_error *error);

/* The entry of that name or NULL. */
const safetensors_entry *safetensors_find(const safetensors_file *file, const char *name);

void safetensors_close(safetensors_file *file);

/* Writes `count` tensors, data in this order, atomically and durably as described above. The same
 * arguments give the same bytes. PS_EIO with path and cause; the target is then untouched. */
ps_status safetensors_write(const char *path, const safetensors_entry *entries, uint32_t count,
                            const safetensors_metadata *metadata, uint32_t metadata_count, ps_error *error);

#endif
