/* histogram.h - how values are spread, in buckets that grow with magnitude: eight for each power of two.
 *
 * The bucket of a number is the top of its bits (sign, exponent and three bits of the mantissa), so that
 * adding one is a shift and an increment. Magnitudes below HISTOGRAM_LEAST share the one bucket around zero.
 * NaN and Inf are left out, and counted. Of two neighbours, a limit belongs to the one with the larger
 * magnitudes. */
#ifndef PENSTOCK_WORKER_HISTOGRAM_H
#define PENSTOCK_WORKER_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_CODES = 1 << 11,                  /* magnitudes that the bits tell apart */
    HISTOGRAM_LISTED_MAX = 4 * HISTOGRAM_CODES, /* buckets that histogram_list makes */
};
#define HISTOGRAM_LEAST 0x1p-40

typedef struct {
    uint64_t below[HISTOGRAM_CODES];   /* negative values by magnitude */
    uint64_t above[HISTOGRAM_CODES];   /* the others */
    uint64_t count, nonfinite;         /* count: without those */
    double min, max, sum, sum_squares; /* of a histogram without values: 0 */
} histogram;

/* Makes it that of these values. */
void histogram_take(histogram *h, const float *values, size_t count);

/* The buckets that hold values, in rising order: counts[i] are from limits[i - 1] on and below limits[i].
 * Where a gap precedes one, an empty bucket ends where it begins. Both: room for HISTOGRAM_LISTED_MAX.
 * Returns how many there are. */
size_t histogram_list(const histogram *h, double *limits, double *counts);

#endif
