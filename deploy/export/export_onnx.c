/* export_onnx.c - the model as an ONNX graph (proto/onnx_subset.proto).
 *
 * Layer l is a node Gemm (y = x K + b: our kernels are stored in x out, as Gemm takes them) and, but for the
 * last, a node of its activation, whose defaults are ours (Elu: alpha 1). The messages point into the model's
 * own memory; only the packed bytes are a copy. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/file.h"
#include "deploy/export/export_formats.h"
#include "proto/onnx_subset.pb-c.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are written as they lie in memory");

enum { IR_VERSION = 8, OPERATORS_VERSION = 13, FLOAT32 = 1, VALUE_NAME_MAX = 32, GEMM_INPUTS = 3 };

/* Every message of the graph and what it points to, at its largest. */
typedef struct {
    Onnx__TensorProto tensors[MLP_LAYER_TENSORS * MLP_LAYERS_MAX];
    Onnx__TensorProto *tensor_list[MLP_LAYER_TENSORS * MLP_LAYERS_MAX];
    int64_t dims[MLP_LAYER_TENSORS * MLP_LAYERS_MAX][2];
    Onnx__NodeProto nodes[2 * MLP_LAYERS_MAX];
    Onnx__NodeProto *node_list[2 * MLP_LAYERS_MAX];
    char *inputs[2 * MLP_LAYERS_MAX][GEMM_INPUTS];
    char *outputs[2 * MLP_LAYERS_MAX];
    char values[2 * MLP_LAYERS_MAX][VALUE_NAME_MAX]; /* what nodes hand on; node n writes values[n] */
    uint32_t node_count;
} graph_room;

/* One end of the graph: (batch x width) f32. */
typedef struct {
    Onnx__TensorShapeProto__Dimension dims[2];
    Onnx__TensorShapeProto__Dimension *dim_list[2];
    Onnx__TensorShapeProto shape;
    Onnx__TypeProto__Tensor tensor;
    Onnx__TypeProto type;
    Onnx__ValueInfoProto value;
    Onnx__ValueInfoProto *value_list[1];
} end_room;

static char input_name[] = "images", output_name[] = "logits", batch_name[] = "batch";

static void make_end(end_room *e, char *name, uint32_t width)
{
    for (int i = 0; i < 2; i++) {
        onnx__tensor_shape_proto__dimension__init(&e->dims[i]);
        e->dim_list[i] = &e->dims[i];
    }
    e->dims[0].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
    e->dims[0].dim_param = batch_name;
    e->dims[1].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    e->dims[1].dim_value = width;
    onnx__tensor_shape_proto__init(&e->shape);
    e->shape.n_dim = 2;
    e->shape.dim = e->dim_list;
    onnx__type_proto__tensor__init(&e->tensor);
    e->tensor.elem_type = FLOAT32;
    e->tensor.shape = &e->shape;
    onnx__type_proto__init(&e->type);
    e->type.tensor_type = &e->tensor;
    onnx__value_info_proto__init(&e->value);
    e->value.name = name;
    e->value.type = &e->type;
    e->value_list[0] = &e->value;
}

static void make_tensors(graph_room *g, const saved_model *model)
{
    float *values = model->weights;
    for (uint32_t i = 0; i < model->tensors.count; i++) {
        tensor *from = &model->tensors.tensors[i];
        Onnx__TensorProto *t = &g->tensors[i];
        onnx__tensor_proto__init(t);
        for (uint32_t d = 0; d < from->rank; d++)
            g->dims[i][d] = (int64_t)from->shape[d];
        t->n_dims = from->rank;
        t->dims = g->dims[i];
        t->data_type = FLOAT32;
        t->name = from->name;
        t->raw_data.data = (uint8_t *)values;
        t->raw_data.len = tensor_elements(from) * sizeof *values;
        g->tensor_list[i] = t;
        values += tensor_elements(from);
    }
}

/* A node that reads `input` and, a Gemm, the tensors of layer `l`. Returns the name of what it writes. */
static char *add_node(graph_room *g, const char *operator, char * input, uint32_t l, bool gemm, bool last)
{
    const uint32_t n = g->node_count++;
    Onnx__NodeProto *node = &g->nodes[n];
    onnx__node_proto__init(node);
    snprintf(g->values[n], VALUE_NAME_MAX, "layer%u/%s", l + 1, gemm ? "sum" : "output");
    g->inputs[n][0] = input;
    g->inputs[n][1] = g->tensors[MLP_LAYER_TENSORS * l].name;
    g->inputs[n][2] = g->tensors[MLP_LAYER_TENSORS * l + 1].name;
    g->outputs[n] = last ? output_name : g->values[n];
    node->n_input = gemm ? GEMM_INPUTS : 1;
    node->input = g->inputs[n];
    node->n_output = 1;
    node->output = &g->outputs[n];
    node->name = g->values[n];
    node->op_type = (char *)(uintptr_t) operator;
    g->node_list[n] = node;
    return g->outputs[n];
}

/* NULL: none is needed. */
static const char *operator_of(activation_kind kind)
{
    switch (kind) {
    case ACTIVATION_RELU:
        return "Relu";
    case ACTIVATION_TANH:
        return "Tanh";
    case ACTIVATION_SIGMOID:
        return "Sigmoid";
    case ACTIVATION_ELU:
        return "Elu";
    case ACTIVATION_NONE:
        break;
    }
    return NULL;
}

static void make_nodes(graph_room *g, const mlp_config *config)
{
    const char *activation = operator_of(config->activation);
    char *value = input_name;
    for (uint32_t l = 0; l <= config->hidden_count; l++) {
        const bool last = l == config->hidden_count;
        value = add_node(g, "Gemm", value, l, true, last);
        if (activation && !last)
            value = add_node(g, activation, value, l, false, false);
    }
}

static ps_status write_packed(const Onnx__ModelProto *model, const char *path, ps_error *error)
{
    const size_t bytes = onnx__model_proto__get_packed_size(model);
    if (bytes > INT_MAX)
        return ps_fail(error, PS_ELIMIT,
                       "onnx holds at most 2 GiB, the model takes %zu bytes; choose safetensors", bytes);
    uint8_t *packed = malloc(bytes);
    if (!packed)
        return ps_fail(error, PS_ENOMEM, "out of memory for %zu bytes", bytes);
    const struct iovec part = {.iov_base = packed, .iov_len = onnx__model_proto__pack(model, packed)};
    ps_status status = file_write_atomic(path, &part, 1, error);
    free(packed);
    return status;
}

static ps_status write_graph(const saved_model *model, graph_room *g, const char *path, ps_error *error)
{
    char graph_name[] = "mlp", producer[] = "penstock", version[] = PENSTOCK_VERSION;
    end_room input, output;
    make_end(&input, input_name, model->config.inputs);
    make_end(&output, output_name, model->config.classes);
    make_tensors(g, model);
    make_nodes(g, &model->config);

    Onnx__GraphProto graph;
    onnx__graph_proto__init(&graph);
    graph.name = graph_name;
    graph.n_node = g->node_count;
    graph.node = g->node_list;
    graph.n_initializer = model->tensors.count;
    graph.initializer = g->tensor_list;
    graph.n_input = graph.n_output = 1;
    graph.input = input.value_list;
    graph.output = output.value_list;

    Onnx__OperatorSetIdProto operators;
    onnx__operator_set_id_proto__init(&operators);
    operators.version = OPERATORS_VERSION;
    Onnx__OperatorSetIdProto *operator_list[] = {&operators};
    Onnx__ModelProto whole;
    onnx__model_proto__init(&whole);
    whole.ir_version = IR_VERSION;
    whole.producer_name = producer;
    whole.producer_version = version;
    whole.graph = &graph;
    whole.n_opset_import = 1;
    whole.opset_import = operator_list;
    return write_packed(&whole, path, error);
}

ps_status export_onnx(const saved_model *model, const char *path, ps_error *error)
{
    graph_room *g = calloc(1, sizeof *g);
    if (!g)
        return ps_fail(error, PS_ENOMEM, "out of memory for the graph");
    ps_status status = write_graph(model, g, path, error);
    free(g);
    return status;
}
