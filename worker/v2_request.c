/* v2_request.c - see v2_request.h.
 *
 * The text is read once. Only where `data` stands before `shape` or `datatype`, which is unusual, is it
 * passed over first and returned to at the end of its tensor. */
#include "worker/v2_request.h"

#include <stdlib.h>
#include <string.h>

#include "common/json_reader.h"

enum {
    KEY_BYTES = 32,     /* longer keys are none of ours */
    NAME_BYTES = 64,    /* of tensors and datatypes */
    SHAPE_RANK_MAX = 8, /* that is read, to be named in a complaint */
    SHAPE_TEXT_BYTES = 21 * SHAPE_RANK_MAX + 3,
};

#define SIZE_MOST ((uint64_t)1 << 53)

typedef enum { TYPE_NONE, TYPE_FP32, TYPE_UINT8 } data_type;

/* What has been read of a tensor. */
typedef struct {
    char name[NAME_BYTES];
    data_type type;
    uint32_t rank;
    uint64_t shape[SHAPE_RANK_MAX];
    bool has_shape, has_data;
    size_t later; /* where its data are, if they are still to be read */
} tensor_read;

typedef struct {
    const v2_model *model;
    json_reader reader;
    v2_request *request;
    ps_error *error;
    ps_status status; /* what is wrong beside the JSON */
} parser;

const char *v2_output_name(v2_output output)
{
    static const char *const names[] = {
#define V2_OUTPUT_TEXT(name, text) [name] = text,
        V2_OUTPUT_LIST(V2_OUTPUT_TEXT)
#undef V2_OUTPUT_TEXT
    };
    return names[output];
}

/* Fails for another reason than JSON; the first one stands. Returns false. */
#define refuse(p, why, ...) \
    ((p)->status = ps_fail((p)->error, why, __VA_ARGS__), (p)->reader.failed = true, false)

/* ---- parameters ---- */

/* Passes the parameters of `what`. `top` is for "classification", NULL where that has no meaning. */
static bool read_parameters(parser *p, const char *what, uint32_t *top)
{
    json_reader *r = &p->reader;
    char key[KEY_BYTES];
    if (!json_read_enter(r, '{'))
        return false;
    while (json_read_next(r, '}') && json_read_key(r, key, sizeof key)) {
        bool binary = false;
        uint64_t number;
        if (top && strcmp(key, "classification") == 0) {
            if (json_read_integer(r, UINT32_MAX, &number))
                *top = number < p->model->classes ? (uint32_t)number : p->model->classes;
            if (!r->failed && *top == 0)
                return refuse(p, PS_EFORMAT, "%s: classification is 0; ask for 1 class or more", what);
            continue;
        }
        if (strcmp(key, "binary_data_size") == 0)
            binary = true;
        if (strcmp(key, "binary_data") == 0 || strcmp(key, "binary_data_output") == 0)
            json_read_bool(r, &binary);
        else
            json_read_skip(r);
        if (binary)
            return refuse(p, PS_EMISMATCH, "%s: %s: tensors are JSON here, not binary", what, key);
    }
    return !r->failed;
}

/* ---- data ---- */

/* A list of `count` numbers. */
static bool read_list(parser *p, data_type type, uint64_t count, float *values)
{
    json_reader *r = &p->reader;
    uint64_t i = 0, pixel = 0;
    while (json_read_next(r, ']')) {
        if (i == count)
            return refuse(p, PS_EMISMATCH, "data: a list has more than the %llu values of the shape",
                          (unsigned long long)count);
        if (type == TYPE_FP32)
            json_read_float(r, &values[i]);
        else if (json_read_integer(r, UINT8_MAX, &pixel))
            values[i] = (float)pixel / 255.0F;
        if (r->failed)
            return false;
        i++;
    }
    if (!r->failed && i < count)
        return refuse(p, PS_EMISMATCH, "data: a list has %llu values; by the shape there are %llu",
                      (unsigned long long)i, (unsigned long long)count);
    return !r->failed;
}

/* A list of rows. */
static bool read_rows(parser *p, data_type type, uint32_t rows, float *values)
{
    json_reader *r = &p->reader;
    const uint32_t inputs = p->model->inputs;
    uint32_t row = 0;
    for (; json_read_next(r, ']'); row++) {
        if (row == rows)
            return refuse(p, PS_EMISMATCH, "data has more than the %u rows of the shape", rows);
        if (!json_read_enter(r, '[') || !read_list(p, type, inputs, values + (size_t)row * inputs))
            return false;
    }
    if (!r->failed && row < rows)
        return refuse(p, PS_EMISMATCH, "data has %u rows; by the shape there are %u", row, rows);
    return !r->failed;
}

/* The data at the cursor, of a tensor whose shape has been checked. */
static bool read_data(parser *p, const tensor_read *t)
{
    v2_request *q = p->request;
    const uint64_t elements = (uint64_t)q->rows * p->model->inputs;
    if (p->reader.failed)
        return false;
    q->features = malloc(elements * sizeof *q->features);
    if (!q->features)
        return refuse(p, PS_ENOMEM, "out of memory for %u rows", q->rows);
    if (!json_read_enter(&p->reader, '['))
        return false;
    return json_read_peek(&p->reader) == '[' ? read_rows(p, t->type, q->rows, q->features)
                                             : read_list(p, t->type, elements, q->features);
}

/* ---- the input ---- */

static bool read_type(parser *p, tensor_read *t)
{
    char text[NAME_BYTES];
    if (!json_read_string(&p->reader, text, sizeof text))
        return false;
    t->type = strcmp(text, "FP32") == 0 ? TYPE_FP32 : strcmp(text, "UINT8") == 0 ? TYPE_UINT8 : TYPE_NONE;
    return t->type != TYPE_NONE ||
           refuse(p, PS_EMISMATCH, "datatype '%s': '" V2_INPUT "' takes FP32, or UINT8", text);
}

static bool read_shape(parser *p, tensor_read *t)
{
    json_reader *r = &p->reader;
    if (!json_read_enter(r, '['))
        return false;
    while (json_read_next(r, ']')) {
        if (t->rank == SHAPE_RANK_MAX)
            return refuse(p, PS_EMISMATCH, "shape has more than %d dimensions; '" V2_INPUT "' has 2",
                          SHAPE_RANK_MAX);
        if (!json_read_integer(r, SIZE_MOST, &t->shape[t->rank]))
            return false;
        t->rank++;
    }
    t->has_shape = true;
    return !r->failed;
}

static void print_shape(const tensor_read *t, char text[SHAPE_TEXT_BYTES])
{
    size_t used = 0;
    text[used++] = '[';
    for (uint32_t i = 0; i < t->rank; i++)
        used += (size_t)snprintf(text + used, SHAPE_TEXT_BYTES - used, "%s%llu", i ? "," : "",
                                 (unsigned long long)t->shape[i]);
    snprintf(text + used, SHAPE_TEXT_BYTES - used, "]");
}

static bool check_shape(parser *p, const tensor_read *t)
{
    const v2_model *m = p->model;
    char text[SHAPE_TEXT_BYTES];
    print_shape(t, text);
    if (t->rank != 2 || t->shape[1] != m->inputs)
        return refuse(p, PS_EMISMATCH, "shape %s: '" V2_INPUT "' is [rows,%u]", text, m->inputs);
    if (t->shape[0] == 0)
        return refuse(p, PS_EMISMATCH, "shape %s: there is nothing to be said of no rows", text);
    if (t->shape[0] > m->rows_max)
        return refuse(p, PS_ELIMIT, "shape %s: at most %u rows are taken at once", text, m->rows_max);
    p->request->rows = (uint32_t)t->shape[0];
    return true;
}

/* The value of `key`, which is one of a tensor's or any other. */
static bool read_input_entry(parser *p, tensor_read *t, const char *key)
{
    json_reader *r = &p->reader;
    const bool repeated =
        (t->name[0] && strcmp(key, "name") == 0) || (t->type != TYPE_NONE && strcmp(key, "datatype") == 0) ||
        (t->has_shape && strcmp(key, "shape") == 0) || (t->has_data && strcmp(key, "data") == 0);
    if (repeated)
        return refuse(p, PS_EFORMAT, "inputs: '%s' is given twice", key);
    if (strcmp(key, "name") == 0)
        return json_read_string(r, t->name, sizeof t->name);
    if (strcmp(key, "datatype") == 0)
        return read_type(p, t);
    if (strcmp(key, "shape") == 0)
        return read_shape(p, t) && check_shape(p, t);
    if (strcmp(key, "parameters") == 0)
        return read_parameters(p, "inputs", NULL);
    if (strcmp(key, "data") != 0)
        return json_read_skip(r);
    t->has_data = true;
    if (t->has_shape && t->type != TYPE_NONE)
        return read_data(p, t);
    t->later = json_read_place(r);
    return json_read_skip(r);
}

static bool check_input(parser *p, const tensor_read *t)
{
    if (!t->name[0])
        return refuse(p, PS_EFORMAT, "inputs: a name is missing; the model takes '" V2_INPUT "'");
    if (strcmp(t->name, V2_INPUT) != 0)
        return refuse(p, PS_EMISMATCH, "inputs: there is no '%s'; the model takes '" V2_INPUT "'", t->name);
    const char *missing = t->type == TYPE_NONE ? "datatype"
                          : !t->has_shape      ? "shape"
                          : !t->has_data       ? "data"
                                               : NULL;
    return !missing || refuse(p, PS_EFORMAT, "inputs: '" V2_INPUT "' has no %s", missing);
}

static bool read_input(parser *p)
{
    json_reader *r = &p->reader;
    tensor_read t = {.name = ""};
    char key[KEY_BYTES];
    if (!json_read_enter(r, '{'))
        return false;
    while (json_read_next(r, '}'))
        if (!json_read_key(r, key, sizeof key) || !read_input_entry(p, &t, key))
            return false;
    if (r->failed || !check_input(p, &t))
        return false;
    if (p->request->features)
        return true;
    const size_t behind = json_read_place(r);
    json_read_return(r, t.later);
    if (!read_data(p, &t))
        return false;
    json_read_return(r, behind);
    return true;
}

static bool read_inputs(parser *p)
{
    json_reader *r = &p->reader;
    if (!json_read_enter(r, '['))
        return false;
    while (json_read_next(r, ']')) {
        if (p->request->features)
            return refuse(p, PS_EMISMATCH, "inputs: there is more than one; the model takes '" V2_INPUT "'");
        if (!read_input(p))
            return false;
    }
    return !r->failed &&
           (p->request->features || refuse(p, PS_EFORMAT, "inputs is empty; the model takes '" V2_INPUT "'"));
}

/* ---- the outputs ---- */

static bool find_output(parser *p, const char *name, v2_output *output)
{
    for (int o = 0; o < V2_OUTPUTS; o++)
        if (strcmp(name, v2_output_name((v2_output)o)) == 0) {
            *output = (v2_output)o;
            return true;
        }
    return name[0] ? refuse(p, PS_EMISMATCH, "outputs: there is no '%s'", name)
                   : refuse(p, PS_EFORMAT, "outputs: a name is missing");
}

static bool read_output(parser *p)
{
    json_reader *r = &p->reader;
    v2_request *q = p->request;
    char key[KEY_BYTES], name[NAME_BYTES] = "";
    v2_wanted wanted = {.top = 0};
    if (!json_read_enter(r, '{'))
        return false;
    while (json_read_next(r, '}') && json_read_key(r, key, sizeof key)) {
        if (strcmp(key, "name") == 0)
            json_read_string(r, name, sizeof name);
        else if (strcmp(key, "parameters") == 0)
            read_parameters(p, "outputs", &wanted.top);
        else
            json_read_skip(r);
    }
    if (r->failed || !find_output(p, name, &wanted.output))
        return false;
    for (uint32_t i = 0; i < q->wanted_count; i++)
        if (q->wanted[i].output == wanted.output)
            return refuse(p, PS_EFORMAT, "outputs: '%s' is asked for twice", name);
    q->wanted[q->wanted_count++] = wanted;
    return true;
}

static bool read_outputs(parser *p)
{
    json_reader *r = &p->reader;
    if (!json_read_enter(r, '['))
        return false;
    while (json_read_next(r, ']'))
        if (!read_output(p))
            return false;
    return !r->failed;
}

/* ---- all of it ---- */

typedef enum { PART_ID, PART_PARAMETERS, PART_INPUTS, PART_OUTPUTS, PARTS } part;

static const char *const part_names[PARTS] = {
    [PART_ID] = "id", [PART_PARAMETERS] = "parameters", [PART_INPUTS] = "inputs", [PART_OUTPUTS] = "outputs"};

static bool read_part(parser *p, part which)
{
    v2_request *q = p->request;
    switch (which) {
    case PART_ID:
        return json_read_raw_string(&p->reader, &q->id, &q->id_bytes);
    case PART_PARAMETERS:
        return read_parameters(p, "parameters", NULL);
    case PART_INPUTS:
        return read_inputs(p);
    case PART_OUTPUTS:
        return read_outputs(p);
    case PARTS:
        break;
    }
    return json_read_skip(&p->reader);
}

static bool read_request(parser *p)
{
    json_reader *r = &p->reader;
    bool seen[PARTS] = {false};
    char key[KEY_BYTES];
    if (!json_read_enter(r, '{'))
        return false;
    while (json_read_next(r, '}') && json_read_key(r, key, sizeof key)) {
        int which = 0;
        while (which < PARTS && strcmp(key, part_names[which]) != 0)
            which++;
        if (which < PARTS && seen[which])
            return refuse(p, PS_EFORMAT, "'%s' is given twice", key);
        if (which < PARTS)
            seen[which] = true;
        if (!read_part(p, (part)which))
            return false;
    }
    if (!json_read_end(r))
        return false;
    return seen[PART_INPUTS] || refuse(p, PS_EFORMAT, "inputs is missing");
}

ps_status v2_request_parse(const v2_model *model, const char *text, size_t bytes, v2_request *request,
                           ps_error *error)
{
    parser p = {.model = model, .request = request, .error = error};
    *request = (v2_request){.id = NULL};
    json_reader_init(&p.reader, text, bytes);
    if (!read_request(&p)) {
        v2_request_fini(request);
        return p.status != PS_OK ? p.status : json_reader_fail(&p.reader, "the request", error);
    }
    if (request->wanted_count == 0) { /* the protocol: all of them */
        request->wanted_count = V2_OUTPUTS;
        for (int o = 0; o < V2_OUTPUTS; o++)
            request->wanted[o] = (v2_wanted){.output = (v2_output)o};
    }
    return PS_OK;
}

void v2_request_fini(v2_request *request)
{
    free(request->features);
    *request = (v2_request){.id = NULL};
}
