/* faults.cpp - errors that a test asks for, what cudaGetLastError tells, and misuse.
 *
 * CUDA_HOST_FAIL="cudaMalloc:3:2,cublasGemmEx:10:13" asks for faults as cuda_host_fail does, from the start
 * of the process: function, which call of it, error. */
#include "state.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace
{

struct fault {
    std::string function;
    uint64_t calls_left;
    int error;
};

std::vector<fault> faults;
int lost = 0; /* the error that all calls return from now on */
thread_local cudaError_t last = cudaSuccess;

/* After these CUDA's context is of no more use. */
bool loses_device(int error)
{
    switch (error) {
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorContextIsDestroyed:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorMpsConnectionFailed:
    case cudaErrorUnknown:
        return true;
    default:
        return false;
    }
}

bool read_setting()
{
    const char *text = getenv("CUDA_HOST_FAIL");
    if (!text)
        return true;
    std::string all = text;
    for (size_t at = 0; at < all.size();) {
        const size_t end = all.find(',', at) == std::string::npos ? all.size() : all.find(',', at);
        const std::string one = all.substr(at, end - at);
        char function[64];
        unsigned long long nth;
        int error;
        if (sscanf(one.c_str(), "%63[^:]:%llu:%d", function, &nth, &error) != 3 || nth == 0)
            cuda_host::misuse("CUDA_HOST_FAIL: '%s' is not FUNCTION:NTH:ERROR", one.c_str());
        faults.push_back({function, nth, error});
        at = end + 1;
    }
    return true;
}

} // namespace

namespace cuda_host
{

std::mutex lock;
cuda_host_counts counts;

void misuse(const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "cuda_host: %s\n", text);
    abort();
}

uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    if (!text || !*text)
        return otherwise;
    char *end;
    const uint64_t value = strtoull(text, &end, 10);
    if (*end || *text == '-')
        misuse("%s: '%s' is no number", name, text);
    return value;
}

int begin_call(const char *function)
{
    static const bool read = read_setting();
    (void)read;
    counts.calls++;
    int found = 0;
    for (size_t i = 0; i < faults.size();) {
        fault &f = faults[i];
        if ((f.function == function || f.function == "*") && --f.calls_left == 0) {
            found = f.error;
            faults.erase(faults.begin() + static_cast<std::ptrdiff_t>(i));
        } else {
            i++;
        }
    }
    const bool blas = std::string(function).rfind("cublas", 0) == 0;
    if (!blas && !lost && loses_device(found))
        lost = found;
    if (!lost && !found && capture_forbids(function))
        return blas ? 15 /* CUBLAS_STATUS_NOT_SUPPORTED */ : cudaErrorStreamCaptureUnsupported;
    if (!lost)
        return found;
    end_copies();
    return blas ? 13 /* CUBLAS_STATUS_EXECUTION_FAILED */ : lost;
}

cudaError_t report(cudaError_t error)
{
    if (error != cudaSuccess && error != cudaErrorNotReady)
        last = error;
    return error;
}

bool device_lost()
{
    return lost != 0;
}

} // namespace cuda_host

void cuda_host_fail(const char *function, uint64_t nth, int error)
{
    const std::lock_guard<std::mutex> guard(cuda_host::lock);
    faults.push_back({function, nth, error});
}

void cuda_host_heal(void)
{
    const std::lock_guard<std::mutex> guard(cuda_host::lock);
    faults.clear();
    lost = 0;
}

void cuda_host_read_counts(cuda_host_counts *counts)
{
    const std::lock_guard<std::mutex> guard(cuda_host::lock);
    *counts = cuda_host::counts;
}

cudaError_t cudaGetLastError(void)
{
    const std::lock_guard<std::mutex> guard(cuda_host::lock);
    const cudaError_t found = lost ? static_cast<cudaError_t>(lost) : last;
    last = cudaSuccess;
    return found;
}

cudaError_t cudaPeekAtLastError(void)
{
    const std::lock_guard<std::mutex> guard(cuda_host::lock);
    return lost ? static_cast<cudaError_t>(lost) : last;
}

const char *cudaGetErrorName(cudaError_t error)
{
    switch (error) {
#define NAME_CASE(name, value, text) \
    case name:                       \
        return #name;
        CUDA_HOST_ERROR_LIST(NAME_CASE)
#undef NAME_CASE
    }
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error)
{
    switch (error) {
#define TEXT_CASE(name, value, text) \
    case name:                       \
        return text;
        CUDA_HOST_ERROR_LIST(TEXT_CASE)
#undef TEXT_CASE
    }
    return "unrecognized error code";
}
