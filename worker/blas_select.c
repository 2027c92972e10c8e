/* blas_select.c - see blas_select.h. */
#include "worker/blas_select.h"

#include <assert.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/backend_cpu.h"

/* "<pid> <restarts> <first> <asked or ->": what a process tells itself through a restart. A restart keeps
 * the pid, so a marker that came down from some other process is known by it and ignored. */
#define MARKER           "PENSTOCK_BLAS_SELECT"
#define CORE_VARIABLE    "OPENBLAS_CORETYPE"
#define THREADS_VARIABLE "OPENBLAS_NUM_THREADS"

enum { RESTARTS_MAX = 4 };

/* ---- Decision ---- */

/* By the vector instructions that the kernels use. */
typedef enum { CLASS_UNKNOWN, CLASS_BASIC, CLASS_AVX2, CLASS_AVX512 } core_class;

/* A name that is not here is of a younger library than we know, or computes well as it is: left alone. */
static const struct {
    const char *name;
    core_class class;
} known_cores[] = {
    {"Katmai", CLASS_BASIC},
    {"Coppermine", CLASS_BASIC},
    {"Northwood", CLASS_BASIC},
    {"Prescott", CLASS_BASIC},
    {"Banias", CLASS_BASIC},
    {"Atom", CLASS_BASIC},
    {"Core2", CLASS_BASIC},
    {"Penryn", CLASS_BASIC},
    {"Dunnington", CLASS_BASIC},
    {"Nehalem", CLASS_BASIC},
    {"Athlon", CLASS_BASIC},
    {"Opteron", CLASS_BASIC},
    {"Opteron_SSE3", CLASS_BASIC},
    {"Barcelona", CLASS_BASIC},
    {"Nano", CLASS_BASIC},
    {"Sandybridge", CLASS_BASIC},
    {"Bobcat", CLASS_BASIC},
    {"Bulldozer", CLASS_BASIC},
    {"Piledriver", CLASS_BASIC},
    {"Steamroller", CLASS_BASIC},
    {"Haswell", CLASS_AVX2},
    {"Zen", CLASS_AVX2},
    {"SkylakeX", CLASS_AVX512},
    {"Cooperlake", CLASS_AVX512},
    {"SapphireRapids", CLASS_AVX512},
};

static core_class class_of(const char *core)
{
    for (size_t i = 0; i < sizeof known_cores / sizeof *known_cores; i++)
        if (strcmp(known_cores[i].name, core) == 0)
            return known_cores[i].class;
    return CLASS_UNKNOWN;
}

static core_class class_offered(const blas_situation *s)
{
    if (s->avx512)
        return CLASS_AVX512;
    return s->avx2 ? CLASS_AVX2 : CLASS_BASIC;
}

static const char *avx2_core(const blas_situation *s)
{
    return s->amd ? "Zen" : "Haswell";
}

static blas_decision restart_with(const char *core)
{
    blas_decision d = {.action = BLAS_RESTART};
    snprintf(d.core, sizeof d.core, "%s", core);
    return d;
}

static blas_decision refuse_user(const blas_situation *s, const char *why)
{
    blas_decision d = {.action = BLAS_REFUSE, .status = PS_EINVAL};
    snprintf(d.text, sizeof d.text, CORE_VARIABLE "=%.*s %s; unset it or choose another", BLAS_CORE_NAME_MAX,
             s->user_core, why);
    return d;
}

static blas_decision refuse_library(const blas_situation *s)
{
    blas_decision d = {.action = BLAS_REFUSE, .status = PS_EINTERNAL};
    snprintf(d.text, sizeof d.text,
             "OpenBLAS computes wrong products with its kernels for %s; set " CORE_VARIABLE
             " to another processor, e.g. Nehalem, or install another OpenBLAS",
             s->core);
    return d;
}

static blas_decision keep(const blas_situation *s)
{
    blas_decision d = {.action = BLAS_KEEP};
    const char *first = class_of(s->first) < class_offered(s) ? ", too old for this processor"
                                                              : ", whose products are wrong here";
    if (s->user_core)
        snprintf(d.text, sizeof d.text, "OpenBLAS runs its kernels for %s, with " CORE_VARIABLE "=%.*s",
                 s->core, BLAS_CORE_NAME_MAX, s->user_core);
    else if (strcmp(s->core, s->first) == 0)
        snprintf(d.text, sizeof d.text, "OpenBLAS runs its kernels for %s, its own choice%s%s", s->core,
                 s->restarts > 1 ? ", since faster ones computed wrong products" : "",
                 s->may_restart ? "" : ", and could not be restarted");
    else
        snprintf(d.text, sizeof d.text, "OpenBLAS runs its kernels for %s in place of its own choice, %s%s",
                 s->core, s->first, first);
    return d;
}

/* The kernels in use compute wrong products: which are next? */
static blas_decision fall_back(const blas_situation *s)
{
    if (s->user_core)
        return refuse_user(s, "computes wrong products on this processor");
    bool lower_is_untried = class_of(s->core) == CLASS_AVX512 && class_of(s->asked) != CLASS_AVX2;
    if (s->may_restart && s->x86 && s->avx2 && lower_is_untried)
        return restart_with(avx2_core(s));
    /* Its own choice was passed over as too low; wrong it has not been found. */
    if (s->may_restart && *s->asked && class_of(s->first) < class_of(s->asked))
        return restart_with("");
    return refuse_library(s);
}

blas_decision blas_decide(const blas_situation *s)
{
    core_class running = class_of(s->core), offered = class_offered(s);
    if (s->x86 && s->user_core && running > offered)
        return refuse_user(s, "needs instructions that this processor lacks");
    if (s->may_restart && s->restarts == 0) {
        bool too_low = s->x86 && !s->user_core && running != CLASS_UNKNOWN && running < offered;
        if (too_low)
            return restart_with(offered == CLASS_AVX512 ? "SkylakeX" : avx2_core(s));
        if (s->load_threads)
            return restart_with("");
    }
    switch (s->product) {
    case BLAS_UNCHECKED:
        break;
    case BLAS_RIGHT:
        return keep(s);
    case BLAS_WRONG:
        return fall_back(s);
    }
    return (blas_decision){.action = BLAS_CHECK};
}

/* ---- Check ---- */

typedef struct {
    uint32_t m, n, k;
    int transpose_a, transpose_b;
} product_shape;

/* Small, odd and just past what kernels take at a time, so that their edges are run too. */
static const product_shape checked_shapes[] = {
    {.m = 1, .n = 1, .k = 1},    {.m = 2, .n = 3, .k = 5},     {.m = 17, .n = 19, .k = 23},
    {.m = 33, .n = 65, .k = 31}, {.m = 64, .n = 64, .k = 64},  {.m = 50, .n = 10, .k = 100},
    {.m = 95, .n = 33, .k = 1},  {.m = 7, .n = 129, .k = 260},
};
enum { CHECKED_ELEMENTS_MAX = 129 * 260 };

/* Numbers in [-1, 1] that differ from their neighbours and repeat nowhere near. */
static void fill(float *values, size_t count)
{
    uint32_t word = 1;
    for (size_t i = 0; i < count; i++) {
        word = word * UINT32_C(1664525) + UINT32_C(1013904223);
        values[i] = (float)(word >> 8) * 0x1p-23f - 1.0f;
    }
}

/* Within the rounding that any order of summation in float may have: Higham 2002, section 3.1. */
static bool element_is_right(const product_shape *s, const float *a, const float *b, float got, uint32_t row,
                             uint32_t column)
{
    double sum = 0.0, magnitude = 0.0;
    for (size_t i = 0; i < s->k; i++) {
        double x = (double)(s->transpose_a ? a[i * s->m + row] : a[(size_t)row * s->k + i]);
        double y = (double)(s->transpose_b ? b[(size_t)column * s->k + i] : b[i * s->n + column]);
        sum += x * y;
        magnitude += fabs(x * y);
    }
    return fabs((double)got - sum) <= (double)(s->k + 1) * (double)FLT_EPSILON * magnitude;
}

static ps_status check_shape(backend *on, const product_shape *s, const float *a, const float *b, float *c,
                             bool *right)
{
    ps_status status = on->ops->gemm(on, s->transpose_a, s->transpose_b, s->m, s->n, s->k, a, b, c);
    for (uint32_t row = 0; status == PS_OK && *right && row < s->m; row++)
        for (uint32_t column = 0; *right && column < s->n; column++)
            *right = element_is_right(s, a, b, c[(size_t)row * s->n + column], row, column);
    return status;
}

ps_status blas_check_product(backend *on, bool *right)
{
    float *a = on->ops->allocate(on, 3 * CHECKED_ELEMENTS_MAX * sizeof *a);
    if (!a)
        return PS_ENOMEM;
    fill(a, 3 * CHECKED_ELEMENTS_MAX);
    float *b = a + CHECKED_ELEMENTS_MAX, *c = b + CHECKED_ELEMENTS_MAX;
    ps_status status = PS_OK;
    *right = true;
    for (size_t i = 0; i < sizeof checked_shapes / sizeof *checked_shapes; i++) {
        for (int transposed = 0; transposed < 4 && status == PS_OK && *right; transposed++) {
            product_shape shape = checked_shapes[i];
            shape.transpose_a = transposed & 1;
            shape.transpose_b = transposed >> 1;
            status = check_shape(on, &shape, a, b, c, right);
        }
    }
    on->ops->release(on, a);
    return status;
}

/* ---- This process ---- */

static void look_at_processor(blas_situation *s)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    s->x86 = true;
    s->amd = __builtin_cpu_is("amd") != 0;
    s->avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    s->avx512 = s->avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("avx512cd");
#else
    (void)s;
#endif
}

/* What our marker says, as text that the situation borrows. */
typedef struct {
    char first[BLAS_CORE_NAME_MAX + 1];
    char asked[BLAS_CORE_NAME_MAX + 1];
} remembered;

static void look_at_marker(blas_situation *s, remembered *memory)
{
    const char *marker = getenv(MARKER);
    long pid;
    uint32_t restarts;
    *memory = (remembered){.first = ""};
    static_assert(BLAS_CORE_NAME_MAX == 31, "the widths below");
    if (marker && sscanf(marker, "%ld %u %31s %31s", &pid, &restarts, memory->first, memory->asked) == 4 &&
        pid == (long)getpid()) {
        s->restarts = restarts;
        if (strcmp(memory->asked, "-") == 0)
            memory->asked[0] = '\0';
    } else {
        snprintf(memory->first, sizeof memory->first, "%s", s->core);
        memory->asked[0] = '\0';
    }
    s->first = memory->first;
    s->asked = memory->asked;
}

static blas_situation look(remembered *memory)
{
    blas_situation s = {.core = backend_cpu_core_name()};
    look_at_processor(&s);
    look_at_marker(&s, memory);
    s.may_restart = s.restarts < RESTARTS_MAX;
    s.load_threads = backend_cpu_threads() > 1;
    s.user_core = *s.asked ? NULL : getenv(CORE_VARIABLE);
    return s;
}

/* Returns only if it failed. */
static void restart(char **argv, const blas_situation *s, const char *core)
{
    char marker[128];
    snprintf(marker, sizeof marker, "%ld %u %s %s", (long)getpid(), s->restarts + 1, s->first,
             *core ? core : "-");
    int failed = setenv(MARKER, marker, 1);
    failed |= setenv(THREADS_VARIABLE, "1", 1);
    if (*core)
        failed |= setenv(CORE_VARIABLE, core, 1);
    else if (!s->user_core)
        failed |= unsetenv(CORE_VARIABLE);
    if (failed)
        return;
    /* By its real path, or the process would be listed as "exe"; that path is stale after an upgrade. */
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length > 0) {
        path[length] = '\0';
        execv(path, argv);
    }
    execv("/proc/self/exe", argv);
}

static ps_status check_this_process(blas_product *product, ps_error *error)
{
    backend *b;
    bool right = false;
    ps_status status = backend_cpu_create(1, &b, error);
    if (status != PS_OK)
        return status;
    status = blas_check_product(b, &right);
    b->ops->destroy(b);
    *product = right ? BLAS_RIGHT : BLAS_WRONG;
    return status == PS_OK ? PS_OK
                           : ps_fail(error, status, "cannot check OpenBLAS: %s", ps_status_text(status));
}

ps_status blas_select(char **argv, char *line, size_t bytes, ps_error *error)
{
    remembered memory;
    blas_situation s = look(&memory);
    for (;;) {
        blas_decision d = blas_decide(&s);
        ps_status status;
        switch (d.action) {
        case BLAS_CHECK:
            status = check_this_process(&s.product, error);
            if (status != PS_OK)
                return status;
            break;
        case BLAS_RESTART:
            restart(argv, &s, d.core);
            s.may_restart = false;
            break;
        case BLAS_KEEP:
            snprintf(line, bytes, "%s", d.text);
            return PS_OK;
        case BLAS_REFUSE:
            return ps_fail(error, d.status, "%s", d.text);
        }
    }
}
