/* worker/mlp and the device it computes on: memory that is not the host's, and weights and gradients that
 * come and go layer by layer. On cpu, or where PENSTOCK_TEST_DEVICE says (tests/unit/on_device.h). */
#include "worker/mlp.h"

#include <stdbool.h>
#include <string.h>

#include "common/gradient.h"
#include "tests/unit/mlp_problem.h"
#include "tests/unit/on_device.h"

/* ---- A backend whose memory is not the host's ---- */

/* Memory is handed out only through `allocate`; an operation on anything else is caught. */
typedef struct {
    backend base;
    backend *cpu;
    struct {
        const char *start;
        size_t bytes;
    } blocks[32];
    int count;
    int live;
    int allocations_left; /* then allocate fails; negative: never */
} remote;

static const backend_ops remote_ops;

/* What is far away still computes on the host. */
static backend *host_of(void **state)
{
    backend *b = *state;
    if (!b->ops->host_memory)
        skip();
    return b;
}

static remote *remote_of(backend *b)
{
    assert_ptr_equal(b->ops->allocate, remote_ops.allocate);
    return (remote *)b;
}

static void assert_owned(backend *b, const void *memory)
{
    remote *r = remote_of(b);
    for (int i = 0; i < r->count; i++)
        if ((const char *)memory >= r->blocks[i].start &&
            (const char *)memory < r->blocks[i].start + r->blocks[i].bytes)
            return;
    fail_msg("an operation was given memory that is not the device's");
}

static void *remote_allocate(backend *b, size_t bytes)
{
    remote *r = remote_of(b);
    if (r->allocations_left-- == 0)
        return NULL;
    void *memory = r->cpu->ops->allocate(r->cpu, bytes);
    assert_true(r->count < 32);
    r->blocks[r->count].start = memory;
    r->blocks[r->count++].bytes = bytes;
    r->live++;
    return memory;
}

static void remote_release(backend *b, void *memory)
{
    remote *r = remote_of(b);
    assert_owned(b, memory);
    r->live--;
    r->cpu->ops->release(r->cpu, memory);
}

static ps_status remote_upload(backend *b, void *device, const void *host, size_t bytes)
{
    assert_owned(b, device);
    memcpy(device, host, bytes);
    return PS_OK;
}

static ps_status remote_download(backend *b, void *host, const void *device, size_t bytes)
{
    assert_owned(b, device);
    memcpy(host, device, bytes);
    return PS_OK;
}

static ps_status remote_synchronize(backend *b)
{
    (void)b;
    return PS_OK;
}

static ps_status remote_gemm(backend *b, int ta, int tb, uint32_t m, uint32_t n, uint32_t k, const float *x,
                             const float *y, float *z)
{
    assert_owned(b, x);
    assert_owned(b, y);
    assert_owned(b, z);
    backend *cpu = remote_of(b)->cpu;
    return cpu->ops->gemm(cpu, ta, tb, m, n, k, x, y, z);
}

static ps_status remote_bias_activate(backend *b, activation_kind kind, uint32_t rows, uint32_t columns,
                                      const float *bias, float *y)
{
    assert_owned(b, bias);
    assert_owned(b, y);
    backend *cpu = remote_of(b)->cpu;
    return cpu->ops->bias_activate(cpu, kind, rows, columns, bias, y);
}

static ps_status remote_activate_backward(backend *b, activation_kind kind, uint32_t rows, uint32_t columns,
                                          const float *y, float *dy, float *dbias)
{
    assert_owned(b, y);
    assert_owned(b, dy);
    assert_owned(b, dbias);
    backend *cpu = remote_of(b)->cpu;
    return cpu->ops->activate_backward(cpu, kind, rows, columns, y, dy, dbias);
}

static ps_status remote_softmax(backend *b, uint32_t rows, uint32_t classes, const uint32_t *labels,
                                float *logits, backend_score *score)
{
    assert_owned(b, labels);
    assert_owned(b, logits);
    assert_owned(b, score);
    backend *cpu = remote_of(b)->cpu;
    return cpu->ops->softmax_cross_entropy(cpu, rows, classes, labels, logits, score);
}

static const backend_ops remote_ops = {
    .name = "remote",
    .host_memory = false,
    .allocate = remote_allocate,
    .release = remote_release,
    .upload = remote_upload,
    .download = remote_download,
    .synchronize = remote_synchronize,
    .gemm = remote_gemm,
    .bias_activate = remote_bias_activate,
    .activate_backward = remote_activate_backward,
    .softmax_cross_entropy = remote_softmax,
};

/* A batch beside which weights come in and gradients leave, layer by layer. What has not come is NaN. */
typedef struct {
    const problem *problem;
    uint64_t first[HIDDEN_MAX + 2]; /* elements of layer l: [first[l], first[l + 1]) */
    uint64_t elements[HIDDEN_MAX + 1][MLP_LAYER_TENSORS];
    uint32_t depth;
    float weights[PARAMETERS_MAX];
    const float *want; /* gradients, whole */
    float got[PARAMETERS_MAX];
    uint32_t needed, left; /* layers: whose weights have come, whose gradient has not left */
    ps_status failure;     /* what `done` says to the last layer but one */
} layered;

static ps_status bring_weights(void *context, uint32_t l)
{
    layered *a = context;
    assert_int_equal(l, a->needed);
    a->needed++;
    uint64_t first = a->first[l], count = a->first[l + 1] - first;
    memcpy(a->weights + first, a->problem->weights + first, count * sizeof *a->weights);
    return PS_OK;
}

/* The host's array must hold the layer's gradient by the time it is announced. */
static ps_status take_gradient(void *context, uint32_t l, const double *squares)
{
    layered *a = context;
    assert_int_equal(a->needed, a->depth);
    assert_int_equal(l + 1, a->left);
    a->left--;
    uint64_t first = a->first[l], count = a->first[l + 1] - first;
    assert_memory_equal(a->want + first, a->got + first, count * sizeof *a->got);
    for (uint32_t t = 0; squares && t < MLP_LAYER_TENSORS; t++) {
        assert_true(squares[t] == gradient_norm_squared(a->got + first, a->elements[l][t]));
        first += a->elements[l][t];
    }
    return l + 2 == a->depth ? a->failure : PS_OK;
}

static void begin_layered(layered *a, const problem *p, const float *want)
{
    memset(a, 0xff, sizeof *a);
    a->problem = p;
    a->want = want;
    a->depth = a->left = p->config.hidden_count + 1;
    a->needed = 0;
    a->failure = PS_OK;
    tensor_table table = {0};
    assert_int_equal(mlp_declare(&p->config, &table, NULL), PS_OK);
    assert_int_equal(table.count, a->depth * MLP_LAYER_TENSORS);
    a->first[0] = 0;
    for (uint32_t l = 0; l < a->depth; l++) {
        a->first[l + 1] = a->first[l];
        for (uint32_t t = 0; t < MLP_LAYER_TENSORS; t++) {
            a->elements[l][t] = tensor_elements(&table.tensors[l * MLP_LAYER_TENSORS + t]);
            a->first[l + 1] += a->elements[l][t];
        }
    }
    tensor_table_fini(&table);
}

static ps_status layered_gradient(layered *a, mlp *m, double *loss, uint32_t *correct)
{
    const problem *p = a->problem;
    const mlp_hooks hooks = {.needed = bring_weights, .done = take_gradient, .context = a};
    return mlp_gradient(m, a->weights, p->features, p->labels, p->rows, a->got, &hooks, loss, correct);
}

static void weights_may_come_and_gradients_leave_layer_by_layer(void **state)
{
    backend *b = *state;
    numbers n = {77};
    for (uint32_t hidden = 0; hidden <= HIDDEN_MAX; hidden++) {
        problem p;
        mlp *m;
        float want[PARAMETERS_MAX];
        double want_loss, loss;
        uint32_t correct;
        layered a;
        fill_problem(&p, &n, ACTIVATION_RELU, hidden);
        assert_int_equal(mlp_create(&p.config, b, p.rows, &m, NULL), PS_OK);
        assert_int_equal(
            mlp_gradient(m, p.weights, p.features, p.labels, p.rows, want, NULL, &want_loss, &correct),
            PS_OK);
        begin_layered(&a, &p, want);
        assert_int_equal(layered_gradient(&a, m, &loss, &correct), PS_OK);
        assert_int_equal(a.left, 0);
        assert_true(loss == want_loss);
        if (hidden > 0) { /* what a hook fails with ends the batch */
            begin_layered(&a, &p, want);
            a.failure = PS_EINTERRUPTED;
            assert_int_equal(layered_gradient(&a, m, &loss, &correct), PS_EINTERRUPTED);
            assert_int_equal(a.left, hidden - 1);
        }
        mlp_destroy(&m);
    }
}

static void a_device_with_memory_of_its_own_gives_the_same_bits(void **state)
{
    remote r = {.base = {.ops = &remote_ops}, .cpu = host_of(state), .allocations_left = -1};
    numbers n = {78};
    problem p;
    fill_problem(&p, &n, ACTIVATION_TANH, 2);
    mlp *here, *there;
    float want[PARAMETERS_MAX];
    double want_loss, loss;
    uint32_t want_correct, correct;
    layered a;
    assert_int_equal(mlp_create(&p.config, *state, p.rows, &here, NULL), PS_OK);
    assert_int_equal(mlp_create(&p.config, &r.base, p.rows, &there, NULL), PS_OK);
    assert_int_equal(
        mlp_gradient(here, p.weights, p.features, p.labels, p.rows, want, NULL, &want_loss, &want_correct),
        PS_OK);
    begin_layered(&a, &p, want);
    assert_int_equal(layered_gradient(&a, there, &loss, &correct), PS_OK);
    assert_int_equal(a.left, 0);
    assert_true(loss == want_loss);
    assert_int_equal(correct, want_correct);
    mlp_destroy(&here);
    mlp_destroy(&there);
    assert_int_equal(r.live, 0);
}

static void each_failed_allocation_is_reported_and_leaks_nothing(void **state)
{
    numbers n = {79};
    problem p;
    fill_problem(&p, &n, ACTIVATION_RELU, 2);
    /* Three outputs, two deltas, weights, gradients, score, and two batches of two arrays. */
    const int allocations = 12;
    for (int fails = 0; fails <= allocations; fails++) {
        remote r = {.base = {.ops = &remote_ops}, .cpu = host_of(state), .allocations_left = fails};
        mlp *m;
        ps_error error;
        ps_status status = mlp_create(&p.config, &r.base, p.rows, &m, &error);
        assert_int_equal(status, fails < allocations ? PS_ENOMEM : PS_OK);
        if (fails < allocations) {
            assert_null(m);
            assert_non_null(strstr(error.text, "no memory on 'remote'"));
        }
        mlp_destroy(&m);
        assert_int_equal(r.live, 0);
    }
}

/* The next batch goes up while this one is computed on. What was brought and is not asked for, as after going
 * back to an earlier step, changes nothing. */
static void a_batch_brought_ahead_gives_the_same_bits(void **state)
{
    remote r = {.base = {.ops = &remote_ops}, .cpu = host_of(state), .allocations_left = -1};
    numbers n = {81};
    problem p;
    fill_problem(&p, &n, ACTIVATION_RELU, 2);
    mlp *m;
    float first[PARAMETERS_MAX], second[PARAMETERS_MAX], got[PARAMETERS_MAX], other[ROWS_MAX * WIDTH_MAX];
    double loss;
    uint32_t correct;
    numbers_fill(&n, 1.0f, other, p.rows * p.config.inputs);
    assert_int_equal(mlp_create(&p.config, &r.base, p.rows, &m, NULL), PS_OK);
    mlp_gradient(m, p.weights, p.features, p.labels, p.rows, first, NULL, &loss, &correct);
    mlp_gradient(m, p.weights, other, p.labels, p.rows, second, NULL, &loss, &correct);

    assert_int_equal(mlp_bring(m, p.features, p.labels, p.rows), PS_OK);
    assert_int_equal(mlp_evaluate(m, p.weights, other, p.labels, p.rows, &loss, &correct), PS_OK);
    mlp_gradient(m, p.weights, p.features, p.labels, p.rows, got, NULL, &loss, &correct);
    assert_memory_equal(got, first, p.parameters * sizeof *got);
    mlp_bring(m, p.features, p.labels, p.rows);
    mlp_gradient(m, p.weights, other, p.labels, p.rows, got, NULL, &loss, &correct);
    assert_memory_equal(got, second, p.parameters * sizeof *got);
    mlp_bring(m, p.features, p.labels, p.rows);
    mlp_bring(m, other, p.labels, p.rows);
    mlp_gradient(m, p.weights, other, p.labels, p.rows, got, NULL, &loss, &correct);
    assert_memory_equal(got, second, p.parameters * sizeof *got);

    p.labels[0] = p.config.classes;
    assert_int_equal(mlp_bring(m, p.features, p.labels, p.rows), PS_EINVAL);
    assert_int_equal(mlp_bring(m, p.features, p.labels, p.rows + 1), PS_EINVAL);
    assert_int_equal(mlp_gradient(m, p.weights, p.features, p.labels, p.rows, got, NULL, &loss, &correct),
                     PS_EINVAL);
    mlp_destroy(&m);
    assert_int_equal(r.live, 0);
}

static ps_status remote_free_bytes(backend *b, size_t *bytes)
{
    (void)b;
    *bytes = 1 << 20;
    return PS_OK;
}

static void a_batch_too_large_for_the_device_is_refused_with_one_that_fits(void **state)
{
    backend_ops ops = remote_ops;
    ops.free_bytes = remote_free_bytes;
    remote r = {.base = {.ops = &ops}, .cpu = host_of(state), .allocations_left = 1};
    mlp_config config = {.inputs = 100, .classes = 10, .activation = ACTIVATION_RELU};
    mlp *m;
    ps_error error;
    assert_int_equal(mlp_create(&config, &r.base, 4000, &m, &error), PS_ENOMEM);
    /* A row takes 10 logits and twice 100 features and a label: 848 bytes. Weights and gradients take 8080.
     * Of 1 MiB an eighth is kept. */
    assert_string_equal(error.text,
                        "no memory on 'remote' for a batch of 4000 rows: 3.2 MiB are needed, 1.0 MiB "
                        "are free; 1072 rows would fit");
    assert_null(m);
    config.hidden_count = 1;
    config.hidden[0] = 10000;
    r.allocations_left = 1;
    assert_int_equal(mlp_create(&config, &r.base, 4000, &m, &error), PS_ENOMEM);
    assert_non_null(strstr(error.text, "no batch fits"));
    assert_int_equal(r.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_may_come_and_gradients_leave_layer_by_layer),
        cmocka_unit_test(a_device_with_memory_of_its_own_gives_the_same_bits),
        cmocka_unit_test(a_batch_brought_ahead_gives_the_same_bits),
        cmocka_unit_test(a_batch_too_large_for_the_device_is_refused_with_one_that_fits),
        cmocka_unit_test(each_failed_allocation_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, on_device_create, on_device_destroy);
}
