/* What a trained model says: worker/inference, against the trainer's own forward pass and plain sums. */
#include "worker/inference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "tests/unit/unit.h"

enum { INPUTS = 7, CLASSES = 5, ROWS = 33 };

/* A model with weights in [-1, 1). */
static saved_model make_model(activation_kind activation)
{
    saved_model model = {.config = {.inputs = INPUTS,
                                    .hidden = {11, 3, 13},
                                    .hidden_count = 3,
                                    .classes = CLASSES,
                                    .activation = activation}};
    assert_int_equal(mlp_declare(&model.config, &model.tensors, NULL), PS_OK);
    model.parameters = tensor_table_elements(&model.tensors);
    model.weights = malloc(model.parameters * sizeof *model.weights);
    for (uint64_t i = 0; i < model.parameters; i++)
        model.weights[i] = (float)(random_at(1, i) % 2000) / 1000.0F - 1.0F;
    return model;
}

static void logits_make_the_loss_that_the_trainer_sees(void **state)
{
    (void)state;
    float features[ROWS * INPUTS], logits[ROWS * CLASSES];
    uint32_t labels[ROWS];
    for (int i = 0; i < ROWS * INPUTS; i++)
        features[i] = (float)(random_at(2, (uint64_t)i) % 256) / 255.0F;
    for (int i = 0; i < ROWS; i++)
        labels[i] = (uint32_t)i % CLASSES;
    backend *cpu;
    assert_int_equal(backend_cpu_create(1, &cpu, NULL), PS_OK);
    for (activation_kind kind = ACTIVATION_NONE; kind <= ACTIVATION_ELU; kind++) {
        saved_model model = make_model(kind);
        inference *i;
        mlp *trainer;
        assert_int_equal(inference_create(&model, cpu, &i, NULL), PS_OK);
        assert_int_equal(inference_logits(i, features, ROWS, logits), PS_OK);
        assert_int_equal(mlp_create(&model.config, cpu, ROWS, &trainer, NULL), PS_OK);
        double loss, seen = 0;
        uint32_t correct;
        assert_int_equal(mlp_evaluate(trainer, model.weights, features, labels, ROWS, &loss, &correct),
                         PS_OK);
        for (int r = 0; r < ROWS; r++) {
            double probabilities[CLASSES];
            inference_probabilities(logits + r * CLASSES, CLASSES, probabilities);
            seen -= log(probabilities[labels[r]]);
        }
        assert_true(fabs(seen - loss) < 1e-5 * loss);
        mlp_destroy(&trainer);
        inference_destroy(&i);
        saved_model_close(&model);
    }
    cpu->ops->destroy(cpu);
}

static void too_many_rows_and_none_are_refused(void **state)
{
    (void)state;
    backend *cpu;
    assert_int_equal(backend_cpu_create(1, &cpu, NULL), PS_OK);
    saved_model model = make_model(ACTIVATION_RELU);
    inference *i;
    assert_int_equal(inference_create(&model, cpu, &i, NULL), PS_OK);
    float nothing[1];
    assert_int_equal(inference_logits(i, nothing, 0, nothing), PS_EINVAL);
    assert_int_equal(inference_logits(i, nothing, INFERENCE_ROWS + 1, nothing), PS_EINVAL);
    inference_destroy(&i);
    inference_destroy(&i);
    saved_model_close(&model);
    cpu->ops->destroy(cpu);
}

static void probabilities_sum_up_to_one_at_any_size_of_logits(void **state)
{
    (void)state;
    double probabilities[3];
    inference_probabilities((const float[]){3e38F, 3e38F, -3e38F}, 3, probabilities);
    assert_true(probabilities[0] == 0.5 && probabilities[1] == 0.5 && probabilities[2] == 0);
    inference_probabilities((const float[]){0, logf(2), logf(5)}, 3, probabilities);
    assert_true(fabs(probabilities[0] - 0.125) < 1e-7 && fabs(probabilities[2] - 0.625) < 1e-7);
}

static void classes_are_ranked_by_value_and_then_by_number(void **state)
{
    (void)state;
    static const uint32_t expected[] = {3, 1, 4, 0, 2};
    uint32_t order[5];
    inference_rank((const double[]){0.1, 0.5, 0, 0.6, 0.5}, 5, order);
    assert_memory_equal(order, expected, sizeof expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_make_the_loss_that_the_trainer_sees),
        cmocka_unit_test(too_many_rows_and_none_are_refused),
        cmocka_unit_test(probabilities_sum_up_to_one_at_any_size_of_logits),
        cmocka_unit_test(classes_are_ranked_by_value_and_then_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
