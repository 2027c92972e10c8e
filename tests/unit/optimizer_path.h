/* optimizer_path.h - the optimizers built for one target of the compiler, beside the build that picks at run
 * time.
 *
 * optimizer_path.c is compiled once for each target, with OPTIMIZER_PATH its name. */
#ifndef PENSTOCK_TESTS_OPTIMIZER_PATH_H
#define PENSTOCK_TESTS_OPTIMIZER_PATH_H

#include "ps/optimizer.h"

bool optimizer_apply_baseline(const optimizer_config *config, const optimizer_step *step);
#if defined(__x86_64__)
bool optimizer_apply_avx2(const optimizer_config *config, const optimizer_step *step);
bool optimizer_apply_avx512(const optimizer_config *config, const optimizer_step *step);
#endif

#endif
