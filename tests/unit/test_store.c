/* The floats of a shard, ps/store: versions stay whole while someone reads them. */
#include "ps/store.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/fpmode.h"
#include "common/random.h"
#include "tests/unit/job_sample.h"
#include "tests/unit/numbers.h"
#include "tests/unit/torture.h"

/* Of all tests: what one gives back the next may take. */
static pool *memory;

typedef struct {
    job_config job;
    partition map;
    store *store;
} bench;

/* One worker, one tensor of `elements` in slices of 1024, plain SGD at a rate of 1. */
static void open_bench(bench *b, uint64_t elements)
{
    job_sample(&b->job, 1, 2, elements);
    assert_int_equal(partition_init(&b->map, &b->job, NULL), PS_OK);
    assert_int_equal(store_create(&b->job, &b->map, 0, memory, NULL, &b->store), PS_OK);
    store_initialize(b->store);
}

static void close_bench(bench *b)
{
    store_destroy(&b->store);
    assert_null(b->store);
    partition_fini(&b->map);
    job_fini(&b->job);
}

/* Updates with a gradient of `value` everywhere. */
static ps_status apply(bench *b, float value)
{
    buffer *slices[8];
    uint32_t count = partition_server_count(&b->map, 0);
    assert_true(count <= 8);
    for (uint32_t i = 0; i < count; i++) {
        size_t bytes = buffer_size(store_weights(b->store, i));
        slices[i] = buffer_alloc(bytes);
        float *values = buffer_data(slices[i]);
        for (size_t k = 0; k < bytes / sizeof *values; k++)
            values[k] = value;
    }
    store_gradient gradient = {.slices = slices, .weight = 1};
    bool finite;
    ps_status status = store_apply(b->store, &gradient, 1, 1, &finite);
    assert_true(status != PS_OK || finite == (bool)isfinite(value));
    for (uint32_t i = 0; i < count; i++)
        buffer_unref(&slices[i]);
    return status;
}

static void assert_holds(const buffer *b, float value)
{
    const float *values = buffer_bytes(b);
    for (size_t i = 0; i < buffer_size(b) / sizeof *values; i++)
        assert_true(values[i] == value);
}

static void initial_values_are_those_of_the_tensor_wherever_it_is_cut(void **state)
{
    (void)state;
    enum { ELEMENTS = 5000 };
    job_config job;
    job_sample(&job, 3, 1, 10);
    job.seed = 99;
    job_sample_add(&job, "kernel", ELEMENTS, (initializer){.kind = INITIALIZER_NORMAL, .a = 0, .b = 1});
    static float expected[ELEMENTS];
    random_initialize(&job.tensors.tensors[1], 99, 0, ELEMENTS, expected);
    partition map;
    assert_int_equal(partition_init(&map, &job, NULL), PS_OK);
    uint64_t seen = 0;
    for (uint32_t server = 0; server < 3; server++) {
        store *s;
        assert_int_equal(store_create(&job, &map, server, memory, NULL, &s), PS_OK);
        store_initialize(s);
        for (uint32_t i = 0; i < partition_server_count(&map, server); i++) {
            const slice *cut = &map.slices[map.server_slices[map.server_first[server] + i]];
            assert_int_equal(buffer_size(store_weights(s, i)), cut->count * sizeof(float));
            if (cut->tensor != 1)
                continue;
            assert_memory_equal(buffer_bytes(store_weights(s, i)), expected + cut->offset,
                                cut->count * sizeof(float));
            seen += cut->count;
        }
        store_destroy(&s);
    }
    assert_int_equal(seen, ELEMENTS);
    partition_fini(&map);
    job_fini(&job);
}

static void update_moves_every_slice_to_its_next_version(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, 3000);
    assert_int_equal(partition_server_count(&b.map, 0), 3);
    assert_int_equal(apply(&b, 2), PS_OK);
    for (uint32_t i = 0; i < 3; i++)
        assert_holds(store_weights(b.store, i), -2);
    assert_int_equal(apply(&b, -5), PS_OK);
    for (uint32_t i = 0; i < 3; i++)
        assert_holds(store_weights(b.store, i), 3);
    close_bench(&b);
}

static void gradients_are_weighted_and_summed(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, 2);
    float first[] = {1, 2}, second[] = {10, 20};
    buffer *one = buffer_wrap(first, sizeof first, NULL, NULL);
    buffer *two = buffer_wrap(second, sizeof second, NULL, NULL);
    const store_gradient gradients[] = {{&one, 0.75f}, {&two, 0.25f}};
    bool finite;
    assert_int_equal(store_apply(b.store, gradients, 2, 2, &finite), PS_OK);
    assert_true(finite);
    const float *weights = buffer_bytes(store_weights(b.store, 0));
    assert_true(weights[0] == -2 * (0.75f * 1 + 0.25f * 10));
    assert_true(weights[1] == -2 * (0.75f * 2 + 0.25f * 20));
    buffer_unref(&one);
    buffer_unref(&two);
    close_bench(&b);
}

static void gradient_that_is_not_finite_in_any_slice_is_reported(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, 3000);
    float values[3][1024] = {{0}};
    values[1][77] = NAN;
    buffer *slices[3];
    for (uint32_t i = 0; i < 3; i++)
        slices[i] = buffer_wrap(values[i], buffer_size(store_weights(b.store, i)), NULL, NULL);
    const store_gradient share = {.slices = slices, .weight = 1};
    bool finite = true;
    assert_int_equal(store_apply(b.store, &share, 1, 1, &finite), PS_OK);
    assert_false(finite);
    for (uint32_t i = 0; i < 3; i++) {
        assert_holds(store_weights(b.store, i), 0);
        buffer_unref(&slices[i]);
    }
    assert_int_equal(apply(&b, 3), PS_OK); /* which says that all is well again */
    assert_holds(store_weights(b.store, 1), -3);
    close_bench(&b);
}

static void version_that_is_read_is_never_written(void **state)
{
    (void)state;
    enum { VERSIONS = 6 };
    bench b;
    open_bench(&b, 1500);
    buffer *held[VERSIONS];
    for (int v = 0; v < VERSIONS; v++) {
        held[v] = buffer_ref(store_weights(b.store, 1));
        assert_int_equal(apply(&b, 1), PS_OK);
        for (int k = 0; k <= v; k++)
            assert_holds(held[k], (float)-k);
    }
    for (int v = 0; v < VERSIONS; v++)
        buffer_unref(&held[v]);
    close_bench(&b);
}

static void two_buffers_take_turns_when_nobody_reads(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, 100);
    const void *first = buffer_bytes(store_weights(b.store, 0));
    apply(&b, 1);
    const void *second = buffer_bytes(store_weights(b.store, 0));
    assert_ptr_not_equal(first, second);
    for (int i = 0; i < 4; i++) {
        apply(&b, 1);
        assert_ptr_equal(buffer_bytes(store_weights(b.store, 0)), i % 2 ? second : first);
    }
    close_bench(&b);
}

static void update_allocates_only_for_slices_that_are_read(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, 100);
    float ones[100];
    for (int i = 0; i < 100; i++)
        ones[i] = 1;
    buffer *gradient = buffer_wrap(ones, sizeof ones, NULL, NULL);
    const store_gradient share = {.slices = &gradient, .weight = 1};
    apply(&b, 0);
    torture_begin(0);
    bool finite;
    ps_status status = store_apply(b.store, &share, 1, 1, &finite);
    torture_end();
    assert_int_equal(status, PS_OK);
    buffer_unref(&gradient);
    close_bench(&b);
}

static void update_without_memory_changes_nothing(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, 2000);
    b.job.optimizer.kind = OPTIMIZER_SGD;
    float ones[1000];
    for (int i = 0; i < 1000; i++)
        ones[i] = 1;
    buffer *slices[2];
    for (int i = 0; i < 2; i++)
        slices[i] = buffer_wrap(ones, sizeof ones, NULL, NULL);
    const store_gradient share = {.slices = slices, .weight = 1};
    ps_status status = PS_ENOMEM;
    long allowed = 0;
    for (; status != PS_OK; allowed++) {
        assert_true(allowed < 20);
        torture_begin(allowed);
        bool finite;
        status = store_apply(b.store, &share, 1, 1, &finite);
        torture_end();
        assert_true(status == PS_OK || status == PS_ENOMEM);
        for (uint32_t i = 0; i < 2; i++)
            assert_holds(store_weights(b.store, i), status == PS_OK ? -1 : 0);
    }
    assert_true(allowed > 1);
    buffer_unref(&slices[0]);
    buffer_unref(&slices[1]);
    close_bench(&b);
}

static bool is_among(const void *data, void *const *places, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (data == places[i])
            return true;
    return false;
}

/* Momentum in two slices: 2 arrays of weights and 2 slots. */
static void open_with_slots(bench *b)
{
    job_sample(&b->job, 1, 2, 1500);
    b->job.optimizer.kind = OPTIMIZER_MOMENTUM;
    assert_int_equal(partition_init(&b->map, &b->job, NULL), PS_OK);
    assert_int_equal(store_create(&b->job, &b->map, 0, memory, NULL, &b->store), PS_OK);
    store_initialize(b->store);
}

static void what_was_reserved_is_what_updates_take_while_an_image_is_held(void **state)
{
    (void)state;
    bench b;
    void *places[4];
    buffer *held[4];
    uint32_t count;
    open_with_slots(&b);
    apply(&b, 1);
    buffer **reserve = store_reserve(b.store, &count);
    assert_non_null(reserve);
    assert_int_equal(count, 4);
    for (uint32_t i = 0; i < count; i++) {
        places[i] = buffer_data(reserve[i]);
        buffer_unref(&reserve[i]);
    }
    free(reserve);
    for (uint32_t i = 0; i < 2; i++) {
        held[2 * i] = buffer_ref(store_weights(b.store, i));
        held[2 * i + 1] = buffer_ref(store_slot(b.store, i, 0));
    }
    apply(&b, 1); /* weights go where those before the image were */
    for (uint32_t i = 0; i < 2; i++)
        assert_true(is_among(buffer_bytes(store_slot(b.store, i, 0)), places, count));
    apply(&b, 1);
    for (uint32_t i = 0; i < 2; i++)
        assert_true(is_among(buffer_bytes(store_weights(b.store, i)), places, count));
    for (int i = 0; i < 4; i++)
        buffer_unref(&held[i]);
    close_bench(&b);
}

static void reserve_survives_each_failing_allocation(void **state)
{
    (void)state;
    bench b;
    open_with_slots(&b);
    buffer **reserve = NULL;
    uint32_t count = 0;
    for (long allowed = 0; !reserve; allowed++) {
        assert_true(allowed < 20);
        torture_begin(allowed);
        reserve = store_reserve(b.store, &count);
        torture_end();
        assert_int_equal(count, reserve ? 4 : 0);
    }
    while (count > 0)
        buffer_unref(&reserve[--count]);
    free(reserve);
    close_bench(&b);
}

/* ---- threads ---- */

/* Tensors of awkward sizes, from one element to several slices, initialised in all ways that take a while,
 * whose gradients travel in all codecs. */
static void awkward_job(job_config *job, int kind)
{
    static const uint64_t sizes[] = {1, 5000, 3, 1024, 4100, 1023, 1025};
    job_sample(job, 1, 3, 2500);
    job->seed = 7;
    job->slice_bytes = 3 * JOB_SLICE_BYTES_MIN;
    job->optimizer.kind = (optimizer_kind)kind;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[8];
        snprintf(name, sizeof name, "t%zu", i);
        initializer init = {.kind = i % 2 ? INITIALIZER_NORMAL : INITIALIZER_UNIFORM, .a = 0, .b = 1};
        job_sample_add(job, name, sizes[i], init);
        job->tensors.tensors[job->tensors.count - 1].push_codec = (codec_kind)(i % CODEC_TOPK + 1);
    }
}

enum { AWKWARD_WORKERS = 3, AWKWARD_SLICES_MAX = 16, AWKWARD_ELEMENTS = 2500 + 12176, AWKWARD_STEPS = 4 };

/* Copies all weights behind each other; returns the number of elements. */
static uint64_t copy_weights(const store *s, uint32_t slices, float *weights)
{
    uint64_t elements = 0;
    for (uint32_t i = 0; i < slices; i++) {
        const buffer *b = store_weights(s, i);
        memcpy(weights + elements, buffer_bytes(b), buffer_size(b));
        elements += buffer_size(b) / sizeof *weights;
    }
    return elements;
}

static buffer *encode_part(const job_config *job, const slice *cut, const float *values)
{
    const codec_config codec = job_push_codec(job, cut->tensor);
    float residual[3 * 1024] = {0};
    buffer *payload = buffer_alloc(codec_bytes(&codec, cut->count));
    assert_non_null(payload);
    codec_encode(&codec, values, cut->count, codec_keeps_residual(codec.kind) ? residual : NULL,
                 buffer_data(payload));
    return payload;
}

/* Initial weights, then those after each step; the gradient of the second is not finite in one element. */
static void train_awkwardly(int kind, crew *threads, float weights[AWKWARD_STEPS + 1][AWKWARD_ELEMENTS])
{
    static float gradients[AWKWARD_WORKERS][AWKWARD_SLICES_MAX][3 * 1024];
    job_config job;
    partition map;
    store *s;
    awkward_job(&job, kind);
    assert_int_equal(partition_init(&map, &job, NULL), PS_OK);
    uint32_t slices = partition_server_count(&map, 0);
    assert_true(slices <= AWKWARD_SLICES_MAX);
    assert_int_equal(store_create(&job, &map, 0, memory, threads, &s), PS_OK);
    store_initialize(s);
    assert_int_equal(copy_weights(s, slices, weights[0]), AWKWARD_ELEMENTS);
    numbers n = {1};
    for (int t = 1; t <= AWKWARD_STEPS; t++) {
        buffer *parts[AWKWARD_WORKERS][AWKWARD_SLICES_MAX];
        store_gradient shares[AWKWARD_WORKERS];
        for (uint32_t w = 0; w < AWKWARD_WORKERS; w++) {
            numbers_fill(&n, 1, gradients[w][0], AWKWARD_SLICES_MAX * 3 * 1024);
            if (t == 2 && w == 1)
                gradients[w][slices - 1][0] = NAN;
            for (uint32_t i = 0; i < slices; i++)
                parts[w][i] = encode_part(&job, &map.slices[map.server_slices[i]], gradients[w][i]);
            shares[w] = (store_gradient){parts[w], 0.25f * (float)(w + 1)};
        }
        bool finite;
        assert_int_equal(store_apply(s, shares, AWKWARD_WORKERS, 0.1f, &finite), PS_OK);
        assert_int_equal(finite, t != 2);
        copy_weights(s, slices, weights[t]);
        for (uint32_t w = 0; w < AWKWARD_WORKERS; w++)
            for (uint32_t i = 0; i < slices; i++)
                buffer_unref(&parts[w][i]);
    }
    store_destroy(&s);
    partition_fini(&map);
    job_fini(&job);
}

static void bits_are_the_same_whatever_the_number_of_threads(void **state)
{
    (void)state;
    static float expected[AWKWARD_STEPS + 1][AWKWARD_ELEMENTS], got[AWKWARD_STEPS + 1][AWKWARD_ELEMENTS];
    static const uint32_t threads[] = {1, 2, 3, 8, 31};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        crew *c;
        assert_int_equal(crew_create(threads[i], NULL, &c, NULL), PS_OK);
        for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_FTRL; kind++) {
            train_awkwardly(kind, NULL, expected);
            train_awkwardly(kind, c, got);
            assert_memory_equal(got, expected, sizeof expected);
        }
        crew_destroy(&c);
    }
}

static void more_threads_than_elements_do_no_harm(void **state)
{
    (void)state;
    bench b;
    crew *c;
    assert_int_equal(crew_create(8, NULL, &c, NULL), PS_OK);
    open_bench(&b, 3);
    store_destroy(&b.store);
    assert_int_equal(store_create(&b.job, &b.map, 0, memory, c, &b.store), PS_OK);
    store_initialize(b.store);
    assert_int_equal(apply(&b, 2), PS_OK);
    assert_holds(store_weights(b.store, 0), -2);
    close_bench(&b);
    crew_destroy(&c);
}

static void creation_survives_each_failing_allocation(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, 3000);
    b.job.optimizer.kind = OPTIMIZER_ADAM;
    ps_status status = PS_ENOMEM;
    for (long allowed = 0; status != PS_OK; allowed++) {
        assert_true(allowed < 50);
        store *s;
        torture_begin(allowed);
        status = store_create(&b.job, &b.map, 0, memory, NULL, &s);
        torture_end();
        assert_int_equal(status == PS_OK, s != NULL);
        store_destroy(&s);
    }
    b.job.optimizer.kind = OPTIMIZER_SGD;
    close_bench(&b);
}

static void bytes_count_two_versions_and_the_slots(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, 3000);
    assert_int_equal(store_bytes(&b.job, &b.map, 0), 3000 * 4 * 2);
    b.job.optimizer.kind = OPTIMIZER_MOMENTUM;
    assert_int_equal(store_bytes(&b.job, &b.map, 0), 3000 * 4 * 3);
    b.job.optimizer.kind = OPTIMIZER_ADAM;
    assert_int_equal(store_bytes(&b.job, &b.map, 0), 3000 * 4 * 4);
    b.job.pull_codec = CODEC_BF16;
    assert_int_equal(store_bytes(&b.job, &b.map, 0), 3000 * 4 * 4 + 2 * 3000 * 2);
    close_bench(&b);
}

static int make_memory(void **state)
{
    (void)state;
    return pool_create(false, &memory) == PS_OK ? 0 : -1;
}

static int drop_memory(void **state)
{
    (void)state;
    pool_destroy(&memory);
    return 0;
}

int main(void)
{
    fpmode_flush_denormals(); /* as the threads of a crew do */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initial_values_are_those_of_the_tensor_wherever_it_is_cut),
        cmocka_unit_test(update_moves_every_slice_to_its_next_version),
        cmocka_unit_test(gradients_are_weighted_and_summed),
        cmocka_unit_test(gradient_that_is_not_finite_in_any_slice_is_reported),
        cmocka_unit_test(version_that_is_read_is_never_written),
        cmocka_unit_test(two_buffers_take_turns_when_nobody_reads),
        cmocka_unit_test(update_allocates_only_for_slices_that_are_read),
        cmocka_unit_test(update_without_memory_changes_nothing),
        cmocka_unit_test(what_was_reserved_is_what_updates_take_while_an_image_is_held),
        cmocka_unit_test(reserve_survives_each_failing_allocation),
        cmocka_unit_test(bits_are_the_same_whatever_the_number_of_threads),
        cmocka_unit_test(more_threads_than_elements_do_no_harm),
        cmocka_unit_test(creation_survives_each_failing_allocation),
        cmocka_unit_test(bytes_count_two_versions_and_the_slots),
    };
    return cmocka_run_group_tests(tests, make_memory, drop_memory);
}
