/* cuda_runtime.h - that part of the CUDA runtime which Penstock uses, for any C++ compiler and without a GPU.
 *
 * Stands in for NVIDIA's header of the same name where the CUDA sources are built for the processor. Names
 * and values are CUDA's; what a call does here, and what it checks, tells README.md. Not C: a kernel is
 * launched by a template. */
#ifndef PENSTOCK_CUDA_HOST_RUNTIME_H
#define PENSTOCK_CUDA_HOST_RUNTIME_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <tuple>

#define CUDART_VERSION 13000

/* name, value, text */
#define CUDA_HOST_ERROR_LIST(X)                                                       \
    X(cudaSuccess, 0, "no error")                                                     \
    X(cudaErrorInvalidValue, 1, "invalid argument")                                   \
    X(cudaErrorMemoryAllocation, 2, "out of memory")                                  \
    X(cudaErrorInitializationError, 3, "initialization error")                        \
    X(cudaErrorInvalidConfiguration, 9, "invalid configuration of a launch")          \
    X(cudaErrorInvalidDevicePointer, 17, "invalid device pointer")                    \
    X(cudaErrorInvalidMemcpyDirection, 21, "invalid direction of a copy")             \
    X(cudaErrorInsufficientDriver, 35, "driver too old for the runtime")              \
    X(cudaErrorDevicesUnavailable, 46, "device busy or unavailable")                  \
    X(cudaErrorNoDevice, 100, "no device")                                            \
    X(cudaErrorInvalidDevice, 101, "invalid number of a device")                      \
    X(cudaErrorNoKernelImageForDevice, 209, "no kernel image for the device")         \
    X(cudaErrorECCUncorrectable, 214, "uncorrectable ECC error")                      \
    X(cudaErrorNvlinkUncorrectable, 220, "uncorrectable NVLink error")                \
    X(cudaErrorContained, 226, "contained memory error")                              \
    X(cudaErrorInvalidResourceHandle, 400, "invalid stream or event")                 \
    X(cudaErrorIllegalState, 401, "illegal state")                                    \
    X(cudaErrorNotReady, 600, "not ready")                                            \
    X(cudaErrorIllegalAddress, 700, "illegal memory access")                          \
    X(cudaErrorLaunchTimeout, 702, "launch timed out")                                \
    X(cudaErrorContextIsDestroyed, 709, "context is destroyed")                       \
    X(cudaErrorHostMemoryAlreadyRegistered, 712, "host memory is registered already") \
    X(cudaErrorHostMemoryNotRegistered, 713, "host memory is not registered")         \
    X(cudaErrorHardwareStackError, 714, "hardware stack error")                       \
    X(cudaErrorIllegalInstruction, 715, "illegal instruction")                        \
    X(cudaErrorMisalignedAddress, 716, "misaligned address")                          \
    X(cudaErrorInvalidAddressSpace, 717, "invalid address space")                     \
    X(cudaErrorInvalidPc, 718, "invalid program counter")                             \
    X(cudaErrorLaunchFailure, 719, "launch failure")                                  \
    X(cudaErrorSystemNotReady, 802, "system not ready")                               \
    X(cudaErrorMpsConnectionFailed, 805, "connection to MPS failed")                  \
    X(cudaErrorStreamCaptureUnsupported, 900, "not permitted in a capture")           \
    X(cudaErrorStreamCaptureInvalidated, 901, "the capture was spoilt before")        \
    X(cudaErrorStreamCaptureMerge, 902, "two captures would become one")              \
    X(cudaErrorStreamCaptureUnmatched, 903, "another stream began the capture")       \
    X(cudaErrorStreamCaptureUnjoined, 904, "a stream has not come back to the first") \
    X(cudaErrorStreamCaptureIsolation, 905, "captured and not captured depend")       \
    X(cudaErrorCapturedEvent, 907, "the event was recorded in a capture")             \
    X(cudaErrorStreamCaptureWrongThread, 908, "another thread began the capture")     \
    X(cudaErrorUnknown, 999, "unknown error")

enum cudaError {
#define CUDA_HOST_ERROR(name, value, text) name = value,
    CUDA_HOST_ERROR_LIST(CUDA_HOST_ERROR)
#undef CUDA_HOST_ERROR
};
typedef enum cudaError cudaError_t;

enum cudaMemcpyKind {
    cudaMemcpyHostToHost = 0,
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost = 2,
    cudaMemcpyDeviceToDevice = 3,
    cudaMemcpyDefault = 4,
};

enum cudaDataType_t { CUDA_R_32F = 0, CUDA_R_16BF = 14 };
typedef enum cudaDataType_t cudaDataType;

#define cudaHostAllocDefault    0x00
#define cudaHostAllocPortable   0x01
#define cudaHostRegisterDefault 0x00
#define cudaStreamDefault       0x00
#define cudaStreamNonBlocking   0x01
#define cudaEventDefault        0x00
#define cudaEventDisableTiming  0x02
#define cudaEventRecordDefault  0x00
#define cudaEventRecordExternal 0x01

enum cudaStreamCaptureMode {
    cudaStreamCaptureModeGlobal = 0,
    cudaStreamCaptureModeThreadLocal = 1,
    cudaStreamCaptureModeRelaxed = 2,
};

typedef struct CUstream_st *cudaStream_t;
typedef struct CUevent_st *cudaEvent_t;
typedef struct CUgraph_st *cudaGraph_t;
typedef struct CUgraphExec_st *cudaGraphExec_t;

struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem;
    int major;
    int minor;
    int multiProcessorCount;
    int pciDomainID;
    int pciBusID;
    int pciDeviceID;
};

struct uint3 {
    unsigned int x, y, z;
};

struct dim3 {
    unsigned int x, y, z;
    constexpr dim3(unsigned int x_ = 1, unsigned int y_ = 1, unsigned int z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

struct cudaLaunchAttribute; /* none is known here */

struct cudaLaunchConfig_t {
    dim3 gridDim;
    dim3 blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    cudaLaunchAttribute *attrs;
    unsigned int numAttrs;
};

extern "C" {
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaMemGetInfo(size_t *available, size_t *total);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaRuntimeGetVersion(int *version);
cudaError_t cudaDeviceSynchronize(void);

cudaError_t cudaMalloc(void **memory, size_t bytes);
cudaError_t cudaFree(void *memory);
cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned int flags);
cudaError_t cudaFreeHost(void *memory);
cudaError_t cudaHostRegister(void *memory, size_t bytes, unsigned int flags);
cudaError_t cudaHostUnregister(void *memory);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned int flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamQuery(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned int flags);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end);
cudaError_t cudaEventDestroy(cudaEvent_t event);

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *ready, cudaGraph_t graph,
                                          unsigned long long flags);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t ready);
cudaError_t cudaGraphLaunch(cudaGraphExec_t ready, cudaStream_t stream);

cudaError_t cudaGetLastError(void);
cudaError_t cudaPeekAtLastError(void);
const char *cudaGetErrorName(cudaError_t error);
const char *cudaGetErrorString(cudaError_t error);

/* ---- what kernels see ---- */

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

/* Where `file`:`line` is a barrier. */
void cuda_host_barrier(const char *file, int line);
/* Gives `value` (`bytes`) to the other threads of the warp and takes that of lane `source`. */
void cuda_host_exchange(void *value, size_t bytes, unsigned int source, const char *file, int line);
/* Names the __shared__ arrays of a source file. */
void cuda_host_shared_memory(char *start, char *stop);
cudaError_t cuda_host_launch(const cudaLaunchConfig_t *config, const std::function<void()> *thread);

/* The linker's names for where those arrays lie; NULL in a source file without any. */
extern char __start_cuda_host_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_cuda_host_shared[] __attribute__((weak, visibility("hidden")));
}

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __shared__ static __attribute__((section("cuda_host_shared")))

#define __syncthreads() cuda_host_barrier(__FILE__, __LINE__)

inline unsigned int cuda_host_lane()
{
    return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32;
}

template <typename T> inline T cuda_host_shuffle(T value, unsigned int source, const char *file, int line)
{
    cuda_host_exchange(&value, sizeof value, source, file, line);
    return value;
}

/* Past the end of the warp a lane keeps its own. */
#define __shfl_xor_sync(mask, value, lanes) \
    ((void)(mask), cuda_host_shuffle((value), cuda_host_lane() ^ (unsigned int)(lanes), __FILE__, __LINE__))
#define __shfl_down_sync(mask, value, lanes)                                        \
    ((void)(mask), cuda_host_shuffle((value),                                       \
                                     cuda_host_lane() + (unsigned int)(lanes) < 32  \
                                         ? cuda_host_lane() + (unsigned int)(lanes) \
                                         : cuda_host_lane(),                        \
                                     __FILE__, __LINE__))

/* Runs `kernel` for each thread, with the arguments as they are now. */
template <typename... parameters, typename... arguments>
inline cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(parameters...),
                                      arguments &&...given)
{
    static const bool named =
        (cuda_host_shared_memory(__start_cuda_host_shared, __stop_cuda_host_shared), true);
    (void)named;
    std::tuple<parameters...> kept(static_cast<arguments &&>(given)...);
    const std::function<void()> thread = [kernel, kept] { std::apply(kernel, kept); };
    return cuda_host_launch(config, &thread);
}

#endif
