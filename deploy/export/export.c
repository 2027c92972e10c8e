/* export.c - `penstock export`: options, and which format is whose. */
#include <argp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "deploy/command_end.h"
#include "deploy/commands.h"
#include "deploy/export/export_formats.h"
#include "worker/model_file.h"

typedef struct {
    const char *name, *file; /* where to, unless told otherwise */
    ps_status (*write)(const saved_model *model, const char *path, ps_error *error);
} export_format;

ps_status export_safetensors(const saved_model *model, const char *path, ps_error *error)
{
    return model_file_write_weights(path, &model->tensors, model->weights, error);
}

static const export_format formats[] = {
    {"onnx", "model.onnx", export_onnx},
    {"safetensors", "model.safetensors", export_safetensors},
    {"npz", "model.npz", export_npz},
    {"csv", "model.csv", export_csv},
};

typedef struct {
    const char *folder, *output;
    const export_format *format;
} export_options;

static const struct argp_option option_list[] = {
    {"format", 'f', "FORMAT", 0, "onnx, safetensors, npz or csv; must be given", 0},
    {"output", 'o', "FILE", 0,
     "Where to write; what is there is replaced (default model.FORMAT, in this folder)", 0},
    {0}};

static void parse_format(const char *text, export_options *o, struct argp_state *state)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].name, text) == 0)
            o->format = &formats[i];
    if (!o->format)
        argp_error(state, "--format: '%s' is none of onnx, safetensors, npz, csv", text);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    export_options *o = state->input;
    switch (key) {
    case 'f':
        parse_format(argument, o, state);
        return 0;
    case 'o':
        o->output = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (o->folder)
            argp_error(state, "'%s' is one argument too many", argument);
        o->folder = argument;
        return 0;
    case ARGP_KEY_END:
        if (!o->folder)
            argp_error(state, "the model is missing: a folder such as outputs/model");
        if (!o->format)
            argp_error(state, "--format is missing: onnx, safetensors, npz or csv");
        if (!o->output)
            o->output = o->format->file;
        if (o->output[0] == '\0')
            argp_error(state, "--output: the name is empty");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_list,
    .parser = parse_option,
    .args_doc = "MODEL",
    .doc = "Write a trained model in a format that others read.\v"
           "MODEL is the folder that training has left, with model.json and model.safetensors, such as "
           "outputs/model. All weights are float32; the same model gives the same bytes.\n\n"
           "onnx is the whole network, for ONNX Runtime and its like: IR version 8, operator set 13; input "
           "`images' "
           "(batch x inputs, pixels from 0 to 1), output `logits' (batch x classes, before softmax); the "
           "batch is "
           "free. At most 2 GiB.\n\n"
           "safetensors, npz (numpy.load) and csv are the weights: dense1/kernel (inputs x outputs), "
           "dense1/bias, "
           "..., output/kernel, output/bias. npz takes less than 4 GiB. csv has lines "
           "tensor,row,column,value with "
           "9 digits, which is exact; at most 16777216 parameters.\n\n"
           "  penstock export --format onnx -o digits.onnx outputs/model\n\n"
           "Exit status: 0; 2 usage; 3 a model that is missing or damaged; 1 anything else, such as a full "
           "disk: "
           "then what was there before is still there.",
};

int export_main(int argc, char **argv)
{
    export_options o = {0};
    argp_err_exit_status = PS_EXIT_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    ps_error error;
    saved_model model;
    ps_status status = saved_model_open(o.folder, &model, &error);
    if (status == PS_OK)
        status = o.format->write(&model, o.output, &error);
    struct stat about;
    if (status == PS_OK && stat(o.output, &about) == 0)
        printf("%s: %llu parameters, %llu bytes\n", o.output, (unsigned long long)model.parameters,
               (unsigned long long)about.st_size);
    saved_model_close(&model);
    return command_end(argv[0], status, &error);
}
