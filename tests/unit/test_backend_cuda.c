/* worker/backend_cuda on the stand-in for CUDA: that a step waits for nothing in its middle, and what becomes
 * of calls that fail. The operations are looked at by test_backend.c and test_mlp.c, on the same device. */
#include "worker/backend_cuda.h"

#include <string.h>

#include "cuda_host.h"
#include "tests/unit/numbers.h"
#include "tests/unit/unit.h"
#include "worker/mlp.h"

enum { ROWS = 6, INPUTS = 5, CLASSES = 3, PARAMETERS = INPUTS * 4 + 4 + 4 * CLASSES + CLASSES, DEPTH = 2 };

enum {
    NO_MEMORY = 2,
    NO_DRIVER = 35,
    NO_DEVICE = 100,
    NO_KERNEL = 209,
    LAUNCH_FAILURE = 719
}; /* CUDA's own */

static const mlp_config config = {
    .inputs = INPUTS, .hidden = {4}, .hidden_count = 1, .classes = CLASSES, .activation = ACTIVATION_TANH};

/* Host arrays as a trainer has them: page-locked. */
typedef struct {
    backend *on;
    mlp *model;
    float *weights, *gradients, *features;
    uint32_t *labels;
    cuda_host_counts enqueued; /* when all was */
} fixture;

static void *locked(fixture *f, size_t elements)
{
    void *memory = backend_allocate_host(f->on, elements * sizeof(float));
    assert_non_null(memory);
    return memory;
}

static void begin(fixture *f)
{
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

static ps_status nothing(void *context, uint32_t layer)
{
    (void)context;
    (void)layer;
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
    const mlp_hooks hooks = {.needed = nothing, .done = nothing, .meanwhile = look, .context = f};
    double loss;
    uint32_t correct;
    return mlp_gradient(f->model, f->weights, f->features, f->labels, ROWS, f->gradients, &hooks, &loss,
                        &correct);
}

static void a_step_is_enqueued_whole_and_waits_for_each_gradient_alone(void **state)
{
    (void)state;
    fixture f;
    cuda_host_counts before, after;
    begin(&f);
    assert_int_equal(step(&f), PS_OK); /* scratch memory is there from now on */
    cuda_host_read_counts(&before);
    assert_int_equal(step(&f), PS_OK);
    cuda_host_read_counts(&after);
    assert_int_equal(f.enqueued.synchronizations, before.synchronizations);
    assert_int_equal(after.synchronizations, before.synchronizations + DEPTH);
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.pageable_copies, before.pageable_copies);
    assert_int_equal(after.unrecorded_waits, before.unrecorded_waits);
    end(&f);
}

/* From creation to a step, the n-th call of all fails, whichever that is, and all that was had before is
 * given back. Calls of cuBLAS know no such error. */
static void each_call_in_turn_may_fail(void **state)
{
    (void)state;
    bool reached = true;
    for (uint64_t nth = 1; reached; nth++) {
        fixture f = {0};
        ps_error why = {PS_OK, ""};
        cuda_host_counts before, after;
        cuda_host_heal();
        cuda_host_read_counts(&before);
        cuda_host_fail("*", nth, NO_MEMORY);
        ps_status status = backend_cuda_create(0, PRECISION_FP32, &f.on, &why);
        if (status == PS_OK)
            status = mlp_create(&config, f.on, ROWS, &f.model, &why);
        if (status == PS_OK) {
            static float weights[PARAMETERS], gradients[PARAMETERS], features[ROWS * INPUTS];
            static const uint32_t labels[ROWS];
            double loss;
            uint32_t correct;
            status = mlp_gradient(f.model, weights, features, labels, ROWS, gradients, NULL, &loss, &correct);
            if (status != PS_OK)
                ps_fail(&why, status, "%s", backend_failure(f.on, status));
        }
        cuda_host_read_counts(&after);
        reached = after.calls - before.calls >= nth;
        assert_true(reached == (status != PS_OK));
        if (reached) {
            assert_true(why.text[0] != '\0');
            assert_true(status == PS_ENOENT || status == PS_ENOMEM || status == PS_EINTERNAL);
        }
        cuda_host_heal();
        mlp_destroy(&f.model);
        if (f.on)
            f.on->ops->destroy(f.on);
    }
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
    assert_non_null(strstr(text, "backend_cuda.cu:"));
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_is_enqueued_whole_and_waits_for_each_gradient_alone),
        cmocka_unit_test(a_lost_device_is_told_by_its_first_error),
        cmocka_unit_test(reasons_for_having_no_device_are_told_apart),
        cmocka_unit_test(a_device_without_kernels_for_it_is_refused),
        cmocka_unit_test(memory_that_is_lacking_is_told_with_what_is_free),
        cmocka_unit_test(each_call_in_turn_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
