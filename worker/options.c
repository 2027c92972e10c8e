/* options.c - see options.h. What an option means is told here; what its value may be is judged where it is
 * used (job_check, mlp_check), so that every way into a job has the same rules. */
#include "worker/options.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "common/options.h"
#include "common/status.h"
#include "worker/client.h"

const char *argp_program_version = "penstock-worker " PENSTOCK_VERSION;

/* Options that set one real number of the job: key, name, field, help. */
#define REAL_LIST(X)                                                                                    \
    X(KEY_TOPK, "topk-fraction", topk_fraction, "topk: share of elements that is sent (0.01)")          \
    X(KEY_MOMENTUM, "momentum", optimizer.momentum, "momentum, nesterov: share of velocity kept (0.9)") \
    X(KEY_BETA1, "beta1", optimizer.beta1, "adam, adamw: decay of the first moment (0.9)")              \
    X(KEY_BETA2, "beta2", optimizer.beta2, "adam, adamw: decay of the second moment (0.999)")           \
    X(KEY_RHO, "rho", optimizer.decay, "rmsprop: decay of the mean square (0.9)")                       \
    X(KEY_EPSILON, "epsilon", optimizer.epsilon, "Keeps divisions finite (1e-8)")                       \
    X(KEY_ACCUMULATOR, "initial-accumulator", optimizer.initial_accumulator,                            \
      "adagrad, ftrl: first sum of squares (0.1)")                                                      \
    X(KEY_L1, "l1", optimizer.l1, "ftrl: L1 strength (0)")                                              \
    X(KEY_L2, "l2", optimizer.l2, "ftrl: L2 strength (0)")                                              \
    X(KEY_RATE_POWER, "learning-rate-power", optimizer.learning_rate_power, "ftrl: exponent (-0.5)")    \
    X(KEY_WEIGHT_DECAY, "weight-decay", optimizer.weight_decay, "Pull of the weights towards zero (0)") \
    X(KEY_CLIP_VALUE, "clip-value", optimizer.clip_value, "Cut gradient elements to [-X, X] (0: off)")  \
    X(KEY_CLIP_NORM, "clip-norm", optimizer.clip_norm,                                                  \
      "Scale each worker's gradient to at most this L2 norm (0: off)")                                  \
    X(KEY_DECAY_RATE, "decay-rate", schedule.decay_rate, "step, exponential: factor per --decay-steps") \
    X(KEY_END_RATE, "end-learning-rate", schedule.end_rate, "cosine, polynomial: last rate (0)")        \
    X(KEY_DECAY_POWER, "decay-power", schedule.power, "polynomial: exponent (1)")

enum {
    KEY_FIRST_ONE = 256,
#define REAL_KEY(key, name, field, doc) key,
    REAL_LIST(REAL_KEY)
#undef REAL_KEY
        KEY_DATA,
    KEY_OUTPUT,
    KEY_LOGDIR,
    KEY_BATCH,
    KEY_EPOCHS,
    KEY_STEPS,
    KEY_SEED,
    KEY_EVALUATE_EVERY,
    KEY_HIDDEN,
    KEY_FIRST_LAYER,
    KEY_SECOND_LAYER,
    KEY_ACTIVATION,
    KEY_INIT,
    KEY_MODE,
    KEY_STALENESS,
    KEY_BACKUPS,
    KEY_GUARD,
    KEY_LOSS,
    KEY_GRACE,
    KEY_PUSH_CODEC,
    KEY_PULL_CODEC,
    KEY_OPTIMIZER,
    KEY_RATE,
    KEY_SCHEDULE,
    KEY_WARMUP,
    KEY_DECAY_STEPS,
    KEY_JOB,
    KEY_WORKERS,
    KEY_EVALUATORS,
    KEY_SLICE,
    KEY_DEVICE,
    KEY_PRECISION,
    KEY_LIST_DEVICES,
    KEY_THREADS,
    KEY_JOIN,
    KEY_DEADLINE,
    KEY_NO_SHARED_MEMORY,
    KEY_PROGRESS,
    KEY_NO_FIGURES,
};

static const struct argp_option options[] = {
    {0, 0, 0, 0, "Data and model:", 1},
    {"data-folder", KEY_DATA, "DIR", 0, "IDX files of the data set, plain or .gz (penstock fetch-mnist)", 0},
    {"data", KEY_DATA, 0, OPTION_ALIAS, 0, 0},
    {"output-dir", KEY_OUTPUT, "DIR", 0, "Where the chief puts model/ (outputs)", 0},
    {"logdir", KEY_LOGDIR, "DIR", 0, "Where the chief writes event files for TensorBoard (none)", 0},
    {"hidden", KEY_HIDDEN, "N,N,...", 0, "Widths of the hidden layers (300,100); 0: none", 0},
    {"first-layer-neurons", KEY_FIRST_LAYER, "N", 0, "The same as the first of --hidden", 0},
    {"second-layer-neurons", KEY_SECOND_LAYER, "N", 0, "The same as the second of --hidden", 0},
    {"activation", KEY_ACTIVATION, "NAME", 0, "relu (default), tanh, sigmoid, elu or none", 0},
    {"init", KEY_INIT, "NAME", 0,
     "Initial kernels: he-normal, he-uniform, glorot-normal, glorot-uniform, zeros, or normal, "
     "truncated-normal, uniform, constant followed by :A,B (he-normal for relu and elu, else glorot-uniform)",
     0},
    {0, 0, 0, 0, "Training:", 2},
    {"batch-size", KEY_BATCH, "N", 0, "Rows per worker and step (50)", 0},
    {"epochs", KEY_EPOCHS, "N", 0, "Times through the data (10)", 0},
    {"steps", KEY_STEPS, "N", 0, "Stop after N steps, whatever --epochs says", 0},
    {"seed", KEY_SEED, "N", 0, "Of initial weights and sample order (1)", 0},
    {"evaluate-every", KEY_EVALUATE_EVERY, "EPOCHS", 0, "Test accuracy as it goes (1); 0: only at the end",
     0},
    {"mode", KEY_MODE, "NAME", 0, "sync (default), ssp or async", 0},
    {"staleness", KEY_STALENESS, "N", 0, "ssp: steps that a worker may be ahead of the slowest (0)", 0},
    {"backup-workers", KEY_BACKUPS, "N", 0, "sync: gradients per step that need not be waited for (0)", 0},
    {"guard", KEY_GUARD, "NAME", 0, "On a gradient with NaN or Inf: skip (default) or stop", 0},
    {"on-worker-loss", KEY_LOSS, "NAME", 0,
     "When nothing has been heard of a worker for a while (--lease-secs of the ps): wait (default), "
     "shrink or fail",
     0},
    {"grace-secs", KEY_GRACE, "N", 0, "shrink, fail: seconds that a lost worker still has to come back (60)",
     0},
    {"push-codec", KEY_PUSH_CODEC, "NAME", 0,
     "How gradients travel: fp32 (default), bf16, fp16, int8 or topk (the largest alone)", 0},
    {"pull-codec", KEY_PULL_CODEC, "NAME", 0, "How weights travel: fp32 (default), bf16 or fp16", 0},
    {0, 0, 0, 0, "Optimizer:", 3},
    {"optimizer", KEY_OPTIMIZER, "NAME", 0,
     "sgd (default), momentum, nesterov, adagrad, rmsprop, adam, adamw or ftrl", 0},
    {"learning-rate", KEY_RATE, "X", 0, "Rate after warm-up (0.01)", 0},
    {"schedule", KEY_SCHEDULE, "NAME", 0, "constant (default), step, exponential, cosine or polynomial", 0},
    {"warmup-steps", KEY_WARMUP, "N", 0, "Steps over which the rate rises linearly (0)", 0},
    {"decay-steps", KEY_DECAY_STEPS, "N", 0, "Length of the schedule, or interval of `step`", 0},
#define REAL_OPTION(key, name, field, doc) {name, key, "X", 0, doc, 0},
    REAL_LIST(REAL_OPTION)
#undef REAL_OPTION
        {0, 0, 0, 0, "Process and job:", 4},
    {"job-name", KEY_JOB, "NAME", 0, "Processes of another job are refused (penstock)", 0},
    {"workers", KEY_WORKERS, "N", 0, "Chief and workers, where TF_CONFIG is sparse and does not tell", 0},
    {"evaluators", KEY_EVALUATORS, "N", 0, "Evaluators to wait for, where TF_CONFIG does not tell", 0},
    {"slice-kib", KEY_SLICE, "N", 0, "Largest slice of a tensor (1024)", 0},
    {"device", KEY_DEVICE, "NAME", 0,
     "Where to compute: auto (default: CUDA if it can be used, else cpu), cpu, cuda, or cuda:N. Without N "
     "the "
     "workers take the devices in turn",
     0},
    {"precision", KEY_PRECISION, "NAME", 0, "What products read, on CUDA: fp32 (default), tf32 or bf16", 0},
    {"list-devices", KEY_LIST_DEVICES, 0, 0, "Print where this program can compute here, and exit", 0},
    {"threads", KEY_THREADS, "N", 0, "OpenBLAS threads of this worker (1)", 0},
    {"no-shared-memory", KEY_NO_SHARED_MEMORY, 0, 0,
     "Push and pull through the socket alone, also with ps on this host", 0},
    {"join-timeout", KEY_JOIN, "SECONDS", 0, "Give up if not every ps has answered (keep trying)", 0},
    {"deadline", KEY_DEADLINE, "SECONDS", 0,
     "Give up if a ps that owes an answer has not been heard of for so long (keep waiting)", 0},
    {"no-figures", KEY_NO_FIGURES, 0, 0,
     "Do not measure where the time of a step goes, and tell the ps nothing of how this process fares", 0},
    {"progress-fd", KEY_PROGRESS, "N", 0, "Write one JSON object per event to this descriptor", 0},
    {0},
};

/* "300,100" into the model; "0" is no hidden layer. */
static ps_status parse_hidden(const char *text, mlp_config *model, ps_error *error)
{
    model->hidden_count = 0;
    if (strcmp(text, "0") == 0)
        return PS_OK;
    char copy[1024];
    if (strlen(text) >= sizeof copy)
        return ps_fail(error, PS_EINVAL, "--hidden: more than %zu characters", sizeof copy - 1);
    memcpy(copy, text, strlen(text) + 1);
    char *rest = copy;
    for (char *item; (item = strsep(&rest, ","));) {
        if (model->hidden_count == MLP_LAYERS_MAX - 1)
            return ps_fail(error, PS_EINVAL, "--hidden: more than %d layers", MLP_LAYERS_MAX - 1);
        ps_status status =
            option_u32("hidden", item, 1, MLP_WIDTH_MAX, &model->hidden[model->hidden_count], error);
        if (status != PS_OK)
            return status;
        model->hidden_count++;
    }
    return PS_OK;
}

/* One of the two options that Azure Machine Learning's TensorFlow tutorial uses. The second layer implies a
 * first. */
static ps_status parse_layer(const char *name, uint32_t layer, const char *text, mlp_config *model,
                             ps_error *error)
{
    ps_status status = option_u32(name, text, 1, MLP_WIDTH_MAX, &model->hidden[layer], error);
    if (status == PS_OK && model->hidden_count <= layer)
        model->hidden_count = layer + 1;
    return status;
}

/* "he-normal" or "normal:0,0.1". */
static ps_status parse_init(const char *text, initializer *init, ps_error *error)
{
    char copy[128];
    if (strlen(text) >= sizeof copy)
        return ps_fail(error, PS_EINVAL, "--init: more than %zu characters", sizeof copy - 1);
    memcpy(copy, text, strlen(text) + 1);
    char *parameters = copy;
    char *name = strsep(&parameters, ":");
    char *first = parameters ? strsep(&parameters, ",") : NULL;
    *init = (initializer){0};
    ps_status status = initializer_kind_parse(name, &init->kind, error);
    if (status == PS_OK && first)
        status = option_real("init", first, &init->a, error);
    if (status == PS_OK && parameters)
        status = option_real("init", parameters, &init->b, error);
    return status;
}

static error_t parse_model_option(int key, const char *text, worker_options *o, ps_error *error)
{
    switch (key) {
    case KEY_DATA:
        o->data_folder = text;
        return 0;
    case KEY_OUTPUT:
        o->output_folder = text;
        return 0;
    case KEY_LOGDIR:
        option_name("logdir", text, &o->logdir, error);
        return 0;
    case KEY_HIDDEN:
        parse_hidden(text, &o->model, error);
        return 0;
    case KEY_FIRST_LAYER:
        parse_layer("first-layer-neurons", 0, text, &o->model, error);
        return 0;
    case KEY_SECOND_LAYER:
        parse_layer("second-layer-neurons", 1, text, &o->model, error);
        return 0;
    case KEY_ACTIVATION:
        activation_parse(text, &o->model.activation, error);
        return 0;
    case KEY_INIT:
        o->init_given = true;
        parse_init(text, &o->model.kernel_init, error);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_training_option(int key, const char *text, worker_options *o, ps_error *error)
{
    uint64_t most = UINT64_C(1) << 53; /* what JSON readers of the progress can hold */
    switch (key) {
    case KEY_BATCH:
        option_u32("batch-size", text, 1, MLP_ROWS_MAX, &o->batch_size, error);
        return 0;
    case KEY_EPOCHS:
        option_unsigned("epochs", text, 1, 1000000, &o->epochs, error);
        return 0;
    case KEY_STEPS:
        option_unsigned("steps", text, 1, most, &o->steps, error);
        return 0;
    case KEY_SEED:
        option_unsigned("seed", text, 0, UINT64_MAX, &o->job.seed, error);
        return 0;
    case KEY_EVALUATE_EVERY:
        option_unsigned("evaluate-every", text, 0, 1000000, &o->evaluate_every, error);
        return 0;
    case KEY_MODE:
        consistency_mode_parse(text, &o->job.mode, error);
        return 0;
    case KEY_STALENESS:
        option_u32("staleness", text, 0, JOB_STALENESS_MAX, &o->job.staleness, error);
        return 0;
    case KEY_BACKUPS:
        option_u32("backup-workers", text, 0, JOB_WORKERS_MAX, &o->job.backup_workers, error);
        return 0;
    case KEY_GUARD:
        guard_policy_parse(text, &o->job.guard, error);
        return 0;
    case KEY_LOSS:
        loss_policy_parse(text, &o->job.on_worker_loss, error);
        return 0;
    case KEY_GRACE:
        option_seconds("grace-secs", text, 1, &o->job.grace_ms, error);
        return 0;
    case KEY_PUSH_CODEC:
        codec_kind_parse(text, &o->job.push_codec, error);
        return 0;
    case KEY_PULL_CODEC:
        codec_kind_parse(text, &o->job.pull_codec, error);
        return 0;
    case KEY_OPTIMIZER:
        optimizer_kind_parse(text, &o->job.optimizer.kind, error);
        return 0;
    case KEY_RATE:
        option_real("learning-rate", text, &o->job.schedule.learning_rate, error);
        return 0;
    case KEY_SCHEDULE:
        schedule_kind_parse(text, &o->job.schedule.kind, error);
        return 0;
    case KEY_WARMUP:
        option_unsigned("warmup-steps", text, 0, most, &o->job.schedule.warmup_steps, error);
        return 0;
    case KEY_DECAY_STEPS:
        option_unsigned("decay-steps", text, 1, most, &o->job.schedule.decay_steps, error);
        return 0;
#define REAL_CASE(key, name, field, doc)               \
    case key:                                          \
        option_real(name, text, &o->job.field, error); \
        return 0;
        REAL_LIST(REAL_CASE)
#undef REAL_CASE
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_process_option(int key, const char *text, worker_options *o, ps_error *error)
{
    uint32_t number = 0;
    switch (key) {
    case KEY_JOB:
        if (strlen(text) > JOB_NAME_MAX)
            ps_fail(error, PS_EINVAL, "--job-name: more than %d characters", JOB_NAME_MAX);
        else
            memcpy(o->job.name, text, strlen(text) + 1);
        return 0;
    case KEY_WORKERS:
        option_u32("workers", text, 1, JOB_WORKERS_MAX, &o->job.workers, error);
        return 0;
    case KEY_EVALUATORS:
        option_u32("evaluators", text, 0, JOB_WORKERS_MAX, &o->job.evaluators, error);
        return 0;
    case KEY_SLICE:
        option_u32("slice-kib", text, JOB_SLICE_BYTES_MIN >> 10, JOB_SLICE_BYTES_MAX >> 10, &number, error);
        o->job.slice_bytes = number << 10;
        return 0;
    case KEY_DEVICE:
        device_parse(text, &o->device, error);
        return 0;
    case KEY_PRECISION:
        precision_parse(text, &o->device.precision, error);
        return 0;
    case KEY_LIST_DEVICES:
        o->list_devices = true;
        return 0;
    case KEY_THREADS:
        option_u32("threads", text, 1, 1024, &o->threads, error);
        return 0;
    case KEY_NO_SHARED_MEMORY:
        o->share_memory = false;
        return 0;
    case KEY_JOIN:
        option_seconds("join-timeout", text, 1, &o->join_timeout_ms, error);
        return 0;
    case KEY_DEADLINE:
        option_seconds("deadline", text, 1, &o->deadline_ms, error);
        return 0;
    case KEY_NO_FIGURES:
        o->figures = false;
        return 0;
    case KEY_PROGRESS:
        option_u32("progress-fd", text, 3, INT32_MAX, &number, error);
        o->progress_fd = (int)number;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    worker_options *o = state->input;
    ps_error error = {PS_OK, ""};
    if (key == ARGP_KEY_INIT) {
        state->child_inputs[0] = &o->cluster;
        state->child_inputs[1] = &o->http;
        state->child_inputs[2] = &o->trace;
        state->child_inputs[3] = &o->curve;
        state->child_inputs[4] = &o->log;
        return 0;
    }
    if (key == ARGP_KEY_ARG) {
        argp_error(state, "'%s' is no option", text);
        return 0;
    }
    error_t result = parse_model_option(key, text, o, &error);
    if (result == ARGP_ERR_UNKNOWN)
        result = parse_training_option(key, text, o, &error);
    if (result == ARGP_ERR_UNKNOWN)
        result = parse_process_option(key, text, o, &error);
    if (error.status != PS_OK)
        argp_error(state, "%s", error.text);
    return result;
}

static const struct argp_child children[] = {
    {&cluster_options_argp, 0, "Cluster:", 5}, {&http_options_argp, 0, "Observation:", 6},
    {&trace_options_argp, 0, "Trace:", 7},     {&curve_options_argp, 0, "Security:", 8},
    {&log_options_argp, 0, "Log:", 9},         {0}};

static const struct argp parser = {
    .options = options,
    .parser = parse_option,
    .children = children,
    .doc = "Train a perceptron on a shard of the data, with gradients pushed to the parameter servers.\v"
           "The cluster and this process's place in it come from TF_CONFIG, or from --cluster and --task: a "
           "worker, the chief, or an evaluator that tests the model while others train it. Without a cluster "
           "the worker trains alone.\n\n"
           "Exit status: 0 finished; 2 usage or configuration; 3 bad data; 138 peers or the device lost; 143 "
           "after a signal; 1 anything else.",
};

void worker_options_parse(worker_options *o, int argc, char **argv)
{
    *o = (worker_options){
        .model = {.hidden = {300, 100}, .hidden_count = 2, .activation = ACTIVATION_RELU},
        .output_folder = "outputs",
        .batch_size = 50,
        .epochs = 10,
        .evaluate_every = 1,
        .threads = 1,
        .join_timeout_ms = PS_FOREVER,
        .share_memory = true,
        .figures = true,
        .progress_fd = -1,
    };
    job_init(&o->job);
    memcpy(o->job.name, "penstock", sizeof "penstock");
    o->job.seed = 1;
    o->job.servers = 0; /* until the cluster spec or an option tells */
    o->job.workers = 0;
    argp_err_exit_status = PS_EXIT_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, o);
    if (!o->init_given) {
        bool rectified = o->model.activation == ACTIVATION_RELU || o->model.activation == ACTIVATION_ELU;
        o->model.kernel_init.kind = rectified ? INITIALIZER_HE_NORMAL : INITIALIZER_GLOROT_UNIFORM;
    }
}
