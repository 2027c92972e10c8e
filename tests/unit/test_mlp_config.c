/* worker/mlp: what is accepted, declared and described; test_mlp.c has the arithmetic. */
#include "worker/mlp.h"

#include <stdbool.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "tests/unit/unit.h"

static const mlp_config classic = {
    .inputs = 784,
    .hidden = {300, 100},
    .hidden_count = 2,
    .classes = 10,
    .activation = ACTIVATION_RELU,
    .kernel_init = {.kind = INITIALIZER_HE_NORMAL},
};

static void assert_refused(const mlp_config *config, const char *text)
{
    ps_error error;
    tensor_table table = {0};
    mlp *m;
    assert_int_equal(mlp_check(config, &error), PS_EINVAL);
    assert_string_equal(error.text, text);
    assert_int_equal(mlp_declare(config, &table, NULL), PS_EINVAL);
    assert_int_equal(table.count, 0);
    assert_int_equal(mlp_create(config, NULL, 1, &m, NULL), PS_EINVAL);
    assert_null(m);
}

static void impossible_shapes_are_refused_by_name(void **state)
{
    (void)state;
    assert_int_equal(mlp_check(&classic, NULL), PS_OK);
    mlp_config c = classic;
    c.inputs = 0;
    assert_refused(&c, "the model has 0 inputs; choose 1 to 1048576");
    c = classic;
    c.classes = 1;
    assert_refused(&c, "the model has 1 classes; choose 2 to 1048576");
    c = classic;
    c.hidden[1] = MLP_WIDTH_MAX + 1;
    assert_refused(&c, "hidden layer 2 has 1048577 units; choose 1 to 1048576");
    c = classic;
    c.hidden_count = MLP_LAYERS_MAX;
    assert_refused(&c, "the model has 64 hidden layers; choose at most 63");
    c = classic;
    c.activation = (activation_kind)99;
    assert_refused(&c, "there is no activation number 99");
}

static void tensors_are_declared_layer_by_layer(void **state)
{
    (void)state;
    tensor_table table = {0};
    assert_int_equal(mlp_declare(&classic, &table, NULL), PS_OK);
    static const char *names[] = {"dense1/kernel", "dense1/bias",   "dense2/kernel",
                                  "dense2/bias",   "output/kernel", "output/bias"};
    static const uint64_t shapes[][2] = {{784, 300}, {300, 0}, {300, 100}, {100, 0}, {100, 10}, {10, 0}};
    assert_int_equal(table.count, 6);
    for (uint32_t i = 0; i < 6; i++) {
        const tensor *t = &table.tensors[i];
        bool kernel = i % 2 == 0;
        assert_string_equal(t->name, names[i]);
        assert_int_equal(t->rank, kernel ? 2 : 1);
        assert_int_equal(t->shape[0], shapes[i][0]);
        assert_int_equal(t->shape[1], shapes[i][1]);
        assert_int_equal(t->init.kind, kernel ? INITIALIZER_HE_NORMAL : INITIALIZER_ZEROS);
    }
    assert_int_equal(tensor_table_elements(&table), 266610);
    tensor_table_fini(&table);
}

static const cJSON *member(const cJSON *object, const char *name)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!found)
        fail_msg("the description lacks '%s'", name);
    return found;
}

static void the_description_is_json_with_every_field(void **state)
{
    (void)state;
    char *text = mlp_describe(&classic);
    assert_non_null(text);
    const char *end;
    cJSON *json = cJSON_ParseWithOpts(text, &end, 1);
    assert_non_null(json);
    assert_string_equal(member(json, "model")->valuestring, "mlp");
    assert_int_equal(member(json, "inputs")->valueint, 784);
    assert_int_equal(member(json, "classes")->valueint, 10);
    assert_string_equal(member(json, "activation")->valuestring, "relu");
    const cJSON *hidden = member(json, "hidden");
    assert_int_equal(cJSON_GetArraySize(hidden), 2);
    assert_int_equal(cJSON_GetArrayItem(hidden, 0)->valueint, 300);
    assert_int_equal(cJSON_GetArrayItem(hidden, 1)->valueint, 100);
    const cJSON *tensors = member(json, "tensors");
    assert_int_equal(cJSON_GetArraySize(tensors), 6);
    const cJSON *first = cJSON_GetArrayItem(tensors, 0), *last = cJSON_GetArrayItem(tensors, 5);
    assert_string_equal(member(first, "name")->valuestring, "dense1/kernel");
    assert_int_equal(cJSON_GetArraySize(member(first, "shape")), 2);
    assert_int_equal(cJSON_GetArrayItem(member(first, "shape"), 1)->valueint, 300);
    assert_string_equal(member(last, "name")->valuestring, "output/bias");
    assert_int_equal(cJSON_GetArraySize(member(last, "shape")), 1);
    cJSON_Delete(json);
    free(text);
}

static void a_model_without_hidden_layers_is_described_too(void **state)
{
    (void)state;
    mlp_config c = classic;
    c.hidden_count = 0;
    char *text = mlp_describe(&c);
    assert_string_equal(text, "{\"model\":\"mlp\",\"inputs\":784,\"hidden\":[],\"classes\":10,"
                              "\"activation\":\"relu\",\"tensors\":["
                              "{\"name\":\"output/kernel\",\"shape\":[784,10]},"
                              "{\"name\":\"output/bias\",\"shape\":[10]}]}");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_shapes_are_refused_by_name),
        cmocka_unit_test(tensors_are_declared_layer_by_layer),
        cmocka_unit_test(the_description_is_json_with_every_field),
        cmocka_unit_test(a_model_without_hidden_layers_is_described_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
