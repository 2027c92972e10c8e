/* image_set.c - see image_set.h. */
#include "worker/image_set.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "worker/image_decode.h"

typedef enum { KIND_UNKNOWN, KIND_IDX, KIND_GZIP, KIND_PGM, KIND_PNG } file_kind;

static file_kind kind_of(const void *bytes, size_t size)
{
    static const struct {
        const char *magic;
        size_t bytes;
        file_kind kind;
    } kinds[] = {{"\0\0\x08", 3, KIND_IDX},
                 {"\x1f\x8b", 2, KIND_GZIP},
                 {"P5", 2, KIND_PGM},
                 {"\x89PNG\r\n\x1a\n", 8, KIND_PNG}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (size >= kinds[i].bytes && memcmp(bytes, kinds[i].magic, kinds[i].bytes) == 0)
            return kinds[i].kind;
    return KIND_UNKNOWN;
}

static ps_status open_idx(const char *path, bool gzipped, image_set *set, ps_error *error)
{
    ps_status status = idx_file_open(&set->idx, path, gzipped, error);
    if (status != PS_OK)
        return status;
    const idx_view *view = &set->idx.view;
    set->rows = view->shape[0];
    set->many = true;
    if (view->rank < 2)
        return ps_fail(error, PS_EFORMAT, "%s: images need at least 2 dimensions, these have %u", path,
                       view->rank);
    if (view->row_bytes != set->pixels)
        return ps_fail(error, PS_EMISMATCH, "%s: its images have %llu pixels, the model takes %u", path,
                       (unsigned long long)view->row_bytes, set->pixels);
    return PS_OK;
}

static ps_status decode(const char *path, file_kind kind, const void *bytes, size_t size, image_set *set,
                        ps_error *error)
{
    set->rows = 1;
    set->decoded = malloc(set->pixels * sizeof *set->decoded);
    if (!set->decoded)
        return ps_fail(error, PS_ENOMEM, "%s: out of memory for its pixels", path);
    ps_error cause;
    ps_status status = kind == KIND_PGM ? image_decode_pgm(bytes, size, set->pixels, set->decoded, &cause)
                                        : image_decode_png(bytes, size, set->pixels, set->decoded, &cause);
    return status == PS_OK ? PS_OK : ps_fail(error, status, "%s: %s", path, cause.text);
}

ps_status image_set_open(const char *path, uint32_t pixels, image_set *set, ps_error *error)
{
    *set = (image_set){.pixels = pixels};
    const void *map;
    size_t bytes;
    ps_status status = file_map(path, &map, &bytes, error);
    if (status != PS_OK)
        return status;
    const file_kind kind = kind_of(map, bytes);
    if (kind == KIND_PGM || kind == KIND_PNG)
        status = decode(path, kind, map, bytes, set, error);
    else if (kind == KIND_UNKNOWN)
        status =
            ps_fail(error, PS_EFORMAT, "%s is neither PNG, binary PGM (P5) nor IDX of unsigned bytes", path);
    file_unmap(map, bytes);
    if (kind == KIND_IDX || kind == KIND_GZIP)
        status = open_idx(path, kind == KIND_GZIP, set, error);
    if (status != PS_OK)
        image_set_close(set);
    return status;
}

void image_set_gather(const image_set *set, uint64_t row, float *features)
{
    assert(row < set->rows);
    if (!set->many) {
        memcpy(features, set->decoded, set->pixels * sizeof *features);
        return;
    }
    const uint8_t *image = set->idx.view.rows + row * set->pixels;
    for (uint32_t p = 0; p < set->pixels; p++)
        features[p] = (float)image[p] / 255.0F;
}

void image_set_close(image_set *set)
{
    idx_file_close(&set->idx);
    free(set->decoded);
    *set = (image_set){0};
}
