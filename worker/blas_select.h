/* blas_select.h - which kernels does OpenBLAS compute with, and are they the right ones?
 *
 * OpenBLAS chooses its kernels by a list of processors when it is loaded, before main; one that is
 * younger than the library is taken for an old one ("Prescott") and runs several times slower than it
 * can. The choice can be overruled by the environment variable OPENBLAS_CORETYPE only, so the process
 * sets it and starts itself once more. An OPENBLAS_CORETYPE that the user set is left as it is.
 *
 * Threads that OpenBLAS makes at load lack the floating-point mode of ours, so that bits would depend on
 * which thread computed them. They are kept away in the same manner, by OPENBLAS_NUM_THREADS=1 whatever
 * the user set: how many threads there are is what backend_cpu_create is told.
 *
 * The kernels chosen are checked against a plain product, for an overruled library may also compute
 * wrong things; then the next lower kernels are tried. */
#ifndef PENSTOCK_WORKER_BLAS_SELECT_H
#define PENSTOCK_WORKER_BLAS_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "worker/backend.h"

enum { BLAS_CORE_NAME_MAX = 31 };

/* Call it first in main, as long as there are neither threads nor anything that a restart would undo: it may
 * replace the process by a fresh one with the same pid, arguments and environment but for the two
 * variables, which then passes here again. When it returns, `line` (`bytes`) says for the log what was
 * chosen and why. PS_EINVAL if OPENBLAS_CORETYPE, set by the user, cannot work here; PS_EINTERNAL if no
 * choice computes right products; PS_ENOMEM. */
ps_status blas_select(char **argv, char *line, size_t bytes, ps_error *error);

/* ---- The parts, for tests ---- */

typedef enum { BLAS_UNCHECKED, BLAS_RIGHT, BLAS_WRONG } blas_product;

/* All that the decision depends on. */
typedef struct {
    bool x86;
    bool avx512;           /* F, DQ, BW, VL and CD, as the kernels for SkylakeX want */
    bool avx2;             /* AVX2 and FMA, as those for Haswell and Zen want */
    bool amd;              /* prefer Zen to Haswell */
    bool load_threads;     /* OpenBLAS made threads when it was loaded */
    bool may_restart;      /* false once a restart failed, or there were too many */
    uint32_t restarts;     /* so far */
    const char *core;      /* what OpenBLAS runs with now */
    const char *first;     /* what it ran with before our first restart */
    const char *asked;     /* what we set at the last restart; "": nothing */
    const char *user_core; /* OPENBLAS_CORETYPE as the user set it; NULL: unset */
    blas_product product;
} blas_situation;

typedef enum {
    BLAS_CHECK,   /* the product, and decide again */
    BLAS_RESTART, /* with OPENBLAS_CORETYPE=`core`; "": as the user had it */
    BLAS_KEEP,
    BLAS_REFUSE,
} blas_action;

typedef struct {
    blas_action action;
    char core[BLAS_CORE_NAME_MAX + 1]; /* BLAS_RESTART */
    ps_status status;                  /* BLAS_REFUSE */
    char text[256];                    /* BLAS_KEEP: for the log; BLAS_REFUSE: the error */
} blas_decision;

/* Pure. Every chain of restarts ends, even with a library that does not heed what it is asked for. */
blas_decision blas_decide(const blas_situation *situation);

/* Compares products of several odd shapes, all transpositions, with sums in double. PS_ENOMEM, or what
 * the backend's gemm fails with. On a backend whose memory is the host's. */
ps_status blas_check_product(backend *on, bool *right);

#endif
