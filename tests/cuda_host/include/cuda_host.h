/* cuda_host.h - what a test says to the stand-in and asks of it. C and C++; any thread.
 *
 *     cuda_host_fail("cudaMalloc", 2, 2);      // the second cudaMalloc from now: out of memory
 *     cuda_host_counts before, after;
 *     cuda_host_read_counts(&before);
 *     ... one step ...
 *     cuda_host_read_counts(&after);
 *     assert_int_equal(after.synchronizations, before.synchronizations); */
#ifndef PENSTOCK_CUDA_HOST_H
#define PENSTOCK_CUDA_HOST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint64_t calls;            /* of the runtime and of cuBLAS, those about errors and versions left out */
    uint64_t synchronizations; /* calls in which the host waits for the device, cudaFree among them */
    uint64_t allocations;      /* of device memory or of pinned memory */
    uint64_t pageable_copies;
    uint64_t unrecorded_waits; /* for an event that was never recorded, which waits for nothing */
    uint64_t graph_launches;
    uint64_t kernels; /* that ran, as did what follows */
    uint64_t products;
    uint64_t uploaded_bytes;
    uint64_t downloaded_bytes;
} cuda_host_counts;

void cuda_host_read_counts(cuda_host_counts *counts);

/* Starts the order of execution anew; 0 runs all in the order in which it was enqueued. */
void cuda_host_seed(uint64_t seed);

/* The `nth` call of `function` (1, 2, ...; "*" any) from now on returns `error`, of CUDA or cuBLAS as the
 * function is, once. Those after which a device is lost stay for all later calls. */
void cuda_host_fail(const char *function, uint64_t nth, int error);

/* Forgets faults that were asked for, and a lost device. */
void cuda_host_heal(void);

/* Device memory of `bytes` in all, from the next allocation on. At most what it started with. */
void cuda_host_limit_memory(size_t bytes);

/* Explains the host's touching of device memory again, after another handler of SIGSEGV was installed. */
void cuda_host_watch(void);

#ifdef __cplusplus
}
#endif

#endif
