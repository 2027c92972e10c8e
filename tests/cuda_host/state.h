/* state.h - what the parts of the stand-in tell each other. Not for tests: they have cuda_host.h.
 *
 * One lock guards all, each function of the interface holds it from beginning to end; what is declared here
 * is called under it. Kernels run under it too, in the thread that waits. */
#ifndef PENSTOCK_CUDA_HOST_STATE_H
#define PENSTOCK_CUDA_HOST_STATE_H

#include <functional>
#include <map>
#include <mutex>

#include <cuda_host.h>
#include <cuda_runtime.h>

namespace cuda_host
{

extern std::mutex lock;
extern cuda_host_counts counts;

/* The program has done what no CUDA program may: one line on standard error, and abort. */
[[noreturn]] void misuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A number from the environment. */
uint64_t setting(const char *name, uint64_t otherwise);

/* ---- faults.cpp ---- */

/* Each function of the interface begins with it: 0, or the error that it is to return. */
int begin_call(const char *function);
/* Remembers an error for cudaGetLastError, and returns it. */
cudaError_t report(cudaError_t error);
bool device_lost();

/* ---- devices.cpp ---- */

enum { DEVICES_MAX = 8 };

/* Of the calling thread. */
int current_device();

/* ---- memory.cpp ---- */

/* Device memory is there for this process as long as one of them lives. */
class open_memory
{
  public:
    open_memory();
    ~open_memory();
    open_memory(const open_memory &) = delete;
    open_memory &operator=(const open_memory &) = delete;
};

/* Whether that is part of one allocation. */
bool is_device(const void *memory, size_t bytes);
bool is_pinned(const void *memory, size_t bytes);
size_t device_memory_bytes();

/* ---- streams.cpp ---- */

/* How far each stream, by its number, has come. */
typedef std::map<uint64_t, uint64_t> moment;

/* What an operation does; it gets the moment at which it runs. */
typedef std::function<void(const moment &)> work;
/* What is to be done each time the host has it enqueued; gives what is to run then. */
typedef std::function<work()> preparing;

/* Enqueues, or writes down for a graph that is launched later. */
cudaError_t enqueue(cudaStream_t stream, preparing prepare);
cudaError_t enqueue_work(cudaStream_t stream, work what);
void run_all();
/* A random number below `limit`. */
uint64_t draw(uint64_t limit);
/* Whether all is to run in its natural order. */
bool in_order();

/* ---- graphs.cpp ---- */

/* Whether this thread is capturing, and may not call that now; the capture is spoilt then. */
bool capture_forbids(const char *function);

/* ---- copies.cpp ---- */

/* The host has waited: it may now see what was copied up to that moment. */
void publish_copies(const moment &seen);
/* No copy to or from that memory may be under way. */
void forbid_copies(const void *memory, size_t bytes, const char *function);
/* The same after the device was lost, or when all has run: they are forgotten, or published. */
void end_copies();

} // namespace cuda_host

#define CUDA_HOST_BEGIN                                       \
    const std::lock_guard<std::mutex> guard(cuda_host::lock); \
    if (const int fault = cuda_host::begin_call(__func__))    \
    return cuda_host::report(static_cast<cudaError_t>(fault))

#endif
