/* memory.cpp - device memory, and pinned memory.
 *
 * Device memory is one range of addresses, of all devices, that nobody may touch but while something runs on
 * the device. It comes full of NaN, with a gap after each allocation; under ASan gaps and freed memory are
 * poisoned. */
#include "state.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes)   ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

namespace
{

constexpr size_t ALIGNMENT = 256; /* as cudaMalloc has it, and the gap */
constexpr size_t PAGE = 4096;
constexpr size_t LARGE_PAGE = 2 << 20; /* so that opening and closing device memory changes few entries */
constexpr uint64_t MEMORY_MIB = 2048;
constexpr int UNTOUCHED = 0xff; /* four of them are a NaN */

struct block {
    size_t bytes;
    uint64_t number; /* of its allocation */
    int device;
};

char *arena;
size_t arena_bytes;
size_t limit_bytes; /* of each device */
size_t used_bytes[cuda_host::DEVICES_MAX];
size_t reached;                 /* the pages that were ever used */
std::map<size_t, block> blocks; /* by place in the arena */
std::map<uintptr_t, size_t> pinned;
uint64_t allocations;
int opened;
struct sigaction previous;

/* Reads the map in a signal handler: the process is lost anyway, and the line is worth it. */
void explain(int signal, siginfo_t *information, void *context)
{
    char *address = static_cast<char *>(information->si_addr);
    if (address >= arena && address < arena + arena_bytes) {
        const size_t at = static_cast<size_t>(address - arena);
        auto next = blocks.upper_bound(at);
        if (next != blocks.begin()) {
            const auto &found = *--next;
            if (at < found.first + found.second.bytes)
                cuda_host::misuse("the host touched device memory at %p: byte %zu of %zu of allocation %llu",
                                  static_cast<void *>(address), at - found.first, found.second.bytes,
                                  static_cast<unsigned long long>(found.second.number));
        }
        cuda_host::misuse("device memory at %p was touched, which is not allocated",
                          static_cast<void *>(address));
    }
    if (previous.sa_flags & SA_SIGINFO)
        return previous.sa_sigaction(signal, information, context);
    sigaction(SIGSEGV, &previous, nullptr); /* and once more, to its end */
}

void watch()
{
    struct sigaction action = {}, replaced;
    action.sa_sigaction = explain;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &replaced);
    if (replaced.sa_sigaction != explain)
        previous = replaced;
}

void reserve()
{
    if (arena)
        return;
    limit_bytes = cuda_host::setting("CUDA_HOST_MEMORY_MIB", MEMORY_MIB) << 20;
    arena_bytes = limit_bytes * cuda_host::setting("CUDA_HOST_DEVICES", 1);
    void *const range = mmap(nullptr, arena_bytes + LARGE_PAGE, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED)
        cuda_host::misuse("no %zu bytes of addresses for device memory", arena_bytes);
    const size_t past = reinterpret_cast<uintptr_t>(range) % LARGE_PAGE;
    arena = static_cast<char *>(range) + (past ? LARGE_PAGE - past : 0);
    madvise(arena, arena_bytes, MADV_HUGEPAGE); /* without, it is slower */
    watch();
}

void protect(int protection)
{
    if (reached && mprotect(arena, reached, protection) != 0)
        cuda_host::misuse("mprotect of device memory failed");
}

size_t round_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

/* The first place with room for `bytes` and a gap. */
size_t find_room(size_t bytes)
{
    size_t at = 0;
    for (const auto &b : blocks) {
        if (b.first - at >= round_up(bytes, ALIGNMENT) + ALIGNMENT)
            break;
        at = round_up(b.first + b.second.bytes, ALIGNMENT) + ALIGNMENT;
    }
    return at;
}

bool is_pinned_start(const void *memory)
{
    return pinned.count(reinterpret_cast<uintptr_t>(memory)) != 0;
}

} // namespace

namespace cuda_host
{

open_memory::open_memory()
{
    if (opened++ == 0)
        protect(PROT_READ | PROT_WRITE);
}

open_memory::~open_memory()
{
    if (--opened == 0)
        protect(PROT_NONE);
}

bool is_device(const void *memory, size_t bytes)
{
    const char *address = static_cast<const char *>(memory);
    if (!arena || address < arena || address >= arena + arena_bytes)
        return false;
    const size_t at = static_cast<size_t>(address - arena);
    auto next = blocks.upper_bound(at);
    if (next == blocks.begin())
        return false;
    const auto &found = *--next;
    return at <= found.first + found.second.bytes && bytes <= found.first + found.second.bytes - at;
}

size_t device_memory_bytes()
{
    reserve();
    return limit_bytes;
}

bool is_pinned(const void *memory, size_t bytes)
{
    const uintptr_t at = reinterpret_cast<uintptr_t>(memory);
    auto next = pinned.upper_bound(at);
    if (next == pinned.begin())
        return false;
    const auto &found = *--next;
    return at <= found.first + found.second && bytes <= found.first + found.second - at;
}

} // namespace cuda_host

using cuda_host::report;

cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    CUDA_HOST_BEGIN;
    *memory = nullptr;
    if (bytes == 0)
        return cudaSuccess;
    reserve();
    const size_t at = find_room(bytes);
    size_t &used = used_bytes[cuda_host::current_device()];
    if (bytes > limit_bytes || used > limit_bytes - bytes || at > arena_bytes ||
        round_up(bytes, ALIGNMENT) + ALIGNMENT > arena_bytes - at)
        return report(cudaErrorMemoryAllocation);
    const size_t end = at + round_up(bytes, ALIGNMENT) + ALIGNMENT;
    if (end > reached)
        reached = round_up(end, LARGE_PAGE) < arena_bytes ? round_up(end, LARGE_PAGE) : arena_bytes;
    const cuda_host::open_memory open;
    ASAN_UNPOISON_MEMORY_REGION(arena + at, end - at);
    memset(arena + at, UNTOUCHED, end - at);
    ASAN_POISON_MEMORY_REGION(arena + at + bytes, end - at - bytes);
    blocks[at] = {bytes, ++allocations, cuda_host::current_device()};
    used += bytes;
    cuda_host::counts.allocations++;
    *memory = arena + at;
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
    CUDA_HOST_BEGIN;
    if (!memory)
        return cudaSuccess;
    const auto found = cuda_host::is_device(memory, 0)
                           ? blocks.find(static_cast<size_t>(static_cast<char *>(memory) - arena))
                           : blocks.end();
    if (found == blocks.end())
        cuda_host::misuse("cudaFree of %p, which cudaMalloc has not given", memory);
    cuda_host::counts.synchronizations++;
    cuda_host::run_all();
    ASAN_POISON_MEMORY_REGION(memory, found->second.bytes);
    used_bytes[found->second.device] -= found->second.bytes;
    blocks.erase(found);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total)
{
    CUDA_HOST_BEGIN;
    reserve();
    *total = limit_bytes;
    *available = limit_bytes - used_bytes[cuda_host::current_device()];
    return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned int)
{
    CUDA_HOST_BEGIN;
    *memory = aligned_alloc(PAGE, round_up(bytes ? bytes : 1, PAGE));
    if (!*memory)
        return report(cudaErrorMemoryAllocation);
    pinned[reinterpret_cast<uintptr_t>(*memory)] = bytes;
    cuda_host::counts.allocations++;
    return cudaSuccess;
}

/* Tells of errors before it, and frees all the same, unless the device is lost. */
cudaError_t cudaFreeHost(void *memory)
{
    const std::lock_guard<std::mutex> guard(cuda_host::lock);
    const int fault = cuda_host::begin_call(__func__);
    if (!memory || cuda_host::device_lost())
        return report(static_cast<cudaError_t>(fault));
    if (!is_pinned_start(memory))
        return report(cudaErrorInvalidValue);
    cuda_host::forbid_copies(memory, pinned[reinterpret_cast<uintptr_t>(memory)], __func__);
    pinned.erase(reinterpret_cast<uintptr_t>(memory));
    free(memory);
    return report(static_cast<cudaError_t>(fault));
}

cudaError_t cudaHostRegister(void *memory, size_t bytes, unsigned int)
{
    CUDA_HOST_BEGIN;
    if (!memory || !bytes)
        return report(cudaErrorInvalidValue);
    const uintptr_t at = reinterpret_cast<uintptr_t>(memory);
    for (const auto &range : pinned)
        if (at < range.first + range.second && range.first < at + bytes)
            return report(cudaErrorHostMemoryAlreadyRegistered);
    pinned[at] = bytes;
    return cudaSuccess;
}

cudaError_t cudaHostUnregister(void *memory)
{
    CUDA_HOST_BEGIN;
    if (!is_pinned_start(memory))
        return report(cudaErrorHostMemoryNotRegistered);
    cuda_host::forbid_copies(memory, pinned[reinterpret_cast<uintptr_t>(memory)], __func__);
    pinned.erase(reinterpret_cast<uintptr_t>(memory));
    return cudaSuccess;
}

void cuda_host_limit_memory(size_t bytes)
{
    const std::lock_guard<std::mutex> guard(cuda_host::lock);
    reserve();
    const size_t all = arena_bytes / cuda_host::setting("CUDA_HOST_DEVICES", 1);
    limit_bytes = bytes < all ? bytes : all;
}

void cuda_host_watch(void)
{
    const std::lock_guard<std::mutex> guard(cuda_host::lock);
    watch();
}
