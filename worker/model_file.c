/* model_file.c - see model_file.h. */
#include "worker/model_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/safetensors.h"

enum { PATH_BYTES = 4096 };

ps_status model_file_write_weights(const char *path, const tensor_table *tensors, const float *weights,
                                   ps_error *error)
{
    safetensors_entry *entries = calloc(tensors->count, sizeof *entries);
    if (!entries)
        return ps_fail(error, PS_ENOMEM, "out of memory for the model's table");
    for (uint32_t i = 0; i < tensors->count; i++) {
        const tensor *t = &tensors->tensors[i];
        safetensors_entry *e = &entries[i];
        memcpy(e->name, t->name, sizeof e->name);
        e->rank = t->rank;
        memcpy(e->shape, t->shape, sizeof e->shape);
        e->elements = tensor_elements(t);
        e->values = weights;
        weights += e->elements;
    }
    const safetensors_metadata metadata[] = {{"format", "penstock"}};
    ps_status status = safetensors_write(path, entries, tensors->count, metadata, 1, error);
    free(entries);
    return status;
}

ps_status model_file_prepare(const char *folder, char *path, size_t path_bytes, ps_error *error)
{
    char model[PATH_BYTES];
    int length = snprintf(model, sizeof model, "%s/model", folder);
    if (length < 0 || (size_t)length + sizeof "/model.safetensors" > sizeof model ||
        (size_t)length + sizeof "/model.safetensors" > path_bytes)
        return ps_fail(error, PS_ELIMIT, "--output-dir: the path has %d bytes and is too long", length);
    ps_status status = file_make_folder(model, error);
    if (status == PS_OK && access(model, W_OK | X_OK) != 0)
        status = ps_fail(error, PS_EIO, "cannot write to the folder %s: %s", model, strerror(errno));
    if (status == PS_OK)
        snprintf(path, path_bytes, "%s/model.safetensors", model);
    return status;
}

ps_status model_file_write(const char *folder, const mlp_config *config, const tensor_table *tensors,
                           const float *weights, char *path, size_t path_bytes, ps_error *error)
{
    ps_status status = model_file_prepare(folder, path, path_bytes, error);
    if (status != PS_OK)
        return status;
    char sidecar[PATH_BYTES];
    snprintf(sidecar, sizeof sidecar, "%s/model/model.json", folder);

    char *description = mlp_describe(config);
    if (!description)
        return ps_fail(error, PS_ENOMEM, "out of memory for the model's description");
    struct iovec part = {.iov_base = description, .iov_len = strlen(description)};
    status = file_write_atomic(sidecar, &part, 1, error);
    free(description);
    return status == PS_OK ? model_file_write_weights(path, tensors, weights, error) : status;
}
