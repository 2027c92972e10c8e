/* v2_answer.c - see v2_answer.h. The text of an inference is written into memory that is large enough for the
 * longest, whose size follows from the request. */
#include "worker/v2_answer.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/decimal.h"
#include "common/json.h"
#include "worker/inference.h"

enum {
    HEAD_BYTES = 512, /* an answer without its id and its data; and what stands around those of an output */
    CLASS_BYTES = 4 + 10,  /* of a class and what is around it, in "0.5:7", */
    ERROR_BYTES = 6 * 512, /* of a reason, each character escaped */
};

static char *print(size_t *bytes, const char *format, ...) __attribute__((format(printf, 2, 3)));

static char *print(size_t *bytes, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    const int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        return NULL;
    *bytes = (size_t)length;
    return text;
}

char *v2_answer_server(size_t *bytes)
{
    return print(bytes, "{\"name\":\"penstock\",\"version\":\"" PENSTOCK_VERSION
                        "\",\"extensions\":[\"classification\"]}\n");
}

char *v2_answer_model(const v2_model *m, size_t *bytes)
{
    return print(bytes,
                 "{\"name\":\"%s\",\"versions\":[\"" V2_VERSION "\"],\"platform\":\"" V2_PLATFORM "\","
                 "\"inputs\":[{\"name\":\"" V2_INPUT "\",\"datatype\":\"FP32\",\"shape\":[-1,%u]}],"
                 "\"outputs\":[{\"name\":\"%s\",\"datatype\":\"FP32\",\"shape\":[-1,%u]},"
                 "{\"name\":\"%s\",\"datatype\":\"FP32\",\"shape\":[-1,%u]}]}\n",
                 m->name, m->inputs, v2_output_name(V2_LOGITS), m->classes, v2_output_name(V2_PROBABILITIES),
                 m->classes);
}

char *v2_answer_state(const char *what, bool is_so, size_t *bytes)
{
    return print(bytes, "{\"%s\":%s}\n", what, is_so ? "true" : "false");
}

char *v2_answer_error(const char *reason, size_t *bytes)
{
    char quoted[ERROR_BYTES];
    json_quote(reason, quoted, sizeof quoted);
    return print(bytes, "{\"error\":%s}\n", quoted);
}

/* ---- inferences ---- */

/* What is being written, and what it takes. */
typedef struct {
    const v2_model *model;
    const v2_request *request;
    char *text;
    size_t used, room;
    double *values;  /* (classes) a row of the output */
    uint32_t *order; /* (classes) */
} writer;

/* The longest that the answer can become. */
static size_t answer_bytes(const v2_model *m, const v2_request *q)
{
    size_t bytes = HEAD_BYTES + q->id_bytes + strlen(m->name);
    for (uint32_t i = 0; i < q->wanted_count; i++) {
        const size_t each = q->wanted[i].top ? DECIMAL_FLOAT_BYTES + CLASS_BYTES : DECIMAL_FLOAT_BYTES;
        bytes += HEAD_BYTES + each * q->rows * (q->wanted[i].top ? q->wanted[i].top : m->classes);
    }
    return bytes;
}

static void put(writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(writer *w, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    w->used += (size_t)vsnprintf(w->text + w->used, w->room - w->used, format, arguments);
    va_end(arguments);
}

/* A row of the output, from its logits. False: a value is not finite. */
static bool take_row(writer *w, v2_output output, const float *logits)
{
    const uint32_t classes = w->model->classes;
    bool finite = true;
    for (uint32_t c = 0; c < classes; c++)
        finite = finite && isfinite(logits[c]);
    if (!finite)
        return false;
    if (output == V2_PROBABILITIES)
        inference_probabilities(logits, classes, w->values);
    else
        for (uint32_t c = 0; c < classes; c++)
            w->values[c] = (double)logits[c];
    return true;
}

static void put_values(writer *w, bool first)
{
    for (uint32_t c = 0; c < w->model->classes; c++, first = false) {
        if (!first)
            w->text[w->used++] = ',';
        w->used += decimal_print_float((float)w->values[c], w->text + w->used);
    }
}

/* "value:class" of the `top` largest. */
static void put_classes(writer *w, uint32_t top, bool first)
{
    inference_rank(w->values, w->model->classes, w->order);
    for (uint32_t n = 0; n < top; n++, first = false) {
        char value[DECIMAL_FLOAT_BYTES];
        decimal_print_float((float)w->values[w->order[n]], value);
        put(w, "%s\"%s:%u\"", first ? "" : ",", value, w->order[n]);
    }
}

static ps_status put_output(writer *w, const v2_wanted *wanted, const float *logits, ps_error *error)
{
    const uint32_t rows = w->request->rows, classes = w->model->classes;
    put(w, "{\"name\":\"%s\",\"datatype\":\"%s\",\"shape\":[%u,%u],\"data\":[",
        v2_output_name(wanted->output), wanted->top ? "BYTES" : "FP32", rows,
        wanted->top ? wanted->top : classes);
    for (uint32_t row = 0; row < rows; row++) {
        if (!take_row(w, wanted->output, logits + (size_t)row * classes))
            return ps_fail(error, PS_ENONFINITE,
                           "row %u: the model computes what is beyond FP32; its inputs are too large", row);
        if (wanted->top)
            put_classes(w, wanted->top, row == 0);
        else
            put_values(w, row == 0);
    }
    put(w, "]}");
    return PS_OK;
}

static ps_status put_answer(writer *w, const float *logits, ps_error *error)
{
    const v2_request *q = w->request;
    ps_status status = PS_OK;
    put(w, "{\"model_name\":\"%s\",\"model_version\":\"" V2_VERSION "\"", w->model->name);
    if (q->id)
        put(w, ",\"id\":%.*s", (int)q->id_bytes, q->id);
    put(w, ",\"outputs\":[");
    for (uint32_t i = 0; i < q->wanted_count && status == PS_OK; i++) {
        put(w, "%s", i ? "," : "");
        status = put_output(w, &q->wanted[i], logits, error);
    }
    put(w, "]}\n");
    assert(w->used < w->room);
    return status;
}

ps_status v2_answer_inference(const v2_model *model, const v2_request *request, const float *logits,
                              char **text, size_t *bytes, ps_error *error)
{
    writer w = {.model = model, .request = request, .room = answer_bytes(model, request)};
    const size_t classes = model->classes;
    w.text = malloc(w.room);
    w.values = malloc(classes * sizeof *w.values);
    w.order = malloc(classes * sizeof *w.order);
    ps_status status = w.text && w.values && w.order
                           ? put_answer(&w, logits, error)
                           : ps_fail(error, PS_ENOMEM, "out of memory for the answer");
    free(w.values);
    free(w.order);
    *text = w.text;
    *bytes = w.used;
    if (status != PS_OK) {
        free(w.text);
        *text = NULL;
    }
    return status;
}
