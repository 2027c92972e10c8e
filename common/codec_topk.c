/* codec_topk.c - the largest elements alone, the rest later. See codec.h.
 *
 * Selection is a radix select: magnitudes are in the order of their bits, so a histogram of the upper bits
 * says in which bin the smallest magnitude to be sent lies, two more of that bin alone which it is. Each
 * takes one pass over the residual, and chunks without anything large enough are passed over at the vector's
 * speed. */
#include <assert.h>
#include <math.h>

#include "common/codec_ops.h"
#include "common/vectorise.h"

static_assert(sizeof(codec_topk_entry) == 8, "no padding in an entry");
static_assert(offsetof(codec_topk_entry, value) == 4, "the value follows the index");

enum {
    DIGIT_BITS = 11, /* three digits cover the 31 bits of a magnitude; the lower two have 10 */
    DIGIT_BINS = 1 << DIGIT_BITS,
    TABLES = 4, /* neighbours count in different tables: an increment waits for the one before it */
    CHUNK = 16,
};

static size_t topk_bytes(const codec_config *config, uint64_t count)
{
    double kept = ceil((double)count * config->topk_fraction);
    uint64_t entries = kept < 1 ? 1 : (uint64_t)kept;
    return (size_t)(entries < count ? entries : count) * sizeof(codec_topk_entry);
}

static inline uint32_t magnitude_of(float value)
{
    return codec_float_bits(value) & UINT32_C(0x7fffffff);
}

VECTORISED static void add(float *restrict residual, const float *restrict values, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        residual[i] += values[i];
}

static inline bool has_chunk(const float *values, uint32_t floor)
{
    uint32_t any = 0;
    for (int i = 0; i < CHUNK; i++)
        any |= (int32_t)magnitude_of(values[i]) >= (int32_t)floor;
    return any;
}

/* Where the next chunk begins that holds a magnitude of `floor` or more, from `at` on, a multiple of CHUNK;
 * the incomplete chunk at the end is taken to. */
VECTORISED static uint64_t next_chunk(const float *values, uint64_t count, uint64_t at, uint32_t floor)
{
    while (at + CHUNK <= count && !has_chunk(values + at, floor))
        at += CHUNK;
    return at;
}

/* What is known of the smallest magnitude to be sent: its bits from `shift` on, the others being zero yet. */
typedef struct {
    uint32_t floor;
    uint64_t wanted; /* how many of those that share these bits are to be sent */
} threshold;

/* Counts, in elements [at, end), the digit from `shift` on of those magnitudes whose bits above it are those
 * of `floor`. */
static inline void count_digits(const float *values, uint64_t at, uint64_t end, uint32_t floor,
                                uint32_t shift, uint32_t bits, uint32_t tables[TABLES][DIGIT_BINS])
{
    const uint32_t mask = (UINT32_C(1) << bits) - 1;
    for (uint64_t i = at; i < end; i++) {
        uint32_t magnitude = magnitude_of(values[i]);
        if ((magnitude ^ floor) >> shift <= mask)
            tables[i % TABLES][magnitude >> shift & mask]++;
    }
}

/* Walks down from the largest digit to where enough elements have been met. */
static void settle_digit(uint32_t shift, uint32_t bits, uint32_t tables[TABLES][DIGIT_BINS], threshold *t)
{
    uint32_t digit = UINT32_C(1) << bits;
    uint64_t here = 0;
    do {
        t->wanted -= here;
        assert(digit > 0);
        digit--;
        here = 0;
        for (int k = 0; k < TABLES; k++)
            here += tables[k][digit];
    } while (here < t->wanted);
    t->floor |= digit << shift;
}

static threshold find_threshold(const float *values, uint64_t count, uint64_t kept)
{
    threshold t = {.wanted = kept};
    uint32_t tables[TABLES][DIGIT_BINS] = {{0}};
    count_digits(values, 0, count, t.floor, 20, 11, tables);
    settle_digit(20, 11, tables, &t);
    for (uint32_t shift = 10;; shift = 0) {
        memset(tables, 0, sizeof tables);
        for (uint64_t at = next_chunk(values, count, 0, t.floor); at < count;
             at = next_chunk(values, count, at + CHUNK, t.floor))
            count_digits(values, at, at + CHUNK < count ? at + CHUNK : count, t.floor, shift, 10, tables);
        settle_digit(shift, 10, tables, &t);
        if (shift == 0)
            return t;
    }
}

/* Moves from the residual into entries what is above the threshold, and as much of what equals it as is
 * wanted, lower indices first. */
static void send_largest(float *residual, uint64_t count, const threshold *t, codec_topk_entry *entries,
                         uint64_t kept)
{
    uint64_t sent = 0, equal_wanted = t->wanted;
    for (uint64_t at = next_chunk(residual, count, 0, t->floor); sent < kept;
         at = next_chunk(residual, count, at + CHUNK, t->floor)) {
        uint64_t end = at + CHUNK < count ? at + CHUNK : count;
        for (uint64_t i = at; i < end; i++) {
            uint32_t magnitude = magnitude_of(residual[i]);
            bool equal = magnitude == t->floor && equal_wanted > 0;
            if (magnitude <= t->floor && !equal)
                continue;
            equal_wanted -= equal;
            entries[sent++] = (codec_topk_entry){.index = (uint32_t)i, .value = residual[i]};
            residual[i] = 0; /* residual - sent */
        }
    }
}

static void topk_encode(const float *values, uint64_t count, float *residual, void *payload, size_t bytes)
{
    uint64_t kept = bytes / sizeof(codec_topk_entry);
    if (kept == 0)
        return;
    add(residual, values, count);
    threshold t = find_threshold(residual, count, kept);
    send_largest(residual, count, &t, payload, kept);
}

static ps_status topk_check(const void *payload, size_t bytes, uint64_t count, ps_error *error)
{
    const codec_topk_entry *entries = payload;
    uint64_t least = 0;
    for (size_t i = 0; i < bytes / sizeof *entries; i++) {
        if (entries[i].index < least || entries[i].index >= count)
            return ps_fail(error, PS_EFORMAT, "index %u of its entry %zu is not in [%llu, %llu)",
                           entries[i].index, i, (unsigned long long)least, (unsigned long long)count);
        least = (uint64_t)entries[i].index + 1;
    }
    return PS_OK;
}

static bool topk_is_finite(const codec_payload *payload, uint64_t count)
{
    (void)count;
    const codec_topk_entry *entries = payload->data;
    for (size_t i = 0; i < payload->bytes / sizeof *entries; i++)
        if (magnitude_of(entries[i].value) >= UINT32_C(0x7f800000))
            return false;
    return true;
}

/* The first entry with an index of at least `index`; `end` if none. */
static const codec_topk_entry *find(const codec_topk_entry *entries, const codec_topk_entry *end,
                                    uint64_t index)
{
    while (entries < end) {
        const codec_topk_entry *middle = entries + (end - entries) / 2;
        if (middle->index < index)
            entries = middle + 1;
        else
            end = middle;
    }
    return entries;
}

/* Entries of elements [first, first + count): from the returned one up to, not with, `end`. */
static const codec_topk_entry *entries_of(const codec_payload *payload, uint64_t first, size_t count,
                                          const codec_topk_entry **end)
{
    const codec_topk_entry *entries = payload->data;
    const codec_topk_entry *all = entries + payload->bytes / sizeof *entries;
    *end = find(entries, all, first + count);
    return find(entries, *end, first);
}

/* Read once, since it may change in shared memory between its judgement and its use. */
static inline uint64_t place_of(const codec_topk_entry *e, uint64_t first)
{
    return *(const volatile uint32_t *)&e->index - first;
}

static void topk_decode(const codec_payload *payload, uint64_t first, size_t count, float *values)
{
    const codec_topk_entry *end;
    memset(values, 0, count * sizeof *values);
    for (const codec_topk_entry *e = entries_of(payload, first, count, &end); e < end; e++) {
        uint64_t place = place_of(e, first);
        if (place < count)
            values[place] = e->value;
    }
}

static void topk_add_scaled(const codec_payload *payload, uint64_t first, size_t count, float weight,
                            float *sum)
{
    const codec_topk_entry *end;
    for (const codec_topk_entry *e = entries_of(payload, first, count, &end); e < end; e++) {
        uint64_t place = place_of(e, first);
        if (place < count)
            sum[place] += e->value * weight;
    }
}

const codec_ops codec_topk = {
    .keeps_residual = true,
    .bytes = topk_bytes,
    .encode = topk_encode,
    .check = topk_check,
    .is_finite = topk_is_finite,
    .decode = topk_decode,
    .add_scaled = topk_add_scaled,
};
