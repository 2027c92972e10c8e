/* The job description of common/job: names, ranges, equality. */
#include "common/job.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/torture.h"
#include "tests/unit/unit.h"

static void add_tensor(job_config *job, const char *name, uint64_t rows, uint64_t columns)
{
    tensor t = {.rank = 2, .shape = {rows, columns}};
    snprintf(t.name, sizeof t.name, "%s", name);
    assert_int_equal(tensor_table_add(&job->tensors, &t, NULL), PS_OK);
}

static void init_valid(job_config *job)
{
    job_init(job);
    add_tensor(job, "kernel", 784, 10);
    add_tensor(job, "bias", 1, 10);
}

static void assert_accepted(const job_config *job)
{
    ps_error error = {0};
    if (job_check(job, &error) != PS_OK)
        fail_msg("refused: %s", error.text);
}

static void assert_refused(const job_config *job, const char *reason)
{
    ps_error error = {0};
    assert_int_equal(job_check(job, &error), PS_ECONFIG);
    if (!strstr(error.text, reason))
        fail_msg("'%s' does not say '%s'", error.text, reason);
    assert_int_equal(job_check(job, NULL), PS_ECONFIG);
}

static void every_name_parses_back_to_its_value(void **state)
{
    (void)state;
#define CHECK_NAME(type, value, text)                               \
    do {                                                            \
        type parsed;                                                \
        assert_string_equal(type##_name(value), text);              \
        assert_int_equal(type##_parse(text, &parsed, NULL), PS_OK); \
        assert_int_equal(parsed, value);                            \
    } while (0);
#define CHECK_MODE(value, text)        CHECK_NAME(consistency_mode, value, text)
#define CHECK_OPTIMIZER(value, text)   CHECK_NAME(optimizer_kind, value, text)
#define CHECK_SCHEDULE(value, text)    CHECK_NAME(schedule_kind, value, text)
#define CHECK_GUARD(value, text)       CHECK_NAME(guard_policy, value, text)
#define CHECK_LOSS(value, text)        CHECK_NAME(loss_policy, value, text)
#define CHECK_INITIALIZER(value, text) CHECK_NAME(initializer_kind, value, text)
    CONSISTENCY_LIST(CHECK_MODE)
    OPTIMIZER_LIST(CHECK_OPTIMIZER)
    SCHEDULE_LIST(CHECK_SCHEDULE)
    GUARD_LIST(CHECK_GUARD)
    LOSS_LIST(CHECK_LOSS)
    INITIALIZER_LIST(CHECK_INITIALIZER)
}

static void unknown_name_is_refused_with_a_list_of_the_known(void **state)
{
    (void)state;
    consistency_mode mode = CONSISTENCY_SSP;
    ps_error error = {0};
    assert_int_equal(consistency_mode_parse("bsp", &mode, &error), PS_EINVAL);
    assert_string_equal(error.text, "consistency mode 'bsp' is unknown: choose one of sync, ssp, async");
    assert_int_equal(mode, CONSISTENCY_SSP);
    optimizer_kind kind;
    assert_int_equal(optimizer_kind_parse("Adam", &kind, &error), PS_EINVAL);
    assert_non_null(strstr(error.text, "adagrad, rmsprop, adam, adamw, ftrl"));
    assert_int_equal(optimizer_kind_parse("", &kind, NULL), PS_EINVAL);
}

static void value_outside_an_enum_is_named_by_a_question_mark(void **state)
{
    (void)state;
    assert_string_equal(consistency_mode_name((consistency_mode)3), "?");
    assert_string_equal(optimizer_kind_name((optimizer_kind)-1), "?");
    assert_string_equal(initializer_kind_name((initializer_kind)1000), "?");
}

static void initial_job_lacks_only_tensors(void **state)
{
    (void)state;
    job_config job;
    job_init(&job);
    assert_refused(&job, "no tensors");
    assert_int_equal(job.optimizer.kind, OPTIMIZER_SGD);
    assert_true(job.schedule.learning_rate == 0.01);
    assert_int_equal(job.slice_bytes, 1 << 20);
    add_tensor(&job, "w", 1, 1);
    assert_accepted(&job);
    for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_FTRL; kind++) {
        job.optimizer.kind = (optimizer_kind)kind;
        assert_accepted(&job);
    }
    job_fini(&job);
    assert_int_equal(job.tensors.count, 0);
}

static void job_names_are_held_to_their_alphabet(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "_x", "9", "mnist-1.0_B"};
    static const char *const bad[] = {"a b", "a/b", ".hidden", "..", "-rf", "a\n", "\xc3\xa4", "a:"};
    job_config job;
    init_valid(&job);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(job.name, sizeof job.name, "%s", good[i]);
        assert_accepted(&job);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(job.name, sizeof job.name, "%s", bad[i]);
        assert_refused(&job, "name '");
    }
    job.name[0] = '\0';
    assert_refused(&job, "no characters");
    memset(job.name, 'n', sizeof job.name);
    assert_refused(&job, "too many characters");
    job.name[JOB_NAME_MAX] = '\0';
    assert_accepted(&job);
    job_fini(&job);
}

#define REFUSES(member, value)                \
    do {                                      \
        const job_config kept = job;          \
        job.member = (value);                 \
        assert_refused(&job, #member " is "); \
        job = kept;                           \
    } while (0)
#define ACCEPTS(member, value)       \
    do {                             \
        const job_config kept = job; \
        job.member = (value);        \
        assert_accepted(&job);       \
        job = kept;                  \
    } while (0)

static void integers_out_of_range_are_refused(void **state)
{
    (void)state;
    job_config job;
    init_valid(&job);
    REFUSES(servers, 0);
    REFUSES(servers, JOB_SERVERS_MAX + 1);
    ACCEPTS(servers, JOB_SERVERS_MAX);
    REFUSES(workers, 0);
    REFUSES(workers, JOB_WORKERS_MAX + 1);
    ACCEPTS(workers, JOB_WORKERS_MAX);
    REFUSES(evaluators, JOB_WORKERS_MAX + 1);
    ACCEPTS(evaluators, JOB_WORKERS_MAX);
    REFUSES(staleness, JOB_STALENESS_MAX + 1);
    ACCEPTS(staleness, JOB_STALENESS_MAX);
    REFUSES(slice_bytes, JOB_SLICE_BYTES_MIN - 4);
    REFUSES(slice_bytes, JOB_SLICE_BYTES_MAX + 4);
    REFUSES(slice_bytes, JOB_SLICE_BYTES_MIN + 2);
    ACCEPTS(slice_bytes, JOB_SLICE_BYTES_MIN);
    ACCEPTS(slice_bytes, JOB_SLICE_BYTES_MAX);
    ACCEPTS(seed, UINT64_MAX);
    ACCEPTS(schedule.warmup_steps, UINT64_MAX);
    job_fini(&job);
}

static void backup_workers_leave_at_least_one_contributor(void **state)
{
    (void)state;
    job_config job;
    init_valid(&job);
    REFUSES(backup_workers, 1);
    REFUSES(backup_workers, UINT32_MAX);
    job.workers = 4;
    ACCEPTS(backup_workers, 3);
    REFUSES(backup_workers, 4);
    job.backup_workers = 3;
    REFUSES(on_worker_loss, LOSS_SHRINK); /* each would take the other's work */
    job.backup_workers = 0;
    ACCEPTS(on_worker_loss, LOSS_SHRINK);
    job_fini(&job);
}

static void enum_values_from_outside_the_list_are_refused(void **state)
{
    (void)state;
    job_config job;
    init_valid(&job);
    REFUSES(mode, (consistency_mode)3);
    REFUSES(guard, (guard_policy)2);
    REFUSES(on_worker_loss, (loss_policy)3);
    REFUSES(optimizer.kind, (optimizer_kind)8);
    REFUSES(optimizer.kind, (optimizer_kind)UINT32_MAX);
    REFUSES(schedule.kind, (schedule_kind)5);
    job_fini(&job);
}

static void codecs_that_are_unknown_or_do_not_suit_weights_are_refused(void **state)
{
    (void)state;
    job_config job;
    init_valid(&job);
    for (codec_kind kind = CODEC_FP32; kind <= CODEC_TOPK; kind++)
        ACCEPTS(push_codec, kind);
    REFUSES(push_codec, CODEC_DEFAULT);
    REFUSES(push_codec, (codec_kind)(CODEC_TOPK + 1));
    ACCEPTS(pull_codec, CODEC_BF16);
    ACCEPTS(pull_codec, CODEC_FP16);
    REFUSES(pull_codec, CODEC_DEFAULT);
    REFUSES(pull_codec, (codec_kind)-1);
    REFUSES(pull_codec, CODEC_TOPK);
    REFUSES(topk_fraction, 0);
    REFUSES(topk_fraction, NAN);
    REFUSES(topk_fraction, 0.51);
    ACCEPTS(topk_fraction, 0.5);
    ACCEPTS(topk_fraction, 1e-300);
    ps_error error;
    job.pull_codec = CODEC_INT8;
    assert_int_equal(job_check(&job, &error), PS_ECONFIG);
    assert_string_equal(error.text, "pull_codec is int8, which loses too much of the weights: choose fp32, "
                                    "bf16 or fp16");
    job.push_codec = (codec_kind)77;
    assert_int_equal(job_check(&job, &error), PS_ECONFIG);
    assert_string_equal(error.text, "push_codec is 77, which is no codec");
    job_fini(&job);
}

static void a_tensor_may_have_a_codec_of_its_own(void **state)
{
    (void)state;
    job_config job;
    init_valid(&job);
    job.push_codec = CODEC_BF16;
    job.pull_codec = CODEC_FP16;
    job.topk_fraction = 0.25;
    tensor t = {.name = "embedding", .rank = 1, .shape = {9}, .push_codec = CODEC_TOPK};
    assert_int_equal(tensor_table_add(&job.tensors, &t, NULL), PS_OK);
    assert_int_equal(job_push_codec(&job, 0).kind, CODEC_BF16);
    assert_int_equal(job_push_codec(&job, 2).kind, CODEC_TOPK);
    assert_true(job_push_codec(&job, 2).topk_fraction == 0.25);
    assert_int_equal(job_pull_codec(&job, false).kind, CODEC_FP16);
    assert_int_equal(job_pull_codec(&job, true).kind, CODEC_FP32);
    job_fini(&job);
}

static void reals_out_of_range_or_not_finite_are_refused(void **state)
{
    (void)state;
    job_config job;
    init_valid(&job);
#define REFUSES_NONSENSE(member)    \
    do {                            \
        REFUSES(member, NAN);       \
        REFUSES(member, INFINITY);  \
        REFUSES(member, -INFINITY); \
        REFUSES(member, 1.1e30);    \
        REFUSES(member, -1.1e30);   \
    } while (0)
    REFUSES_NONSENSE(optimizer.momentum);
    REFUSES_NONSENSE(optimizer.beta1);
    REFUSES_NONSENSE(optimizer.beta2);
    REFUSES_NONSENSE(optimizer.decay);
    REFUSES_NONSENSE(optimizer.epsilon);
    REFUSES_NONSENSE(optimizer.initial_accumulator);
    REFUSES_NONSENSE(optimizer.l1);
    REFUSES_NONSENSE(optimizer.l2);
    REFUSES_NONSENSE(optimizer.learning_rate_power);
    REFUSES_NONSENSE(optimizer.weight_decay);
    REFUSES_NONSENSE(optimizer.clip_value);
    REFUSES_NONSENSE(optimizer.clip_norm);
    REFUSES_NONSENSE(schedule.learning_rate);
    REFUSES_NONSENSE(schedule.decay_rate);
    REFUSES_NONSENSE(schedule.end_rate);
    REFUSES_NONSENSE(schedule.power);

    ACCEPTS(optimizer.momentum, 0);
    REFUSES(optimizer.momentum, 1);
    ACCEPTS(optimizer.beta1, 0.999999);
    REFUSES(optimizer.beta1, 1);
    REFUSES(optimizer.beta2, -1e-9);
    REFUSES(optimizer.decay, 1);
    REFUSES(optimizer.epsilon, 0);
    REFUSES(optimizer.epsilon, 1e-31);
    ACCEPTS(optimizer.epsilon, 1e-30);
    ACCEPTS(optimizer.learning_rate_power, 0);
    REFUSES(optimizer.learning_rate_power, 0.1);
    REFUSES(schedule.learning_rate, 0);
    ACCEPTS(schedule.decay_rate, 1);
    REFUSES(schedule.decay_rate, 0);
    REFUSES(schedule.decay_rate, 1.1);
    REFUSES(schedule.power, 0);
    job_fini(&job);
}

static void only_a_constant_rate_does_without_decay_steps(void **state)
{
    (void)state;
    job_config job;
    init_valid(&job);
    ACCEPTS(schedule.decay_steps, 0);
    for (int kind = SCHEDULE_STEP; kind <= SCHEDULE_POLYNOMIAL; kind++) {
        job.schedule.kind = (schedule_kind)kind;
        REFUSES(schedule.decay_steps, 0);
        ACCEPTS(schedule.decay_steps, 1);
    }
    job_fini(&job);
}

static void messages_name_field_value_and_rule(void **state)
{
    (void)state;
    job_config job;
    init_valid(&job);
    ps_error error = {0};
    job.optimizer.momentum = 1.5;
    assert_int_equal(job_check(&job, &error), PS_ECONFIG);
    assert_string_equal(error.text, "optimizer.momentum is 1.5, which must be in [0, 1)");
    job.optimizer.momentum = 0;
    job.servers = 5000;
    assert_int_equal(job_check(&job, &error), PS_ECONFIG);
    assert_string_equal(error.text, "servers is 5000, which must be in [1, 1024]");
    job.servers = 1;
    job.mode = (consistency_mode)7;
    assert_int_equal(job_check(&job, &error), PS_ECONFIG);
    assert_string_equal(error.text, "mode is the unknown consistency mode 7: choose one of sync, ssp, async");
    job_fini(&job);
}

static void copy_equals_the_original_and_outlives_it(void **state)
{
    (void)state;
    job_config job, copy;
    init_valid(&job);
    job.seed = 42;
    memset(&copy, 0xee, sizeof copy);
    assert_int_equal(job_copy(&job, &copy), PS_OK);
    assert_int_equal(job_difference(&job, &copy, NULL), PS_OK);
    job_fini(&job);
    assert_int_equal(copy.seed, 42);
    assert_string_equal(copy.tensors.tensors[1].name, "bias");
    assert_accepted(&copy);
    job_fini(&copy);
}

static void failed_copy_owns_nothing(void **state)
{
    (void)state;
    job_config job, copy;
    init_valid(&job);
    for (long allocations = 0; allocations < 2; allocations++) {
        memset(&copy, 0xee, sizeof copy);
        torture_begin(allocations);
        assert_int_equal(job_copy(&job, &copy), PS_ENOMEM);
        torture_end();
        assert_null(copy.tensors.tensors);
        job_fini(&copy);
    }
    job_fini(&job);
}

static void assert_differs(const job_config *a, const job_config *b, const char *text)
{
    ps_error error = {0};
    assert_int_equal(job_difference(a, b, &error), PS_EMISMATCH);
    assert_string_equal(error.text, text);
}

static void difference_tells_the_value_here_and_the_value_in_the_job(void **state)
{
    (void)state;
    job_config a, b;
    init_valid(&a);
    init_valid(&b);
    b.schedule.learning_rate = 0.1;
    assert_differs(&a, &b, "schedule.learning_rate is 0.1 here, but 0.01 in the job");
    b.schedule.learning_rate = nextafter(0.01, 1);
    assert_differs(&a, &b, "schedule.learning_rate is 0.010000000000000002 here, but 0.01 in the job");
    b.optimizer.kind = OPTIMIZER_ADAM;
    assert_differs(&a, &b, "optimizer.kind is adam here, but sgd in the job");
    b.pull_codec = CODEC_BF16;
    assert_differs(&a, &b, "pull_codec is bf16 here, but fp32 in the job");
    b.workers = 3;
    assert_differs(&a, &b, "workers is 3 here, but 1 in the job");
    snprintf(b.name, sizeof b.name, "other");
    assert_differs(&a, &b, "name is other here, but penstock in the job");
    job_fini(&a);
    job_fini(&b);
}

static void difference_of_tensors_names_the_tensor(void **state)
{
    (void)state;
    job_config a, b;
    init_valid(&a);
    init_valid(&b);
    add_tensor(&b, "extra", 1, 1);
    assert_differs(&a, &b, "the number of tensors is 3 here, but 2 in the job");
    add_tensor(&a, "surplus", 1, 1);
    assert_differs(&a, &b, "the name of tensor 2 is extra here, but surplus in the job");
    b.tensors.tensors[1].push_codec = CODEC_INT8;
    assert_differs(&a, &b, "the push codec of 'bias' is int8 here, but default in the job");
    b.tensors.tensors[1].init = (initializer){.kind = INITIALIZER_CONSTANT, .a = 0.5};
    assert_differs(&a, &b, "the initializer of 'bias' is constant(0.5, 0) here, but zeros(0, 0) in the job");
    b.tensors.tensors[0].shape[1] = 11;
    assert_differs(&a, &b, "the shape of 'kernel' is [784, 11] here, but [784, 10] in the job");
    b.tensors.tensors[0].rank = 1;
    assert_differs(&a, &b, "the shape of 'kernel' is [784] here, but [784, 10] in the job");
    job_fini(&a);
    job_fini(&b);
}

static void every_byte_of_a_description_is_compared(void **state)
{
    (void)state;
    job_config a, b;
    init_valid(&a);
    assert_int_equal(job_copy(&a, &b), PS_OK);
    size_t unseen = 0;
    for (size_t i = sizeof b.name; i < offsetof(job_config, tensors); i++) {
        unsigned char *byte = (unsigned char *)&b + i;
        *byte ^= 0x55;
        unseen += job_difference(&a, &b, NULL) == PS_OK;
        *byte ^= 0x55;
    }
    /* Padding: after each `kind` that a double or a uint64_t follows, and before `seed` and `topk_fraction`.
     */
    size_t padding = offsetof(optimizer_config, momentum) - sizeof(optimizer_kind) +
                     offsetof(schedule_config, learning_rate) - sizeof(schedule_kind) +
                     offsetof(job_config, seed) - (offsetof(job_config, grace_ms) + sizeof a.grace_ms) +
                     offsetof(job_config, topk_fraction) -
                     (offsetof(job_config, pull_codec) + sizeof a.pull_codec);
    assert_int_equal(unseen, padding);
    job_fini(&a);
    job_fini(&b);
}

static void a_description_has_a_line_for_each_field_and_is_cut_at_a_line(void **state)
{
    (void)state;
    job_config job;
    char whole[JOB_DESCRIPTION_BYTES], cut[40];
    job_init(&job);
    job.servers = 2;
    const size_t length = job_describe(&job, whole, sizeof whole);
    assert_int_equal(length, strlen(whole));
    assert_true(length < sizeof whole - 1 && whole[length - 1] == '\n');
    assert_int_equal(strncmp(whole, "name ", 5), 0);
    assert_non_null(strstr(whole, "schedule.learning_rate "));
    const size_t cut_length = job_describe(&job, cut, sizeof cut);
    assert_int_equal(cut_length, strlen(cut));
    assert_int_equal(strncmp(whole, cut, strlen(cut)), 0);
    assert_true(strlen(cut) > 0 && cut[strlen(cut) - 1] == '\n');
    assert_int_equal(job_describe(&job, cut, 1), 0);
    assert_string_equal(cut, "");
    job_fini(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_parses_back_to_its_value),
        cmocka_unit_test(unknown_name_is_refused_with_a_list_of_the_known),
        cmocka_unit_test(value_outside_an_enum_is_named_by_a_question_mark),
        cmocka_unit_test(initial_job_lacks_only_tensors),
        cmocka_unit_test(job_names_are_held_to_their_alphabet),
        cmocka_unit_test(integers_out_of_range_are_refused),
        cmocka_unit_test(backup_workers_leave_at_least_one_contributor),
        cmocka_unit_test(enum_values_from_outside_the_list_are_refused),
        cmocka_unit_test(codecs_that_are_unknown_or_do_not_suit_weights_are_refused),
        cmocka_unit_test(a_tensor_may_have_a_codec_of_its_own),
        cmocka_unit_test(reals_out_of_range_or_not_finite_are_refused),
        cmocka_unit_test(only_a_constant_rate_does_without_decay_steps),
        cmocka_unit_test(messages_name_field_value_and_rule),
        cmocka_unit_test(copy_equals_the_original_and_outlives_it),
        cmocka_unit_test(failed_copy_owns_nothing),
        cmocka_unit_test(difference_tells_the_value_here_and_the_value_in_the_job),
        cmocka_unit_test(difference_of_tensors_names_the_tensor),
        cmocka_unit_test(every_byte_of_a_description_is_compared),
        cmocka_unit_test(a_description_has_a_line_for_each_field_and_is_cut_at_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
