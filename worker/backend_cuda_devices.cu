/* backend_cuda_devices.cu - which devices are there, and with which libraries? Computes nothing. */
#include <cstdio>

#include "worker/backend_cuda.h"
#include "worker/backend_cuda_blas.cuh"
#include "worker/backend_cuda_check.cuh"

namespace
{

enum { VERSION_MAJOR = 1000, VERSION_MINOR = 10 }; /* 13020 is 13.2 */

int major_of(int version)
{
    return version / VERSION_MAJOR;
}

int minor_of(int version)
{
    return version % VERSION_MAJOR / VERSION_MINOR;
}

/* The runtime says the same of a driver that is too old and of none; the latter has version 0. */
ps_status say_why_none(cudaError_t result, ps_error *error)
{
    int driver = 0, runtime = 0;
    cudaGetLastError();
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
        cudaGetLastError();
        return ps_fail(error, PS_ENOENT, "no CUDA driver on this host (libcuda.so.1)");
    }
    if (result == cudaErrorInsufficientDriver && cudaRuntimeGetVersion(&runtime) == cudaSuccess)
        return ps_fail(
            error, PS_ENOENT,
            "the CUDA driver is for CUDA %d.%d at most, this program takes %d.%d; update the driver",
            major_of(driver), minor_of(driver), major_of(runtime), minor_of(runtime));
    if (result == cudaErrorNoDevice || result == cudaSuccess)
        return ps_fail(error, PS_ENOENT,
                       "the CUDA driver shows no device (CUDA_VISIBLE_DEVICES, nvidia-smi)");
    return ps_fail(error, PS_ENOENT, "the CUDA driver shows no device: %s: %s", cudaGetErrorName(result),
                   cudaGetErrorString(result));
}

} // namespace

ps_status backend_cuda_count(uint32_t *count, ps_error *error)
{
    int found = 0;
    const cudaError_t result = cudaGetDeviceCount(&found);
    *count = result == cudaSuccess && found > 0 ? (uint32_t)found : 0;
    return *count > 0 ? PS_OK : say_why_none(result, error);
}

ps_status backend_cuda_describe(uint32_t index, cuda_device *found, ps_error *error)
{
    cuda_place place = {};
    place.device = (int)index;
    cudaDeviceProp properties;
    const ps_status status = CUDA_CHECK(&place, cudaGetDeviceProperties(&properties, (int)index));
    if (status != PS_OK)
        return ps_fail(error, status, "%s", place.failure.text);
    *found = {};
    snprintf(found->name, sizeof found->name, "%s", properties.name);
    found->major = properties.major;
    found->minor = properties.minor;
    found->multiprocessors = properties.multiProcessorCount;
    found->pci_domain = properties.pciDomainID;
    found->pci_bus = properties.pciBusID;
    found->pci_device = properties.pciDeviceID;
    found->memory_bytes = properties.totalGlobalMem;
    return PS_OK;
}

ps_status backend_cuda_libraries(char *text, size_t bytes, ps_error *error)
{
    const cuda_blas *blas;
    const ps_status status = cuda_blas_open(&blas, error);
    if (status != PS_OK)
        return status;
    int driver = 0, runtime = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    snprintf(text, bytes, "runtime %d.%d, driver %d.%d, %s", major_of(runtime), minor_of(runtime),
             major_of(driver), minor_of(driver), blas->file);
    return PS_OK;
}
