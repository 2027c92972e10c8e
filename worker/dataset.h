/* dataset.h - labelled images in the IDX format (MNIST and its relatives), opened by folder.
 *
 * Raw IDX files are memory-mapped: processes on one host share the pages and read only the rows they
 * use. A `.gz` file is inflated into private memory. Everything in the headers is checked against the
 * file's size before use. */
#ifndef PENSTOCK_WORKER_DATASET_H
#define PENSTOCK_WORKER_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum { IDX_RANK_MAX = 4 };

/* A checked IDX file of unsigned bytes (type 0x08). */
typedef struct {
    uint32_t rank;
    uint32_t shape[IDX_RANK_MAX]; /* shape[0]: rows */
    uint64_t row_bytes;           /* product of the rest of the shape */
    const uint8_t *rows;          /* (shape[0] * row_bytes), inside the bytes that were parsed */
} idx_view;

/* Pure: judges `size` bytes as an IDX file. PS_EFORMAT names the rule: magic, type, rank, empty or
 * overflowing shape, truncated ("holds n bytes, its header asks for m") or oversized. */
ps_status idx_parse(const void *bytes, size_t size, idx_view *view, ps_error *error);

typedef struct dataset dataset;

/* Which pair of files: train-images-idx3-ubyte and train-labels-idx1-ubyte, or t10k-... Also found
 * with '.' in place of the last '-' ("train-images.idx3-ubyte"), and with `.gz`. */
typedef enum { DATASET_TRAIN, DATASET_TEST } dataset_part;

/* Opens and checks both files: as many labels as images, every label < `classes` (0: any; then the number of
 * classes is the largest label + 1). PS_ENOENT listing the names tried, PS_EFORMAT, PS_EIO; the file
 * is named. */
ps_status dataset_open(const char *folder, dataset_part part, uint32_t classes, dataset **out,
                       ps_error *error);

uint64_t dataset_rows(const dataset *d);
uint32_t dataset_features(const dataset *d); /* pixels of an image */
uint32_t dataset_classes(const dataset *d);

/* Gathers `count` rows: pixels / 255 into `features` (count x dataset_features) f32, labels into
 * `labels` (count). Each of `rows` < dataset_rows. Thread-safe. */
void dataset_gather(const dataset *d, const uint64_t *rows, uint32_t count, float *features,
                    uint32_t *labels);

void dataset_close(dataset **d);

#endif
