/* mlp_layers.c - what a perceptron is made of: its layers and tensors, and its description for others. */
#include "worker/mlp_layers.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static ps_status check_width(const char *what, uint32_t number, uint32_t width, uint32_t least,
                             ps_error *error)
{
    if (width >= least && width <= MLP_WIDTH_MAX)
        return PS_OK;
    if (number)
        return ps_fail(error, PS_EINVAL, "%s %u has %u units; choose %u to %d", what, number, width, least,
                       MLP_WIDTH_MAX);
    return ps_fail(error, PS_EINVAL, "the model has %u %s; choose %u to %d", width, what, least,
                   MLP_WIDTH_MAX);
}

ps_status mlp_check(const mlp_config *config, ps_error *error)
{
    ps_status status = check_width("inputs", 0, config->inputs, 1, error);
    if (status == PS_OK)
        status = check_width("classes", 0, config->classes, 2, error);
    if (status != PS_OK)
        return status;
    if (config->hidden_count > MLP_LAYERS_MAX - 1)
        return ps_fail(error, PS_EINVAL, "the model has %u hidden layers; choose at most %d",
                       config->hidden_count, MLP_LAYERS_MAX - 1);
    for (uint32_t i = 0; i < config->hidden_count; i++) {
        status = check_width("hidden layer", i + 1, config->hidden[i], 1, error);
        if (status != PS_OK)
            return status;
    }
    if (activation_name(config->activation)[0] == '?')
        return ps_fail(error, PS_EINVAL, "there is no activation number %d", (int)config->activation);
    return PS_OK;
}

mlp_layer mlp_layer_of(const mlp_config *config, uint32_t l, uint64_t *next)
{
    bool last = l == config->hidden_count;
    mlp_layer described = {
        .inputs = l == 0 ? config->inputs : config->hidden[l - 1],
        .outputs = last ? config->classes : config->hidden[l],
        .activation = last ? ACTIVATION_NONE : config->activation,
        .kernel = *next,
    };
    described.bias = *next + (uint64_t)described.inputs * described.outputs;
    *next = described.bias + described.outputs;
    return described;
}

/* "dense1/kernel", ..., "output/bias" */
static void name_tensor(const mlp_config *config, uint32_t l, const char *part, char *name, size_t bytes)
{
    if (l == config->hidden_count)
        snprintf(name, bytes, "output/%s", part);
    else
        snprintf(name, bytes, "dense%u/%s", l + 1, part);
}

static void describe_layer(const mlp_config *config, uint32_t l, tensor *kernel, tensor *bias)
{
    uint64_t next = 0;
    mlp_layer shape = mlp_layer_of(config, l, &next);
    *kernel = (tensor){.rank = 2, .shape = {shape.inputs, shape.outputs}, .init = config->kernel_init};
    *bias = (tensor){.rank = 1, .shape = {shape.outputs}, .init = {.kind = INITIALIZER_ZEROS}};
    name_tensor(config, l, "kernel", kernel->name, sizeof kernel->name);
    name_tensor(config, l, "bias", bias->name, sizeof bias->name);
}

ps_status mlp_declare(const mlp_config *config, tensor_table *table, ps_error *error)
{
    ps_status status = mlp_check(config, error);
    for (uint32_t l = 0; status == PS_OK && l < mlp_depth(config); l++) {
        tensor kernel, bias;
        describe_layer(config, l, &kernel, &bias);
        status = tensor_table_add(table, &kernel, error);
        if (status == PS_OK)
            status = tensor_table_add(table, &bias, error);
    }
    return status;
}

static void print_tensor(FILE *json, const tensor *t, const char *separator)
{
    fprintf(json, "%s{\"name\":\"%s\",\"shape\":[", separator, t->name);
    for (uint32_t i = 0; i < t->rank; i++)
        fprintf(json, "%s%" PRIu64, i ? "," : "", t->shape[i]);
    fputs("]}", json);
}

/* Names and numbers of our own alone go into the text: nothing in it needs escaping. */
char *mlp_describe(const mlp_config *config)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *json = open_memstream(&text, &bytes);
    if (!json)
        return NULL;
    fprintf(json, "{\"model\":\"mlp\",\"inputs\":%u,\"hidden\":[", config->inputs);
    for (uint32_t i = 0; i < config->hidden_count; i++)
        fprintf(json, "%s%u", i ? "," : "", config->hidden[i]);
    fprintf(json, "],\"classes\":%u,\"activation\":\"%s\",\"tensors\":[", config->classes,
            activation_name(config->activation));
    for (uint32_t l = 0; l < mlp_depth(config); l++) {
        tensor kernel, bias;
        describe_layer(config, l, &kernel, &bias);
        print_tensor(json, &kernel, l ? "," : "");
        print_tensor(json, &bias, ",");
    }
    fputs("]}", json);
    bool failed = ferror(json) != 0;
    if (fclose(json) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
