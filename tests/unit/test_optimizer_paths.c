/* The same bits from every build of ps/optimizer: for the baseline alone, for AVX2, for AVX-512, and from the
 * one that picks at run time. Targets that this processor lacks are compiled, and reported as not run. */
#include <fenv.h>
#include <string.h>

#include "common/fpmode.h"
#include "tests/unit/numbers.h"
#include "tests/unit/optimizer_path.h"
#include "tests/unit/unit.h"

enum { COUNT = 2600, WORKERS_MAX = 9, STEPS = 4, PATHS_MAX = 3 };
enum { LONG_COUNT = 70001, PIECE_COUNT = 4093 }; /* of which one is fetched ahead, the other not */

typedef struct {
    const char *name;
    bool (*apply)(const optimizer_config *config, const optimizer_step *step);
    bool runs;
} path;

static size_t find_paths(path *paths)
{
    size_t count = 0;
    paths[count++] = (path){"run-time choice", optimizer_apply, true};
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
    paths[count++] = (path){"AVX2", optimizer_apply_avx2, __builtin_cpu_supports("avx2")};
    paths[count++] = (path){"AVX-512", optimizer_apply_avx512, avx512};
#endif
    return count;
}

typedef struct {
    float weights[COUNT], next[COUNT];
    float slots[OPTIMIZER_SLOTS_MAX][COUNT];
} model;

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Ordinary numbers, and one in nine a zero, denormal, tiny, huge, the largest, infinite, or NaN of any kind.
 */
static float draw(numbers *n)
{
    uint32_t word = numbers_word(n), sign = word & UINT32_C(0x80000000);
    switch (word % 64) {
    case 0:
        return float_of(sign);
    case 1:
        return float_of(sign | (numbers_word(n) & UINT32_C(0x007fffff)));
    case 2:
        return numbers_float(n, 1e-30f);
    case 3:
        return numbers_float(n, 1e30f);
    case 4:
        return float_of(sign | UINT32_C(0x7f7fffff));
    case 5:
        return float_of(sign | UINT32_C(0x7f800000));
    case 6:
        return float_of(sign | UINT32_C(0x7f800000) | (numbers_word(n) & UINT32_C(0x007fffff)));
    default:
        return numbers_float(n, 2);
    }
}

/* HELD: the slots are not in place either. */
typedef enum { IN_PLACE, OUT_OF_PLACE, STREAMING, HELD, STREAMING_HELD, PLACES } place;

/* Some steps from the same beginning, on pieces that begin and end anywhere. Bit t of the result tells
 * whether step t was finite. */
static uint32_t train(const path *p, const optimizer_config *config, uint32_t workers, place where, model *m)
{
    static float gradients[WORKERS_MAX][COUNT], next_slots[OPTIMIZER_SLOTS_MAX][COUNT];
    const bool held = where == HELD || where == STREAMING_HELD;
    numbers n = {workers};
    uint32_t finite = 0;
    memset(m, 0, sizeof *m);
    numbers_fill(&n, 2, m->weights, COUNT);
    for (uint32_t s = 0; s < optimizer_slots(config); s++)
        optimizer_init_slot(config, s, m->weights, m->slots[s], COUNT);
    for (uint32_t t = 1; t <= STEPS; t++) {
        optimizer_gradient shares[WORKERS_MAX];
        uint64_t first = t - 1, count = COUNT - t * t;
        for (uint32_t w = 0; w < workers; w++) {
            for (uint32_t i = 0; i < COUNT; i++)
                gradients[w][i] = t % 2 ? draw(&n) : numbers_float(&n, 1);
            shares[w] =
                (optimizer_gradient){codec_plain(gradients[w] + first, count), 1 / (float)(workers + w)};
        }
        optimizer_step step = {
            .weights = m->weights + first,
            .next = (where == IN_PLACE ? m->weights : m->next) + first,
            .gradients = shares,
            .gradient_count = workers,
            .count = count,
            .learning_rate = 0.1f,
            .update = t,
            .streaming = where == STREAMING || where == STREAMING_HELD,
        };
        for (uint32_t s = 0; s < optimizer_slots(config); s++) {
            step.slots[s] = (held ? next_slots[s] : m->slots[s]) + first;
            step.old_slots[s] = held ? m->slots[s] + first : NULL;
        }
        finite |= (uint32_t)p->apply(config, &step) << t;
        if (where != IN_PLACE)
            memcpy(m->weights + first, m->next + first, count * sizeof(float));
        for (uint32_t s = 0; held && s < optimizer_slots(config); s++)
            memcpy(m->slots[s] + first, next_slots[s] + first, count * sizeof(float));
    }
    memset(m->next, 0, sizeof m->next);
    return finite;
}

static optimizer_config config_of(int kind, bool busy)
{
    job_config job;
    job_init(&job);
    job.optimizer.kind = (optimizer_kind)kind;
    if (busy) {
        job.optimizer.weight_decay = 0.01;
        job.optimizer.clip_value = 0.5;
        job.optimizer.l1 = job.optimizer.l2 = 0.1;
        job.optimizer.learning_rate_power = -0.7;
    }
    return job.optimizer;
}

static void compare(const path *p, const optimizer_config *config, uint32_t workers)
{
    static const path baseline = {"baseline", optimizer_apply_baseline, true};
    static model expected, got;
    uint32_t finite = train(&baseline, config, workers, IN_PLACE, &expected);
    for (int where = IN_PLACE; where < PLACES; where++) {
        uint32_t also_finite = train(p, config, workers, (place)where, &got);
        if (memcmp(&expected, &got, sizeof got) != 0 || finite != also_finite)
            fail_msg("%s with %u gradients: other bits from %s, place %d", optimizer_kind_name(config->kind),
                     workers, p->name, where);
    }
}

static void compare_all(const path *p)
{
    static const uint32_t workers[] = {1, 2, 3, 4, 5, 7, 8, WORKERS_MAX};
    for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_FTRL; kind++)
        for (int busy = 0; busy < 2; busy++) {
            optimizer_config config = config_of(kind, busy);
            for (size_t w = 0; w < sizeof workers / sizeof *workers; w++)
                compare(p, &config, workers[w]);
        }
}

static void every_path_gives_the_bits_of_the_baseline(void **state)
{
    (void)state;
    path paths[PATHS_MAX];
    size_t count = find_paths(paths);
    for (size_t i = 0; i < count; i++) {
        if (!paths[i].runs) {
            print_message("not run: this processor has no %s\n", paths[i].name);
            continue;
        }
        fenv_t mode;
        assert_int_equal(fegetenv(&mode), 0);
        compare_all(&paths[i]);
        fpmode_flush_denormals();
        compare_all(&paths[i]);
        assert_int_equal(fesetenv(&mode), 0);
    }
}

typedef struct {
    float weights[LONG_COUNT], slots[OPTIMIZER_SLOTS_MAX][LONG_COUNT];
} long_model;

/* A step on all of it, by pieces of at most `piece` elements. */
static bool step_by_pieces(const path *p, const optimizer_config *config, const float *gradient,
                           uint64_t piece, long_model *m)
{
    bool finite = true;
    numbers n = {1};
    numbers_fill(&n, 2, m->weights, LONG_COUNT);
    for (uint32_t s = 0; s < optimizer_slots(config); s++)
        optimizer_init_slot(config, s, m->weights, m->slots[s], LONG_COUNT);
    for (uint64_t first = 0; first < LONG_COUNT; first += piece) {
        const uint64_t count = LONG_COUNT - first < piece ? LONG_COUNT - first : piece;
        const optimizer_gradient share = {codec_plain(gradient + first, count), 1};
        const optimizer_step step = {
            .weights = m->weights + first,
            .next = m->weights + first,
            .slots = {m->slots[0] + first, m->slots[1] + first},
            .gradients = &share,
            .gradient_count = 1,
            .count = count,
            .learning_rate = 0.1f,
            .update = 1,
        };
        finite &= p->apply(config, &step);
    }
    return finite;
}

static void a_long_slice_gets_the_bits_of_its_pieces(void **state)
{
    (void)state;
    static float gradient[LONG_COUNT];
    static long_model whole, pieces;
    path paths[PATHS_MAX];
    size_t count = find_paths(paths);
    numbers n = {2};
    for (size_t i = 0; i < LONG_COUNT; i++)
        gradient[i] = draw(&n);
    for (size_t i = 0; i < count; i++) {
        for (int kind = OPTIMIZER_SGD; paths[i].runs && kind <= OPTIMIZER_FTRL; kind++) {
            const optimizer_config config = config_of(kind, false);
            assert_false(step_by_pieces(&paths[i], &config, gradient, LONG_COUNT, &whole));
            assert_false(step_by_pieces(&paths[i], &config, gradient, PIECE_COUNT, &pieces));
            assert_memory_equal(&whole, &pieces, sizeof whole);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_path_gives_the_bits_of_the_baseline),
        cmocka_unit_test(a_long_slice_gets_the_bits_of_its_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
