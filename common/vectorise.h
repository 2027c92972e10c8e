/* vectorise.h - loops compiled for wider vectors too, without a build for one machine.
 *
 * VECTORISED before a function compiles it for the baseline, for AVX2 and for AVX-512; the loader picks. All
 * give the same bits where each element is its own sequence of IEEE operations, and in reductions over a
 * fixed number of lanes; contraction to FMA is off in CMakeLists.txt. The loader picks before sanitizers are
 * running, and clang 14 lacks the attribute in C, so there it means nothing, nor where PENSTOCK_ONE_TARGET
 * asks for the compiler's own target alone (tests compare such builds). On aarch64 the baseline is NEON.
 *
 * INDEPENDENT_ITERATIONS before a loop promises that no iteration reads what another one writes, however the
 * pointers in it may overlap. clang warns of every loop so marked that it cannot vectorise; there it means
 * nothing. */
#ifndef PENSTOCK_COMMON_VECTORISE_H
#define PENSTOCK_COMMON_VECTORISE_H

#include <features.h>

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__) && !defined(PENSTOCK_ONE_TARGET)
#define VECTORISED __attribute__((target_clones("default", "avx2", "arch=x86-64-v4")))
#else
#define VECTORISED
#endif

#if defined(__clang__)
#define INDEPENDENT_ITERATIONS
#else
#define INDEPENDENT_ITERATIONS _Pragma("GCC ivdep")
#endif

#endif
