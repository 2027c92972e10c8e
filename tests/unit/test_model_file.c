/* The trained model on disk: worker/model_file. */
#include "worker/model_file.h"

#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/json.h"
#include "common/safetensors.h"
#include "tests/unit/folder.h"

enum { PARAMETERS = 3 * 4 + 4 + 4 * 2 + 2 };

static const mlp_config config = {
    .inputs = 3,
    .hidden = {4},
    .hidden_count = 1,
    .classes = 2,
    .kernel_init = {.kind = INITIALIZER_HE_NORMAL},
};

static ps_status write_model(const char *where, float first, char *path, size_t bytes, ps_error *error)
{
    tensor_table table = {0};
    assert_int_equal(mlp_declare(&config, &table, NULL), PS_OK);
    float weights[PARAMETERS];
    for (int i = 0; i < PARAMETERS; i++)
        weights[i] = first + (float)i;
    ps_status status = model_file_write(where, &config, &table, weights, path, bytes, error);
    tensor_table_fini(&table);
    return status;
}

static void weights_and_architecture_read_back(void **state)
{
    (void)state;
    char path[200];
    ps_error error = {PS_OK, ""};
    if (write_model("out/deeper", 0.5f, path, sizeof path, &error) != PS_OK)
        fail_msg("%s", error.text);
    assert_string_equal(path, "out/deeper/model/model.safetensors");
    assert_int_equal(folder_count("out/deeper/model"), 2);

    safetensors_file file;
    assert_int_equal(safetensors_open(path, &file, NULL), PS_OK);
    assert_int_equal(file.count, 4);
    static const struct {
        const char *name;
        uint32_t rank;
        uint64_t shape[2];
        float first;
    } expected[] = {
        {"dense1/kernel", 2, {3, 4}, 0.5f},
        {"dense1/bias", 1, {4}, 12.5f},
        {"output/kernel", 2, {4, 2}, 16.5f},
        {"output/bias", 1, {2}, 24.5f},
    };
    for (uint32_t i = 0; i < 4; i++) {
        const safetensors_entry *e = safetensors_find(&file, expected[i].name);
        assert_non_null(e);
        assert_int_equal(e->rank, expected[i].rank);
        assert_memory_equal(e->shape, expected[i].shape, e->rank * sizeof e->shape[0]);
        for (uint64_t k = 0; k < e->elements; k++)
            assert_true(e->values[k] == expected[i].first + (float)k);
    }
    safetensors_close(&file);

    char *text = NULL;
    size_t bytes;
    assert_int_equal(file_read("out/deeper/model/model.json", 1 << 16, &text, &bytes, NULL), PS_OK);
    const json_options options = {.source = "model.json", .max_bytes = 1 << 16};
    json *root = NULL;
    assert_int_equal(json_parse(text, bytes, &options, &root, NULL, NULL), PS_OK);
    int64_t inputs;
    assert_int_equal(json_as_integer(json_find(root, "inputs"), "inputs", 3, 3, &inputs, NULL), PS_OK);
    json_free(&root);
    free(text);
}

static void same_weights_give_the_same_bytes(void **state)
{
    (void)state;
    char path[200], *first = NULL, *second = NULL;
    size_t first_bytes, second_bytes;
    assert_int_equal(write_model("one", 1, path, sizeof path, NULL), PS_OK);
    assert_int_equal(file_read(path, 1 << 16, &first, &first_bytes, NULL), PS_OK);
    assert_int_equal(write_model("two", 1, path, sizeof path, NULL), PS_OK);
    assert_int_equal(file_read(path, 1 << 16, &second, &second_bytes, NULL), PS_OK);
    assert_int_equal(first_bytes, second_bytes);
    assert_memory_equal(first, second, first_bytes);
    free(first);
    free(second);
}

static void model_written_again_replaces_the_one_before(void **state)
{
    (void)state;
    char path[200];
    assert_int_equal(write_model("out", 1, path, sizeof path, NULL), PS_OK);
    assert_int_equal(write_model("out", 7, path, sizeof path, NULL), PS_OK);
    assert_int_equal(folder_count("out/model"), 2);
    safetensors_file file;
    assert_int_equal(safetensors_open(path, &file, NULL), PS_OK);
    assert_true(safetensors_find(&file, "dense1/kernel")->values[0] == 7);
    safetensors_close(&file);
}

static void folder_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    char path[200];
    ps_error error;
    folder_put("taken", "x", 1);
    assert_int_equal(write_model("taken", 1, path, sizeof path, &error), PS_EIO);
    assert_non_null(strstr(error.text, "taken"));
}

static void path_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char where[8192], path[8192];
    ps_error error;
    memset(where, 'x', sizeof where);
    where[5000] = '\0';
    assert_int_equal(write_model(where, 1, path, sizeof path, &error), PS_ELIMIT);
    assert_string_equal(error.text, "--output-dir: the path has 5006 bytes and is too long");
    where[10] = '\0';
    const size_t needed = sizeof "xxxxxxxxxx/model/model.safetensors";
    assert_int_equal(write_model(where, 1, path, needed - 1, &error), PS_ELIMIT);
    assert_int_equal(write_model(where, 1, path, needed, &error), PS_OK);
    assert_int_equal(strlen(path), needed - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(weights_and_architecture_read_back),
        FOLDER_TEST(same_weights_give_the_same_bytes),
        FOLDER_TEST(model_written_again_replaces_the_one_before),
        FOLDER_TEST(folder_that_cannot_be_made_is_named),
        FOLDER_TEST(path_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
