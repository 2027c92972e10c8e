/* Properties of the map of slices (common/partition) over many random tables. */
#include "common/partition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/torture.h"
#include "tests/unit/unit.h"

static void add_vector(job_config *job, uint64_t elements)
{
    tensor t = {.rank = 1, .shape = {elements}};
    snprintf(t.name, sizeof t.name, "t%u", job->tensors.count);
    assert_int_equal(tensor_table_add(&job->tensors, &t, NULL), PS_OK);
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Tensors from one element to a few dozen slices, sizes on both sides of a slice's edge. */
static void init_random(job_config *job, uint64_t seed)
{
    job_init(job);
    uint64_t random = seed;
    job->servers = 1 + (uint32_t)(next_random(&random) % 17);
    job->slice_bytes = JOB_SLICE_BYTES_MIN + 4 * (uint32_t)(next_random(&random) % 500);
    uint64_t edge = job->slice_bytes / 4;
    uint64_t tensors = 1 + next_random(&random) % 40;
    for (uint64_t t = 0; t < tensors; t++) {
        switch (next_random(&random) % 4) {
        case 0:
            add_vector(job, 1 + next_random(&random) % 8);
            break;
        case 1:
            add_vector(job, edge * (1 + next_random(&random) % 4) + next_random(&random) % 3 - 1);
            break;
        default:
            add_vector(job, 1 + next_random(&random) % (30 * edge));
        }
    }
}

static void assert_slices_cover_every_tensor_once(const partition *p, const job_config *job)
{
    assert_int_equal(p->tensor_first[0], 0);
    assert_int_equal(p->tensor_first[job->tensors.count], p->count);
    for (uint32_t t = 0; t < job->tensors.count; t++) {
        uint64_t covered = 0;
        uint32_t smallest = UINT32_MAX, largest = 0;
        for (uint32_t i = p->tensor_first[t]; i < p->tensor_first[t + 1]; i++) {
            const slice *s = &p->slices[i];
            assert_int_equal(s->tensor, t);
            assert_true(s->offset == covered);
            covered += s->count;
            smallest = s->count < smallest ? s->count : smallest;
            largest = s->count > largest ? s->count : largest;
        }
        assert_true(covered == tensor_elements(&job->tensors.tensors[t]));
        assert_true(smallest >= 1);
        assert_true(largest - smallest <= 1);
        assert_true((uint64_t)largest * sizeof(float) <= job->slice_bytes);
    }
}

static void assert_servers_list_their_slices(const partition *p)
{
    assert_int_equal(p->server_first[0], 0);
    assert_int_equal(p->server_first[p->servers], p->count);
    for (uint32_t s = 0; s < p->servers; s++) {
        assert_int_equal(partition_server_count(p, s), p->server_first[s + 1] - p->server_first[s]);
        for (uint32_t i = p->server_first[s]; i < p->server_first[s + 1]; i++) {
            uint32_t number = p->server_slices[i];
            assert_int_equal(p->slices[number].server, s);
            assert_int_equal(p->slices[number].ordinal, i - p->server_first[s]);
            if (i > p->server_first[s])
                assert_true(p->server_slices[i - 1] < number);
        }
    }
}

static void assert_servers_are_balanced(const partition *p, const job_config *job)
{
    uint64_t total = tensor_table_elements(&job->tensors), sum = 0, fullest = 0;
    for (uint32_t s = 0; s < p->servers; s++) {
        uint64_t elements = partition_server_elements(p, s);
        sum += elements;
        fullest = elements > fullest ? elements : fullest;
    }
    uint64_t largest_slice = 0;
    for (uint32_t i = 0; i < p->count; i++)
        largest_slice = p->slices[i].count > largest_slice ? p->slices[i].count : largest_slice;
    assert_true(sum == total);
    assert_true(fullest * p->servers <= total + largest_slice * p->servers);
}

static void random_tables_are_covered_balanced_and_listed(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 500; seed++) {
        job_config job;
        partition p;
        init_random(&job, seed);
        assert_int_equal(partition_init(&p, &job, NULL), PS_OK);
        assert_int_equal(p.servers, job.servers);
        assert_slices_cover_every_tensor_once(&p, &job);
        assert_servers_list_their_slices(&p);
        assert_servers_are_balanced(&p, &job);
        partition_fini(&p);
        job_fini(&job);
    }
}

/* The rule as written in partition.h, by exhaustive search instead of sort and heap. */
static void assert_follows_the_rule(const partition *p)
{
    uint64_t *held = calloc(p->servers, sizeof *held);
    char *placed = calloc(p->count, 1);
    for (uint32_t round = 0; round < p->count; round++) {
        uint32_t largest = UINT32_MAX, lightest = 0;
        for (uint32_t i = 0; i < p->count; i++)
            if (!placed[i] && (largest == UINT32_MAX || p->slices[i].count > p->slices[largest].count))
                largest = i;
        for (uint32_t s = 1; s < p->servers; s++)
            if (held[s] < held[lightest])
                lightest = s;
        assert_int_equal(p->slices[largest].server, lightest);
        held[lightest] += p->slices[largest].count;
        placed[largest] = 1;
    }
    free(placed);
    free(held);
}

static void largest_slice_goes_first_to_the_lightest_server(void **state)
{
    (void)state;
    for (uint64_t seed = 1000; seed < 1050; seed++) {
        job_config job;
        partition p;
        init_random(&job, seed);
        assert_int_equal(partition_init(&p, &job, NULL), PS_OK);
        assert_follows_the_rule(&p);
        partition_fini(&p);
        job_fini(&job);
    }
}

static void same_job_gives_the_same_map(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        job_config job, copy;
        partition p, q;
        init_random(&job, seed);
        assert_int_equal(job_copy(&job, &copy), PS_OK);
        copy.seed = 99; /* not among what the map depends on */
        assert_int_equal(partition_init(&p, &job, NULL), PS_OK);
        assert_int_equal(partition_init(&q, &copy, NULL), PS_OK);
        assert_int_equal(p.count, q.count);
        assert_memory_equal(p.slices, q.slices, p.count * sizeof *p.slices);
        partition_fini(&p);
        partition_fini(&q);
        job_fini(&job);
        job_fini(&copy);
    }
}

static void one_element_on_many_servers_leaves_the_others_empty(void **state)
{
    (void)state;
    job_config job;
    partition p;
    job_init(&job);
    job.servers = 5;
    add_vector(&job, 1);
    assert_int_equal(partition_init(&p, &job, NULL), PS_OK);
    assert_int_equal(p.count, 1);
    assert_int_equal(p.slices[0].server, 0);
    assert_int_equal(partition_server_count(&p, 0), 1);
    for (uint32_t s = 1; s < 5; s++) {
        assert_int_equal(partition_server_count(&p, s), 0);
        assert_int_equal(partition_server_elements(&p, s), 0);
    }
    partition_fini(&p);
    job_fini(&job);
}

static void huge_tensors_are_mapped_without_being_there(void **state)
{
    (void)state;
    job_config job;
    partition p;
    job_init(&job);
    job.servers = JOB_SERVERS_MAX;
    job.slice_bytes = JOB_SLICE_BYTES_MAX;
    add_vector(&job, TENSOR_ELEMENTS_MAX);
    add_vector(&job, TENSOR_ELEMENTS_MAX - 12345);
    add_vector(&job, 7);
    assert_int_equal(partition_init(&p, &job, NULL), PS_OK);
    assert_int_equal(p.count, 2 * 65536 + 1);
    assert_slices_cover_every_tensor_once(&p, &job);
    assert_servers_list_their_slices(&p);
    assert_servers_are_balanced(&p, &job);
    partition_fini(&p);
    job_fini(&job);
}

static void map_of_exactly_the_limit_is_made_and_one_slice_more_is_refused(void **state)
{
    (void)state;
    job_config job;
    partition p;
    job_init(&job);
    job.servers = 3;
    job.slice_bytes = JOB_SLICE_BYTES_MIN;
    add_vector(&job, (uint64_t)PARTITION_SLICES_MAX * (JOB_SLICE_BYTES_MIN / 4));
    assert_int_equal(partition_init(&p, &job, NULL), PS_OK);
    assert_int_equal(p.count, PARTITION_SLICES_MAX);
    partition_fini(&p);

    ps_error error = {0};
    add_vector(&job, 1);
    assert_int_equal(partition_init(&p, &job, &error), PS_ELIMIT);
    assert_string_equal(error.text,
                        "the tensors make 4194305 slices of up to 4096 bytes, and at most 4194304 "
                        "are possible: raise slice_bytes");
    assert_int_equal(p.count, 0);
    partition_fini(&p);
    job_fini(&job);
}

static void any_failed_allocation_leaves_an_empty_map(void **state)
{
    (void)state;
    job_config job;
    partition p;
    init_random(&job, 1);
    ps_status status = PS_ENOMEM;
    long allocations = 0;
    for (; status != PS_OK; allocations++) {
        ps_error error = {0};
        memset(&p, 0xee, sizeof p);
        torture_begin(allocations);
        status = partition_init(&p, &job, &error);
        torture_end();
        if (status == PS_OK)
            break;
        assert_int_equal(status, PS_ENOMEM);
        assert_int_equal(error.status, PS_ENOMEM);
        assert_null(p.slices);
        partition_fini(&p);
    }
    assert_true(allocations >= 6);
    assert_slices_cover_every_tensor_once(&p, &job);
    partition_fini(&p);
    job_fini(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_tables_are_covered_balanced_and_listed),
        cmocka_unit_test(largest_slice_goes_first_to_the_lightest_server),
        cmocka_unit_test(same_job_gives_the_same_map),
        cmocka_unit_test(one_element_on_many_servers_leaves_the_others_empty),
        cmocka_unit_test(huge_tensors_are_mapped_without_being_there),
        cmocka_unit_test(map_of_exactly_the_limit_is_made_and_one_slice_more_is_refused),
        cmocka_unit_test(any_failed_allocation_leaves_an_empty_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
