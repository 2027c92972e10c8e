/* devices.cpp - which devices there are, and which of them a thread uses.
 *
 * CUDA_HOST_DEVICES of them, alike but for their PCI bus; CUDA_VISIBLE_DEVICES chooses and numbers, up to the
 * first entry that names none, or one again. */
#include "state.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace
{

thread_local int current;

/* The devices' own numbers. Read anew each time: a test may change what is visible. */
std::vector<int> visible_devices()
{
    const int there = static_cast<int>(cuda_host::setting("CUDA_HOST_DEVICES", 1));
    if (there < 1 || there > cuda_host::DEVICES_MAX)
        cuda_host::misuse("CUDA_HOST_DEVICES: %d is not 1 to %d", there, cuda_host::DEVICES_MAX);
    std::vector<int> devices;
    const char *text = getenv("CUDA_VISIBLE_DEVICES");
    for (int i = 0; !text && i < there; i++)
        devices.push_back(i);
    while (text && *text) {
        char *end;
        const long number = strtol(text, &end, 10);
        const bool taken = std::find(devices.begin(), devices.end(), number) != devices.end();
        if (end == text || (*end && *end != ',') || number < 0 || number >= there || taken)
            break;
        devices.push_back(static_cast<int>(number));
        text = *end ? end + 1 : end;
    }
    return devices;
}

bool exists(int device)
{
    return device >= 0 && static_cast<size_t>(device) < visible_devices().size();
}

} // namespace

namespace cuda_host
{

int current_device()
{
    return current;
}

} // namespace cuda_host

using cuda_host::report;

cudaError_t cudaGetDeviceCount(int *count)
{
    CUDA_HOST_BEGIN;
    *count = static_cast<int>(visible_devices().size());
    return *count ? cudaSuccess : report(cudaErrorNoDevice);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device)
{
    CUDA_HOST_BEGIN;
    if (!exists(device))
        return report(cudaErrorInvalidDevice);
    *properties = {};
    snprintf(properties->name, sizeof properties->name, "host stand-in");
    properties->totalGlobalMem = cuda_host::device_memory_bytes();
    properties->major = 9;
    properties->multiProcessorCount = 1;
    properties->pciBusID = visible_devices()[static_cast<size_t>(device)];
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    CUDA_HOST_BEGIN;
    if (!exists(device))
        return report(cudaErrorInvalidDevice);
    current = device;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    CUDA_HOST_BEGIN;
    *device = current;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}
