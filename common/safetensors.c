/* safetensors.c - see safetensors.h.
 *
 * A writer's header is judged by the reader's code before it is written: what we write, we can read. */
#include "common/safetensors.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "lengths and floats are taken as they lie in the file");
_Static_assert(sizeof(float) == 4, "F32");

enum {
    LENGTH_BYTES = 8,
    ALIGNMENT = 8, /* of the header's end, where the data begins */
};
#define METADATA_KEY "__metadata__"

/* A tensor and where the header says that its data lies: bytes [begin, end). */
typedef struct {
    uint64_t begin, end;
    safetensors_entry entry;
} extent;

/* ---- Reading one tensor's description. Messages leave its name to parse_tensor. ---- */

static ps_status parse_dtype(const json *value, ps_error *error)
{
    const char *dtype;
    ps_status status = json_as_string(json_find(value, "dtype"), "dtype", &dtype, error);
    if (status == PS_OK && strcmp(dtype, "F32") != 0)
        return ps_fail(error, PS_EFORMAT, "dtype is '%s'; only F32 is supported", dtype);
    return status;
}

static ps_status parse_shape(const json *value, safetensors_entry *entry, ps_error *error)
{
    const json *shape = json_find(value, "shape");
    ps_status status = json_as_list(shape, "shape", error);
    if (status != PS_OK)
        return status;
    if (json_count(shape) > TENSOR_RANK_MAX)
        return ps_fail(error, PS_EFORMAT, "shape has %zu dimensions, more than %d", json_count(shape),
                       TENSOR_RANK_MAX);
    entry->elements = 1;
    for (const json *size = json_first(shape); size; size = json_next(size)) {
        int64_t number;
        status = json_as_integer(size, "each size in shape", 0, (int64_t)TENSOR_ELEMENTS_MAX, &number, error);
        if (status != PS_OK)
            return status;
        entry->shape[entry->rank++] = (uint64_t)number;
        if (__builtin_mul_overflow(entry->elements, (uint64_t)number, &entry->elements) ||
            entry->elements > TENSOR_ELEMENTS_MAX)
            return ps_fail(error, PS_EFORMAT, "shape makes more than 2^40 elements");
    }
    return PS_OK;
}

static ps_status parse_offsets(const json *value, uint64_t data_bytes, extent *e, ps_error *error)
{
    const json *offsets = json_find(value, "data_offsets");
    ps_status status = json_as_list(offsets, "data_offsets", error);
    if (status != PS_OK)
        return status;
    if (json_count(offsets) != 2)
        return ps_fail(error, PS_EFORMAT, "data_offsets has %zu entries, not 2", json_count(offsets));
    const json *first = json_first(offsets);
    int64_t begin = 0, end = 0;
    status = json_as_integer(first, "data_offsets[0]", 0, JSON_INTEGER_MAX, &begin, error);
    if (status == PS_OK)
        status = json_as_integer(json_next(first), "data_offsets[1]", 0, JSON_INTEGER_MAX, &end, error);
    if (status != PS_OK)
        return status;
    e->begin = (uint64_t)begin;
    e->end = (uint64_t)end;
    if (begin > end || e->end > data_bytes)
        return ps_fail(error, PS_EFORMAT,
                       "data_offsets [%" PRIu64 ", %" PRIu64 "] are not within the %" PRIu64 " bytes of data",
                       e->begin, e->end, data_bytes);
    if (e->end - e->begin != e->entry.elements * sizeof(float))
        return ps_fail(error, PS_EFORMAT, "data_offsets span %" PRIu64 " bytes, shape asks for %" PRIu64,
                       e->end - e->begin, e->entry.elements * sizeof(float));
    return PS_OK;
}

static ps_status parse_tensor(const json *value, uint64_t data_bytes, extent *e, ps_error *error)
{
    *e = (extent){0};
    const char *name = json_key(value);
    size_t length = strlen(name);
    if (length < 1 || length > TENSOR_NAME_MAX)
        return ps_fail(error, PS_EFORMAT, "tensor name '%.40s' of %zu bytes is not within 1 ... %d", name,
                       length, TENSOR_NAME_MAX);
    memcpy(e->entry.name, name, length + 1);
    ps_error cause;
    ps_status status = json_as_object(value, "its description", &cause);
    if (status == PS_OK)
        status = parse_dtype(value, &cause);
    if (status == PS_OK)
        status = parse_shape(value, &e->entry, &cause);
    if (status == PS_OK)
        status = parse_offsets(value, data_bytes, e, &cause);
    return status == PS_OK ? PS_OK : ps_fail(error, status, "tensor '%s': %s", name, cause.text);
}

/* ---- Reading the header ---- */

static ps_status check_metadata(const json *metadata, ps_error *error)
{
    ps_status status = json_as_object(metadata, METADATA_KEY, error);
    if (status != PS_OK)
        return status;
    if (json_count(metadata) > SAFETENSORS_METADATA_MAX)
        return ps_fail(error, PS_ELIMIT, METADATA_KEY " has %zu entries, more than %d", json_count(metadata),
                       SAFETENSORS_METADATA_MAX);
    for (const json *value = json_first(metadata); value; value = json_next(value))
        if (json_type_of(value) != JSON_STRING)
            return ps_fail(error, PS_EFORMAT, METADATA_KEY ": '%.40s' must be a string, not %s",
                           json_key(value), json_type_name(value));
    return PS_OK;
}

/* By place; empty tensors, which share theirs with a neighbour, before it and among themselves by name. */
static int compare_extents(const void *a, const void *b)
{
    const extent *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return strcmp(x->entry.name, y->entry.name);
}

/* That sorted extents cover the data without hole or overlap. */
static ps_status check_cover(const extent *extents, uint32_t count, uint64_t data_bytes, ps_error *error)
{
    uint64_t reached = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (extents[i].begin < reached)
            return ps_fail(error, PS_EFORMAT, "tensors '%s' and '%s' overlap at byte %" PRIu64 " of the data",
                           extents[i - 1].entry.name, extents[i].entry.name, extents[i].begin);
        if (extents[i].begin > reached)
            return ps_fail(error, PS_EFORMAT, "a hole of %" PRIu64 " bytes in the data before tensor '%s'",
                           extents[i].begin - reached, extents[i].entry.name);
        reached = extents[i].end;
    }
    if (reached != data_bytes)
        return ps_fail(error, PS_EFORMAT, "%" PRIu64 " bytes of data belong to no tensor",
                       data_bytes - reached);
    return PS_OK;
}

static ps_status parse_root(const json *root, uint64_t data_bytes, extent *extents, uint32_t *count,
                            ps_error *error)
{
    *count = 0;
    for (const json *value = json_first(root); value; value = json_next(value)) {
        bool is_metadata = strcmp(json_key(value), METADATA_KEY) == 0;
        ps_status status = is_metadata ? check_metadata(value, error)
                                       : parse_tensor(value, data_bytes, &extents[(*count)++], error);
        if (status != PS_OK)
            return status;
    }
    qsort(extents, *count, sizeof *extents, compare_extents);
    return check_cover(extents, *count, data_bytes, error);
}

/* The header of a file with `data_bytes` of data. The tensors, in the order of their data, are in `extents`,
 * which the caller frees. */
static ps_status parse_header(const char *text, size_t bytes, uint64_t data_bytes, extent **extents,
                              uint32_t *count, ps_error *error)
{
    *extents = NULL;
    if (bytes == 0 || text[0] != '{')
        return ps_fail(error, PS_EFORMAT, "header does not begin with '{'");
    json *root = NULL;
    const json_options options = {.source = "header", .max_bytes = SAFETENSORS_HEADER_MAX};
    ps_status status = json_parse(text, bytes, &options, &root, NULL, error);
    if (status != PS_OK)
        return status;
    size_t tensors = json_count(root) - (json_find(root, METADATA_KEY) ? 1 : 0);
    if (tensors > TENSOR_TABLE_MAX)
        status = ps_fail(error, PS_ELIMIT, "header has %zu tensors, more than %d", tensors, TENSOR_TABLE_MAX);
    if (status == PS_OK && !(*extents = calloc(tensors + 1, sizeof **extents)))
        status = ps_fail(error, PS_ENOMEM, "out of memory for %zu tensors", tensors);
    if (status == PS_OK)
        status = parse_root(root, data_bytes, *extents, count, error);
    json_free(&root);
    if (status != PS_OK) {
        free(*extents);
        *extents = NULL;
    }
    return status;
}

/* ---- Reading a file ---- */

/* The length of the header, once it is known to fit. */
static ps_status check_length(const void *bytes, size_t size, size_t *header_bytes, ps_error *error)
{
    if (size < LENGTH_BYTES)
        return ps_fail(error, PS_EFORMAT, "%zu bytes are too few for a safetensors file", size);
    uint64_t length;
    memcpy(&length, bytes, sizeof length);
    if (length > SAFETENSORS_HEADER_MAX)
        return ps_fail(error, PS_EFORMAT, "header length %" PRIu64 " is above %d: not a safetensors file?",
                       length, SAFETENSORS_HEADER_MAX);
    if (length > size - LENGTH_BYTES)
        return ps_fail(error, PS_EFORMAT, "truncated: header length %" PRIu64 " in a file of %zu bytes",
                       length, size);
    if (length % ALIGNMENT != 0)
        return ps_fail(error, PS_EFORMAT, "header length %" PRIu64 " is not padded to a multiple of %d",
                       length, ALIGNMENT);
    *header_bytes = (size_t)length;
    return PS_OK;
}

ps_status safetensors_parse(const void *bytes, size_t size, safetensors_file *file, ps_error *error)
{
    assert((uintptr_t)bytes % ALIGNMENT == 0);
    *file = (safetensors_file){0};
    size_t header_bytes = 0;
    ps_status status = check_length(bytes, size, &header_bytes, error);
    if (status != PS_OK)
        return status;
    const char *header = (const char *)bytes + LENGTH_BYTES;
    const char *data = header + header_bytes;
    extent *extents;
    uint32_t count;
    status = parse_header(header, header_bytes, size - LENGTH_BYTES - header_bytes, &extents, &count, error);
    if (status != PS_OK)
        return status;
    file->entries = malloc((count + (size_t)1) * sizeof *file->entries);
    if (file->entries) {
        file->count = count;
        for (uint32_t i = 0; i < count; i++) {
            file->entries[i] = extents[i].entry;
            file->entries[i].values = (const float *)(const void *)(data + extents[i].begin);
        }
    } else {
        status = ps_fail(error, PS_ENOMEM, "out of memory for %" PRIu32 " tensors", count);
    }
    free(extents);
    return status;
}

static ps_status fetch_header(const void *map, size_t bytes, ps_error *error)
{
    size_t header_bytes;
    ps_status status = file_fetch(map, bytes < LENGTH_BYTES ? bytes : LENGTH_BYTES, error);
    if (status == PS_OK)
        status = check_length(map, bytes, &header_bytes, error);
    return status == PS_OK ? file_fetch(map, LENGTH_BYTES + header_bytes, error) : status;
}

ps_status safetensors_open(const char *path, safetensors_file *file, ps_error *error)
{
    *file = (safetensors_file){0};
    const void *map;
    size_t bytes;
    ps_status status = file_map(path, &map, &bytes, error);
    if (status != PS_OK)
        return status;
    ps_error cause;
    status = fetch_header(map, bytes, &cause);
    if (status == PS_OK)
        status = safetensors_parse(map, bytes, file, &cause);
    if (status != PS_OK) {
        file_unmap(map, bytes);
        return ps_fail(error, status, "%s: %s", path, cause.text);
    }
    file->map = map;
    file->map_bytes = bytes;
    return PS_OK;
}

ps_status safetensors_fetch(const safetensors_entry *entry, ps_error *error)
{
    ps_error cause;
    ps_status status = file_fetch(entry->values, entry->elements * sizeof(float), &cause);
    return status == PS_OK ? PS_OK : ps_fail(error, status, "%s: %s", entry->name, cause.text);
}

const safetensors_entry *safetensors_find(const safetensors_file *file, const char *name)
{
    for (uint32_t i = 0; i < file->count; i++)
        if (strcmp(file->entries[i].name, name) == 0)
            return &file->entries[i];
    return NULL;
}

void safetensors_close(safetensors_file *file)
{
    file_unmap(file->map, file->map_bytes);
    free(file->entries);
    *file = (safetensors_file){0};
}

/* ---- Writing ---- */

static void print_metadata(FILE *out, const safetensors_metadata *metadata, uint32_t count)
{
    json_print_string(out, METADATA_KEY);
    fputs(":{", out);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            fputc(',', out);
        json_print_string(out, metadata[i].key);
        fputc(':', out);
        json_print_string(out, metadata[i].value);
    }
    fputc('}', out);
}

static void print_tensor(FILE *out, const safetensors_entry *entry, uint64_t begin)
{
    json_print_string(out, entry->name);
    fputs(":{\"dtype\":\"F32\",\"shape\":[", out);
    for (uint32_t i = 0; i < entry->rank; i++)
        fprintf(out, "%s%" PRIu64, i > 0 ? "," : "", entry->shape[i]);
    fprintf(out, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", begin,
            begin + entry->elements * sizeof(float));
}

/* Length, JSON and padding, in memory that the caller frees, also after a failure. */
static ps_status print_header(const safetensors_entry *entries, uint32_t count,
                              const safetensors_metadata *metadata, uint32_t metadata_count, char **header,
                              size_t *bytes, ps_error *error)
{
    *header = NULL;
    FILE *out = open_memstream(header, bytes);
    if (!out)
        return ps_fail(error, PS_ENOMEM, "out of memory for the header");
    uint64_t length = 0, begin = 0;
    fwrite(&length, sizeof length, 1, out); /* the place of the real one */
    fputc('{', out);
    if (metadata_count > 0)
        print_metadata(out, metadata, metadata_count);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 || metadata_count > 0)
            fputc(',', out);
        print_tensor(out, &entries[i], begin);
        begin += entries[i].elements * sizeof(float);
    }
    fputc('}', out);
    while (ftell(out) % ALIGNMENT != 0)
        fputc(' ', out);
    bool failed = ferror(out);
    if (fclose(out) != 0 || failed)
        return ps_fail(error, PS_ENOMEM, "out of memory for the header");
    length = *bytes - LENGTH_BYTES;
    memcpy(*header, &length, sizeof length);
    return PS_OK;
}

/* What must hold for a header to be printed at all; the rest is for check_header. */
static ps_status check_entries(const safetensors_entry *entries, uint32_t count, uint64_t *data_bytes,
                               ps_error *error)
{
    *data_bytes = 0;
    if (count > TENSOR_TABLE_MAX)
        return ps_fail(error, PS_EINVAL, "%" PRIu32 " tensors are more than %d", count, TENSOR_TABLE_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (!memchr(entries[i].name, '\0', sizeof entries[i].name))
            return ps_fail(error, PS_EINVAL, "tensor %" PRIu32 " has an endless name", i);
        if (entries[i].rank > TENSOR_RANK_MAX || entries[i].elements > TENSOR_ELEMENTS_MAX)
            return ps_fail(error, PS_EINVAL,
                           "tensor '%s' has rank %" PRIu32 " and %" PRIu64 " elements, beyond %d and 2^40",
                           entries[i].name, entries[i].rank, entries[i].elements, TENSOR_RANK_MAX);
        *data_bytes += entries[i].elements * sizeof(float);
    }
    return PS_OK;
}

/* Refuses what could not be read again. */
static ps_status check_header(const char *header, size_t bytes, uint64_t data_bytes, ps_error *error)
{
    extent *extents;
    uint32_t parsed;
    ps_status status =
        parse_header(header + LENGTH_BYTES, bytes - LENGTH_BYTES, data_bytes, &extents, &parsed, error);
    free(extents);
    return status == PS_OK || status == PS_ENOMEM ? status : PS_EINVAL;
}

static ps_status write_parts(const char *path, char *header, size_t header_bytes,
                             const safetensors_entry *entries, uint32_t count, uint32_t *checksums,
                             ps_error *error)
{
    struct iovec *parts = malloc((count + (size_t)1) * sizeof *parts);
    uint32_t *sums = checksums ? malloc((count + (size_t)1) * sizeof *sums) : NULL;
    if (!parts || (checksums && !sums)) {
        free(parts);
        free(sums);
        return ps_fail(error, PS_ENOMEM, "out of memory while writing %s", path);
    }
    parts[0] = (struct iovec){.iov_base = header, .iov_len = header_bytes};
    for (uint32_t i = 0; i < count; i++) /* iovec serves readers too, hence its lack of const */
        parts[i + 1] = (struct iovec){.iov_base = (void *)(uintptr_t)entries[i].values,
                                      .iov_len = entries[i].elements * sizeof(float)};
    ps_status status = sums ? file_write_atomic_summed(path, parts, count + (size_t)1, sums, error)
                            : file_write_atomic(path, parts, count + (size_t)1, error);
    for (uint32_t i = 0; sums && i < count; i++)
        checksums[i] = sums[i + 1];
    free(parts);
    free(sums);
    return status;
}

static ps_status write_file(const char *path, const safetensors_entry *entries, uint32_t count,
                            const safetensors_metadata *metadata, uint32_t metadata_count,
                            uint32_t *checksums, ps_error *error)
{
    char *header = NULL;
    size_t header_bytes = 0;
    uint64_t data_bytes;
    ps_error cause;
    ps_status status = check_entries(entries, count, &data_bytes, &cause);
    if (status == PS_OK)
        status = print_header(entries, count, metadata, metadata_count, &header, &header_bytes, &cause);
    if (status == PS_OK)
        status = check_header(header, header_bytes, data_bytes, &cause);
    if (status != PS_OK)
        ps_fail(error, status, "cannot write %s: %s", path, cause.text);
    else
        status = write_parts(path, header, header_bytes, entries, count, checksums, error);
    free(header);
    return status;
}

ps_status safetensors_write(const char *path, const safetensors_entry *entries, uint32_t count,
                            const safetensors_metadata *metadata, uint32_t metadata_count, ps_error *error)
{
    return write_file(path, entries, count, metadata, metadata_count, NULL, error);
}

ps_status safetensors_write_summed(const char *path, const safetensors_entry *entries, uint32_t count,
                                   const safetensors_metadata *metadata, uint32_t metadata_count,
                                   uint32_t *checksums, ps_error *error)
{
    return write_file(path, entries, count, metadata, metadata_count, checksums, error);
}
