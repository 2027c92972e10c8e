/* dataset.h - labelled images in the IDX format (MNIST and its relatives), opened by folder.
 *
 * Raw IDX files are memory-mapped: processes on one host share the pages and read only the rows they
 * use. A `.gz` file is inflated into private memory. Everything in the headers is checked against the
 * file's size before use; a mapped file must not be cut while it is open (replacing it is safe).
 *
 * A data set does not change once open: any number of threads may read it. */
#ifndef PENSTOCK_WORKER_DATASET_H
#define PENSTOCK_WORKER_DATASET_H

#include <stdint.h>

#include "common/status.h"

typedef struct dataset dataset;

/* Which pair of files: train-images-idx3-ubyte and train-labels-idx1-ubyte, or t10k-... Also found
 * with '.' in place of the last '-' but one ("train-images.idx3-ubyte"), and with `.gz`. */
typedef enum { DATASET_TRAIN, DATASET_TEST } dataset_part;

/* Opens and checks both files: as many labels as images, every label < `classes` (0: any; then the number of
 * classes is the largest label + 1). PS_ENOENT listing the names tried, PS_EFORMAT, PS_ELIMIT, PS_EIO,
 * PS_ENOMEM; the file is named. On failure `*out` is NULL. */
ps_status dataset_open(const char *folder, dataset_part part, uint32_t classes, dataset **out,
                       ps_error *error);

uint64_t dataset_rows(const dataset *d);
uint32_t dataset_features(const dataset *d); /* pixels of an image */
uint32_t dataset_classes(const dataset *d);

/* Gathers `count` rows: pixels / 255 into `features` (count x dataset_features) f32, labels into
 * `labels` (count). Each of `rows` < dataset_rows. Thread-safe. */
void dataset_gather(const dataset *d, const uint64_t *rows, uint32_t count, float *features,
                    uint32_t *labels);

/* Nulls the handle; does nothing on NULL. */
void dataset_close(dataset **d);

#endif
