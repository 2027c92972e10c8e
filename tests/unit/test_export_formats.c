/* Models in formats of others: deploy/export_*.c. What a real runtime makes of ONNX is
 * tests/integration/onnx.sh's. */
#include "deploy/export/export_formats.h"

#include <stdlib.h>
#include <string.h>

#include "common/checksum.h"
#include "common/file.h"
#include "common/safetensors.h"
#include "proto/onnx_subset.pb-c.h"
#include "tests/unit/folder.h"

enum { PARAMETERS = 3 * 4 + 4 + 4 * 2 + 2 };

static saved_model make_model(activation_kind activation)
{
    saved_model model = {
        .config = {.inputs = 3, .hidden = {4}, .hidden_count = 1, .classes = 2, .activation = activation}};
    assert_int_equal(mlp_declare(&model.config, &model.tensors, NULL), PS_OK);
    model.parameters = tensor_table_elements(&model.tensors);
    model.weights = calloc(model.parameters, sizeof *model.weights);
    for (int i = 0; i < PARAMETERS; i++)
        model.weights[i] = (float)i / 7.0F;
    return model;
}

/* Writes it twice: the same bytes. The caller frees. */
static uint8_t *written(ps_status (*write)(const saved_model *, const char *, ps_error *),
                        activation_kind activation, size_t *bytes)
{
    saved_model model = make_model(activation);
    char *first, *second;
    size_t second_bytes;
    assert_int_equal(write(&model, "one", NULL), PS_OK);
    assert_int_equal(write(&model, "two", NULL), PS_OK);
    assert_int_equal(file_read("one", 1 << 20, &first, bytes, NULL), PS_OK);
    assert_int_equal(file_read("two", 1 << 20, &second, &second_bytes, NULL), PS_OK);
    assert_int_equal(*bytes, second_bytes);
    assert_memory_equal(first, second, *bytes);
    free(second);
    saved_model_close(&model);
    return (uint8_t *)first;
}

static void onnx_holds_a_gemm_per_layer_and_the_weights(void **state)
{
    (void)state;
    size_t bytes;
    uint8_t *packed = written(export_onnx, ACTIVATION_ELU, &bytes);
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, bytes, packed);
    assert_non_null(model);
    assert_int_equal(model->ir_version, 8);
    assert_int_equal(model->opset_import[0]->version, 13);
    const Onnx__GraphProto *graph = model->graph;
    static const struct {
        const char *operator, * input, *output;
        size_t inputs;
    } expected[] = {{"Gemm", "images", "layer1/sum", 3},
                    {"Elu", "layer1/sum", "layer1/output", 1},
                    {"Gemm", "layer1/output", "logits", 3}};
    assert_int_equal(graph->n_node, 3);
    for (int n = 0; n < 3; n++) {
        assert_string_equal(graph->node[n]->op_type, expected[n].operator);
        assert_string_equal(graph->node[n]->input[0], expected[n].input);
        assert_string_equal(graph->node[n]->output[0], expected[n].output);
        assert_int_equal(graph->node[n]->n_input, expected[n].inputs);
    }
    assert_string_equal(graph->node[2]->input[1], "output/kernel");
    assert_string_equal(graph->node[2]->input[2], "output/bias");
    assert_int_equal(graph->n_initializer, 4);
    const Onnx__TensorProto *kernel = graph->initializer[2];
    assert_string_equal(kernel->name, "output/kernel");
    assert_true(kernel->n_dims == 2 && kernel->dims[0] == 4 && kernel->dims[1] == 2);
    assert_int_equal(kernel->raw_data.len, 8 * sizeof(float));
    float first;
    memcpy(&first, kernel->raw_data.data, sizeof first);
    assert_true(first == 16.0F / 7.0F);
    const Onnx__TensorShapeProto *shape = graph->input[0]->type->tensor_type->shape;
    assert_string_equal(shape->dim[0]->dim_param, "batch");
    assert_int_equal(shape->dim[1]->dim_value, 3);
    onnx__model_proto__free_unpacked(model, NULL);
    free(packed);
}

static void onnx_names_every_activation(void **state)
{
    (void)state;
    static const char *const operators[] = {"Gemm", "Relu", "Tanh", "Sigmoid", "Elu"};
    for (activation_kind kind = ACTIVATION_NONE; kind <= ACTIVATION_ELU; kind++) {
        size_t bytes;
        uint8_t *packed = written(export_onnx, kind, &bytes);
        Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, bytes, packed);
        assert_string_equal(model->graph->node[1]->op_type, operators[kind]);
        onnx__model_proto__free_unpacked(model, NULL);
        free(packed);
    }
}

static uint32_t get32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Walks the archive as an unzipper does: from its end to the directory, to each member. */
static void npz_is_a_sound_archive_of_arrays(void **state)
{
    (void)state;
    size_t bytes;
    uint8_t *zip = written(export_npz, ACTIVATION_RELU, &bytes);
    const uint8_t *end = zip + bytes - 22;
    assert_memory_equal(end, "PK\5\6", 4);
    assert_int_equal(end[10], 4);
    const uint8_t *entry = zip + get32(end + 16);
    assert_true(entry + get32(end + 12) == end);
    static const struct {
        const char *name, *shape;
        uint32_t elements, first;
    } expected[] = {{"dense1/kernel.npy", "'shape': (3, 4), }", 12, 0},
                    {"dense1/bias.npy", "'shape': (4,), }", 4, 12},
                    {"output/kernel.npy", "'shape': (4, 2), }", 8, 16},
                    {"output/bias.npy", "'shape': (2,), }", 2, 24}};
    for (int i = 0; i < 4; i++) {
        const size_t name_bytes = strlen(expected[i].name);
        assert_memory_equal(entry, "PK\1\2", 4);
        assert_memory_equal(entry + 46, expected[i].name, name_bytes);
        const uint8_t *local = zip + get32(entry + 42);
        assert_memory_equal(local, "PK\3\4", 4);
        assert_memory_equal(local + 30, expected[i].name, name_bytes);
        assert_memory_equal(local + 4, entry + 6, 24);
        const uint8_t *array = local + 30 + name_bytes;
        const uint32_t size = get32(entry + 24);
        assert_int_equal(get32(entry + 16), checksum(array, size));
        assert_memory_equal(array, "\x93NUMPY\1\0", 8);
        const uint32_t header = 10 + array[8];
        assert_int_equal(header % 64, 0);
        assert_int_equal(array[header - 1], '\n');
        assert_non_null(memmem(array, header, expected[i].shape, strlen(expected[i].shape)));
        assert_non_null(memmem(array, header, "'descr': '<f4', 'fortran_order': False", 38));
        assert_int_equal(size, header + expected[i].elements * sizeof(float));
        float first;
        memcpy(&first, array + header, sizeof first);
        assert_true(first == (float)expected[i].first / 7.0F);
        entry += 46 + name_bytes;
    }
    free(zip);
}

static void csv_reads_back_to_the_same_bits(void **state)
{
    (void)state;
    size_t bytes;
    char *text = (char *)written(export_csv, ACTIVATION_RELU, &bytes);
    static const char header[] = "tensor,row,column,value\ndense1/kernel,0,0,0\ndense1/kernel,0,1,";
    assert_memory_equal(text, header, sizeof header - 1);
    assert_non_null(strstr(text, "\ndense1/kernel,2,3,"));
    assert_non_null(strstr(text, "\noutput/bias,0,1,"));
    const char *line = strchr(text, '\n') + 1;
    for (int i = 0; i < PARAMETERS; i++) {
        const char *next = strchr(line, '\n');
        assert_non_null(next);
        const char *comma = memrchr(line, ',', (size_t)(next - line));
        assert_true(strtof(comma + 1, NULL) == (float)i / 7.0F);
        line = next + 1;
    }
    assert_int_equal(line - text, bytes);
    free(text);
}

static void what_exceeds_a_format_is_refused(void **state)
{
    (void)state;
    saved_model model = {.parameters = UINT64_C(1) << 30};
    ps_error error;
    assert_int_equal(export_csv(&model, "out", &error), PS_ELIMIT);
    assert_string_equal(error.text,
                        "csv is for at most 16777216 parameters, the model has 1073741824; choose npz");
    assert_int_equal(export_npz(&model, "out", &error), PS_ELIMIT);
    assert_string_equal(error.text,
                        "npz holds less than 4 GiB, the model has 1073741824 parameters; choose safetensors");
}

static void what_cannot_be_written_leaves_nothing(void **state)
{
    (void)state;
    saved_model model = make_model(ACTIVATION_RELU);
    ps_error error;
    assert_int_equal(export_onnx(&model, "absent/out", &error), PS_EIO);
    assert_non_null(strstr(error.text, "absent/out: No such file or directory"));
    assert_int_equal(export_npz(&model, "absent/out", &error), PS_EIO);
    assert_int_equal(export_csv(&model, "absent/out", &error), PS_EIO);
    assert_int_equal(folder_count("."), 0);
    saved_model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(onnx_holds_a_gemm_per_layer_and_the_weights),
        FOLDER_TEST(onnx_names_every_activation),
        FOLDER_TEST(npz_is_a_sound_archive_of_arrays),
        FOLDER_TEST(csv_reads_back_to_the_same_bits),
        FOLDER_TEST(what_exceeds_a_format_is_refused),
        FOLDER_TEST(what_cannot_be_written_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
