/* export_csv.c - weights as text. The text is made in memory: bounded by EXPORT_CSV_PARAMETERS_MAX. */
#include <stdio.h>
#include <stdlib.h>

#include "common/file.h"
#include "deploy/export/export_formats.h"

static void print_tensor(FILE *out, const tensor *t, const float *values)
{
    const uint64_t columns = t->shape[t->rank - 1], elements = tensor_elements(t);
    for (uint64_t i = 0; i < elements; i++)
        fprintf(out, "%s,%llu,%llu,%.9g\n", t->name, (unsigned long long)(i / columns),
                (unsigned long long)(i % columns), (double)values[i]);
}

ps_status export_csv(const saved_model *model, const char *path, ps_error *error)
{
    if (model->parameters > EXPORT_CSV_PARAMETERS_MAX)
        return ps_fail(error, PS_ELIMIT, "csv is for at most %d parameters, the model has %llu; choose npz",
                       EXPORT_CSV_PARAMETERS_MAX, (unsigned long long)model->parameters);
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        return ps_fail(error, PS_ENOMEM, "out of memory for the text");
    fputs("tensor,row,column,value\n", out);
    const float *values = model->weights;
    for (uint32_t i = 0; i < model->tensors.count; i++) {
        print_tensor(out, &model->tensors.tensors[i], values);
        values += tensor_elements(&model->tensors.tensors[i]);
    }
    const bool failed = ferror(out) != 0;
    ps_status status =
        fclose(out) != 0 || failed ? ps_fail(error, PS_ENOMEM, "out of memory for the text") : PS_OK;
    const struct iovec part = {.iov_base = text, .iov_len = bytes};
    if (status == PS_OK)
        status = file_write_atomic(path, &part, 1, error);
    free(text);
    return status;
}
