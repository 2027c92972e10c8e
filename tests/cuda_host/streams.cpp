/* streams.cpp - streams as queues, events, and who goes next.
 *
 * Nothing runs when it is enqueued: it runs when the host waits for it, or when the dice say so, and then in
 * any order that streams and events leave open. CUDA_HOST_SEED names the dice; the same seed, and the same
 * calls, give the same order. With 0 all runs in the order in which it was enqueued. How much runs before
 * the host waits depends on the seed as well: at some nothing, at some nearly all. */
#include "queues.h"

#include <algorithm>

namespace
{

using cuda_host::operation;
using cuda_host::recording;
using cuda_host::stream_kind;

std::vector<cudaStream_t> streams;
std::vector<cudaEvent_t> events;

/* Nobody destroys the streams that NULL names. */
struct ending {
    ~ending()
    {
        for (cudaStream_t stream : streams)
            if (stream->kind == stream_kind::legacy)
                delete stream;
    }
} at_the_end;

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
    if (stream->queue.empty())
        return false;
    for (const cuda_host::mark &awaited : stream->queue.front().awaits)
        if (!awaited->done)
            return false;
    return true;
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

void append(cudaStream_t stream, operation next)
{
    next.turn = ++turns;
    stream->queue.push_back(std::move(next));
}

bool run_one()
{
    CUstream_st *stream = choose();
    if (!stream)
        return false;
    operation next = std::move(stream->queue.front());
    stream->queue.pop_front();
    for (const cuda_host::mark &awaited : next.awaits)
        merge(stream->seen, awaited->when);
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

cudaStream_t make_stream(stream_kind kind)
{
    begin();
    streams.push_back(new CUstream_st{++stream_count, current_device(), kind, 0, {}, {}, nullptr, {}});
    return streams.back();
}

void end_stream(cudaStream_t stream)
{
    streams.erase(std::find(streams.begin(), streams.end(), stream));
    delete stream;
}

cudaStream_t find(cudaStream_t named)
{
    if (!named) {
        for (cudaStream_t stream : streams)
            if (stream->kind == stream_kind::legacy && stream->device == current_device())
                return stream;
        return make_stream(stream_kind::legacy);
    }
    const bool there = std::find(streams.begin(), streams.end(), named) != streams.end();
    return there && named->kind != stream_kind::of_graph ? named : nullptr;
}

bool known(cudaEvent_t event)
{
    return std::find(events.begin(), events.end(), event) != events.end();
}

void push(cudaStream_t stream, operation next)
{
    const bool legacy = stream->kind == stream_kind::legacy;
    if (legacy || stream->kind == stream_kind::blocking)
        for (cudaStream_t other : streams)
            if (other->device == stream->device && !other->queue.empty() &&
                other->kind == (legacy ? stream_kind::blocking : stream_kind::legacy)) {
                next.awaits.push_back(std::make_shared<recording>());
                append(other, {nullptr, next.awaits.back(), {}, 0});
            }
    append(stream, std::move(next));
}

void maybe_run()
{
    if (!eagerness)
        return;
    const open_memory open;
    while (draw(100) < eagerness && run_one())
        ;
}

void run_until_empty(cudaStream_t stream)
{
    run_until([stream] { return stream->queue.empty(); });
}

cudaError_t enqueue(cudaStream_t named, preparing prepare)
{
    begin();
    const cudaStream_t stream = find(named);
    if (!stream)
        return report(cudaErrorInvalidResourceHandle);
    if (stream->capture)
        return write_down(stream, {std::move(prepare), nullptr, {}});
    push(stream, {prepare(), nullptr, {}, 0});
    maybe_run();
    return cudaSuccess;
}

cudaError_t enqueue_work(cudaStream_t stream, work what)
{
    return enqueue(stream, [what = std::move(what)] { return what; });
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

using cuda_host::find;
using cuda_host::known;
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

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned int flags)
{
    CUDA_HOST_BEGIN;
    *stream = cuda_host::make_stream(flags == cudaStreamNonBlocking ? stream_kind::non_blocking
                                                                    : stream_kind::blocking);
    return cudaSuccess;
}

/* CUDA lets what is enqueued run to its end. */
cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    CUDA_HOST_BEGIN;
    if (!stream || !find(stream))
        return report(cudaErrorInvalidResourceHandle);
    cuda_host::run_until_empty(stream);
    cuda_host::end_stream(stream);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t named)
{
    CUDA_HOST_BEGIN;
    const cudaStream_t stream = find(named);
    if (!stream)
        return report(cudaErrorInvalidResourceHandle);
    cuda_host::counts.synchronizations++;
    cuda_host::run_until_empty(stream);
    cuda_host::publish_copies(stream->seen);
    return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t named)
{
    CUDA_HOST_BEGIN;
    const cudaStream_t stream = find(named);
    if (!stream)
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

cudaError_t cudaStreamWaitEvent(cudaStream_t named, cudaEvent_t event, unsigned int flags)
{
    CUDA_HOST_BEGIN;
    const cudaStream_t stream = find(named);
    if (!stream || !known(event))
        return report(cudaErrorInvalidResourceHandle);
    if (flags)
        return report(cudaErrorInvalidValue); /* not known here */
    if (stream->capture || event->capture)
        return cuda_host::wait_captured(stream, event);
    if (!event->latest) {
        cuda_host::counts.unrecorded_waits++;
        return cudaSuccess;
    }
    cuda_host::push(stream, {nullptr, nullptr, {event->latest}, 0});
    cuda_host::maybe_run();
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int)
{
    CUDA_HOST_BEGIN;
    *event = new CUevent_st{cuda_host::current_device(), nullptr, nullptr, {}};
    events.push_back(*event);
    return cudaSuccess;
}

namespace
{

/* `external`: into a graph, for whoever waits outside. */
cudaError_t record(cudaEvent_t event, cudaStream_t named, bool external)
{
    const cudaStream_t stream = find(named);
    if (!stream || !known(event) || event->device != stream->device)
        return report(cudaErrorInvalidResourceHandle);
    if (external && !stream->capture)
        return report(cudaErrorIllegalState);
    if (external)
        return cuda_host::write_down(stream, {nullptr, event, {}});
    if (stream->capture) {
        cuda_host::record_captured(event, stream);
        return cudaSuccess;
    }
    event->latest = std::make_shared<recording>();
    event->capture = nullptr;
    cuda_host::push(stream, {nullptr, event->latest, {}, 0});
    cuda_host::maybe_run();
    return cudaSuccess;
}

} // namespace

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    CUDA_HOST_BEGIN;
    return record(event, stream, false);
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned int flags)
{
    CUDA_HOST_BEGIN;
    return record(event, stream, flags == cudaEventRecordExternal);
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    CUDA_HOST_BEGIN;
    if (!known(event))
        return report(cudaErrorInvalidResourceHandle);
    if (event->capture)
        return report(cudaErrorCapturedEvent);
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
    if (!known(event))
        return report(cudaErrorInvalidResourceHandle);
    if (event->capture)
        return report(cudaErrorCapturedEvent);
    cuda_host::counts.synchronizations++;
    if (!event->latest) {
        cuda_host::counts.unrecorded_waits++;
        return cudaSuccess;
    }
    const cuda_host::mark awaited = event->latest;
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
    if (!known(event))
        return report(cudaErrorInvalidResourceHandle);
    events.erase(std::find(events.begin(), events.end(), event));
    delete event;
    return cudaSuccess;
}
