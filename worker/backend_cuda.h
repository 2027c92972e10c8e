/* backend_cuda.h - the CUDA devices that this process may use, and the backend on one of them.
 *
 * What may be used is what the driver shows: CUDA_VISIBLE_DEVICES chooses and numbers. A build without CUDA
 * has these functions too, and says so in their errors (backend_cuda_absent.c); so does a host without
 * driver, for the driver and cuBLAS are looked for when the first of these is called. */
#ifndef PENSTOCK_WORKER_BACKEND_CUDA_H
#define PENSTOCK_WORKER_BACKEND_CUDA_H

#include <stdint.h>

#include "common/status.h"
#include "worker/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PRECISION_LIST(X)                                             \
    X(PRECISION_FP32, "fp32") /* products of float32 */               \
    X(PRECISION_TF32, "tf32") /* inputs cut to 10 bits of mantissa */ \
    X(PRECISION_BF16, "bf16") /* inputs rounded to bfloat16 */

/* What products read; they are summed, and all else is computed, in float32. */
typedef enum {
#define PRECISION_ENUM(name, text) name,
    PRECISION_LIST(PRECISION_ENUM)
#undef PRECISION_ENUM
} precision_kind;

enum { CUDA_DEVICE_TEXT = 256 };

typedef struct {
    char name[CUDA_DEVICE_TEXT];
    int major, minor; /* compute capability */
    int multiprocessors;
    int pci_domain, pci_bus, pci_device;
    uint64_t memory_bytes;
} cuda_device;

/* At least one, else PS_ENOENT saying why there is none: no CUDA in the build, no driver, one that is too
 * old, no device. */
ps_status backend_cuda_count(uint32_t *count, ps_error *error);

/* PS_EINVAL without device `index`; PS_EDEVICE. */
ps_status backend_cuda_describe(uint32_t index, cuda_device *found, ps_error *error);

/* "runtime 13.0, driver 13.0, libcublas.so.13" into `text`. PS_ENOENT if cuBLAS is not to be found. */
ps_status backend_cuda_libraries(char *text, size_t bytes, ps_error *error);

/* On device `index`, after a kernel has run there. PS_ENOENT as backend_cuda_count, and without cuBLAS;
 * PS_EINVAL for a device that there is not, or that is too old for the precision or this build; PS_ENOMEM;
 * PS_EDEVICE. */
ps_status backend_cuda_create(uint32_t index, precision_kind precision, backend **out, ps_error *error);

#ifdef __cplusplus
}
#endif
#endif
