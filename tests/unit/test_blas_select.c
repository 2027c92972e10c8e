/* worker/blas_select: the decision by table, the check with products that are wrong on purpose, and the
 * restart with this very program as the one that restarts. */
#include "worker/blas_select.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fpmode.h"
#include "tests/unit/unit.h"
#include "worker/backend_cpu.h"

/* ---- Decision ---- */

/* Features of a processor, for `situation`. */
typedef enum { OLD, INTEL_AVX2, AMD_AVX2, INTEL_AVX512, AMD_AVX512, ARM } processor;

/* The first start of a process in which OpenBLAS chose `core` by itself. */
static blas_situation at_start(processor cpu, const char *core)
{
    return (blas_situation){
        .x86 = cpu != ARM,
        .avx512 = cpu == INTEL_AVX512 || cpu == AMD_AVX512,
        .avx2 = cpu != OLD && cpu != ARM,
        .amd = cpu == AMD_AVX2 || cpu == AMD_AVX512,
        .may_restart = true,
        .core = core,
        .first = core,
        .asked = "",
        .product = BLAS_UNCHECKED,
    };
}

/* After `restarts`, the last of which asked for `asked`, and with the product checked. */
static blas_situation later(processor cpu, const char *first, const char *asked, const char *core,
                            uint32_t restarts, blas_product product)
{
    blas_situation s = at_start(cpu, core);
    s.first = first;
    s.asked = asked;
    s.restarts = restarts;
    s.product = product;
    return s;
}

static void a_core_below_what_the_processor_can_is_replaced(void **state)
{
    (void)state;
    static const struct {
        processor cpu;
        const char *chosen;
        const char *wanted; /* NULL: left as it is */
    } cases[] = {
        {INTEL_AVX512, "Prescott", "SkylakeX"},
        {INTEL_AVX512, "Haswell", "SkylakeX"},
        {AMD_AVX512, "Zen", "SkylakeX"},
        {AMD_AVX512, "Prescott", "SkylakeX"},
        {INTEL_AVX2, "Prescott", "Haswell"},
        {INTEL_AVX2, "Sandybridge", "Haswell"},
        {AMD_AVX2, "Prescott", "Zen"},
        {AMD_AVX2, "Barcelona", "Zen"},
        {INTEL_AVX512, "SkylakeX", NULL},
        {INTEL_AVX512, "Cooperlake", NULL},
        {INTEL_AVX512, "SapphireRapids", NULL},
        {INTEL_AVX2, "Haswell", NULL},
        {AMD_AVX2, "Zen", NULL},
        {AMD_AVX2, "Haswell", NULL},
        {OLD, "Prescott", NULL},
        {OLD, "Nehalem", NULL},
        {INTEL_AVX512, "Zen9", NULL},
        {AMD_AVX2, "Excavator", NULL},
        {ARM, "Prescott", NULL},
        {ARM, "neoversen1", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        blas_situation s = at_start(cases[i].cpu, cases[i].chosen);
        blas_decision d = blas_decide(&s);
        if (cases[i].wanted) {
            assert_int_equal(d.action, BLAS_RESTART);
            assert_string_equal(d.core, cases[i].wanted);
        } else {
            assert_int_equal(d.action, BLAS_CHECK);
        }
    }
}

static void right_products_end_the_search_with_a_line_that_says_why(void **state)
{
    (void)state;
    blas_situation s = later(AMD_AVX2, "Zen", "", "Zen", 0, BLAS_RIGHT);
    blas_decision d = blas_decide(&s);
    assert_int_equal(d.action, BLAS_KEEP);
    assert_string_equal(d.text, "OpenBLAS runs its kernels for Zen, its own choice");

    s = later(INTEL_AVX512, "Prescott", "SkylakeX", "SkylakeX", 1, BLAS_RIGHT);
    d = blas_decide(&s);
    assert_int_equal(d.action, BLAS_KEEP);
    assert_string_equal(d.text,
                        "OpenBLAS runs its kernels for SkylakeX in place of its own choice, Prescott, "
                        "too old for this processor");

    s = later(INTEL_AVX512, "SkylakeX", "Haswell", "Haswell", 1, BLAS_RIGHT);
    d = blas_decide(&s);
    assert_int_equal(d.action, BLAS_KEEP);
    assert_string_equal(d.text, "OpenBLAS runs its kernels for Haswell in place of its own choice, SkylakeX, "
                                "whose products are wrong here");
}

static void wrong_products_lead_one_class_down_and_then_back_to_the_library(void **state)
{
    (void)state;
    blas_situation s = later(INTEL_AVX512, "Prescott", "SkylakeX", "SkylakeX", 1, BLAS_WRONG);
    blas_decision d = blas_decide(&s);
    assert_int_equal(d.action, BLAS_RESTART);
    assert_string_equal(d.core, "Haswell");

    s = later(AMD_AVX512, "Prescott", "SkylakeX", "SkylakeX", 1, BLAS_WRONG);
    d = blas_decide(&s);
    assert_int_equal(d.action, BLAS_RESTART);
    assert_string_equal(d.core, "Zen");

    s = later(INTEL_AVX512, "Prescott", "Haswell", "Haswell", 2, BLAS_WRONG);
    d = blas_decide(&s);
    assert_int_equal(d.action, BLAS_RESTART);
    assert_string_equal(d.core, "");

    s = later(INTEL_AVX512, "Prescott", "", "Prescott", 3, BLAS_UNCHECKED);
    d = blas_decide(&s);
    assert_int_equal(d.action, BLAS_CHECK);
    s.product = BLAS_RIGHT;
    d = blas_decide(&s);
    assert_int_equal(d.action, BLAS_KEEP);
    assert_string_equal(d.text, "OpenBLAS runs its kernels for Prescott, its own choice, since faster ones "
                                "computed wrong products");
    s.product = BLAS_WRONG;
    d = blas_decide(&s);
    assert_int_equal(d.action, BLAS_REFUSE);
    assert_int_equal(d.status, PS_EINTERNAL);
    assert_non_null(strstr(d.text, "wrong products with its kernels for Prescott"));
}

static void a_choice_of_the_library_that_is_wrong_is_not_gone_back_to(void **state)
{
    (void)state;
    blas_situation s = later(INTEL_AVX512, "SkylakeX", "", "SkylakeX", 0, BLAS_WRONG);
    blas_decision d = blas_decide(&s);
    assert_int_equal(d.action, BLAS_RESTART);
    assert_string_equal(d.core, "Haswell");
    s = later(INTEL_AVX512, "SkylakeX", "Haswell", "Haswell", 1, BLAS_WRONG);
    assert_int_equal(blas_decide(&s).action, BLAS_REFUSE);
    s = later(AMD_AVX2, "Zen", "", "Zen", 0, BLAS_WRONG);
    assert_int_equal(blas_decide(&s).action, BLAS_REFUSE);
}

static void what_the_user_set_is_never_overruled(void **state)
{
    (void)state;
    blas_situation s = at_start(INTEL_AVX512, "Prescott");
    s.user_core = "Prescott";
    assert_int_equal(blas_decide(&s).action, BLAS_CHECK);
    s.product = BLAS_RIGHT;
    blas_decision d = blas_decide(&s);
    assert_int_equal(d.action, BLAS_KEEP);
    assert_string_equal(d.text, "OpenBLAS runs its kernels for Prescott, with OPENBLAS_CORETYPE=Prescott");
    s.product = BLAS_WRONG;
    d = blas_decide(&s);
    assert_int_equal(d.action, BLAS_REFUSE);
    assert_int_equal(d.status, PS_EINVAL);
    assert_string_equal(d.text, "OPENBLAS_CORETYPE=Prescott computes wrong products on this processor; "
                                "unset it or choose another");
}

static void a_user_core_that_the_processor_cannot_run_is_refused_before_it_runs(void **state)
{
    (void)state;
    blas_situation s = at_start(AMD_AVX2, "SkylakeX");
    s.user_core = "SkylakeX";
    blas_decision d = blas_decide(&s);
    assert_int_equal(d.action, BLAS_REFUSE);
    assert_int_equal(d.status, PS_EINVAL);
    assert_string_equal(d.text, "OPENBLAS_CORETYPE=SkylakeX needs instructions that this processor lacks; "
                                "unset it or choose another");
}

static void threads_made_at_load_are_a_reason_to_restart_once(void **state)
{
    (void)state;
    blas_situation s = at_start(AMD_AVX2, "Zen");
    s.load_threads = true;
    blas_decision d = blas_decide(&s);
    assert_int_equal(d.action, BLAS_RESTART);
    assert_string_equal(d.core, "");
    s.user_core = "Haswell";
    s.core = s.first = "Haswell";
    assert_int_equal(blas_decide(&s).action, BLAS_RESTART);
    s.restarts = 1;
    assert_int_equal(blas_decide(&s).action, BLAS_CHECK);
}

static void without_restarts_left_the_core_stays_or_is_refused(void **state)
{
    (void)state;
    blas_situation s = at_start(INTEL_AVX512, "Prescott");
    s.may_restart = false;
    s.load_threads = true;
    assert_int_equal(blas_decide(&s).action, BLAS_CHECK);
    s.product = BLAS_RIGHT;
    blas_decision d = blas_decide(&s);
    assert_int_equal(d.action, BLAS_KEEP);
    assert_string_equal(d.text,
                        "OpenBLAS runs its kernels for Prescott, its own choice, and could not be restarted");
    s = later(INTEL_AVX512, "Prescott", "SkylakeX", "SkylakeX", 4, BLAS_WRONG);
    s.may_restart = false;
    assert_int_equal(blas_decide(&s).action, BLAS_REFUSE);
}

/* Whatever a library claims to run and however wrong it is: the chain of decisions ends. */
static void every_chain_of_restarts_ends(void **state)
{
    (void)state;
    static const char *cores[] = {"Prescott", "Nehalem", "Haswell", "Zen", "SkylakeX", "Cooperlake", "Zen9"};
    enum { CORES = sizeof cores / sizeof *cores };
    for (int cpu = OLD; cpu <= ARM; cpu++)
        for (int first = 0; first < CORES; first++)
            for (int obeys = 0; obeys < 2; obeys++) {
                char asked[BLAS_CORE_NAME_MAX + 1] = "";
                blas_situation s = at_start((processor)cpu, cores[first]);
                blas_decision d = {.action = BLAS_CHECK};
                s.load_threads = first % 2;
                s.asked = asked;
                for (int turns = 0; turns < 10 && d.action != BLAS_REFUSE; turns++) {
                    d = blas_decide(&s);
                    assert_int_not_equal(d.action, BLAS_KEEP);
                    if (d.action == BLAS_CHECK)
                        s.product = BLAS_WRONG;
                    if (d.action != BLAS_RESTART)
                        continue;
                    memcpy(asked, d.core, sizeof asked);
                    s.core = obeys && *asked ? asked : cores[first];
                    s.restarts++;
                    s.load_threads = false;
                    s.product = BLAS_UNCHECKED;
                }
                assert_int_equal(d.action, BLAS_REFUSE);
                assert_true(s.restarts <= 3);
            }
}

/* ---- Check ---- */

/* OpenBLAS's products, with one element spoilt if the shape is big enough for `spoils`. */
static backend *genuine;
static uint32_t spoils;
static ps_status gemm_result;

static void *forward_allocate(backend *b, size_t bytes)
{
    (void)b;
    return genuine->ops->allocate(genuine, bytes);
}

static void forward_release(backend *b, void *memory)
{
    (void)b;
    genuine->ops->release(genuine, memory);
}

static ps_status spoilt_gemm(backend *b, int ta, int tb, uint32_t m, uint32_t n, uint32_t k, const float *x,
                             const float *y, float *z)
{
    (void)b;
    ps_status status = genuine->ops->gemm(genuine, ta, tb, m, n, k, x, y, z);
    if (m >= spoils)
        z[(size_t)m * n - 1] *= 1.01f;
    return status == PS_OK ? gemm_result : status;
}

static void *no_memory(backend *b, size_t bytes)
{
    (void)b;
    (void)bytes;
    return NULL;
}

static void the_check_accepts_right_products_and_finds_one_wrong_element(void **state)
{
    (void)state;
    static const backend_ops ops = {
        .allocate = forward_allocate, .release = forward_release, .gemm = spoilt_gemm};
    backend spoilt = {.ops = &ops};
    bool right = false;
    assert_int_equal(backend_cpu_create(1, &genuine, NULL), PS_OK);
    assert_int_equal(blas_check_product(genuine, &right), PS_OK);
    assert_true(right);

    gemm_result = PS_OK;
    spoils = UINT32_MAX;
    assert_int_equal(blas_check_product(&spoilt, &right), PS_OK);
    assert_true(right);
    spoils = 95; /* the tallest of the shapes alone */
    assert_int_equal(blas_check_product(&spoilt, &right), PS_OK);
    assert_false(right);

    gemm_result = PS_EINTERNAL;
    assert_int_equal(blas_check_product(&spoilt, &right), PS_EINTERNAL);
    genuine->ops->destroy(genuine);
}

static void the_check_reports_missing_memory(void **state)
{
    (void)state;
    static const backend_ops ops = {.allocate = no_memory};
    backend poor = {.ops = &ops};
    bool right;
    assert_int_equal(blas_check_product(&poor, &right), PS_ENOMEM);
}

/* ---- Restart ---- */

static int count_threads(void)
{
    int threads = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (const struct dirent *entry; (entry = readdir(tasks));)
        threads += entry->d_name[0] != '.';
    closedir(tasks);
    return threads;
}

/* Products that are denormal, shared by two threads: are they zero wherever they were computed? */
static bool both_threads_flush_denormals(void)
{
    enum { SIDE = 256 };
    static float a[SIDE * SIDE], b[SIDE * SIDE], c[SIDE * SIDE];
    backend *two;
    fpmode_flush_denormals();
    if (backend_cpu_create(2, &two, NULL) != PS_OK || backend_cpu_threads() != 2)
        return false;
    bool flushed = true;
    for (int i = 0; i < SIDE * SIDE; i++) {
        a[i] = 1e-30f;
        b[i] = 1e-12f;
    }
    if (two->ops->gemm(two, 0, 0, SIDE, SIDE, SIDE, a, b, c) != PS_OK)
        return false;
    for (int i = 0; i < SIDE * SIDE; i++) {
        uint32_t bits;
        memcpy(&bits, &c[i], sizeof bits);
        flushed = flushed && bits == 0;
    }
    two->ops->destroy(two);
    return flushed;
}

/* What a child does: selects, and says on standard output how it went. */
static int select_and_report(char **argv)
{
    char line[256];
    ps_error error;
    ps_status status = blas_select(argv, line, sizeof line, &error);
    if (status != PS_OK) {
        printf("%s: %s\n", ps_status_name(status), error.text);
        return 0;
    }
    char name[64] = "";
    FILE *comm = fopen("/proc/self/comm", "r");
    if (!comm || !fgets(name, sizeof name, comm))
        return 1;
    fclose(comm);
    name[strcspn(name, "\n")] = '\0';
    const char *restarted = getenv("PENSTOCK_BLAS_SELECT");
    int threads = count_threads();
    printf("%s|argument %s|named %s|threads %d|restarted %s|flushed %s\n", line, argv[2], name, threads,
           restarted ? "yes" : "no", both_threads_flush_denormals() ? "yes" : "no");
    return 0;
}

/* Runs a child with the variables in `environment` ("NAME=value" or, to unset, "NAME"), and gives what it
 * said. */
static void run_child(const char *const *environment, char *said, size_t bytes)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (; *environment; environment++) {
            char *entry = strdup(*environment);
            putenv(entry);
        }
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl("/proc/self/exe", "test_blas_select", "--select", "kept", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *output = fdopen(ends[0], "r");
    size_t got = fread(said, 1, bytes - 1, output);
    said[got] = '\0';
    fclose(output);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* OpenBLAS makes no more threads than there are processors: on one there is nothing to restart for. */
static void need_two_processors(void)
{
    cpu_set_t processors;
    if (sched_getaffinity(0, sizeof processors, &processors) != 0 || CPU_COUNT(&processors) < 2)
        skip();
}

static void a_process_restarts_itself_once_and_keeps_arguments_and_name(void **state)
{
    (void)state;
    need_two_processors();
    const char *const environment[] = {"OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS=2", "PENSTOCK_BLAS_SELECT",
                                       NULL};
    char said[1024];
    run_child(environment, said, sizeof said);
    assert_non_null(strstr(said, "OpenBLAS runs its kernels for "));
    assert_non_null(strstr(said, "|argument kept|"));
    assert_non_null(strstr(said, "|named test_blas_selec|")); /* the kernel keeps 15 bytes */
    assert_non_null(strstr(said, "|threads 1|"));
    assert_non_null(strstr(said, "|restarted yes"));
}

static void what_the_user_chose_runs_without_a_restart(void **state)
{
    (void)state;
#if defined(__x86_64__)
    const char *const environment[] = {"OPENBLAS_CORETYPE=Nehalem", "OPENBLAS_NUM_THREADS=1",
                                       "PENSTOCK_BLAS_SELECT", NULL};
    char said[1024];
    run_child(environment, said, sizeof said);
    assert_non_null(strstr(said, "OpenBLAS runs its kernels for Nehalem, with OPENBLAS_CORETYPE=Nehalem|"));
    assert_non_null(strstr(said, "|restarted no"));
#else
    skip();
#endif
}

static void threads_have_the_floating_point_mode_of_their_maker_whatever_the_user_set(void **state)
{
    (void)state;
    static const char *const settings[] = {"OPENBLAS_NUM_THREADS", "OPENBLAS_NUM_THREADS=1",
                                           "OPENBLAS_NUM_THREADS=2"};
    for (int i = 0; i < 3; i++) {
        const char *const environment[] = {"OPENBLAS_CORETYPE", settings[i], "PENSTOCK_BLAS_SELECT", NULL};
        char said[1024];
        run_child(environment, said, sizeof said);
        assert_non_null(strstr(said, "|threads 1|"));
        assert_non_null(strstr(said, "|flushed yes"));
    }
}

static void the_marker_of_another_process_is_ignored(void **state)
{
    (void)state;
    need_two_processors();
    const char *const environment[] = {"OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS=2",
                                       "PENSTOCK_BLAS_SELECT=1 4 Katmai SkylakeX", NULL};
    char said[1024];
    run_child(environment, said, sizeof said);
    assert_non_null(strstr(said, "|threads 1|"));
    assert_null(strstr(said, "Katmai")); /* which no 64-bit library would choose */
}

static void a_restart_keeps_the_core_that_the_user_chose(void **state)
{
    (void)state;
#if defined(__x86_64__)
    need_two_processors();
    const char *const environment[] = {"OPENBLAS_CORETYPE=Nehalem", "OPENBLAS_NUM_THREADS=2",
                                       "PENSTOCK_BLAS_SELECT", NULL};
    char said[1024];
    run_child(environment, said, sizeof said);
    assert_non_null(strstr(said, "with OPENBLAS_CORETYPE=Nehalem|"));
    assert_non_null(strstr(said, "|threads 1|"));
    assert_non_null(strstr(said, "|restarted yes"));
#else
    skip();
#endif
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--select") == 0)
        return select_and_report(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_core_below_what_the_processor_can_is_replaced),
        cmocka_unit_test(right_products_end_the_search_with_a_line_that_says_why),
        cmocka_unit_test(wrong_products_lead_one_class_down_and_then_back_to_the_library),
        cmocka_unit_test(a_choice_of_the_library_that_is_wrong_is_not_gone_back_to),
        cmocka_unit_test(what_the_user_set_is_never_overruled),
        cmocka_unit_test(a_user_core_that_the_processor_cannot_run_is_refused_before_it_runs),
        cmocka_unit_test(threads_made_at_load_are_a_reason_to_restart_once),
        cmocka_unit_test(without_restarts_left_the_core_stays_or_is_refused),
        cmocka_unit_test(every_chain_of_restarts_ends),
        cmocka_unit_test(the_check_accepts_right_products_and_finds_one_wrong_element),
        cmocka_unit_test(the_check_reports_missing_memory),
        cmocka_unit_test(a_process_restarts_itself_once_and_keeps_arguments_and_name),
        cmocka_unit_test(what_the_user_chose_runs_without_a_restart),
        cmocka_unit_test(threads_have_the_floating_point_mode_of_their_maker_whatever_the_user_set),
        cmocka_unit_test(the_marker_of_another_process_is_ignored),
        cmocka_unit_test(a_restart_keeps_the_core_that_the_user_chose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
