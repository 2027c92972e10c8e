/* predict.c - penstock-predict, which people call as `penstock predict`: options, and what is printed. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/first_process.h"
#include "common/json.h"
#include "common/options.h"
#include "worker/blas_select.h"
#include "worker/image_set.h"
#include "worker/inference.h"
#include "worker/saved_model.h"

typedef struct {
    const char *folder;
    char **files;
    uint32_t file_count;
    uint64_t first, last; /* rows of an IDX file */
    uint64_t top;
    bool invert, json, logits;
} predict_options;

/* ---- options ---- */

const char *argp_program_version = "penstock predict " PENSTOCK_VERSION;

enum { KEY_JSON = 256, KEY_LOGITS, KEY_INVERT, KEY_ROWS };

static const struct argp_option option_list[] = {
    {"top", 'n', "N", 0, "Say the N most likely classes (default 3)", 0},
    {"rows", KEY_ROWS, "FIRST[-LAST]", 0, "Of IDX files take these rows only, counted from 0", 0},
    {"invert", KEY_INVERT, NULL, 0, "Take black for white: for dark writing on light paper", 0},
    {"json", KEY_JSON, NULL, 0, "Print JSON instead of a line per image", 0},
    {"logits", KEY_LOGITS, NULL, 0, "With --json: also what the last layer computes, before softmax", 0},
    {0}};

static void parse_rows(char *text, predict_options *o, struct argp_state *state)
{
    ps_error error;
    char *dash = strchr(text, '-');
    if (dash)
        *dash = '\0';
    if (option_unsigned("rows", text, 0, UINT32_MAX, &o->first, &error) != PS_OK)
        argp_error(state, "%s", error.text);
    o->last = o->first;
    if (dash && option_unsigned("rows", dash + 1, o->first, UINT32_MAX, &o->last, &error) != PS_OK)
        argp_error(state, "%s", error.text);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    predict_options *o = state->input;
    ps_error error;
    switch (key) {
    case 'n':
        if (option_unsigned("top", argument, 1, MLP_WIDTH_MAX, &o->top, &error) != PS_OK)
            argp_error(state, "%s", error.text);
        return 0;
    case KEY_ROWS:
        parse_rows(argument, o, state);
        return 0;
    case KEY_INVERT:
        o->invert = true;
        return 0;
    case KEY_JSON:
        o->json = true;
        return 0;
    case KEY_LOGITS:
        o->logits = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->folder)
            return ARGP_ERR_UNKNOWN; /* all the rest comes as ARGP_KEY_ARGS */
        o->folder = argument;
        return 0;
    case ARGP_KEY_ARGS:
        o->files = state->argv + state->next;
        o->file_count = (uint32_t)(state->argc - state->next);
        return 0;
    case ARGP_KEY_END:
        if (!o->folder)
            argp_error(state, "the model is missing: a folder such as outputs/model");
        if (o->file_count == 0)
            argp_error(state, "the images are missing: PNG, PGM or IDX files");
        if (o->logits && !o->json)
            argp_error(state, "--logits needs --json");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_list,
    .parser = parse_option,
    .args_doc = "MODEL IMAGE...",
    .doc =
        "Say what a trained model makes of images: the most likely classes, and their probabilities.\v"
        "MODEL is the folder that training has left, with model.json and model.safetensors, such as "
        "outputs/model. IMAGE is a PNG, a binary PGM (P5), or an IDX file of many images, also gzipped; what "
        "it is, its first bytes say. It must have as many pixels as the model has inputs (MNIST: 28 x 28); "
        "nothing is scaled or centred. Colours become grey, what is transparent becomes black. MNIST is "
        "light writing on dark ground: for the other, there is --invert.\n\n"
        "  penstock predict outputs/model digit.png\n"
        "  penstock predict --rows 0-9 outputs/model t10k-images-idx3-ubyte\n\n"
        "Exit status: 0; 2 usage, or an image of another size than the model takes; 3 a model or image that "
        "is missing or damaged; 1 anything else.",
};

/* ---- output ---- */

static void print_line(const char *path, bool many, uint64_t row, const double *probabilities,
                       const uint32_t *order, uint32_t top)
{
    if (many)
        printf("%s[%llu]:", path, (unsigned long long)row);
    else
        printf("%s:", path);
    for (uint32_t n = 0; n < top; n++)
        printf("%s %u (%.2f %%)", n ? "," : "", order[n], probabilities[order[n]] * 100);
    printf("\n");
}

static void print_entry(const char *path, uint64_t row, const double *probabilities, const uint32_t *order,
                        uint32_t top, const float *logits, uint32_t classes, bool first)
{
    printf("%s\n  {\"image\": ", first ? "" : ",");
    json_print_string(stdout, path);
    printf(", \"row\": %llu, \"top\": [", (unsigned long long)row);
    for (uint32_t n = 0; n < top; n++)
        printf("%s{\"class\": %u, \"probability\": %.9g}", n ? ", " : "", order[n], probabilities[order[n]]);
    printf("]");
    for (uint32_t c = 0; logits && c < classes; c++)
        printf("%s%.9g", c ? ", " : ", \"logits\": [", (double)logits[c]);
    printf(logits ? "]}" : "}");
}

/* ---- work ---- */

/* All that is needed for a batch. */
typedef struct {
    const predict_options *options;
    const saved_model *model;
    inference *inference;
    float *features, *logits;
    double *probabilities;
    uint32_t *order;
    bool any; /* printed yet */
} predictor;

static ps_status predict_batch(predictor *p, const char *path, const image_set *set, uint64_t first,
                               uint32_t rows)
{
    const predict_options *o = p->options;
    const uint32_t inputs = p->model->config.inputs, classes = p->model->config.classes;
    const uint32_t top = o->top < classes ? (uint32_t)o->top : classes;
    for (uint32_t r = 0; r < rows; r++)
        image_set_gather(set, first + r, p->features + (size_t)r * inputs);
    for (size_t i = 0; o->invert && i < (size_t)rows * inputs; i++)
        p->features[i] = 1.0F - p->features[i];
    ps_status status = inference_logits(p->inference, p->features, rows, p->logits);
    for (uint32_t r = 0; status == PS_OK && r < rows; r++) {
        const float *logits = p->logits + (size_t)r * classes;
        inference_probabilities(logits, classes, p->probabilities);
        inference_rank(p->probabilities, classes, p->order);
        if (o->json)
            print_entry(path, first + r, p->probabilities, p->order, top, o->logits ? logits : NULL, classes,
                        !p->any);
        else
            print_line(path, set->many, first + r, p->probabilities, p->order, top);
        p->any = true;
    }
    return status;
}

static ps_status predict_set(predictor *p, const char *path, const image_set *set, ps_error *error)
{
    const uint64_t begin = set->many ? p->options->first : 0;
    const uint64_t end = !set->many || p->options->last >= set->rows ? set->rows : p->options->last + 1;
    ps_status status = PS_OK;
    for (uint64_t first = begin; first < end && status == PS_OK; first += INFERENCE_ROWS) {
        const uint64_t rest = end - first;
        status = predict_batch(p, path, set, first, rest < INFERENCE_ROWS ? (uint32_t)rest : INFERENCE_ROWS);
    }
    return status == PS_OK ? PS_OK : ps_fail(error, status, "%s: %s", path, ps_status_text(status));
}

/* Opens all before anything is computed, so that what is printed is all or nothing. */
static ps_status open_sets(const predict_options *o, uint32_t pixels, image_set *sets, ps_error *error)
{
    ps_status status = PS_OK;
    for (uint32_t i = 0; i < o->file_count && status == PS_OK; i++) {
        status = image_set_open(o->files[i], pixels, &sets[i], error);
        if (status == PS_OK && sets[i].many && o->last != UINT64_MAX && o->last >= sets[i].rows)
            status = ps_fail(error, PS_EINVAL, "--rows: %s has rows 0 to %llu", o->files[i],
                             (unsigned long long)sets[i].rows - 1);
    }
    return status;
}

static ps_status allocate(predictor *p, ps_error *error)
{
    const size_t inputs = p->model->config.inputs, classes = p->model->config.classes;
    p->features = malloc(INFERENCE_ROWS * inputs * sizeof *p->features);
    p->logits = malloc(INFERENCE_ROWS * classes * sizeof *p->logits);
    p->probabilities = malloc(classes * sizeof *p->probabilities);
    p->order = malloc(classes * sizeof *p->order);
    if (p->features && p->logits && p->probabilities && p->order)
        return PS_OK;
    return ps_fail(error, PS_ENOMEM, "out of memory for %d images", INFERENCE_ROWS);
}

static ps_status predict_sets(const predict_options *o, const saved_model *model, const image_set *sets,
                              ps_error *error)
{
    predictor p = {.options = o, .model = model};
    backend *cpu = NULL;
    ps_status status = backend_cpu_create(1, &cpu, error);
    if (status == PS_OK)
        status = inference_create(model, cpu, &p.inference, error);
    if (status == PS_OK)
        status = allocate(&p, error);
    if (status == PS_OK && o->json) {
        printf("{\"schema\": \"penstock-predict/1\", \"model\": ");
        json_print_string(stdout, o->folder);
        printf(", \"predictions\": [");
    }
    for (uint32_t i = 0; i < o->file_count && status == PS_OK; i++)
        status = predict_set(&p, o->files[i], &sets[i], error);
    if (status == PS_OK && o->json)
        printf("\n]}\n");
    free(p.features);
    free(p.logits);
    free(p.probabilities);
    free(p.order);
    inference_destroy(&p.inference);
    if (cpu)
        cpu->ops->destroy(cpu);
    return status;
}

static ps_status predict(const predict_options *o, ps_error *error)
{
    saved_model model;
    ps_status status = saved_model_open(o->folder, &model, error);
    if (status != PS_OK)
        return status;
    image_set *sets = calloc(o->file_count, sizeof *sets);
    status =
        sets ? open_sets(o, model.config.inputs, sets, error) : ps_fail(error, PS_ENOMEM, "out of memory");
    if (status == PS_OK)
        status = predict_sets(o, &model, sets, error);
    for (uint32_t i = 0; sets && i < o->file_count; i++)
        image_set_close(&sets[i]);
    free(sets);
    saved_model_close(&model);
    return status;
}

int main(int argc, char **argv)
{
    predict_options options = {.top = 3, .last = UINT64_MAX};
    char blas[512];
    ps_error error = {PS_OK, ""};
    first_process_prepare(false);
    ps_status status = blas_select(argv, blas, sizeof blas, &error); /* may start this process anew */
    argp_err_exit_status = PS_EXIT_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &options);
    if (status == PS_OK)
        status = predict(&options, &error);
    if (fflush(stdout) != 0 && status == PS_OK)
        status = ps_fail(&error, PS_EIO, "cannot write to standard output");
    if (status != PS_OK)
        fprintf(stderr, "%s: %s\n", argv[0], error.text);
    return ps_status_exit_code(status);
}
