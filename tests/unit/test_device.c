/* worker/device: what --device and --precision are taken for, and what comes of them where there is no GPU.
 */
#include "worker/device.h"

#include <string.h>

#include "tests/unit/unit.h"

static void devices_parse(void **state)
{
    (void)state;
    device_wish wish = {0};
    assert_int_equal(device_parse("cuda:7", &wish, NULL), PS_OK);
    assert_int_equal(wish.kind, DEVICE_CUDA);
    assert_true(wish.index_given);
    assert_int_equal(wish.index, 7);
    assert_int_equal(device_parse("cuda", &wish, NULL), PS_OK);
    assert_int_equal(wish.kind, DEVICE_CUDA);
    assert_false(wish.index_given);
    assert_int_equal(device_parse("cpu", &wish, NULL), PS_OK);
    assert_int_equal(wish.kind, DEVICE_CPU);
    assert_int_equal(device_parse("auto", &wish, NULL), PS_OK);
    assert_int_equal(wish.kind, DEVICE_AUTO);
}

static void other_devices_are_refused(void **state)
{
    (void)state;
    device_wish wish;
    ps_error error;
    assert_int_equal(device_parse("tpu", &wish, &error), PS_EINVAL);
    assert_string_equal(error.text, "unknown device 'tpu'; choose auto, cpu, cuda or cuda:N");
    static const char *const indices[] = {"cuda:", "cuda:-1", "cuda:x", "cuda:1024",
                                          "cuda:99999999999999999999"};
    for (size_t i = 0; i < sizeof indices / sizeof *indices; i++) {
        assert_int_equal(device_parse(indices[i], &wish, &error), PS_EINVAL);
        assert_non_null(strstr(error.text, "is not a whole number from 0 to 1023"));
    }
}

static void precisions_parse_by_name(void **state)
{
    (void)state;
    precision_kind kind;
    ps_error error;
    assert_int_equal(precision_parse("bf16", &kind, NULL), PS_OK);
    assert_int_equal(kind, PRECISION_BF16);
    assert_string_equal(precision_name(PRECISION_TF32), "tf32");
    assert_string_equal(precision_name((precision_kind)99), "?");
    assert_int_equal(precision_parse("fp8", &kind, &error), PS_EINVAL);
    assert_string_equal(error.text, "precision 'fp8' is unknown: choose one of fp32, tf32, bf16");
}

/* The cases below are of a host, or a build, without CUDA; tests are run with CUDA_VISIBLE_DEVICES empty. */

static void cpu_is_chosen_where_there_is_no_cuda_and_the_reason_is_told(void **state)
{
    (void)state;
    const device_wish wish = {.kind = DEVICE_AUTO};
    backend *b;
    device_choice chosen;
    assert_int_equal(device_open(&wish, 0, 1, &b, &chosen, NULL), PS_OK);
    assert_string_equal(b->ops->name, "cpu");
    assert_string_equal(chosen.name, "cpu");
    assert_non_null(strstr(chosen.why, "CUDA"));
    b->ops->destroy(b);
}

static void cuda_that_is_not_there_is_a_matter_of_configuration(void **state)
{
    (void)state;
    const device_wish wish = {.kind = DEVICE_CUDA, .index_given = true, .index = 3};
    backend *b;
    device_choice chosen;
    ps_error error;
    assert_int_equal(device_open(&wish, 0, 1, &b, &chosen, &error), PS_ECONFIG);
    assert_null(b);
    assert_non_null(strstr(error.text, "--device cuda: "));
}

static void a_precision_is_never_changed_for_another(void **state)
{
    (void)state;
    backend *b;
    device_choice chosen;
    ps_error error;
    device_wish wish = {.kind = DEVICE_CPU, .precision = PRECISION_TF32};
    assert_int_equal(device_open(&wish, 0, 1, &b, &chosen, &error), PS_EINVAL);
    assert_string_equal(error.text, "--precision tf32 takes a CUDA device, and it is computed on cpu");
    wish.kind = DEVICE_AUTO;
    assert_int_equal(device_open(&wish, 0, 1, &b, &chosen, &error), PS_EINVAL);
    assert_non_null(strstr(error.text, "it is computed on cpu: "));
    assert_null(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_parse),
        cmocka_unit_test(other_devices_are_refused),
        cmocka_unit_test(precisions_parse_by_name),
        cmocka_unit_test(cpu_is_chosen_where_there_is_no_cuda_and_the_reason_is_told),
        cmocka_unit_test(cuda_that_is_not_there_is_a_matter_of_configuration),
        cmocka_unit_test(a_precision_is_never_changed_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
