/* export_npz.c - numpy's zip of arrays: APPNOTE 6.3 of PKWARE, method "stored", and numpy's NEP 1 inside. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checksum.h"
#include "common/file.h"
#include "deploy/export/export_formats.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are written as they lie in memory");

enum {
    LOCAL_BYTES = 30,    /* of a zip's header before a member, without its name */
    CENTRAL_BYTES = 46,  /* of a member in the directory, likewise */
    END_BYTES = 22,      /* of the end of the directory */
    VERSION = 20,        /* of zip: 2.0 */
    DATE = 1 << 5 | 1,   /* the first day that zip knows, 1980-01-01 */
    ARRAY_ALIGNMENT = 64 /* of an array within its .npy */
};

/* Bytes in the order in which they are written. */
typedef struct {
    uint8_t bytes[2 * (LOCAL_BYTES + TENSOR_NAME_MAX + 8) + 4 * ARRAY_ALIGNMENT];
    size_t used;
} text;

typedef struct {
    char name[TENSOR_NAME_MAX + sizeof ".npy"];
    uint32_t sum, size; /* of the .npy */
    uint32_t offset;    /* of the local header */
    text before;        /* local header and .npy header */
    text entry;         /* in the directory */
} member;

static void put(text *t, const void *bytes, size_t count)
{
    memcpy(t->bytes + t->used, bytes, count);
    t->used += count;
}

static void put16(text *t, uint32_t value)
{
    const uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
    put(t, bytes, sizeof bytes);
}

static void put32(text *t, uint32_t value)
{
    put16(t, value & 0xffff);
    put16(t, value >> 16);
}

/* ---- One array ---- */

/* "\x93NUMPY", version, and a description in Python's words, padded so that the array is aligned. */
static void put_array_header(text *t, const tensor *of)
{
    char shape[64], words[2 * ARRAY_ALIGNMENT];
    if (of->rank == 1)
        snprintf(shape, sizeof shape, "(%llu,)", (unsigned long long)of->shape[0]);
    else
        snprintf(shape, sizeof shape, "(%llu, %llu)", (unsigned long long)of->shape[0],
                 (unsigned long long)of->shape[1]);
    snprintf(words, sizeof words, "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }", shape);
    static const char magic[] = "\x93NUMPY\1\0";
    const size_t fixed = sizeof magic - 1 + 2;
    size_t total = fixed + strlen(words) + 1;
    total += (ARRAY_ALIGNMENT - total % ARRAY_ALIGNMENT) % ARRAY_ALIGNMENT;
    put(t, magic, sizeof magic - 1);
    put16(t, (uint32_t)(total - fixed));
    put(t, words, strlen(words));
    for (size_t i = fixed + strlen(words); i + 1 < total; i++)
        put(t, " ", 1);
    put(t, "\n", 1);
}

/* What local header and directory have in common. */
static void put_common(text *t, const member *m)
{
    put16(t, VERSION);
    put16(t, 0); /* flags */
    put16(t, 0); /* method: stored */
    put16(t, 0); /* time */
    put16(t, DATE);
    put32(t, m->sum);
    put32(t, m->size);
    put32(t, m->size);
    put16(t, (uint32_t)strlen(m->name));
    put16(t, 0); /* extra field */
}

static void describe(member *m, const tensor *of, const float *values)
{
    text array = {.used = 0};
    put_array_header(&array, of);
    const size_t bytes = tensor_elements(of) * sizeof *values;
    snprintf(m->name, sizeof m->name, "%s.npy", of->name);
    m->size = (uint32_t)(array.used + bytes);
    m->sum = checksum_more(checksum(array.bytes, array.used), values, bytes);
    put(&m->before, "PK\3\4", 4);
    put_common(&m->before, m);
    put(&m->before, m->name, strlen(m->name));
    put(&m->before, array.bytes, array.used);
    put(&m->entry, "PK\1\2", 4);
    put16(&m->entry, VERSION);
    put_common(&m->entry, m);
    put16(&m->entry, 0); /* comment */
    put16(&m->entry, 0); /* disk */
    put16(&m->entry, 0); /* attributes */
    put32(&m->entry, 0);
    put32(&m->entry, m->offset);
    put(&m->entry, m->name, strlen(m->name));
}

/* ---- The whole ---- */

static void put_end(text *t, uint32_t members, uint32_t offset, uint32_t bytes)
{
    put(t, "PK\5\6", 4);
    put32(t, 0); /* disks */
    put16(t, members);
    put16(t, members);
    put32(t, bytes);
    put32(t, offset);
    put16(t, 0); /* comment */
}

static ps_status check_size(const saved_model *model, ps_error *error)
{
    const uint64_t overhead = (uint64_t)model->tensors.count * sizeof(member) + END_BYTES;
    if (model->parameters <= (UINT32_MAX - overhead) / sizeof(float))
        return PS_OK;
    return ps_fail(error, PS_ELIMIT,
                   "npz holds less than 4 GiB, the model has %llu parameters; choose safetensors",
                   (unsigned long long)model->parameters);
}

static ps_status write_members(const saved_model *model, member *members, struct iovec *parts,
                               const char *path, ps_error *error)
{
    const uint32_t count = model->tensors.count;
    const float *values = model->weights;
    uint32_t offset = 0, directory = 0;
    for (uint32_t i = 0; i < count; i++) {
        member *m = &members[i];
        const tensor *t = &model->tensors.tensors[i];
        m->offset = offset;
        describe(m, t, values);
        const size_t bytes = tensor_elements(t) * sizeof *values;
        parts[2 * i] = (struct iovec){.iov_base = m->before.bytes, .iov_len = m->before.used};
        parts[2 * i + 1] = (struct iovec){.iov_base = (void *)(uintptr_t)values, .iov_len = bytes};
        parts[2 * count + i] = (struct iovec){.iov_base = m->entry.bytes, .iov_len = m->entry.used};
        offset += (uint32_t)(m->before.used + bytes);
        directory += (uint32_t)m->entry.used;
        values += tensor_elements(t);
    }
    text end = {.used = 0};
    put_end(&end, count, offset, directory);
    parts[3 * count] = (struct iovec){.iov_base = end.bytes, .iov_len = end.used};
    return file_write_atomic(path, parts, 3 * (size_t)count + 1, error);
}

ps_status export_npz(const saved_model *model, const char *path, ps_error *error)
{
    ps_status status = check_size(model, error);
    if (status != PS_OK)
        return status;
    member *members = calloc(model->tensors.count, sizeof *members);
    struct iovec *parts = calloc(3 * (size_t)model->tensors.count + 1, sizeof *parts);
    status = members && parts ? write_members(model, members, parts, path, error)
                              : ps_fail(error, PS_ENOMEM, "out of memory for the archive's headers");
    free(members);
    free(parts);
    return status;
}
