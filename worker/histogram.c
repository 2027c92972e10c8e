/* histogram.c - see histogram.h. */
#include "worker/histogram.h"

#include <math.h>
#include <string.h>

enum {
    MANTISSA_SHIFT = 20, /* 23 bits, of which three tell buckets apart */
    LEAST_CODE = (127 - 40) << 3,
    INFINITE_CODE = 255 << 3,
    UNROLLED = 4, /* neighbours are often in one bucket, and would wait for each other's sums */
};

/* The least magnitude with this code. */
static double magnitude(uint32_t code)
{
    const uint32_t bits = code << MANTISSA_SHIFT;
    float value;
    if (code == INFINITE_CODE)
        return 0x1p128;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static void count_bits(histogram *h, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        const uint32_t code = (bits >> MANTISSA_SHIFT) & (HISTOGRAM_CODES - 1);
        (bits >> 31 ? h->below : h->above)[code]++;
    }
}

static void put_aside_nonfinite(histogram *h)
{
    for (uint32_t code = INFINITE_CODE; code < HISTOGRAM_CODES; code++) {
        h->nonfinite += h->below[code] + h->above[code];
        h->below[code] = h->above[code] = 0;
    }
}

static void take_moments(histogram *h, const float *values, size_t count)
{
    double sums[UNROLLED] = {0}, squares[UNROLLED] = {0};
    float least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        const float value = values[i];
        if (!isfinite(value))
            continue;
        sums[i % UNROLLED] += (double)value;
        squares[i % UNROLLED] += (double)value * (double)value;
        least = value < least ? value : least;
        most = value > most ? value : most;
    }
    for (size_t k = 0; k < UNROLLED; k++) {
        h->sum += sums[k];
        h->sum_squares += squares[k];
    }
    h->min = (double)least;
    h->max = (double)most;
}

void histogram_take(histogram *h, const float *values, size_t count)
{
    memset(h, 0, sizeof *h);
    count_bits(h, values, count);
    put_aside_nonfinite(h);
    h->count = count - h->nonfinite;
    if (h->count > 0)
        take_moments(h, values, count);
}

/* Where a list of buckets is made. */
typedef struct {
    double *limits, *counts;
    size_t used;
} list;

static void add(list *l, double from, double limit, uint64_t count)
{
    if (count == 0)
        return;
    if (l->used == 0 || l->limits[l->used - 1] != from) {
        l->limits[l->used] = from;
        l->counts[l->used++] = 0;
    }
    l->limits[l->used] = limit;
    l->counts[l->used++] = (double)count;
}

size_t histogram_list(const histogram *h, double *limits, double *counts)
{
    list l = {.limits = limits, .counts = counts};
    uint64_t around_zero = 0;
    for (uint32_t code = 0; code < LEAST_CODE; code++)
        around_zero += h->below[code] + h->above[code];
    for (uint32_t code = INFINITE_CODE; code-- > LEAST_CODE;)
        add(&l, -magnitude(code + 1), -magnitude(code), h->below[code]);
    add(&l, -HISTOGRAM_LEAST, HISTOGRAM_LEAST, around_zero);
    for (uint32_t code = LEAST_CODE; code < INFINITE_CODE; code++)
        add(&l, magnitude(code), magnitude(code + 1), h->above[code]);
    return l.used;
}
