/* safetensors.h - model files: u64 header length, JSON header, row-major little-endian data.
 *
 * The format of huggingface/safetensors, F32 only, and with the header padded so that the data begins at a
 * multiple of 8, as its writers do since 0.3. Reading maps the file and checks every offset before any is
 * used; writing goes to a temporary name in the same folder, is fsynced, renamed over the target, and the
 * folder is fsynced: a reader sees the old file or the whole new one. */
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
    const void *map; /* private: the mapped file, or NULL when parsed from memory */
    size_t map_bytes;
} safetensors_file;

/* Parses a whole file held in memory; entries point into `bytes`, which must outlive the result and be
 * aligned to 8. Pure; safetensors_close is due. PS_EFORMAT names what is wrong: header length, JSON, dtype,
 * shape, overlap, hole, end; PS_ELIMIT: more than TENSOR_TABLE_MAX tensors or SAFETENSORS_METADATA_MAX
 * entries; PS_ENOMEM. On failure `file` is empty. */
ps_status safetensors_parse(const void *bytes, size_t size, safetensors_file *file, ps_error *error);

/* Maps and parses `path`, which must not be cut while open (replacing it is safe). PS_ENOENT, PS_EIO, or as
 * safetensors_parse, the path named. On failure `file` is empty. */
ps_status safetensors_open(const char *path, safetensors_file *file, ps_error *error);

/* Reads the values of an entry of an open file, so that touching them cannot fail (file_fetch). PS_EIO or
 * PS_ENOMEM with the tensor named. */
ps_status safetensors_fetch(const safetensors_entry *entry, ps_error *error);

/* The entry of that name or NULL. */
const safetensors_entry *safetensors_find(const safetensors_file *file, const char *name);

/* Leaves `file` empty; does nothing on an empty one. */
void safetensors_close(safetensors_file *file);

/* Writes `count` tensors, data in this order, atomically and durably as described above. The same
 * arguments give the same bytes. PS_EINVAL for what a reader would refuse (a name twice, too long or no
 * UTF-8, a shape that is not `elements`, a limit); PS_EIO with path and cause, PS_ENOMEM. The target is then
 * untouched, but for the case noted at file_write_atomic. */
ps_status safetensors_write(const char *path, const safetensors_entry *entries, uint32_t count,
                            const safetensors_metadata *metadata, uint32_t metadata_count, ps_error *error);

/* The same, and the checksum (common/checksum.h) of each tensor's values as they are written. `checksums`:
 * (count), defined if the call succeeds. */
ps_status safetensors_write_summed(const char *path, const safetensors_entry *entries, uint32_t count,
                                   const safetensors_metadata *metadata, uint32_t metadata_count,
                                   uint32_t *checksums, ps_error *error);

#endif
