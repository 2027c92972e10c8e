/* plain_loop.c - the training that the daemons promise to equal, bit for bit, as one plain loop.
 *
 *   plain_loop DATA_FOLDER MODEL_FILE WORKERS STEPS OPTIMIZER LEARNING_RATE
 *
 * Trains the default model (ReLU, hidden layers of 300 and 100, batches of 50, seed 1) with as many gradients
 * per step as there are WORKERS, and writes it as the chief does. OPTIMIZER: sgd or momentum (0.9).
 *
 * Written a second time on purpose: no model, backend, client, session, shard or optimizer of the daemons is
 * used. Of the product only what defines the job is: initial values, sample order, kernels of OpenBLAS,
 * floating-point mode, file format. */
#include <cblas.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fpmode.h"
#include "common/random.h"
#include "common/safetensors.h"
#include "worker/blas_select.h"
#include "worker/sampler.h"

enum { BATCH = 50, HIDDEN1 = 300, HIDDEN2 = 100, CLASSES = 10, LAYERS = 3, TENSORS = 2 * LAYERS, SEED = 1 };

static const float MOMENTUM = 0.9f;

typedef struct {
    uint32_t rows, pixels;
    uint8_t *images, *labels;
} samples;

typedef struct {
    uint32_t inputs, outputs;
    size_t kernel, bias; /* offsets in the flat arrays */
} layer;

typedef struct {
    layer layers[LAYERS];
    size_t parameters;
    float *outputs[LAYERS]; /* (BATCH x outputs) */
    float *deltas[LAYERS];  /* (BATCH x outputs) d loss / d that output */
    float *inputs;          /* (BATCH x pixels) */
    uint32_t labels[BATCH];
} network;

static void die(const char *what)
{
    fprintf(stderr, "plain_loop: %s\n", what);
    exit(EXIT_FAILURE);
}

static float *new_floats(size_t count)
{
    float *values = calloc(count, sizeof *values);
    if (!values)
        die("out of memory");
    return values;
}

/* ---- data ---- */

static uint32_t read_number(FILE *file)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 8 | (uint32_t)fgetc(file);
    return value;
}

static uint8_t *read_file(const char *folder, const char *name, uint32_t rank, uint32_t *rows,
                          uint32_t *row_bytes)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        die(path);
    read_number(file);
    *rows = read_number(file);
    *row_bytes = 1;
    for (uint32_t i = 1; i < rank; i++)
        *row_bytes *= read_number(file);
    size_t bytes = (size_t)*rows * *row_bytes;
    uint8_t *values = malloc(bytes);
    if (!values || fread(values, 1, bytes, file) != bytes)
        die(path);
    fclose(file);
    return values;
}

static samples read_samples(const char *folder)
{
    samples s;
    uint32_t labels, one;
    s.images = read_file(folder, "train-images-idx3-ubyte", 3, &s.rows, &s.pixels);
    s.labels = read_file(folder, "train-labels-idx1-ubyte", 1, &labels, &one);
    if (labels != s.rows)
        die("labels and images differ in number");
    return s;
}

static void gather(network *n, const samples *from, const uint64_t *rows, uint32_t count)
{
    for (uint32_t r = 0; r < count; r++) {
        n->labels[r] = from->labels[rows[r]];
        for (uint32_t p = 0; p < from->pixels; p++)
            n->inputs[(size_t)r * from->pixels + p] =
                (float)from->images[rows[r] * from->pixels + p] / 255.0f;
    }
}

/* ---- the model ---- */

static void describe_tensors(const network *n, tensor tensors[TENSORS])
{
    static const char *const names[LAYERS] = {"dense1", "dense2", "output"};
    for (int l = 0; l < LAYERS; l++) {
        const layer *at = &n->layers[l];
        tensors[2 * l] =
            (tensor){.rank = 2, .shape = {at->inputs, at->outputs}, .init = {.kind = INITIALIZER_HE_NORMAL}};
        tensors[2 * l + 1] = (tensor){.rank = 1, .shape = {at->outputs}, .init = {.kind = INITIALIZER_ZEROS}};
        snprintf(tensors[2 * l].name, sizeof tensors->name, "%s/kernel", names[l]);
        snprintf(tensors[2 * l + 1].name, sizeof tensors->name, "%s/bias", names[l]);
    }
}

static void build(network *n, uint32_t pixels)
{
    const uint32_t widths[LAYERS + 1] = {pixels, HIDDEN1, HIDDEN2, CLASSES};
    n->parameters = 0;
    for (int l = 0; l < LAYERS; l++) {
        layer *at = &n->layers[l];
        *at = (layer){.inputs = widths[l], .outputs = widths[l + 1], .kernel = n->parameters};
        at->bias = at->kernel + (size_t)at->inputs * at->outputs;
        n->parameters = at->bias + at->outputs;
        n->outputs[l] = new_floats((size_t)BATCH * at->outputs);
        n->deltas[l] = new_floats((size_t)BATCH * at->outputs);
    }
    n->inputs = new_floats((size_t)BATCH * pixels);
}

static float *initial_weights(const network *n)
{
    tensor tensors[TENSORS];
    float *weights = new_floats(n->parameters), *next = weights;
    describe_tensors(n, tensors);
    for (int t = 0; t < TENSORS; t++) {
        random_initialize(&tensors[t], SEED, 0, tensor_elements(&tensors[t]), next);
        next += tensor_elements(&tensors[t]);
    }
    return weights;
}

static void forward(network *n, const float *weights, uint32_t rows)
{
    const float *in = n->inputs;
    for (int l = 0; l < LAYERS; l++) {
        const layer *at = &n->layers[l];
        float *out = n->outputs[l];
        int width = (int)at->outputs;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, width, (int)at->inputs, 1.0f, in,
                    (int)at->inputs, weights + at->kernel, width, 0.0f, out, width);
        for (size_t i = 0; i < (size_t)rows * at->outputs; i++) {
            float sum = out[i] + weights[at->bias + i % at->outputs];
            out[i] = l + 1 < LAYERS && sum < 0.0f ? 0.0f : sum;
        }
        in = out;
    }
}

/* d (mean cross-entropy of softmax) / d logits, the largest logit subtracted before the exponential. */
static void differentiate_loss(network *n, uint32_t rows)
{
    for (uint32_t r = 0; r < rows; r++) {
        const float *logits = n->outputs[LAYERS - 1] + (size_t)r * CLASSES;
        float *delta = n->deltas[LAYERS - 1] + (size_t)r * CLASSES;
        float largest = logits[0];
        double sum = 0.0;
        for (int c = 1; c < CLASSES; c++)
            largest = logits[c] > largest ? logits[c] : largest;
        for (int c = 0; c < CLASSES; c++) {
            delta[c] = expf(logits[c] - largest);
            sum += (double)delta[c];
        }
        for (uint32_t c = 0; c < CLASSES; c++)
            delta[c] =
                (delta[c] * (float)(1.0 / sum) - (c == n->labels[r] ? 1.0f : 0.0f)) * (1.0f / (float)rows);
    }
}

static void backward(network *n, const float *weights, uint32_t rows, float *gradient)
{
    differentiate_loss(n, rows);
    for (int l = LAYERS - 1; l >= 0; l--) {
        const layer *at = &n->layers[l];
        int in = (int)at->inputs, out = (int)at->outputs;
        const float *below = l > 0 ? n->outputs[l - 1] : n->inputs;
        memset(gradient + at->bias, 0, at->outputs * sizeof *gradient);
        for (size_t i = 0; i < (size_t)rows * at->outputs; i++) {
            if (l + 1 < LAYERS && n->outputs[l][i] <= 0.0f)
                n->deltas[l][i] = 0.0f;
            gradient[at->bias + i % at->outputs] += n->deltas[l][i];
        }
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, in, out, (int)rows, 1.0f, below, in,
                    n->deltas[l], out, 0.0f, gradient + at->kernel, out);
        if (l > 0)
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, in, out, 1.0f, n->deltas[l], out,
                        weights + at->kernel, out, 0.0f, n->deltas[l - 1], in);
    }
}

/* ---- a step ---- */

/* The workers' mean gradients at `weights`, weighted by rows and summed in the order of their ranks. */
static void sum_gradients(network *n, const samples *data, const sampler *draws, uint64_t step,
                          const float *weights, float *gradient, float *sum)
{
    uint64_t rows[BATCH];
    uint32_t total = 0;
    bool first = true;
    for (uint32_t rank = 0; rank < draws->workers; rank++)
        total += sampler_rows(draws, step, rank, rows);
    for (uint32_t rank = 0; rank < draws->workers; rank++) {
        uint32_t count = sampler_rows(draws, step, rank, rows);
        if (count == 0)
            continue;
        gather(n, data, rows, count);
        forward(n, weights, count);
        backward(n, weights, count, gradient);
        float share = (float)((double)count / (double)total);
        for (size_t i = 0; i < n->parameters; i++)
            sum[i] = first ? gradient[i] * share : sum[i] + gradient[i] * share;
        first = false;
    }
}

static void train(network *n, const samples *data, const sampler *draws, uint64_t steps, bool momentum,
                  float rate, float *weights)
{
    float *gradient = new_floats(n->parameters), *sum = new_floats(n->parameters);
    float *velocity = new_floats(n->parameters);
    for (uint64_t step = 1; step <= steps; step++) {
        sum_gradients(n, data, draws, step, weights, gradient, sum);
        for (size_t i = 0; i < n->parameters; i++) {
            velocity[i] = momentum ? MOMENTUM * velocity[i] + sum[i] : sum[i];
            weights[i] -= rate * velocity[i];
        }
    }
    free(gradient);
    free(sum);
    free(velocity);
}

static void save(const network *n, const float *weights, const char *path)
{
    tensor tensors[TENSORS];
    safetensors_entry entries[TENSORS];
    const safetensors_metadata metadata = {"format", "penstock"};
    ps_error error;
    describe_tensors(n, tensors);
    for (int t = 0; t < TENSORS; t++) {
        entries[t] = (safetensors_entry){
            .rank = tensors[t].rank, .elements = tensor_elements(&tensors[t]), .values = weights};
        memcpy(entries[t].name, tensors[t].name, sizeof entries->name);
        memcpy(entries[t].shape, tensors[t].shape, sizeof entries->shape);
        weights += entries[t].elements;
    }
    if (safetensors_write(path, entries, TENSORS, &metadata, 1, &error) != PS_OK)
        die(error.text);
}

int main(int argc, char **argv)
{
    static network n;
    char line[512];
    ps_error error;
    if (argc != 7)
        die("usage: plain_loop DATA_FOLDER MODEL_FILE WORKERS STEPS OPTIMIZER LEARNING_RATE");
    bool momentum = strcmp(argv[5], "momentum") == 0;
    if (!momentum && strcmp(argv[5], "sgd") != 0)
        die("OPTIMIZER is neither sgd nor momentum");
    if (blas_select(argv, line, sizeof line, &error) != PS_OK) /* the same kernels as the workers */
        die(error.text);
    fpmode_flush_denormals();

    samples data = read_samples(argv[1]);
    sampler draws = {
        .seed = SEED, .rows = data.rows, .workers = (uint32_t)strtoul(argv[3], NULL, 10), .batch = BATCH};
    if (sampler_check(&draws, &error) != PS_OK)
        die(error.text);
    build(&n, data.pixels);
    float *weights = initial_weights(&n);
    train(&n, &data, &draws, strtoull(argv[4], NULL, 10), momentum, (float)strtod(argv[6], NULL), weights);
    save(&n, weights, argv[2]);

    free(weights);
    free(data.images);
    free(data.labels);
    free(n.inputs);
    for (int l = 0; l < LAYERS; l++) {
        free(n.outputs[l]);
        free(n.deltas[l]);
    }
    return EXIT_SUCCESS;
}
