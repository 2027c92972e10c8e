/* random.c - see random.h. Decides how streams are keyed and how words become floats; what is drawn
 * from which stream is for the callers to say.
 *
 * Element i of a tensor takes lane i % 4 of block i / 4, whatever range is asked for: that is what
 * makes the values independent of slicing. */
#include "common/random.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
    LANES = 4, /* words of a block, elements made from it */
    PHILOX_ROUNDS = 10,
    FEISTEL_ROUNDS = 8,
    /* One draw in 22 falls outside two deviations; that 32 in a row do has probability 2^-142. */
    TRUNCATED_DRAWS_MAX = 32,
};

/* One block of four words, kept in registers: the hot loops below inline it. */
static inline void philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1,
                          uint32_t out[4])
{
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t p0 = (uint64_t)UINT32_C(0xD2511F53) * c0;
        uint64_t p1 = (uint64_t)UINT32_C(0xCD9E8D57) * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += UINT32_C(0x9E3779B9);
        k1 += UINT32_C(0xBB67AE85);
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    philox(counter[0], counter[1], counter[2], counter[3], key[0], key[1], out);
}

/* The block at (position, draw) of a stream. */
static inline void stream_block(uint64_t key, uint64_t position, uint32_t draw, uint32_t out[4])
{
    philox((uint32_t)position, (uint32_t)(position >> 32), draw, 0, (uint32_t)key, (uint32_t)(key >> 32),
           out);
}

static inline uint64_t join(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

/* FNV-1a. */
static uint64_t hash_text(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

uint64_t random_key(uint64_t seed, const char *name, uint64_t number)
{
    uint64_t hash = hash_text(name);
    uint32_t words[4];
    philox((uint32_t)hash, (uint32_t)(hash >> 32), (uint32_t)number, (uint32_t)(number >> 32), (uint32_t)seed,
           (uint32_t)(seed >> 32), words);
    return join(words[0], words[1]);
}

uint64_t random_at(uint64_t key, uint64_t position)
{
    uint32_t words[4];
    stream_block(key, position, 0, words);
    return join(words[0], words[1]);
}

/* ---- Initial values ---- */

/* What all blocks of one tensor share. The initializers with a name of their own reduce to uniform or
 * normal with parameters computed from the shape. */
typedef struct {
    uint64_t key;
    double base, scale;   /* value = base + scale * (uniform in [0, 1) or standard normal) */
    float excluded, last; /* uniform: the open end of the interval, and the float next to it inside */
} sampler;

typedef void make_block(const sampler *s, uint64_t block, float out[LANES]);

static void make_constant(const sampler *s, uint64_t block, float out[LANES])
{
    (void)block;
    for (int lane = 0; lane < LANES; lane++)
        out[lane] = (float)s->base;
}

static void make_uniform(const sampler *s, uint64_t block, float out[LANES])
{
    uint32_t words[LANES];
    stream_block(s->key, block, 0, words);
    for (int lane = 0; lane < LANES; lane++) {
        double unit = (double)(words[lane] >> 8) * 0x1p-24;
        float value = (float)(s->base + s->scale * unit);
        /* Rounding to float can reach the end that the interval excludes. */
        out[lane] = value == s->excluded ? s->last : value;
    }
}

/* Box and Muller 1958, in double: two words give two standard normals of at most 6.7 deviations. */
static inline void box_muller(uint32_t radius_word, uint32_t angle_word, double out[2])
{
    double radius = sqrt(-2.0 * log(((double)radius_word + 1.0) * 0x1p-32)); /* of (0, 1] */
    double angle = (double)angle_word * (0x1p-32 * 2.0 * M_PI);
    out[0] = radius * cos(angle);
    out[1] = radius * sin(angle);
}

static void normal_block(const sampler *s, uint64_t block, uint32_t draw, double out[LANES])
{
    uint32_t words[LANES];
    stream_block(s->key, block, draw, words);
    box_muller(words[0], words[1], out);
    box_muller(words[2], words[3], out + 2);
}

static void make_normal(const sampler *s, uint64_t block, float out[LANES])
{
    double standard[LANES];
    normal_block(s, block, 0, standard);
    for (int lane = 0; lane < LANES; lane++)
        out[lane] = (float)(s->base + s->scale * standard[lane]);
}

static void make_truncated_normal(const sampler *s, uint64_t block, float out[LANES])
{
    bool done[LANES] = {false};
    int left = LANES;
    for (uint32_t draw = 0; left > 0; draw++) {
        double standard[LANES];
        normal_block(s, block, draw, standard);
        for (int lane = 0; lane < LANES; lane++) {
            bool inside = fabs(standard[lane]) <= 2.0;
            if (done[lane] || (!inside && draw + 1 < TRUNCATED_DRAWS_MAX))
                continue;
            out[lane] = (float)(s->base + s->scale * fmax(-2.0, fmin(2.0, standard[lane])));
            done[lane] = true;
            left--;
        }
    }
}

static void set_uniform(sampler *s, double from, double to)
{
    s->base = from;
    s->scale = to - from;
    s->excluded = (float)to;
    s->last = nextafterf((float)to, (float)from);
}

static void set_normal(sampler *s, double mean, double deviation)
{
    s->base = mean;
    s->scale = deviation;
}

static make_block *choose(const tensor *t, sampler *s)
{
    double fan_in = t->rank > 0 ? (double)t->shape[0] : 1.0;
    double fan_out = t->rank > 0 ? (double)t->shape[t->rank - 1] : 1.0;
    double limit;
    switch (t->init.kind) {
    case INITIALIZER_ZEROS:
        break;
    case INITIALIZER_CONSTANT:
        s->base = t->init.a;
        break;
    case INITIALIZER_UNIFORM:
        set_uniform(s, t->init.a, t->init.b);
        return make_uniform;
    case INITIALIZER_NORMAL:
        set_normal(s, t->init.a, t->init.b);
        return make_normal;
    case INITIALIZER_TRUNCATED_NORMAL:
        set_normal(s, t->init.a, t->init.b);
        return make_truncated_normal;
    case INITIALIZER_GLOROT_UNIFORM:
        limit = sqrt(6.0 / (fan_in + fan_out));
        set_uniform(s, -limit, limit);
        return make_uniform;
    case INITIALIZER_GLOROT_NORMAL:
        set_normal(s, 0.0, sqrt(2.0 / (fan_in + fan_out)));
        return make_normal;
    case INITIALIZER_HE_UNIFORM:
        limit = sqrt(6.0 / fan_in);
        set_uniform(s, -limit, limit);
        return make_uniform;
    case INITIALIZER_HE_NORMAL:
        set_normal(s, 0.0, sqrt(2.0 / fan_in));
        return make_normal;
    }
    return make_constant;
}

void random_initialize(const tensor *t, uint64_t seed, uint64_t first, uint64_t count, float *out)
{
    /* Two keys deep, so that no tensor's name can meet another stream's. */
    sampler s = {.key = random_key(random_key(seed, "initialize", 0), t->name, 0)};
    make_block *make = choose(t, &s);
    for (uint64_t done = 0; done < count;) {
        uint64_t element = first + done;
        uint64_t lane = element % LANES;
        uint64_t take = LANES - lane < count - done ? LANES - lane : count - done;
        float values[LANES];
        make(&s, element / LANES, values);
        memcpy(out + done, values + lane, take * sizeof *out);
        done += take;
    }
}

/* ---- Shuffling ---- */

/* A bijection of 64-bit words that spreads every bit (Stafford's variant 13 of MurmurHash3's finalizer). */
static inline uint64_t mix(uint64_t word)
{
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

uint64_t random_shuffle(uint64_t seed, uint64_t epoch, uint64_t n, uint64_t position)
{
    uint64_t key = random_key(seed, "shuffle", epoch);
    unsigned half_bits = 1;
    while (half_bits < 32 && UINT64_C(1) << (2 * half_bits) < n)
        half_bits++;
    uint64_t mask = (UINT64_C(1) << half_bits) - 1;

    /* The walk comes back below n: the network is a permutation, so the cycle that it follows
     * returns to `position` itself at the latest. */
    uint64_t place = position;
    do {
        uint64_t left = place >> half_bits, right = place & mask;
        uint64_t round_key = key;
        for (int round = 0; round < FEISTEL_ROUNDS; round++) {
            /* The high bits of the product are the well-mixed ones. */
            uint64_t next = left ^ (mix(right + round_key) >> (64 - half_bits));
            left = right;
            right = next;
            round_key += UINT64_C(0x9e3779b97f4a7c15);
        }
        place = left << half_bits | right;
    } while (place >= n);
    return place;
}
