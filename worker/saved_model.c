/* saved_model.c - see saved_model.h. */
#include "worker/saved_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json.h"
#include "common/path.h"
#include "common/safetensors.h"

/* ---- The architecture ---- */

static ps_status parse_width(const json *value, const char *name, uint32_t *width, ps_error *error)
{
    int64_t number = 0;
    ps_status status = json_as_integer(value, name, 1, MLP_WIDTH_MAX, &number, error);
    *width = (uint32_t)number;
    return status;
}

static ps_status parse_hidden(const json *hidden, mlp_config *config, ps_error *error)
{
    ps_status status = json_as_list(hidden, "hidden", error);
    if (status == PS_OK && json_count(hidden) > MLP_LAYERS_MAX - 1)
        return ps_fail(error, PS_EFORMAT, "hidden has %zu layers, more than %d", json_count(hidden),
                       MLP_LAYERS_MAX - 1);
    const json *width = status == PS_OK ? json_first(hidden) : NULL;
    for (; width && status == PS_OK; width = json_next(width))
        status = parse_width(width, "each width in hidden", &config->hidden[config->hidden_count++], error);
    return status;
}

static ps_status parse_kind(const json *root, mlp_config *config, ps_error *error)
{
    const char *model, *activation;
    ps_status status = json_as_object(root, "it", error);
    if (status == PS_OK)
        status = json_as_string(json_find(root, "model"), "model", &model, error);
    if (status == PS_OK && strcmp(model, "mlp") != 0)
        return ps_fail(error, PS_EFORMAT, "model is '%.40s'; only 'mlp' is known", model);
    if (status == PS_OK)
        status = json_as_string(json_find(root, "activation"), "activation", &activation, error);
    if (status == PS_OK && activation_parse(activation, &config->activation, error) != PS_OK)
        return error ? error->status = PS_EFORMAT : PS_EFORMAT;
    return status;
}

/* One tensor of the description, against what the rest of the description makes it. */
static ps_status check_tensor(const json *value, const tensor *expected, ps_error *error)
{
    const char *name;
    ps_status status = json_as_object(value, "each of tensors", error);
    if (status == PS_OK)
        status = json_as_string(json_find(value, "name"), "each name in tensors", &name, error);
    const json *shape = json_find(value, "shape");
    if (status == PS_OK)
        status = json_as_list(shape, "each shape in tensors", error);
    if (status != PS_OK)
        return status;
    bool same = strcmp(name, expected->name) == 0 && json_count(shape) == expected->rank;
    const json *size = json_first(shape);
    for (uint32_t i = 0; same && i < expected->rank; i++, size = json_next(size)) {
        int64_t number;
        same = json_as_integer(size, "size", 0, JSON_INTEGER_MAX, &number, NULL) == PS_OK &&
               (uint64_t)number == expected->shape[i];
    }
    return same ? PS_OK
                : ps_fail(error, PS_EFORMAT,
                          "tensors lists '%.40s' where, or with a shape, that the layers do not give it; "
                          "expected is '%s'",
                          name, expected->name);
}

static ps_status check_tensors(const json *list, const mlp_config *config, ps_error *error)
{
    tensor_table table = {0};
    ps_status status = mlp_declare(config, &table, error);
    if (status == PS_OK)
        status = json_as_list(list, "tensors", error);
    if (status == PS_OK && json_count(list) != table.count)
        status = ps_fail(error, PS_EFORMAT, "tensors has %zu entries, the layers make %u", json_count(list),
                         table.count);
    const json *value = status == PS_OK ? json_first(list) : NULL;
    for (uint32_t i = 0; value && status == PS_OK; i++, value = json_next(value))
        status = check_tensor(value, &table.tensors[i], error);
    tensor_table_fini(&table);
    return status;
}

ps_status saved_model_parse(const char *text, size_t bytes, mlp_config *config, ps_error *error)
{
    *config = (mlp_config){.kernel_init = {.kind = INITIALIZER_ZEROS}};
    json *root = NULL;
    const json_options options = {.source = "description", .max_bytes = SAVED_MODEL_DESCRIPTION_MAX};
    ps_status status = json_parse(text, bytes, &options, &root, NULL, error);
    if (status == PS_OK)
        status = parse_kind(root, config, error);
    if (status == PS_OK)
        status = parse_width(json_find(root, "inputs"), "inputs", &config->inputs, error);
    if (status == PS_OK)
        status = parse_hidden(json_find(root, "hidden"), config, error);
    if (status == PS_OK)
        status = parse_width(json_find(root, "classes"), "classes", &config->classes, error);
    if (status == PS_OK && mlp_check(config, error) != PS_OK)
        status = error ? error->status = PS_EFORMAT : PS_EFORMAT;
    if (status == PS_OK)
        status = check_tensors(json_find(root, "tensors"), config, error);
    json_free(&root);
    return status;
}

static ps_status read_description(const char *path, mlp_config *config, ps_error *error)
{
    char *text;
    size_t bytes;
    ps_status status = file_read(path, SAVED_MODEL_DESCRIPTION_MAX, &text, &bytes, error);
    if (status != PS_OK)
        return status;
    ps_error cause;
    status = saved_model_parse(text, bytes, config, &cause);
    free(text);
    return status == PS_OK ? PS_OK : ps_fail(error, status, "%s: %s", path, cause.text);
}

/* ---- The weights ---- */

static ps_status check_entry(const safetensors_entry *entry, const tensor *expected, ps_error *error)
{
    if (!entry)
        return ps_fail(error, PS_EFORMAT, "tensor '%s' of " SAVED_MODEL_DESCRIPTION " is not in it",
                       expected->name);
    if (entry->rank != expected->rank ||
        memcmp(entry->shape, expected->shape, expected->rank * sizeof *expected->shape) != 0)
        return ps_fail(error, PS_EFORMAT, "tensor '%s' has another shape than in " SAVED_MODEL_DESCRIPTION,
                       expected->name);
    for (uint64_t i = 0; i < entry->elements; i++)
        if (!isfinite(entry->values[i]))
            return ps_fail(error, PS_ENONFINITE, "tensor '%s' is %g at element %llu", expected->name,
                           (double)entry->values[i], (unsigned long long)i);
    return PS_OK;
}

static ps_status check_entries(const safetensors_file *file, const tensor_table *tensors, ps_error *error)
{
    for (uint32_t i = 0; i < tensors->count; i++) {
        const tensor *expected = &tensors->tensors[i];
        ps_status status = check_entry(safetensors_find(file, expected->name), expected, error);
        if (status != PS_OK)
            return status;
    }
    /* All that are wanted are there, each once: what is more is foreign. */
    if (file->count > tensors->count)
        return ps_fail(error, PS_EFORMAT, "it holds %u tensors, " SAVED_MODEL_DESCRIPTION " lists %u",
                       file->count, tensors->count);
    return PS_OK;
}

/* Allocates only what the file has been seen to hold. */
static ps_status read_weights(const char *path, saved_model *model, ps_error *error)
{
    safetensors_file file;
    ps_status status = safetensors_open(path, &file, error);
    if (status != PS_OK)
        return status;
    ps_error cause;
    status = check_entries(&file, &model->tensors, &cause);
    model->parameters = tensor_table_elements(&model->tensors);
    if (status == PS_OK && !(model->weights = malloc(model->parameters * sizeof *model->weights)))
        status = ps_fail(&cause, PS_ENOMEM, "out of memory for its %llu parameters",
                         (unsigned long long)model->parameters);
    float *next = model->weights;
    for (uint32_t i = 0; status == PS_OK && i < model->tensors.count; i++) {
        const safetensors_entry *entry = safetensors_find(&file, model->tensors.tensors[i].name);
        status = safetensors_fetch(entry, &cause);
        if (status == PS_OK)
            memcpy(next, entry->values, entry->elements * sizeof *next);
        next += entry->elements;
    }
    safetensors_close(&file);
    return status == PS_OK ? PS_OK : ps_fail(error, status, "%s: %s", path, cause.text);
}

ps_status saved_model_open(const char *folder, saved_model *model, ps_error *error)
{
    *model = (saved_model){0};
    char path[PATH_BYTES];
    ps_status status = path_make(path, error, "%s/" SAVED_MODEL_DESCRIPTION, folder);
    if (status == PS_OK)
        status = read_description(path, &model->config, error);
    if (status == PS_OK)
        status = mlp_declare(&model->config, &model->tensors, error);
    if (status == PS_OK)
        status = path_make(path, error, "%s/" SAVED_MODEL_WEIGHTS, folder);
    if (status == PS_OK)
        status = read_weights(path, model, error);
    if (status != PS_OK)
        saved_model_close(model);
    return status;
}

void saved_model_close(saved_model *model)
{
    free(model->weights);
    tensor_table_fini(&model->tensors);
    *model = (saved_model){0};
}
