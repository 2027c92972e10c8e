/* The tensor table of common/tensor. */
#include "common/tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/torture.h"
#include "tests/unit/unit.h"

static tensor matrix(const char *name, uint64_t rows, uint64_t columns)
{
    tensor t = {.rank = 2, .shape = {rows, columns}};
    snprintf(t.name, sizeof t.name, "%s", name);
    return t;
}

static void assert_refused(const tensor *t, const char *reason)
{
    tensor_table table = {0};
    ps_error error = {0};
    assert_int_equal(tensor_table_add(&table, t, &error), PS_ECONFIG);
    assert_int_equal(error.status, PS_ECONFIG);
    if (!strstr(error.text, reason))
        fail_msg("'%s' does not say '%s'", error.text, reason);
    assert_int_equal(table.count, 0);
    assert_int_equal(tensor_table_add(&table, t, NULL), PS_ECONFIG);
    tensor_table_fini(&table);
}

static void tensors_are_kept_in_the_order_they_were_added(void **state)
{
    (void)state;
    tensor_table table = {0};
    for (uint32_t i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer%u/kernel", i);
        tensor t = matrix(name, i + 1, 3);
        assert_int_equal(tensor_table_add(&table, &t, NULL), PS_OK);
    }
    assert_int_equal(table.count, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer%u/kernel", i);
        assert_string_equal(table.tensors[i].name, name);
        assert_int_equal(tensor_elements(&table.tensors[i]), 3 * (i + 1));
    }
    assert_int_equal(tensor_table_elements(&table), 3 * 1000 * 1001 / 2);
    tensor_table_fini(&table);
    assert_null(table.tensors);
    assert_int_equal(table.count, 0);
}

static void repeated_name_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    tensor_table table = {0};
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "t%d", i);
        tensor t = matrix(name, 1, 1);
        assert_int_equal(tensor_table_add(&table, &t, NULL), PS_OK);
    }
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "t%d", i);
        tensor t = matrix(name, 2, 2);
        ps_error error = {0};
        assert_int_equal(tensor_table_add(&table, &t, &error), PS_ECONFIG);
        assert_non_null(strstr(error.text, name));
    }
    assert_int_equal(table.count, 100);
    assert_int_equal(tensor_table_elements(&table), 100);
    tensor_table_fini(&table);
}

static void names_that_are_empty_too_long_or_hold_control_characters_are_refused(void **state)
{
    (void)state;
    tensor t = matrix("", 1, 1);
    assert_refused(&t, "tensor 0 has an empty name");
    t = matrix("a\nb", 1, 1);
    assert_refused(&t, "control character 0x0a at byte 1");
    t = matrix("delete\x7f", 1, 1);
    assert_refused(&t, "control character 0x7f");
    memset(t.name, 'x', sizeof t.name);
    assert_refused(&t, "longer than 127 bytes");

    tensor_table table = {0};
    t.name[TENSOR_NAME_MAX] = '\0';
    assert_int_equal(tensor_table_add(&table, &t, NULL), PS_OK);
    t = matrix("Gewicht/\xc3\xa4", 1, 1);
    assert_int_equal(tensor_table_add(&table, &t, NULL), PS_OK);
    tensor_table_fini(&table);
}

static void ranks_and_sizes_out_of_range_are_refused(void **state)
{
    (void)state;
    tensor t = matrix("t", 1, 1);
    t.rank = 0;
    assert_refused(&t, "'t' has rank 0");
    t.rank = TENSOR_RANK_MAX + 1;
    assert_refused(&t, "'t' has rank 9");
    t.rank = UINT32_MAX;
    assert_refused(&t, "'t' has rank 4294967295");
    t = matrix("t", 5, 0);
    assert_refused(&t, "dimension 1 of size 0");
    t = matrix("t", UINT64_C(1) << 40, 2);
    assert_refused(&t, "more than 1099511627776 elements");
    t = matrix("t", UINT64_C(1) << 32, UINT64_C(1) << 32);
    assert_refused(&t, "more than 1099511627776 elements");
    t = matrix("t", UINT64_MAX, 1);
    assert_refused(&t, "more than 1099511627776 elements");

    tensor_table table = {0};
    t = matrix("largest", UINT64_C(1) << 20, UINT64_C(1) << 20);
    assert_int_equal(tensor_table_add(&table, &t, NULL), PS_OK);
    assert_true(tensor_elements(&table.tensors[0]) == TENSOR_ELEMENTS_MAX);
    tensor_table_fini(&table);
}

static void an_unknown_push_codec_is_refused(void **state)
{
    (void)state;
    tensor t = matrix("t", 1, 1);
    t.push_codec = (codec_kind)99;
    assert_refused(&t, "tensor 't' has the unknown push codec 99");
}

static void initializers_that_make_no_finite_values_are_refused(void **state)
{
    (void)state;
    tensor t = matrix("t", 1, 1);
    t.init.kind = (initializer_kind)99;
    assert_refused(&t, "unknown initializer 99");
    t.init = (initializer){.kind = INITIALIZER_CONSTANT, .a = NAN};
    assert_refused(&t, "parameter a");
    t.init = (initializer){.kind = INITIALIZER_NORMAL, .b = INFINITY};
    assert_refused(&t, "parameter b");
    t.init = (initializer){.kind = INITIALIZER_CONSTANT, .a = -1e31};
    assert_refused(&t, "parameter a");
    t.init = (initializer){.kind = INITIALIZER_CONSTANT, .b = 1};
    assert_refused(&t, "parameter b = 1, which its initializer does not take");
    t.init = (initializer){.kind = INITIALIZER_HE_NORMAL, .a = 2};
    assert_refused(&t, "parameter a = 2, which its initializer does not take");
    t.init = (initializer){.kind = INITIALIZER_UNIFORM, .a = 1, .b = -1};
    assert_refused(&t, "bounds are swapped");
    t.init = (initializer){.kind = INITIALIZER_TRUNCATED_NORMAL, .b = -1};
    assert_refused(&t, "standard deviation -1");
}

static void full_table_refuses_one_more(void **state)
{
    (void)state;
    tensor_table table = {0};
    for (uint32_t i = 0; i < TENSOR_TABLE_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "%u", i);
        tensor t = matrix(name, 1, 1);
        assert_int_equal(tensor_table_add(&table, &t, NULL), PS_OK);
    }
    tensor t = matrix("last straw", 1, 1);
    ps_error error = {0};
    assert_int_equal(tensor_table_add(&table, &t, &error), PS_ECONFIG);
    assert_non_null(strstr(error.text, "'last straw' is one too many"));
    assert_int_equal(table.count, TENSOR_TABLE_MAX);
    tensor_table_fini(&table);
}

static void copy_is_deep_and_grows_on_its_own(void **state)
{
    (void)state;
    tensor_table table = {0}, copy = {0};
    assert_int_equal(tensor_table_copy(&table, &copy), PS_OK);
    assert_int_equal(copy.count, 0);
    tensor t = matrix("a", 2, 3);
    assert_int_equal(tensor_table_add(&table, &t, NULL), PS_OK);
    assert_int_equal(tensor_table_copy(&table, &copy), PS_OK);
    tensor_table_fini(&table);
    assert_int_equal(copy.count, 1);
    assert_memory_equal(&copy.tensors[0], &t, sizeof t);
    assert_int_equal(tensor_table_add(&copy, &t, NULL), PS_ECONFIG);
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof name, "b%d", i);
        t = matrix(name, 1, 1);
        assert_int_equal(tensor_table_add(&copy, &t, NULL), PS_OK);
    }
    assert_int_equal(tensor_table_elements(&copy), 46);
    tensor_table_fini(&copy);
}

static void failed_allocation_leaves_the_table_as_it_was(void **state)
{
    (void)state;
    tensor_table table = {0}, copy = {0};
    uint32_t failures = 0;
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "t%d", i);
        tensor t = matrix(name, 1, 1);
        ps_error error = {0};
        ps_status status = PS_ENOMEM;
        for (long allocations = 0; status == PS_ENOMEM; allocations++) {
            torture_begin(allocations);
            status = tensor_table_add(&table, &t, &error);
            torture_end();
            failures += status == PS_ENOMEM;
            assert_int_equal(table.count, status == PS_OK ? i + 1 : i);
            assert_int_equal(error.status, status == PS_OK && allocations == 0 ? PS_OK : PS_ENOMEM);
        }
        assert_int_equal(status, PS_OK);
    }
    assert_true(failures >= 2);
    for (long allocations = 0; allocations < 2; allocations++) {
        torture_begin(allocations);
        assert_int_equal(tensor_table_copy(&table, &copy), PS_ENOMEM);
        torture_end();
        assert_null(copy.tensors);
        assert_int_equal(copy.count, 0);
    }
    assert_int_equal(tensor_table_elements(&table), 100);
    tensor_table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_kept_in_the_order_they_were_added),
        cmocka_unit_test(repeated_name_is_refused_and_changes_nothing),
        cmocka_unit_test(names_that_are_empty_too_long_or_hold_control_characters_are_refused),
        cmocka_unit_test(ranks_and_sizes_out_of_range_are_refused),
        cmocka_unit_test(an_unknown_push_codec_is_refused),
        cmocka_unit_test(initializers_that_make_no_finite_values_are_refused),
        cmocka_unit_test(full_table_refuses_one_more),
        cmocka_unit_test(copy_is_deep_and_grows_on_its_own),
        cmocka_unit_test(failed_allocation_leaves_the_table_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
