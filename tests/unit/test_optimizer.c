/* Optimizers of ps/optimizer against formulas in double, written here from the papers one element at a
 * time, and the promises about bits: in place, in pieces, in order, on every machine. */
#include "tests/unit/optimizer_slice.h"

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
