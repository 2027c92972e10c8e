/* Reading a trained model back: worker/saved_model. */
#include "worker/saved_model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/safetensors.h"
#include "tests/unit/folder.h"
#include "worker/model_file.h"

enum { PARAMETERS = 3 * 4 + 4 + 4 * 2 + 2 };

static const mlp_config config = {
    .inputs = 3, .hidden = {4}, .hidden_count = 1, .classes = 2, .activation = ACTIVATION_TANH};

/* Writes out/model with weights 0, 1, 2, ..., but `last` as the last one. */
static void put_model(float last)
{
    tensor_table table = {0};
    assert_int_equal(mlp_declare(&config, &table, NULL), PS_OK);
    float weights[PARAMETERS];
    for (int i = 0; i < PARAMETERS; i++)
        weights[i] = i + 1 < PARAMETERS ? (float)i : last;
    char path[200];
    assert_int_equal(model_file_write("out", &config, &table, weights, path, sizeof path, NULL), PS_OK);
    tensor_table_fini(&table);
}

static void put_description(const char *text)
{
    folder_put("out/model/model.json", text, strlen(text));
}

static void refused(ps_status wanted, const char *text)
{
    saved_model model;
    ps_error error;
    ps_status status = saved_model_open("out/model", &model, &error);
    if (status != wanted || strcmp(error.text, text) != 0)
        fail_msg("%s '%s' in place of '%s'", ps_status_name(status), error.text, text);
    assert_null(model.weights);
    assert_int_equal(saved_model_open("out/model", &model, NULL), wanted);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    put_model(25);
    saved_model model;
    ps_error error;
    if (saved_model_open("out/model", &model, &error) != PS_OK)
        fail_msg("%s", error.text);
    assert_memory_equal(&model.config, &config, sizeof config);
    assert_int_equal(model.tensors.count, 4);
    assert_int_equal(model.parameters, PARAMETERS);
    for (int i = 0; i < PARAMETERS; i++)
        assert_true(model.weights[i] == (float)i);
    saved_model_close(&model);
    saved_model_close(&model);
}

static void tensors_in_another_order_come_into_ours(void **state)
{
    (void)state;
    put_model(25);
    static const float values[PARAMETERS] = {0};
    static const float ones[] = {1, 1};
    const safetensors_entry entries[] = {
        {.name = "output/bias", .rank = 1, .shape = {2}, .elements = 2, .values = ones},
        {.name = "output/kernel", .rank = 2, .shape = {4, 2}, .elements = 8, .values = values},
        {.name = "dense1/kernel", .rank = 2, .shape = {3, 4}, .elements = 12, .values = values},
        {.name = "dense1/bias", .rank = 1, .shape = {4}, .elements = 4, .values = values},
    };
    assert_int_equal(safetensors_write("out/model/model.safetensors", entries, 4, NULL, 0, NULL), PS_OK);
    saved_model model;
    assert_int_equal(saved_model_open("out/model", &model, NULL), PS_OK);
    assert_true(model.weights[0] == 0 && model.weights[PARAMETERS - 1] == 1);
    saved_model_close(&model);
}

static void weights_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    put_model(NAN);
    refused(PS_ENONFINITE, "out/model/model.safetensors: tensor 'output/bias' is nan at element 1");
    put_model(-INFINITY);
    refused(PS_ENONFINITE, "out/model/model.safetensors: tensor 'output/bias' is -inf at element 1");
    static const float values[PARAMETERS] = {0};
    safetensors_entry entries[] = {
        {.name = "dense1/kernel", .rank = 2, .shape = {3, 4}, .elements = 12, .values = values},
        {.name = "dense1/bias", .rank = 1, .shape = {4}, .elements = 4, .values = values},
        {.name = "output/kernel", .rank = 2, .shape = {4, 2}, .elements = 8, .values = values},
        {.name = "output/bias", .rank = 1, .shape = {2}, .elements = 2, .values = values},
        {.name = "more", .rank = 1, .shape = {1}, .elements = 1, .values = values},
    };
    const char *path = "out/model/model.safetensors";
    assert_int_equal(safetensors_write(path, entries, 5, NULL, 0, NULL), PS_OK);
    refused(PS_EFORMAT, "out/model/model.safetensors: it holds 5 tensors, model.json lists 4");
    assert_int_equal(safetensors_write(path, entries, 3, NULL, 0, NULL), PS_OK);
    refused(PS_EFORMAT, "out/model/model.safetensors: tensor 'output/bias' of model.json is not in it");
    entries[2].shape[0] = 2;
    entries[2].shape[1] = 4;
    assert_int_equal(safetensors_write(path, entries, 4, NULL, 0, NULL), PS_OK);
    refused(PS_EFORMAT,
            "out/model/model.safetensors: tensor 'output/kernel' has another shape than in model.json");
    folder_put(path, "short", 5);
    refused(PS_EFORMAT, "out/model/model.safetensors: 5 bytes are too few for a safetensors file");
    remove(path);
    refused(PS_ENOENT, "cannot open out/model/model.safetensors: No such file or directory");
}

static void a_description_that_is_wrong_is_refused_by_what_is_wrong(void **state)
{
    (void)state;
    put_model(25);
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[]", "it must be an object, not a list"},
        {"{}", "model is missing; it must be a string"},
        {"{\"model\":\"cnn\"}", "model is 'cnn'; only 'mlp' is known"},
        {"{\"model\":\"mlp\",\"activation\":\"step\"}",
         "activation 'step' is unknown: choose one of none, relu, tanh, sigmoid, elu"},
        {"{\"model\":\"mlp\",\"activation\":\"relu\",\"inputs\":0}",
         "inputs must be a whole number from 1 to 1048576, not 0"},
        {"{\"model\":\"mlp\",\"activation\":\"relu\",\"inputs\":3,\"hidden\":[4,-1]}",
         "each width in hidden must be a whole number from 1 to 1048576, not -1"},
        {"{\"model\":\"mlp\",\"activation\":\"relu\",\"inputs\":3,\"hidden\":[4]}",
         "classes is missing; it must be a whole number from 1 to 1048576"},
        {"{\"model\":\"mlp\",\"activation\":\"relu\",\"inputs\":3,\"hidden\":[4],\"classes\":1}",
         "the model has 1 classes; choose 2 to 1048576"},
        {"{\"model\":\"mlp\",\"activation\":\"relu\",\"inputs\":3,\"hidden\":[4],\"classes\":2}",
         "tensors is missing; it must be a list"},
        {"{\"model\":\"mlp\",\"activation\":\"relu\",\"inputs\":3,\"hidden\":[],\"classes\":2,\"tensors\":[]"
         "}",
         "tensors has 0 entries, the layers make 2"},
        {"{\"model\":\"mlp\",\"activation\":\"relu\",\"inputs\":3,\"hidden\":[],\"classes\":2,\"tensors\":["
         "{\"name\":\"output/kernel\",\"shape\":[3,3]},{\"name\":\"output/bias\",\"shape\":[2]}]}",
         "tensors lists 'output/kernel' where, or with a shape, that the layers do not give it; expected is "
         "'output/kernel'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char message[400];
        snprintf(message, sizeof message, "out/model/model.json: %s", cases[i].message);
        put_description(cases[i].text);
        refused(PS_EFORMAT, message);
    }
    remove("out/model/model.json");
    refused(PS_ENOENT, "cannot open out/model/model.json: No such file or directory");
}

static void a_layer_list_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    put_model(25);
    char text[1000] = "{\"model\":\"mlp\",\"activation\":\"relu\",\"inputs\":3,\"hidden\":[4";
    for (int i = 0; i < MLP_LAYERS_MAX - 1; i++)
        strcat(text, ",4");
    strcat(text, "]}");
    put_description(text);
    refused(PS_EFORMAT, "out/model/model.json: hidden has 64 layers, more than 63");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(what_was_written_is_read),
        FOLDER_TEST(tensors_in_another_order_come_into_ours),
        FOLDER_TEST(weights_that_do_not_fit_are_refused),
        FOLDER_TEST(a_description_that_is_wrong_is_refused_by_what_is_wrong),
        FOLDER_TEST(a_layer_list_beyond_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
