/* dataset.c - see dataset.h. Which names are tried and what images and labels owe each other is decided here;
 * the format is idx.c's. */
#include "worker/dataset.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/idx_file.h"

struct dataset {
    idx_file images;
    idx_file labels;
    uint32_t classes;
};

/* ---- Finding it ---- */

static const char *const part_names[] = {[DATASET_TRAIN] = "train", [DATASET_TEST] = "t10k"};

static const struct {
    const char *joint, *suffix;
    bool gzipped;
} spellings[] = {{"-", "", false}, {".", "", false}, {"-", ".gz", true}, {".", ".gz", true}};
enum { SPELLINGS = sizeof spellings / sizeof spellings[0] };

/* Opens the first spelling that exists of, say, "train-images" and "idx3-ubyte". The path taken is left
 * in `path`. */
static ps_status open_any(idx_file *file, const char *folder, const char *stem, const char *kind,
                          char path[PATH_MAX], ps_error *error)
{
    for (int i = 0; i < SPELLINGS; i++) {
        int length = snprintf(path, PATH_MAX, "%s/%s%s%s%s", folder, stem, spellings[i].joint, kind,
                              spellings[i].suffix);
        if (length >= PATH_MAX)
            return ps_fail(error, PS_EIO, "the path of folder %s is too long", folder);
        /* Anything but absence, a broken permission say, is for idx_file_open to report. */
        struct stat info;
        if (stat(path, &info) == 0 || (errno != ENOENT && errno != ENOTDIR))
            return idx_file_open(file, path, spellings[i].gzipped, error);
    }
    return ps_fail(error, PS_ENOENT, "no %s-%s in %s (tried also %s.%s, and either with .gz)", stem, kind,
                   folder, stem, kind);
}

/* ---- Both together ---- */

static ps_status check_images(const dataset *d, const char *path, ps_error *error)
{
    if (d->images.view.rank < 2)
        return ps_fail(error, PS_EFORMAT, "%s: images need at least 2 dimensions, these have %" PRIu32, path,
                       d->images.view.rank);
    if (d->images.view.row_bytes > UINT32_MAX)
        return ps_fail(error, PS_ELIMIT, "%s: %" PRIu64 " pixels in an image are more than 32 bits can count",
                       path, d->images.view.row_bytes);
    return PS_OK;
}

static ps_status check_labels(dataset *d, uint32_t classes, const char *path, const char *images_path,
                              ps_error *error)
{
    const idx_view *labels = &d->labels.view;
    if (labels->rank != 1)
        return ps_fail(error, PS_EFORMAT, "%s: labels need 1 dimension, these have %" PRIu32, path,
                       labels->rank);
    if (labels->shape[0] != d->images.view.shape[0])
        return ps_fail(error, PS_EFORMAT, "%s holds %" PRIu32 " labels, but %s holds %" PRIu32 " images",
                       path, labels->shape[0], images_path, d->images.view.shape[0]);
    uint8_t largest = 0;
    for (uint32_t i = 0; i < labels->shape[0]; i++) {
        uint8_t label = labels->rows[i];
        if (classes > 0 && label >= classes)
            return ps_fail(error, PS_EFORMAT,
                           "%s: label %u of row %" PRIu32 " is not below the %" PRIu32 " classes", path,
                           label, i, classes);
        largest = label > largest ? label : largest;
    }
    d->classes = classes > 0 ? classes : largest + UINT32_C(1);
    return PS_OK;
}

static ps_status open_both(dataset *d, const char *folder, dataset_part part, uint32_t classes,
                           ps_error *error)
{
    char images_path[PATH_MAX], labels_path[PATH_MAX], stem[32];
    snprintf(stem, sizeof stem, "%s-images", part_names[part]);
    ps_status status = open_any(&d->images, folder, stem, "idx3-ubyte", images_path, error);
    if (status == PS_OK)
        status = check_images(d, images_path, error);
    snprintf(stem, sizeof stem, "%s-labels", part_names[part]);
    if (status == PS_OK)
        status = open_any(&d->labels, folder, stem, "idx1-ubyte", labels_path, error);
    if (status == PS_OK)
        status = check_labels(d, classes, labels_path, images_path, error);
    return status;
}

ps_status dataset_open(const char *folder, dataset_part part, uint32_t classes, dataset **out,
                       ps_error *error)
{
    *out = NULL;
    dataset *d = calloc(1, sizeof *d);
    if (!d)
        return ps_fail(error, PS_ENOMEM, "out of memory while opening %s", folder);
    ps_status status = open_both(d, folder, part, classes, error);
    if (status == PS_OK)
        *out = d;
    else
        dataset_close(&d);
    return status;
}

void dataset_close(dataset **d)
{
    if (!*d)
        return;
    idx_file_close(&(*d)->images);
    idx_file_close(&(*d)->labels);
    free(*d);
    *d = NULL;
}

uint64_t dataset_rows(const dataset *d)
{
    return d->images.view.shape[0];
}

uint32_t dataset_features(const dataset *d)
{
    return (uint32_t)d->images.view.row_bytes;
}

uint32_t dataset_classes(const dataset *d)
{
    return d->classes;
}

void dataset_gather(const dataset *d, const uint64_t *rows, uint32_t count, float *features, uint32_t *labels)
{
    const size_t pixels = d->images.view.row_bytes;
    for (uint32_t i = 0; i < count; i++) {
        assert(rows[i] < dataset_rows(d));
        const uint8_t *image = d->images.view.rows + rows[i] * pixels;
        float *out = features + i * pixels;
        for (size_t p = 0; p < pixels; p++)
            out[p] = (float)image[p] / 255.0F;
        labels[i] = d->labels.view.rows[rows[i]];
    }
}
