/* What is promised of the bits of an update: the same in place, in pieces, on every machine. */
#include "tests/unit/optimizer_slice.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_sgd_of_one_worker_is_exactly_w_minus_rate_times_g),
        cmocka_unit_test(gradients_are_added_in_the_order_given),
        cmocka_unit_test(step_in_place_gives_the_bits_of_a_step_out_of_place),
        cmocka_unit_test(slice_cut_in_pieces_gives_the_bits_of_the_whole),
        cmocka_unit_test(bits_are_the_same_on_every_machine),
        cmocka_unit_test(encoded_gradients_give_the_bits_of_decoded_ones),
        cmocka_unit_test(elements_around_a_piece_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
