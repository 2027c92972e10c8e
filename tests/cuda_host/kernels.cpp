/* kernels.cpp - runs a kernel block by block and thread by thread.
 *
 * Threads are fibers, each on a stack of its own only as long as it waits at a barrier: a kernel without
 * barriers runs on one. Which thread of a block goes next is drawn, unless all runs in order. Before each
 * block the __shared__ arrays are filled with NaN. Barriers where not all threads of the block, or for a
 * shuffle of the warp, come to the same line end the process. */
#include "queues.h"

#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace
{

constexpr size_t STACK_BYTES = 256 << 10;
constexpr unsigned int THREADS_MAX = 1024, WARP = 32;
constexpr unsigned int GRID_ACROSS_MAX = 0x7fffffff, GRID_DOWN_MAX = 65535;
constexpr size_t EXCHANGE_BYTES = 16;
constexpr int UNTOUCHED = 0xff;

struct fiber {
    ucontext_t context;  /* where it begins */
    void *place[5] = {}; /* where it goes on; as gcc's __builtin_setjmp wants it */
    bool begun = false;
    std::unique_ptr<char[]> stack;
    void *asan_stack = nullptr; /* what AddressSanitizer keeps while another runs */
    void *tsan_fiber = nullptr;
    unsigned int thread = 0; /* that it runs, or that waits on it */
};

struct waiting {
    fiber *on;
    const char *file; /* NULL: it does not wait */
    int line;
    bool whole_block;
};

std::vector<std::pair<char *, char *>> shared_ranges;
std::vector<std::unique_ptr<fiber>> fibers;
std::vector<fiber *> idle;
fiber launcher, *current;
const std::function<void()> *body;
std::vector<unsigned int> order; /* in which the threads of this block begin */
size_t begun;
std::vector<waiting> threads;
alignas(16) char exchanged[THREADS_MAX][EXCHANGE_BYTES];
#if defined(__SANITIZE_ADDRESS__)
size_t launcher_stack_bytes;
const void *launcher_stack;
#endif

unsigned int block_threads()
{
    return blockDim.x * blockDim.y * blockDim.z;
}

void become(unsigned int thread)
{
    current->thread = thread;
    threadIdx.x = thread % blockDim.x;
    threadIdx.y = thread / blockDim.x % blockDim.y;
    threadIdx.z = thread / blockDim.x / blockDim.y;
}

void arrived(fiber *self)
{
    current = self;
#if defined(__SANITIZE_ADDRESS__)
    const void *bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(self->asan_stack, &bottom, &bytes);
    if (self != &launcher) {
        launcher_stack = bottom;
        launcher_stack_bytes = bytes;
    }
#endif
}

/* A function of its own, as gcc wants it. Unlike swapcontext it leaves the signal mask alone, which takes two
 * calls of the kernel, at each barrier of each thread. */
[[gnu::noinline, gnu::no_sanitize("thread")]] void go_on(fiber *next)
{
    if (next->begun)
        __builtin_longjmp(next->place, 1);
    next->begun = true;
    setcontext(&next->context);
}

void switch_to(fiber *next)
{
    fiber *self = current;
#if defined(__SANITIZE_ADDRESS__)
    if (next == &launcher)
        __sanitizer_start_switch_fiber(&self->asan_stack, launcher_stack, launcher_stack_bytes);
    else
        __sanitizer_start_switch_fiber(&self->asan_stack, next->stack.get(), STACK_BYTES);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(next->tsan_fiber, 0);
#endif
    self->begun = true;
    if (!__builtin_setjmp(self->place))
        go_on(next);
    arrived(self);
}

/* What a fiber does: threads that have not begun, one after the other. */
void run_threads()
{
    fiber *self = idle.back();
    idle.pop_back();
    arrived(self);
    for (;;) {
        while (begun < order.size()) {
            become(order[begun++]);
            (*body)();
        }
        idle.push_back(self);
        switch_to(&launcher);
        /* Woken again by being the last that is idle. */
        idle.pop_back();
    }
}

fiber *idle_fiber()
{
    if (!idle.empty())
        return idle.back();
    fibers.push_back(std::make_unique<fiber>());
    fiber *f = fibers.back().get();
    f->stack.reset(new char[STACK_BYTES]);
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack.get();
    f->context.uc_stack.ss_size = STACK_BYTES;
    f->context.uc_link = nullptr;
    makecontext(&f->context, run_threads, 0);
#if defined(__SANITIZE_THREAD__)
    f->tsan_fiber = __tsan_create_fiber(0);
#endif
    idle.push_back(f);
    return f;
}

void shuffle(std::vector<unsigned int> &numbers)
{
    if (cuda_host::in_order())
        return;
    for (size_t i = numbers.size(); i > 1; i--)
        std::swap(numbers[i - 1], numbers[cuda_host::draw(i)]);
}

void wait_at(const char *file, int line, bool whole_block)
{
    const unsigned int thread = current->thread;
    threads[thread] = {current, file, line, whole_block};
    switch_to(&launcher);
    become(thread);
}

[[noreturn]] void diverged(unsigned int thread, const waiting &at, unsigned int other)
{
    const waiting &is = threads[other];
    if (!is.file)
        cuda_host::misuse("thread %u waits at the barrier of %s:%d, thread %u has left the kernel", thread,
                          at.file, at.line, other);
    cuda_host::misuse("thread %u waits at the barrier of %s:%d, thread %u at that of %s:%d", thread, at.file,
                      at.line, other, is.file, is.line);
}

bool same_place(const waiting &a, const waiting &b)
{
    return a.line == b.line && (a.file == b.file || (a.file && b.file && strcmp(a.file, b.file) == 0));
}

bool any_waits(bool whole_block)
{
    for (const waiting &thread : threads)
        if (thread.file && thread.whole_block == whole_block)
            return true;
    return false;
}

/* Lets those go on that wait for their warp, or else for the block, if they wait at the same barriers. */
void pass_barriers()
{
    const unsigned int count = block_threads();
    const bool whole_block = !any_waits(false);
    std::vector<unsigned int> going;
    for (unsigned int i = 0; i < count; i++) {
        const waiting &at = threads[i];
        if (!at.file || at.whole_block != whole_block)
            continue;
        const unsigned int first = at.whole_block ? 0 : i / WARP * WARP;
        const unsigned int last = at.whole_block || first + WARP > count ? count : first + WARP;
        for (unsigned int other = first; other < last; other++)
            if (!same_place(threads[other], at))
                diverged(i, at, other);
        going.push_back(i);
    }
    shuffle(going);
    for (unsigned int thread : going) {
        fiber *on = threads[thread].on;
        threads[thread] = {};
        switch_to(on);
    }
}

void run_block()
{
    for (const auto &range : shared_ranges)
        memset(range.first, UNTOUCHED, static_cast<size_t>(range.second - range.first));
    order.resize(block_threads());
    std::iota(order.begin(), order.end(), 0);
    shuffle(order);
    begun = 0;
    threads.assign(order.size(), {});
    while (begun < order.size())
        switch_to(idle_fiber());
    while (any_waits(true) || any_waits(false))
        pass_barriers();
}

void run_grid(const cudaLaunchConfig_t &config, const std::function<void()> &thread)
{
    current = &launcher;
#if defined(__SANITIZE_THREAD__)
    launcher.tsan_fiber = __tsan_get_current_fiber();
#endif
    body = &thread;
    blockDim = config.blockDim;
    gridDim = config.gridDim;
    for (blockIdx.z = 0; blockIdx.z < config.gridDim.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < config.gridDim.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < config.gridDim.x; blockIdx.x++)
                run_block();
    cuda_host::counts.kernels++;
}

bool fits(const cudaLaunchConfig_t &config)
{
    const dim3 &grid = config.gridDim, &block = config.blockDim;
    return grid.x && grid.x <= GRID_ACROSS_MAX && grid.y && grid.y <= GRID_DOWN_MAX && grid.z &&
           grid.z <= GRID_DOWN_MAX && block.x && block.x <= THREADS_MAX && block.y &&
           block.y <= THREADS_MAX && block.z && block.z <= 64 && block.x * block.y * block.z <= THREADS_MAX &&
           config.dynamicSmemBytes == 0 && config.numAttrs == 0;
}

/* As CUDA_HOST_BEGIN, under the name that the caller has called. */
cudaError_t launch(const cudaLaunchConfig_t *config, const std::function<void()> *thread)
{
    const std::lock_guard<std::mutex> guard(cuda_host::lock);
    if (const int fault = cuda_host::begin_call("cudaLaunchKernelEx"))
        return cuda_host::report(static_cast<cudaError_t>(fault));
    if (!fits(*config))
        return cuda_host::report(cudaErrorInvalidConfiguration);
    const cudaStream_t stream = cuda_host::find(config->stream);
    if (!stream || stream->device != cuda_host::current_device())
        return cuda_host::report(cudaErrorInvalidResourceHandle);
    return cuda_host::enqueue_work(
        stream, [kept = *config, work = *thread](const cuda_host::moment &) { run_grid(kept, work); });
}

} // namespace

cudaError_t cuda_host_launch(const cudaLaunchConfig_t *config, const std::function<void()> *thread)
{
    return launch(config, thread);
}

void cuda_host_shared_memory(char *start, char *stop)
{
    const std::lock_guard<std::mutex> guard(cuda_host::lock);
    for (const auto &range : shared_ranges)
        if (range.first == start)
            return;
    if (start != stop)
        shared_ranges.emplace_back(start, stop);
}

void cuda_host_barrier(const char *file, int line)
{
    wait_at(file, line, true);
}

void cuda_host_exchange(void *value, size_t bytes, unsigned int source, const char *file, int line)
{
    if (bytes > EXCHANGE_BYTES)
        cuda_host::misuse("a shuffle of %zu bytes at %s:%d", bytes, file, line);
    const unsigned int thread = current->thread, from = thread / WARP * WARP + source;
    memcpy(exchanged[thread], value, bytes);
    wait_at(file, line, false);
    if (from >= block_threads())
        cuda_host::misuse("a shuffle from lane %u, which is not there, at %s:%d", source, file, line);
    memcpy(value, exchanged[from], bytes);
    wait_at(file, line, false); /* until all have read */
}
