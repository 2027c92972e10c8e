/* backend_cuda_check.cu - which of CUDA's errors mean what to a worker, and what to say of them. */
#include "worker/backend_cuda_check.cuh"

#include <cstring>

/* cudaErrorContained, which the first toolkits of version 12 do not name. */
static const cudaError_t CONTAINED = static_cast<cudaError_t>(226);

/* PS_EDEVICE: this process can use the device no more, but a new one may.    error, status, likely cause */
#define CAUSE_LIST(X)                                                                                       \
    X(cudaErrorMemoryAllocation, PS_ENOMEM,                                                                 \
      "the memory is used up: a smaller --batch-size, or what else "                                        \
      "runs there")                                                                                         \
    X(cudaErrorInsufficientDriver, PS_ENOENT, "the driver is older than this program's CUDA")               \
    X(cudaErrorNoDevice, PS_ENOENT, "no device, or CUDA_VISIBLE_DEVICES hides all")                         \
    X(cudaErrorInvalidDevice, PS_EINVAL, "there is no device of that number")                               \
    X(cudaErrorNoKernelImageForDevice, PS_EINVAL,                                                           \
      "this program was not built for a device of this kind (CMAKE_CUDA_ARCHITECTURES)")                    \
    X(cudaErrorDevicesUnavailable, PS_EDEVICE, "another process has it to itself (nvidia-smi)")             \
    X(cudaErrorECCUncorrectable, PS_EDEVICE, "its memory is damaged (nvidia-smi -q -d ECC)")                \
    X(cudaErrorNvlinkUncorrectable, PS_EDEVICE, "a link to it is damaged")                                  \
    X(CONTAINED, PS_EDEVICE, "a memory error that the hardware has contained")                              \
    X(cudaErrorHardwareStackError, PS_EDEVICE, "the hardware has failed (dmesg, Xid)")                      \
    X(cudaErrorIllegalAddress, PS_EDEVICE, "a kernel went astray, or the hardware has failed (dmesg, Xid)") \
    X(cudaErrorIllegalInstruction, PS_EDEVICE, "the hardware has failed (dmesg, Xid)")                      \
    X(cudaErrorMisalignedAddress, PS_EDEVICE, "a kernel went astray, or the hardware has failed")           \
    X(cudaErrorInvalidAddressSpace, PS_EDEVICE, "a kernel went astray, or the hardware has failed")         \
    X(cudaErrorInvalidPc, PS_EDEVICE, "a kernel went astray, or the hardware has failed")                   \
    X(cudaErrorLaunchFailure, PS_EDEVICE, "the device was lost or reset (dmesg, Xid)")                      \
    X(cudaErrorLaunchTimeout, PS_EDEVICE, "a display on the device stops long kernels")                     \
    X(cudaErrorContextIsDestroyed, PS_EDEVICE, "the device was reset")                                      \
    X(cudaErrorSystemNotReady, PS_EDEVICE, "the fabric manager is not ready yet")                           \
    X(cudaErrorMpsConnectionFailed, PS_EDEVICE, "the MPS server has ended")                                 \
    X(cudaErrorStreamCaptureUnsupported, PS_EINTERNAL, "CUDA has no place in a graph for that call")        \
    X(cudaErrorStreamCaptureInvalidated, PS_EINTERNAL, "a call before it has no place in a graph")          \
    X(cudaErrorUnknown, PS_EDEVICE, "the driver does not say (dmesg, Xid)")

namespace
{

struct cause {
    cudaError_t error;
    ps_status status;
    const char *text;
};

const cause causes[] = {
#define CAUSE(error, status, text) {error, status, text},
    CAUSE_LIST(CAUSE)
#undef CAUSE
};

const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* All calls fail after that, and the first line says most. */
bool is_lost(const cuda_place *where)
{
    return where->failure.status == PS_EDEVICE;
}

} // namespace

ps_status cuda_check(cuda_place *where, cudaError_t result, const char *call, const char *file, int line)
{
    if (result == cudaSuccess)
        return PS_OK;
    cause found = {result, PS_EINTERNAL, "a mistake in this program, or a driver that does not fit"};
    for (const cause &c : causes)
        if (c.error == result)
            found = c;
    cudaGetLastError(); /* else it is told again by the next call that is not to blame */
    if (is_lost(where))
        return found.status;
    return ps_fail(&where->failure, found.status, "cuda:%d: %s: %s; likely cause: %s [%.120s, %s:%d]",
                   where->device, cudaGetErrorName(result), cudaGetErrorString(result), found.text, call,
                   file_name(file), line);
}

ps_status cublas_check(cuda_place *where, cublasStatus_t result, const char *name, const char *call,
                       const char *file, int line)
{
    if (result == CUBLAS_STATUS_SUCCESS)
        return PS_OK;
    /* cuBLAS hides what CUDA said; where that is still to be had, it is the better reason. */
    ps_status status = cuda_check(where, cudaGetLastError(), call, file, line);
    if (status != PS_OK)
        return status;
    const char *cause = "a mistake in this program, or a library that does not fit";
    status = PS_EINTERNAL;
    if (result == CUBLAS_STATUS_ALLOC_FAILED) {
        status = PS_ENOMEM;
        cause = "the memory is used up: a smaller --batch-size, or what else runs there";
    } else if (result == CUBLAS_STATUS_EXECUTION_FAILED) {
        status = PS_EDEVICE;
        cause = "the device was lost or reset (dmesg, Xid)";
    } else if (result == CUBLAS_STATUS_NOT_INITIALIZED) {
        status = PS_ENOMEM;
        cause = "too little memory is free for the library";
    } else if (result == CUBLAS_STATUS_ARCH_MISMATCH) {
        status = PS_EINVAL;
        cause = "this cuBLAS does not know a device of this kind";
    }
    if (is_lost(where))
        return status;
    return ps_fail(&where->failure, status, "cuda:%d: cuBLAS: %s; likely cause: %s [%.120s, %s:%d]",
                   where->device, name, cause, call, file_name(file), line);
}

ps_status cuda_out_of_memory(cuda_place *where, size_t bytes, const char *what)
{
    size_t available = 0, total = 0;
    if (cudaMemGetInfo(&available, &total) != cudaSuccess)
        cudaGetLastError();
    return ps_fail(&where->failure, PS_ENOMEM,
                   "cuda:%d: no memory for %.1f MiB of %s: %.1f MiB of %.1f are free", where->device,
                   (double)bytes / (1 << 20), what, (double)available / (1 << 20), (double)total / (1 << 20));
}
