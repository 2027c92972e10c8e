/* Optimizers of ps/optimizer against formulas in double, written here from the papers one element at a
 * time, and the promises about bits: in place, in pieces, in order, on every machine. */
#include "ps/optimizer.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

enum { LARGEST = 2600, WORKERS_MAX = 4, STEPS = 100 };

/* Weights stay within some units; rounding to float at each of 100 steps may add up to this. */
static const double TOLERANCE = 3e-5;

static const char *kind_name(const optimizer_config *config)
{
    return optimizer_kind_name(config->kind);
}

/* ------------------------------------------------------------------ a slice and its gradients */

typedef struct {
    uint64_t count;
    float weights[LARGEST], next[LARGEST];
    float slots[OPTIMIZER_SLOTS_MAX][LARGEST];
    float gradients[WORKERS_MAX][LARGEST];
} fixture;

/* In [-1, 1): a function of its arguments alone. */
static float noise(uint32_t a, uint32_t b, uint64_t i)
{
    uint64_t x = ((uint64_t)a << 40) ^ ((uint64_t)b << 32) ^ (i + 1);
    x = (x ^ x >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 32;
    return (float)((int32_t)(x & 0xffffff) - 0x800000) / (float)0x800000;
}

static fixture *fixture_create(const optimizer_config *config, uint64_t count)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->count = count;
    for (uint64_t i = 0; i < count; i++)
        f->weights[i] = noise(0, 0, i);
    for (uint32_t s = 0; s < optimizer_slots(config); s++)
        optimizer_init_slot(config, s, f->weights, f->slots[s], count);
    return f;
}

/* Some elements are rarely used, as in embeddings and after ReLU. */
static void fixture_draw_gradients(fixture *f, uint32_t step, uint32_t workers)
{
    for (uint32_t w = 0; w < workers; w++)
        for (uint64_t i = 0; i < f->count; i++)
            f->gradients[w][i] = i % 7 == 3 && step % 10 ? 0 : noise(step, w + 1, i);
}

static float value_of(const optimizer_gradient *g, uint64_t i)
{
    return ((const float *)g->values.data)[i];
}

static void share_gradients(const fixture *f, uint64_t first, uint32_t workers, optimizer_gradient *shares)
{
    static const float weights[WORKERS_MAX][WORKERS_MAX] = {
        {1}, {0.625f, 0.375f}, {0.5f, 0.3f, 0.2f}, {0.1f, 0.2f, 0.3f, 0.4f}};
    for (uint32_t w = 0; w < workers; w++)
        shares[w] = (optimizer_gradient){codec_plain(f->gradients[w] + first, f->count - first),
                                         weights[workers - 1][w]};
}

/* Elements [first, first + count), in place or from weights to next. True if all gradients were finite. */
static bool apply_range(fixture *f, const optimizer_config *config, uint64_t first, uint64_t count,
                        uint32_t workers, float rate, uint64_t update, bool in_place)
{
    optimizer_gradient shares[WORKERS_MAX];
    share_gradients(f, first, workers, shares);
    optimizer_step step = {.weights = f->weights + first,
                           .next = (in_place ? f->weights : f->next) + first,
                           .gradients = shares,
                           .gradient_count = workers,
                           .count = count,
                           .learning_rate = rate,
                           .update = update};
    for (uint32_t s = 0; s < optimizer_slots(config); s++)
        step.slots[s] = f->slots[s] + first;
    return optimizer_apply(config, &step);
}

static bool apply(fixture *f, const optimizer_config *config, uint32_t workers, float rate, uint64_t update)
{
    return apply_range(f, config, 0, f->count, workers, rate, update, true);
}

static optimizer_config config_of(optimizer_kind kind)
{
    job_config job;
    job_init(&job);
    job.optimizer.kind = kind;
    return job.optimizer;
}

static float rate_at(uint32_t step)
{
    return 0.05f * (step < 10 ? (float)step / 10 : 1 - (float)(step - 10) / 200);
}

/* ------------------------------------------------------------------ the formulas, one element in double */

typedef struct {
    double w;
    double a, b;           /* whatever the optimizer remembers */
    double linear, centre; /* ftrl: sums over all past steps */
} reference;

typedef void reference_update(const optimizer_config *c, reference *r, double g, double rate, uint32_t t);

static void reference_sgd(const optimizer_config *c, reference *r, double g, double rate, uint32_t t)
{
    (void)c, (void)t;
    r->w -= rate * g;
}

static void reference_momentum(const optimizer_config *c, reference *r, double g, double rate, uint32_t t)
{
    (void)t;
    r->a = c->momentum * r->a + g;
    r->w -= rate * r->a;
}

static void reference_nesterov(const optimizer_config *c, reference *r, double g, double rate, uint32_t t)
{
    (void)t;
    r->a = c->momentum * r->a + g;
    r->w -= rate * (g + c->momentum * r->a);
}

static void reference_adagrad(const optimizer_config *c, reference *r, double g, double rate, uint32_t t)
{
    if (t == 1)
        r->a = c->initial_accumulator;
    r->a += g * g;
    r->w -= rate * g / (sqrt(r->a) + c->epsilon);
}

static void reference_rmsprop(const optimizer_config *c, reference *r, double g, double rate, uint32_t t)
{
    (void)t;
    r->a = c->decay * r->a + (1 - c->decay) * g * g;
    r->w -= rate * g / (sqrt(r->a) + c->epsilon);
}

static void reference_adam(const optimizer_config *c, reference *r, double g, double rate, uint32_t t)
{
    r->a = c->beta1 * r->a + (1 - c->beta1) * g;
    r->b = c->beta2 * r->b + (1 - c->beta2) * g * g;
    double mean = r->a / (1 - pow(c->beta1, t)), variance = r->b / (1 - pow(c->beta2, t));
    r->w -= rate * mean / (sqrt(variance) + c->epsilon);
}

static void reference_adamw(const optimizer_config *c, reference *r, double g, double rate, uint32_t t)
{
    double decay = rate * c->weight_decay * r->w;
    reference_adam(c, r, g, rate, t);
    r->w -= decay;
}

/* The definition: w minimises sum of lr_s g_s w + 1/2 sum of sigma_s (w - w_s)^2 + lr (l1 |w| + l2 w^2). */
static void reference_ftrl(const optimizer_config *c, reference *r, double g, double rate, uint32_t t)
{
    double p = -c->learning_rate_power;
    if (t == 1) {
        r->a = c->initial_accumulator;
        r->b = pow(r->a, p); /* sum of sigma */
        r->centre = r->b * r->w;
    }
    double sigma = pow(r->a + g * g, p) - pow(r->a, p);
    r->a += g * g;
    r->b += sigma;
    r->centre += sigma * r->w;
    r->linear += rate * g;
    double pull = r->centre - r->linear, dead = rate * c->l1;
    r->w = fabs(pull) <= dead ? 0 : (pull - copysign(dead, pull)) / (r->b + 2 * rate * c->l2);
}

static reference_update *const references[] = {
    [OPTIMIZER_SGD] = reference_sgd,           [OPTIMIZER_MOMENTUM] = reference_momentum,
    [OPTIMIZER_NESTEROV] = reference_nesterov, [OPTIMIZER_ADAGRAD] = reference_adagrad,
    [OPTIMIZER_RMSPROP] = reference_rmsprop,   [OPTIMIZER_ADAM] = reference_adam,
    [OPTIMIZER_ADAMW] = reference_adamw,       [OPTIMIZER_FTRL] = reference_ftrl,
};

static void assert_follows_the_formula(const optimizer_config *config, uint64_t count, uint32_t workers)
{
    fixture *f = fixture_create(config, count);
    reference *r = calloc(count, sizeof *r);
    for (uint64_t i = 0; i < count; i++)
        r[i].w = (double)f->weights[i];
    for (uint32_t t = 1; t <= STEPS; t++) {
        optimizer_gradient shares[WORKERS_MAX];
        fixture_draw_gradients(f, t, workers);
        share_gradients(f, 0, workers, shares);
        for (uint64_t i = 0; i < count; i++) {
            double g = 0;
            for (uint32_t w = 0; w < workers; w++)
                g += (double)value_of(&shares[w], i) * (double)shares[w].weight;
            if (config->clip_value > 0)
                g = fmin(fmax(g, -config->clip_value), config->clip_value);
            if (config->kind != OPTIMIZER_ADAMW)
                g += config->weight_decay * r[i].w;
            references[config->kind](config, &r[i], g, (double)rate_at(t), t);
        }
        apply(f, config, workers, rate_at(t), t);
    }
    for (uint64_t i = 0; i < count; i++)
        if (!(fabs((double)f->weights[i] - r[i].w) <= TOLERANCE * fmax(1, fabs(r[i].w))))
            fail_msg("%s, %u workers, element %u of %u: %.9g, expected %.9g", kind_name(config), workers,
                     (unsigned)i, (unsigned)count, (double)f->weights[i], r[i].w);
    free(r);
    free(f);
}

static void every_optimizer_follows_its_formula_for_a_hundred_steps(void **state)
{
    (void)state;
    static const uint64_t counts[] = {1, 7, 1023, 1024, 1025, 2500};
    for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_FTRL; kind++) {
        optimizer_config config = config_of((optimizer_kind)kind);
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
            assert_follows_the_formula(&config, counts[c], 1 + (uint32_t)c % WORKERS_MAX);
    }
}

static void formulas_hold_with_weight_decay_and_clipping(void **state)
{
    (void)state;
    for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_FTRL; kind++) {
        for (uint32_t workers = 1; workers <= WORKERS_MAX; workers++) {
            optimizer_config config = config_of((optimizer_kind)kind);
            config.weight_decay = 0.1;
            assert_follows_the_formula(&config, 300, workers);
            config.clip_value = 0.25;
            assert_follows_the_formula(&config, 300, workers);
            config.weight_decay = 0;
            assert_follows_the_formula(&config, 300, workers);
        }
    }
}

static void formulas_hold_with_unusual_parameters(void **state)
{
    (void)state;
    optimizer_config config = config_of(OPTIMIZER_ADAM);
    config.beta1 = 0;
    config.beta2 = 0.5;
    config.epsilon = 0.1;
    assert_follows_the_formula(&config, 300, 2);
    config = config_of(OPTIMIZER_MOMENTUM);
    config.momentum = 0;
    assert_follows_the_formula(&config, 300, 2);
    config = config_of(OPTIMIZER_RMSPROP);
    config.decay = 0.99;
    config.epsilon = 1e-3;
    assert_follows_the_formula(&config, 300, 2);
    config = config_of(OPTIMIZER_FTRL);
    config.l1 = 0.5;
    config.l2 = 0.25;
    assert_follows_the_formula(&config, 300, 2);
    config.learning_rate_power = -0.7;
    assert_follows_the_formula(&config, 300, 2);
    config.learning_rate_power = 0;
    assert_follows_the_formula(&config, 300, 2);
}

/* ------------------------------------------------------------------ promises about bits */

static void assert_same_bits(const float *a, const float *b, uint64_t count)
{
    assert_memory_equal(a, b, count * sizeof *a);
}

static void plain_sgd_of_one_worker_is_exactly_w_minus_rate_times_g(void **state)
{
    (void)state;
    optimizer_config config = config_of(OPTIMIZER_SGD);
    const float rate = 0.1f;
    fixture *f = fixture_create(&config, LARGEST);
    fixture_draw_gradients(f, 1, 1);
    const float extremes[] = {FLT_MAX, -FLT_MAX, 1e-45f, -0.0f, 0.0f, FLT_MIN, 1e38f};
    memcpy(f->gradients[0], extremes, sizeof extremes);
    float expected[LARGEST];
    for (uint64_t i = 0; i < LARGEST; i++)
        expected[i] = f->weights[i] - rate * f->gradients[0][i];
    apply(f, &config, 1, rate, 1);
    assert_same_bits(f->weights, expected, LARGEST);
    free(f);
}

static void gradients_are_added_in_the_order_given(void **state)
{
    (void)state;
    optimizer_config config = config_of(OPTIMIZER_SGD);
    fixture *f = fixture_create(&config, LARGEST);
    fixture_draw_gradients(f, 1, 3);
    optimizer_gradient shares[WORKERS_MAX];
    share_gradients(f, 0, 3, shares);
    float in_order[LARGEST], reversed[LARGEST];
    for (uint64_t i = 0; i < LARGEST; i++) {
        float sum = value_of(&shares[0], i) * shares[0].weight;
        sum += value_of(&shares[1], i) * shares[1].weight;
        sum += value_of(&shares[2], i) * shares[2].weight;
        in_order[i] = f->weights[i] - 0.1f * sum;
        sum = value_of(&shares[2], i) * shares[2].weight;
        sum += value_of(&shares[1], i) * shares[1].weight;
        sum += value_of(&shares[0], i) * shares[0].weight;
        reversed[i] = f->weights[i] - 0.1f * sum;
    }
    apply_range(f, &config, 0, LARGEST, 3, 0.1f, 1, false);
    assert_same_bits(f->next, in_order, LARGEST);
    assert_memory_not_equal(in_order, reversed, sizeof reversed);
    optimizer_gradient turned[] = {shares[2], shares[1], shares[0]};
    optimizer_apply(&config, &(optimizer_step){.weights = f->weights,
                                               .next = f->next,
                                               .gradients = turned,
                                               .gradient_count = 3,
                                               .count = LARGEST,
                                               .learning_rate = 0.1f,
                                               .update = 1});
    assert_same_bits(f->next, reversed, LARGEST);
    free(f);
}

static optimizer_config busy_config(int kind)
{
    optimizer_config config = config_of((optimizer_kind)kind);
    config.weight_decay = 0.01;
    config.clip_value = 0.5;
    config.l1 = 0.1;
    config.l2 = 0.1;
    return config;
}

static void assert_same_state(const fixture *a, const fixture *b, const optimizer_config *config)
{
    assert_same_bits(a->weights, b->weights, a->count);
    for (uint32_t s = 0; s < optimizer_slots(config); s++)
        assert_same_bits(a->slots[s], b->slots[s], a->count);
}

static void step_in_place_gives_the_bits_of_a_step_out_of_place(void **state)
{
    (void)state;
    for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_FTRL; kind++) {
        optimizer_config config = busy_config(kind);
        fixture *in = fixture_create(&config, LARGEST), *out = fixture_create(&config, LARGEST);
        for (uint32_t t = 1; t <= 10; t++) {
            fixture_draw_gradients(in, t, 3);
            fixture_draw_gradients(out, t, 3);
            float before[LARGEST];
            memcpy(before, out->weights, sizeof before);
            apply_range(in, &config, 0, LARGEST, 3, 0.1f, t, true);
            apply_range(out, &config, 0, LARGEST, 3, 0.1f, t, false);
            assert_same_bits(out->weights, before, LARGEST);
            memcpy(out->weights, out->next, sizeof out->next);
        }
        assert_same_state(in, out, &config);
        free(in);
        free(out);
    }
}

static void slice_cut_in_pieces_gives_the_bits_of_the_whole(void **state)
{
    (void)state;
    static const uint64_t cuts[] = {0, 1, 4, 9, 1000, 1024, 1033, 2048, 2049, LARGEST};
    for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_FTRL; kind++) {
        optimizer_config config = busy_config(kind);
        fixture *whole = fixture_create(&config, LARGEST), *pieces = fixture_create(&config, LARGEST);
        for (uint32_t t = 1; t <= 10; t++) {
            fixture_draw_gradients(whole, t, 2);
            fixture_draw_gradients(pieces, t, 2);
            apply(whole, &config, 2, 0.1f, t);
            for (size_t c = 0; c + 1 < sizeof cuts / sizeof *cuts; c++)
                apply_range(pieces, &config, cuts[c], cuts[c + 1] - cuts[c], 2, 0.1f, t, true);
        }
        assert_same_state(whole, pieces, &config);
        free(whole);
        free(pieces);
    }
}

/* A build for other vectors, a sanitizer's or another compiler's must come to the very same numbers. */
static void bits_are_the_same_on_every_machine(void **state)
{
    (void)state;
    static const uint64_t expected[] = {
        [OPTIMIZER_SGD] = UINT64_C(0xd4f8e79adfc0247f),
        [OPTIMIZER_MOMENTUM] = UINT64_C(0x6fee1eb61ea58b8d),
        [OPTIMIZER_NESTEROV] = UINT64_C(0x82358348ed967104),
        [OPTIMIZER_ADAGRAD] = UINT64_C(0x7b72766fc9c51130),
        [OPTIMIZER_RMSPROP] = UINT64_C(0x186e753e24cc1c19),
        [OPTIMIZER_ADAM] = UINT64_C(0xd4080ec0d658fde8),
        [OPTIMIZER_ADAMW] = UINT64_C(0xe20516e025036317),
        [OPTIMIZER_FTRL] = UINT64_C(0xc0cd0192e9042bef),
    };
    int differences = 0;
    for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_FTRL; kind++) {
        optimizer_config config = busy_config(kind);
        fixture *f = fixture_create(&config, LARGEST);
        for (uint32_t t = 1; t <= 50; t++) {
            fixture_draw_gradients(f, t, 4);
            apply(f, &config, 4, rate_at(t), t);
        }
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        for (uint64_t i = 0; i < LARGEST; i++) {
            uint32_t bits;
            memcpy(&bits, &f->weights[i], sizeof bits);
            hash = (hash ^ bits) * UINT64_C(0x100000001b3);
        }
        if (hash != expected[kind])
            print_error("%s: weights hash to 0x%016llx\n", kind_name(&config), (unsigned long long)hash);
        differences += hash != expected[kind];
        free(f);
    }
    assert_int_equal(differences, 0);
}

/* Four workers: fp32 among others, so that every way of summing is taken. */
static void encoded_gradients_give_the_bits_of_decoded_ones(void **state)
{
    (void)state;
    enum { COUNT = LARGEST };
    static float decoded[4][COUNT];
    static uint32_t payloads[4][2 * COUNT];
    for (codec_kind kind = CODEC_BF16; kind <= CODEC_INT8; kind++) /* zeros of topk may lose their sign */
        for (int busy = 0; busy < 2; busy++) {
            optimizer_config config = busy ? busy_config(OPTIMIZER_ADAM) : config_of(OPTIMIZER_MOMENTUM);
            fixture *plain = fixture_create(&config, COUNT), *encoded = fixture_create(&config, COUNT);
            fixture_draw_gradients(plain, 1, 4);
            optimizer_gradient plain_shares[4], encoded_shares[4];
            for (uint32_t w = 0; w < 4; w++) {
                const codec_config codec = {.kind = w == 2 ? CODEC_FP32 : kind};
                codec_encode(&codec, plain->gradients[w], COUNT, NULL, payloads[w]);
                encoded_shares[w] = (optimizer_gradient){
                    {codec.kind, payloads[w], codec_bytes(&codec, COUNT)}, 0.1f * (float)(w + 1)};
                codec_decode(&encoded_shares[w].values, 0, COUNT, decoded[w]);
                plain_shares[w] =
                    (optimizer_gradient){codec_plain(decoded[w], COUNT), encoded_shares[w].weight};
            }
            optimizer_step step = {.weights = plain->weights,
                                   .next = plain->next,
                                   .slots = {plain->slots[0], plain->slots[1]},
                                   .gradients = plain_shares,
                                   .gradient_count = 4,
                                   .count = COUNT,
                                   .learning_rate = 0.1f,
                                   .update = 1};
            assert_true(optimizer_apply(&config, &step));
            step.next = encoded->next;
            step.slots[0] = encoded->slots[0];
            step.slots[1] = encoded->slots[1];
            step.gradients = encoded_shares;
            assert_true(optimizer_apply(&config, &step));
            assert_same_bits(encoded->next, plain->next, COUNT);
            for (uint32_t k = 0; k < optimizer_slots(&config); k++)
                assert_same_bits(encoded->slots[k], plain->slots[k], COUNT);
            free(plain);
            free(encoded);
        }
}

static void elements_around_a_piece_are_left_alone(void **state)
{
    (void)state;
    for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_FTRL; kind++) {
        optimizer_config config = busy_config(kind);
        fixture *f = fixture_create(&config, 100), *untouched = fixture_create(&config, 100);
        fixture_draw_gradients(f, 1, 1);
        apply_range(f, &config, 10, 33, 1, 0.1f, 1, true);
        apply_range(f, &config, 50, 0, 1, 0.1f, 1, true);
        for (uint64_t i = 0; i < 100; i++)
            if (i < 10 || i >= 43) {
                assert_same_bits(&f->weights[i], &untouched->weights[i], 1);
                for (uint32_t s = 0; s < optimizer_slots(&config); s++)
                    assert_same_bits(&f->slots[s][i], &untouched->slots[s][i], 1);
            }
        assert_true(f->weights[10] != untouched->weights[10]);
        assert_true(f->weights[42] != untouched->weights[42]);
        free(f);
        free(untouched);
    }
}

/* ------------------------------------------------------------------ gradients that are not finite */

/* Around the edges of vectors and blocks. */
static const uint32_t struck[] = {0,    1,    7,    8,    31,          500,        1023,
                                  1024, 1025, 2047, 2048, LARGEST - 2, LARGEST - 1};
enum { STRUCK = sizeof struck / sizeof *struck };

/* Of some elements, the gradient of one worker or another is no number; in `zeroed`, it is 0 for all. */
static void strike(fixture *f, fixture *zeroed, uint32_t workers)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY, -NAN};
    for (uint32_t k = 0; k < STRUCK; k++) {
        f->gradients[k % workers][struck[k]] = bad[k % 4];
        for (uint32_t w = 0; w < workers; w++)
            zeroed->gradients[w][struck[k]] = 0;
    }
}

static void assert_nonfinite_counts_as_zero(const optimizer_config *config, uint32_t workers)
{
    fixture *f = fixture_create(config, LARGEST), *zeroed = fixture_create(config, LARGEST);
    for (uint32_t t = 1; t <= 12; t++) {
        bool hit = t % 3 == 2;
        fixture_draw_gradients(f, t, workers);
        fixture_draw_gradients(zeroed, t, workers);
        if (hit)
            strike(f, zeroed, workers);
        assert_int_equal(apply(f, config, workers, 0.1f, t), !hit);
        assert_true(apply(zeroed, config, workers, 0.1f, t));
        assert_same_state(f, zeroed, config);
    }
    for (uint64_t i = 0; i < LARGEST; i++) {
        assert_true(isfinite(f->weights[i]));
        for (uint32_t s = 0; s < optimizer_slots(config); s++)
            assert_true(isfinite(f->slots[s][i]));
    }
    free(f);
    free(zeroed);
}

static void nan_or_inf_in_a_gradient_counts_as_zero_for_its_element_alone(void **state)
{
    (void)state;
    for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_FTRL; kind++)
        for (uint32_t workers = 1; workers <= WORKERS_MAX; workers++) {
            optimizer_config plain = config_of((optimizer_kind)kind), busy = busy_config(kind);
            assert_nonfinite_counts_as_zero(&plain, workers);
            assert_nonfinite_counts_as_zero(&busy, workers);
        }
}

static void infinities_that_cancel_and_sums_that_overflow_count_as_zero_too(void **state)
{
    (void)state;
    const float first[] = {INFINITY, FLT_MAX, -FLT_MAX, FLT_MAX, 1};
    const float second[] = {-INFINITY, FLT_MAX, -FLT_MAX, -FLT_MAX, 2};
    const optimizer_gradient shares[] = {{codec_plain(first, 5), 1}, {codec_plain(second, 5), 1}};
    const float expected[] = {5, 5, 5, 5, 2};
    optimizer_config config = config_of(OPTIMIZER_SGD);
    float weights[5] = {5, 5, 5, 5, 5};
    assert_false(optimizer_apply(&config, &(optimizer_step){.weights = weights,
                                                            .next = weights,
                                                            .gradients = shares,
                                                            .gradient_count = 2,
                                                            .count = 5,
                                                            .learning_rate = 1,
                                                            .update = 1}));
    assert_same_bits(weights, expected, 5);
}

/* ------------------------------------------------------------------ edges */

static void clipping_holds_the_reduced_gradient(void **state)
{
    (void)state;
    optimizer_config config = config_of(OPTIMIZER_SGD);
    config.clip_value = 0.5;
    float weights[9] = {0};
    const float first[] = {3, -3, 0.25f, -0.25f, FLT_MAX, -FLT_MAX, INFINITY, 0.5f, 2};
    const float second[] = {1, -1, 0.25f, -0.25f, 0, 0, 0, 0.5f, -2};
    const float expected[] = {-0.5f, 0.5f, -0.25f, 0.25f, -0.5f, 0.5f, 0, -0.5f, 0};
    const optimizer_gradient shares[] = {{codec_plain(first, 9), 0.5f}, {codec_plain(second, 9), 0.5f}};
    optimizer_apply(&config, &(optimizer_step){.weights = weights,
                                               .next = weights,
                                               .gradients = shares,
                                               .gradient_count = 2,
                                               .count = 9,
                                               .learning_rate = 1,
                                               .update = 1});
    for (int i = 0; i < 9; i++)
        assert_true(weights[i] == expected[i]);
}

static void clipping_comes_before_weight_decay(void **state)
{
    (void)state;
    optimizer_config config = config_of(OPTIMIZER_SGD);
    config.clip_value = 0.5;
    config.weight_decay = 1;
    float weight = 4;
    const float gradient = 2;
    const optimizer_gradient share = {codec_plain(&gradient, 1), 1};
    optimizer_apply(&config, &(optimizer_step){.weights = &weight,
                                               .next = &weight,
                                               .gradients = &share,
                                               .gradient_count = 1,
                                               .count = 1,
                                               .learning_rate = 0.5f,
                                               .update = 1});
    assert_true(weight == 4 - 0.5f * (0.5f + 4));
}

static void slots_and_bytes_are_as_documented(void **state)
{
    (void)state;
    static const uint32_t slots[] = {
        [OPTIMIZER_SGD] = 0,     [OPTIMIZER_MOMENTUM] = 1, [OPTIMIZER_NESTEROV] = 1, [OPTIMIZER_ADAGRAD] = 1,
        [OPTIMIZER_RMSPROP] = 1, [OPTIMIZER_ADAM] = 2,     [OPTIMIZER_ADAMW] = 2,    [OPTIMIZER_FTRL] = 2};
    for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_FTRL; kind++) {
        optimizer_config config = config_of((optimizer_kind)kind);
        assert_int_equal(optimizer_slots(&config), slots[kind]);
        assert_int_equal(optimizer_bytes_touched(&config, 1), 12 + 8 * slots[kind]);
        assert_int_equal(optimizer_bytes_touched(&config, 4), 24 + 8 * slots[kind]);
    }
}

static void slots_start_at_zero_or_at_the_initial_accumulator(void **state)
{
    (void)state;
    for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_FTRL; kind++) {
        optimizer_config config = config_of((optimizer_kind)kind);
        config.initial_accumulator = 0.25;
        bool accumulates = kind == OPTIMIZER_ADAGRAD || kind == OPTIMIZER_FTRL;
        fixture *f = fixture_create(&config, 100);
        for (uint32_t s = 0; s < optimizer_slots(&config); s++)
            for (uint64_t i = 0; i < 100; i++) {
                float expected = s == 0 && accumulates ? 0.25f : 0;
                if (kind == OPTIMIZER_FTRL && s == 1)
                    expected = -0.5f * f->weights[i];
                assert_true(f->slots[s][i] == expected);
            }
        free(f);
    }
}

static void zero_gradients_leave_fresh_weights_as_they_are(void **state)
{
    (void)state;
    for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_FTRL; kind++) {
        for (int accumulator = 0; accumulator < 2; accumulator++) {
            optimizer_config config = config_of((optimizer_kind)kind);
            config.initial_accumulator = accumulator;
            fixture *f = fixture_create(&config, 100), *before = fixture_create(&config, 100);
            for (uint32_t t = 1; t <= 5; t++)
                apply(f, &config, 1, 0.1f * (float)t, t);
            for (uint64_t i = 0; i < 100; i++)
                assert_true(f->weights[i] == before->weights[i]);
            free(f);
            free(before);
        }
    }
}

static void ftrl_without_regularisation_is_adagrad_under_any_schedule(void **state)
{
    (void)state;
    optimizer_config ftrl = config_of(OPTIMIZER_FTRL), adagrad = config_of(OPTIMIZER_ADAGRAD);
    fixture *f = fixture_create(&ftrl, 500), *a = fixture_create(&adagrad, 500);
    for (uint32_t t = 1; t <= STEPS; t++) {
        fixture_draw_gradients(f, t, 1);
        fixture_draw_gradients(a, t, 1);
        apply(f, &ftrl, 1, rate_at(t), t);
        apply(a, &adagrad, 1, rate_at(t), t);
    }
    for (uint64_t i = 0; i < 500; i++)
        assert_true(fabsf(f->weights[i] - a->weights[i]) < 3e-5f);
    free(f);
    free(a);
}

static void strong_l1_makes_exact_zeros_in_ftrl(void **state)
{
    (void)state;
    optimizer_config config = config_of(OPTIMIZER_FTRL);
    config.l1 = 100;
    fixture *f = fixture_create(&config, 500);
    fixture_draw_gradients(f, 1, 1);
    apply(f, &config, 1, 0.1f, 1);
    for (uint64_t i = 0; i < 500; i++)
        assert_true(f->weights[i] == 0);
    free(f);
}

static void adam_stays_finite_after_any_number_of_updates(void **state)
{
    (void)state;
    static const uint64_t updates[] = {1, 2, 1000000, UINT64_C(1) << 40, UINT64_MAX};
    for (int kind = OPTIMIZER_ADAM; kind <= OPTIMIZER_ADAMW; kind++)
        for (size_t u = 0; u < sizeof updates / sizeof *updates; u++) {
            optimizer_config config = config_of((optimizer_kind)kind);
            config.beta2 = 1 - 1e-15;
            fixture *f = fixture_create(&config, 100);
            fixture_draw_gradients(f, 1, 1);
            apply(f, &config, 1, 0.1f, updates[u]);
            for (uint64_t i = 0; i < 100; i++)
                assert_true(isfinite(f->weights[i]));
            free(f);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_optimizer_follows_its_formula_for_a_hundred_steps),
        cmocka_unit_test(formulas_hold_with_weight_decay_and_clipping),
        cmocka_unit_test(formulas_hold_with_unusual_parameters),
        cmocka_unit_test(plain_sgd_of_one_worker_is_exactly_w_minus_rate_times_g),
        cmocka_unit_test(gradients_are_added_in_the_order_given),
        cmocka_unit_test(step_in_place_gives_the_bits_of_a_step_out_of_place),
        cmocka_unit_test(slice_cut_in_pieces_gives_the_bits_of_the_whole),
        cmocka_unit_test(bits_are_the_same_on_every_machine),
        cmocka_unit_test(encoded_gradients_give_the_bits_of_decoded_ones),
        cmocka_unit_test(elements_around_a_piece_are_left_alone),
        cmocka_unit_test(nan_or_inf_in_a_gradient_counts_as_zero_for_its_element_alone),
        cmocka_unit_test(infinities_that_cancel_and_sums_that_overflow_count_as_zero_too),
        cmocka_unit_test(clipping_holds_the_reduced_gradient),
        cmocka_unit_test(clipping_comes_before_weight_decay),
        cmocka_unit_test(slots_and_bytes_are_as_documented),
        cmocka_unit_test(slots_start_at_zero_or_at_the_initial_accumulator),
        cmocka_unit_test(zero_gradients_leave_fresh_weights_as_they_are),
        cmocka_unit_test(ftrl_without_regularisation_is_adagrad_under_any_schedule),
        cmocka_unit_test(strong_l1_makes_exact_zeros_in_ftrl),
        cmocka_unit_test(adam_stays_finite_after_any_number_of_updates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
