/* backend_cpu.h - what blas_select needs to know about the OpenBLAS that this process has loaded.
 *
 * The operations themselves are reached through backend.h; no caller sees the library's headers. */
#ifndef PENSTOCK_WORKER_BACKEND_CPU_H
#define PENSTOCK_WORKER_BACKEND_CPU_H

#include <stdint.h>

/* The processor family whose kernels OpenBLAS runs, e.g. "Haswell". Static text. */
const char *backend_cpu_core_name(void);

/* Threads OpenBLAS computes with at present; at program start, as many as it made when it was loaded. */
uint32_t backend_cpu_threads(void);

#endif
