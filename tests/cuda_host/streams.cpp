/* streams.cpp - streams as queues, events, and who goes next.
 *
 * Nothing runs when it is enqueued: it runs when the host waits for it, or when the dice say so, and then in
 * any order that streams and events leave open. CUDA_HOST_SEED names the dice; the same seed, and the same
 * calls, give the same order. With 0 all runs in the order in which it was enqueued. How much runs before
 * the host waits depends on the seed as well: at some nothing, at some nearly all. */
#include "state.h"

#include <chrono>
#include <deque>
#include <memory>
#include <vector>

struct CUevent_st;

namespace
{

/* One recording of an event. */
struct recording {
    bool done;
    cuda_host::moment when;
    std::chrono::steady_clock::time_point time;
};

struct operation {
    std::function<void(const cuda_host::moment &)> work;
    std::shared_ptr<recording> records, awaits;
    uint64_t turn; /* the how manyth of all that was enqueued */
};

} // namespace

struct CUstream_st {
    uint64_t number;
    uint64_t done;
    cuda_host::moment seen; /* what has certainly happened before its next operation */
    std::deque<operation> queue;
};

struct CUevent_st {
    std::shared_ptr<recording> latest; /* NULL before the first */
};

namespace
{

std::vector<CUstream_st *> streams;
uint64_t stream_count, turns;
uint64_t dice, seed;
uint64_t eagerness; /* in percent: how likely something runs at each enqueuing */

bool plant_seed(uint64_t value)
{
    static const uint64_t choices[] = {0, 10, 50, 95};
    seed = value;
    dice = value;
    eagerness = value ? choices[cuda_host::draw(4)] : 0;
    return true;
}

void begin()
{
    static const bool planted = plant_seed(cuda_host::setting("CUDA_HOST_SEED", 1));
    (void)planted;
}

bool runnable(const CUstream_st *stream)
{
    return !stream->queue.empty() && (!stream->queue.front().awaits || stream->queue.front().awaits->done);
}

CUstream_st *choose()
{
    std::vector<CUstream_st *> ready;
    for (CUstream_st *stream : streams)
        if (runnable(stream))
            ready.push_back(stream);
    if (ready.empty())
        return nullptr;
    if (seed)
        return ready[cuda_host::draw(ready.size())];
    CUstream_st *first = ready[0];
    for (CUstream_st *stream : ready)
        if (stream->queue.front().turn < first->queue.front().turn)
            first = stream;
    return first;
}

void merge(cuda_host::moment &into, const cuda_host::moment &from)
{
    for (const auto &one : from)
        if (into[one.first] < one.second)
            into[one.first] = one.second;
}

bool run_one()
{
    CUstream_st *stream = choose();
    if (!stream)
        return false;
    operation next = std::move(stream->queue.front());
    stream->queue.pop_front();
    if (next.awaits)
        merge(stream->seen, next.awaits->when);
    stream->seen[stream->number] = ++stream->done;
    if (next.work)
        next.work(stream->seen);
    if (next.records) {
        next.records->done = true;
        next.records->when = stream->seen;
        next.records->time = std::chrono::steady_clock::now();
    }
    return true;
}

template <typename condition> void run_until(condition reached)
{
    const cuda_host::open_memory open;
    while (!reached())
        if (!run_one())
            cuda_host::misuse("the host waits for what will never happen");
}

void maybe_run()
{
    if (!eagerness)
        return;
    const cuda_host::open_memory open;
    while (cuda_host::draw(100) < eagerness && run_one())
        ;
}

bool known(cudaStream_t stream)
{
    for (const CUstream_st *s : streams)
        if (s == stream)
            return true;
    return false;
}

cudaError_t append(cudaStream_t stream, operation next)
{
    begin();
    if (!known(stream))
        return cuda_host::report(cudaErrorInvalidResourceHandle);
    next.turn = ++turns;
    stream->queue.push_back(std::move(next));
    maybe_run();
    return cudaSuccess;
}

} // namespace

namespace cuda_host
{

uint64_t draw(uint64_t limit)
{
    dice += 0x9e3779b97f4a7c15;
    uint64_t mixed = dice;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return (mixed ^ mixed >> 31) % limit;
}

bool in_order()
{
    return seed == 0;
}

cudaError_t enqueue(cudaStream_t stream, std::function<void(const moment &)> work)
{
    return append(stream, {std::move(work), nullptr, nullptr, 0});
}

void run_all()
{
    run_until([] {
        for (const CUstream_st *stream : streams)
            if (!stream->queue.empty())
                return false;
        return true;
    });
    end_copies();
}

} // namespace cuda_host

using cuda_host::report;

void cuda_host_seed(uint64_t value)
{
    const std::lock_guard<std::mutex> guard(cuda_host::lock);
    begin();
    plant_seed(value);
}

cudaError_t cudaDeviceSynchronize(void)
{
    CUDA_HOST_BEGIN;
    cuda_host::counts.synchronizations++;
    cuda_host::run_all();
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned int)
{
    CUDA_HOST_BEGIN;
    begin();
    *stream = new CUstream_st{++stream_count, 0, {}, {}};
    streams.push_back(*stream);
    return cudaSuccess;
}

/* CUDA lets what is enqueued run to its end. */
cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    CUDA_HOST_BEGIN;
    if (!known(stream))
        return report(cudaErrorInvalidResourceHandle);
    run_until([stream] { return stream->queue.empty(); });
    for (size_t i = 0; i < streams.size(); i++)
        if (streams[i] == stream)
            streams.erase(streams.begin() + static_cast<std::ptrdiff_t>(i--));
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    CUDA_HOST_BEGIN;
    if (!known(stream))
        return report(cudaErrorInvalidResourceHandle);
    cuda_host::counts.synchronizations++;
    run_until([stream] { return stream->queue.empty(); });
    cuda_host::publish_copies(stream->seen);
    return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    CUDA_HOST_BEGIN;
    if (!known(stream))
        return report(cudaErrorInvalidResourceHandle);
    {
        const cuda_host::open_memory open;
        run_one(); /* so that asking again and again comes to an end */
    }
    if (!stream->queue.empty())
        return cudaErrorNotReady;
    cuda_host::publish_copies(stream->seen);
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int)
{
    CUDA_HOST_BEGIN;
    if (!event)
        return report(cudaErrorInvalidResourceHandle);
    if (!event->latest)
        cuda_host::counts.unrecorded_waits++;
    return append(stream, {nullptr, nullptr, event->latest, 0});
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int)
{
    CUDA_HOST_BEGIN;
    *event = new CUevent_st{nullptr};
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    CUDA_HOST_BEGIN;
    if (!event)
        return report(cudaErrorInvalidResourceHandle);
    auto next = std::make_shared<recording>();
    const cudaError_t result = append(stream, {nullptr, next, nullptr, 0});
    if (result == cudaSuccess)
        event->latest = next;
    return result;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    CUDA_HOST_BEGIN;
    if (!event)
        return report(cudaErrorInvalidResourceHandle);
    if (!event->latest)
        return cudaSuccess;
    if (!event->latest->done) {
        const cuda_host::open_memory open;
        run_one();
    }
    if (!event->latest->done)
        return cudaErrorNotReady;
    cuda_host::publish_copies(event->latest->when);
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    CUDA_HOST_BEGIN;
    if (!event)
        return report(cudaErrorInvalidResourceHandle);
    cuda_host::counts.synchronizations++;
    if (!event->latest) {
        cuda_host::counts.unrecorded_waits++;
        return cudaSuccess;
    }
    const std::shared_ptr<recording> awaited = event->latest;
    run_until([&awaited] { return awaited->done; });
    cuda_host::publish_copies(awaited->when);
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end)
{
    CUDA_HOST_BEGIN;
    if (!start || !end || !start->latest || !end->latest)
        return report(cudaErrorInvalidResourceHandle);
    if (!start->latest->done || !end->latest->done)
        return cudaErrorNotReady;
    const std::chrono::duration<float, std::milli> passed = end->latest->time - start->latest->time;
    *milliseconds = passed.count();
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    CUDA_HOST_BEGIN;
    if (!event)
        return report(cudaErrorInvalidResourceHandle);
    delete event;
    return cudaSuccess;
}
