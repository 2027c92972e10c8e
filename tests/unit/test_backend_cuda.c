/* worker/backend_cuda on the stand-in for CUDA: that a step waits for nothing in its middle, and what becomes
 * of calls that fail. The operations are looked at by test_backend.c and test_mlp.c, on the same device. */
#include "worker/backend_cuda.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "cuda_host.h"
#include "tests/unit/numbers.h"
#include "tests/unit/unit.h"
#include "worker/mlp.h"

enum { ROWS = 6, INPUTS = 5, CLASSES = 3, PARAMETERS = INPUTS * 4 + 4 + 4 * CLASSES + CLASSES, DEPTH = 2 };

enum {
    NOT_SUPPORTED = 1, /* to cuBLAS: not initialised */
    BLAS_NOT_SUPPORTED = 15,
    NO_MEMORY = 2,
    NO_DRIVER = 35,
    NO_DEVICE = 100,
    NO_KERNEL = 209,
    LAUNCH_FAILURE = 719
}; /* CUDA's own */

static const mlp_config config = {
    .inputs = INPUTS, .hidden = {4}, .hidden_count = 1, .classes = CLASSES, .activation = ACTIVATION_TANH};

typedef struct {
    const char *function;
    uint64_t nth;
} call;

/* Host arrays as a trainer has them: page-locked. */
typedef struct {
    backend *on;
    mlp *model;
    float *weights, *gradients, *features;
    uint32_t *labels;
    cuda_host_counts enqueued; /* when all was */
    const call *failing;       /* after the last layer's weights have been asked for; NULL: none */
} fixture;

static void *locked(fixture *f, size_t elements)
{
    void *memory = backend_allocate_host(f->on, elements * sizeof(float));
    assert_non_null(memory);
    return memory;
}

static void begin(fixture *f)
{
    *f = (fixture){0};
    numbers n = {3};
    assert_int_equal(backend_cuda_create(0, PRECISION_FP32, &f->on, NULL), PS_OK);
    assert_int_equal(mlp_create(&config, f->on, ROWS, &f->model, NULL), PS_OK);
    f->weights = locked(f, PARAMETERS);
    f->gradients = locked(f, PARAMETERS);
    f->features = locked(f, ROWS * INPUTS);
    f->labels = locked(f, ROWS);
    numbers_fill(&n, 0.5f, f->weights, PARAMETERS);
    numbers_fill(&n, 0.5f, f->features, ROWS * INPUTS);
    for (uint32_t r = 0; r < ROWS; r++)
        f->labels[r] = r % CLASSES;
}

static void end(fixture *f)
{
    mlp_destroy(&f->model);
    backend_release_host(f->on, f->weights);
    backend_release_host(f->on, f->gradients);
    backend_release_host(f->on, f->features);
    backend_release_host(f->on, f->labels);
    f->on->ops->destroy(f->on);
}

static ps_status nothing(void *context, uint32_t layer, const double *squares)
{
    (void)context;
    (void)layer;
    assert_non_null(squares);
    return PS_OK;
}

static ps_status needed(void *context, uint32_t layer)
{
    fixture *f = context;
    if (layer == DEPTH - 1 && f->failing) {
        cuda_host_fail(f->failing->function, f->failing->nth, NOT_SUPPORTED);
        f->failing = NULL;
    }
    return PS_OK;
}

static ps_status look(void *context)
{
    fixture *f = context;
    cuda_host_read_counts(&f->enqueued);
    return mlp_bring(f->model, f->features, f->labels, ROWS);
}

static ps_status step(fixture *f)
{
    const mlp_hooks hooks = {.needed = needed, .done = nothing, .meanwhile = look, .context = f};
    double loss;
    uint32_t correct;
    return mlp_gradient(f->model, f->weights, f->features, f->labels, ROWS, f->gradients, &hooks, &loss,
                        &correct);
}

/* The first step finds what memory it takes, the next two are captured, one for each place of a batch. */
enum { STEPS_BEFORE_ALL_IS_THERE = 3 };

static void a_step_is_enqueued_whole_and_waits_for_each_gradient_alone(void **state)
{
    (void)state;
    fixture f;
    cuda_host_counts before, after;
    begin(&f);
    for (int i = 0; i < STEPS_BEFORE_ALL_IS_THERE; i++) {
        cuda_host_read_counts(&before);
        assert_int_equal(step(&f), PS_OK);
        cuda_host_read_counts(&after);
        assert_int_equal(f.enqueued.synchronizations - before.synchronizations, i == 0);
        assert_int_equal(after.graph_launches - before.graph_launches, i > 0);
        assert_true(i == 0 || after.allocations == before.allocations);
    }
    cuda_host_read_counts(&before);
    assert_int_equal(step(&f), PS_OK);
    cuda_host_read_counts(&after);
    assert_int_equal(f.enqueued.synchronizations, before.synchronizations);
    assert_int_equal(after.synchronizations, before.synchronizations + DEPTH);
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.pageable_copies, before.pageable_copies);
    assert_int_equal(after.unrecorded_waits, before.unrecorded_waits);
    assert_int_equal(after.graph_launches, before.graph_launches + 1);
    end(&f);
}

static void assert_step(fixture *f, const float *want, bool launched)
{
    cuda_host_counts before, after;
    cuda_host_read_counts(&before);
    memset(f->gradients, 0, PARAMETERS * sizeof(float));
    assert_int_equal(step(f), PS_OK);
    cuda_host_read_counts(&after);
    assert_int_equal(after.graph_launches - before.graph_launches, launched);
    assert_memory_equal(f->gradients, want, PARAMETERS * sizeof(float));
}

/* Weights and batch change from step to step; orders of execution differ. */
static void a_graph_gives_the_bits_of_its_calls(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        fixture calls, graph;
        numbers n = {seed};
        cuda_host_seed(seed);
        begin(&calls);
        begin(&graph);
        for (int i = 0; i < 6; i++) {
            numbers_fill(&n, 0.5f, calls.weights, PARAMETERS);
            numbers_fill(&n, 0.5f, calls.features, ROWS * INPUTS);
            memcpy(graph.weights, calls.weights, PARAMETERS * sizeof(float));
            memcpy(graph.features, calls.features, ROWS * INPUTS * sizeof(float));
            cuda_host_fail("cudaStreamBeginCapture", 1, NOT_SUPPORTED);
            assert_int_equal(step(&calls), PS_OK);
            cuda_host_heal();
            assert_step(&graph, calls.gradients, i > 0);
            /* What was brought ahead is not what comes: as after going back. */
            assert_int_equal(calls.on->ops->synchronize(calls.on), PS_OK);
            assert_int_equal(graph.on->ops->synchronize(graph.on), PS_OK);
        }
        end(&calls);
        end(&graph);
    }
}

static ps_status step_of(fixture *f, uint32_t rows)
{
    double loss;
    uint32_t correct;
    return mlp_gradient(f->model, f->weights, f->features, f->labels, rows, f->gradients, NULL, &loss,
                        &correct);
}

static uint64_t launches(fixture *f, uint32_t rows)
{
    cuda_host_counts before, after;
    cuda_host_read_counts(&before);
    assert_int_equal(step_of(f, rows), PS_OK);
    cuda_host_read_counts(&after);
    return after.graph_launches - before.graph_launches;
}

static void a_short_batch_goes_call_by_call_and_costs_no_graph(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    assert_int_equal(launches(&f, ROWS), 0);
    assert_int_equal(launches(&f, ROWS), 1);
    cuda_host_fail("cudaStreamBeginCapture", 1, NOT_SUPPORTED); /* is not called until it is told to */
    assert_int_equal(launches(&f, 2), 0);
    assert_int_equal(launches(&f, ROWS), 1);
    assert_int_equal(launches(&f, ROWS), 1);
    cuda_host_heal();
    assert_int_equal(launches(&f, 2), 0);
    assert_int_equal(launches(&f, 2), 1); /* it has come to stay */
    end(&f);
}

/* Of a graph the places in scratch memory are part: it is not launched any more when that has moved. */
static void a_graph_whose_scratch_memory_has_moved_is_captured_anew(void **state)
{
    (void)state;
    fixture f, want;
    begin(&f);
    begin(&want);
    assert_int_equal(step(&want), PS_OK);
    assert_step(&f, want.gradients, false);
    assert_step(&f, want.gradients, true);
    assert_step(&f, want.gradients, true);
    enum { MORE = 1 << 12 };
    float *more = f.on->ops->allocate(f.on, MORE * sizeof(float));
    assert_int_equal(f.on->ops->activate_backward(f.on, ACTIVATION_NONE, MORE / 4, 4, more, more, more),
                     PS_OK);
    for (int i = 0; i < 2; i++) /* for each place of a batch */
        assert_step(&f, want.gradients, false);
    assert_step(&f, want.gradients, true);
    assert_int_equal(f.on->ops->synchronize(f.on), PS_OK);
    f.on->ops->release(f.on, more);
    end(&want);
    end(&f);
}

/* A layer of ReLU as one product, or as product and kernel. */
static void assert_layer(fixture *f, uint64_t kernels)
{
    cuda_host_counts before, after;
    const float *const bias = f->weights, *const kernel = bias + CLASSES;
    float *x = f->on->ops->allocate(f->on, ROWS * INPUTS * sizeof(float));
    float *flat = f->on->ops->allocate(f->on, PARAMETERS * sizeof(float));
    float *y = f->on->ops->allocate(f->on, ROWS * CLASSES * sizeof(float));
    f->weights[1] = NAN; /* the bias of the second unit */
    assert_int_equal(f->on->ops->upload(f->on, x, f->features, ROWS * INPUTS * sizeof(float)), PS_OK);
    assert_int_equal(f->on->ops->upload(f->on, flat, f->weights, PARAMETERS * sizeof(float)), PS_OK);
    assert_int_equal(f->on->ops->synchronize(f->on), PS_OK);
    cuda_host_read_counts(&before);
    assert_int_equal(
        backend_layer(f->on, ACTIVATION_RELU, ROWS, INPUTS, CLASSES, x, flat + (kernel - bias), flat, y),
        PS_OK);
    assert_int_equal(f->on->ops->synchronize(f->on), PS_OK);
    cuda_host_read_counts(&after);
    assert_int_equal(after.products, before.products + 1);
    assert_int_equal(after.kernels, before.kernels + kernels);
    assert_int_equal(f->on->ops->download(f->on, f->gradients, y, ROWS * CLASSES * sizeof(float)), PS_OK);
    assert_int_equal(f->on->ops->synchronize(f->on), PS_OK);
    for (int r = 0; r < ROWS; r++)
        assert_true(isnan(f->gradients[r * CLASSES + 1]) && f->gradients[r * CLASSES] >= 0);
    f->on->ops->release(f->on, x);
    f->on->ops->release(f->on, flat);
    f->on->ops->release(f->on, y);
}

static void a_layer_is_one_product_unless_its_relu_would_hide_nan(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    assert_layer(&f, 0);
    end(&f);
    setenv("CUDA_HOST_RELU_HIDES_NAN", "1", 1);
    begin(&f);
    assert_layer(&f, 1);
    end(&f);
    unsetenv("CUDA_HOST_RELU_HIDES_NAN");
    begin(&f);
    cuda_host_fail("cublasLtMatmulAlgoGetHeuristic", 1, BLAS_NOT_SUPPORTED); /* has no algorithm */
    assert_layer(&f, 1);
    cuda_host_heal();
    end(&f);
}

/* Where it may fail, and where a call has no place in a graph. */
static void what_cannot_be_captured_goes_call_by_call(void **state)
{
    (void)state;
    /* Before it begins, the last layer's weights go up, in a copy and with a mark. */
    static const call calls[] = {
        {"cudaStreamBeginCapture", 1},   {"cudaLaunchKernelEx", 1},   {"cublasGemmEx", 1},
        {"cudaMemcpyAsync", 2},          {"cudaEventRecord", 2},      {"cudaStreamWaitEvent", 2},
        {"cudaEventRecordWithFlags", 1}, {"cudaStreamEndCapture", 1}, {"cudaGraphInstantiateWithFlags", 1},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        fixture f, want;
        begin(&f);
        begin(&want);
        assert_int_equal(step(&want), PS_OK);
        assert_int_equal(step_of(&f, ROWS), PS_OK);
        f.failing = &calls[i];
        for (int again = 0; again < 3; again++)
            assert_step(&f, want.gradients, false);
        cuda_host_heal();
        end(&want);
        end(&f);
    }
}

/* From creation to the third step, which is launched as a graph, the n-th call of all fails, whichever that
 * is, and all that was had before is given back. In the first step that ends it; later it may be that it is
 * not captured. Calls of cuBLAS know no such error. */
static void each_call_in_turn_may_fail(void **state)
{
    (void)state;
    static float weights[PARAMETERS], features[ROWS * INPUTS], want[PARAMETERS], gradients[PARAMETERS];
    static const uint32_t labels[ROWS] = {0, 1, 2, 0, 1, 2};
    numbers n = {4};
    numbers_fill(&n, 0.5f, weights, PARAMETERS);
    numbers_fill(&n, 0.5f, features, ROWS * INPUTS);
    uint64_t without_graph = 0; /* calls until the end of the first step, when none fails */
    uint64_t harmless = 0;
    bool reached = true;
    for (uint64_t nth = 0; nth == 0 || reached; nth++) {
        fixture f = {0};
        ps_error why = {PS_OK, ""};
        cuda_host_counts before, after;
        cuda_host_heal();
        cuda_host_read_counts(&before);
        if (nth > 0)
            cuda_host_fail("*", nth, NO_MEMORY);
        ps_status status = backend_cuda_create(0, PRECISION_FP32, &f.on, &why);
        if (status == PS_OK)
            status = mlp_create(&config, f.on, ROWS, &f.model, &why);
        for (int i = 0; i < STEPS_BEFORE_ALL_IS_THERE && status == PS_OK; i++) {
            double loss;
            uint32_t correct;
            status = mlp_gradient(f.model, weights, features, labels, ROWS, gradients, NULL, &loss, &correct);
            if (status != PS_OK)
                ps_fail(&why, status, "%s", backend_failure(f.on, status));
            cuda_host_read_counts(&after);
            if (nth == 0 && i == 0) {
                without_graph = after.calls - before.calls;
                memcpy(want, gradients, sizeof want);
            }
        }
        cuda_host_read_counts(&after);
        reached = after.calls - before.calls >= nth;
        if (nth == 0 || !reached)
            assert_int_equal(status, PS_OK);
        else if (nth <= without_graph)
            harmless += status == PS_OK;
        if (status == PS_OK) {
            assert_memory_equal(gradients, want, sizeof want);
        } else {
            assert_true(why.text[0] != '\0');
            assert_true(status == PS_ENOENT || status == PS_ENOMEM || status == PS_EINTERNAL);
        }
        cuda_host_heal();
        mlp_destroy(&f.model);
        if (f.on)
            f.on->ops->destroy(f.on);
    }
    assert_true(without_graph > 50 && harmless < without_graph / 8);
}

static void a_lost_device_is_told_by_its_first_error(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    assert_int_equal(step(&f), PS_OK);
    cuda_host_fail("cudaEventSynchronize", 1, LAUNCH_FAILURE);
    assert_int_equal(step(&f), PS_EDEVICE);
    const char *text = backend_failure(f.on, PS_EDEVICE);
    assert_non_null(strstr(text, "cuda:0: cudaErrorLaunchFailure: "));
    assert_non_null(
        strstr(text, "likely cause: the device was lost or reset (dmesg, Xid) [cudaEventSynchronize("));
    assert_non_null(strstr(text, "backend_cuda_queues.cu:"));
    cuda_host_heal();
    end(&f);
}

static void reasons_for_having_no_device_are_told_apart(void **state)
{
    (void)state;
    uint32_t count = 7;
    ps_error error;
    cuda_host_fail("cudaGetDeviceCount", 1, NO_DEVICE);
    assert_int_equal(backend_cuda_count(&count, &error), PS_ENOENT);
    assert_int_equal(count, 0);
    assert_string_equal(error.text, "the CUDA driver shows no device (CUDA_VISIBLE_DEVICES, nvidia-smi)");
    cuda_host_fail("cudaGetDeviceCount", 1, NO_DRIVER);
    assert_int_equal(backend_cuda_count(&count, &error), PS_ENOENT);
    assert_non_null(strstr(error.text, "the CUDA driver is for CUDA "));
    cuda_host_heal();
    assert_int_equal(backend_cuda_count(&count, &error), PS_OK);
    assert_true(count > 0);
}

static void a_device_without_kernels_for_it_is_refused(void **state)
{
    (void)state;
    backend *b;
    ps_error error;
    cuda_host_fail("cudaLaunchKernelEx", 1, NO_KERNEL);
    assert_int_equal(backend_cuda_create(0, PRECISION_FP32, &b, &error), PS_EINVAL);
    assert_null(b);
    assert_non_null(strstr(error.text, "this program was not built for a device of this kind"));
    cuda_host_heal();
}

static void memory_that_is_lacking_is_told_with_what_is_free(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    cuda_host_fail("cudaMalloc", 1, NO_MEMORY);
    assert_null(f.on->ops->allocate(f.on, 3 << 20));
    const char *text = backend_failure(f.on, PS_ENOMEM);
    assert_non_null(strstr(text, "cuda:0: no memory for 3.0 MiB of a model and its batch: "));
    assert_non_null(strstr(text, " are free"));
    cuda_host_heal();
    end(&f);
}

int main(void)
{
    log_setup("test", LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_is_enqueued_whole_and_waits_for_each_gradient_alone),
        cmocka_unit_test(a_graph_gives_the_bits_of_its_calls),
        cmocka_unit_test(a_short_batch_goes_call_by_call_and_costs_no_graph),
        cmocka_unit_test(a_graph_whose_scratch_memory_has_moved_is_captured_anew),
        cmocka_unit_test(a_layer_is_one_product_unless_its_relu_would_hide_nan),
        cmocka_unit_test(what_cannot_be_captured_goes_call_by_call),
        cmocka_unit_test(a_lost_device_is_told_by_its_first_error),
        cmocka_unit_test(reasons_for_having_no_device_are_told_apart),
        cmocka_unit_test(a_device_without_kernels_for_it_is_refused),
        cmocka_unit_test(memory_that_is_lacking_is_told_with_what_is_free),
        cmocka_unit_test(each_call_in_turn_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
