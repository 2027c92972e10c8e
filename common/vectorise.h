/* vectorise.h - loops compiled for wider vectors too, without a build for one machine.
 *
 * VECTORISED before a function compiles it once for the baseline and once for AVX2; the loader picks. The two
 * give the same bits where each element is its own sequence of IEEE operations, and in reductions over a
 * fixed number of lanes; contraction to FMA is off in CMakeLists.txt. The loader picks before
 * sanitizers are running, and clang 14 lacks the attribute in C, so there it means nothing. */
#ifndef PENSTOCK_COMMON_VECTORISE_H
#define PENSTOCK_COMMON_VECTORISE_H

#include <features.h>

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define VECTORISED __attribute__((target_clones("default", "avx2")))
#else
#define VECTORISED
#endif

#endif
